"""The ledger of silence: what was seen and what was not adds up to the day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.silence import CAUSES, DAY_MS, Before, Cause, Day, Sight, SilenceLedger
from flashcur.domain.ticks import Candle, Funding, OpenInterest, Tick, Ticker
from tests.domain.signals.market import T0, A, B, at, close, feed, funding, interest, past_hours, runner, ticker, update

MIDNIGHT = T0 // DAY_MS * DAY_MS
S = 1_000


def fresh(now_ms: int, symbol: str = A) -> Sight:
    return Sight(symbol, now_ms - 200, stale=False)


def day(ledger: SilenceLedger, symbol: str = A, day_ms: int = MIDNIGHT) -> Day:
    (found,) = [each for each in ledger.days() if (each.symbol, each.day_ms) == (symbol, day_ms)]
    return found


def watching(*symbols: str, cause: Cause | None = "engine_away") -> SilenceLedger:
    ledger = SilenceLedger()
    ledger.begin(symbols or (A,), T0, cause)
    return ledger


def seconds(ledger: SilenceLedger, start: int, stop: int, symbols: Iterable[str] = (A,)) -> None:
    for second in range(start, stop):
        now_ms = T0 + second * S
        ledger.step(now_ms, [fresh(now_ms, symbol) for symbol in symbols])


def test_what_was_before_the_engine_began_was_not_seen() -> None:
    ledger = watching()
    seconds(ledger, 1, 101)
    assert (day(ledger).engine_away, day(ledger).seen) == (T0 - MIDNIGHT, 100 * S)


def test_a_contract_that_was_listed_had_no_time_before() -> None:
    ledger = watching(cause=None)
    seconds(ledger, 1, 101)
    assert (day(ledger).engine_away, day(ledger).seen) == (0, 100 * S)


@pytest.mark.parametrize("allowance_s", [5, 10, 60])
def test_a_feed_cut_for_ninety_seconds_leaves_ninety(allowance_s: int) -> None:
    """Whatever the allowance: blind is the time since the last value, not since it was noticed."""
    ledger = watching(cause=None)
    seconds(ledger, 1, 100)
    last_ms = T0 + 99 * S
    for second in range(100, 190):
        now_ms = T0 + second * S
        ledger.step(now_ms, [Sight(A, last_ms, stale=now_ms - last_ms > allowance_s * S)])
    seconds(ledger, 190, 300)
    assert abs(day(ledger).stale - 90 * S) <= S
    assert day(ledger).seen + day(ledger).stale == 299 * S


def test_between_two_steps_it_is_known_when_it_went_blind() -> None:
    ledger = watching(cause=None)
    ledger.step(T0 + 2 * S, [Sight(A, T0 + 2 * S, stale=False)])
    ledger.step(T0 + 11 * S, [Sight(A, T0 + 5 * S, stale=True)])
    assert (day(ledger).seen, day(ledger).stale) == (5 * S, 6 * S)


def test_a_gap_within_the_allowance_was_seen() -> None:
    ledger = watching(cause=None)
    for second in range(1, 60):
        ledger.step(T0 + second * S, [Sight(A, T0 + second // 4 * 4 * S, stale=False)])
    assert (day(ledger).seen, day(ledger).blind) == (59 * S, 0)


def test_no_baseline_is_a_cause_of_its_own() -> None:
    ledger = watching(cause=None)
    for second in range(1, 31):
        now_ms = T0 + second * S
        ledger.step(now_ms, [Sight(A, now_ms, stale=False, ready=second > 20)])
    assert (day(ledger).no_baseline, day(ledger).seen) == (20 * S, 10 * S)


def test_an_engine_that_slept_was_away() -> None:
    ledger = watching(cause=None)
    seconds(ledger, 1, 11)
    seconds(ledger, 300, 311)
    assert (day(ledger).engine_away, day(ledger).seen) == (290 * S, 20 * S)


def test_another_exchange_served() -> None:
    ledger = watching(cause=None)
    seconds(ledger, 1, 11)
    ledger.blind(T0 + 500 * S, "switch")
    seconds(ledger, 501, 511)
    assert (day(ledger).switch, day(ledger).engine_away) == (490 * S + 200, 0)
    assert day(ledger).seen + day(ledger).switch == 510 * S


def test_a_restart_goes_on_with_what_was_stored() -> None:
    ledger = watching(cause=None)
    seconds(ledger, 1, 11)
    stored = ledger.days()
    again = SilenceLedger()
    again.restore(stored, T0 + 10 * S, T0 + 40 * S)
    again.begin([A, B], T0 + 40 * S)
    seconds(again, 41, 51, (A, B))
    assert (day(again).seen, day(again).engine_away) == (20 * S, 30 * S)
    assert (day(again, B).seen, day(again, B).blind) == (10 * S, 0)


def test_midnight_parts_the_days() -> None:
    ledger = watching(cause=None)
    seconds(ledger, 1, 11)
    ledger.blind(MIDNIGHT + DAY_MS + 7 * S, "switch")
    assert day(ledger, day_ms=MIDNIGHT + DAY_MS).switch == 7 * S
    assert day(ledger).seen + day(ledger).switch == MIDNIGHT + DAY_MS - T0
    ledger.prune(MIDNIGHT + DAY_MS)
    assert [each.day_ms for each in ledger.days()] == [MIDNIGHT + DAY_MS]


def test_what_left_has_no_more_time() -> None:
    ledger = watching(A, B, cause=None)
    seconds(ledger, 1, 11, (A, B))
    ledger.leave([B], T0 + 11 * S)
    seconds(ledger, 11, 21, (A, B))
    assert (day(ledger).seen, day(ledger, B).seen) == (20 * S, 11 * S)


@given(
    st.lists(
        st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans()),
        max_size=40,
    ),
    st.sampled_from([None, "not_begun", *CAUSES]),
)
def test_it_adds_up_whatever_the_clock_does(
    steps: list[tuple[int, int, bool, bool, bool]], cause: Cause | Before | None
) -> None:
    ledger = SilenceLedger()
    ledger.begin([A], T0, cause)
    began = MIDNIGHT if cause else T0
    now_ms = latest = T0
    for forward, age, stale, ready, switch in steps:
        now_ms += forward
        latest = max(latest, now_ms)
        if switch:
            ledger.blind(now_ms, "switch")
        else:
            ledger.step(now_ms, [Sight(A, now_ms - age, stale, ready)])
        days = ledger.days()
        assert sum(each.seen + each.blind + each.not_begun for each in days) == latest - began
        assert all(each.seen + each.blind <= DAY_MS for each in days)
        assert all(min(each.seen, each.stale, each.switch, each.no_baseline, each.engine_away) >= 0 for each in days)


def test_what_a_runner_sees_of_its_contracts() -> None:
    it = runner(A)
    assert [(s.stale, s.ready) for s in it.sights(T0)] == [(True, False)]
    it.fill(A, past_hours([1e6] * 24))
    feed(it, [close(-1, 1e6), update(0, 1, 1e5), ticker(at(0) + 60_000), funding(at(0) + 60_000, 0.0001)])
    now_ms = at(0) + 62_000
    # Liquid, and its open interest is not known yet.
    assert [(s.confirmed_ms, s.stale) for s in it.sights(now_ms)] == [(0, True)]
    feed(it, [interest(at(0) + 50_000, 1e6)])
    # It is asked for once a minute, so what it says holds that long; the price comes all the time.
    assert [(s.confirmed_ms, s.stale, s.ready) for s in it.sights(now_ms)] == [(at(0) + 60_000, False, True)]
    # The price is too old after 5 s; that is since when nothing is seen.
    assert [(s.confirmed_ms, s.stale) for s in it.sights(now_ms + 4_000)] == [(at(0) + 60_000, True)]


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_leaves_its_length_whenever_each_value_was_asked_for_last(seed: int) -> None:
    """Prices and funding each second, streamed candles at 4 Hz, the rest asked for at its cadence and a phase of its
    own; whoever asks during the cut is refused, and asks again after it when it is due or 20 s later."""
    chance = Random(seed)
    large = [f"L{number}USDT" for number in range(12)]
    small = [f"S{number}USDT" for number in range(8)]
    streamed = large[:8]
    it = runner(*large, *small)
    it.book.set_streamed_candles(streamed)
    for symbol in (*large, *small):
        # Two of them have no baseline yet: a cut is a cut for these, too.
        if symbol not in (large[0], small[0]):
            it.fill(symbol, past_hours([1e6] * 24, symbol))
    begin, cut, end = 900 * S, 1_500 * S + chance.randrange(S), 1_590 * S + chance.randrange(S)
    due: dict[tuple[str, str], int] = {}
    for symbol in large:
        due["interest", symbol] = begin - chance.randrange(60 * S)
    for symbol in (*large[8:], *small):
        due["candle", symbol] = begin - chance.randrange(300 * S)
    cadences = {"interest": 60 * S, "candle": 300 * S}
    ledger = SilenceLedger()
    for now in range(begin - 300 * S, 2_400 * S, S // 4):
        moment = T0 + now
        served = not cut <= now < end
        for (kind, symbol), at_ms in due.items():
            if now < at_ms:
                continue
            if not served:
                due[kind, symbol] = now + 20 * S
                continue
            due[kind, symbol] = now + cadences[kind]
            if kind == "interest":
                it.take(interest(moment, 1e6, symbol), alone=True)
            else:
                it.take(update(0, now / 60_000, 1e5, symbol=symbol), alone=True)
        if served:
            for symbol in streamed:
                it.take(update(0, now / 60_000, 1e5, symbol=symbol))
        if now % S:
            continue
        if served:
            for symbol in (*large, *small):
                it.take(ticker(moment, volume=1e7 if symbol in large else 1e5, symbol=symbol))
                it.take(funding(moment, 0.0001, symbol=symbol))
        if now == begin:
            ledger.begin((*large, *small), moment)
        if now >= begin:
            ledger.step(moment, it.sights(moment))
    for each in ledger.days():
        assert abs(each.stale - (end - cut)) <= S, (each, end - cut)
        assert each.seen + each.blind == 2_399 * S - begin
        assert (each.no_baseline > 0) is (each.symbol in (large[0], small[0]))


def test_what_is_asked_for_and_stays_away_is_a_gap_of_its_own() -> None:
    it = runner(A)
    it.fill(A, past_hours([1e6] * 24))
    ledger = SilenceLedger()
    ledger.begin([A], T0)
    for second in range(1, 1_200):
        now_ms = T0 + second * S
        feed(it, [update(0, second / 60, 1e5), ticker(now_ms), funding(now_ms, 0.0001)])
        if second <= 100 or second >= 700:
            it.take(interest(now_ms, 1e6))
        ledger.step(now_ms, it.sights(now_ms))
    # Ten minutes without: it was due a minute after it began, and told of the minute before it ended.
    assert abs(day(ledger).stale - 480 * S) <= S
    assert day(ledger).seen + day(ledger).stale == 1_199 * S


def of_everything(at_ms: int, late_ms: int, ahead_ms: int = 0) -> list[Tick]:
    """All that the detectors look at, as of a moment, by a clock of ours that is ahead of the exchange's."""
    ticks = (ticker(at_ms), funding(at_ms, 0.0001), update(0, (at_ms - T0) / 60_000, 1e5), interest(at_ms, 1e6))
    return [replace(tick, seen_ms=at_ms + late_ms + ahead_ms, skew_ms=-ahead_ms) for tick in ticks]


@pytest.mark.parametrize("ahead_ms", [0, 3_300_000, -3_300_000])
def test_what_comes_too_late_is_not_seen(ahead_ms: int) -> None:
    """A minute of messages that are 7 min late: the detectors drop them, however steadily they come."""
    it = runner(A)
    it.book.set_streamed_candles([A])
    it.fill(A, past_hours([1e6] * 24))
    ledger = SilenceLedger()
    ledger.begin([A], T0 + ahead_ms)
    for second in range(1, 600):
        now_ms = T0 + second * S
        late_ms = 420 * S if 480 <= second < 540 else 200
        feed(it, of_everything(now_ms - late_ms, late_ms, ahead_ms))
        ledger.step(now_ms + ahead_ms, it.sights(now_ms + ahead_ms))
    (day,) = ledger.days()
    assert abs(day.stale - 60 * S) <= S
    assert day.seen + day.blind == 599 * S


@pytest.mark.parametrize("kind", [Ticker, Funding, Candle, OpenInterest])
def test_one_kind_that_comes_too_late_is_enough(kind: type[Tick]) -> None:
    it = runner(A)
    it.book.set_streamed_candles([A])
    now_ms = T0 + 600 * S
    late, fresh = of_everything(now_ms - 420 * S, 420 * S), of_everything(now_ms, 200)
    feed(it, [each for each in fresh if type(each) is not kind])
    feed(it, [each for each in late if type(each) is kind])
    # Open interest is asked for: it stands for the minute after it.
    confirmed_ms = now_ms - 420 * S + (60 * S if kind is OpenInterest else 0)
    assert [(s.confirmed_ms, s.stale) for s in it.sights(now_ms + 200)] == [(confirmed_ms, True)]
    feed(it, [each for each in of_everything(now_ms + S, 200) if type(each) is kind])
    assert not it.sights(now_ms + 2 * S)[0].stale


def test_one_old_price_among_new_ones_is_a_contract_that_rests() -> None:
    """REST answers carry the time of the last trade."""
    it = runner(A, B)
    now_ms = T0 + 600 * S
    feed(it, [*of_everything(now_ms, 200), ticker(now_ms, symbol=B)])
    feed(it, [replace(each, symbol=B) for each in of_everything(now_ms, 200)[1:]])
    it.take(replace(ticker(now_ms + S - 90 * S, symbol=A), seen_ms=now_ms + S))
    assert [s.stale for s in it.sights(now_ms + S)] == [False, False]
