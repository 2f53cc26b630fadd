"""Rules of an engine on the simulated exchange, from the exchange's message to the row and the word on the bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlmodel import select

from flashcur.domain.rules.condition import VolumeRatio
from flashcur.models import AlertRecord, Delivery, InputCheckpoint, RuleDay, RuleRecord
from flashcur.services.alerts import alerts
from flashcur.services.kit.clock import now_ms
from flashcur.services.lease import FileLease
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.alerts import alert
from tests.support.rules import add_owner, add_rule, definition
from tests.support.running import Running, running_engine
from tests.support.waiting import eventually

BTC = "BTCUSDT"


def stored(database: Database) -> list[AlertRecord]:
    with database.session(readonly=True) as session:
        return list(session.exec(select(AlertRecord).order_by(AlertRecord.id)))  # type: ignore[arg-type]


def add(database: Database, *conditions: object, **other: object) -> str:
    with database.session() as session:
        owner = add_owner(session, now_ms())
        return add_rule(session, owner, definition(*conditions, scope=BTC), now_ms() - 60_000, **other).id  # type: ignore[arg-type]


async def ready(running: Running) -> None:
    """Rules are evaluated, and BTC's hour can be compared with the hour before."""
    await eventually(lambda: bool(running.frames) and running.office.evaluation.is_ready, "rules at work", 20)
    await running.frame_where(lambda frame: bool(running.row(BTC, frame)["ratio"]), "a ratio", 20)


async def test_a_spike_fires_a_rule_once_and_within_its_time(
    live_settings: Settings, database: Database, exchange: SimulatedExchange
) -> None:
    rule_id = add(database, VolumeRatio(3.0, 0.0))
    async with running_engine(live_settings, database) as running:
        await ready(running)
        exchange.faults.volume_spike(BTC, ratio=6.0, over_s=1.0)
        await eventually(lambda: bool(stored(database)), "the alert", 10)
        (row,) = stored(database)
        assert (row.rule_id, row.symbol, row.exchange, row.demo) == (rule_id, BTC, "binanceusdm", False)
        assert row.event_ms <= row.seen_ms <= row.stored_ms
        assert row.stored_ms - row.seen_ms < 300
        assert "Volume" in row.title
        with database.session(readonly=True) as session:
            (delivery,) = session.exec(select(Delivery)).all()
            assert (delivery.alert_id, delivery.channel, delivery.status) == (row.id, "in-app", "delivered")
        await running.next_frame()
        await running.next_frame()
        assert len(stored(database)) == 1
        status = running.office.status().rules
        assert status is not None
        assert (status.state, status.active, status.contracts, status.stored, status.dropped) == ("ok", 1, 1, 1, 0)
        assert "1 rules" in await running.office.evaluation.sweep()
    # What a stop leaves: where contracts stood, and what was watched.
    with database.session(readonly=True) as session:
        assert len(session.exec(select(InputCheckpoint)).all()) == 1
        days = session.exec(select(RuleDay).where(RuleDay.rule_id == rule_id)).all()
    assert sum(day.watched_s for day in days) > 0
    # Again at once, with the same hour still above the line.
    async with running_engine(live_settings, database) as running:
        await ready(running)
        await running.next_frame()
        await running.next_frame()
        assert len(stored(database)) == 1


async def test_two_engines_on_one_database_tell_each_alert_once(
    live_environ: dict[str, str], sqlite_database: Database, exchange: SimulatedExchange, tmp_path: Path
) -> None:
    """Each believes to be alone: the lease of one is not that of the other."""
    settings = Settings.load(live_environ)
    add(sqlite_database, VolumeRatio(3.0, 0.0))
    async with (
        running_engine(settings, sqlite_database, lease=FileLease(tmp_path / "one.lock")) as one,
        running_engine(settings, sqlite_database, lease=FileLease(tmp_path / "other.lock")) as other,
    ):
        await asyncio.gather(ready(one), ready(other))
        exchange.faults.volume_spike(BTC, ratio=6.0, over_s=1.0)
        offices = (one.office, other.office)
        await eventually(lambda: all(each.evaluation.figures.firings for each in offices), "both to see it", 10)
        await eventually(lambda: not any(each.alert_writer.waiting for each in offices), "all written")
        assert len(stored(sqlite_database)) == 1
        with sqlite_database.session(readonly=True) as session:
            assert [rule.fires for rule in session.exec(select(RuleRecord))] == [1]


async def test_what_demo_data_left_is_purged_and_real_alerts_are_kept(
    running: Running, sqlite_database: Database
) -> None:
    with sqlite_database.session() as session:
        owner = add_owner(session, now_ms())
        found = [alert(owner, now_ms(), key="real"), alert(owner, now_ms(), key="demo", demo=True)]
        found.append(alert(owner, now_ms(), key="newest"))
        alerts.store(session, found, lambda *_: None, now_ms())
        session.add(InputCheckpoint(exchange="binanceusdm", demo=True, as_of_ms=1))
    await running.office.jobs.run("prune")
    assert [row.key for row in stored(sqlite_database)] == ["real", "newest"]
    with sqlite_database.session(readonly=True) as session:
        assert not session.get(InputCheckpoint, ("binanceusdm", True))
