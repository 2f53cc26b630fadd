"""Alembic's entry: on a connection that the caller opened, or, from the command line, on the configured database."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, DateTime
from sqlmodel import AutoString

from flashcur.models import UtcDateTime, metadata
from flashcur.services.storage.database import Database
from flashcur.settings import Settings


def render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write plain SQLAlchemy types: a migration must not change with the code it was generated from."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False


def same_type(_context: object, _inspected: object, _metadata: object, found: Any, wanted: Any) -> bool | None:
    """SQLite has no zones, so a time always looks different there; None: compare as usual."""
    return False if isinstance(wanted, UtcDateTime) and isinstance(found, DateTime) else None


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=same_type,
        render_item=render_item,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    raise SystemExit("flashcur: SQL scripts are not supported: connect to the database")
if given is not None:
    run(given)
else:
    database = Database(Settings.load())
    with database.engine.begin() as own:
        run(own)
    database.close()
