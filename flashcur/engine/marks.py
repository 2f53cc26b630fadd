"""The plans' marks: what a delayed plan sees until its next quarter hour or five minutes.

A mark is the first frame at or after its moment, cut to what the plan may see, published on the plan's topic and kept
in the database. The scheduler asks for it at its moment; should that be missed, the frames that follow notice.

A cold start publishes its first complete frame, whose ratios and open interest are still being asked for; that one mark
is published once more when they are there.
"""

from __future__ import annotations

import asyncio
import logging

from sqlmodel import Session

from flashcur.domain.frames import Frame
from flashcur.domain.plans import AUDIENCES, PLANS, Audience, last_mark_ms
from flashcur.engine.database_writer import WriteQueue
from flashcur.engine.publisher import Publisher
from flashcur.models import MarkFrame
from flashcur.services.bus.topics import mark_topic
from flashcur.services.records.mark_frames import save_mark

logger = logging.getLogger(__name__)

MARK_AUDIENCES: tuple[Audience, ...] = tuple(
    audience for audience in AUDIENCES if not PLANS[audience].live and audience != "guest"
)
"""The audiences with a mark of their own; guests see Free's."""

_FRAME_PATIENCE_S = 3.0
_LATE_MS = 5_000
"""How long after its moment a mark is the scheduler's to publish; then the next frame does it."""
_FILL_PATIENCE_MS = 90_000
"""How long a mark of a cold start may wait for what is asked for contract by contract, before it is said again."""
_FILLED_SHARE = 0.9
_SLOW_COLUMNS = ("ratio", "open_interest_usd", "oi_change_1h_pct")
"""What is asked for contract by contract; prices are there at once."""
_REPEAT_MS = 10_000
"""Marks are said again this often: a bus that was away, or came back empty, has them soon. Readers drop repetitions."""


class Marks:
    """The current mark of each delayed plan."""

    def __init__(self, bus: Publisher, writer: WriteQueue) -> None:
        self._bus = bus
        self._writer = writer
        self._marks: dict[Audience, Frame] = {}
        self._stored: dict[Audience, Frame] = {}
        self._filling: dict[Audience, int] = {}
        """Marks of a start that are to be published once more, and until when that can wait, Unix ms."""
        self._newest: Frame | None = None
        self._arrived = asyncio.Event()
        self._repeated_ms = 0
        self.published = 0

    def mark(self, audience: Audience) -> Frame | None:
        """The mark that is published now; None before the first."""
        return self._marks.get(audience)

    def restore(self, audience: Audience, frame: Frame) -> None:
        """Offer a mark of an earlier engine: used if the first frame finds it of its own period and mode."""
        self._stored[audience] = frame

    async def on_frame(self, frame: Frame) -> None:
        """Take note of a frame; publishes where there is no mark yet, or not of this mode, or one was missed."""
        self._newest = frame
        self._arrived.set()
        self._arrived = asyncio.Event()
        for audience in MARK_AUDIENCES:
            await self._check(audience, frame)
            await self._fill(audience, frame)
        if frame.as_of_ms >= self._repeated_ms + _REPEAT_MS:
            self._repeated_ms = frame.as_of_ms
            for audience, mark in self._marks.items():
                await self._send(audience, mark.seq, mark.encode())

    async def at_mark(self, audience: Audience, mark_ms: int) -> str:
        """What the scheduler runs at `mark_ms` (Unix ms): publish the first frame from then on.

        Returns one line that says what was done. Raises TimeoutError when no frame comes.
        """
        async with asyncio.timeout(_FRAME_PATIENCE_S):
            while self._newest is None or self._newest.as_of_ms < mark_ms:
                await self._arrived.wait()
        current = self._marks.get(audience)
        if current is not None and current.as_of_ms >= mark_ms:
            return "already published"
        if not self._newest.complete:
            return "no complete frame yet: the first one will be the mark"
        await self._publish(audience, self._newest)
        return f"{self._marks[audience].count} contracts"

    async def _check(self, audience: Audience, frame: Frame) -> None:
        current = self._marks.get(audience)
        if current is not None and current.demo == frame.demo:
            mark_ms = last_mark_ms(PLANS[audience].cadence_s, frame.as_of_ms)
            if current.as_of_ms >= mark_ms or frame.as_of_ms < mark_ms + _LATE_MS or not frame.complete:
                return
            logger.warning("the %s mark was missed and is published late", audience)
        elif not frame.complete:
            return
        stored = self._stored.pop(audience, None)
        if current is None and stored is not None and self._fits(audience, stored, frame):
            await self._hand_out(audience, stored)
            return
        await self._publish(audience, frame)
        starts = current is None or current.demo != frame.demo
        if starts and not _filled(self._marks[audience]):
            self._filling[audience] = frame.as_of_ms + _FILL_PATIENCE_MS

    async def _fill(self, audience: Audience, frame: Frame) -> None:
        """Publish the mark of a start once more when it lacks little, or the wait is over."""
        until_ms = self._filling.get(audience)
        if until_ms is None:
            return
        mark, cadence_s = self._marks[audience], PLANS[audience].cadence_s
        if last_mark_ms(cadence_s, frame.as_of_ms) != last_mark_ms(cadence_s, mark.as_of_ms):
            # The next mark is the scheduler's.
            del self._filling[audience]
            return
        if frame.complete and (frame.as_of_ms >= until_ms or _filled(frame.only(PLANS[audience]))):
            await self._publish(audience, frame)

    @staticmethod
    def _fits(audience: Audience, stored: Frame, frame: Frame) -> bool:
        cadence_s = PLANS[audience].cadence_s
        same_period = last_mark_ms(cadence_s, stored.as_of_ms) == last_mark_ms(cadence_s, frame.as_of_ms)
        return same_period and stored.demo == frame.demo and stored.as_of_ms <= frame.as_of_ms

    async def _publish(self, audience: Audience, frame: Frame) -> None:
        self._filling.pop(audience, None)
        mark = frame.only(PLANS[audience])
        payload = await self._hand_out(audience, mark)

        def save(session: Session) -> bool:
            # A row belongs to one session, and the work may be tried again: each try makes its own.
            row = MarkFrame(
                audience=audience, as_of_ms=mark.as_of_ms, exchange=mark.exchange, demo=mark.demo, payload=payload
            )
            return save_mark(session, row)

        self._writer.write(f"mark {audience}", save)

    async def _hand_out(self, audience: Audience, mark: Frame) -> bytes:
        self._marks[audience] = mark
        payload = mark.encode()
        await self._send(audience, mark.seq, payload)
        self.published += 1
        return payload

    async def _send(self, audience: Audience, seq: int, payload: bytes) -> None:
        await self._bus.publish(mark_topic(audience), seq, payload, payload)


def _filled(mark: Frame) -> bool:
    """Whether nearly all contracts on crypto have what the plan may see of the columns that come late."""
    columns, crypto = [mark.exact[name] for name in _SLOW_COLUMNS if name in mark.exact], mark.of("crypto")
    return all(sum(values[i] is not None for i in crypto) >= _FILLED_SHARE * len(crypto) for values in columns)
