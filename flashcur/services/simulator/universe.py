"""Which contracts the simulated exchange lists: names, tick sizes, liquidity, volatility, from count and seed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from flashcur.services.simulator.noise import draw, normal, smooth, subkey, uniform
from flashcur.services.simulator.universe_data import NAME_HEADS, NAME_TAILS, TRADFI, WELL_KNOWN

Status = Literal["TRADING", "SETTLING", "PENDING_TRADING"]

MAX_SYMBOLS: Final = 1000
RESERVE: Final = 64
"""Contracts kept back for listings while the exchange runs."""
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
EPOCH_LISTED_MS: Final = 1_569_398_400_000
"""2019-09-25: the oldest onboarding date."""

# 24 h quote volume in USDT by rank, joined by straight lines on logarithmic axes.
_VOLUME_BY_RANK: Final = (
    (1, 12e9), (2, 10e9), (3, 3.2e9), (5, 900e6), (10, 380e6), (30, 95e6), (100, 22e6), (200, 7.5e6), (350, 2.4e6),
    (500, 0.7e6), (1100, 0.2e6),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """What never changes about one contract. Volumes in USDT, volatility as standard deviation of the log price."""

    symbol: str
    base: str
    quote: str
    contract_type: str
    """`PERPETUAL`, `TRADIFI_PERPETUAL` on what is no coin, or a type that a client must leave out."""
    base_price: float
    """The price around which the contract moves, USDT."""
    tick_size: float
    price_decimals: int
    quantity_decimals: int
    volume_24h: float
    """Usual 24 h quote volume, USDT."""
    daily_volatility: float
    beta: float
    """Sensitivity to the common market factor."""
    funding_interval_hours: int
    onboard_ms: int
    key: int
    """Root of all random numbers of this contract."""
    underlying: str = "COIN"
    """What it is on, in the exchange's words (`underlyingType`)."""

    @property
    def perpetual(self) -> bool:
        """Whether it never expires, and so has funding."""
        return self.contract_type.endswith("PERPETUAL")

    @property
    def wanted(self) -> bool:
        """Whether it is what clients look for: a USDT perpetual on a coin."""
        return self.contract_type == "PERPETUAL" and self.quote == "USDT"


def usual_volume(rank: int) -> float:
    """Usual 24 h quote volume in USDT of the contract with that rank (1 is the most liquid)."""
    for (r0, v0), (r1, v1) in itertools.pairwise(_VOLUME_BY_RANK):
        if rank <= r1:
            f = math.log(max(rank, 1) / r0) / math.log(r1 / r0)
            return v0 * (v1 / v0) ** f
    return _VOLUME_BY_RANK[-1][1]


def price_decimals(price: float) -> int:
    """Decimals of the tick size for a price scale: about five significant digits, between 0.1 and 0.00000001."""
    exponent = math.floor(math.log10(price))
    return min(8, max(1, 4 - exponent, 2 if price < 10_000 else 1))


def build_universe(count: int, seed: int) -> tuple[list[ContractSpec], list[ContractSpec]]:
    """The contracts trading at the start, most liquid first, and those kept for later listings.

    Raises ValueError unless 1 ≤ count ≤ 1000.
    """
    if not 1 <= count <= MAX_SYMBOLS:
        raise ValueError(f"expected 1 to {MAX_SYMBOLS} symbols, was {count}")
    root = subkey(seed, "universe")
    names = [(base, float(price)) for base, price in (word.rsplit(":", 1) for word in WELL_KNOWN.split())]
    names += _generated_names(root, count + RESERVE - len(names), {base for base, _ in names})
    # A small exchange still shows the whole spread of liquidity: the ranks are stretched over at least 500 places,
    # except for the first ten, which are what everybody knows.
    stretch = max(1.0, 500 / count)
    specs: list[ContractSpec] = []
    for place in range(count):
        rank = place + 1 if place < 10 else 10 + (place - 9) * stretch
        specs.append(_spec(*names[place], round(rank), root))
    reserve = [_spec(base, price, 120 + 3 * i, root) for i, (base, price) in enumerate(names[count : count + RESERVE])]
    return specs, reserve


def build_tradfi(seed: int) -> list[ContractSpec]:
    """The contracts on stocks and commodities."""
    root = subkey(seed, "tradfi")
    return [
        replace(
            _make(base + "USDT", base, "USDT", "TRADIFI_PERPETUAL", price, volume, root),
            underlying=underlying,
            # Calmer than coins, and none moves with them.
            daily_volatility=0.015,
            beta=0.0,
        )
        for base, underlying, price, volume in TRADFI
    ]


@dataclass(frozen=True, slots=True)
class Decoy:
    """A contract that is listed and yet no USDT perpetual in trading state."""

    spec: ContractSpec
    status: str


def new_spec(base: str, price: float, seed: int) -> ContractSpec:
    """A contract with a given name and price scale and the liquidity of a fresh listing."""
    return _spec(base, price, 120, subkey(seed, "universe"))


def build_decoys(specs: list[ContractSpec], seed: int) -> list[Decoy]:
    """Contracts that the real exchange lists too and that a client for USDT perpetuals must leave out.

    Those on a coin that is among `specs` move as it does.
    """
    root = subkey(seed, "decoys")
    by_base = {spec.base: spec for spec in specs}
    decoys: list[Decoy] = []
    for symbol, base, quote, kind, status, price in (
        ("BTCUSDC", "BTC", "USDC", "PERPETUAL", "TRADING", 101_800.0),
        ("ETHUSDC", "ETH", "USDC", "PERPETUAL", "TRADING", 3410.0),
        ("BTCUSDT_261225", "BTC", "USDT", "CURRENT_QUARTER", "TRADING", 102_800.0),
        ("ETHUSDT_261225", "ETH", "USDT", "CURRENT_QUARTER", "TRADING", 3440.0),
        ("BTCUSDT_270326", "BTC", "USDT", "NEXT_QUARTER", "TRADING", 103_800.0),
        ("OLDUSDT", "OLD", "USDT", "PERPETUAL", "SETTLING", 0.0213),
        ("GONEUSDT", "GONE", "USDT", "PERPETUAL", "CLOSE", 1.07),
        ("SOONUSDT", "SOON", "USDT", "PERPETUAL", "PENDING_TRADING", 0.35),
    ):
        spec = _make(symbol, base, quote, kind, price, 5e6, root)
        twin = by_base.get(base)
        if twin is not None:
            spec = replace(spec, key=twin.key, beta=twin.beta, daily_volatility=twin.daily_volatility)
        decoys.append(Decoy(spec, status))
    return decoys


def _generated_names(root: int, wanted: int, taken: set[str]) -> list[tuple[str, float]]:
    key = subkey(root, "names")
    heads, tails = NAME_HEADS.split(), NAME_TAILS.split()
    names: list[tuple[str, float]] = []
    i = 0
    while len(names) < wanted:
        bits = draw(key, i)
        i += 1
        base = heads[bits % len(heads)] + tails[(bits >> 20) % len(tails)]
        if base in taken:
            continue
        taken.add(base)
        names.append((base, round(10 ** (-1.2 + 0.8 * normal(key, i + (1 << 32))), 8)))
    return names


def _spec(base: str, price: float, rank: int, root: int) -> ContractSpec:
    symbol = base + "USDT"
    jitter = 1.0 if rank <= 10 else math.exp(0.3 * normal(subkey(root, symbol), 7))
    return _make(symbol, base, "USDT", "PERPETUAL", price, usual_volume(rank) * jitter, root)


def _make(symbol: str, base: str, quote: str, kind: str, price: float, volume: float, root: int) -> ContractSpec:
    key = subkey(root, symbol)
    decimals = price_decimals(price)
    # From 2.2 % a day for the largest contracts to some 8 % in the tail.
    calm = min(1.0, max(0.0, math.log10(volume / 2e5) / math.log10(12e9 / 2e5)))
    volatility = (0.080 - 0.058 * calm) * math.exp(0.25 * normal(key, 1))
    interval = (8, 8, 4, 4, 4, 4, 4, 4, 4, 1)[draw(key, 2) % 10] if volume < 800e6 else 8
    age_days = 30 + uniform(draw(key, 3)) * (2000 if volume > 5e6 else 900)
    listed_ms = int(1_762_000_000_000 - age_days * DAY_MS) // HOUR_MS * HOUR_MS
    return ContractSpec(
        symbol=symbol,
        base=base,
        quote=quote,
        contract_type=kind,
        base_price=price,
        tick_size=10.0**-decimals,
        price_decimals=decimals,
        quantity_decimals=3 if price > 1000 else 2 if price > 100 else 1 if price > 10 else 0,
        volume_24h=volume,
        daily_volatility=volatility,
        beta=max(0.2, 1.0 + 0.3 * smooth(key, 4.5)) if symbol != "BTCUSDT" else 0.8,
        funding_interval_hours=interval,
        onboard_ms=max(EPOCH_LISTED_MS, listed_ms),
        key=key,
    )
