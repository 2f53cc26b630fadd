"""When rules fire, and when they must not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.firing import Firing, nearest_text
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.signals.evidence import Evidence
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Tick, Ticker

T0 = 1_795_420_800_000
"""A full hour."""
HOUR_MS = 3_600_000
A, B = "AUSDT", "BUSDT"

ABOVE = PriceCross("above", 100.0)


def rule(
    *conditions: Condition, symbols: Iterable[str] | None = (A,), rule_id: str = "r", version: int = 1, **terms: Any
) -> Rule:
    known = {"open_interest", "since_ms", "snoozed_until_ms", "expires_ms"}
    of_rule = {"open_interest": True, "since_ms": 0, **{key: terms.pop(key) for key in known & terms.keys()}}
    scope = Scope("all") if symbols is None else Scope("symbol", A)
    definition = Definition(conditions, scope, **terms)
    return Rule(rule_id, "account", version, definition, None if symbols is None else frozenset(symbols), **of_rule)


class Market:
    """A book and the evaluator that belongs to it."""

    def __init__(self, *rules: Rule, symbols: tuple[str, ...] = (A, B)) -> None:
        self.book = MarketBook()
        self.book.set_instruments([Instrument(symbol, symbol[0], 0.01, 2) for symbol in symbols])
        self.evaluator = Evaluator()
        self.evaluator.set_contracts(frozenset(symbols))
        self.evaluator.put(rules)

    def take(self, *ticks: Tick) -> list[Firing]:
        found: list[Firing] = []
        for tick in ticks:
            if self.book.apply(tick):
                row = self.book.row(tick.symbol)
                assert row is not None
                found += self.evaluator.on_tick(row, tick)
        return found

    def prices(self, *prices: float, start_s: float = 0, every_s: float = 1, symbol: str = A) -> list[Firing]:
        return self.take(*(price(start_s + at * every_s, each, symbol) for at, each in enumerate(prices)))


def price(second: float, value: float, symbol: str = A, *, late_ms: int = 0) -> Ticker:
    at_ms = T0 + round(second * 1000)
    return Ticker(symbol, value, 1.0, 1e7, at_ms, at_ms + late_ms)


def candle(second: float, volume: float, *, hour: int = 0, closed: bool = False, late_ms: int = 0) -> Candle:
    at_ms = T0 + round(second * 1000)
    return Candle(A, T0 + hour * HOUR_MS, 10, 12, 8, 11, volume, closed, at_ms, at_ms + late_ms)


def seconds(firings: Iterable[Firing]) -> list[float]:
    return [(each.event_ms - T0) / 1000 for each in firings]


def test_a_price_that_gets_there_from_the_other_side_fires():
    market = Market(rule(ABOVE))
    firings = market.prices(99, 99.9, 100, 101)
    assert seconds(firings) == [2]
    assert firings[0].price == 100
    assert firings[0].readings[0].text == "Price 100.00 (at or above 100)"
    assert not firings[0].missed


def test_what_is_true_at_the_first_look_does_not_fire():
    """Complaint 1: the first second after a start never fires on a level, only on a crossing."""
    market = Market(rule(ABOVE))
    assert market.prices(105, 106, 107) == []
    assert seconds(market.prices(99, 100, start_s=3)) == [4]


def test_below_is_the_other_way_round():
    assert seconds(Market(rule(PriceCross("below", 100.0))).prices(101, 100, 99)) == [1]


def test_a_dance_on_the_threshold_is_one_event():
    """Complaint 5: 100 crossings within the band are one event, and the state afterwards is right."""
    market = Market(rule(ABOVE, cooldown_s=60))
    dance = [99.95, 100.05] * 100
    assert seconds(market.prices(*dance, every_s=10)) == [10]
    assert seconds(market.prices(99.95, 99.89, 99.95, 100, start_s=3000, every_s=10)) == [3030]


@pytest.mark.parametrize("bad", [nan, inf, -inf, 0.0, -1.0])
def test_what_is_no_price_neither_fires_nor_arms(bad: float):
    """Complaint 7: NaN, infinity and 0 never fire, and count as nothing."""
    market = Market(rule(PriceCross("below", 100.0), cooldown_s=60), rule(ABOVE, cooldown_s=60, rule_id="a"))
    assert seconds(market.prices(101, bad, 102, bad, 103)) == []


def test_a_value_that_comes_too_late_neither_fires_nor_arms():
    """Complaint 9: stale data drives no alert."""
    market = Market(rule(ABOVE))
    assert market.take(price(0, 99), price(1, 101, late_ms=6_000), price(2, 99)) == []
    assert seconds(market.take(price(3, 101))) == [3]


def test_an_edit_starts_anew():
    market = Market(rule(ABOVE))
    market.prices(99, 101)
    market.evaluator.put([rule(PriceCross("above", 100.5), version=2)])
    assert market.prices(102, start_s=2) == []
    assert seconds(market.prices(99, 101, start_s=3)) == [4]


def test_what_was_told_before_the_rule_was_made_does_not_fire():
    market = Market(rule(ABOVE, since_ms=T0 + 1_500))
    assert market.prices(99, 101) == []
    assert market.prices(102, start_s=2) == []


def test_all_conditions_together():
    market = Market(rule(ABOVE, VolumeRatio(3.0, 1e6)))
    market.take(candle(-1, 1e6, hour=-1, closed=True), candle(0, 1e5))
    assert market.prices(99, 101) == []
    assert market.take(candle(3, 2.9e6)) == []
    firings = market.take(price(3.5, 101), candle(4, 3.1e6))
    assert seconds(firings) == [4]
    assert [each.met for each in firings[0].readings] == [True, True]


def test_a_volume_ratio_needs_its_floor_and_fires_once_an_hour():
    market = Market(rule(VolumeRatio(3.0, 5e6), cooldown_s=60))
    market.take(candle(-1, 1e6, hour=-1, closed=True))
    assert market.take(candle(10, 1e6), candle(20, 4e6)) == []
    assert seconds(market.take(candle(30, 5e6), candle(40, 6e6))) == [30]
    market.take(candle(3600, 6e6, closed=True))
    assert market.take(candle(3610, 17e6, hour=1)) == []
    assert seconds(market.take(candle(3620, 18e6, hour=1))) == [3620]


def test_a_stalled_hour_fires_nothing():
    """Complaint 9: a feed that stalls in the middle of a candle gives no event."""
    market = Market(rule(ABOVE, VolumeRatio(3.0, 0.0)))
    market.book.set_streamed_candles([A])
    market.take(candle(-1, 1e6, hour=-1, closed=True), candle(0, 1e6), candle(10, 4e6))
    assert market.prices(99, 101, start_s=60) == []


def test_a_move_is_of_the_price_at_the_beginning_of_its_window():
    """Complaint 8: the base is the price one window ago by the exchange's time, not the last check."""
    market = Market(rule(PriceMove("up", 5.0, 60)))
    rising = [100 + second / 20 for second in range(120)]
    assert seconds(market.prices(*rising)) == []
    # 108.0 is 4.8 % above 103.05, the price of second 61, and 8 % above the first; 108.4 is 5.1 % above 103.1.
    assert seconds(market.prices(108.0, 108.4, start_s=121)) == [122]


def test_after_a_gap_a_move_waits_until_its_window_is_full():
    """Complaint 8: after a gap of 90 s nothing fires until the window is full again."""
    market = Market(rule(PriceMove("either", 5.0, 300), cooldown_s=60))
    market.prices(*([100] * 400))
    assert market.prices(*([110] * 300), start_s=500) == []
    assert market.prices(*([110] * 2), start_s=800) == []
    firings = market.prices(118, start_s=802)
    assert seconds(firings) == [802]


MINUTES = [(T0 + minute * 60_000, 100.0) for minute in range(-20, 1)]
"""What the exchange tells of the minutes before 20 s after the hour."""


def known(market: Market) -> dict[int, bool]:
    return dict(market.evaluator.moves_known(A))


def test_a_move_soon_after_a_start_in_the_middle_of_a_minute_fires():
    """Complaint 1: windows of five minutes on begin at the minute before; a window of one minute waits for it."""
    market = Market(*(rule(PriceMove("up", 5.0, each), rule_id=f"{each}") for each in (60, 300, 900, 3_600)))
    assert market.prices(*[100.0] * 3, start_s=20.4) == []
    assert known(market) == {60: False, 300: False, 900: False, 3_600: False}
    market.evaluator.fill_prices(A, MINUTES)
    assert known(market) == {60: False, 300: True, 900: True, 3_600: False}
    firings = market.prices(*[100.0] * 17, 105.0, 105.0, start_s=23.4)
    assert [(each.rule.id, each.missed) for each in firings] == [("300", False), ("900", False)]
    assert seconds(firings) == [40.4, 40.4]
    market.prices(*[105.0] * 40, start_s=42.4)
    assert known(market)[60]


def test_what_became_met_before_the_past_was_known_fires_once_it_is():
    market = Market(rule(PriceMove("up", 5.0, 900)))
    assert market.prices(100, 100, 106, 106, start_s=20.4) == []
    market.evaluator.fill_prices(A, MINUTES)
    assert seconds(market.prices(106, 106, start_s=24.4)) == [24.4]
    # What was so when the rule was first looked at does not.
    market = Market(rule(PriceMove("up", 5.0, 900)))
    assert market.prices(100, 106, start_s=20.4) == []
    market.evaluator.put([rule(PriceMove("up", 5.0, 900), version=2)])
    assert market.prices(106, 106, start_s=22.4) == []
    market.evaluator.fill_prices(A, MINUTES)
    assert market.prices(106, 106, start_s=24.4) == []


def test_a_base_is_never_older_than_a_minute():
    market = Market(rule(PriceMove("up", 5.0, 300)))
    market.prices(100, start_s=320.4)
    # The exchange has no minute that ended at 60.
    market.evaluator.fill_prices(A, [(T0, 90.0), (T0 + 120_000, 100.0)])
    assert [market.prices(100, start_s=at) or known(market)[300] for at in (359.4, 360.4, 419.4, 420.4)] == [
        True,
        False,
        False,
        True,
    ]


def test_killed_and_started_again_a_move_goes_on():
    market = Market(rule(PriceMove("up", 5.0, 900)))
    market.evaluator.fill_prices(A, [(T0 - minute * 60_000, 100.0) for minute in range(20, 0, -1)])
    market.prices(*[100.0] * 1_000)
    saved = market.evaluator.checkpoint(prices=False)
    market.evaluator = Evaluator()
    market.evaluator.set_contracts(frozenset({A, B}))
    market.evaluator.restore(saved, T0 + 1_000_000)
    market.evaluator.put([rule(PriceMove("up", 5.0, 900))])
    market.prices(*[100.0] * 3, start_s=1_014)
    market.evaluator.fill_prices(A, [(T0 + minute * 60_000, 100.0) for minute in range(0, 17)])
    firings = market.prices(*[100.0] * 3, 105.0, start_s=1_017)
    assert [(each.event_ms, each.missed) for each in firings] == [(T0 + 1_020_000, False)]


def test_a_long_outage_is_filled_piece_by_piece():
    day = PriceMove("up", 5.0, 86_400)
    market = Market(rule(day))
    market.prices(*[100.0] * 5)
    outage_s = 5 * 3_600
    market.prices(100.0, start_s=outage_s)
    past = [(T0 + minute * 60_000, 100.0) for minute in range(-1_442, outage_s // 60 + 1)]
    for begin in range(0, len(past), 99):
        assert not known(market)[86_400]
        market.evaluator.fill_prices(A, past[begin : begin + 99])
    market.prices(100.0, start_s=outage_s + 1)
    assert known(market)[86_400]
    assert len(market.prices(105.0, start_s=outage_s + 2)) == 1


def test_a_contract_that_does_not_trade_keeps_its_price():
    market = Market(rule(PriceMove("up", 5.0, 300)))
    for second in range(400):
        market.take(price(second, 50, B))
        if second in (0, 10):
            market.take(price(second, 100))
    assert market.take(price(400, 50, B), price(400, 104)) == []
    assert seconds(market.take(price(401, 106))) == [401]


def test_funding_in_percent_an_interval():
    market = Market(rule(FundingLevel("below", -0.07)))

    def rate(second: int, fraction: float) -> Funding:
        at_ms = T0 + second * 1000
        return Funding(A, 10.0, fraction, None, at_ms, at_ms)

    assert seconds(market.take(rate(0, 0.0001), rate(1, -0.00069), rate(2, -0.0007))) == [2]


def test_open_interest_over_its_windows():
    rules = [rule(InterestMove("down", 5.0, 300), rule_id="5m"), rule(InterestMove("up", 5.0, 14_400), rule_id="4h")]
    market = Market(*rules, rule(InterestMove("down", 5.0, 300), rule_id="free", open_interest=False))

    def value(minute: float, contracts: float) -> OpenInterest:
        at_ms = T0 + round(minute * 60_000)
        return OpenInterest(A, contracts, at_ms, at_ms)

    for minute in range(0, 241):
        assert market.take(value(minute, 1000)) == []
    firings = market.take(value(241, 940), value(242, 1060))
    assert [each.rule.id for each in firings] == ["5m", "4h"]


def test_hold_counts_from_when_all_was_met_and_starts_over():
    market = Market(rule(ABOVE, hold_s=10))
    assert market.prices(99, 101, 101, 99.99, 101) == []
    assert market.evaluator.step(T0 + 13_000) == []
    firings = market.prices(*([101] * 12), start_s=5)
    assert seconds(firings) == [14]


def test_a_quiet_contract_holds_by_the_time_of_the_others():
    market = Market(rule(ABOVE, hold_s=10))
    market.prices(99, 101)
    market.prices(*([5] * 11), start_s=1, symbol=B)
    firings = market.evaluator.step(T0 + 999_000)
    assert seconds(firings) == [11]
    assert firings[0].readings[0].value == 101


def test_a_clock_that_jumps_ends_no_hold():
    market = Market(rule(ABOVE, hold_s=10))
    market.prices(99, 101)
    assert market.evaluator.step(T0 + 10 * HOUR_MS) == []


def test_a_hold_is_not_made_of_a_silence():
    market = Market(rule(ABOVE, hold_s=10))
    market.prices(99, 101)
    assert market.prices(101, start_s=40) == []
    assert seconds(market.prices(*([101] * 12), start_s=41)) == [50]


def test_cooldown_is_by_contract():
    market = Market(rule(ABOVE, symbols=None, cooldown_s=60))
    assert seconds(market.prices(99, 101, 99, 101)) == [1]
    assert seconds(market.prices(99, 101, symbol=B)) == [1]
    assert seconds(market.prices(99, 101, start_s=60)) == [61]


def test_once_is_once_for_all_contracts():
    market = Market(rule(ABOVE, symbols=None, mode="once"))
    assert seconds(market.prices(99, 101, start_s=0)) == [1]
    assert market.prices(99, 101, start_s=2, symbol=B) == []


def test_a_refused_firing_counts_for_nothing():
    for mode in ("once", "repeat"):
        market = Market(rule(ABOVE, symbols=None, mode=mode, cooldown_s=3_600))
        (fired,) = market.prices(99, 101)
        market.evaluator.refused("r", A, fired.event_ms)
        assert seconds(market.prices(99, 101, start_s=2)) == [3]
        # One of before, or of what is not known, is not the one that counts.
        market.evaluator.refused("r", A, fired.event_ms)
        market.evaluator.refused("r", B, fired.event_ms)
        market.evaluator.refused("unknown", A, fired.event_ms)
        assert market.prices(99, 101, start_s=4) == []


def test_snooze_and_expiry():
    market = Market(rule(ABOVE, snoozed_until_ms=T0 + 5_000, expires_ms=T0 + 100_000, cooldown_s=60))
    assert seconds(market.prices(99, 101, 99, 101)) == []
    assert seconds(market.prices(99, 101, start_s=10)) == [11]
    assert seconds(market.prices(99, 101, start_s=110)) == []


def test_rules_for_all_watch_what_trades():
    market = Market(rule(ABOVE, symbols=None))
    market.evaluator.set_contracts(frozenset([A]))
    assert market.prices(99, 101, symbol=B) == []
    market.evaluator.set_contracts(frozenset([A, B]))
    assert seconds(market.prices(99, 101, start_s=2, symbol=B)) == [3]


def test_what_came_about_in_a_silence_is_told_as_missed():
    market = Market(rule(ABOVE, cooldown_s=60))
    market.prices(99)
    firings = market.prices(101, start_s=300)
    assert [each.missed for each in firings] == [True]
    assert seconds(market.prices(99, 99, 101, start_s=400)) == [402]


def test_out_of_order_messages_fire_nothing():
    market = Market(rule(ABOVE))
    market.prices(99, start_s=5)
    late = price(3, 101)
    row = market.book.row(A)
    assert row is not None
    assert market.evaluator.on_tick(row, late) == ()
    assert market.prices(99.5, start_s=6) == []


def signal(second: int, **terms: Any) -> Signal:
    at_ms = T0 + second * 1000
    base: dict[str, Any] = {"severity": 2, "direction": "bullish", "quadrant": None, "kind": "SPIKE", **terms}
    return Signal(
        key="k",
        detector="volume_spike",
        origin=Origin("binanceusdm"),
        symbol=A,
        base="A",
        text="A spikes",
        period_ms=T0,
        span_ms=HOUR_MS,
        event_ms=at_ms,
        seen_ms=at_ms,
        price=101.0,
        evidence=Evidence("v", ()),
        **base,
    )


def test_on_a_signal_the_other_conditions_are_to_be_met():
    market = Market(rule(OnSignal("volume_spike", 2, "bullish"), ABOVE))
    row = market.book.row(A)
    market.prices(99)
    assert market.evaluator.on_signal(signal(1), row) == []
    market.prices(101, start_s=2)
    assert market.evaluator.on_signal(signal(2, severity=1), row) == []
    assert market.evaluator.on_signal(signal(2, direction="bearish"), row) == []
    assert market.evaluator.on_signal(signal(2, kind="HALF_UPDATE"), row) == ()
    firings = market.evaluator.on_signal(signal(3), row)
    assert seconds(firings) == [3]
    assert firings[0].readings[0].text == "A spikes"


def test_readings_say_what_is_now():
    market = Market()
    market.prices(99)
    row = market.book.row(A)
    assert row is not None
    readings = market.evaluator.readings(rule(ABOVE, PriceMove("up", 5, 60)), row, T0 + 1_000)
    assert [each.text for each in readings] == [
        "Price 99.00 (at or above 100)",
        "Price not known in 1 minute (+5 % or more)",
    ]
    assert market.evaluator.readings(rule(ABOVE), row, T0 + 60_000)[0].value is None


def test_the_nearest_miss_of_the_day():
    market = Market(rule(ABOVE, symbols=(A, B)))
    market.prices(90, 98, 95)
    market.prices(50, 99, 60, symbol=B)
    near = market.evaluator.nearest(rule(ABOVE, symbols=(A, B)))
    assert near is not None
    assert (near.symbol, near.value, near.threshold, near.at_ms) == (B, 99, 100, T0 + 1_000)
    assert near.missing == pytest.approx(0.01)
    market.prices(40, start_s=86_400, symbol=B)
    near = market.evaluator.nearest(rule(ABOVE, symbols=(A, B)))
    assert near is not None
    assert near.value == 98 or near.value == 40


@pytest.mark.parametrize(
    ("multiple", "floor", "text"),
    [
        # The dollars were further off than the multiple, and the other way round.
        (3.0, 5e6, "$3.11M this hour (at least $5.00M)"),
        (9.0, 5e6, "Volume 3.11× the hour before (9× or more)"),
        (9.0, 0.0, "Volume 3.11× the hour before (9× or more)"),
    ],
)
def test_the_nearest_miss_says_what_was_missing(multiple: float, floor: float, text: str):
    made = rule(VolumeRatio(multiple, floor))
    market = Market(made)
    market.take(candle(-1, 1e6, hour=-1, closed=True), candle(10, 3.11e6))
    near = market.evaluator.nearest(made)
    assert near is not None
    assert nearest_text(near, 2) == text


def test_a_changed_scope_keeps_where_a_rule_stands():
    one = rule(ABOVE, cooldown_s=60)
    market = Market(one)
    market.prices(99, 101)
    market.evaluator.put([replace(one, symbols=frozenset([A, B]))])
    assert market.prices(99, 101, start_s=10) == []
    assert seconds(market.prices(99, 101, start_s=10, symbol=B)) == [11]


def test_a_removed_rule_fires_nothing():
    market = Market(rule(ABOVE))
    market.prices(99)
    market.evaluator.remove(["r", "unknown"])
    assert market.prices(101, start_s=1) == []
