"""The web side of signals: what each audience is shown of the newest ones, from what is committed in the database.

A web process runs one hub. It reads what was stored after the last signal that it knows, whenever an engine says that
something was and every few seconds regardless, and tells its listeners whose list has changed: at once for a plan that
is live, at its mark for one that is not. While the database is away it keeps what it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import cast

from sqlmodel import Session

from flashcur.domain.plans import AUDIENCES, PLANS, Audience, Plan, last_mark_ms
from flashcur.domain.signals.filters import SignalFilter
from flashcur.errors import DatabaseError
from flashcur.models import SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.storage.database import Database
from flashcur.web.market_hub import MarketHub

logger = logging.getLogger(__name__)

SHOWN = 50
"""Signals that are shown beside the table, the newest; a plan with a shorter history sees fewer."""

_POLL_S = 5.0
_PAUSE_S = 0.2
"""Between two readings: signals come in swarms."""
_OVERLAP = 50
"""Signals that are read again every few seconds: of two engines, the one that began to write first may end last."""
_CADENCES = frozenset(PLANS[audience].cadence_s for audience in AUDIENCES)

Listener = Callable[[tuple[Audience, ...]], None]


class SignalHub:
    """The newest signals by audience; see the module."""

    def __init__(self, market: MarketHub, clock: Callable[[], int]) -> None:
        """`clock`: Unix ms."""
        self._market = market
        self._clock = clock
        self._known: dict[int, SignalRecord] = {}
        """By id; of real and of demo data, those that a plan is shown or will be at its next mark."""
        self._last_id: int | None = None
        """Of the signal read last; None until all has been read (again)."""
        self._lists: dict[Audience, tuple[SignalRecord, ...]] | None = None
        self._seen: object = None
        """What the lists were made from."""
        self._version = 0
        self._listeners: list[Listener] = []
        self._news = asyncio.Event()
        market.listen(lambda _: self.refresh())

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the audiences whose lists changed, in the event loop."""
        self._listeners.append(listener)

    def shown(self, audience: Audience) -> tuple[SignalRecord, ...] | None:
        """What an audience is shown now, the newest first; None while that is not known.

        Of the data that the table shows: real or demo.
        """
        return None if self._lists is None else self._lists[audience]

    @property
    def watched(self) -> int:
        """How many contracts detectors look at."""
        return 0 if self._market.live is None else len(self._market.live.of("crypto"))

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message of the bus: signals were stored. What it says is read from the database."""
        self._news.set()

    async def run(self, database: Database) -> None:
        """Follow the database for ever; it must be migrated."""
        away, looked_s = False, 0.0
        while True:
            self._news.clear()
            now_s = asyncio.get_running_loop().time()
            again = now_s - looked_s >= _POLL_S
            try:
                await self._read(database, again=again)
                away, looked_s = False, now_s if again else looked_s
            except DatabaseError as error:
                if not away:
                    logger.error("signals are not read, what is shown of them stays: %s", error)
                away = True
            self.refresh()
            await asyncio.sleep(_PAUSE_S)
            try:
                async with asyncio.timeout(_POLL_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    def refresh(self) -> None:
        """Tell the listeners of what has changed since: by a signal, a mark, or another kind of data."""
        live = self._market.live
        if live is None or self._last_id is None:
            return
        now_ms = self._clock()
        seen = (self._version, live.demo, *(last_mark_ms(cadence, now_ms) for cadence in _CADENCES if cadence > 1))
        if seen == self._seen:
            return
        self._seen = seen
        known = _newest_first(record for record in self._known.values() if record.demo == live.demo)
        lists: dict[Audience, tuple[SignalRecord, ...]] = {
            audience: tuple(_seen_by(PLANS[audience], known, now_ms)) for audience in AUDIENCES
        }
        before, self._lists = self._lists, lists
        changed: list[Audience] = [a for a in AUDIENCES if before is None or _ids(before[a]) != _ids(lists[a])]
        if changed:
            for listener in self._listeners:
                listener(tuple(changed))

    async def _read(self, database: Database, *, again: bool) -> None:
        last_id, now_ms = self._last_id, self._clock()
        if last_id is None:
            found = await database.run(lambda session: _all(session, now_ms), readonly=True)
            self._known = {}
        else:
            first = last_id - _OVERLAP if again else last_id
            found = await database.run(lambda session: signals.after_id(session, first), readonly=True)
            there = set(map(_id, found))
            if again and any(id_ > first and id_ not in there for id_ in self._known):
                # Deleted, as those of demo data are, or this is another database by now.
                self._last_id = None
                return await self._read(database, again=again)
        self.take(found, now_ms)
        return None

    def take(self, found: Iterable[SignalRecord], now_ms: int) -> None:
        """Know these signals, too; `refresh` tells of them."""
        new = {_id(record): record for record in found if record.id not in self._known}
        if new or self._last_id is None:
            self._known |= new
            self._version += 1
            self._last_id = max(self._last_id or 0, *new, 0)
            self._forget(now_ms)

    def _forget(self, now_ms: int) -> None:
        """Keep what somebody is shown or will be, of both kinds of data."""
        earliest_ms = min(last_mark_ms(cadence, now_ms) for cadence in _CADENCES)
        kept = {id_: record for id_, record in self._known.items() if record.stored_ms > earliest_ms}
        for demo in (False, True):
            known = _newest_first(record for record in self._known.values() if record.demo == demo)
            for plan in PLANS.values():
                kept |= {_id(record): record for record in _seen_by(plan, known, now_ms)}
        self._known = kept


def _all(session: Session, now_ms: int) -> list[SignalRecord]:
    """What every plan sees at `now_ms`, of real and demo data, and what some will see at their next mark."""
    earliest_ms = min(last_mark_ms(cadence, now_ms) for cadence in _CADENCES)
    found = [*signals.newest(session, limit=_OVERLAP), *signals.stored_after(session, earliest_ms)]
    for plan in PLANS.values():
        for demo in (False, True):
            found += signals.search(session, plan, SignalFilter(), demo=demo, now_ms=now_ms, limit=SHOWN).signals
    return list({_id(record): record for record in found}.values())


def _seen_by(plan: Plan, known: Iterable[SignalRecord], now_ms: int) -> Iterator[SignalRecord]:
    most = SHOWN if plan.history is None else min(plan.history, SHOWN)
    return islice((record for record in known if signals.sees(plan, record, now_ms=now_ms)), most)


def _newest_first(records: Iterable[SignalRecord]) -> list[SignalRecord]:
    return sorted(records, key=lambda record: (record.event_ms, _id(record)), reverse=True)


def _ids(records: Iterable[SignalRecord]) -> list[int]:
    return [_id(record) for record in records]


def _id(record: SignalRecord) -> int:
    return cast("int", record.id)
