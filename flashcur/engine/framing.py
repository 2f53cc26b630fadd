"""One frame a second, on the wall clock's second, from the book to the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from flashcur.domain.frames import Frame, feed_state, take
from flashcur.domain.spikes import SpikeRule
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.publisher import Publisher
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.services.market.venues import venue_title

Clock = Callable[[], int]
OnFrame = Callable[[Frame], Awaitable[None]]


class Framer:
    """Takes frames of `market` and publishes them.

    Before an exchange has delivered its first prices there is nothing to publish: whoever opens the page then sees it
    connecting, and whoever has it open keeps what the engine before has sent.
    """

    def __init__(
        self,
        market: LiveMarket,
        bus: Publisher,
        rule: SpikeRule,
        *,
        clock: Clock,
        observe: Callable[[float], None],
        on_frame: OnFrame,
    ) -> None:
        """`observe` gets the seconds that taking, encoding and handing over took; `on_frame` each frame after that."""
        self._market = market
        self._bus = bus
        self._rule = rule
        self._clock = clock
        self._observe = observe
        self._on_frame = on_frame
        self.frames = 0
        self.last: Frame | None = None

    async def run(self) -> None:
        """One frame at each full second until cancelled; a second that was missed is not made up for."""
        due_ms = _next_second(self._clock())
        while True:
            await self._sleep_until(due_ms)
            await self.tick(self._clock())
            due_ms = max(due_ms, _next_second(self._clock()))

    async def _sleep_until(self, due_ms: int) -> None:
        while (left_ms := due_ms - self._clock()) > 0:
            # The clock may be set back while we wait; the next second is never far.
            if left_ms > 1_000:
                due_ms = _next_second(self._clock())
                continue
            await asyncio.sleep(left_ms / 1000)

    async def tick(self, now_ms: int) -> Frame | None:
        """Take and publish the frame of the moment `now_ms` (Unix ms); None while there is nothing to show."""
        started_s = perf_counter()
        frame = self._take(now_ms)
        if frame is None:
            return None
        payload = frame.encode()
        await self._bus.publish(LIVE_TOPIC, frame.seq, payload, payload)
        self._observe(perf_counter() - started_s)
        self.frames += 1
        self.last = frame
        await self._on_frame(frame)
        return frame

    def _take(self, now_ms: int) -> Frame | None:
        shown = self._market.settle(now_ms)
        if shown is None:
            return None
        before = self.last
        quiet_ms = shown.book.silence_ms("ticker", now_ms)
        same_market = before is not None and (before.exchange, before.demo) == (shown.venue.id, shown.demo)
        return take(
            shown.book,
            shown.order,
            # The second itself is the number: it goes on across engines, and the page sees which are missing.
            seq=max(now_ms // 1000, 0 if before is None else before.seq + 1),
            now_ms=now_ms,
            exchange=shown.venue.id,
            title=venue_title(shown.venue.id, demo=shown.demo),
            demo=shown.demo,
            state=feed_state(quiet_ms),
            quiet_ms=quiet_ms or 0,
            rule=self._rule,
            previous=before if same_market else None,
        )


def _next_second(now_ms: int) -> int:
    return (now_ms // 1000 + 1) * 1000
