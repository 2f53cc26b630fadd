"""The adaptive spike: what is usual for a contract, and what is not."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.adaptive_spike import (
    FLOOR_USD,
    LEAST_RECENT_HOURS,
    RECENT_HOURS,
    SCORES,
    Baseline,
    baseline,
)
from flashcur.domain.signals.hourly_volumes import KEPT_HOURS, WEEK_HOURS, HourlyVolumes
from flashcur.domain.signals.runner import Runner
from flashcur.domain.spikes import HOUR_MS
from tests.domain.signals.market import ORIGIN, T0, A, at, close, feed, instrument, past_hours, runner, told, update

MILLION = 1e6


def ready(volumes: list[float] | None = None) -> Runner:
    """Knows past hours: by default twenty between 9 and 11 million."""
    it = runner(only=["adaptive_spike"])
    it.fill(A, past_hours([(9 + hour % 3) * MILLION for hour in range(20)] if volumes is None else volumes))
    return it


def test_an_hour_far_above_the_usual_is_given_with_its_evidence() -> None:
    it = ready()
    assert it.take(update(0, 30, 8 * MILLION)) == ()
    (signal,) = it.take(update(0, 30.5, 20 * MILLION))
    assert (signal.kind, signal.severity, signal.direction) == ("ADAPTIVE", 1, "bullish")
    assert signal.text == "A hourly volume $20.00M (3.93× usual) — UNUSUAL VOLUME"
    value = signal.evidence.value
    assert value("recent_median") == 10 * MILLION
    assert value("spread") == pytest.approx(1.4826 * MILLION)
    # The score follows from what is told.
    volume, expected, spread = (value(name) or 0.0 for name in ("volume", "expected", "spread_so_far"))
    assert (volume - expected) / spread == pytest.approx(value("score"))
    assert (value("recent_hours"), value("season_hours")) == (20, 0)
    assert value("hour_passed") == pytest.approx(30.5 / 60 * 100)
    assert signal.evidence.line is not None
    assert signal.evidence.line < 20 * MILLION


def test_a_rise_in_severity_is_told_and_a_fall_is_not() -> None:
    it = ready()
    signals = feed(it, [update(0, 30, v * MILLION) for v in (8, 20, 21)] + [update(0, 31, 30 * MILLION)])
    assert [signal.severity for signal in signals] == [1, 2]
    assert feed(it, [update(0, 59, 31 * MILLION), close(0, 31 * MILLION)]) == []
    assert len({signal.key for signal in signals}) == 2


def test_what_comes_each_week_at_this_hour_is_usual() -> None:
    weekly = [10 * MILLION] * (4 * WEEK_HOURS)
    for week in range(4):
        weekly[week * WEEK_HOURS] = 100 * MILLION
    assert feed(ready([10 * MILLION] * (4 * WEEK_HOURS)), [close(0, 100 * MILLION)]) != []
    assert feed(ready(weekly), [close(0, 100 * MILLION)]) == []
    (signal,) = feed(ready(weekly), [close(0, 900 * MILLION)])
    assert signal.evidence.value("season_median") == 100 * MILLION


def test_an_early_burst_is_compared_with_the_share_of_the_hour() -> None:
    usual = Baseline(60 * MILLION, 6 * MILLION, 60 * MILLION, None, 20, 0)
    assert usual.score(60 * MILLION, 1.0) == 0
    assert usual.score(15 * MILLION, 0.25) == 0
    assert usual.score(30 * MILLION, 0.25) == pytest.approx(5)
    assert usual.volume_at(5, 0.25) == pytest.approx(30 * MILLION)


@given(st.floats(1e6, 1e11), st.integers(20, 700), st.integers(1, 60))
def test_constant_volume_is_not_unusual(volume: float, count: int, minute: int) -> None:
    """The MAD is 0: a tenth of the median stands in for the spread."""
    it = ready([volume] * count)
    assert feed(it, [update(0, minute, volume * minute / 60), close(0, volume)]) == []
    assert feed(it, [close(1, 1.7 * volume)]) == []
    (signal,) = feed(it, [close(2, 2.0 * volume + 1)])
    assert signal.evidence.value("spread") == pytest.approx(volume / 10)


def test_without_enough_hours_there_is_no_baseline() -> None:
    it = ready([MILLION] * (LEAST_RECENT_HOURS - 1))
    assert not it.is_ready(A, at(0))
    assert feed(it, [update(0, 30, 900 * MILLION)]) == []
    assert it.adaptive.counters.suppressed["no_baseline"] == 1
    assert it.why_not(A, at(0.5))[0].missing == "no baseline yet (11 of 12 hours)"
    assert feed(it, [close(0, MILLION)]) == []
    assert it.is_ready(A, at(1))
    assert told(feed(it, [close(1, 900 * MILLION)])) == [("ADAPTIVE", 1)]


def test_where_hardly_anything_is_traded_there_is_no_baseline() -> None:
    it = ready([0.0] * 15 + [5.0] * 5)
    assert feed(it, [close(0, 900 * MILLION)]) == []
    assert it.why_not(A, at(0.5))[0].missing.startswith("no baseline (nothing traded in most hours)")


def test_one_trade_an_hour_is_below_the_floor() -> None:
    it = ready([20.0] * 20)
    assert feed(it, [update(0, 10, 500.0), close(0, FLOOR_USD - 1)]) == []


def test_an_hour_that_is_missing_is_not_taken_for_an_empty_one() -> None:
    volumes = HourlyVolumes()
    for hour in range(-40, 0, 2):
        volumes.put(at(hour), 7.0)
    assert volumes.known(at(0), 20) == [7.0] * 10
    assert baseline(volumes, at(0)) is None


def test_after_a_restart_the_same_severity_does_not_come_again() -> None:
    before = ready()
    stored = feed(before, [update(0, 30, 20 * MILLION)])
    it = ready()
    it.resume(stored)
    assert feed(it, [update(0, 31, 20 * MILLION)]) == []
    assert [signal.severity for signal in feed(it, [update(0, 32, 90 * MILLION)])] == [3]


def test_a_late_close_is_judged_by_its_own_hour() -> None:
    it = ready()
    assert feed(it, [update(0, 59, 10 * MILLION), update(1, 1, 1.0)]) == []
    (signal,) = feed(it, [close(0, 80 * MILLION, late_ms=60_000)])
    assert (told([signal]), signal.severity) == ([("ADAPTIVE", 0)], 3)


def test_what_is_older_than_its_allowance_fires_nothing() -> None:
    it = ready()
    old = update(0, 30, 90 * MILLION)
    assert it.take(replace(old, seen_ms=old.event_ms + 600_000)) == ()
    assert it.adaptive.counters.suppressed["stale"] == 1


@given(st.integers(0, 2**32), st.sampled_from([2.0, 4.0, 1024.0]))
def test_scale(seed: int, factor: float) -> None:
    draw = random.Random(seed)
    volumes = [draw.lognormvariate(0, 1) * 1e8 for _ in range(60)]
    one, other = ready(volumes[:30]), ready([volume * factor for volume in volumes[:30]])
    for hour, volume in enumerate(volumes[30:]):
        first = [(s.severity, s.evidence.value("score")) for s in feed(one, [close(hour, volume)])]
        second = [(s.severity, s.evidence.value("score")) for s in feed(other, [close(hour, volume * factor)])]
        assert first == second


@given(st.integers(0, 2**32))
def test_baselines_of_random_hours_against_the_obvious(seed: int) -> None:
    draw = random.Random(seed)
    known = {hour: draw.uniform(1, 100) for hour in range(-KEPT_HOURS, 0) if draw.random() < 0.9}
    volumes = HourlyVolumes()
    for hour in draw.sample(sorted(known), len(known)):
        volumes.put(at(hour), known[hour])
    # What was put in any order may have been forgotten only where it is older than the ring.
    recent = [known[hour] for hour in range(-RECENT_HOURS, 0) if hour in known]
    season = [known[-week * WEEK_HOURS] for week in range(1, 5) if -week * WEEK_HOURS in known]
    found = baseline(volumes, at(0))
    if len(recent) < LEAST_RECENT_HOURS:
        assert found is None
        return
    assert found is not None
    assert found.recent_median == median(recent)
    distances = [abs(volume - median(recent)) for volume in recent]
    if len(season) >= 3:
        assert found.season_median == median(season)
        distances += [abs(volume - median(season)) for volume in season]
    assert found.level == max(found.recent_median, found.season_median or 0)
    assert found.spread == pytest.approx(max(1.4826 * median(distances), 0.1 * found.level))


def test_severities_rise() -> None:
    assert list(SCORES) == sorted(SCORES)
    assert KEPT_HOURS * HOUR_MS > 4 * WEEK_HOURS * HOUR_MS


def test_a_busy_evening_is_no_spike_while_the_night_before_it_is_still_asked_for() -> None:
    """Eight busy hours passed without an engine; the twelve that are known were quiet."""
    quiet = [1.0e6, 1.1e6, 0.9e6] * 3 + [8e6, 8.5e6, 7.5e6]
    busy = [8e6, 9e6, 7e6, 8e6, 9e6, 7.5e6, 8e6, 8.5e6]
    rush = [update(0, 6, 1.2e6), update(0, 30, 4.6e6)]

    def after_the_night() -> Runner:
        it = Runner(ORIGIN, only=["adaptive_spike"], asks_history=True)
        it.take_instruments([instrument()], T0)
        it.fill_volumes(A, [(at(hour - 20), volume) for hour, volume in enumerate(quiet)])
        return it

    it = after_the_night()
    assert feed(it, rush) == []
    assert not it.is_ready(A, at(0.5))
    assert it.adaptive.counters.suppressed["no_baseline"] == 2
    assert not it.fill_volumes(A, [(at(hour - 8), volume) for hour, volume in enumerate(busy)])
    assert it.is_ready(A, at(0.5))
    # An exchange that has no more of it: the twelve are what there is.
    it = after_the_night()
    feed(it, rush)
    assert [signal.kind for signal in it.history_asked(A, at(0))] == ["ADAPTIVE"]
    assert it.is_ready(A, at(0.5))
    assert it.history_asked(A, at(0)) == ()
