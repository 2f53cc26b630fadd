"""What a feed counts: messages, rejects and the last sign of life of each stream. Read by /health and /metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from flashcur.domain.ticks import Reject
from flashcur.services.market.venues import Stream


@dataclass(slots=True)
class StreamCounters:
    """One kind of stream over all of its connections."""

    messages: int = 0
    """Raw messages, good or bad."""
    ticks: int = 0
    """Values passed on."""
    connects: int = 0
    """Connections opened, the first ones included."""
    restarts: int = 0
    """Connections closed because they were silent."""
    last_message_ms: int | None = None
    """Our clock, Unix ms, at the last message that held a usable value."""


@dataclass(slots=True)
class FeedCounters:
    """All streams of one feed."""

    streams: dict[Stream, StreamCounters] = field(default_factory=lambda: {s: StreamCounters() for s in Stream})
    rejects: Counter[tuple[str, str]] = field(default_factory=lambda: Counter[tuple[str, str]]())
    """By stream and reason; also those of REST answers."""

    @property
    def messages(self) -> int:
        """Raw messages of all streams."""
        return sum(stream.messages for stream in self.streams.values())

    @property
    def reconnects(self) -> int:
        """Connections opened after the first of each stream."""
        return sum(max(0, stream.connects - 1) for stream in self.streams.values())

    @property
    def last_message_ms(self) -> int | None:
        """Our clock, Unix ms, at the last usable message of any stream; None before the first."""
        return max((s.last_message_ms for s in self.streams.values() if s.last_message_ms is not None), default=None)

    def count(self, reject: Reject) -> None:
        """Count a refused value."""
        self.rejects[reject.stream, reject.reason] += 1
