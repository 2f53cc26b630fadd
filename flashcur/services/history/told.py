"""Signals as `python -m flashcur.backtest` writes them, one JSON object a line, read back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import orjson

from flashcur.domain.spikes import HOUR_MS
from flashcur.errors import BadFile
from flashcur.services.history.files import NAMED_ROWS
from flashcur.services.kit.clock import to_ms


@dataclass(frozen=True, slots=True)
class Told:
    """One signal of a file."""

    symbol: str
    kind: str
    severity: int | None
    """None where the line names none."""
    quadrant: str | None
    bullish: bool | None
    """None for one without a direction."""
    at_ms: int
    """When it was told, Unix ms: its `time`, or the end of its `hour`."""
    price: float | None


def read_told(path: Path, symbol: str | None = None) -> list[Told]:
    """All signals of a file, or those of one contract. Raises BadFile, which names wrong lines."""
    told: list[Told] = []
    wrong: list[str] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    each = _told(orjson.loads(line))
                except ValueError as error:
                    wrong.append(f"{path}: line {number}: {error}")
                    continue
                if symbol is None or each.symbol == symbol:
                    told.append(each)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or error}") from None
    if wrong:
        more = [f"{path}: and {len(wrong) - NAMED_ROWS:,} more"] if len(wrong) > NAMED_ROWS else []
        raise BadFile("\n".join([*wrong[:NAMED_ROWS], *more]))
    return told


def _told(raw: object) -> Told:
    if not isinstance(raw, dict):
        raise ValueError(f"expected an object, was {type(raw).__name__}")
    fields = cast("dict[str, object]", raw)
    symbol, kind = fields.get("symbol"), fields.get("kind")
    if not isinstance(symbol, str) or not isinstance(kind, str):
        raise ValueError("expected symbol and kind as texts")
    severity, quadrant, price = fields.get("severity"), fields.get("quadrant"), fields.get("price")
    direction = fields.get("direction")
    return Told(
        symbol=symbol,
        kind=kind,
        severity=severity if isinstance(severity, int) else None,
        quadrant=quadrant if isinstance(quadrant, str) else None,
        bullish={"bullish": True, "bearish": False}.get(direction if isinstance(direction, str) else ""),
        at_ms=_moment(fields["time"]) if "time" in fields else _moment(fields.get("hour")) + HOUR_MS,
        price=float(price) if isinstance(price, int | float) and price > 0 else None,
    )


def _moment(value: object) -> int:
    try:
        return to_ms(datetime.fromisoformat(cast(str, value)))
    except (TypeError, ValueError):
        raise ValueError(f"expected time or hour in ISO 8601 with its zone, was {value!r}") from None
