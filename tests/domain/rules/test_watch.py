"""The ledger behind a rule's silence certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.condition import FundingLevel, Input, InterestMove, OnSignal, PriceCross, VolumeRatio
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.rules.watch import InputSight, WatchLedger, account, look_at, needs_of
from flashcur.domain.signals.silence import DAY_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker

NOON = 1_795_435_200_000 // DAY_MS * DAY_MS + DAY_MS // 2
HOUR = 3_600_000
A, B = "AUSDT", "BUSDT"
PRICE = PriceCross("above", 10.0)


def rule(*conditions: object, symbols: frozenset[str] | None = frozenset({A}), **other: object) -> Rule:
    scope = Scope("all") if symbols is None else Scope("symbol", min(symbols))
    made = Rule("r", "a", 1, Definition(tuple(conditions) or (PRICE,), scope), symbols, True, NOON - HOUR)  # type: ignore[arg-type]
    return replace(made, **other)  # type: ignore[arg-type]


class Market:
    """Two contracts, each message every second unless it is cut."""

    def __init__(self) -> None:
        self.book = MarketBook()
        self.book.set_instruments(Instrument(symbol, symbol[:1], 0.1, 1) for symbol in (A, B))
        self.book.set_streamed_candles([A, B])
        self.ledger = WatchLedger(NOON)
        self.now_ms = NOON
        self.cut: set[str] = set()
        for symbol in (A, B):
            self.book.apply(Candle(symbol, NOON - HOUR, 1, 1, 1, 1, 5e6, True, NOON - 1, NOON - 1))

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_ms += 1000
            now_ms = self.now_ms
            for symbol in (A, B):
                for tick in (
                    Ticker(symbol, 9.0, 0.0, 9e6, now_ms, now_ms),
                    Funding(symbol, 9.0, 0.0001, None, now_ms, now_ms),
                    Candle(symbol, NOON, 1, 1, 1, 1, 5e6, False, now_ms, now_ms),
                    OpenInterest(symbol, 10.0, now_ms, now_ms),
                ):
                    if type(tick).__name__ not in self.cut:
                        self.book.apply(tick)
            self.look()

    def look(self) -> None:
        sights: list[tuple[str, Input, InputSight]] = [
            (row.instrument.symbol, name, sight)
            for row in self.book
            for name, sight in look_at(self.book, row, self.now_ms, True)
        ]
        self.ledger.step(self.now_ms, sights)


@pytest.mark.parametrize(
    ("cut", "condition", "blind"),
    [
        ("Ticker", PRICE, 90_000),
        ("Ticker", FundingLevel("above", 0.1), 0),
        ("Ticker", VolumeRatio(2, 0), 0),
        ("Ticker", OnSignal("volume_spike"), 90_000),
        ("Funding", PRICE, 0),
        ("Funding", FundingLevel("above", 0.1), 90_000),
        ("Candle", VolumeRatio(2, 0), 90_000),
        ("Candle", PRICE, 0),
    ],
)
def test_ninety_seconds_without_an_input_blind_exactly_the_rules_that_need_it(
    cut: str, condition: object, blind: int
) -> None:
    """Complaint 7 (part): what is not known counts as blind seconds."""
    market = Market()
    market.run(60)
    market.cut = {cut}
    market.run(90)
    market.cut = set()
    market.run(60)
    for symbols in (frozenset({A}), frozenset({A, B}), None):
        (part,) = account(market.ledger, rule(condition, symbols=symbols), NOON, market.now_ms)
        assert sum(part.blind.values()) == pytest.approx(blind, abs=1000)
        assert part.watched + part.idle + sum(part.blind.values()) == 210_000
        assert part.idle == 0
        assert part.blind.keys() <= {"stale"}


def test_what_is_undecided_is_not_accounted_for_yet() -> None:
    market = Market()
    market.run(10)
    market.cut = {"Ticker"}
    market.run(3)
    needs = needs_of((PRICE,))
    # Three seconds may be nothing.
    assert market.ledger.decided_ms(frozenset({A}), needs) == NOON + 10_000
    assert market.ledger.decided_ms(None, needs_of((FundingLevel("above", 1.0),))) == market.now_ms
    market.run(3)
    assert market.ledger.decided_ms(frozenset({A}), needs) == market.now_ms
    assert market.ledger.blind_between(frozenset({A}), needs, NOON, market.now_ms) == {"stale": 6_000}


def test_a_moment_that_several_things_hide_counts_once() -> None:
    ledger = WatchLedger(NOON)
    fine, stale = InputSight(NOON + 60_000, None), InputSight(NOON, "stale")
    ledger.step(NOON, [(A, "price", InputSight(NOON, None)), (A, "candle", InputSight(NOON, None))])
    ledger.step(NOON + 9_000, [(A, "price", stale), (A, "candle", stale)])
    ledger.blind(NOON + 3_000, NOON + 20_000, "switch")
    ledger.step(NOON + 18_000, [(A, "price", fine), (A, "candle", fine)])
    needs = needs_of((PRICE, VolumeRatio(2, 0)))
    assert ledger.blind_between(frozenset({A}), needs, NOON, NOON + 60_000) == {"stale": 9_000, "switch": 11_000}
    assert ledger.blind_between(frozenset({A}), needs, NOON + 10_000, NOON + 12_000) == {"switch": 2_000}
    ledger.forget(NOON + 19_000)
    assert ledger.blind_between(frozenset({A}), needs, NOON, NOON + 60_000) == {"switch": 17_000}
    ledger.forget(NOON + 20_000)
    assert ledger.blind_between(frozenset({A}), needs, NOON, NOON + 60_000) == {}


def test_between_steps_far_apart_no_engine_ran() -> None:
    market = Market()
    market.run(5)
    market.now_ms += 60_000
    market.run(5)
    (part,) = account(market.ledger, rule(), NOON, market.now_ms)
    assert part.blind == {"engine_away": 61_000}
    assert part.watched == 9_000


def test_a_contract_that_is_traded_elsewhere_alone_is_out_of_sight() -> None:
    market = Market()
    market.run(10)
    elsewhere = rule(symbols=frozenset({"CUSDT"}))
    (part,) = account(market.ledger, elsewhere, NOON, market.now_ms)
    assert part.blind == {"switch": 10_000}
    # A list shrinks to what is traded.
    (part,) = account(market.ledger, rule(symbols=frozenset({A, "CUSDT"})), NOON, market.now_ms)
    assert part.watched == 10_000


def test_a_rule_is_idle_before_it_began_while_it_is_snoozed_and_once_it_is_over() -> None:
    market = Market()
    market.run(100)
    end = market.now_ms
    for made, idle in (
        (rule(since_ms=NOON + 40_000), 40_000),
        (rule(since_ms=NOON + 40_000, snoozed_until_ms=NOON + 70_000), 70_000),
        (rule(snoozed_until_ms=end + 1), 100_000),
        (rule(expires_ms=NOON + 30_000), 70_000),
        (rule(InterestMove("up", 5.0, 300), open_interest=False), 100_000),
    ):
        (part,) = account(market.ledger, made, NOON, end)
        assert (part.idle, part.watched, part.blind) == (idle, 100_000 - idle, {})


def test_without_the_hour_before_a_ratio_has_no_baseline() -> None:
    market = Market()
    fresh = "DUSDT"
    market.book.set_instruments(Instrument(symbol, symbol[:1], 0.1, 1) for symbol in (A, B, fresh))
    market.book.apply(Candle(fresh, NOON, 1, 1, 1, 1, 5e6, False, NOON, NOON))
    market.run(20)
    needs = needs_of((VolumeRatio(2, 0),))
    blind = market.ledger.blind_between(frozenset({fresh}), needs, NOON, market.now_ms)
    assert blind.keys() <= {"no_baseline", "stale"}
    assert sum(blind.values()) == pytest.approx(20_000, abs=1000)


@pytest.mark.parametrize("every", [False, True])
def test_one_new_contract_does_not_blind_a_rule_on_many(every: bool) -> None:
    """What hides one of 150 hides a 150th of the rule, and what hides all of them all of it."""
    symbols = [f"C{number}USDT" for number in range(150)]
    ledger = WatchLedger(NOON)

    def step(seconds: int, missing: int) -> None:
        now_ms = NOON + seconds * 1000
        fine, fresh = InputSight(now_ms, None), InputSight(0, "no_baseline")
        ledger.step(now_ms, [(symbol, "candle", fresh if at < missing else fine) for at, symbol in enumerate(symbols)])

    for seconds in range(0, 301, 5):
        step(seconds, 1)
    for seconds in range(305, 331, 5):
        step(seconds, 150)
    for seconds in range(335, 361, 5):
        step(seconds, 0)
    many = rule(VolumeRatio(2, 0), symbols=None if every else frozenset(symbols))
    (part,) = account(ledger, many, NOON, NOON + 300_000)
    assert part.blind == {"no_baseline": 2_000}
    assert part.watched == 298_000
    (part,) = account(ledger, many, NOON + 300_000, NOON + 360_000)
    assert part.blind == {"no_baseline": 30_000}
    # A rule on that one alone is as blind as ever.
    (part,) = account(ledger, rule(VolumeRatio(2, 0), symbols=frozenset(symbols[:1])), NOON, NOON + 300_000)
    assert part.blind == {"no_baseline": 300_000}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=8),
    st.integers(-50, 50),
    st.integers(1, 2 * DAY_MS // 1000),
)
def test_everything_adds_up_to_the_time_day_by_day(blinds: list[tuple[int, int]], since_s: int, length_s: int) -> None:
    start = NOON + DAY_MS // 2 - 20_000
    ledger = WatchLedger(start)
    ledger.step(start, [(A, "price", InputSight(start, None))])
    for begin_s, span_s in blinds:
        ledger.blind(start + begin_s * 1000, start + (begin_s + span_s) * 1000, "switch")
    end = start + length_s * 1000
    parts = account(ledger, rule(since_ms=start + since_s * 1000), start, end)
    assert sum(part.watched + part.idle + sum(part.blind.values()) for part in parts) == end - start
    assert all(min(part.watched, part.idle, *part.blind.values()) >= 0 for part in parts)
    hidden = {second for begin_s, span_s in blinds for second in range(begin_s, begin_s + span_s)}
    expected = sum(max(since_s, 0) <= second < length_s for second in hidden)
    assert sum(sum(part.blind.values()) for part in parts) == expected * 1000
