"""The database: SQLite or PostgreSQL behind one class, one unit of work, errors of one line.

Services take a `Session` and never commit; the unit of work (`Database.session`) does, or rolls back. Where two units
hold each other up, PostgreSQL ends one of them: `Database.work` does it again. The order of locks by which that hardly
ever happens is in docs/decisions/one-order-of-locks.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from flashcur.errors import DatabaseError
from flashcur.services.storage import migrations
from flashcur.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

SQLITE_BUSY_MS = 5_000
"""How long, in ms, a writer waits for another process's write; transactions here take milliseconds."""
CONNECT_TIMEOUT_S = 5
THREADS = 4
"""Units of work at a time off the event loop, and as many that only read: they need not wait behind writers."""
TURN_TIMEOUT_S = 5.0
"""How long a unit of work waits for its turn; one that has begun ends by itself."""
MIGRATION_LOCK = 0x464C4153
"""Key of PostgreSQL's advisory lock around migrations: processes that start together migrate one after another."""

ATTEMPTS = 5
"""How often a unit of work is begun before the deadlocks it loses are an error."""
FIRST_PAUSE_S = 0.01
"""Longest pause before the second attempt, in seconds; it doubles with each further one."""

_READONLY = "flashcur_readonly"
_GAVE_WAY = frozenset({"40P01", "40001"})
"""PostgreSQL's codes (SQLSTATE) of a deadlock and of a serialisation failure: the same again may well succeed."""


_OF_ANOTHER_VERSION = frozenset({"3F000", "42P01", "42501", "42703"})
"""PostgreSQL's codes of a schema, a table, a right and a column that are not there."""


class _GaveWay(DatabaseError):
    """The database ended this unit of work in favour of another: do it again."""

    retry_after = 1.0


class Database:
    """A database named by `settings.database_url`. Nothing is opened before the first use."""

    def __init__(self, settings: Settings) -> None:
        self._url = make_url(settings.database_url)
        self._automatic = not settings.is_prod
        self._engine = self._make_engine()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="database")
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="database readers")

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; else PostgreSQL."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """What messages call it; without the password."""
        if self.is_sqlite:
            return f"The database {self._url.database}"
        return f"The database {self._url.set(query={}).render_as_string(hide_password=True)}"

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for what needs more than a session."""
        return self._engine

    def prepare(self) -> None:
        """What a starting process does: in dev migrate, in prod check. Raises DatabaseError."""
        if self._automatic:
            self.migrate()
        else:
            self.check()

    def migrate(self) -> None:
        """Create the database's tables or bring them to this version, all or nothing. Raises DatabaseError.

        Begun again where it has to give way to what processes that serve are doing meanwhile.
        """
        if self.is_sqlite:
            self._make_directory()
            self._keep_private()
        _patiently(self._migrate)

    def _migrate(self) -> None:
        engine = self._make_engine(migrating=True)
        try:
            with self._translated(), engine.begin() as connection:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                revision = migrations.current(connection)
                migrations.refuse_foreign(revision, self.name)
                if revision != migrations.head():
                    migrations.upgrade(connection)
        finally:
            engine.dispose()

    def check(self) -> None:
        """Raise DatabaseError, one line, unless the database can be reached and has exactly this version."""
        # Connecting would create an empty SQLite file.
        if self.is_sqlite:
            if not self._file.is_file():
                raise DatabaseError(f"{self.name} does not exist: run `{migrations.MIGRATE_COMMAND}`")
            self._keep_private()
        with self._translated(), self._engine.connect() as connection:
            migrations.require_head(connection, self.name)

    @contextmanager
    def session(self, *, readonly: bool = False) -> Generator[Session]:
        """One unit of work: committed at the end, rolled back on an exception, and always when `readonly`.

        Raises DatabaseError when the database cannot be reached or stays locked; a broken constraint stays an
        `sqlalchemy.exc.IntegrityError`, which callers may expect.
        """
        with self._translated(), Session(self._engine, expire_on_commit=False) as session:
            if readonly:
                session.connection(execution_options={_READONLY: True, **self._readonly_options()})
            yield session
            if readonly:
                # A rollback would empty the objects that were read, which outlive the session.
                session.expunge_all()
                session.rollback()
            else:
                session.commit()

    def work(self, work: Callable[[Session], T], *, readonly: bool = False) -> T:
        """`work(session)` as one unit of work, begun again where the database had it give way to another one.

        Whatever `work` does outside its session must bear being done again. Returns what `work` returns, and raises
        what `session` and `work` raise.
        """
        return _patiently(lambda: self._once(work, readonly=readonly))

    async def run(self, work: Callable[[Session], T], *, readonly: bool = False) -> T:
        """`work(session)` as one unit of work in a thread, so that the event loop never waits for the disk.

        Returns what `work` returns, and raises what `session` and `work` raise. A caller that is cancelled stops
        waiting; the unit of work itself runs to its end, and may be begun again as by `Database.work`. Raises
        DatabaseError, and does nothing, when its turn does not come within `TURN_TIMEOUT_S`.
        """
        threads = self._readers if readonly else self._threads
        turn = threads.submit(self.work, work, readonly=readonly)
        result = asyncio.wrap_future(turn)
        done, _ = await asyncio.wait((result,), timeout=TURN_TIMEOUT_S)
        if not done and turn.cancel():
            raise DatabaseError(f"{self.name} is busy", retry_after=1.0)
        return await result

    def close(self) -> None:
        """Wait for running units of work and close all connections."""
        self._threads.shutdown()
        self._readers.shutdown()
        self._engine.dispose()

    def _once(self, work: Callable[[Session], T], *, readonly: bool) -> T:
        with self.session(readonly=readonly) as session:
            return work(session)

    def _make_engine(self, *, migrating: bool = False) -> Engine:
        if self.is_sqlite:
            engine = create_engine(
                self._url,
                connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_MS / 1000},
                **({"poolclass": NullPool} if migrating else {}),
            )
            # Rebuilding a table, which is how SQLite alters one, would otherwise delete the rows that refer to it.
            event.listen(engine, "connect", partial(_set_up_sqlite, foreign_keys=not migrating))
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        options: dict[str, Any] = (
            {"poolclass": NullPool}
            if migrating
            else {"pool_pre_ping": True, "pool_size": 2 * THREADS + 1, "max_overflow": 5, "pool_timeout": 10}
        )
        return create_engine(
            self._url,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "flashcur",
                "options": "-c timezone=utc",
            },
            **options,
        )

    def _readonly_options(self) -> dict[str, object]:
        return {} if self.is_sqlite else {"postgresql_readonly": True}

    def _make_directory(self) -> None:
        directory = self._file.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"{self.name} cannot be created: {directory}: {error.strerror}") from error

    @property
    def _file(self) -> Path:
        return Path(self._url.database or "")

    def _keep_private(self) -> None:
        """Have an SQLite file, made where it is missing, be readable by its owner only, in whatever folder it is.

        SQLite gives the files that it makes beside it the same rights; those of before may have others.
        """
        try:
            # Only a new one is opened: closing a file gives up all locks that this process has on it.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            for file in (self._file, *(Path(f"{self._file}{end}") for end in ("-wal", "-shm"))):
                # Gone since it was looked for, or somebody else's, who decides who may read it.
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    if file.is_file() and file.stat().st_mode & 0o077:
                        file.chmod(0o600)
        except OSError as error:
            raise DatabaseError(f"{self.name} cannot be used: {error.strerror}") from error

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Library errors become ours, one line each."""
        try:
            yield
        except IntegrityError:
            raise
        except PoolTimeout as error:
            raise DatabaseError(f"{self.name} has no free connection", retry_after=1.0) from error
        except DBAPIError as error:
            if _is_programming_error(error):
                raise
            reason = " ".join(str(error.orig or error).split())
            if getattr(error.orig, "sqlstate", None) in _GAVE_WAY:
                raise _GaveWay(f"{self.name} cannot do this now: {reason}") from error
            # The server answered: there is no such database, or no such role. That does not heal by itself.
            missing = "FATAL" in reason and reason.endswith("does not exist")
            raise DatabaseError(
                f"{self.name} cannot be used: {reason}", retry_after=None if missing else 1.0
            ) from error


def is_of_another_version(error: ProgrammingError) -> bool:
    """Whether PostgreSQL lacks what the statement names, as while it is migrated, and not the statement's values are
    wrong. SQLite says so by a DatabaseError."""
    return getattr(error.orig, "sqlstate", None) in _OF_ANOTHER_VERSION


def _patiently(work: Callable[[], T]) -> T:
    """`work()`, begun again up to `ATTEMPTS` times in all where the database had it give way."""
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except _GaveWay as error:
            logger.warning("a unit of work is begun again: %s", error)
            # Of random length, so that two do not meet again.
            time.sleep(random.uniform(0, FIRST_PAUSE_S * 2 ** (attempt - 1)))
    return work()


def _is_programming_error(error: DBAPIError) -> bool:
    """A wrong statement is a defect in FlashCur, not a state of the database: it keeps its traceback."""
    return type(error).__name__ in ("ProgrammingError", "DataError", "NotSupportedError", "InternalError")


def _set_up_sqlite(connection: DBAPIConnection, _record: object, *, foreign_keys: bool) -> None:
    # The driver must not open transactions itself: it would begin them deferred, and a reader that then writes fails
    # at once with "database is locked" instead of waiting.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    readonly = connection.get_execution_options().get(_READONLY, False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def _enter_wal(cursor: DBAPICursor) -> None:
    """Changing the journal mode does not wait for other connections as queries do: try until the busy time is over."""
    deadline = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
