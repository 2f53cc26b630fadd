"""Frames: the whole table as it is shown, taken from the book once a second.

A frame holds columns, each one string: the values of all contracts as they are displayed, in the frame's symbol
order, joined by `SEPARATOR` (flag columns are one character a contract, without separator). Packed this way a column
is compared, sent and kept as one value, and costs the browser one split. A missing value is empty.

======== =====================================================================
symbol   the exchange's id                    (moves only with the universe)
base     base asset                           (moves only with the universe)
interval hours between funding payments
next     minute of the next funding payment, Unix minutes
price    decimals by tick size
change   24 h, percent, signed
volume   24 h quote volume, compact
ratio    quote volume of this hour over the hour before
funding  current rate, percent, signed, 4 decimals
oi       open interest in USD, compact
oi1h     change of open interest in 1 h, percent, signed
move     `u` `d` `-`: the price against the frame before
spike    `1` where the canonical volume rule holds now
fresh    `1` for a day after the contract was listed
asset    what it is on, a letter (`domain.assets`)  (moves only with the universe)
closed   `1` while the market of what it is on is closed
age      ages of the cells that are older than their allowance: `p12s,f3m`
======== =====================================================================

`exact` carries the unrounded numbers for the API. Every frame on the bus is whole, so a reader that missed some is
right again with the next one; `seq` only orders them.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, cast

import orjson

from flashcur.domain import formats
from flashcur.domain.ages import ALLOWANCES, allowance
from flashcur.domain.assets import Assets, assets_of
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.plans import Plan
from flashcur.domain.spikes import HOUR_MS, SpikeRule

SEPARATOR = "|"
"""Between the values of a column; no symbol holds it (`services.market.checks`)."""
FLAG_COLUMNS = ("move", "spike", "fresh", "asset", "closed")
OPEN_INTEREST_COLUMNS = ("oi", "oi1h")
"""Columns that are sent only where the plan has open interest."""
COLUMNS = (
    *("symbol", "base", "interval", "next", "price", "change", "volume", "ratio", "funding"),
    *OPEN_INTEREST_COLUMNS,
    *FLAG_COLUMNS,
    "age",
)
EXACT_COLUMNS = (
    "price",
    "change_pct",
    "volume_quote",
    "ratio",
    "funding_rate",
    "open_interest_usd",
    "oi_change_1h_pct",
)
"""Names in `Frame.exact`: USDT, percent, USDT, a multiple, a fraction per interval, USDT, percent."""
STRIP_SIZE = 5
"""Contracts in `Frame.strip`."""

Liveness = Literal["connecting", "live", "delayed", "stale"]

LIVE_MS = allowance("ticker").ms
STALE_MS = 60_000
"""A feed is live while its newest price is within its allowance, delayed up to a minute, then stale."""

FUNDING_ACCENT_PCT = 0.03
"""A row has an accent from this funding rate on, in percent an interval, either way."""

_FRESH_MS = 24 * HOUR_MS


def feed_state(age_ms: int | None) -> Liveness:
    """What the page calls a feed whose newest price is `age_ms` old; `connecting` for None, before the first."""
    if age_ms is None:
        return "connecting"
    if age_ms <= LIVE_MS:
        return "live"
    return "delayed" if age_ms <= STALE_MS else "stale"


@dataclass(frozen=True, slots=True)
class Frame:
    """One second of the market, as shown."""

    seq: int
    """The Unix second, or one more than the frame before where the clock went back: it only rises."""
    as_of_ms: int
    """When the book was read, Unix ms."""
    exchange: str
    """ccxt id of the exchange the values come from."""
    title: str
    """The exchange's name for people."""
    demo: bool
    state: Liveness
    count: int
    """Contracts in the frame."""
    columns: dict[str, str] = field(default_factory=dict[str, str])
    """Packed values by name of `COLUMNS`; a column the plan may not see is absent."""
    strip: str = ""
    """The five largest of crypto by 24 h volume: `base|price|change|move` joined by `;`."""
    exact: dict[str, list[float | None]] = field(default_factory=dict[str, "list[float | None]"])
    """Unrounded numbers by name of `EXACT_COLUMNS`, in the same symbol order; None where one is missing."""
    quiet_ms: int = 0
    """Age of the newest price when the frame was taken."""

    def encode(self) -> bytes:
        """The frame as JSON bytes for the bus and the database."""
        return orjson.dumps(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The frame that `encode` wrote. Raises ValueError for what is no JSON object of its fields."""
        raw = orjson.loads(data)
        if not isinstance(raw, dict):
            raise ValueError(f"expected a frame, was {type(raw).__name__}")
        try:
            return cls(**cast("dict[str, Any]", raw))
        except TypeError as error:
            raise ValueError(f"expected a frame: {error}") from None

    @property
    def complete(self) -> bool:
        """Whether the frame can stand as a mark: it has contracts on crypto, and prices for 90 % of them."""
        prices, crypto = self.exact.get("price", []), self.of("crypto")
        return bool(crypto) and bool(prices) and sum(prices[i] is not None for i in crypto) >= 0.9 * len(crypto)

    def values(self, column: str) -> list[str]:
        """A column unpacked, one text a contract in symbol order, empty where a value is missing.

        For a column that is not in the frame the list has the wrong length: ask `columns` first.
        """
        packed = self.columns.get(column, "")
        if not self.count:
            return []
        return list(packed) if column in FLAG_COLUMNS else packed.split(SEPARATOR)

    def of(self, assets: Assets) -> list[int]:
        """Numbers of the rows of one half of the universe, in the frame's order."""
        if "asset" not in self.columns:
            return list(range(self.count)) if assets == "crypto" else []
        return [i for i, letter in enumerate(self.columns["asset"]) if assets_of(letter) == assets]

    def only(self, plan: Plan) -> Frame:
        """The frame as a plan may see it: the largest contracts by 24 h volume of each half of the universe, and open
        interest only if it has it."""
        frame = self
        if plan.rows is not None:
            keep = self.largest("crypto", plan.rows) + self.largest("tradfi", plan.rows)
            frame = self if len(keep) == self.count else self._pick(sorted(keep))
        return frame if plan.open_interest else frame._without_open_interest()

    def without(self, gone: Set[str]) -> Frame:
        """The frame without the contracts whose symbols are in `gone`."""
        return self._pick([i for i, symbol in enumerate(self.values("symbol")) if symbol not in gone])

    def _pick(self, keep: list[int]) -> Frame:
        columns: dict[str, str] = {}
        for name in self.columns:
            values = self.values(name)
            columns[name] = ("" if name in FLAG_COLUMNS else SEPARATOR).join([values[i] for i in keep])
        exact = {name: [values[i] for i in keep] for name, values in self.exact.items()}
        return replace(self, columns=columns, exact=exact, count=len(keep))

    def _without_open_interest(self) -> Frame:
        columns = {name: packed for name, packed in self.columns.items() if name not in OPEN_INTEREST_COLUMNS}
        if "age" in columns:
            columns["age"] = _without_open_interest_ages(columns["age"])
        exact = {name: values for name, values in self.exact.items() if not name.startswith(("open_interest", "oi_"))}
        return replace(self, columns=columns, exact=exact)

    def largest(self, assets: Assets, rows: int) -> list[int]:
        """Numbers of the largest rows by 24 h volume of one half, the largest first."""
        volumes = self.exact["volume_quote"]
        return sorted(self.of(assets), key=lambda i: -(volumes[i] or 0.0))[:rows]


def take(
    book: MarketBook,
    order: Sequence[str],
    *,
    seq: int,
    now_ms: int,
    exchange: str,
    title: str,
    demo: bool,
    state: Liveness,
    rule: SpikeRule,
    previous: Frame | None = None,
    quiet_ms: int = 0,
) -> Frame:
    """Read the book into a frame at `now_ms` (Unix ms).

    `order` is the symbol order; symbols no longer in the book are left out. `previous` is the frame that `move`
    compares prices with; without one nothing has moved.
    """
    rows = [row for symbol in order if (row := book.row(symbol)) is not None]
    before = _previous_prices(previous)
    exact: dict[str, list[float | None]] = {
        "price": [row.price for row in rows],
        "change_pct": [None if row.ticker is None else row.ticker.change_pct for row in rows],
        "volume_quote": [None if row.ticker is None else row.ticker.volume_quote for row in rows],
        "ratio": [row.ratio for row in rows],
        "funding_rate": [None if row.funding is None else row.funding.rate for row in rows],
        "open_interest_usd": [row.open_interest_usd for row in rows],
        "oi_change_1h_pct": [row.open_interest_change_pct(HOUR_MS) for row in rows],
    }
    closed = [row.instrument.is_closed(now_ms) for row in rows]
    prices = [formats.price(row.price, row.instrument.price_decimals) for row in rows]
    join = SEPARATOR.join
    columns = {
        "symbol": join([row.instrument.symbol for row in rows]),
        "base": join([row.instrument.base for row in rows]),
        "interval": join([str(row.instrument.funding_interval_hours) for row in rows]),
        "next": join([_next_funding(row) for row in rows]),
        "price": join(prices),
        "change": join(list(map(formats.percent, exact["change_pct"]))),
        "volume": join(list(map(formats.compact, exact["volume_quote"]))),
        "ratio": join(list(map(formats.multiple, exact["ratio"]))),
        "funding": join(list(map(formats.rate_percent, exact["funding_rate"]))),
        "oi": join(list(map(formats.compact, exact["open_interest_usd"]))),
        "oi1h": join(list(map(formats.percent, exact["oi_change_1h_pct"]))),
        "move": "".join([_move(before.get(row.instrument.symbol), row.price) for row in rows]),
        "spike": "".join(["1" if rule.holds(*row.hour_volumes()) else "0" for row in rows]),
        "fresh": "".join(["1" if _is_fresh(row, now_ms) else "0" for row in rows]),
        "asset": "".join([row.instrument.asset_class.letter for row in rows]),
        "closed": "".join(["1" if each else "0" for each in closed]),
        "age": join([_ages(book, row, now_ms, rests) for row, rests in zip(rows, closed, strict=True)]),
    }
    frame = Frame(seq, now_ms, exchange, title, demo, state, len(rows), columns, "", exact, quiet_ms)
    return replace(frame, strip=_strip(frame))


def changed(now: Frame, before: Frame | None) -> dict[str, str]:
    """The packed columns of `now` that differ from those of `before`, by name; all of them without one."""
    if before is None:
        return now.columns
    return {name: packed for name, packed in now.columns.items() if before.columns.get(name) != packed}


def _previous_prices(previous: Frame | None) -> dict[str, float | None]:
    if previous is None:
        return {}
    symbols, prices = previous.values("symbol"), previous.exact.get("price", [])
    # A frame that does not fit together tells no moves; it must not keep the next one from being taken.
    return dict(zip(symbols, prices, strict=True)) if len(symbols) == len(prices) else {}


def _move(before: float | None, price: float | None) -> str:
    if before is None or price is None or before == price:
        return "-"
    return "u" if price > before else "d"


def _is_fresh(row: Row, now_ms: int) -> bool:
    listed_ms = row.instrument.listed_ms
    return listed_ms is not None and 0 <= now_ms - listed_ms < _FRESH_MS


def _next_funding(row: Row) -> str:
    if row.funding is None or row.funding.next_funding_ms is None:
        return ""
    return str(row.funding.next_funding_ms // 60_000)


def _ages(book: MarketBook, row: Row, now_ms: int, closed: bool) -> str:
    # Where nothing trades no candle streams: it is polled, as a small contract's is.
    streamed = row.candle_streamed and not closed
    close = {"candle": streamed, "open_interest": row.liquid}
    late = [
        f"{each.letter}{duration(age)}"
        for each in ALLOWANCES
        if (age := book.age_ms(row, each.kind, now_ms)) is not None and age > each.limit_ms(close.get(each.kind, False))
    ]
    return ",".join(late)


def duration(age_ms: int) -> str:
    """An age in its largest whole unit, rounded down: `12s`, `3m`, `2h`, `5d`."""
    seconds = age_ms // 1000
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def _without_open_interest_ages(packed: str) -> str:
    return SEPARATOR.join(
        ",".join(age for age in cell.split(",") if not age.startswith("o")) for cell in packed.split(SEPARATOR)
    )


def _strip(frame: Frame) -> str:
    ranked = frame.largest("crypto", STRIP_SIZE)
    bases, prices, changes = frame.values("base"), frame.values("price"), frame.values("change")
    moves = frame.values("move")
    return ";".join(SEPARATOR.join((bases[i], prices[i], changes[i], moves[i])) for i in ranked)
