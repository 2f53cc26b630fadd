"""The web side of alerts: tells the open tabs of an account what was stored for it and how its messages fare.

A web process runs one hub. It reads what was committed since its last look, whenever the engine says on the bus that
alerts were stored and every second regardless, so a message that is lost costs a second and not an alert. Only what
belongs to accounts with a tab here is read further. While the database is away nothing is lost: it is read afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func
from sqlmodel import Session, col, select

from flashcur.errors import DatabaseError
from flashcur.models import AlertRecord, Delivery, DeliveryStep
from flashcur.services.alerts import inbox
from flashcur.services.alerts.inbox import Entry, Way
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

_POLL_S = 1.0
_PAUSE_S = 0.1
"""Between two readings: alerts come in storms."""
_OVERLAP = 200
"""Rows that are looked at again: of two writers, the one that began first may end last."""
TELL_FOR_MS = 10_000
"""What has changed is told again with what changes within this time, so that a tab which draws late misses none."""


@dataclass(frozen=True, slots=True)
class AlertNews:
    """What the tabs of an account are told."""

    newest: tuple[Entry, ...]
    """The newest alerts, the newest first."""
    moved: tuple[Entry, ...]
    """Messages that are new, or of which a delivery has moved, in the last seconds."""
    tests: tuple[Way, ...]
    """Test messages of the last minutes."""


Listener = Callable[[str, AlertNews], None]
"""Called with the id of the account, in the event loop."""


def read_news(
    session: Session, account_id: str, alert_ids: Iterable[int], delivery_ids: Iterable[int], now_ms: int
) -> AlertNews:
    """The news of an account; the ids are those of what has changed."""
    return AlertNews(
        tuple(inbox.newest(session, account_id)),
        tuple(inbox.entries_of(session, account_id, alert_ids, delivery_ids)),
        tuple(inbox.tests(session, account_id, now_ms)),
    )


@dataclass(slots=True)
class _Table:
    """How far a table that only grows has been read."""

    last: int | None = None
    """The largest id; None before the first look."""
    seen: set[int] = field(default_factory=lambda: set[int]())

    @property
    def first(self) -> int:
        """Rows with a larger id are to be read."""
        return max(0, (self.last or 0) - _OVERLAP)

    def begin(self, largest: int) -> bool:
        """Whether anything can be new; `largest` is the id of the newest row. Nothing is on the first look, or when
        rows were deleted: then what follows may have their numbers."""
        if self.last is not None and largest >= self.last:
            return True
        self.last = largest
        self.seen = set(range(self.first + 1, largest + 1))
        return False

    def take(self, ids: Sequence[int]) -> set[int]:
        """Which of these, all that are there after `first`, are new."""
        fresh = set(ids) - self.seen
        self.last = max(self.last or 0, *ids, 0)
        self.seen = {id_ for id_ in (*self.seen, *ids) if id_ > self.first}
        return fresh


@dataclass(slots=True)
class _Moved:
    """What has changed of an account lately, each with when it was noticed, Unix ms."""

    alerts: dict[int, int] = field(default_factory=lambda: dict[int, int]())
    deliveries: dict[int, int] = field(default_factory=lambda: dict[int, int]())

    def forget(self, before_ms: int) -> None:
        for kept in (self.alerts, self.deliveries):
            for id_ in [id_ for id_, at_ms in kept.items() if at_ms < before_ms]:
                del kept[id_]

    def __bool__(self) -> bool:
        return bool(self.alerts or self.deliveries)


class AlertHub:
    """See the module."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """`clock`: Unix ms."""
        self._clock = clock
        self._present: Callable[[str], bool] = lambda account_id: True
        self._listeners: list[Listener] = []
        self._alerts = _Table()
        self._steps = _Table()
        self._moved: dict[str, _Moved] = {}
        self._news = asyncio.Event()
        self._waiting: set[str] = set()
        """Accounts whose tabs are to be told; they stay here until the database has answered."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` with what the tabs of an account are to be told."""
        self._listeners.append(listener)

    def ask_presence(self, present: Callable[[str], bool]) -> None:
        """Have `present` say, by account id, who has a tab open here."""
        self._present = present

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message of the bus: alerts were stored. What it says is read from the database."""
        self._news.set()

    def poke(self) -> None:
        """Something was written by this very process: look at once. Call it in the event loop's thread."""
        self._news.set()

    async def run(self, database: Database) -> None:
        """Follow the database for ever; it must be migrated."""
        away = False
        while True:
            self._news.clear()
            try:
                await self._look(database)
                away = False
            except DatabaseError as error:
                if not away:
                    logger.error("alerts are not read, they are told once they can be: %s", error)
                away = True
            await asyncio.sleep(_PAUSE_S)
            try:
                async with asyncio.timeout(_POLL_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look(self, database: Database) -> None:
        now_ms = self._clock()
        for account_id, moved in list(self._moved.items()):
            # What nobody could be told of yet is no older for it.
            if account_id not in self._waiting:
                moved.forget(now_ms - TELL_FOR_MS)
                if not moved:
                    del self._moved[account_id]
        self._note(await database.run(self._read, readonly=True), now_ms)
        for account_id in list(self._waiting):
            if self._present(account_id):
                moved = self._moved.get(account_id, _Moved())
                alert_ids, delivery_ids = list(moved.alerts), list(moved.deliveries)
                news = await database.run(
                    lambda session, of=account_id, alerts=alert_ids, deliveries=delivery_ids: read_news(
                        session, of, alerts, deliveries, now_ms
                    ),
                    readonly=True,
                )
                for listener in self._listeners:
                    listener(account_id, news)
            self._waiting.discard(account_id)

    def _read(self, session: Session) -> tuple[list[tuple[int, str]], list[tuple[int, int, str | None]]]:
        """(alert id, account) and (step id, delivery id, account) of what is near the end of either table."""
        alerts: list[tuple[int, str]] = []
        steps: list[tuple[int, int, str | None]] = []
        if self._alerts.begin(session.exec(select(func.max(AlertRecord.id))).one() or 0):
            query = select(AlertRecord.id, AlertRecord.account_id).where(col(AlertRecord.id) > self._alerts.first)
            alerts = [(id_, account) for id_, account in session.exec(query) if id_ is not None]
        if self._steps.begin(session.exec(select(func.max(DeliveryStep.id))).one() or 0):
            query = (
                select(DeliveryStep.id, DeliveryStep.delivery_id, Delivery.account_id)
                .join(Delivery, col(Delivery.id) == col(DeliveryStep.delivery_id))
                .where(col(DeliveryStep.id) > self._steps.first, Delivery.kind != "mail")
            )
            steps = [(id_, of, account) for id_, of, account in session.exec(query) if id_ is not None]
        return alerts, steps

    def _note(self, found: tuple[list[tuple[int, str]], list[tuple[int, int, str | None]]], now_ms: int) -> None:
        alerts, steps = found
        fresh = self._alerts.take([id_ for id_, _ in alerts])
        for id_, account_id in alerts:
            if id_ in fresh and self._present(account_id):
                self._moved.setdefault(account_id, _Moved()).alerts[id_] = now_ms
                self._waiting.add(account_id)
        fresh = self._steps.take([id_ for id_, _, _ in steps])
        for id_, delivery_id, account_id in steps:
            if id_ in fresh and account_id is not None and self._present(account_id):
                self._moved.setdefault(account_id, _Moved()).deliveries[delivery_id] = now_ms
                self._waiting.add(account_id)
