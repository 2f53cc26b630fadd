"""Tasks that fail come back; nothing dies unnoticed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from flashcur.engine.jobs import Jobs, every
from flashcur.engine.polling import ENOUGH_FAILURES, each
from flashcur.errors import VenueRateLimited, VenueUnavailable
from flashcur.services.kit.supervision import Supervisor
from tests.engine.test_marks import Writes
from tests.support.waiting import eventually


async def test_a_task_that_raises_is_logged_counted_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError("broken")
        await asyncio.Event().wait()

    async with Supervisor() as tasks:
        tasks.start("fragile", work)
        await eventually(lambda: runs == 3, "a third run")
        assert tasks.failures["fragile"] == 2
        assert tasks.running == ["fragile"]
    assert caplog.text.count("fragile failed and is started again") == 2


async def test_a_task_that_returns_is_done() -> None:
    async def work() -> None:
        return

    async with Supervisor() as tasks:
        tasks.start("short", work)
        await eventually(lambda: not tasks.running, "its end")
        assert not tasks.failures


async def test_stopping_ends_a_task_that_waits_to_be_started_again() -> None:
    async def work() -> None:
        raise RuntimeError("broken")

    tasks = Supervisor()
    tasks.start("fragile", work)
    await eventually(lambda: tasks.failures["fragile"] == 1, "a failure")
    await asyncio.wait_for(tasks.stop(), 1)
    assert tasks.running == []


async def test_stopping_ends_a_task_that_swallows_a_cancellation() -> None:
    swallowed = False

    async def work() -> None:
        nonlocal swallowed
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed = True
        await asyncio.Event().wait()

    tasks = Supervisor(cancel_again_s=0.05)
    tasks.start("stubborn", work)
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.stop(), 2)
    assert swallowed


async def test_two_tasks_of_one_name_are_refused() -> None:
    async with Supervisor() as tasks:
        tasks.start("one", asyncio.Event().wait)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="one"):
            tasks.start("one", asyncio.Event().wait)  # type: ignore[arg-type]


class Scheduled:
    """Jobs with one job that does what the test says."""

    def __init__(self) -> None:
        self.writes = Writes()
        self.jobs = Jobs(self.writes)
        self.error: Exception | None = None
        self.wait = asyncio.Event()
        self.wait.set()
        self.calls = 0
        self.jobs.add("work", every(3600), self.work, timeout_s=0.2, at_once=False)

    async def work(self) -> str:
        self.calls += 1
        await self.wait.wait()
        if self.error is not None:
            raise self.error
        return "done"


@pytest.fixture
def scheduled() -> Scheduled:
    return Scheduled()


async def test_a_job_reports_what_it_did(scheduled: Scheduled) -> None:
    await scheduled.jobs.run("work")
    (report,) = scheduled.jobs.reports
    assert (report.ok, report.detail, report.runs, report.failures) == (True, "done", 1, 0)
    assert report.started is not None
    assert report.finished is not None
    assert scheduled.writes.keys == ["job work"]


async def test_a_job_that_goes_as_before_is_not_written_each_time(scheduled: Scheduled) -> None:
    for _ in range(5):
        await scheduled.jobs.run("work")
    assert len(scheduled.writes.keys) == 1
    scheduled.error = VenueUnavailable("the exchange is away")
    await scheduled.jobs.run("work")
    assert len(scheduled.writes.keys) == 2


@pytest.mark.parametrize(
    ("error", "detail"),
    [(VenueUnavailable("the exchange\nis away"), "the exchange is away"), (KeyError("x"), "KeyError: 'x'")],
)
async def test_a_job_that_fails_says_why_and_can_run_again(scheduled: Scheduled, error: Exception, detail: str) -> None:
    scheduled.error = error
    await scheduled.jobs.run("work")
    (report,) = scheduled.jobs.reports
    assert (report.ok, report.detail, report.failures) == (False, detail, 1)
    scheduled.error = None
    await scheduled.jobs.run("work")
    assert report.ok


async def test_a_job_that_hangs_is_ended(scheduled: Scheduled) -> None:
    scheduled.wait.clear()
    await scheduled.jobs.run("work")
    (report,) = scheduled.jobs.reports
    assert (report.ok, report.detail) == (False, "not done within 0.2 s")


async def test_a_job_runs_once_at_a_time(scheduled: Scheduled) -> None:
    scheduled.wait.clear()
    first = asyncio.create_task(scheduled.jobs.run("work"))
    await eventually(lambda: scheduled.calls == 1, "the first run")
    await scheduled.jobs.run("work")
    assert scheduled.calls == 1
    scheduled.wait.set()
    await first


async def test_the_scheduler_runs_a_job_at_once_and_stops_while_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs(Writes())
    started = asyncio.Event()

    async def work() -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    jobs.add("endless", every(3600), work, timeout_s=60)
    jobs.start()
    await asyncio.wait_for(started.wait(), 5)
    await asyncio.wait_for(jobs.stop(), 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_polling_keeps_order_and_passes_over_failures() -> None:
    asked: list[str] = []

    async def ask(symbol: str) -> None:
        asked.append(symbol)
        if symbol == "C":
            raise VenueUnavailable("no")

    assert await each(list("ABCDE"), 2, ask) == 4
    assert asked == list("ABCDE")


async def test_polling_stops_when_the_exchange_asks_for_fewer_requests() -> None:
    asked: list[str] = []

    async def ask(symbol: str) -> None:
        asked.append(symbol)
        raise VenueRateLimited("slower", retry_after=3)

    with pytest.raises(VenueRateLimited, match="slower"):
        await each(list("ABCDE"), 1, ask)
    assert asked == ["A"]


async def test_polling_gives_up_after_many_failures_in_a_row() -> None:
    asked: list[str] = []

    async def ask(symbol: str) -> None:
        asked.append(symbol)
        raise VenueUnavailable("no")

    with pytest.raises(VenueUnavailable):
        await each([str(i) for i in range(100)], 1, ask)
    assert len(asked) == ENOUGH_FAILURES
