"""Fixtures for all tests. Servers start once a run, on first use; each test gets a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.programs import PostgresServer, RedisServer, postgres_server, redis_server

_database_names = (f"test_{number}" for number in itertools.count())


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment a test's settings are made from; tests add to it."""
    return {"FLASHCUR_DATA_DIR": str(tmp_path / "data"), "FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4}


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
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def empty_database(database_url: str, environ: dict[str, str]) -> Iterator[Database]:
    """Nothing migrated yet, on both kinds of database."""
    database = Database(Settings.load({**environ, "DATABASE_URL": database_url}))
    yield database
    database.close()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """Migrated, on both kinds of database."""
    empty_database.migrate()
    return empty_database


@pytest.fixture
def sqlite_database(settings: Settings) -> Iterator[Database]:
    """Migrated, on SQLite only: for tests whose subject is not the database."""
    database = Database(settings)
    database.migrate()
    yield database
    database.close()
