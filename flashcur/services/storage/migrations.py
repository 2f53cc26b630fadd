"""Which version a database has, and how it gets to ours. Alembic's scripts are in `alembic/` at the top.

The version is Alembic's revision. A database can be empty, older (its revision is one of our scripts), current, or
foreign: its revision is none of ours, so a newer FlashCur wrote it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from flashcur.errors import DatabaseError

SCRIPTS = Path(__file__).parents[3] / "alembic"
MIGRATE_COMMAND = "python -m flashcur.migrate"


@cache
def head() -> str:
    """The revision this code needs. Raises DatabaseError where there are no scripts."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise DatabaseError(f"Expected migrations in {SCRIPTS}, found none")
    return revision


def current(connection: Connection) -> str | None:
    """The revision of a database; None if it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def require_head(connection: Connection, name: str) -> None:
    """Raise DatabaseError unless the database has exactly our version. `name` says which database, in the message."""
    revision = current(connection)
    if revision == head():
        return
    refuse_foreign(revision, name)
    was = "has no tables yet" if revision is None else f"is at version {revision}"
    raise DatabaseError(f"{name} {was}, expected version {head()}: run `{MIGRATE_COMMAND}`")


def refuse_foreign(revision: str | None, name: str) -> None:
    """Raise DatabaseError if a newer FlashCur wrote the database `name`, so that `revision` is none of ours."""
    if revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise DatabaseError(
            f"{name} is at version {revision}, which this FlashCur does not know (it knows up to {head()}): "
            "a newer one wrote it; run that, or restore an older backup"
        )


def upgrade(connection: Connection) -> None:
    """Run the scripts up to `head()` inside the transaction of `connection`."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
