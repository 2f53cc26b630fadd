"""Fixtures for all tests. Servers start once a run, on first use; each test gets a database of its own."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.migrated import migrated_database, spare_migration
from tests.support.programs import PostgresServer, RedisServer, postgres_server, redis_server

# Units that one worker does from beginning to end (`pytest -n 2`); all other tests go one by one to
# whichever worker is free. xdist begins with the largest groups. docs/testing.md says why.
GROUPS = {
    # The app has one port and one folder, which are baked into its one build; there is one Chromium.
    "app": ("tests/pages/", "tests/state/test_", "tests/web/test_live_secrets.py"),
    # Against the clock: two of them at once would make each other late.
    "clock": (
        "tests/services/market/",
        "tests/services/simulator/",
        "tests/services/lease/",
        "tests/engine/",
        "tests/web/test_process.py",
    ),
}
# Measured in parts of a second, which a browser beside them would make longer: marked `alone`.
ALONE = ("tests/web/test_accounts_processes.py", "tests/services/simulator/test_streams.py")

# How long an example takes, and to be made, says how busy the machine is.
hypothesis.settings.register_profile("flashcur", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("flashcur")

APP_TIMEOUT_S = 240
"""For the test that happens to start the app: on a fresh checkout it builds the frontend first."""

SECRET_KEY = "0123456789abcdef" * 4

_database_names = (f"test_{number}" for number in itertools.count())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--watch", action="store_true", help="show Chromium, each step slowed down")
    parser.addoption("--traces", metavar="FOLDER", help="keep a recording of each browser test for Playwright's viewer")


class _Groups(LoadScopeScheduling):
    """xdist's `loadgroup` writes a group into a test's id, which this pytest does not let it change."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for group, folders in GROUPS.items() if nodeid.startswith(folders)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
        if "app" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(APP_TIMEOUT_S))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment a test's settings are made from; tests add to it."""
    return {"FLASHCUR_DATA_DIR": str(tmp_path / "data"), "FLASHCUR_SECRET_KEY": SECRET_KEY}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.load(environ)


@pytest.fixture(scope="session")
def redis_url(shared_redis: RedisServer) -> str:
    return shared_redis.url


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """For tests that leave it running; those that kill it take `own_redis`."""
    with redis_server() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """For tests that leave it running; those that stop it take `own_postgres`."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    name = next(_database_names)
    yield shared_postgres.create_database(name)
    shared_postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The test runs once on SQLite and once on PostgreSQL."""
    return request.param


@pytest.fixture
def empty_database_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Nothing migrated yet, on both kinds of database."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def empty_database(empty_database_url: str, environ: dict[str, str]) -> Iterator[Database]:
    """Nothing migrated yet, on both kinds of database."""
    database = Database(Settings.load({**environ, "DATABASE_URL": empty_database_url}))
    yield database
    database.close()


@pytest.fixture(scope="session")
def migrated_file() -> Path:
    """An SQLite database of this version without a row; tests get copies."""
    return migrated_database()


@pytest.fixture(scope="session")
def migrated_template(shared_postgres: PostgresServer) -> str:
    """The name of a PostgreSQL database of this version without a row; tests get copies."""
    url = shared_postgres.create_database("migrated")
    database = Database(Settings.load({"DATABASE_URL": url, "FLASHCUR_SECRET_KEY": SECRET_KEY}))
    database.migrate()
    database.close()
    return "migrated"


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this version without a row, on both kinds."""
    if database_kind == "sqlite":
        copy = tmp_path / "test.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), copy)
        yield f"sqlite:///{copy}"
        return
    server, name = request.getfixturevalue("shared_postgres"), next(_database_names)
    yield server.create_database(name, template=request.getfixturevalue("migrated_template"))
    server.drop_database(name)


@pytest.fixture
def database(database_url: str, environ: dict[str, str]) -> Iterator[Database]:
    """Migrated, on both kinds of database."""
    database = Database(Settings.load({**environ, "DATABASE_URL": database_url}))
    yield database
    database.close()


@pytest.fixture
def sqlite_database(settings: Settings) -> Iterator[Database]:
    """Migrated, on SQLite only: for tests whose subject is not the database."""
    spare_migration(settings)
    database = Database(settings)
    yield database
    database.close()
