"""When each scheduled job last ran, and how it went."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from flashcur.models import JobRun


def start_run(session: Session, name: str, now: datetime) -> None:
    """Note that job `name` began at `now`; the note of its former run is replaced."""
    session.merge(JobRun(name=name, started_at=now, finished_at=None, ok=None, detail=""))


def finish_run(session: Session, name: str, now: datetime, *, ok: bool, detail: str = "") -> None:
    """Note how the run that `start_run` began has ended. Without a start, the run has no duration."""
    run = session.get(JobRun, name) or JobRun(name=name, started_at=now)
    run.finished_at, run.ok, run.detail = now, ok, detail
    session.add(run)
