"""What the hub tells the tabs of an account, from a database that is written to by others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text as sql
from sqlmodel import Session

from flashcur.errors import DatabaseError
from flashcur.models import AlertRecord
from flashcur.services.bus.topics import ALERTS_TOPIC
from flashcur.services.kit.clock import utc_now
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database
from flashcur.web import alert_hub
from flashcur.web.alert_hub import TELL_FOR_MS, AlertHub, AlertNews
from tests.support.accounts import add_account
from tests.support.alerts import NOON_MS
from tests.support.ledger import add_alert, add_delivery
from tests.support.waiting import eventually


class Stage:
    """A hub with a clock that stands, and what it told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOON_MS
        self.told: list[tuple[str, AlertNews]] = []
        self.absent: set[str] = set()
        self.hub = AlertHub(lambda: self.now_ms)
        self.hub.listen(lambda account_id, news: self.told.append((account_id, news)))
        self.hub.ask_presence(lambda account_id: account_id not in self.absent)
        self.looks = 0
        read = self.hub._read

        def counted(session: Session) -> object:
            self.looks += 1
            return read(session)

        self.hub._read = counted  # type: ignore[assignment, method-assign]

    def account(self, name: str) -> str:
        with self.database.session() as session:
            return add_account(session, f"{name}@example.com", utc_now())

    def alert(self, account_id: str) -> AlertRecord:
        with self.database.session() as session:
            return add_alert(session, account_id, self.now_ms)

    def ids(self, account_id: str) -> list[int | None]:
        """Of the alerts that the tabs of an account have been told of as new or moved, each once."""
        told = (entry.alert for of, news in self.told if of == account_id for entry in news.moved)
        return list(dict.fromkeys(alert.id for alert in told if alert is not None))

    async def looked(self, times: int = 2) -> None:
        """The hub has begun to look so many times more: what was there before was seen."""
        until = self.looks + times
        self.hub.receive(ALERTS_TOPIC, b"{}")
        await eventually(lambda: self.looks >= until, "the hub's look")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.hub.run(self.database))
        try:
            await eventually(lambda: self.looks > 0, "the first look")
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(alert_hub, "_POLL_S", 0.1)
    monkeypatch.setattr(alert_hub, "_PAUSE_S", 0.01)
    return Stage(database)


async def test_an_account_s_tabs_are_told_of_its_alerts_and_of_nobody_else_s(stage: Stage) -> None:
    ann, bob = stage.account("ann"), stage.account("bob")
    old = stage.alert(ann)
    async with stage.running():
        await stage.looked()
        assert stage.told == []
        new = stage.alert(ann)
        await eventually(lambda: bool(stage.told), "the news")
    assert {account_id for account_id, _ in stage.told} == {ann}
    news = stage.told[-1][1]
    assert [entry.alert.id for entry in news.newest if entry.alert] == [new.id, old.id]
    assert stage.ids(ann) == [new.id]
    assert stage.ids(bob) == []


async def test_each_step_of_a_delivery_is_told(stage: Stage) -> None:
    ann = stage.account("ann")
    with stage.database.session() as session:
        delivery = add_delivery(session, add_alert(session, ann, NOON_MS), "telegram", NOON_MS)
    async with stage.running():
        await stage.looked()
        for status in ("sending", "sent", "delivered"):
            with stage.database.session() as session:
                outbox.record(session, session.merge(delivery), status, stage.now_ms)  # type: ignore[arg-type]
            await eventually(
                lambda status=status: bool(stage.told) and stage.told[-1][1].moved[0].ways[0].delivery.status == status,
                status,
                10,
            )
        steps = stage.told[-1][1].moved[0].ways[0].steps
    assert [step.status for step in steps] == ["queued", "sending", "sent", "delivered"]


async def test_a_test_message_and_its_way_are_told(stage: Stage) -> None:
    ann = stage.account("ann")
    async with stage.running():
        await stage.looked()
        with stage.database.session() as session:
            test = add_delivery(session, None, "webhook", NOON_MS, ann, kind="test")
            add_delivery(session, None, "email", NOON_MS, ann, kind="mail")
        await eventually(lambda: bool(stage.told), "the news")
    news = stage.told[-1][1]
    assert [way.delivery.id for way in news.tests] == [test.id]
    assert [entry.key for entry in news.moved] == [f"d{test.id}"]


async def test_what_has_changed_is_told_again_for_a_while_and_then_no_more(stage: Stage) -> None:
    ann = stage.account("ann")
    async with stage.running():
        await stage.looked()
        first = stage.alert(ann)
        await eventually(lambda: len(stage.told) == 1, "the first")
        second = stage.alert(ann)
        await eventually(lambda: len(stage.told) == 2, "the second")
        assert [e.alert.id for e in stage.told[-1][1].moved if e.alert] == [second.id, first.id]
        stage.now_ms += TELL_FOR_MS + 1
        third = stage.alert(ann)
        await eventually(lambda: len(stage.told) == 3, "the third")
        assert [e.alert.id for e in stage.told[-1][1].moved if e.alert] == [third.id]
        await stage.looked(3)
        assert len(stage.told) == 3


async def test_who_has_no_tab_here_is_not_read_for(stage: Stage) -> None:
    ann = stage.account("ann")
    stage.absent.add(ann)
    async with stage.running():
        await stage.looked()
        stage.alert(ann)
        await stage.looked(3)
    assert stage.told == []


async def test_a_storm_is_told_whole(stage: Stage) -> None:
    ann = stage.account("ann")
    async with stage.running():
        await stage.looked()
        made: list[int | None] = []
        for _ in range(12):
            with stage.database.session() as session:
                made += [add_alert(session, ann, stage.now_ms).id for _ in range(10)]
            await stage.looked(1)
        await eventually(lambda: len(stage.ids(ann)) == 120, "the storm")
    assert sorted(stage.ids(ann), key=str) == sorted(made, key=str)


async def test_nothing_is_lost_while_the_database_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = stage.account("ann")
    run = stage.database.run
    away: list[int] = []

    async def failing(work: Callable[[Session], object], *, readonly: bool = False) -> object:
        # The second reading of a look fails, too: what was found by the first is not forgotten.
        if away and len(away) % 2 == 0:
            away.append(1)
            raise DatabaseError("away")
        away.extend([1] if away else [])
        return await run(work, readonly=readonly)

    async with stage.running():
        await stage.looked()
        monkeypatch.setattr(stage.database, "run", failing)
        away.append(1)
        made = [stage.alert(ann).id for _ in range(3)]
        await eventually(lambda: len(away) > 6, "failures")
        # However long that lasts.
        stage.now_ms += 10 * TELL_FOR_MS
        monkeypatch.setattr(stage.database, "run", run)
        await eventually(lambda: set(stage.ids(ann)) >= set(made), "the alerts")


async def test_rows_that_take_the_numbers_of_deleted_ones_are_told(stage: Stage) -> None:
    ann = stage.account("ann")
    for _ in range(5):
        stage.alert(ann)
    async with stage.running():
        await stage.looked()
        with stage.database.session() as session:
            session.connection().execute(sql("DELETE FROM alert"))
        await stage.looked()
        new = stage.alert(ann)
        await eventually(lambda: stage.ids(ann) == [new.id], "the new one")
