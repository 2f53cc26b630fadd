"""What followed one signal, to the minute, as far as its minutes and hours are known."""

from __future__ import annotations

import pytest

from flashcur.domain.signals.aftermath import (
    Aftermath,
    Hour,
    hours_of,
    known_from_ms,
    measure,
    measure_by_hours,
    minutes_wanted,
)
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from tests.support.signals import MINUTE_MS, NOON_MS

PRICE = 100.0
NEW = Aftermath(PRICE)


def price_at(minute: int) -> float:
    """At the end of a minute after noon: a cent more each minute."""
    return PRICE + 0.01 * minute


def minutes(first_ms: int, end_ms: int) -> dict[int, Candle]:
    """Each reaches 0.5 above and 0.3 below its close."""
    return {at_ms: minute(at_ms) for at_ms in range(first_ms, end_ms, MINUTE_MS)}


def minute(at_ms: int) -> Candle:
    end = (at_ms - NOON_MS) // MINUTE_MS + 1
    close, end_ms = price_at(end), at_ms + MINUTE_MS
    return Candle("BTCUSDT", at_ms, price_at(end - 1), close + 0.5, close - 0.3, close, 1e6, True, end_ms, end_ms)


def hours(count: int = 26, first: int = 0) -> dict[int, Hour]:
    """The hours after noon that these minutes make."""
    return {
        NOON_MS + n * HOUR_MS: Hour(price_at(60 * n + 60) + 0.5, price_at(60 * n + 1) - 0.3, price_at(60 * n + 60))
        for n in range(first, first + count)
    }


def follow(at_ms: int, hours: dict[int, Hour], known: Aftermath = NEW, *, until_h: int = 24) -> Aftermath:
    """As the job does: at each horizon what is wanted is asked for and measured."""
    for horizon_h in (each for each in HORIZONS_H if each <= until_h):
        wanted = minutes_wanted(at_ms, known, horizon_h, hours)
        if wanted is not None:
            assert wanted[0] % MINUTE_MS == wanted[1] % MINUTE_MS == 0
            assert 0 < wanted[1] - wanted[0] <= HOUR_MS
            # All of it has passed by then.
            assert wanted[1] <= at_ms + horizon_h * HOUR_MS
        known = measure(at_ms, known, minutes(*(wanted or (0, 0))), hours)
    return known


@pytest.mark.parametrize("seconds", [0.0, 17.4, 59.999])
@pytest.mark.parametrize("at", [0, 1, 10, 29, 30, 31, 58, 59])
def test_prices_are_those_of_the_minute_whatever_the_signal_s_place_in_its_hour(at: int, seconds: float) -> None:
    at_ms = NOON_MS + at * MINUTE_MS + int(seconds * 1000)
    after = follow(at_ms, hours())
    assert after.moves == {h: pytest.approx(price_at(at + 60 * h) / PRICE - 1) for h in HORIZONS_H}
    # From the first minute after the signal to the last by 24 h later, and not one more.
    first = at + 1 + (seconds > 0)
    assert after.lowest == pytest.approx(min(0.0, (price_at(first) - 0.3) / PRICE - 1))
    assert after.highest == pytest.approx((price_at(at + 1440) + 0.5) / PRICE - 1)
    assert after.complete
    assert not after.by_hours


@pytest.mark.parametrize("at", [10, 29, 31, 59])
def test_what_was_in_the_signal_s_hours_before_and_after_its_day_is_none_of_it(at: int) -> None:
    around = hours()
    # The signal's own hour fell to 50 before it, and the hour in which it all ends rose to 300 afterwards.
    around[NOON_MS] = Hour(around[NOON_MS].high, 50.0, around[NOON_MS].close)
    last_ms = NOON_MS + 24 * HOUR_MS
    around[last_ms] = Hour(300.0, around[last_ms].low, around[last_ms].close)
    after = follow(NOON_MS + at * MINUTE_MS, around)
    assert after.lowest == pytest.approx(min(0.0, (price_at(at + 1) - 0.3) / PRICE - 1))
    assert after.highest == pytest.approx((price_at(at + 1440) + 0.5) / PRICE - 1)


def test_a_signal_at_the_full_hour_needs_no_minutes() -> None:
    assert [minutes_wanted(NOON_MS, NEW, horizon_h, hours()) for horizon_h in HORIZONS_H] == [None] * 3
    # Until its hour is there: then the minutes say the same.
    assert minutes_wanted(NOON_MS, NEW, 1, {}) == (NOON_MS, NOON_MS + HOUR_MS)
    assert minutes_wanted(NOON_MS, NEW, 24, {}) == (known_from_ms(NOON_MS, 24) - 2 * MINUTE_MS, NOON_MS + 24 * HOUR_MS)
    assert list(hours_of(NOON_MS)) == [NOON_MS + n * HOUR_MS for n in range(24)]
    assert list(hours_of(NOON_MS + 1)) == [NOON_MS + n * HOUR_MS for n in range(1, 24)]


def test_it_is_filled_in_step_by_step_and_asked_for_once() -> None:
    at_ms = NOON_MS + 29 * MINUTE_MS
    first = follow(at_ms, {}, until_h=1)
    assert (first.moves[4], first.highest, first.complete) == (None, None, False)
    assert first.first_highest == pytest.approx((price_at(89) + 0.5) / PRICE - 1)
    assert minutes_wanted(at_ms, first, 1, {}) is None
    assert minutes_wanted(at_ms, first, 4, {}) == (at_ms + 4 * HOUR_MS - MINUTE_MS, at_ms + 4 * HOUR_MS)
    part = follow(at_ms, hours(12), first)
    assert part.moves[24] is not None
    assert part.highest is None
    # The last minutes are of no use before all hours are there.
    assert minutes_wanted(at_ms, part, 24, hours(12)) is None
    assert minutes_wanted(at_ms, part, 24, hours(24)) == (NOON_MS + 24 * HOUR_MS, at_ms + 24 * HOUR_MS)
    assert follow(at_ms, hours(), part).complete


def test_what_is_not_known_is_none_and_never_guessed() -> None:
    at_ms = NOON_MS + 10 * MINUTE_MS
    gap = minutes(at_ms, at_ms + HOUR_MS)
    del gap[at_ms + 20 * MINUTE_MS]
    first = measure(at_ms, NEW, gap, hours())
    # The price is there, but the largest move may have been in the minute that is missing.
    assert first.moves[1] == pytest.approx(price_at(70) / PRICE - 1)
    assert (first.first_highest, first.highest) == (None, None)
    assert follow(at_ms, hours(), first).complete
    # An hour in the middle is missing.
    some = hours()
    del some[NOON_MS + 7 * HOUR_MS]
    after = follow(at_ms, some)
    assert None not in after.moves.values()
    assert after.lowest is None


def test_without_a_price_the_first_after_the_signal_is_what_moves_are_measured_from() -> None:
    at_ms = NOON_MS + 30 * MINUTE_MS + 1
    unpriced = Aftermath(None)
    assert minutes_wanted(at_ms, unpriced, 4, hours()) is None
    after = follow(at_ms, hours(), unpriced)
    assert after.price == price_at(31)
    assert after.moves[1] == pytest.approx(price_at(90) / price_at(31) - 1)
    assert measure(at_ms, unpriced, {}, hours()) == unpriced


def test_a_move_one_way_only_is_none_the_other() -> None:
    assert follow(NOON_MS + MINUTE_MS, hours(), Aftermath(50.0)).lowest == 0.0
    assert follow(NOON_MS + MINUTE_MS, hours(), Aftermath(500.0)).highest == 0.0


def test_hours_stand_in_for_minutes_and_say_so() -> None:
    at_ms = NOON_MS + 31 * MINUTE_MS
    known = follow(at_ms, {}, until_h=1)
    after = measure_by_hours(at_ms, measure_by_hours(at_ms, known, 1, hours()), 4, hours())
    # What is known to the minute stays; the rest is that of the full hour nearest to its end, without largest moves.
    assert after.moves == {1: known.moves[1], 4: pytest.approx(price_at(300) / PRICE - 1), 24: None}
    assert after.by_hours
    assert after.highest is None
    assert not known.by_hours
    assert measure_by_hours(at_ms, known, 4, {}) == known
