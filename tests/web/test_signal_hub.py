"""What the hub shows each audience of the signals in a database, at each moment."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from flashcur.domain.plans import AUDIENCES, PLANS, Audience
from flashcur.domain.signals.filters import SignalFilter
from flashcur.domain.signals.signal import Signal
from flashcur.errors import DatabaseError
from flashcur.services.alerts import signals
from flashcur.services.bus.topics import LIVE_TOPIC, SIGNALS_TOPIC
from flashcur.services.storage.database import Database
from flashcur.web import signal_hub
from flashcur.web.market_hub import MarketHub
from flashcur.web.signal_hub import SHOWN, SignalHub
from tests.support.frames import market_frame
from tests.support.signals import DEMO, MINUTE_MS, NOON_MS, REAL, signal
from tests.support.waiting import eventually


class Stage:
    """A hub, its market and its clock."""

    def __init__(self, *, demo: bool = False, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms
        self.market = MarketHub()
        self.hub = SignalHub(self.market, lambda: self.now_ms)
        self.told: list[tuple[Audience, ...]] = []
        self.hub.listen(self.told.append)
        self.frame(demo=demo)

    def frame(self, *, demo: bool = False) -> None:
        """A second passes."""
        self.market.receive(LIVE_TOPIC, market_frame(1, demo=demo).encode())

    def keys(self, audience: Audience) -> list[str] | None:
        shown = self.hub.shown(audience)
        return None if shown is None else [record.key for record in shown]

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.hub.run(database))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def reads(self, what: str = "the hub has read") -> None:
        await eventually(lambda: self.hub.shown("elite") is not None, what)

    def poke(self) -> None:
        self.hub.receive(SIGNALS_TOPIC, b'{"last_id": 1}')


def store(database: Database, *found: Signal, stored_ms: int = NOON_MS) -> None:
    with database.session() as session:
        signals.store(session, found, stored_ms)


def searched(database: Database, audience: Audience, now_ms: int, *, demo: bool = False) -> list[str]:
    with database.session(readonly=True) as session:
        page = signals.search(session, PLANS[audience], SignalFilter(), demo=demo, now_ms=now_ms, limit=SHOWN)
    return [record.key for record in page.signals]


async def test_it_shows_what_a_search_finds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A swarm of open interest, real and demo data: whoever looks, and when, sees what the database would give."""
    # Each minute would wait for the end of the pause.
    monkeypatch.setattr(signal_hub, "_PAUSE_S", 0)
    chance = random.Random(5)
    stage = Stage(now_ms=NOON_MS - 60 * MINUTE_MS)
    for number in range(300):
        minutes = chance.uniform(0, 120)
        kind = {"detector": "open_interest", "kind": "OI_SURGE"} if chance.random() < 0.8 else {}
        origin = DEMO if chance.random() < 0.2 else REAL
        stored_ms = NOON_MS - int(minutes * MINUTE_MS) + chance.choice((50, 2_000))
        if stored_ms < stage.now_ms:
            store(database, signal(number, minutes=minutes, origin=origin, **kind), stored_ms=stored_ms)
    async with stage.running(database):
        await stage.reads()
        for number, minute in enumerate(range(-59, 29)):
            stage.now_ms = NOON_MS + minute * MINUTE_MS
            kind = {"detector": "open_interest", "kind": "OI_SURGE"} if number % 3 else {}
            store(database, signal(1000 + number, minutes=-minute, **kind), stored_ms=stage.now_ms)
            stage.poke()
            await eventually(lambda: stage.keys("elite") == searched(database, "elite", stage.now_ms), "elite")
            assert {a: stage.keys(a) for a in AUDIENCES} == {a: searched(database, a, stage.now_ms) for a in AUDIENCES}
            if minute == 0:
                # A hub that begins now sees the same.
                other = Stage(now_ms=stage.now_ms)
                async with other.running(database):
                    await other.reads()
                    assert {a: other.keys(a) for a in AUDIENCES} == {a: stage.keys(a) for a in AUDIENCES}
        assert stage.keys("pro") != stage.keys("elite")


async def test_delayed_plans_are_told_at_their_marks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_hub, "_PAUSE_S", 0)
    stage = Stage(now_ms=NOON_MS)
    async with stage.running(database):
        await stage.reads()
        assert stage.told == [AUDIENCES]
        stage.now_ms = NOON_MS + MINUTE_MS
        store(database, signal(1, minutes=-1), stored_ms=stage.now_ms)
        stage.poke()
        await eventually(lambda: len(stage.told) == 2, "elite is told")
        for minutes in (2, 4.99, 5, 10, 14.99, 15, 30):
            stage.now_ms = NOON_MS + int(minutes * MINUTE_MS)
            stage.frame()
        assert stage.told[1:] == [("elite",), ("pro",), ("guest", "free")]


async def test_real_and_demo_data_never_meet(database: Database) -> None:
    store(database, signal(1), signal(2, origin=DEMO), stored_ms=NOON_MS)
    stage = Stage()
    async with stage.running(database):
        await stage.reads()
        assert [stage.keys(a) for a in AUDIENCES] == [[signal(1).key]] * 4
        stage.frame(demo=True)
        assert [stage.keys(a) for a in AUDIENCES] == [[signal(2).key]] * 4
        stage.frame(demo=False)
        assert stage.told == [AUDIENCES] * 3


async def test_what_was_deleted_goes(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_hub, "_POLL_S", 0.02)
    store(sqlite_database, signal(1, origin=DEMO), signal(2, minutes=1, origin=DEMO))
    stage = Stage(demo=True)
    async with stage.running(sqlite_database):
        await stage.reads()
        with sqlite_database.session() as session:
            signals.purge_demo(session)
        # The last one stays, for its number.
        await eventually(lambda: stage.keys("elite") == [signal(2, minutes=1).key], "one is gone")
        with sqlite_database.session() as session:
            signals.prune(session, NOON_MS)
        await eventually(lambda: stage.keys("elite") == [], "all are gone")


async def test_a_signal_whose_number_was_passed_over_is_found(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines write at once: the larger id can be there first."""
    monkeypatch.setattr(signal_hub, "_POLL_S", 0.02)
    stage = Stage()
    late = signals.record_of(signal(1))
    late.id, late.stored_ms = 7, NOON_MS
    early = signals.record_of(signal(2))
    early.id, early.stored_ms = 8, NOON_MS
    with sqlite_database.session() as session:
        session.add(early)
    async with stage.running(sqlite_database):
        await stage.reads()
        with sqlite_database.session() as session:
            session.add(late)
        await eventually(lambda: len(stage.keys("elite") or ()) == 2, "both are there")


async def test_it_keeps_what_it_has_while_the_database_is_away(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signal_hub, "_POLL_S", 0.02)
    monkeypatch.setattr(signal_hub, "_PAUSE_S", 0.01)
    store(sqlite_database, signal(1))
    stage = Stage()
    asked = 0
    run = sqlite_database.run

    async def away(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise DatabaseError("away")

    async with stage.running(sqlite_database):
        await stage.reads()
        monkeypatch.setattr(sqlite_database, "run", away)
        await eventually(lambda: asked > 3, "it has asked again")
        assert stage.keys("guest") == [signal(1).key]
        assert len([record for record in caplog.records if "away" in record.message]) == 1
        monkeypatch.setattr(sqlite_database, "run", run)
        store(sqlite_database, signal(2))
        await eventually(lambda: len(stage.keys("guest") or ()) == 2, "it has read again")
