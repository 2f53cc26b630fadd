"""The outbox on both kinds of database: what is claimed, tried again, given up and forgotten."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from flashcur.models.mail import Mail
from flashcur.services.notify import enqueue
from flashcur.services.notify.outbox import (
    LEASE,
    anything_due,
    claim_due,
    expired,
    mark_failed,
    mark_sent,
    prune,
    retry_delay_s,
)
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = "https://flashcur.example"
RESET = {"base": BASE, "token_id": "0" * 32}
SECOND = timedelta(seconds=1)


def queue(database: Database, number: int = 1, at: datetime = NOON) -> list[int]:
    with database.session() as session:
        mails = [enqueue(session, f"{n}@example.com", "password-changed", {"base": BASE}, at) for n in range(number)]
        session.flush()
        return [mail.id for mail in mails if mail.id is not None]


def claim(database: Database, at: datetime, limit: int = 10) -> list[int | None]:
    with database.session() as session:
        return [mail.id for mail in claim_due(session, at, limit)]


def stored(database: Database, mail_id: int) -> Mail:
    with database.session(readonly=True) as session:
        mail = session.get(Mail, mail_id)
        assert mail is not None
        return mail


def test_mail_is_queued_with_the_transaction_that_causes_it(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError), database.session() as session:
        enqueue(session, "a@example.com", "reset", RESET, NOON)
        _ = 1 / 0
    assert claim(database, NOON) == []
    with database.session() as session:
        enqueue(session, "a@example.com", "reset", RESET, NOON)
    with database.session() as session:
        (mail,) = claim_due(session, NOON, 10)
    assert (mail.recipient, mail.template, mail.values) == ("a@example.com", "reset", RESET)
    assert (mail.status, mail.attempts, mail.due_at) == ("queued", 1, NOON + LEASE)


@pytest.mark.parametrize(
    ("template", "values", "message"),
    [
        ("reset-unknown", RESET, "was 'reset-unknown'"),
        ("reset", {"base": BASE}, "base, token_id"),
        ("reset", {**RESET, "token": "secret"}, "base, token_id"),
        ("reset", {"base": BASE, "token_id": "1"}, "32 hex digits"),
        ("reset", {**RESET, "hours": 0}, "hours"),
        ("changed", {}, "base"),
    ],
)
def test_what_could_not_be_sent_is_not_queued(
    sqlite_database: Database, template: str, values: dict[str, object], message: str
) -> None:
    with sqlite_database.session() as session, pytest.raises(ValueError, match=message):
        enqueue(session, "a@example.com", template, values, NOON)


def test_a_claimed_mail_is_left_alone_until_the_lease_has_run_out(database: Database) -> None:
    (mail_id,) = queue(database)
    assert claim(database, NOON - SECOND) == []
    assert claim(database, NOON) == [mail_id]
    assert claim(database, NOON + LEASE - SECOND) == []
    # Its sender has died.
    assert claim(database, NOON + LEASE) == [mail_id]
    assert stored(database, mail_id).attempts == 2


def test_the_longest_due_goes_first(database: Database) -> None:
    late = queue(database, 2, NOON + SECOND)
    early = queue(database, 2, NOON)
    assert claim(database, NOON + SECOND, 3) == [*early, late[0]]
    assert claim(database, NOON + SECOND, 3) == [late[1]]


def test_claimers_at_the_same_time_never_get_the_same_mail(database: Database) -> None:
    ids = queue(database, 60)
    barrier = threading.Barrier(3)

    def work() -> list[int | None]:
        got: list[int | None] = []
        barrier.wait()
        while batch := claim(database, NOON, 4):
            got += batch
        return got

    with ThreadPoolExecutor(3) as threads:
        results = [thread.result() for thread in [threads.submit(work) for _ in range(3)]]
    assert sorted(mail_id for got in results for mail_id in got if mail_id) == ids


def test_on_postgresql_a_claimer_does_not_wait_for_another_one(environ: dict[str, str], postgres_url: str) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    database.migrate()
    ids = queue(database, 2)
    with database.session() as session:
        assert [mail.id for mail in claim_due(session, NOON, 1)] == ids[:1]
        assert claim(database, NOON) == ids[1:]
    database.close()


def test_sent_mail_is_never_due_again(database: Database) -> None:
    (mail_id,) = queue(database)
    claim(database, NOON)
    with database.session() as session:
        mark_sent(session, mail_id, "x" * 200, NOON + SECOND)
    mail = stored(database, mail_id)
    assert (mail.status, mail.sent_at, mail.provider_id) == ("sent", NOON + SECOND, "x" * 128)
    with database.session() as session:
        assert not anything_due(session, NOON + timedelta(days=400))
        # A slower sender of the same mail, whose lease had run out.
        assert mark_failed(session, mail_id, "timed out", NOON, NOON) == "sent"
    assert stored(database, mail_id).status == "sent"


def test_a_failed_mail_is_due_again_at_its_time(database: Database) -> None:
    (mail_id,) = queue(database)
    claim(database, NOON)
    with database.session() as session:
        assert mark_failed(session, mail_id, "x" * 500, NOON + 30 * SECOND, NOON) == "queued"
    assert stored(database, mail_id).problem == "x" * 300
    with database.session(readonly=True) as session:
        assert not anything_due(session, NOON + 29 * SECOND)
        assert anything_due(session, NOON + 30 * SECOND)
    assert claim(database, NOON + 30 * SECOND) == [mail_id]


@pytest.mark.parametrize(
    ("template", "values", "hours"),
    [
        ("register", RESET, 24),
        ("reset", RESET, 1),
        ("change-old", {**RESET, "hours": 2}, 2),
        ("change-new", {**RESET, "hours": 48}, 24),
        ("changed", {"base": BASE}, 24),
    ],
)
def test_mail_is_given_up_when_its_link_is_no_longer_valid(
    sqlite_database: Database, template: str, values: dict[str, object], hours: int
) -> None:
    with sqlite_database.session() as session:
        mail = enqueue(session, "a@example.com", template, values, NOON)
        session.flush()
        assert mail.id
        end = NOON + timedelta(hours=hours)
        assert (expired(mail, end - SECOND), expired(mail, end)) == (False, True)
        assert mark_failed(session, mail.id, "away", end - SECOND, NOON) == "queued"
        assert mark_failed(session, mail.id, "away", end, NOON) == "dead"
    assert claim(sqlite_database, end + timedelta(days=1)) == []


def test_a_permanent_failure_is_dead_at_once(database: Database) -> None:
    (mail_id,) = queue(database)
    with database.session() as session:
        assert mark_failed(session, mail_id, "no such address", None, NOON) == "dead"
        assert mark_failed(session, mail_id + 1, "deleted meanwhile", None, NOON) == ""
    assert claim(database, NOON + LEASE) == []
    assert stored(database, mail_id).problem == "no such address"


def test_old_mail_is_deleted_whatever_became_of_it(database: Database) -> None:
    ids = queue(database, 3)
    (new,) = queue(database, 1, NOON + SECOND)
    with database.session() as session:
        mark_sent(session, ids[0], "", NOON)
        mark_failed(session, ids[1], "", None, NOON)
    with database.session() as session:
        assert prune(session, NOON + SECOND) == 3
        assert list(session.exec(select(col(Mail.id)))) == [new]


def test_retries_double_from_five_seconds_to_fifteen_minutes() -> None:
    for attempts, most in [(1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (1000, 900)]:
        delays = [retry_delay_s(attempts, 0) for _ in range(50)]
        assert most / 2 <= min(delays) < max(delays) <= most
    assert retry_delay_s(1, 60) == 60
    assert retry_delay_s(9, 60) >= 450
