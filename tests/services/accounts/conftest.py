"""The services of accounts on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import Services


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    yield services
    services.close()


@pytest.fixture
def other_process(services: Services, settings: Settings, database_url: str) -> Iterator[Services]:
    """A second process on the same database, with the same clock."""
    database = Database(Settings.load({**_environ(settings), "DATABASE_URL": database_url}))
    other = Services(settings, database, services.clock)
    yield other
    other.close()
    database.close()


def _environ(settings: Settings) -> dict[str, str]:
    return {"FLASHCUR_DATA_DIR": str(settings.data_dir), "FLASHCUR_SECRET_KEY": settings.secret_key.reveal()}
