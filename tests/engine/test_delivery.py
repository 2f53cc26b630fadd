"""From the outbox to the provider: retries, leases, and a database that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from sqlmodel import col, select

from flashcur.engine.delivery import BATCH, Mailer
from flashcur.models import Account, AccountChange, AuditEvent
from flashcur.models.mail import Mail
from flashcur.services.accounts import mail_tokens, undelivered
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.notify import MailSender, Rendered, enqueue, make_sender
from flashcur.services.notify.outbox import LEASE, claim_due
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account
from tests.support.programs import PostgresServer
from tests.support.running import running_engine
from tests.support.sendgrid import API_KEY, Reply, SendGridServer, sendgrid_server
from tests.support.waiting import eventually

BASE = "https://flashcur.example"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    def advance(self, by: timedelta) -> None:
        self.ms += by // timedelta(milliseconds=1)


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with sendgrid_server() as server:
        yield server


@pytest.fixture
def environ(environ: dict[str, str], sendgrid: SendGridServer) -> dict[str, str]:
    return {
        **environ,
        "SENDGRID_API_KEY": API_KEY,
        "SENDGRID_API_BASE": sendgrid.url,
        "FLASHCUR_FROM_EMAIL": "mail@flashcur.example",
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextlib.asynccontextmanager
async def running_mailer(
    database: Database, settings: Settings, clock: Clock, sender: MailSender | None = None
) -> AsyncIterator[Mailer]:
    mailer = Mailer(database, sender or make_sender(settings), settings, clock, every_s=0.05)
    async with Supervisor() as tasks:
        tasks.start("mailer", mailer.run)
        yield mailer
        assert tasks.failures["mailer"] == 0


def queue(database: Database, clock: Clock, *names: str, template: str = "password-changed") -> None:
    values = {"base": BASE} | ({"token_id": "0" * 32} if template == "reset" else {})
    with database.session() as session:
        for name in names:
            enqueue(session, f"{name}@example.com", template, values, from_ms(clock()))


def mails(database: Database) -> list[Mail]:
    with database.session(readonly=True) as session:
        return list(session.exec(select(Mail).order_by(col(Mail.id))))


def statuses(database: Database) -> list[str]:
    return [mail.status for mail in mails(database)]


async def looked(database: Database, mailer: Mailer) -> None:
    """Return after the mailer has looked into the outbox once more, and found nothing."""
    done = 0
    run = database.run

    async def counted(work: Callable[..., object], *, readonly: bool = False) -> object:
        nonlocal done
        found = await run(work, readonly=readonly)
        done += readonly and not found
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "run", counted)
        await eventually(lambda: done >= 1, "a look into the outbox")


async def test_queued_mail_is_sent_and_marked(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    queue(database, clock, "a", template="reset")
    async with running_mailer(database, settings, clock) as mailer:
        await eventually(lambda: mailer.sent == 1, "the first mail")
        queue(database, clock, "b", "c")
        await eventually(lambda: mailer.sent == 3, "the others")
    assert sendgrid.recipients[0] == "a@example.com"
    assert f"{BASE}/reset#token=000" in sendgrid.mails[0]["content"][0]["value"]
    for mail in mails(database):
        assert (mail.status, mail.attempts, mail.problem) == ("sent", 1, "")
        assert mail.sent_at == from_ms(clock())
        assert (mail.provider_id or "").startswith("message-")
    assert (mailer.failed, mailer.dead) == (0, 0)


async def test_more_mail_than_a_batch_does_not_wait_for_the_next_look(
    sqlite_database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    queue(sqlite_database, clock, *map(str, range(2 * BATCH + 5)))
    async with running_mailer(sqlite_database, settings, clock) as mailer:
        await eventually(lambda: mailer.sent == 2 * BATCH + 5, "all mails", 10)
    assert len(set(sendgrid.recipients)) == sendgrid.requests == 2 * BATCH + 5


async def test_two_mailers_send_each_mail_once(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    queue(database, clock, *map(str, range(30)))
    async with (
        running_mailer(database, settings, clock) as one,
        running_mailer(database, settings, clock) as two,
    ):
        await eventually(lambda: one.sent + two.sent == 30, "all mails", 15)
    assert len(set(sendgrid.recipients)) == sendgrid.requests == 30


async def test_the_provider_is_left_alone_for_as_long_as_it_asks(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    sendgrid.script.append(Reply(429, {"Retry-After": "30"}))
    queue(database, clock, "a")
    async with running_mailer(database, settings, clock) as mailer:
        await eventually(lambda: mailer.failed == 1, "a failure")
        (mail,) = mails(database)
        assert (mail.status, mail.due_at) == ("queued", from_ms(clock()) + timedelta(seconds=30))
        assert "429" in mail.problem
        clock.advance(timedelta(seconds=29))
        await looked(database, mailer)
        assert sendgrid.requests == 1
        clock.advance(timedelta(seconds=1))
        await eventually(lambda: mailer.sent == 1, "the mail")
    assert mails(database)[0].attempts == 2


async def test_an_outage_is_told_once_and_delays_grow(
    sqlite_database: Database,
    settings: Settings,
    clock: Clock,
    sendgrid: SendGridServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flashcur.engine.delivery")
    queue(sqlite_database, clock, "a")
    delays: list[float] = []
    async with running_mailer(sqlite_database, settings, clock) as mailer:
        for attempt in range(1, 7):
            sendgrid.script.append(Reply(503))
            await eventually(lambda attempt=attempt: mailer.failed == attempt, "a failure")
            wait = mails(sqlite_database)[0].due_at - from_ms(clock())
            delays.append(wait.total_seconds())
            # The clock counts whole milliseconds.
            clock.advance(wait + timedelta(milliseconds=1))
        await eventually(lambda: mailer.sent == 1, "the mail")
    for delay, most in zip(delays, (5, 10, 20, 40, 80, 160), strict=True):
        assert max(5, most / 2) <= delay <= most
    assert caplog.text.count("is tried again") == 1
    assert caplog.text.count("mail is sent again") == 1
    assert "example.com" not in caplog.text


async def test_one_mail_that_is_refused_does_not_hold_up_the_others(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    with database.session() as session:
        enqueue(session, "nobody", "changed", {"base": BASE}, from_ms(clock()))
        # Left by another version.
        session.add(Mail(recipient="x@example.com", template="gone", due_at=from_ms(0), created_at=from_ms(clock())))
    queue(database, clock, "a")
    async with running_mailer(database, settings, clock) as mailer:
        await eventually(lambda: (mailer.sent, mailer.dead) == (1, 2), "one sent and two given up")
        await looked(database, mailer)
    assert statuses(database) == ["dead", "dead", "sent"]
    assert [mail.problem.split(":")[0] for mail in mails(database)[:1]] == ["SendGrid answered 400"]


async def test_a_mail_that_would_come_too_late_is_not_sent(
    sqlite_database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    queue(sqlite_database, clock, "a", template="reset")
    queue(sqlite_database, clock, "b")
    clock.advance(timedelta(hours=1))
    async with running_mailer(sqlite_database, settings, clock) as mailer:
        await eventually(lambda: (mailer.sent, mailer.dead) == (1, 1), "one sent and one given up")
    assert sendgrid.recipients == ["b@example.com"]


async def test_a_defect_of_a_sender_puts_the_mail_off(
    sqlite_database: Database, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def send(self, recipient: str, rendered: Rendered) -> str:
            raise RuntimeError("broken")

    queue(sqlite_database, clock, "a")
    async with running_mailer(sqlite_database, settings, clock, Broken()) as mailer:
        await eventually(lambda: mailer.failed == 1, "a failure")
    (mail,) = mails(sqlite_database)
    assert (mail.status, mail.problem) == ("queued", "RuntimeError: broken")
    assert "could not be sent" in caplog.text


async def test_mail_of_a_sender_that_died_is_sent_when_its_lease_has_run_out(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    queue(database, clock, "a")
    with database.session() as session:
        assert len(claim_due(session, from_ms(clock()), 10)) == 1
    async with running_mailer(database, settings, clock) as mailer:
        clock.advance(LEASE - timedelta(seconds=1))
        await looked(database, mailer)
        assert sendgrid.requests == 0
        clock.advance(timedelta(seconds=1))
        await eventually(lambda: mailer.sent == 1, "the mail")


async def test_a_mailer_that_stops_finishes_what_it_has_begun(
    sqlite_database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    sendgrid.hold = threading.Event()
    queue(sqlite_database, clock, "a")
    mailer = Mailer(sqlite_database, make_sender(settings), settings, clock, every_s=0.05)
    task = asyncio.create_task(mailer.run())
    await eventually(lambda: sendgrid.requests == 1, "the request")
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, sendgrid.hold.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert statuses(sqlite_database) == ["sent"]


async def test_a_provider_that_hangs_does_not_keep_the_mailer_from_stopping(
    sqlite_database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    sendgrid.script.append(Reply(202, silent=True))
    queue(sqlite_database, clock, "a")
    async with asyncio.timeout(4):
        async with running_mailer(sqlite_database, settings, clock):
            await eventually(lambda: sendgrid.requests == 1, "the request")
    # It stays claimed: the next mailer sends it when the lease has run out.
    assert [(mail.status, mail.attempts) for mail in mails(sqlite_database)] == [("queued", 1)]
    sendgrid.closed.set()


async def test_mail_goes_on_when_the_database_is_back(
    environ: dict[str, str], clock: Clock, sendgrid: SendGridServer, own_postgres: PostgresServer
) -> None:
    settings = Settings.load({**environ, "DATABASE_URL": own_postgres.create_database("mail")})
    database = Database(settings)
    database.migrate()
    sendgrid.hold = threading.Event()
    queue(database, clock, "a")
    async with running_mailer(database, settings, clock) as mailer:
        await eventually(lambda: sendgrid.requests == 1, "the request")
        # It goes away between the hand-over and the mark.
        await asyncio.to_thread(own_postgres.stop)
        sendgrid.hold.set()
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: mailer.sent == 1, "the mark", 20)
        await asyncio.to_thread(own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)
        await asyncio.to_thread(queue, database, clock, "b")
        await eventually(lambda: mailer.sent == 2, "the second mail", 20)
    assert statuses(database) == ["sent", "sent"]
    assert sendgrid.recipients == ["a@example.com", "b@example.com"]
    await asyncio.to_thread(database.close)


async def test_without_a_way_out_mail_waits_and_the_log_says_so_once(
    sqlite_database: Database, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    queue(sqlite_database, clock, "a")
    mailer = Mailer(sqlite_database, None, settings, clock)
    async with Supervisor() as tasks:
        tasks.start("mailer", mailer.run)
        await eventually(lambda: not tasks.running, "its end")
    assert caplog.text.count("mail is not configured") == 1
    assert statuses(sqlite_database) == ["queued"]


async def test_the_engine_sends_mail_counts_it_and_forgets_it(
    live_settings: Settings, sqlite_database: Database, exchange: SimulatedExchange, sendgrid: SendGridServer
) -> None:
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(lambda: running.engine.office is not None, "an office")
        now = from_ms(running.office.status().as_of_ms)
        with sqlite_database.session() as session:
            enqueue(session, "a@example.com", "changed", {"base": BASE}, now)
            old = now - timedelta(days=31)
            session.add(Mail(recipient="b@example.com", template="changed", due_at=old, created_at=old, status="sent"))
        await eventually(lambda: running.office.mailer.sent == 1, "the mail")
        assert 'flashcur_mails_total{outcome="sent"} 1.0' in running.engine._metrics.render().decode()
        # It runs once when the engine begins, which may be now.
        reports = {report.name: report for report in running.office.jobs.reports}
        await eventually(lambda: reports["prune"].runs > 0 and not reports["prune"].running, "the first pruning")
        await running.office.jobs.run("prune")
        assert [mail.recipient for mail in mails(sqlite_database)] == ["a@example.com"]


async def test_a_mail_setting_that_is_wrong_does_not_stop_the_market(
    live_environ: dict[str, str],
    sqlite_database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings.load({**live_environ, "SENDGRID_API_KEY": "SG.two words"})
    async with running_engine(settings, sqlite_database) as running:
        await eventually(lambda: bool(running.frames), "a frame", 20)
    assert "SENDGRID_API_KEY: expected" in caplog.text
    assert "two words" not in caplog.text


async def test_mail_that_is_given_up_is_told_to_its_owner(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    with database.session() as session:
        account_id = add_account(session, "ann@example.com", from_ms(clock()))
        token = mail_tokens.make(session, "change-new", "new@example.com", from_ms(clock()), account_id=account_id)
        enqueue(session, "new@example.com", "change-new", {"base": BASE, "token_id": token.id}, from_ms(clock()))
    queue(database, clock, "ann", "nobody")
    sendgrid.script += [Reply(400)] * 3
    async with running_mailer(database, settings, clock) as mailer:
        await eventually(lambda: mailer.dead == 3, "three mails given up")
        with database.session(readonly=True) as session:
            events = session.exec(select(AuditEvent)).all()
            assert {event.account_id for event in events} == {account_id}
            assert sorted(event.detail for event in events) == ["to an…@example.com", "to ne…@example.com"]
            assert {(event.kind, event.actor) for event in events} == {("mail-failed", "system")}
            # The pages that show the account read it anew.
            assert [change.account_id for change in session.exec(select(AccountChange))] == [account_id] * 2
        assert undelivered_to(database, account_id, clock) == ["ann@example.com", "new@example.com"]
        # A mail that comes through is the end of it.
        queue(database, clock, "ann")
        await eventually(lambda: mailer.sent == 1, "the next mail")
        assert undelivered_to(database, account_id, clock) == ["new@example.com"]
        clock.advance(timedelta(hours=25))
        assert undelivered_to(database, account_id, clock) == []
        assert mailer.state == "ok"


def undelivered_to(database: Database, account_id: str, clock: Clock) -> list[str]:
    with database.session(readonly=True) as session:
        account = session.get_one(Account, account_id)
        return [each.recipient for each in undelivered.of_account(session, account, from_ms(clock()))]
