"""What was really sent, so that a test can compare a screen with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["ticker", "mark", "kline", "oi"]
KINDS: Final[tuple[Kind, ...]] = ("ticker", "mark", "kline", "oi")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message (or one element of an array message) as it was sent, with the texts of the wire.

    `price` is the last price (ticker), the close (kline) or the mark price (mark); `change` the 24 h change in
    percent; `quote` the 24 h or the hour's quote volume; `rate` the funding rate; `contracts` the open interest.
    """

    kind: Kind
    event_ms: int
    price: str | None = None
    change: str | None = None
    quote: str | None = None
    rate: str | None = None
    contracts: str | None = None


class Recorder:
    """The last messages of each contract and kind, oldest first."""

    def __init__(self, keep: int = 30) -> None:
        self._keep = keep
        self._sent: dict[Kind, dict[str, deque[tuple[int, str]]]] = {kind: {} for kind in KINDS}

    def note(self, symbol: str, kind: Kind, event_ms: int, text: str) -> None:
        """Keep the message text; it is taken apart only when somebody asks."""
        log = self._sent[kind].get(symbol)
        if log is None:
            log = self._sent[kind][symbol] = deque(maxlen=self._keep)
        log.append((event_ms, text))

    def last(self, symbol: str, limit: int = 100, kind: Kind | None = None) -> list[Sent]:
        """At most `limit` of the latest messages of a contract, oldest first."""
        kinds: tuple[Kind, ...] = KINDS if kind is None else (kind,)
        log: list[tuple[int, Kind, str]] = [
            (event_ms, k, text) for k in kinds for event_ms, text in self._sent[k].get(symbol, ())
        ]
        log.sort(key=lambda entry: entry[0])
        return [_read(k, event_ms, text) for event_ms, k, text in log[-limit:]] if limit > 0 else []


def _field(text: str, name: str) -> str | None:
    """The value of a quoted field in a message text (also in one that is not valid JSON any more)."""
    start = text.rfind(f'"{name}":"')
    if start < 0:
        return None
    start += len(name) + 4
    end = text.find('"', start)
    return text[start:end] if end >= 0 else None


def _read(kind: Kind, event_ms: int, text: str) -> Sent:
    if kind == "ticker":
        return Sent(kind, event_ms, _field(text, "c"), _field(text, "P"), _field(text, "q"))
    if kind == "mark":
        return Sent(kind, event_ms, _field(text, "p"), rate=_field(text, "r"))
    if kind == "kline":
        return Sent(kind, event_ms, _field(text, "c"), quote=_field(text, "q"))
    return Sent(kind, event_ms, contracts=_field(text, "openInterest"))
