"""The canonical spike and its updates, message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import SpikeRule
from tests.domain.signals.market import (
    DEMO,
    MINUTE_MS,
    A,
    B,
    at,
    close,
    feed,
    instrument,
    runner,
    ticker,
    told,
    update,
)

MILLION = 1e6


def test_a_spike_is_given_with_the_update_that_crosses_the_line_and_once() -> None:
    it = runner()
    assert feed(it, [close(0, MILLION), update(1, 5, 2.9 * MILLION)]) == []
    (signal,) = it.take(update(1, 6, 3.5 * MILLION))
    assert (signal.kind, signal.event_ms, signal.direction, signal.severity) == ("SPIKE", at(1.1), "bullish", 1)
    assert signal.text == "A hourly volume $3.50M (3.50× prev) — VOLUME SPIKE"
    assert signal.key == "binanceusdm:AUSDT:SPIKE:2026-11-23T09:00Z"
    assert (signal.evidence.value("volume"), signal.evidence.value("volume_before")) == (3.5 * MILLION, MILLION)
    assert signal.evidence.line == 3 * MILLION
    assert feed(it, [update(1, 7, 9 * MILLION), update(1, 8, 99 * MILLION)]) == []


@pytest.mark.parametrize(
    ("before", "volume", "fires"),
    [
        (MILLION, 3 * MILLION, True),
        (MILLION, 3 * MILLION - 1, False),
        (0.9 * MILLION, 2.999 * MILLION, False),
        (2 * MILLION, 5.9 * MILLION, False),
        (0.0, 99 * MILLION, False),
        (1.0, 3 * MILLION, True),
    ],
)
def test_three_times_the_hour_before_and_three_million(before: float, volume: float, fires: bool) -> None:
    signals = feed(runner(), [close(0, before), close(1, volume)])
    assert told(signals) == ([("SPIKE", 1)] if fires else [])


def test_multiple_and_floor_are_settings() -> None:
    it = runner(rule=SpikeRule(multiple=2, floor=10))
    assert told(feed(it, [close(0, 5), update(1, 1, 9), update(1, 2, 10)])) == [("SPIKE", 1)]


def test_the_hour_before_must_be_the_one_directly_before() -> None:
    assert feed(runner(), [close(0, MILLION), close(2, 99 * MILLION)]) == []


def test_part_of_an_hour_never_passes_for_the_whole() -> None:
    assert feed(runner(), [update(0, 50, MILLION), update(1, 10, 99 * MILLION)]) == []


def test_an_hour_a_few_seconds_short_stands_in_once_its_close_had_time_to_come() -> None:
    it = runner()
    assert feed(it, [update(0, 59.95, MILLION), update(1, 0.02, 99 * MILLION)]) == []
    assert told(it.take(update(1, 0.05, 99 * MILLION))) == [("SPIKE", 1)]


def test_direction_is_bullish_only_above_the_open() -> None:
    (signal,) = feed(runner(), [close(0, MILLION), close(1, 9 * MILLION, up=False)])
    assert signal.direction == "bearish"


@pytest.mark.parametrize(("ratio", "severity"), [(3.0, 1), (5.0, 2), (10.0, 3)])
def test_severity_by_the_multiple(ratio: float, severity: int) -> None:
    (signal,) = feed(runner(), [close(0, MILLION), close(1, ratio * MILLION)])
    assert signal.severity == severity


# Updates


def spike_at(minute: float) -> list[Signal]:
    """All that is told of an hour whose line was crossed at that minute, with a message each minute until the close."""
    it = runner()
    signals = feed(it, [close(0, MILLION)])
    for step in range(60):
        signals += it.take(update(1, step, 0.1 * MILLION if step < minute else (4 + step / 10) * MILLION))
    return signals + list(it.take(close(1, 12 * MILLION)))


@pytest.mark.parametrize(
    ("minute", "kinds"),
    [
        (5, ["SPIKE", "HALF_UPDATE", "FULL_UPDATE"]),
        (19, ["SPIKE", "HALF_UPDATE", "FULL_UPDATE"]),
        (20, ["SPIKE", "FULL_UPDATE"]),
        (40, ["SPIKE", "FULL_UPDATE"]),
        (54, ["SPIKE", "FULL_UPDATE"]),
        (55, ["SPIKE"]),
        (60, ["SPIKE"]),
    ],
)
def test_updates_by_the_minute_of_the_spike(minute: int, kinds: list[str]) -> None:
    assert [signal.kind for signal in spike_at(minute)] == kinds


def test_an_update_carries_the_numbers_of_its_moment() -> None:
    _, half, full = spike_at(5)
    assert (half.event_ms, half.evidence.value("ratio")) == (at(1.5), 7.0)
    assert full.text == "A hourly volume $12.00M (12.00× prev) — FULL-HOUR UPDATE"
    assert full.severity == 3


def test_a_flipped_direction_is_said() -> None:
    it = runner()
    signals = feed(
        it,
        [
            close(0, MILLION),
            update(1, 5, 4 * MILLION),
            update(1, 31, 5 * MILLION, up=False),
            close(1, 6 * MILLION, up=False),
        ],
    )
    assert [signal.direction for signal in signals] == ["bullish", "bearish", "bearish"]
    assert signals[1].text.endswith("HALF-HOUR UPDATE, now bearish")
    assert signals[2].text.endswith("FULL-HOUR UPDATE")


def test_a_series_of_closed_candles_yields_spikes_only() -> None:
    volumes = [1, 4, 1, 5, 30, 1]
    signals = feed(runner(), [close(hour, volume * MILLION) for hour, volume in enumerate(volumes)])
    assert told(signals) == [("SPIKE", 1), ("SPIKE", 3), ("SPIKE", 4)]


def test_the_half_update_needs_no_trade() -> None:
    it = runner()
    feed(it, [close(0, MILLION), update(1, 19, 4 * MILLION)])
    feed(it, [update(1, minute, MILLION, symbol=B) for minute in (25, 29.99)])
    it.book.set_streamed_candles([A, B])
    assert it.step(at(1.5) - 1) == []
    (half,) = it.step(at(1.5) + 300)
    assert (half.kind, half.event_ms, half.seen_ms) == ("HALF_UPDATE", at(1.5), at(1.5) + 300)
    assert it.step(at(1.5) + 1_300) == []
    assert feed(it, [update(1, 31, 5 * MILLION)]) == []


def test_no_half_update_from_a_silent_stream_until_it_is_back() -> None:
    it = runner()
    it.book.set_streamed_candles([A])
    feed(it, [close(0, MILLION), update(1, 15, 4 * MILLION)])
    assert it.step(at(1.5) + 300) == []
    late = it.take(update(1, 35, 5 * MILLION))
    assert told(late) == [("HALF_UPDATE", 1)]
    # Its numbers are not those of the half hour.
    assert late[0].text.endswith("HALF-HOUR UPDATE, as of 09:35 UTC")


def test_a_clock_that_jumps_gives_no_half_update() -> None:
    it = runner()
    feed(it, [close(0, MILLION), update(1, 15, 4 * MILLION)])
    for now_ms in (at(1.9), at(0), at(30), at(1.3)):
        assert it.step(now_ms) == []


def test_a_late_close_gives_the_update_of_its_hour_and_judges_the_next() -> None:
    it = runner()
    feed(it, [close(0, MILLION), update(1, 25, 4 * MILLION), update(2, 0.5, 90 * MILLION)])
    signals = it.take(close(1, 5 * MILLION, late_ms=60_000))
    assert told(signals) == [("FULL_UPDATE", 1), ("SPIKE", 2)]


def test_a_late_close_can_be_the_spike_itself() -> None:
    it = runner()
    feed(it, [close(0, MILLION), update(1, 58, 2.9 * MILLION), update(2, 1, 10.0)])
    assert told(it.take(close(1, 3.1 * MILLION, late_ms=90_000))) == [("SPIKE", 1)]
    assert not it.take(close(1, 3.1 * MILLION, late_ms=95_000))


def test_what_is_older_than_its_allowance_fires_nothing() -> None:
    it = runner()
    late = replace(update(1, 10, 9 * MILLION), seen_ms=at(1) + 17 * MINUTE_MS)
    assert feed(it, [close(0, MILLION), late]) == []
    assert it.spikes.counters.suppressed["stale"] == 1
    assert told(it.take(update(1, 20, 9 * MILLION))) == [("SPIKE", 1)]


def test_a_streamed_candle_is_held_to_what_is_allowed_to_streams() -> None:
    for streamed, kinds in ((False, [("SPIKE", 1)]), (True, [])):
        it = runner()
        it.book.set_streamed_candles([A] if streamed else [])
        candle = update(1, 10, 9 * MILLION)
        late = replace(candle, seen_ms=candle.event_ms + 5 * MINUTE_MS)
        assert told(feed(it, [close(0, MILLION), late])) == kinds
    at_once = replace(update(1, 16, 9 * MILLION), seen_ms=at(1) + 16 * MINUTE_MS + 250)
    assert told(it.take(at_once)) == [("SPIKE", 1)]


def test_the_half_hour_is_the_exchanges_and_its_numbers_are_of_then() -> None:
    it = runner()
    it.book.set_streamed_candles([A])
    ahead_ms = 5 * MINUTE_MS
    candles = [update(1, 10, 4 * MILLION), update(1, 29, 5 * MILLION), update(1, 29.9, 5 * MILLION)]
    ours = [replace(each, seen_ms=each.event_ms + ahead_ms, skew_ms=-ahead_ms) for each in candles]
    assert told(feed(it, [close(0, MILLION), *ours])) == [("SPIKE", 1)]
    assert it.step(at(1.5) + ahead_ms - 1) == []
    assert told(it.step(at(1.5) + ahead_ms)) == [("HALF_UPDATE", 1)]
    it = runner()
    it.book.set_streamed_candles([A])
    feed(it, [close(0, MILLION), candles[0], replace(candles[1], seen_ms=at(1.5) + 5_000)])
    assert it.step(at(1.5) + 6_000) == []


def test_a_close_counts_until_the_hour_after_it_is_over() -> None:
    it = runner()
    assert feed(it, [close(0, MILLION), close(1, 9 * MILLION, late_ms=61 * MINUTE_MS)]) == []
    assert told(feed(runner(), [close(0, MILLION), close(1, 9 * MILLION, late_ms=59 * MINUTE_MS)])) == [("SPIKE", 1)]


def test_a_contract_that_leaves_while_it_is_hot_leaves_nothing_behind() -> None:
    it = runner()
    feed(it, [close(0, MILLION), update(1, 5, 4 * MILLION)])
    it.take_instruments([instrument(B)], at(1.2))
    assert it.step(at(1.5)) == []
    assert feed(it, [update(1, 31, 9 * MILLION)]) == []


# Restarts


def test_the_past_fills_the_hour_before() -> None:
    it = runner()
    assert feed(it, [update(1, 10, 4 * MILLION)]) == []
    assert told(it.fill(A, [close(0, MILLION)])) == [("SPIKE", 1)]
    assert not it.fill(A, [close(0, MILLION)])


def test_after_a_restart_nothing_comes_twice_and_updates_still_come() -> None:
    before = runner()
    stored = feed(before, [close(0, MILLION), update(1, 5, 4 * MILLION)])
    it = runner()
    it.resume(stored)
    assert feed(it, [close(0, MILLION), update(1, 6, 4 * MILLION)]) == []
    assert told(feed(it, [update(1, 31, 5 * MILLION), close(1, 6 * MILLION)])) == [
        ("HALF_UPDATE", 1),
        ("FULL_UPDATE", 1),
    ]


def test_a_restart_over_the_end_of_the_hour_gives_its_last_update_once_the_past_is_known() -> None:
    stored = feed(runner(), [close(0, MILLION), update(1, 25, 4 * MILLION)])
    it = runner()
    it.resume(stored)
    assert feed(it, [close(1, 6 * MILLION, late_ms=MINUTE_MS), update(2, 2, 10.0)]) == []
    (full,) = it.fill(A, [close(0, MILLION), close(1, 6 * MILLION)])
    assert (full.kind, full.evidence.value("ratio")) == ("FULL_UPDATE", 6.0)


def test_signals_of_another_origin_are_not_resumed() -> None:
    stored = feed(runner(origin=DEMO), [close(0, MILLION), update(1, 5, 4 * MILLION)])
    assert stored[0].key.startswith("demo:")
    it = runner()
    it.resume(stored)
    assert told(feed(it, [close(0, MILLION), update(1, 5, 4 * MILLION)])) == [("SPIKE", 1)]


def test_another_exchange_begins_with_its_own_history() -> None:
    first, second = runner(), runner()
    feed(first, [close(0, MILLION), update(1, 20, 0.5 * MILLION)])
    assert feed(second, [update(1, 21, 50 * MILLION)]) == []
    assert told(second.fill(A, [close(0, 40 * MILLION)])) == []


# Why not


def test_how_far_a_contract_is_from_a_spike() -> None:
    it = runner(only=["volume_spike"])
    (distance,) = it.why_not(A, at(1))
    assert (distance.value, distance.share) == (None, 0.0)
    assert distance.missing == "no candle of this hour yet"
    feed(it, [close(0, MILLION), update(1, 10, 1.5 * MILLION)])
    (distance,) = it.why_not(A, at(1.2))
    assert (distance.value, distance.needed, distance.share) == (1.5, 3.0, 0.5)
    assert distance.text == "Volume spike: 1.50× of 3.00× ($1.50M of $3.00M this hour)"
    feed(it, [update(1, 11, 9 * MILLION)])
    assert it.why_not(A, at(1.2))[0].missing == "has fired for this hour"
    assert it.why_not("CUSDT", at(1.2)) == []


def test_a_ticker_says_nothing_of_an_hour() -> None:
    assert runner(only=["volume_spike"]).take(ticker(at(1))) == ()
