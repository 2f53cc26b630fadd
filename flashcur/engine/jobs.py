"""Scheduled jobs: APScheduler decides when, this module runs each at most once at a time and reports how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Protocol, cast

from sqlmodel import Session

from flashcur.engine.database_writer import WriteQueue
from flashcur.errors import FlashCurError
from flashcur.services.records.job_runs import finish_run, start_run

# APScheduler ships no types: its classes are Any here, and nothing else sees them.
_Scheduler: Any = import_module("apscheduler.schedulers.asyncio").AsyncIOScheduler
_CronTrigger: Any = import_module("apscheduler.triggers.cron").CronTrigger
_IntervalTrigger: Any = import_module("apscheduler.triggers.interval").IntervalTrigger

logger = logging.getLogger(__name__)
logging.getLogger("apscheduler").setLevel(logging.WARNING)

JobWork = Callable[[], Awaitable[str]]
"""Does the job; returns one line that says what was done."""

RECORD_EVERY_S = 60.0
"""A job that runs more often, and goes as before, is written to the database this often."""
MISFIRE_GRACE_S = 10
"""A run that the scheduler missed by more than this is left out."""


class Trigger(Protocol):
    """When a job is due."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next moment after the one before (None: the first); None if there is no more. APScheduler's name."""
        ...


def every(seconds: float) -> Trigger:
    """A trigger that is due every `seconds`, counted from the start."""
    return cast("Trigger", _IntervalTrigger(seconds=seconds, timezone=UTC))


def on_the_clock(cadence_s: int) -> Trigger:
    """A trigger that is due at each multiple of `cadence_s` seconds of UTC clock time.

    Raises ValueError unless these are whole minutes that divide an hour, or an hour.
    """
    minutes = cadence_s // 60
    if cadence_s % 60 or not 1 <= minutes <= 60 or 60 % minutes:
        raise ValueError(f"expected whole minutes that divide an hour, was {cadence_s} s")
    minute = "0" if minutes == 60 else f"*/{minutes}"
    return cast("Trigger", _CronTrigger(minute=minute, second=0, timezone=UTC))


@dataclass(slots=True)
class JobReport:
    """The last run of a job."""

    name: str
    runs: int = 0
    failures: int = 0
    started: datetime | None = None
    """In UTC; None if it never ran."""
    finished: datetime | None = None
    """None: still running, or never run."""
    ok: bool | None = None
    """Of the last run that finished; None before the first."""
    detail: str = ""
    """One line: what was done, or the error."""
    running: bool = False


class Jobs:
    """Named jobs of one engine. Start with `start`, end with `stop`."""

    def __init__(self, writer: WriteQueue) -> None:
        self._writer = writer
        self._scheduler = _Scheduler(timezone=UTC)
        self._reports: dict[str, JobReport] = {}
        self._recorded: dict[str, datetime] = {}
        self._work: dict[str, tuple[JobWork, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def reports(self) -> list[JobReport]:
        """One for each job, in the order they were added."""
        return list(self._reports.values())

    def add(self, name: str, trigger: Trigger, work: JobWork, *, timeout_s: float, at_once: bool = True) -> None:
        """Run `work` when `trigger` says, for `timeout_s` seconds at most; with `at_once` also when the jobs start."""
        self._reports[name] = JobReport(name)
        self._work[name] = (work, timeout_s)
        options: dict[str, Any] = {"next_run_time": datetime.now(UTC) + timedelta(milliseconds=10)} if at_once else {}
        self._scheduler.add_job(
            self._due,
            trigger,
            args=(name,),
            id=name,
            coalesce=True,
            misfire_grace_time=MISFIRE_GRACE_S,
            replace_existing=True,
            **options,
        )

    def start(self) -> None:
        """Start the schedule in the running event loop."""
        self._scheduler.start()

    async def stop(self) -> None:
        """End the schedule and whatever runs."""
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start_now(self, names: Iterable[str]) -> None:
        """Run jobs without waiting for their turn."""
        if not self._stopping:
            for name in names:
                task = asyncio.create_task(self.run(name), name=f"job {name}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _due(self, name: str) -> None:
        # In a task of ours: a job that takes long neither holds up the schedule nor is cut off with a traceback.
        self.start_now((name,))

    async def run(self, name: str) -> None:
        """Run a job now; does nothing while it is running.

        Raises KeyError for an unknown name, never what the job raises: that is logged and reported.
        """
        report = self._reports[name]
        if report.running:
            return
        work, timeout_s = self._work[name]
        before = report.ok
        report.running, report.started, report.finished = True, datetime.now(UTC), None
        try:
            async with asyncio.timeout(timeout_s):
                report.detail = await work()
            report.ok = True
        except TimeoutError:
            report.ok, report.detail = False, f"not done within {timeout_s:g} s"
        except FlashCurError as error:
            report.ok, report.detail = False, " ".join(str(error).split())[:300]
        except asyncio.CancelledError:
            if self._stopping:
                return
            raise
        except Exception as error:
            logger.exception("the job %s failed", name)
            report.ok, report.detail = False, f"{type(error).__name__}: {error}"[:300]
        finally:
            report.running = False
        report.finished = datetime.now(UTC)
        report.runs += 1
        report.failures += not report.ok
        if not report.ok and before is not False:
            logger.warning("the job %s failed: %s", name, report.detail)
        self._record(report, changed=report.ok != before)

    def _record(self, report: JobReport, *, changed: bool) -> None:
        started, finished = report.started, report.finished
        if started is None or finished is None:
            return
        last = self._recorded.get(report.name)
        if not changed and last is not None and (finished - last).total_seconds() < RECORD_EVERY_S:
            return
        self._recorded[report.name] = finished
        name, ok, detail = report.name, bool(report.ok), report.detail

        def write(session: Session) -> None:
            start_run(session, name, started)
            finish_run(session, name, finished, ok=ok, detail=detail)

        self._writer.write(f"job {name}", write)
