"""What the columns of a file hold, and which values they may have. One table each for what can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashcur.domain.spikes import HOUR_MS

LEAST_MS = 1_230_768_000_000
MOST_MS = 4_102_444_800_000
"""The years 2009 to 2100: seconds or microseconds are outside."""

_TINY = 1e-12
_HUGE = 1e18


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers."""

    name: str
    means: str
    expects: str
    """What a value must be, in words."""
    low: float = 0.0
    high: float = _HUGE
    """Least and greatest value, both allowed."""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file beside `timestamp` (Unix ms) and `symbol`, which may be missing."""

    name: str
    columns: tuple[Column, ...]
    step_ms: int = 1
    """Every timestamp is a multiple of it."""

    def problem(self, values: Sequence[float]) -> str | None:
        """What is wrong with a row whose values are each allowed; None if nothing is."""
        if self is CANDLES and values[1] < values[2]:
            return f"high: expected at least the low {values[2]:g}, was {values[1]:g}"
        return None

    def help(self) -> str:
        """The columns, one a line, for a command's help."""
        step = ", a full hour" if self.step_ms == HOUR_MS else ""
        lines = [("timestamp", f"Unix ms{step}"), ("symbol", "optional: a file may hold many contracts")]
        lines += [(each.name, ("optional: " if each.optional else "") + each.means) for each in self.columns]
        return "\n".join(f"  {name:<16}{meaning}" for name, meaning in lines)


def _price(name: str, means: str, *, optional: bool = False) -> Column:
    return Column(name, means, "a number above 0", _TINY, optional=optional)


_AMOUNT = "a number, 0 or more"

CANDLES = Layout(
    "hourly candles",
    (
        _price("open", "price in USDT"),
        _price("high", "price in USDT"),
        _price("low", "price in USDT"),
        _price("close", "price in USDT"),
        Column("volume", "in base units", _AMOUNT),
        Column("quote_volume", "in USDT; without it volume × (open + close) / 2 stands in", _AMOUNT, optional=True),
    ),
    step_ms=HOUR_MS,
)
OPEN_INTEREST = Layout(
    "open interest",
    (
        Column("open_interest", "in base units", _AMOUNT),
        _price("price", "last price in USDT"),
        Column(
            "volume_24h",
            "quote volume of 24 h in USDT; without it every contract counts as liquid",
            _AMOUNT,
            optional=True,
        ),
    ),
)
FUNDING = Layout(
    "funding payments",
    (
        Column("rate", "fraction paid at that moment: 0.0001 is 0.01 %", "a fraction from -0.1 to 0.1", -0.1, 0.1),
        Column(
            "interval_hours",
            "hours since the payment before; without it told from the payments themselves",
            "a number of hours from 1 to 24",
            1.0,
            24.0,
            optional=True,
        ),
        _price("price", "in USDT", optional=True),
    ),
)
