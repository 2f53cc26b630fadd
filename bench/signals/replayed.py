"""A market from a seed that can be entered at any moment: what an exchange says then, and what it said before.

Built of what detectors look for: hours that trade many times the one before, open interest that jumps, rates that
become extreme, contracts that come, go and change their terms. Where the project's decisions leave open what a restart
makes of an episode (docs/decisions/signals-are-named-by-the-event.md) the market has none: a contract's open interest
jumps on five-minute marks more than two hours apart, and its rate is extreme once with each sign.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Tick, Ticker

START_MS = 1_795_392_000_000
"""A midnight, UTC."""
STEP_MS = 20_000
MINUTE_MS = 60_000
PAST_HOURS = 4 * 168 + 2
FUNDING_MS = 8 * HOUR_MS
VOLUME_24H = 80e6

_NORMAL_RATE = 0.0001
_BURST = 0.4
"""The share of an hour's volume that is traded at one moment of it."""


@dataclass(frozen=True, slots=True)
class _Contract:
    """What a contract will do."""

    instrument: Instrument
    listed_step: int
    """-1: traded all along."""
    left_step: int
    terms_step: int
    """From here on its price step is another one."""
    price: float
    phase: float
    volumes: dict[int, float]
    """Of each whole hour, by its number since 1970."""
    bursts: dict[int, int]
    """When in the hour the burst is, in ms."""
    jumps: list[tuple[int, float]]
    """(Unix ms, factor) of the open interest, in order."""
    rates: list[tuple[int, float]]
    """(Unix ms, rate from then on), in order."""


class ReplayedMarket:
    """`contracts` contracts over `hours` hours from `START_MS` on, in steps of `STEP_MS`."""

    def __init__(self, seed: int, contracts: int, hours: int) -> None:
        self.steps = hours * HOUR_MS // STEP_MS
        self.step = 0
        """Where the market is; set from outside."""
        made = [_contract(f"{seed}:{number}", number, hours, self.steps) for number in range(contracts)]
        self._contracts = {each.instrument.symbol: each for each in made}

    @property
    def now_ms(self) -> int:
        """The market's time, Unix ms."""
        return START_MS + self.step * STEP_MS

    def instruments(self) -> list[Instrument]:
        """The contracts that are traded now."""
        return [
            replace(each.instrument, tick_size=0.1) if self.step >= each.terms_step else each.instrument
            for each in self._contracts.values()
            if each.listed_step <= self.step < each.left_step
        ]

    def symbols(self) -> list[str]:
        return [each.symbol for each in self.instruments()]

    def news(self) -> list[Tick]:
        """What the streams say at this step."""
        ticks: list[Tick] = []
        for symbol in self.symbols():
            ticks += self.candles(symbol, 1)
            ticks.append(self.ticker(symbol))
            if self.now_ms % MINUTE_MS == 0:
                ticks += (self.funding(symbol), self.open_interest(symbol))
        return ticks

    def snapshot(self) -> list[Tick]:
        """All that an exchange says when it begins to serve."""
        ticks: list[Tick] = []
        for symbol in self.symbols():
            ticks += (self.ticker(symbol), self.funding(symbol), *self.candles(symbol, 2), self.open_interest(symbol))
        return ticks

    def ticker(self, symbol: str) -> Ticker:
        return Ticker(symbol, self._price(symbol, self.now_ms), 1.0, VOLUME_24H, self.now_ms, self.now_ms)

    def funding(self, symbol: str) -> Funding:
        minute = self.now_ms // MINUTE_MS * MINUTE_MS
        rate = _NORMAL_RATE
        for at_ms, level in self._contracts[symbol].rates:
            rate = level if at_ms <= minute else rate
        due_ms = (minute // FUNDING_MS + 1) * FUNDING_MS
        return Funding(symbol, self._price(symbol, minute), rate, due_ms, minute, self.now_ms)

    def open_interest(self, symbol: str) -> OpenInterest:
        return self._interest(symbol, self.now_ms // MINUTE_MS * MINUTE_MS)

    def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]:
        """Five-minute values, the newest last."""
        last_ms = self.now_ms // (5 * MINUTE_MS) * 5 * MINUTE_MS
        return [self._interest(symbol, last_ms - ago * 5 * MINUTE_MS) for ago in range(limit - 1, -1, -1)]

    def candles(self, symbol: str, limit: int) -> list[Candle]:
        """The newest hours, as far as the contract was traded; an hour that has just ended is closed."""
        newest = (self.now_ms - 1) // HOUR_MS
        volumes = self._contracts[symbol].volumes
        return [self._candle(symbol, hour) for hour in range(newest - limit + 1, newest + 1) if hour in volumes]

    def past_volumes(self, symbol: str) -> list[tuple[int, float]]:
        """(beginning in Unix ms, USDT) of the whole hours before the one in progress."""
        newest = (self.now_ms - 1) // HOUR_MS
        return [
            (hour * HOUR_MS, volume)
            for hour, volume in self._contracts[symbol].volumes.items()
            if newest - PAST_HOURS <= hour < newest
        ]

    def _candle(self, symbol: str, hour: int) -> Candle:
        contract = self._contracts[symbol]
        open_ms = hour * HOUR_MS
        elapsed = min(self.now_ms - open_ms, HOUR_MS)
        closed = elapsed == HOUR_MS
        done = (1 - _BURST) * elapsed / HOUR_MS + (_BURST if elapsed >= contract.bursts[hour] else 0.0)
        first, last = self._price(symbol, open_ms), self._price(symbol, open_ms + elapsed)
        volume = contract.volumes[hour] * (1.0 if closed else done)
        event_ms = open_ms + elapsed
        high, low = max(first, last), min(first, last)
        return Candle(symbol, open_ms, first, high, low, last, volume, closed, event_ms, max(event_ms, self.now_ms))

    def _interest(self, symbol: str, at_ms: int) -> OpenInterest:
        contracts = 20e6 / self._contracts[symbol].price
        for jump_ms, factor in self._contracts[symbol].jumps:
            contracts *= factor if jump_ms <= at_ms else 1.0
        return OpenInterest(symbol, contracts, at_ms, self.now_ms)

    def _price(self, symbol: str, at_ms: int) -> float:
        contract = self._contracts[symbol]
        return contract.price * (1 + 0.02 * math.sin(at_ms / 3.1e6 + contract.phase))


def _contract(seed: str, number: int, hours: int, steps: int) -> _Contract:
    draw = random.Random(seed)
    base = f"K{number}"
    # One in ten comes, one in ten goes, one in ten changes: some minutes past the hour, at moments of their own.
    moment = (draw.randrange(1, max(2, hours - 1)) * HOUR_MS + (47 * MINUTE_MS + number % 12 * STEP_MS)) // STEP_MS
    fate = number % 10
    listed = moment if fate == 1 else -1
    first_hour = START_MS // HOUR_MS + (moment * STEP_MS // HOUR_MS if fate == 1 else -PAST_HOURS)
    listed_ms = START_MS + (listed * STEP_MS if fate == 1 else -PAST_HOURS * HOUR_MS)
    usual = draw.uniform(4e6, 9e6)
    volumes: dict[int, float] = {}
    for hour in range(first_hour, START_MS // HOUR_MS + hours + 1):
        lively = hour * HOUR_MS >= START_MS and draw.random() < 0.25
        volumes[hour] = usual * (draw.uniform(3.5, 14) if lively else draw.uniform(0.8, 1.2))
    return _Contract(
        instrument=Instrument(f"{base}USDT", base, 0.01, 2, listed_ms=listed_ms),
        listed_step=listed,
        left_step=moment if fate == 2 else steps + 1,
        terms_step=moment if fate == 3 else steps + 1,
        price=10 ** draw.uniform(-1, 3),
        phase=draw.uniform(0, 6.28),
        volumes=volumes,
        bursts={hour: draw.randrange(MINUTE_MS, HOUR_MS - MINUTE_MS) for hour in volumes},
        jumps=_jumps(draw, hours),
        rates=_rates(draw, hours),
    )


def _jumps(draw: random.Random, hours: int) -> list[tuple[int, float]]:
    jumps: list[tuple[int, float]] = []
    at_minute = draw.randrange(5, 135, 5)
    while at_minute < hours * 60:
        change = draw.choice((0.04, 0.09, 0.15))
        jumps.append((START_MS + at_minute * MINUTE_MS, 1 + change if draw.random() < 0.5 else 1 - change))
        at_minute += draw.randrange(135, 260, 5)
    return jumps


def _rates(draw: random.Random, hours: int) -> list[tuple[int, float]]:
    rates: list[tuple[int, float]] = []
    half = hours * 30
    for sign, from_minute in ((1, 0), (-1, half)):
        begin, rise, end = sorted(draw.sample(range(from_minute + 3, from_minute + half - 3), 3))
        rates += [
            (START_MS + begin * MINUTE_MS, sign * 0.0005),
            (START_MS + rise * MINUTE_MS, sign * draw.choice((0.0005, 0.0015, 0.004))),
            (START_MS + end * MINUTE_MS, _NORMAL_RATE),
        ]
    return rates
