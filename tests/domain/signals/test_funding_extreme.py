"""Extreme funding: scaled to the interval, both signs, once for each visit and severity."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.funding_extreme import Payment, per_8h
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS
from tests.domain.signals.market import T0, A, at, feed, funding, instrument, runner

DUE = at(8)


def watched(hours: int = 8) -> Runner:
    it = runner(only=["funding"])
    it.take_instruments([instrument(funding_interval_hours=hours)], T0)
    return it


def rates(*values: float, due_ms: int = DUE, start: int = 0) -> list[Signal]:
    return feed(watched(), [funding(T0 + (start + n) * 1000, value, due_ms) for n, value in enumerate(values)])


def levels(signals: list[Signal]) -> list[tuple[int, float | None]]:
    return [(signal.severity, signal.evidence.value("rate")) for signal in signals]


@pytest.mark.parametrize(
    ("rate", "hours", "severity"),
    [
        (0.0003, 8, 1),
        (0.00029999, 8, 0),
        (-0.0003, 8, 1),
        (0.00015, 4, 1),
        (0.000149, 4, 0),
        (-0.0000375, 1, 1),
        (0.001, 8, 2),
        (-0.003, 8, 3),
        (0.0005, 4, 2),
    ],
)
def test_the_threshold_is_per_eight_hours(rate: float, hours: int, severity: int) -> None:
    signals = feed(watched(hours), [funding(T0, rate, T0 + hours * HOUR_MS)])
    assert [signal.severity for signal in signals] == ([severity] if severity else [])


def test_what_a_person_reads() -> None:
    (signal,) = feed(watched(4), [funding(T0, -0.0005, at(4))])
    assert signal.text == ("A funding -0.0500 % per 4 h (-0.1000 % per 8 h) — EXTREME FUNDING, shorts pay")
    assert signal.key == "binanceusdm:AUSDT:FUNDING_EXTREME:2026-11-23T12:00Z:negative:2"
    assert signal.evidence.line == -0.001
    value = signal.evidence.value
    # Nothing was compared with, and what it takes is told apart from what it takes to be strong.
    assert (value("payments"), value("least_rate"), value("strong_rate")) == (None, 0.0003, 0.001)
    assert signal.evidence.line_is == "what it takes to be strong"


def test_it_is_told_once_while_it_lasts_and_again_after_it_has_left() -> None:
    assert levels(rates(0.0003, 0.00029, 0.00031, 0.00025, 0.0004)) == [(1, 0.0003)]


def test_within_one_funding_period_the_same_event_is_told_once() -> None:
    it = watched()
    assert len(feed(it, [funding(T0 + n, rate, DUE) for n, rate in enumerate((0.0004, 0.0001, 0.0004))])) == 1
    assert len(feed(it, [funding(at(8) + n, rate, at(16)) for n, rate in enumerate((0.0001, 0.0004))])) == 1


def test_a_rise_in_severity_is_told() -> None:
    assert levels(rates(0.0003, 0.0009, 0.0012, 0.0008, 0.0013, 0.004)) == [(1, 0.0003), (2, 0.0012), (3, 0.004)]


def test_the_sign_that_turns_is_another_event() -> None:
    assert levels(rates(0.0004, -0.0004)) == [(1, 0.0004), (1, -0.0004)]


def test_the_percentile_is_that_of_the_contract_s_own_past() -> None:
    it = watched()
    it.fill_funding(A, [Payment(at(-8 * n), 0.0001 if n % 2 else -0.0009) for n in range(100, 0, -1)], 8)
    (signal,) = feed(it, [funding(T0, 0.0005, DUE)])
    assert (signal.evidence.value("percentile"), signal.evidence.value("payments")) == (50.0, 100.0)
    assert "above 50 % of its past payments" in signal.text


@pytest.mark.parametrize(("smaller", "said"), [(0, "none"), (150, "50 %"), (299, "99 %"), (300, "all")])
def test_only_all_is_called_all(smaller: int, said: str) -> None:
    it = watched()
    past = [Payment(at(-8 * n), 0.0001 if n <= smaller else 0.0009) for n in range(300, 0, -1)]
    it.fill_funding(A, past, 8)
    (signal,) = feed(it, [funding(T0, 0.0005, DUE)])
    assert f"above {said} of its past payments" in signal.text


def test_past_payments_are_scaled_by_their_own_interval() -> None:
    it = watched()
    payments = [Payment(at(-400 + 8 * n), 0.0002) for n in range(30)]
    payments += [Payment(payments[-1].paid_ms + (n + 1) * HOUR_MS, 0.0002) for n in range(30)]
    it.fill_funding(A, payments, 8)
    (signal,) = feed(it, [funding(T0, 0.001, DUE)])
    assert signal.evidence.value("percentile") == 50.0


def test_payments_may_be_learned_after_newer_ones_were_seen_and_twice() -> None:
    it = watched()
    feed(it, [funding(T0, 0.0001, DUE), funding(at(9), 0.0002, at(16))])
    # The exchange states what was paid a few milliseconds late, and otherwise than the rate that was said last.
    past = [Payment(at(8 - 8 * n) + 5, 0.0005 if n == 0 else 0.0001) for n in range(40, -1, -1)]
    it.fill_funding(A, past[:30], 8)
    it.fill_funding(A, past[25:], 8)
    (signal,) = feed(it, [funding(at(10), 0.0004, at(16))])
    assert signal.evidence.value("payments") == 41.0
    assert signal.evidence.value("percentile") == pytest.approx(40 / 41 * 100)


def test_what_is_paid_becomes_history() -> None:
    it = watched()
    for period in range(40):
        feed(it, [funding(at(8 * period + 1), 0.0001, at(8 * period + 8))])
    (signal,) = feed(it, [funding(at(8 * 40 + 1), 0.0004, at(8 * 41))])
    assert (signal.evidence.value("payments"), signal.evidence.value("percentile")) == (40.0, 100.0)


def test_an_interval_that_grows_does_not_make_its_first_rate_extreme() -> None:
    """The rate per 8 h comes before the word that it is one per 8 h."""
    it = watched(4)
    assert feed(it, [funding(T0, 0.0002, at(8))]) == []
    assert it.funding.counters.suppressed["unclear_interval"] == 1
    it.take_instruments([instrument(funding_interval_hours=8)], T0)
    assert feed(it, [funding(T0 + 15_000, 0.0002, at(8))]) == []


def test_an_interval_that_shrinks_makes_the_same_rate_dearer() -> None:
    it = watched()
    assert feed(it, [funding(T0, 0.0002, at(8))]) == []
    it.take_instruments([instrument(funding_interval_hours=4)], T0)
    assert levels(feed(it, [funding(T0 + 15_000, 0.0002, at(4))])) == [(1, 0.0004)]


def test_a_rate_too_old_on_arrival_fires_nothing() -> None:
    it = watched()
    assert feed(it, [replace(funding(T0, 0.0004, DUE), seen_ms=T0 + 11_000)]) == []
    assert it.funding.counters.suppressed["stale"] == 1


@pytest.mark.parametrize("ahead_ms", [11_000, 3_300_000, -11_000, -3_300_000])
def test_how_old_a_rate_is_is_told_by_the_exchanges_clock(ahead_ms: int) -> None:
    fresh = replace(funding(T0, 0.0004, DUE), seen_ms=T0 + 200 + ahead_ms, skew_ms=-ahead_ms)
    assert levels(feed(watched(), [fresh])) == [(1, 0.0004)]
    assert feed(watched(), [replace(fresh, seen_ms=T0 + 11_000 + ahead_ms)]) == []


def test_after_a_restart_a_lasting_extreme_is_not_told_again() -> None:
    stored = rates(0.0004)
    it = watched()
    it.resume(stored)
    days = [funding(at(8 * n + 1), 0.0004, at(8 * n + 8)) for n in range(1, 12)]
    assert feed(it, days) == []
    again = watched()
    again.resume(stored)
    assert len(feed(again, [funding(at(9), 0.0001, at(16)), funding(at(10), 0.0004, at(16))])) == 1


def test_how_far_a_contract_is() -> None:
    it = watched(4)
    assert it.why_not(A, T0)[0].missing == "no funding rate yet; no history to compare with"
    feed(it, [funding(T0, -0.000075, at(4))])
    (distance,) = it.why_not(A, T0)
    assert (distance.value, distance.share) == (-0.00015, 0.5)
    assert distance.text == "Funding per 8 h: -0.0150 % of 0.0300 % (no history to compare with)"


@given(st.lists(st.floats(-0.004, 0.004), max_size=60), st.data())
def test_a_restart_anywhere_changes_nothing(values: list[float], data: st.DataObject) -> None:
    ticks = [funding(at(n), rate, (at(n) // (8 * HOUR_MS) + 1) * 8 * HOUR_MS) for n, rate in enumerate(values)]
    expected = [signal.key for signal in feed(watched(), ticks)]
    cut = data.draw(st.integers(0, len(ticks)))
    before, it = watched(), watched()
    stored = feed(before, ticks[:cut])
    it.resume(stored, before.take_turned())
    # The last rate before the restart is the first that is seen after it.
    rest = feed(it, ticks[max(0, cut - 1) :])
    assert [signal.key for signal in stored + rest] == expected


@given(st.floats(-0.01, 0.01), st.sampled_from([1, 2, 4, 8]))
def test_the_interval_does_not_matter(rate: float, hours: int) -> None:
    scaled = rate * hours / 8
    assert per_8h(scaled, hours) == pytest.approx(rate)
