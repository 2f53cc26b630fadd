"""Visits to a region across restarts: whatever was written before a kill, the signals are those of one engine."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.book import remember_open_interest
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import DetectorName, Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import OpenInterest, Tick
from tests.domain.signals.market import (
    MINUTE_MS,
    ORIGIN,
    T0,
    A,
    B,
    at,
    feed,
    funding,
    instrument,
    interest,
    runner,
    ticker,
)

EIGHT_MS = 8 * HOUR_MS


def rates(values: Sequence[float]) -> list[Tick]:
    """A rate an hour, payments each eight hours."""
    return [funding(at(n), rate, (at(n) // EIGHT_MS + 1) * EIGHT_MS) for n, rate in enumerate(values)]


def contracts(values: Sequence[float]) -> list[Tick]:
    """A price and an open interest a minute."""
    ticks: list[Tick] = []
    for number, value in enumerate(values):
        ticks += [ticker(T0 + number * MINUTE_MS), interest(T0 + number * MINUTE_MS, value)]
    return ticks


class Engines:
    """One engine after another on the same ticks, each from what the one before it had written down when it ended."""

    def __init__(self, detector: DetectorName, ticks: Sequence[Tick], step: int = 1) -> None:
        self.detector: DetectorName = detector
        self.ticks = ticks
        self.step = step
        """Ticks that come together."""
        self.signals: list[Signal] = []
        self.episodes: dict[tuple[DetectorName, str, str], Episode] = {}
        self.at = 0
        """The tick that the next engine begins with."""

    def next(self, end: int) -> list[tuple[int, Signal | Episode]]:
        """What the next engine finds up to the tick `end`, each with its tick, in the order in which it is written."""
        it = runner(only=[self.detector])
        it.resume(self.signals, self.episodes.values())
        row = it.book.row(A)
        assert row is not None
        for tick in self.ticks[: self.at]:
            if type(tick) is OpenInterest:
                remember_open_interest(row, tick)
        found: list[tuple[int, Signal | Episode]] = []
        for number in range(self.at, end):
            found += [(number, each) for each in it.take(self.ticks[number])]
            found += [(number, each) for each in it.take_turned()]
        return found

    def write(self, found: Sequence[tuple[int, Signal | Episode]]) -> None:
        for _, each in found:
            if isinstance(each, Signal):
                self.signals.append(each)
            else:
                self.episodes[each.key] = each

    def kill_one(self, data: st.DataObject) -> None:
        """One engine runs for a while, and is killed while the last of what it found is not written."""
        first, end = self.at, data.draw(st.integers(self.at // self.step, len(self.ticks) // self.step)) * self.step
        found = self.next(end)
        kept = data.draw(st.integers(0, len(found)))
        self.write(found[:kept])
        # The next one sees what the market was when the first thing was lost, and may see again what was before it.
        lowest = found[kept - 1][0] if kept else first
        highest = found[kept][0] if kept < len(found) else end
        begin = data.draw(st.integers(lowest // self.step, highest // self.step)) * self.step
        self.at = begin

    @property
    def keys(self) -> list[str]:
        self.write(self.next(len(self.ticks)))
        return sorted(signal.key for signal in self.signals)


def uninterrupted(detector: DetectorName, ticks: Sequence[Tick]) -> list[str]:
    return sorted(signal.key for signal in feed(runner(only=[detector]), ticks))


RATE = st.sampled_from([0.0, 0.0001, 0.00025, 0.00031, 0.0011, 0.004, -0.00025, -0.0004, -0.0012])


@given(st.lists(RATE, max_size=60), st.data())
def test_kills_change_no_signal_of_funding(values: list[float], data: st.DataObject) -> None:
    ticks = rates(values)
    engines = Engines("funding", ticks)
    for _ in range(data.draw(st.integers(1, 4))):
        engines.kill_one(data)
    assert engines.keys == uninterrupted("funding", ticks)


@given(st.lists(st.sampled_from([0.93, 0.96, 0.985, 1.0, 1.0, 1.0, 1.015, 1.04, 1.08]), max_size=150), st.data())
def test_kills_change_no_signal_of_open_interest(steps: list[float], data: st.DataObject) -> None:
    values = [1e6] * 8
    for step in steps:
        values.append(values[-1] * step)
    ticks = contracts(values)
    engines = Engines("open_interest", ticks, step=2)
    for _ in range(data.draw(st.integers(1, 4))):
        engines.kill_one(data)
    assert engines.keys == uninterrupted("open_interest", ticks)


def resumed(detector: DetectorName, ticks: Sequence[Tick], cut: int) -> Engines:
    """After a restart at the tick `cut`, everything of before being written."""
    engines = Engines(detector, ticks, step=2)
    engines.write(engines.next(cut))
    engines.at = cut
    return engines


def test_a_rate_that_left_its_region_before_a_restart_is_told_when_it_is_back() -> None:
    values = [0.0004] * 3 + [0.0001] * 9 + [0.00025] * 9 + [0.0005] * 3
    for cut in (5, 14, 21):
        engines = resumed("funding", rates(values), cut)
        assert len(engines.signals) == 1
        assert len(engines.keys) == 2
    never_left = [0.0004] * 3 + [0.00025] * 18 + [0.0005] * 3
    assert len(resumed("funding", rates(never_left), 14).keys) == 1


def test_a_visit_that_was_not_told_is_known_after_a_restart() -> None:
    """It left and came back within a funding period: the next period tells nothing, restart or not."""
    engines = resumed("funding", rates([0.0004, 0.0001] + [0.0004] * 20), 10)
    assert len(engines.keys) == 1
    # In its cooldown; the region is that of a change over five minutes.
    values = [1e6] * 10 + [1.04e6, 1e6, 1e6] + [1.04e6 * 1.006**n for n in range(20)]
    expected = uninterrupted("open_interest", contracts(values))
    assert resumed("open_interest", contracts(values), 32).keys == expected


def test_a_surge_that_lasts_is_one_visit_whenever_the_restart_is() -> None:
    """Each five minutes of an hour bring 3 % or more."""
    ticks = contracts([1e6] * 10 + [1e6 * 1.0065**n for n in range(60)])
    expected = uninterrupted("open_interest", ticks)
    assert len([key for key in expected if ":5m:" in key]) == 1
    for minute in range(12, 69, 4):
        assert resumed("open_interest", ticks, 2 * minute).keys == expected


def test_an_engine_that_was_away_for_long_takes_a_surge_for_a_new_one() -> None:
    ticks = contracts([1e6] * 10 + [1.04e6] * 50 + [1.1e6])
    engines = resumed("open_interest", ticks, 24)
    assert engines.episodes["open_interest", A, "5m"].inside == 1
    engines.at = 120
    assert [key for key in engines.keys if ":5m:" in key] == [
        "binanceusdm:AUSDT:OI_SURGE:2026-11-23T08:10Z:5m:up",
        "binanceusdm:AUSDT:OI_SURGE:2026-11-23T09:00Z:5m:up",
    ]


def test_a_contract_that_is_forgotten_has_left() -> None:
    it = runner()
    feed(it, [*rates([0.0004]), *contracts([1e6] * 10 + [1.04e6])])
    it.take_turned()
    for hour in (1, 25):
        it.take_instruments([instrument(B)], at(hour))
    ended = it.take_turned()
    assert {(each.key, each.inside, each.at_ms) for each in ended} == {
        (("funding", A, ""), 0, at(25)),
        (("open_interest", A, "5m"), 0, at(25)),
    }
    assert not it.has_turned


def test_episodes_of_another_exchange_say_nothing() -> None:
    it = Runner(ORIGIN, only=["funding"])
    it.take_instruments([instrument()], T0)
    it.resume([], [Episode(type(ORIGIN)("bybit"), "funding", A, "", 3, T0)])
    assert len(feed(it, rates([0.0004]))) == 1
