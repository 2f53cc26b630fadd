"""A database full of signals, filled once: filling one takes longer than all that is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from flashcur.models import SignalRecord
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.migrated import spare_migration
from tests.support.programs import PostgresServer
from tests.support.seeded_signals import Filled, fill_signals
from tests.support.signals import NOON_MS


@pytest.fixture(scope="session")
def filled_databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[Database, list[SignalRecord]]]]:
    """The one of each kind, made when the first test asks for it."""
    opened: list[Database] = []
    folder: Path = tmp_path_factory.mktemp("filled")

    @cache
    def filled(kind: str) -> tuple[Database, list[SignalRecord]]:
        environ = {"FLASHCUR_DATA_DIR": str(folder), "FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4}
        if kind == "postgresql":
            server: PostgresServer = request.getfixturevalue("shared_postgres")
            template: str = request.getfixturevalue("migrated_template")
            environ["DATABASE_URL"] = server.create_database("filled", template=template)
        settings = Settings.load(environ)
        spare_migration(settings)
        database = Database(settings)
        opened.append(database)
        with database.session() as session:
            stored = fill_signals(session, NOON_MS)
        return database, stored

    yield filled
    for database in opened:
        database.close()


@pytest.fixture
def filled(
    filled_databases: Callable[[str], tuple[Database, list[SignalRecord]]], database_kind: str
) -> Iterator[Filled]:
    """A database with 300 signals and all that goes with them, shared by all tests of its kind."""
    database, stored = filled_databases(database_kind)
    with database.session(readonly=True) as session:
        yield Filled(session, list(stored))
