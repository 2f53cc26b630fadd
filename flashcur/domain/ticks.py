"""What an exchange told us, in one shape for every exchange.

Every message is frozen and carries two times in Unix milliseconds: `event_ms`, the exchange's own time, and
`seen_ms`, our clock when the raw message arrived; and `skew_ms`, how far the exchange's clock was ahead of ours
then, as far as is known (a replay has one clock). Parsers create these from raw messages and nothing else does; a
value that is NaN, infinite, negative where it cannot be, blank or absurd never becomes a tick.

Prices and volumes are in USDT, rates are fractions per funding interval (0.0001 is 0.01 %), percentages are
percent (1.5 is 1.5 %).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from flashcur.domain.assets import AssetClass

TickKind = Literal["ticker", "funding", "candle", "open_interest"]
"""What a tick tells, and so which stream of the exchange confirms it; also the name of its field in `book.Row`."""
Span = tuple[int, int]
"""From when until when, Unix ms; the end is not in it."""
TICK_KINDS: tuple[TickKind, ...] = ("ticker", "funding", "candle", "open_interest")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One USDT-quoted linear perpetual contract in trading state."""

    symbol: str
    """The exchange's own id, opaque (`BTCUSDT`, `1000PEPEUSDT`, Chinese characters occur)."""
    base: str
    """Base asset as the exchange writes it (`BTC`, `1000PEPE`)."""
    tick_size: float
    """Smallest price step in USDT, > 0."""
    price_decimals: int
    """Decimals a price is shown with, from the tick size."""
    contract_size: float = 1.0
    """Base units in one contract, > 0 (1 on Binance USD-M and Bybit linear)."""
    funding_interval_hours: int = 8
    """Hours between funding payments: 1, 2, 4 or 8."""
    listed_ms: int | None = None
    """When trading began, Unix ms; None where the exchange does not say."""
    delivery_ms: int | None = None
    """When the contract will be delivered and end, Unix ms; None for as long as it has no end."""
    asset_class: AssetClass = AssetClass.CRYPTO
    """What it is on, in the exchange's own words."""
    closed: tuple[Span, ...] = ()
    """When the market of what it is on is closed; empty where the exchange does not say, or it never is."""

    @property
    def is_crypto(self) -> bool:
        """Whether it is in the table that everybody is shown first."""
        return self.asset_class is AssetClass.CRYPTO

    def is_closed(self, now_ms: int) -> bool:
        """Whether the market of what it is on is closed at `now_ms` (Unix ms), as far as the exchange tells.

        Its contract may trade on, or rest: no change then is not staleness.
        """
        return bool(self.closed) and any(begin_ms <= now_ms < end_ms for begin_ms, end_ms in self.closed)


@dataclass(frozen=True, slots=True)
class Ticker:
    """Last trade and the rolling 24 hours."""

    symbol: str
    price: float
    """Last price in USDT, > 0."""
    change_pct: float
    """Change over 24 hours in percent, signed."""
    volume_quote: float
    """Turnover of 24 hours in USDT."""
    event_ms: int
    seen_ms: int
    skew_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Funding:
    """Mark price and current funding rate."""

    symbol: str
    mark_price: float
    """In USDT."""
    rate: float
    """Fraction per funding interval, signed: positive where longs pay."""
    next_funding_ms: int | None
    """When it is paid next, Unix ms; None where the exchange does not say."""
    event_ms: int
    seen_ms: int
    skew_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle, of an hour unless said otherwise.

    `volume_quote` in USDT is the exchange's own figure, never base volume times a price.
    """

    symbol: str
    open_ms: int
    """Its beginning, Unix ms."""
    open: float
    high: float
    low: float
    close: float
    volume_quote: float
    closed: bool
    """Whether the exchange has called the hour finished; else it is in progress, or its close was missed."""
    event_ms: int
    seen_ms: int
    skew_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open contracts; in USD it is contracts × contract size × price."""

    symbol: str
    contracts: float
    """Number of contracts, ≥ 0."""
    event_ms: int
    seen_ms: int
    skew_ms: int = field(default=0, compare=False)


Tick = Ticker | Funding | Candle | OpenInterest


def told_ms(tick: Tick) -> int:
    """When the exchange told it, by our clock, Unix ms; not after it arrived."""
    return min(tick.event_ms - tick.skew_ms, tick.seen_ms)


@dataclass(frozen=True, slots=True)
class Reject:
    """A raw value that was refused, with what the log needs."""

    stream: str
    """`ticker`, `funding`, `candle`, `open_interest`, `funding_payment` or `instrument`."""
    reason: str
    """Short stable word, a metric label: `missing`, `not_a_number`, `negative`, `crossed`, `absurd`, `malformed`."""
    symbol: str | None = None
    """None where the message names none that can be read."""
    detail: str = ""
    """What was found, shortened for the log."""
