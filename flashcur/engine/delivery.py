"""Sends what is in the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from sqlmodel import Session

from flashcur.errors import DatabaseError, MailError
from flashcur.models.mail import Mail
from flashcur.services.accounts import undelivered
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import outbox
from flashcur.services.notify.port import MailSender
from flashcur.services.notify.templates import render
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)

EVERY_S = 1.0
"""How often the outbox is looked into; also how late mail of another process leaves."""
BATCH = 10
THREADS = 4
"""Mails handed over at a time. A batch whose every mail times out (10 s each) is done well within its lease."""
GRACE_S = 1.0
"""What is being handed over when the mailer is to stop gets this long, or it would be sent a second time."""


class Mailer:
    """Claims due mail and hands it over; `run` is its supervised task. Several processes may do this at once."""

    def __init__(
        self,
        database: Database,
        sender: MailSender | None,
        settings: Settings,
        clock: Callable[[], int],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        """Without a sender mail waits in the outbox; `clock` is Unix ms; the outbox is looked into `every_s`."""
        self._database = database
        self._sender = sender
        self._secret = settings.secret_key
        self._clock = clock
        self._every_s = every_s
        self._failing = False
        self.sent = 0
        self.failed = 0
        """Attempts that are to be repeated."""
        self.dead = 0
        """Mails that were given up; their owners and the log are told why."""

    @property
    def state(self) -> str:
        """`ok`, `failing` while what was tried last is put off, or `not configured`: mail waits."""
        return "not configured" if self._sender is None else "failing" if self._failing else "ok"

    async def run(self) -> None:
        """Send until cancelled. Returns at once where mail is not configured."""
        if self._sender is None:
            logger.warning("mail is not configured (SENDGRID_API_KEY, FLASHCUR_FROM_EMAIL): it waits in the outbox")
            return
        backoff = Backoff(first_s=0.5, cap_s=15.0)
        # Threads of its own: a provider that hangs must not hold up what else the process does in threads.
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")
        try:
            while True:
                try:
                    busy = await self._send_due(self._sender, threads)
                except DatabaseError as error:
                    if not backoff.failures:
                        logger.warning("%s: mail waits", error)
                    await asyncio.sleep(backoff.next_s())
                    continue
                backoff.reset()
                if not busy:
                    await asyncio.sleep(self._every_s)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _send_due(self, sender: MailSender, threads: Executor) -> bool:
        """Send one batch; returns whether there may be more. Raises DatabaseError before anything was sent."""
        now = self._now()
        if not await self._database.run(lambda session: outbox.anything_due(session, now), readonly=True):
            return False
        mails = await self._database.run(lambda session: outbox.claim_due(session, now, BATCH))
        if not mails:
            return False
        tasks = [asyncio.create_task(self._deliver(mail, sender, threads)) for mail in mails]
        try:
            await asyncio.wait(tasks)
        finally:
            await _finish(tasks)
        for task in tasks:
            task.result()
        return len(mails) == BATCH

    async def _deliver(self, mail: Mail, sender: MailSender, threads: Executor) -> None:
        assert mail.id is not None
        mail_id, name = mail.id, f"mail {mail.id} ({mail.template})"
        if outbox.expired(mail, self._now()):
            await self._mark_failed(mail_id, name, mail.problem or "it waited until it was of no use", None)
            return
        try:
            rendered = render(mail.template, mail.values, self._secret)
        except ValueError as error:
            await self._mark_failed(mail_id, name, str(error), None)
            return
        try:
            provider_id = await asyncio.get_running_loop().run_in_executor(
                threads, sender.send, mail.recipient, rendered
            )
        except MailError as error:
            if error.retry_after is None:
                await self._mark_failed(mail_id, name, str(error), None)
            else:
                await self._put_off(mail, name, str(error), error.retry_after)
            return
        except Exception as error:
            # A defect: one mail more or less must not stop the others, and the next version may send it.
            logger.exception("%s could not be sent", name)
            await self._put_off(mail, name, f"{type(error).__name__}: {error}", 0.0)
            return
        sent_at = self._now()
        await self._mark(lambda session: outbox.mark_sent(session, mail_id, provider_id, sent_at))
        self.sent += 1
        if self._failing:
            logger.info("mail is sent again")
        self._failing = False

    async def _put_off(self, mail: Mail, name: str, problem: str, retry_after_s: float) -> None:
        retry_at = self._now() + timedelta(seconds=outbox.retry_delay_s(mail.attempts, retry_after_s))
        assert mail.id is not None
        if not await self._mark_failed(mail.id, name, problem, retry_at):
            return
        self.failed += 1
        # Once for an outage, not once for each mail in it.
        logger.log(logging.DEBUG if self._failing else logging.WARNING, "%s is tried again: %s", name, problem)
        self._failing = True

    async def _mark_failed(self, mail_id: int, name: str, problem: str, retry_at: datetime | None) -> bool:
        """Returns whether the mail is tried again."""
        now = self._now()

        def work(session: Session) -> str:
            status = outbox.mark_failed(session, mail_id, problem, retry_at, now)
            if status == "dead":
                undelivered.tell_owner(session, mail_id, now)
            return status

        status = await self._mark(work)
        if status == "dead":
            self.dead += 1
            logger.error("%s is given up: %s", name, problem)
        return status == "queued"

    async def _mark(self, work: Callable[[Session], T]) -> T:
        """Until it is noted: mail that was sent and is not marked would be sent again."""
        backoff = Backoff(first_s=0.5, cap_s=5.0)
        while True:
            try:
                return await self._database.run(work)
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("%s: what became of a mail is noted later", error)
                await asyncio.sleep(backoff.next_s())

    def _now(self) -> datetime:
        return from_ms(self._clock())


async def _finish(tasks: list[asyncio.Task[None]]) -> None:
    """Wait a moment for what was begun, then end it."""
    pending = [task for task in tasks if not task.done()]
    try:
        if pending:
            await asyncio.wait(pending, timeout=GRACE_S)
    finally:
        for task in pending:
            task.cancel()
