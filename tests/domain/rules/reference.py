"""When rules fire, told the slow and obvious way: every rule is looked at with every tick, and all prices are kept.

It knows nothing of sorted thresholds, rings or bands that are remembered; it is what the evaluator must agree with on
streams without long silences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flashcur.domain.rules.condition import Condition, FundingLevel, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.rule import Rule
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Tick, Ticker

FRESH_MS = {Ticker: 5_000, Funding: 10_000, Candle: 360_000}
"""How old a value of each kind may be; candles are polled here."""
Event = tuple[str, str, int]
"""(rule, symbol, the exchange's time)"""


@dataclass
class Contract:
    tickers: list[Ticker] = field(default_factory=list[Ticker])
    fundings: list[Funding] = field(default_factory=list[Funding])
    candles: list[Candle] = field(default_factory=list[Candle])
    closes: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """Of minutes before the first price, (their end in Unix ms, USDT)."""


@dataclass
class Standing:
    """One rule at one contract."""

    spent: bool = False
    held_ms: int | None = None
    fired_ms: int | None = None


class Reference:
    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.contracts: dict[str, Contract] = {}
        self.standings: dict[tuple[str, str], Standing] = {}
        self.newest: dict[type[Tick], int] = {}
        self.done: set[str] = set()
        self.events: list[Event] = []

    def take(self, tick: Tick) -> None:
        symbol = tick.symbol
        contract = self.contracts.setdefault(symbol, Contract())
        watching = [rule for rule in self.rules if rule.symbols is None or symbol in rule.symbols]
        wholly = {rule.id: [self.value(contract, c, None) for c in rule.definition.conditions] for rule in watching}
        self.newest[type(tick)] = max(tick.event_ms, self.newest.get(type(tick), 0))
        for rule in watching:
            self.end_hold(rule, symbol, tick.event_ms, contract)
        self.remember(contract, tick)
        for rule in watching:
            self.judge(rule, symbol, contract, tick, wholly[rule.id])

    def remember(self, contract: Contract, tick: Tick) -> None:
        if isinstance(tick, Ticker):
            contract.tickers.append(tick)
        elif isinstance(tick, Funding):
            contract.fundings.append(tick)
        elif isinstance(tick, Candle):
            contract.candles.append(tick)

    def judge(
        self, rule: Rule, symbol: str, contract: Contract, tick: Tick, before: list[tuple[float, ...] | None]
    ) -> None:
        conditions = rule.definition.conditions
        standing = self.standings.setdefault((rule.id, symbol), Standing())
        after = [self.value(contract, c, None) for c in conditions]
        fresh = [self.value(contract, c, tick.event_ms) for c in conditions]
        mine = [kind_of(c) is type(tick) for c in conditions]
        if any(mine) and isinstance(tick, Candle):
            before = self.at_the_turn(contract, conditions, before, standing, rule, tick)
        met_before = [value is not None and is_met(c, value) for c, value in zip(conditions, before, strict=True)]
        met_after = [value is not None and is_met(c, value) for c, value in zip(conditions, after, strict=True)]
        if all(met_before) and standing.held_ms is None:
            standing.spent = True
        if standing.held_ms is not None and not all(met_after):
            standing.held_ms = None
        if any(m and v is not None and has_left(c, v) for c, v, m in zip(conditions, after, mine, strict=True)):
            standing.spent = False
        turned = any(
            m and b is not None and not mb and ma
            for m, b, mb, ma in zip(mine, before, met_before, met_after, strict=True)
        )
        if not turned or standing.spent or standing.held_ms is not None or rule.id in self.done:
            return
        if not all(value is not None and is_met(c, value) for c, value in zip(conditions, fresh, strict=True)):
            return
        if tick.event_ms < rule.since_ms:
            return
        if not self.may_fire(rule, standing, tick.event_ms, tick.event_ms):
            if len(conditions) > 1:
                standing.spent = True
            return
        if rule.definition.hold_s:
            standing.held_ms = tick.event_ms
        else:
            self.fire(rule, symbol, standing, tick.event_ms)

    def at_the_turn(
        self,
        contract: Contract,
        conditions: tuple[Condition, ...],
        before: list[tuple[float, ...] | None],
        standing: Standing,
        rule: Rule,
        tick: Candle,
    ) -> list[tuple[float, ...] | None]:
        """An hour begins with a volume of 0, which ends whatever was met."""
        candles = contract.candles
        if len(candles) < 2 or candles[-2].open_ms == tick.open_ms:
            return before
        turned: list[tuple[float, ...] | None] = [
            (0.0, 0.0) if isinstance(c, VolumeRatio) and value is not None else value
            for c, value in zip(conditions, before, strict=True)
        ]
        if any(isinstance(c, VolumeRatio) and v is not None for c, v in zip(conditions, before, strict=True)):
            standing.spent, standing.held_ms = False, None
        return turned

    def end_hold(self, rule: Rule, symbol: str, event_ms: int, contract: Contract) -> None:
        standing = self.standings.setdefault((rule.id, symbol), Standing())
        if standing.held_ms is None:
            return
        end_ms = standing.held_ms + rule.definition.hold_s * 1000
        if end_ms > event_ms:
            return
        values = [self.value(contract, c, end_ms) for c in rule.definition.conditions]
        if None in values:
            return
        standing.held_ms = None
        if not all(v is not None and is_met(c, v) for c, v in zip(rule.definition.conditions, values, strict=True)):
            return
        if self.may_fire(rule, standing, end_ms, event_ms):
            self.fire(rule, symbol, standing, end_ms)

    def may_fire(self, rule: Rule, standing: Standing, event_ms: int, told: int) -> bool:
        if rule.id in self.done or (rule.snoozed_until_ms or 0) > told:
            return False
        return standing.fired_ms is None or event_ms >= standing.fired_ms + rule.definition.cooldown_s * 1000

    def fire(self, rule: Rule, symbol: str, standing: Standing, event_ms: int) -> None:
        standing.fired_ms, standing.spent = event_ms, True
        if rule.definition.mode == "once":
            self.done.add(rule.id)
        self.events.append((rule.id, symbol, event_ms))

    def value(self, contract: Contract, condition: Condition, fresh_at: int | None) -> tuple[float, ...] | None:
        """What the condition measures; None where it is not known or, at `fresh_at`, too old."""
        kind = kind_of(condition)
        ticks: list[Tick] = [*{Ticker: contract.tickers, Funding: contract.fundings, Candle: contract.candles}[kind]]
        if not ticks:
            return None
        if fresh_at is not None:
            newest = ticks[-1].event_ms if kind is Candle else self.newest[kind]
            if fresh_at - max(newest, ticks[-1].event_ms) > FRESH_MS[kind]:
                return None
        if isinstance(condition, PriceCross):
            return (contract.tickers[-1].price,)
        if isinstance(condition, FundingLevel):
            return (round(contract.fundings[-1].rate * 100, 10),)
        if isinstance(condition, PriceMove):
            second = contract.tickers[-1].event_ms // 1000 - condition.window_s
            base = next((each.price for each in reversed(contract.tickers) if each.event_ms // 1000 <= second), None)
            if base is None and condition.window_s >= 300:
                closes = [(second - at_ms // 1000, price) for at_ms, price in contract.closes]
                base = next((price for age_s, price in reversed(closes) if 0 <= age_s < 60), None)
            return None if base is None else ((contract.tickers[-1].price - base) * 100 / base,)
        newest_candle = contract.candles[-1]
        if fresh_at is not None and not newest_candle.closed and fresh_at >= newest_candle.open_ms + HOUR_MS + 2_000:
            return None
        if fresh_at is not None and newest_candle.closed and fresh_at >= newest_candle.open_ms + HOUR_MS + 2_000:
            return (0.0, 0.0)
        whole = next((each for each in reversed(contract.candles) if each.closed and each is not newest_candle), None)
        if whole is None or whole.open_ms != newest_candle.open_ms - HOUR_MS:
            return None
        return (newest_candle.volume_quote / whole.volume_quote, newest_candle.volume_quote)


def kind_of(condition: Condition) -> type[Tick]:
    if isinstance(condition, PriceCross | PriceMove):
        return Ticker
    return Funding if isinstance(condition, FundingLevel) else Candle


def is_met(condition: Condition, value: tuple[float, ...]) -> bool:
    number = value[0]
    if isinstance(condition, PriceCross):
        return number >= condition.price if condition.side == "above" else number <= condition.price
    if isinstance(condition, FundingLevel):
        return number >= condition.percent if condition.side == "above" else number <= condition.percent
    if isinstance(condition, VolumeRatio):
        return number >= condition.multiple and value[1] >= condition.floor
    assert isinstance(condition, PriceMove)
    return {"up": number, "down": -number, "either": abs(number)}[condition.way] >= condition.percent


def has_left(condition: Condition, value: tuple[float, ...]) -> bool:
    """Whether the value has gone back behind its threshold by the band."""
    number = value[0]
    if isinstance(condition, PriceCross):
        band = condition.price * 0.001
        return number < condition.price - band if condition.side == "above" else number > condition.price + band
    if isinstance(condition, FundingLevel):
        band = max(abs(condition.percent) * 0.1, 0.001)
        return number < condition.percent - band if condition.side == "above" else number > condition.percent + band
    if isinstance(condition, VolumeRatio):
        return number < condition.multiple * 0.9 or value[1] < condition.floor * 0.9
    assert isinstance(condition, PriceMove)
    size = {"up": number, "down": -number, "either": abs(number)}[condition.way]
    return size < condition.percent * 0.9
