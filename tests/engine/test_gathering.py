"""The job that gathers: every account that has something due, and nothing else."""

from __future__ import annotations

from sqlmodel import select

from flashcur.engine.gathering import Gathering
from flashcur.models import Delivery
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
