"""A plan that an operator gave before grants were kept is on record afterwards, so that nothing takes it away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, column, table
from sqlmodel import select

from flashcur.models import Account, PlanGrant
from flashcur.services.kit.clock import to_ms
from flashcur.services.storage import migrations
from flashcur.services.storage.database import Database

BEFORE = "2026_12_03_places_that_pause"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
UNTIL = NOON + timedelta(days=30)
ACCOUNT = table(
    "account",
    *map(column, ("id", "plan", "plan_source", "theme", "time_zone", "table_view", "signals_read")),
    column("plan_until", DateTime(timezone=True)),
    column("created_at", DateTime(timezone=True)),
)
GIVEN = [
    ("gift", "pro", "operator", UNTIL),
    ("friend", "elite", "operator", None),
    ("taken", "free", "operator", None),
    ("none", "free", "none", None),
]


def step(database: Database, direction: str, revision: str) -> None:
    from alembic import command

    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def test_what_was_given_before_is_on_record(database: Database) -> None:
    step(database, "downgrade", BEFORE)
    shown = {"theme": "system", "time_zone": "UTC", "table_view": "", "signals_read": 0, "created_at": NOON}
    with database.engine.begin() as connection:
        rows = [
            {"id": name, "plan": plan, "plan_source": source, "plan_until": until, **shown}
            for name, plan, source, until in GIVEN
        ]
        connection.execute(ACCOUNT.insert(), rows)
    step(database, "upgrade", "head")
    with database.session() as session:
        grants = {grant.account_id: grant for grant in session.exec(select(PlanGrant))}
        assert {name: (each.plan, each.until_ms, each.ended_ms) for name, each in grants.items()} == {
            "gift": ("pro", to_ms(UNTIL), None),
            "friend": ("elite", None, None),
        }
        assert {account.plan_after for account in session.exec(select(Account))} == {"free"}
    step(database, "downgrade", BEFORE)
    with database.engine.begin() as connection:
        assert connection.execute(ACCOUNT.select()).all()
    step(database, "upgrade", "head")
