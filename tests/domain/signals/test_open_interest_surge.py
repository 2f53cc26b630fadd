"""Surges of open interest: three windows, four quadrants, one signal for each visit to the region."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.book import remember_open_interest
from flashcur.domain.signals.open_interest_surge import WINDOWS
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Signal
from flashcur.domain.ticks import Tick
from tests.domain.signals.market import MINUTE_MS, T0, A, feed, interest, runner, ticker

FIVE, FIFTEEN, SIXTY = WINDOWS


def minute(number: float) -> int:
    return T0 + round(number * MINUTE_MS)


def minutes(
    contracts: list[float], prices: list[float] | None = None, *, first: int = 0, volume: float = 1e7
) -> list[Tick]:
    """One price and one open interest a minute."""
    ticks: list[Tick] = []
    for number, value in enumerate(contracts, first):
        price = 10.0 if prices is None else prices[number - first]
        ticks += [ticker(minute(number), price, volume), interest(minute(number), value)]
    return ticks


def surges(signals: list[Signal]) -> list[tuple[int, int, str | None]]:
    """(minute, window in minutes, quadrant)."""
    return [((s.event_ms - T0) // MINUTE_MS, s.span_ms // MINUTE_MS, s.quadrant) for s in signals]


def watched() -> Runner:
    return runner(only=["open_interest"])


CALM = [1e6] * 10


@pytest.mark.parametrize(
    ("to_contracts", "to_price", "quadrant", "direction", "words"),
    [
        (1.04e6, 10.5, "long_build_up", "bullish", "LONG BUILD-UP"),
        (1.04e6, 9.5, "short_build_up", "bearish", "SHORT BUILD-UP"),
        (0.96e6, 10.5, "short_covering", "bullish", "SHORT COVERING"),
        (0.96e6, 9.5, "long_unwinding", "bearish", "LONG UNWINDING"),
    ],
)
def test_the_four_quadrants(to_contracts: float, to_price: float, quadrant: str, direction: str, words: str) -> None:
    (signal,) = feed(watched(), minutes([*CALM, to_contracts], [10.0] * 10 + [to_price]))
    assert (signal.quadrant, signal.direction, signal.span_ms) == (quadrant, direction, 5 * MINUTE_MS)
    assert signal.text.endswith(words)
    assert signal.evidence.value("oi_change") == pytest.approx((to_contracts / 1e6 - 1) * 100)
    assert signal.evidence.value("price_change") == pytest.approx((to_price / 10 - 1) * 100)


def test_what_a_person_reads() -> None:
    (signal,) = feed(watched(), minutes([*CALM, 1.04e6], [10.0] * 10 + [10.5]))
    assert signal.text == "A open interest +4.00 % in 5 min ($420.00K) — LONG BUILD-UP"
    assert signal.key == "binanceusdm:AUSDT:OI_SURGE:2026-11-23T08:10Z:5m:up"


def test_without_the_prices_of_then_there_is_no_quadrant() -> None:
    it = watched()
    row = it.book.row(A)
    assert row is not None
    for number in range(10):
        remember_open_interest(row, interest(minute(number), 1e6))
    (signal,) = feed(it, [ticker(minute(10)), interest(minute(10), 1.04e6)])
    assert (signal.quadrant, signal.direction) == (None, "none")
    assert signal.text.endswith("OPEN INTEREST UP")


@pytest.mark.parametrize(("window", "calm"), [(FIVE, 7), (FIFTEEN, 17), (SIXTY, 65)])
def test_each_window_has_its_threshold(window: object, calm: int) -> None:
    (at_least,) = [each for each in WINDOWS if each is window]
    below, above = 1e6 * (1 + at_least.percent / 100 - 1e-6), 1e6 * (1 + at_least.percent / 100 + 1e-6)

    def fired(value: float) -> set[int]:
        return {s.span_ms // MINUTE_MS for s in feed(watched(), minutes([1e6] * calm + [value]))}

    assert at_least.minutes not in fired(below)
    assert at_least.minutes in fired(above)


def test_a_move_of_the_price_alone_is_no_surge() -> None:
    assert feed(watched(), minutes([1e6] * 70, [10 * 1.05**n for n in range(70)])) == []


def test_a_small_change_in_usd_is_no_surge() -> None:
    it = watched()
    assert feed(it, minutes([*[1e5] * 10, 1.2e5])) == []
    assert it.open_interest.counters.suppressed["small"] > 0


def test_only_liquid_contracts_and_with_hysteresis() -> None:
    assert feed(watched(), minutes([*CALM, 1.04e6], volume=3e6)) == []
    it = watched()
    feed(it, minutes(CALM, volume=5e6))
    assert surges(feed(it, minutes([1.04e6], first=10, volume=3e6))) == [(10, 5, None)]
    assert feed(it, minutes([1.1e6], first=30, volume=1e6)) == []


def test_at_the_threshold_it_is_told_once() -> None:
    """What hovers around the line does not leave the region."""
    wave = [1e6 * (1.031 if number % 2 else 1.029) for number in range(4)]
    assert surges(feed(watched(), minutes([*CALM, *wave]))) == [(11, 5, None)]


def test_it_is_told_again_after_it_has_left_and_the_cooldown_is_over() -> None:
    up = [1.04e6] * 10
    again = [1.04e6 * 1.04] * 10
    signals = feed(watched(), minutes(CALM + up + again))
    assert surges(signals) == [(10, 5, None), (20, 5, None), (20, 15, None)]


def test_what_enters_during_the_cooldown_is_not_made_up_for() -> None:
    it = watched()
    signals = feed(it, minutes([*CALM, 1.04e6, 1e6, 1e6, 1.04e6, 1.04e6, 1.04e6]))
    assert surges(signals) == [(10, 5, None)]
    assert it.open_interest.counters.suppressed["cooldown"] == 1


def test_the_direction_that_turns_is_another_visit() -> None:
    signals = feed(watched(), minutes([*CALM, *[1.04e6] * 12, 1.0e6]))
    assert [(s.key.rsplit(":", 1)[1], (s.event_ms - T0) // MINUTE_MS) for s in signals if s.span_ms == FIVE.ms] == [
        ("up", 10),
        ("down", 22),
    ]


def test_a_value_too_old_on_arrival_and_a_dead_price_fire_nothing() -> None:
    it = watched()
    feed(it, minutes(CALM))
    late = replace(interest(minute(10), 1.04e6), seen_ms=minute(12))
    assert feed(it, [ticker(minute(12)), late]) == []
    assert it.open_interest.counters.suppressed["stale"] == 1
    it = watched()
    feed(it, minutes(CALM))
    assert feed(it, [interest(minute(11), 1.04e6)]) == []
    assert it.open_interest.counters.suppressed["stale"] == 1


def test_a_price_that_came_late_is_as_old_as_it_says() -> None:
    it = watched()
    feed(it, minutes(CALM))
    late = replace(ticker(minute(9)), seen_ms=minute(11))
    assert feed(it, [late, interest(minute(11), 1.04e6)]) == []
    assert it.open_interest.counters.suppressed["stale"] == 1


def test_zero_before_is_no_base() -> None:
    assert feed(watched(), minutes([*[0.0] * 10, 1e6])) == []


def test_a_hole_in_the_values_is_no_surge() -> None:
    it = watched()
    feed(it, minutes([1e6]))
    assert feed(it, minutes([2e6], first=40)) == []


def test_after_a_restart_it_is_not_told_again() -> None:
    stored = feed(watched(), minutes([*CALM, 1.04e6]))
    it = watched()
    it.resume(stored)
    assert feed(it, minutes([*CALM, 1.04e6, 1.04e6, 1.04e6])) == []
    late = watched()
    late.resume(stored)
    feed(late, minutes(CALM, first=20))
    assert surges(feed(late, minutes([1.04e6], first=30))) == [(30, 5, None)]


def test_past_prices_give_the_quadrant_at_once() -> None:
    it = watched()
    row = it.book.row(A)
    assert row is not None
    for number in range(10):
        remember_open_interest(row, interest(minute(number), 1e6))
    it.open_interest.fill_prices(A, [(minute(number), 9.0) for number in range(10)])
    (signal,) = feed(it, [ticker(minute(10)), interest(minute(10), 1.04e6)])
    assert signal.quadrant == "long_build_up"


def test_past_prices_may_come_after_newer_ones_were_seen() -> None:
    it = watched()
    row = it.book.row(A)
    assert row is not None
    for number in range(0, 61, 5):
        remember_open_interest(row, interest(minute(number), 1e6))
    feed(it, [ticker(minute(59), 10.0), ticker(minute(60), 10.0)])
    it.fill_prices(A, [(minute(number), 11.0) for number in range(-10, 61)])
    (*_, signal) = feed(it, [interest(minute(60) + 1, 1.2e6)])
    assert (signal.span_ms, signal.quadrant) == (60 * MINUTE_MS, "short_build_up")
    assert signal.evidence.value("price_change") == pytest.approx((10 / 11 - 1) * 100)


def test_how_far_a_contract_is() -> None:
    it = watched()
    five, fifteen, sixty = it.why_not(A, T0)
    assert (five.value, five.share) == (None, 0.0)
    assert five.missing == "no open interest of 5 min ago yet; 24 h volume below $4.00M"
    feed(it, minutes([*CALM, 1.015e6]))
    five, fifteen, sixty = it.why_not(A, minute(10))
    assert five.value == pytest.approx(1.5)
    assert five.share == pytest.approx(0.5)
    assert five.what == "Open interest, 5 min"
    assert five.missing == "$150.00K of $250.00K"
    assert fifteen.missing == "no open interest of 15 min ago yet"
    assert sixty.needed == 12.0


@given(st.lists(st.floats(0.9, 1.1), min_size=20, max_size=80))
def test_no_two_signals_of_a_window_within_its_cooldown_and_no_key_twice(steps: list[float]) -> None:
    contracts = [1e6]
    for step in steps:
        contracts.append(contracts[-1] * step)
    signals = feed(watched(), minutes(contracts))
    assert len({signal.key for signal in signals}) == len(signals)
    for window in WINDOWS:
        times = [signal.event_ms for signal in signals if signal.span_ms == window.ms]
        assert all(after - before >= window.cooldown_ms for before, after in pairwise(times))


@given(st.lists(st.floats(0.9, 1.1), min_size=10, max_size=70), st.data())
def test_duplicates_and_late_values_change_nothing(steps: list[float], data: st.DataObject) -> None:
    contracts = [1e6]
    for step in steps:
        contracts.append(contracts[-1] * step)
    ticks = minutes(contracts)
    noisy: list[Tick] = []
    for number, tick in enumerate(ticks):
        noisy += [tick, ticks[max(0, number - data.draw(st.integers(0, 5)))]]
    assert [s.key for s in feed(watched(), noisy)] == [s.key for s in feed(watched(), ticks)]
