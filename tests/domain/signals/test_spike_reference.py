"""The canonical spike against a slow, obvious implementation of its text, on recorded and on invented markets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle
from tests.domain.signals.market import T0, A, at, feed, recorded_candles, runner, told

FLOOR = 3_000_000.0
ROUND = [1e5, 5e5, 1e6, 2e6, 3e6, 9e6, 1e7, 3e7]
"""Volumes between which the line is often met exactly."""


def obvious_spikes(candles: Sequence[Candle]) -> list[tuple[int, float, str]]:
    """(hour, ratio, direction) of a series of closed candles, straight from the text of the rule."""
    volume_of = {candle.open_ms: candle.volume_quote for candle in candles}
    found: list[tuple[int, float, str]] = []
    for candle in candles:
        previous = volume_of.get(candle.open_ms - 3_600_000)
        if previous is None or not previous > 0:
            continue
        if candle.volume_quote / previous >= 3 and candle.volume_quote >= 3_000_000:
            found.append(
                (
                    candle.open_ms,
                    candle.volume_quote / previous,
                    "bullish" if candle.close > candle.open else "bearish",
                )
            )
    return found


def as_told(signals: Sequence[Signal]) -> list[tuple[int, float | None, str]]:
    assert {signal.kind for signal in signals} <= {"SPIKE"}
    return [(signal.period_ms, signal.evidence.value("ratio"), signal.direction) for signal in signals]


def test_recorded_hours_one_by_one() -> None:
    count = 0
    for symbol, candles in recorded_candles():
        signals = feed(runner(symbol, only=["volume_spike"]), candles)
        assert as_told(signals) == obvious_spikes(candles), symbol
        count += len(signals)
    assert count == 106 + 126 + 119 + 60 + 8 + 266


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(ROUND) | st.just(0.0) | st.floats(0, 1e8),
            st.sampled_from([9.0, 10.0, 11.0]),
        ),
        max_size=40,
    )
)
def test_closed_hours_with_gaps(hours: list[tuple[bool, float, float]]) -> None:
    candles = [
        Candle(A, at(hour), 10.0, 12.0, 8.0, price, volume, True, at(hour + 1), at(hour + 1))
        for hour, (there, volume, price) in enumerate(hours)
        if there
    ]
    assert as_told(feed(runner(only=["volume_spike"]), candles)) == obvious_spikes(candles)


# Every update of the open hour


@dataclass(frozen=True)
class Hour:
    """Cumulative volumes at moments of an hour (ms from its beginning), prices, and what it closed at."""

    moments: tuple[tuple[int, float, float], ...]
    volume: float
    price: float


@st.composite
def an_hour(draw: st.DrawFn) -> Hour:
    whole = draw(st.sampled_from(ROUND) | st.floats(0, 5e7))
    edges = st.sampled_from([0, 1_199_999, 1_200_000, 1_799_999, 1_800_000, 3_299_999, 3_300_000, 3_599_999])
    times = sorted(draw(st.sets(edges | st.integers(0, 3_599_999), max_size=8)))
    shares = sorted(draw(st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=len(times), max_size=len(times))))
    prices = draw(st.lists(st.sampled_from([9.0, 11.0]), min_size=len(times), max_size=len(times)))
    moments = tuple((ms, whole * share, price) for ms, share, price in zip(times, shares, prices, strict=True))
    return Hour(moments, whole, draw(st.sampled_from([9.0, 11.0])))


markets = st.lists(an_hour(), min_size=1, max_size=6)


def calm_at_the_end(hour: Hour) -> Hour:
    last_minute_ms = HOUR_MS - 60_000
    moments = ((ms, hour.volume if ms >= last_minute_ms else volume, price) for ms, volume, price in hour.moments)
    return replace(hour, moments=tuple(moments))


def messages(hours: Sequence[Hour]) -> list[Candle]:
    """What the exchange sends of these hours, in order."""
    sent: list[Candle] = []
    for number, hour in enumerate(hours):
        start = at(number)
        for ms, volume, price in hour.moments:
            sent.append(Candle(A, start, 10.0, 12.0, 8.0, price, volume, False, start + ms, start + ms))
        end = start + HOUR_MS
        sent.append(Candle(A, start, 10.0, 12.0, 8.0, hour.price, hour.volume, True, end, end))
    return sent


def obvious_signals(sent: Sequence[Candle]) -> list[tuple[str, int, float, str, bool]]:
    """(kind, hour, ratio, direction, flipped) of messages that come in order, straight from the text of the rule."""
    found: list[tuple[str, int, float, str, bool]] = []
    closes = {candle.open_ms: candle.volume_quote for candle in sent if candle.closed}
    for hour in sorted({candle.open_ms for candle in sent}):
        previous = closes.get(hour - HOUR_MS)
        if not previous:
            continue
        spike_ms, half, direction = None, False, ""
        for candle in (each for each in sent if each.open_ms == hour):
            ratio = candle.volume_quote / previous
            now = "bullish" if candle.close > candle.open else "bearish"
            if spike_ms is None:
                if ratio >= 3 and candle.volume_quote >= FLOOR:
                    spike_ms, direction = candle.event_ms, now
                    found.append(("SPIKE", hour, ratio, now, False))
                continue
            if not half and spike_ms < hour + 20 * 60_000 and candle.event_ms >= hour + 30 * 60_000:
                half = True
                found.append(("HALF_UPDATE", hour, ratio, now, now != direction))
                direction = now
            if candle.closed and spike_ms < hour + 55 * 60_000:
                found.append(("FULL_UPDATE", hour, ratio, now, now != direction))
    return found


def in_full(signals: Sequence[Signal]) -> list[tuple[str, int, float | None, str, bool]]:
    return [
        (each.kind, each.period_ms, each.evidence.value("ratio"), each.direction, ", now " in each.text)
        for each in signals
    ]


def spiked(signals: Sequence[Signal]) -> set[int]:
    return {signal.period_ms for signal in signals if signal.kind == "SPIKE"}


@settings(max_examples=300)
@given(markets)
def test_every_update(hours: list[Hour]) -> None:
    sent = messages(hours)
    assert in_full(feed(runner(only=["volume_spike"]), sent)) == obvious_signals(sent)


@given(markets, st.data())
def test_any_chunking_finds_the_same_hours(hours: list[Hour], data: st.DataObject) -> None:
    sent = messages(hours)
    kept = [candle for candle in sent if candle.closed or data.draw(st.booleans())]
    every, some = feed(runner(only=["volume_spike"]), sent), feed(runner(only=["volume_spike"]), kept)
    assert spiked(every) == spiked(some)
    assert in_full(some) == obvious_signals(kept)


@given(markets, st.data())
def test_what_comes_again_changes_nothing(hours: list[Hour], data: st.DataObject) -> None:
    sent = messages(hours)
    repeated: list[Candle] = []
    for number, candle in enumerate(sent):
        repeated.append(candle)
        again = data.draw(st.integers(0, min(number, 4)))
        repeated += sent[number - again : number + 1] if data.draw(st.booleans()) else []
    assert in_full(feed(runner(only=["volume_spike"]), repeated)) == obvious_signals(sent)


@given(markets, st.data())
def test_late_and_in_any_order_the_same_hours_are_found(hours: list[Hour], data: st.DataObject) -> None:
    """Each message may be passed by those of the next half hour.

    What was seen of an hour just before its end stands in for it until its close has come: nothing trades here then.
    """
    sent = messages([calm_at_the_end(hour) for hour in hours])
    delays = [data.draw(st.integers(0, 30 * 60_000)) for _ in sent]
    arriving = sorted(zip(sent, delays, strict=True), key=lambda pair: pair[0].event_ms + pair[1])
    late = [
        replace(candle, seen_ms=candle.event_ms + (delay if candle.closed else min(delay, 300_000)))
        for candle, delay in arriving
    ]
    signals = feed(runner(only=["volume_spike"]), late)
    assert spiked(signals) == {hour for kind, hour, *_ in obvious_signals(sent) if kind == "SPIKE"}
    assert len({signal.key for signal in signals}) == len(signals)


@given(markets, st.sampled_from([0.25, 0.5, 2.0, 1024.0]))
def test_scale(hours: list[Hour], factor: float) -> None:
    sent = messages(hours)
    scaled = [replace(candle, volume_quote=candle.volume_quote * factor) for candle in sent]
    rule = SpikeRule(floor=FLOOR * factor)
    one = feed(runner(only=["volume_spike"]), sent)
    other = feed(runner(only=["volume_spike"], rule=rule), scaled)
    assert in_full(one) == in_full(other)


@given(st.floats(1e-3, 1e12), st.integers(2, 60))
def test_constant_volume_is_no_spike(volume: float, count: int) -> None:
    sent = messages([Hour(((1_800_000, volume / 2, 9.0),), volume, 11.0)] * count)
    assert feed(runner(only=["volume_spike"]), sent) == []


@settings(max_examples=300)
@given(markets, st.data())
def test_a_restart_anywhere_changes_nothing(hours: list[Hour], data: st.DataObject) -> None:
    sent = messages(hours)
    expected = in_full(feed(runner(only=["volume_spike"]), sent))
    stops = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=4)))
    stored: list[Signal] = []
    for begin, end in zip([0, *stops], [*stops, len(sent)], strict=True):
        it = runner(only=["volume_spike"])
        it.resume(stored)
        stored += it.fill(A, [candle for candle in sent[:begin] if candle.closed])
        stored += feed(it, sent[begin:end])
    assert in_full(stored) == expected


@given(markets, st.lists(st.integers(-(10**10), 10**10), max_size=20), st.data())
def test_a_clock_that_jumps_tells_nothing_twice_and_invents_nothing(
    hours: list[Hour], jumps: list[int], data: st.DataObject
) -> None:
    sent = messages(hours)
    it = runner(only=["volume_spike"])
    it.book.set_streamed_candles([A])
    signals: list[Signal] = []
    steps = {data.draw(st.integers(0, len(sent))): T0 + jump for jump in jumps}
    for number, candle in enumerate(sent):
        if number in steps:
            signals += it.step(steps[number])
        signals += it.take(candle)
    assert len({signal.key for signal in signals}) == len(signals)
    assert sorted((s.kind, s.period_ms) for s in signals) == sorted(
        (kind, hour) for kind, hour, *_ in obvious_signals(sent)
    )


@pytest.mark.parametrize("symbol_count", [3])
def test_contracts_do_not_see_each_other(symbol_count: int) -> None:
    """The same candles under several names, one after the other in time, give the same signals for each."""
    hours = [close for _, candles in [("", messages([Hour((), 1e6, 9.0), Hour((), 9e6, 11.0)]))] for close in candles]
    names = [f"C{number}USDT" for number in range(symbol_count)]
    it = runner(*names, only=["volume_spike"])
    mixed = [replace(candle, symbol=name) for candle in hours for name in names]
    assert sorted((signal.symbol, *told([signal])[0]) for signal in feed(it, mixed)) == [
        (name, "SPIKE", 1) for name in names
    ]
