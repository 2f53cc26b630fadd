"""One signal: something unusual that a detector saw, once and for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self, cast, get_args

from flashcur.domain.signals.evidence import Evidence

DetectorName = Literal["volume_spike", "adaptive_spike", "open_interest", "funding", "listing"]
"""The family that a signal belongs to."""
Kind = Literal[
    "SPIKE",
    "HALF_UPDATE",
    "FULL_UPDATE",
    "ADAPTIVE",
    "OI_SURGE",
    "FUNDING_EXTREME",
    "LISTED",
    "DELISTED",
    "TERMS_CHANGED",
]
Direction = Literal["bullish", "bearish", "none"]
Quadrant = Literal["long_build_up", "short_build_up", "short_covering", "long_unwinding"]
"""Open interest × price: up and up, up and down, down and up, down and down."""

DETECTOR_NAMES: tuple[DetectorName, ...] = get_args(DetectorName)
KINDS: tuple[Kind, ...] = get_args(Kind)
FOLLOW_UPS: tuple[Kind, ...] = ("HALF_UPDATE", "FULL_UPDATE")
"""They say more of one that was told: no event of their own."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
QUADRANTS: tuple[Quadrant, ...] = get_args(Quadrant)
SEVERITIES = (1, 2, 3)
"""Noticeable, strong, extreme."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose market a detector looks at; what two of these saw never meets."""

    exchange: str
    """ccxt id."""
    demo: bool = False
    """Whether it is the simulated exchange."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a detector saw. All times are Unix ms."""

    key: str
    """Names the event, not the observation: the same for two engines, a replayed hour and a restart."""
    detector: DetectorName
    kind: Kind
    origin: Origin
    symbol: str
    """The exchange's id of the contract."""
    base: str
    severity: int
    """One of `SEVERITIES`."""
    direction: Direction
    text: str
    """The one line that a person reads."""
    period_ms: int
    """Beginning of the hour, window or funding period that the signal belongs to."""
    span_ms: int
    """How long that is; 0 where there is none (listings)."""
    event_ms: int
    """The exchange's time of the message that fired."""
    seen_ms: int
    """When that message was received, by our clock."""
    price: float | None
    """In USDT when it fired; None where none was known."""
    evidence: Evidence
    quadrant: Quadrant | None = None
    """Of open interest and price; None for other kinds, or while the price's change is not known."""

    def to_json(self) -> dict[str, object]:
        """As JSON knows it; `from_json` is the way back."""
        return {
            "key": self.key,
            "detector": self.detector,
            "kind": self.kind,
            "exchange": self.origin.exchange,
            "demo": self.origin.demo,
            "symbol": self.symbol,
            "base": self.base,
            "severity": self.severity,
            "direction": self.direction,
            "quadrant": self.quadrant,
            "text": self.text,
            "period_ms": self.period_ms,
            "span_ms": self.span_ms,
            "event_ms": self.event_ms,
            "seen_ms": self.seen_ms,
            "price": self.price,
            "evidence": self.evidence.to_json(),
        }

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """What `to_json` gave. Raises ValueError for anything else."""
        try:
            rest = dict(cast("dict[str, object]", raw))
            origin = Origin(cast(str, rest.pop("exchange")), cast(bool, rest.pop("demo")))
            evidence = Evidence.from_json(rest.pop("evidence"))
            signal = cls(origin=origin, evidence=evidence, **rest)  # pyright: ignore[reportArgumentType]
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected a signal: {error}") from None
        if signal.kind not in KINDS or signal.detector not in DETECTOR_NAMES or signal.severity not in SEVERITIES:
            raise ValueError(f"expected a signal of a known kind, was {signal.detector} {signal.kind}")
        return signal


def signal_key(origin: Origin, symbol: str, kind: Kind, period_ms: int, *details: object) -> str:
    """The key of an event: `binanceusdm:BTCUSDT:SPIKE:2026-11-27T07:00Z`, with details that tell several apart.

    Real and simulated ones never share a key.
    """
    parts = (origin.exchange, symbol, kind, iso_minute(period_ms), *map(str, details))
    return ":".join(("demo", *parts) if origin.demo else parts)


def iso_minute(at_ms: int) -> str:
    """A moment to the minute, UTC: `2026-11-27T07:00Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
