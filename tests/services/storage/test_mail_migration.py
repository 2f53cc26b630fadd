"""Mail that was queued before there was one outbox is sent by it, and what was sent stays known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, DateTime, column, select, table
from sqlmodel import col
from sqlmodel import select as rows_of

from flashcur.models import Delivery
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify.account_mail import complete, token_id_of
from flashcur.services.notify.outbox import claim_due, steps
from flashcur.services.storage import migrations
from flashcur.services.storage.database import Database
from flashcur.settings import Secret

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE = "2026_11_30_rules_and_delivery"
BASE = "https://flashcur.example"
NAMES = ("id", "recipient", "template", "status", "attempts", "provider_id", "problem")
TIMES = ("due_at", "created_at", "sent_at")
MAIL = table(
    "mail", *map(column, NAMES), column("values", JSON), *(column(each, DateTime(timezone=True)) for each in TIMES)
)


def mail(number: int, template: str, status: str, **more: Any) -> dict[str, Any]:
    values = {"base": BASE} | ({"token_id": f"{number:032x}"} if template == "reset" else {})
    fixed = {"id": number, "recipient": f"{number}@example.com", "template": template, "status": status}
    return {
        **fixed,
        "values": values,
        "attempts": 0,
        "due_at": NOON,
        "created_at": NOON,
        "sent_at": None,
        "provider_id": None,
        "problem": "",
        **more,
    }


MAILS = [
    mail(1, "reset", "queued"),
    mail(2, "changed", "queued", attempts=3, problem="it is down", due_at=NOON + timedelta(minutes=2)),
    mail(3, "changed", "sent", attempts=1, sent_at=NOON + timedelta(seconds=1), provider_id="message-1"),
    mail(4, "changed", "dead", attempts=1, problem="no such mailbox"),
    mail(5, "of another version", "queued"),
]


def step(database: Database, direction: str, revision: str) -> None:
    from alembic import command

    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def stored(database: Database) -> list[dict[str, Any]]:
    with database.engine.connect() as connection:
        found = [dict(row._mapping) for row in connection.execute(select(MAIL).order_by(MAIL.c.id))]
    return [
        {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in found
    ]


def test_mail_moves_to_the_outbox_and_back(database: Database) -> None:
    step(database, "downgrade", BEFORE)
    with database.engine.begin() as connection:
        connection.execute(MAIL.insert(), MAILS)
    step(database, "upgrade", "head")
    with database.session() as session:
        rows = session.exec(rows_of(Delivery).order_by(col(Delivery.id))).all()
        assert [(row.recipient, row.status, row.kind, row.channel) for row in rows] == [
            ("1@example.com", "queued", "mail", "email"),
            ("2@example.com", "retrying", "mail", "email"),
            ("3@example.com", "sent", "mail", "email"),
            ("4@example.com", "dead", "mail", "email"),
            ("5@example.com", "dead", "mail", "email"),
        ]
        assert "cannot be written any more" in rows[4].problem
        assert (rows[2].provider_id, rows[2].handed_ms) == ("message-1", to_ms(NOON) + 1000)
        assert rows[0].expires_ms == to_ms(NOON) + 3_600_000
        ledgers = steps(session, [row.id or 0 for row in rows])
        assert [[each.status for each in ledger] for ledger in ledgers.values()] == [[row.status] for row in rows]
        (due,) = claim_due(session, to_ms(NOON), {"email": 10})
        assert token_id_of(due.delivery.payload) == f"{1:032x}"
        sent = complete(due.delivery.payload, Secret("0123456789abcdef" * 4))
        assert f"{BASE}/reset#token={1:032x}" in sent["text"]
    step(database, "downgrade", BEFORE)
    kept = [{**each, "status": "dead"} if each["id"] == 5 else each for each in MAILS]
    found = stored(database)
    names = ("recipient", "template", "values", "status", "created_at", "sent_at", "provider_id")
    assert [[row[name] for name in names] for row in found] == [[row[name] for name in names] for row in kept]
    # New mail of the version before is numbered after what is there.
    with database.engine.begin() as connection:
        connection.execute(MAIL.insert(), {name: value for name, value in MAILS[0].items() if name != "id"})
    assert len(stored(database)) == 6
    step(database, "upgrade", "head")
