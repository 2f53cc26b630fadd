"""What rules on a contract would be judged by, of each window, whether a rule looks at it or not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.atoms import FUNDING, PRICE, RATIO, SOURCES, VOLUME, atoms_of, interest_source, move_source
from flashcur.domain.rules.condition import (
    INTEREST_WINDOWS_S,
    MOVE_WINDOWS_S,
    Condition,
    FundingLevel,
    InterestMove,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.measured import SELDOM, UNMEASURED, Measured
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Tick, Ticker

T0 = 1_795_420_800_000
"""A full hour."""
A = "AUSDT"
MINUTE_MS = 60_000
LIQUID, SMALL = 1e8, 1e5
CONDITIONS: tuple[Condition, ...] = (
    PriceCross("above", 1e6),
    *(PriceMove("up", 99.0, window_s) for window_s in MOVE_WINDOWS_S),
    VolumeRatio(99.0, 1e9),
    FundingLevel("above", 9.0),
    *(InterestMove("up", 99.0, window_s) for window_s in INTEREST_WINDOWS_S),
)


class Market:
    """One contract. All ticks arrive `skew_ms` late by our clock, which is that far ahead of the exchange's."""

    def __init__(self, *conditions: Condition, skew_ms: int = 0, volume: float = LIQUID) -> None:
        self.book = MarketBook()
        self.book.set_instruments([Instrument(A, "A", 0.01, 2)])
        self.book.set_streamed_candles([A])
        self.rules = Evaluator()
        self.rules.set_contracts(frozenset([A]))
        self.rules.put(
            Rule(
                str(number),
                "x",
                1,
                Definition((each,), Scope("symbol", A)),
                frozenset([A]),
                open_interest=True,
                since_ms=0,
            )
            for number, each in enumerate(conditions)
        )
        self.skew_ms = skew_ms
        self.volume = volume
        self.at_ms = self.next_ms = T0

    @property
    def now_ms(self) -> int:
        """By our clock."""
        return self.at_ms - self.skew_ms

    def take(self, *ticks: Tick) -> None:
        for tick in ticks:
            if self.book.apply(tick):
                row = self.book.row(A)
                assert row is not None
                self.rules.on_tick(row, tick)

    def price(self, at_ms: int) -> float:
        """It rises by 1 USDT a minute."""
        return 100.0 + (at_ms - T0) / MINUTE_MS

    def until(self, end_ms: int, *, interest_s: int = 60) -> None:
        """Prices each ten seconds, and open interest, as the exchange tells them up to a moment."""
        for at_ms in range(self.next_ms, end_ms + 1, 10_000):
            self.at_ms = at_ms
            self.take(Ticker(A, self.price(at_ms), 1.0, self.volume, at_ms, self.now_ms, self.skew_ms))
            if (at_ms - T0) % (interest_s * 1000) == 0:
                self.take(OpenInterest(A, self.price(at_ms) * 10, at_ms, self.now_ms, self.skew_ms))
            self.next_ms = at_ms + 10_000
        self.at_ms = end_ms

    @property
    def measured(self) -> Measured:
        row = self.book.row(A)
        assert row is not None
        return self.rules.measured(row, self.now_ms)

    def readings(self) -> Iterable[float | None]:
        """What the conditions of a rule are judged by."""
        row = self.book.row(A)
        assert row is not None
        return [each.value for each in self.rules.readings(Definition(CONDITIONS, Scope("all")), row, self.now_ms)]


def filled(*conditions: Condition) -> Market:
    market = Market(*conditions)
    market.take(Candle(A, T0 - HOUR_MS, 1, 1, 1, 1, 1e6, True, T0, T0))
    market.until(T0 + 5 * HOUR_MS)
    at_ms = market.at_ms
    market.take(
        Candle(A, at_ms - HOUR_MS, 1, 1, 1, 1, 2e6, True, at_ms, at_ms),
        Candle(A, at_ms, 1, 1, 1, 1, 3e6, False, at_ms + 1, at_ms + 1),
        Funding(A, 1.0, 0.0007, at_ms + HOUR_MS, at_ms, at_ms),
    )
    return market


@pytest.mark.parametrize("watched", [False, True])
def test_it_is_what_rules_are_judged_by(watched: bool) -> None:
    market = filled(*CONDITIONS if watched else ())
    seen = market.measured
    assert [seen.values[atoms_of(each)[0].source] for each in CONDITIONS] == market.readings()
    assert seen.values[PRICE] == 400.0
    assert (seen.values[RATIO], seen.values[VOLUME], seen.values[FUNDING]) == (1.5, 3e6, 0.07)
    for window_s in (60, 300, 900, 1_800, 3_600, 14_400):
        base = 400.0 - window_s / 60
        # A window of more than an hour begins with its minute.
        near = pytest.approx((400 - base) * 100 / base, rel=0.01 if window_s > 3_600 else 1e-9)
        assert seen.values[move_source(window_s)] == near
    for window_s in INTEREST_WINDOWS_S:
        base = 400.0 - window_s / 60
        assert seen.values[interest_source(window_s)] == pytest.approx((400 - base) * 100 / base, rel=0.05)
    # Half a day of prices was not seen yet.
    assert seen.known_ms == {move_source(each): T0 + 1000 * each for each in (43_200, 86_400)}


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("window_s", MOVE_WINDOWS_S)
def test_a_move_is_known_when_it_was_said_to_be(window_s: int, watched: bool) -> None:
    market = Market(*[PriceMove("up", 99.0, window_s)] * watched, skew_ms=250)
    source = move_source(window_s)
    market.until(T0 + 20_000)
    (by_ms,) = {market.measured.known_ms[source]}
    assert by_ms == T0 + 1000 * window_s - 250
    market.until(T0 + 1000 * window_s - 60_000)
    assert market.measured.values[source] is None
    assert market.measured.known_ms[source] == by_ms
    market.until(T0 + 1000 * window_s)
    assert market.measured.values[source] == pytest.approx(window_s / 60, rel=0.02)
    assert source not in market.measured.known_ms


@pytest.mark.parametrize("window_s", MOVE_WINDOWS_S)
def test_after_a_silence_a_window_waits_until_it_lies_behind_it(window_s: int) -> None:
    market = Market()
    market.until(T0 + 1000 * window_s)
    market.next_ms += 120_000
    resumed_ms = market.next_ms
    market.until(resumed_ms + 10_000)
    seen, source = market.measured, move_source(window_s)
    assert seen.values[source] is None
    assert seen.known_ms[source] == resumed_ms + 1000 * window_s


def test_past_prices_make_a_window_known_sooner() -> None:
    market = Market()
    market.until(T0 + 20_000)
    market.rules.fill_prices(A, [(T0 + minute * MINUTE_MS, 50.0) for minute in range(-250, 1)])
    seen = market.measured
    known = {window_s: seen.values[move_source(window_s)] is not None for window_s in MOVE_WINDOWS_S}
    assert [window_s for window_s in MOVE_WINDOWS_S if known[window_s]] == [300, 900, 1_800, 3_600, 14_400]
    # Past prices lie too far apart for a minute; 250 minutes are a part of the longer ones.
    assert seen.known_ms[move_source(60)] == T0 + 60_000
    assert seen.known_ms[move_source(43_200)] == T0 - 250 * MINUTE_MS + 43_200_000


@pytest.mark.parametrize("window_s", INTEREST_WINDOWS_S)
def test_a_change_of_open_interest_is_known_when_it_was_said_to_be(window_s: int) -> None:
    market = Market()
    source = interest_source(window_s)
    market.until(T0 + 10_000)
    (by_ms,) = {market.measured.known_ms[source]}
    assert by_ms == T0 + 1000 * window_s
    market.until(by_ms - 1000 * window_s // 5)
    assert market.measured.values[source] is None
    assert market.measured.known_ms[source] == by_ms
    market.until(by_ms)
    assert market.measured.values[source] is not None


def test_past_open_interest_makes_a_window_known_sooner() -> None:
    market = Market()
    market.until(T0)
    market.rules.fill_interest(A, [(T0 - number * 300_000, 500.0) for number in range(50, 0, -1)])
    assert market.measured.values[interest_source(14_400)] == 100.0


def test_open_interest_that_comes_too_seldom_says_so() -> None:
    market = Market(volume=SMALL)
    market.until(T0 + 9 * 400_000, interest_s=400)
    seen = market.measured
    known = [seen.values[interest_source(window_s)] is not None for window_s in INTEREST_WINDOWS_S]
    assert known == [False, False, True, False]
    assert [seen.known_ms.get(interest_source(each)) for each in (300, 900)] == [SELDOM, SELDOM]
    assert seen.known_ms[interest_source(14_400)] == T0 + 14_400_000
    # A stream tells it each minute, whatever is traded.
    market = Market(volume=SMALL)
    market.until(T0 + 120_000)
    assert market.measured.known_ms[interest_source(300)] == T0 + 300_000


def test_without_the_hour_before_a_ratio_waits_for_the_next() -> None:
    market = Market()
    market.take(Candle(A, T0, 1, 1, 1, 1, 3e6, False, T0 + 1_000, T0 + 1_000))
    assert (market.measured.values[RATIO], market.measured.values[VOLUME]) == (None, 3e6)
    assert market.measured.known_ms[RATIO] == T0 + HOUR_MS


def test_what_is_too_old_is_not_known_and_nobody_can_say_until_when() -> None:
    market = filled()
    market.at_ms += HOUR_MS
    assert market.measured == Measured([None] * SOURCES, {})


def test_a_contract_of_which_nothing_was_told_measures_nothing() -> None:
    assert Market().measured == UNMEASURED
