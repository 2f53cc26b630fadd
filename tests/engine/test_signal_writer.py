"""Signals on their way into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import orjson
import pytest
from sqlalchemy import text
from sqlmodel import Session

from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.signal import Signal
from flashcur.domain.ticks import Instrument
from flashcur.engine import signal_writer
from flashcur.engine.signal_writer import KnownSet
from flashcur.models import SignalRecord
from flashcur.services.alerts.episodes import load_episodes
from flashcur.services.bus.topics import SIGNALS_TOPIC
from flashcur.services.records.instrument_sets import contracts_of, instruments_of, load_set, save_set
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.engine.detecting import Rig, detecting
from tests.support.programs import PostgresServer
from tests.support.signals import DEMO, REAL, signal
from tests.support.waiting import eventually

CONTRACTS = contracts_of([Instrument("BTCUSDT", "BTC", 0.1, 1, listed_ms=5), Instrument("ETHUSDT", "ETH", 0.01, 2)])


def keys(rig: Rig) -> list[str]:
    return [row.key for row in rig.rows()]


@pytest.fixture
def later_database(shared_postgres: PostgresServer, environ: dict[str, str]) -> Iterator[tuple[Database, str]]:
    """A database that is not there yet, and its name."""
    name = "later"
    url = shared_postgres.create_database("aside").replace("/aside", f"/{name}")
    shared_postgres.drop_database("aside")
    database = Database(Settings.load({**environ, "DATABASE_URL": url}))
    yield database, name
    database.close()
    shared_postgres.drop_database(name)


async def test_signals_are_committed_in_order_and_then_told(database: Database) -> None:
    async with detecting(database) as rig:
        async with rig.bus.subscribe(SIGNALS_TOPIC) as messages:
            rig.writer.put([signal(1), signal(2)])
            rig.writer.put([signal(3)])
            last = 0
            while last < 3:
                message = await anext(messages)
                last = orjson.loads(message.payload)["last_id"]
                # By the time it is told it can be read.
                assert last in {row.id or 0 for row in rig.rows()}
        assert keys(rig) == [signal(number).key for number in (1, 2, 3)]
        assert (rig.writer.stored, rig.writer.waiting, rig.writer.dropped) == (3, 0, 0)
        # Again: nothing is written, and nobody is told.
        rig.writer.put([signal(2), signal(4)])
        await rig.written()
        assert keys(rig) == [signal(number).key for number in (1, 2, 3, 4)]
        assert rig.writer.stored == 4
        assert len(rig.delays) == 4


async def test_episodes_are_written_in_order_with_the_signals(database: Database) -> None:
    async with detecting(database, writes=False) as rig:
        steps = [Episode(REAL, "open_interest", "AUSDT", "5m", inside, at_ms) for inside, at_ms in ((1, 5), (0, 9))]
        rig.writer.put([signal(1)], episodes=steps[:1])
        rig.writer.put([], episodes=steps[1:])
        assert rig.writer.episodes_of(REAL) == steps
        assert rig.writer.episodes_of(DEMO) == []
        await rig.writer.flush()
        assert (rig.writer.stored, rig.writer.dropped, rig.writer.waiting) == (1, 0, 0)
        with database.session(readonly=True) as session:
            assert load_episodes(session, REAL) == steps[1:]


async def test_two_writers_write_each_signal_once(database: Database) -> None:
    async with detecting(database) as one, detecting(database) as other:
        for number in range(40):
            for rig in (one, other):
                rig.writer.put([signal(number)])
        await one.written()
        await other.written()
        assert sorted(keys(one)) == sorted(signal(number).key for number in range(40))
        assert one.writer.stored + other.writer.stored == 40


async def test_signals_wait_for_a_database_that_is_away_with_their_true_times(
    later_database: tuple[Database, str],
    shared_postgres: PostgresServer,
    migrated_template: str,
) -> None:
    database, name = later_database
    async with detecting(database) as rig:
        rig.writer.put([signal(1)], KnownSet(REAL, CONTRACTS, 1))
        await eventually(lambda: rig.writer.is_held_up, "that it notices")
        rig.writer.put([signal(2)])
        assert [each.key for each in rig.writer.waiting_of(REAL)] == [signal(1).key, signal(2).key]
        shared_postgres.create_database(name, template=migrated_template)
        await rig.written()
        rows = rig.rows()
        assert [(row.key, row.event_ms, row.seen_ms) for row in rows] == [
            (each.key, each.event_ms, each.seen_ms) for each in (signal(1), signal(2))
        ]
        assert all(row.stored_ms == rig.now_ms for row in rows)
        assert not rig.writer.is_held_up


async def test_nothing_is_written_after_the_lease_is_lost(database: Database) -> None:
    async with detecting(database, writes=False) as rig:
        rig.writer.put([signal(1)], KnownSet(REAL, CONTRACTS, 1), episodes=[Episode(REAL, "funding", "A", "", 0, 1)])
        rig.tenure.lost.set()
        await asyncio.wait_for(rig.writer.run(), 5)
        await rig.writer.flush()
        assert not rig.rows()
        assert rig.writer.waiting == 3
        with database.session(readonly=True) as session:
            assert load_episodes(session, REAL) == []
            assert load_set(session, REAL) == []


async def test_what_the_database_refuses_holds_up_nothing(database: Database) -> None:
    async with detecting(database) as rig:
        rig.writer.put([signal(1), signal(2, event_ms=2**70), signal(3)])
        await rig.written()
        assert keys(rig) == [signal(1).key, signal(3).key]
        assert rig.writer.dropped == 1


async def test_a_value_that_no_statement_takes_holds_up_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = signal_writer.store

    def refusing(session: Session, signals: Sequence[Signal], now_ms: int) -> list[SignalRecord]:
        if signal(2).key in {each.key for each in signals}:
            # The driver cannot adapt it: a ProgrammingError, which a table that is missing gives, too.
            session.connection().execute(text("SELECT :value"), {"value": object()})
        return store(session, signals, now_ms)

    monkeypatch.setattr(signal_writer, "store", refusing)
    async with detecting(database) as rig:
        rig.writer.put([signal(1), signal(2), signal(3)])
        await rig.written()
        assert keys(rig) == [signal(1).key, signal(3).key]
        assert rig.writer.dropped == 1


async def test_the_oldest_give_way_when_too_many_wait(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_writer, "CAPACITY", 3)
    async with detecting(sqlite_database, writes=False) as rig:
        rig.writer.put([signal(number) for number in range(5)])
        assert (rig.writer.waiting, rig.writer.dropped) == (3, 2)
        await rig.writer.flush()
        assert keys(rig) == [signal(number).key for number in (2, 3, 4)]


def test_a_set_is_read_as_it_was_written_and_an_older_one_does_not_replace_it(database: Database) -> None:
    def save(session: Session, count: int, as_of_ms: int) -> None:
        save_set(session, REAL, CONTRACTS[:count], as_of_ms)

    with database.session() as session:
        assert load_set(session, REAL) == []
        save(session, 2, 1_000)
        save(session, 1, 999)
    with database.session() as session:
        assert load_set(session, REAL) == CONTRACTS
        assert contracts_of(instruments_of(load_set(session, REAL))) == CONTRACTS
        save(session, 1, 1_001)
    with database.session(readonly=True) as session:
        assert load_set(session, REAL) == CONTRACTS[:1]
    with pytest.raises(ValueError, match="a set of contracts"):
        instruments_of([{"symbol": "BTCUSDT"}])
