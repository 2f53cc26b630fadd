"""The job that gathers: every account that has something due, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import event
from sqlmodel import select

from flashcur.engine.gathering import Gathering
from flashcur.models import Delivery
from flashcur.services.alerts.gathering import due_accounts
from flashcur.services.storage.database import Database
from tests.support.alert_world import BASE, make_world
from tests.support.alerts import NOON_MS


async def test_each_account_is_told_what_is_due(database: Database) -> None:
    worlds = [make_world(database, ["in-app", "email"], email=f"{name}@example.com") for name in ("ann", "bob")]
    now_ms = [NOON_MS]
    job = Gathering(database, worlds[0].channels, BASE, lambda: now_ms[0])
    for world in worlds:
        world.tell(*[world.alert(NOON_MS + number) for number in range(8)])
    assert await job.run() == "nothing to gather"
    now_ms[0] += 60_200
    assert await job.run() == "10 messages gathered into 2"
    assert await job.run() == "nothing to gather"
    with database.session(readonly=True) as session:
        summaries = session.exec(select(Delivery).where(Delivery.kind == "summary")).all()
    assert {row.recipient for row in summaries} == {"ann@example.com", "bob@example.com"}


async def test_an_account_that_fails_keeps_no_other_waiting(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The longest due come first, whatever becomes of those before them."""
    worlds = [make_world(database, ["in-app", "email"], email=f"{name}@example.com") for name in ("ann", "bob", "cat")]
    for place, world in enumerate(reversed(worlds)):
        world.tell(*[world.alert(NOON_MS + 10 * place + number) for number in range(8)])
    first = worlds[-1].account_id
    with database.session(readonly=True) as session:
        due = due_accounts(session, NOON_MS + 61_000)
    assert due == [world.account_id for world in reversed(worlds)]

    def refuse(_connection: object, _cursor: object, _statement: str, parameters: object, *_: object) -> None:
        if first in str(parameters):
            raise ZeroDivisionError

    event.listen(database.engine, "before_cursor_execute", refuse)
    job = Gathering(database, worlds[0].channels, BASE, lambda: NOON_MS + 61_000)
    assert await job.run() == "10 messages gathered into 2, 1 accounts failed"
    assert f"what is held for account {first} could not be told" in caplog.text
    event.remove(database.engine, "before_cursor_execute", refuse)
    assert await job.run() == "5 messages gathered into 1"
