"""Marks, instrument events and job runs, on both kinds of database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from flashcur.models import InstrumentEvent, JobRun, MarkFrame
from flashcur.services.records.instrument_events import prune_events, purge_demo_events, record_event
from flashcur.services.records.job_runs import finish_run, start_run
from flashcur.services.records.mark_frames import last_mark, save_mark
from flashcur.services.storage.database import Database

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def mark(as_of_ms: int, payload: bytes = b"\x00frame", *, audience: str = "free") -> MarkFrame:
    return MarkFrame(audience=audience, as_of_ms=as_of_ms, exchange="binanceusdm", demo=False, payload=payload)


def event(symbol: str, minutes: int = 0, *, demo: bool = False) -> InstrumentEvent:
    seen_at = NOON + timedelta(minutes=minutes)
    return InstrumentEvent(exchange="bybit", symbol=symbol, kind="listed", demo=demo, seen_at=seen_at)


def test_the_newest_mark_of_each_audience_is_kept(database: Database) -> None:
    with database.session() as session:
        assert save_mark(session, mark(1_795_435_200_000))
        assert save_mark(session, mark(1_795_435_200_000, b"other", audience="pro"))
        assert save_mark(session, mark(1_795_436_100_000, b"newer"))
        assert not save_mark(session, mark(1_795_435_200_000, b"late"))
    with database.session(readonly=True) as session:
        free, pro = last_mark(session, "free"), last_mark(session, "pro")
        assert last_mark(session, "elite") is None
    assert free is not None
    assert (free.as_of_ms, free.payload) == (1_795_436_100_000, b"newer")
    assert pro is not None
    assert pro.payload == b"other"


def test_demo_events_are_forgotten(database: Database) -> None:
    with database.session() as session:
        record_event(session, event("DEMOUSDT", demo=True))
        record_event(session, event("REALUSDT"))
    with database.session() as session:
        purge_demo_events(session)
    with database.session(readonly=True) as session:
        assert session.exec(select(InstrumentEvent.symbol)).all() == ["REALUSDT"]


def test_events_are_pruned_by_age(database: Database) -> None:
    with database.session() as session:
        for minutes, symbol in enumerate(("A", "B", "C")):
            record_event(session, event(symbol, minutes))
    with database.session() as session:
        assert prune_events(session, NOON + timedelta(minutes=1)) == 1
    with database.session(readonly=True) as session:
        assert set(session.exec(select(InstrumentEvent.symbol))) == {"B", "C"}


def test_a_job_shows_its_last_run_only(database: Database) -> None:
    later = NOON + timedelta(seconds=2)
    with database.session() as session:
        start_run(session, "prune", NOON)
    with database.session() as session:
        finish_run(session, "prune", later, ok=False, detail="timed out")
    with database.session() as session:
        finish_run(session, "digest", later, ok=True)
    with database.session(readonly=True) as session:
        digest, prune = session.exec(select(JobRun).order_by(col(JobRun.name))).all()
    assert (digest.name, digest.started_at, digest.ok) == ("digest", later, True)
    assert (prune.started_at, prune.finished_at, prune.ok, prune.detail) == (NOON, later, False, "timed out")
    with database.session() as session:
        start_run(session, "prune", later)
    with database.session(readonly=True) as session:
        run = session.get_one(JobRun, "prune")
        assert (run.finished_at, run.ok) == (None, None)
