"""The past and the plan of every contract: hourly bars and minute paths as a function of seed, contract and hour.

Nothing here has a state: any hour of any year costs the same few microseconds, so the exchange has months of history
the moment it starts, and a restarted exchange with the same seed goes on where the clock says it should be.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

from flashcur.services.simulator.noise import GAUSS, TABLE_MASK, draw, normal, smooth, subkey, uniform, walk
from flashcur.services.simulator.sessions import last_traded, rests
from flashcur.services.simulator.universe import ContractSpec

MARKET_DAILY_VOLATILITY: Final = 0.016
_WALK_DAILY: Final = 9.4
"""Standard deviation of `walk` over 24 hours."""
_NORMALS_PER_DRAW: Final = 5
_WEIGHTS: Final = tuple(math.exp(0.5 * g) for g in GAUSS)


class Bar(NamedTuple):
    """One candle. Prices in USDT, `volume` in base units, `quote` and `buy_quote` in USDT."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    quote: float
    trades: int
    buy_volume: float
    buy_quote: float


class HourPlan(NamedTuple):
    """How one hour goes: log prices at its 61 minute boundaries and the quote volume traded up to each of them."""

    hour: int
    logs: list[float]
    volumes: list[float]
    low: float
    high: float


class MarketFactor:
    """The common movement of all contracts, as a log return since forever."""

    def __init__(self, seed: int) -> None:
        self._key = subkey(seed, "market")
        self._scale = MARKET_DAILY_VOLATILITY / _WALK_DAILY
        self.level = lru_cache(maxsize=8192)(self._level)
        self.bridge = lru_cache(maxsize=512)(self._bridge)

    def _level(self, hour: int) -> float:
        return walk(self._key, hour) * self._scale

    def _bridge(self, hour: int) -> list[float]:
        """61 deviations from the straight line between two hours; the first and the last are 0."""
        return bridge(self._key ^ 0x55AA, hour, MARKET_DAILY_VOLATILITY * 0.028)

    def jitter(self, slot: int) -> float:
        """A standard normal for one quarter of a second."""
        return normal(self._key ^ 0x33CC, slot)


class History:
    """Bars and plans of contracts under one seed."""

    def __init__(self, seed: int) -> None:
        self.market = MarketFactor(seed)

    def log_price(self, spec: ContractSpec, hour: int) -> float:
        """Log price at the beginning of `hour` (hours since 1970): that of the last trade while its market rests."""
        hour = last_traded(spec.underlying, hour)
        return (
            math.log(spec.base_price)
            + spec.beta * self.market.level(hour)
            + idiosyncratic_volatility(spec) / _WALK_DAILY * walk(spec.key, hour)
        )

    def bars(self, spec: ContractSpec, first_hour: int, last_hour: int) -> list[Bar]:
        """Hourly bars of `first_hour` … `last_hour`, both included."""
        bars: list[Bar] = []
        start = self.log_price(spec, first_hour)
        for hour in range(first_hour, last_hour + 1):
            end = self.log_price(spec, hour + 1)
            bars.append(make_bar(spec, *extremes(spec, hour, start, end), hour_volume(spec, hour, end - start), hour))
            start = end
        return bars

    def plan(self, spec: ContractSpec, hour: int) -> HourPlan:
        """The path of one hour, minute by minute; agrees with the bar of that hour."""
        start, end = self.log_price(spec, hour), self.log_price(spec, hour + 1)
        if rests(spec.underlying, hour):
            return HourPlan(hour, [start] * 61, [0.0] * 61, start, start)
        _, high, low, _ = extremes(spec, hour, start, end)
        common = self.market.bridge(hour)
        own = bridge(spec.key ^ 0x77, hour, idiosyncratic_volatility(spec) * 0.028)
        slope, beta = (end - start) / 60.0, spec.beta
        logs = [start + slope * m + beta * common[m] + own[m] for m in range(61)]
        inner = logs[1:60]
        top, bottom = inner.index(max(inner)) + 1, inner.index(min(inner)) + 1
        logs = [low if x < low else high if x > high else x for x in logs]
        # The path touches the extremes of the bar unless the hour begins or ends there.
        if high > max(start, end):
            logs[top] = high
        if low < min(start, end):
            logs[bottom] = low
        volume = hour_volume(spec, hour, end - start)
        volumes = [0.0]
        total = 0.0
        for weight in _minute_weights(spec, hour):
            total += weight * volume
            volumes.append(total)
        return HourPlan(hour, logs, volumes, low, high)

    def minute_bars(self, spec: ContractSpec, hour: int) -> list[Bar]:
        """The sixty one-minute bars of a past hour."""
        plan = self.plan(spec, hour)
        bars: list[Bar] = []
        for m in range(60):
            start, end = plan.logs[m], plan.logs[m + 1]
            bits = draw(spec.key ^ 0x1234, hour * 60 + m)
            reach = spec.daily_volatility * 0.01
            high = min(plan.high, max(start, end) + reach * uniform(bits))
            low = max(plan.low, min(start, end) - reach * uniform(bits << 20 & (1 << 64) - 1))
            bars.append(make_bar(spec, start, high, low, end, plan.volumes[m + 1] - plan.volumes[m], bits & 0xFFFF))
        return bars


def idiosyncratic_volatility(spec: ContractSpec) -> float:
    """Daily volatility that is left when the market's share is taken out."""
    common = spec.beta * MARKET_DAILY_VOLATILITY
    return math.sqrt(max(spec.daily_volatility**2 - common**2, (0.4 * spec.daily_volatility) ** 2))


def bridge(key: int, hour: int, step: float) -> list[float]:
    """A random path of 61 points with the given standard deviation a step, pinned to 0 at both ends."""
    path = [0.0]
    level = 0.0
    for chunk in range(12):
        bits = draw(key, hour * 16 + chunk)
        for _ in range(_NORMALS_PER_DRAW):
            level += GAUSS[bits & TABLE_MASK]
            bits >>= 12
            path.append(level)
    drift = level / 60.0
    return [(x - drift * m) * step for m, x in enumerate(path)]


def extremes(spec: ContractSpec, hour: int, start: float, end: float) -> tuple[float, float, float, float]:
    """Open, high, low and close of an hour as log prices."""
    if rests(spec.underlying, hour):
        return start, start, start, start
    bits = draw(spec.key ^ 0x99, hour)
    reach = spec.daily_volatility * 0.11 * (1.0 + 0.5 * math.log(spike(spec, hour)[0]))
    high = max(start, end) + reach * abs(GAUSS[bits & TABLE_MASK])
    low = min(start, end) - reach * abs(GAUSS[bits >> 12 & TABLE_MASK])
    return start, high, low, end


def spike(spec: ContractSpec, hour: int) -> tuple[float, int]:
    """By how much the hour's volume is multiplied (1 in most hours) and the minute at which it begins.

    Two kinds: a burst at any time of the hour, and now and then an explosive one in its first minutes, in contracts
    whose usual hour is small.
    """
    bits = draw(spec.key ^ 0x5B1CE, hour)
    chance, size, when = (bits & 0xFFFF) / 65536.0, (bits >> 16 & 0xFFFF) / 65536.0, (bits >> 32 & 0xFFFF) / 65536.0
    volume = spec.volume_24h
    if volume < 120e6 and chance < 0.008:
        return 14.0 + 30.0 * size, int(3 * when)
    if chance > (0.997 if volume > 500e6 else 0.972):
        return min(25.0, 4.0 / (size + 0.03) ** 0.5), int(45 * when * when)
    return 1.0, 0


def hour_volume(spec: ContractSpec, hour: int, log_return: float) -> float:
    """Quote volume of an hour: daily profile, slow drift, noise, more when the price moves, and spikes with an echo;
    none while its market rests."""
    if rests(spec.underlying, hour):
        return 0.0
    profile = 1.0 + 0.32 * math.sin((hour % 24 - 8.5) / 24.0 * math.tau)
    drift = 0.25 * smooth(spec.key ^ 0xD1, hour / 36.0)
    noise = 0.26 * normal(spec.key ^ 0xD2, hour)
    moved = min(4.0, abs(log_return) / (spec.daily_volatility * 0.21))
    burst = spike(spec, hour)[0] + 0.3 * (spike(spec, hour - 1)[0] - 1.0)
    return spec.volume_24h / 24.0 * profile * math.exp(drift + noise) * (0.78 + 0.25 * moved) * burst


def make_bar(spec: ContractSpec, open_: float, high: float, low: float, close: float, quote: float, salt: int) -> Bar:
    """A bar from log prices and quote volume, prices rounded to the tick."""
    d = spec.price_decimals
    o, h, lo, c = (max(round(math.exp(x), d), spec.tick_size) for x in (open_, high, low, close))
    volume = quote / ((o + h + lo + c) / 4.0)
    share = buy_share(spec, salt, close - open_)
    return Bar(o, h, lo, c, volume, quote, trade_count(spec, quote), volume * share, quote * share)


def trade_count(spec: ContractSpec, quote: float) -> int:
    """How many trades make up a quote volume."""
    return max(1, round(quote / (60.0 + 0.02 * math.sqrt(spec.volume_24h)))) if quote > 0 else 0


def buy_share(spec: ContractSpec, salt: int, log_return: float) -> float:
    """Share of the volume that bought at the ask, 0.3 to 0.7: more when the price rose."""
    lean = max(-1.0, min(1.0, log_return / (spec.daily_volatility * 0.2)))
    return 0.5 + 0.08 * lean + 0.04 * max(-2.5, min(2.5, normal(spec.key ^ 0xB0, salt)))


def _minute_weights(spec: ContractSpec, hour: int) -> list[float]:
    """Shares of the hour's volume by minute; they add up to 1."""
    weights: list[float] = []
    for chunk in range(12):
        bits = draw(spec.key ^ 0xE1, hour * 16 + chunk)
        for _ in range(_NORMALS_PER_DRAW):
            weights.append(_WEIGHTS[bits & TABLE_MASK])
            bits >>= 12
    multiple, start = spike(spec, hour)
    if multiple > 1.0:
        burst = [0.0] * start + [math.exp(-(m - start) / 8.0) * weights[m] for m in range(start, 60)]
        factor = (multiple - 1.0) * sum(weights) / sum(burst)
        weights = [w + factor * b for w, b in zip(weights, burst, strict=True)]
    total = sum(weights)
    return [w / total for w in weights]
