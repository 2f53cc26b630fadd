"""The unit of work, the checks at start and the migrations, on both kinds of database."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, column, table, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlmodel import Session, select

from flashcur.errors import DatabaseError
from flashcur.models import Account, InstrumentEvent, JobRun, MailToken, MarkFrame, UtcDateTime, metadata
from flashcur.services.notify import enqueue
from flashcur.services.records.job_runs import start_run
from flashcur.services.storage import migrations
from flashcur.services.storage.database import ATTEMPTS, Database
from flashcur.settings import Settings
from tests.support.programs import PostgresServer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def names(session: Session) -> list[str]:
    return [run.name for run in session.exec(select(JobRun))]


def test_commits_at_the_end(database: Database) -> None:
    with database.session() as session:
        start_run(session, "prune", NOON)
    with database.session(readonly=True) as session:
        assert names(session) == ["prune"]


def test_an_exception_undoes_everything(database: Database) -> None:
    def fail() -> None:
        with database.session() as session:
            start_run(session, "prune", NOON)
            session.flush()
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    with database.session(readonly=True) as session:
        assert names(session) == []


def test_a_readonly_session_never_commits(database: Database) -> None:
    with database.session(readonly=True) as session:
        session.add(JobRun(name="prune", started_at=NOON))
    with database.session(readonly=True) as session:
        assert names(session) == []


async def test_run_works_off_the_event_loop(database: Database) -> None:
    def work(session: Session) -> int:
        start_run(session, "prune", NOON)
        return threading.get_ident()

    assert await database.run(work) != threading.get_ident()
    assert await database.run(names, readonly=True) == ["prune"]


async def test_concurrent_read_then_write_loses_nothing(database: Database) -> None:
    """Deferred transactions on SQLite would fail here with "database is locked"."""
    await database.run(lambda session: session.add(mark(0)))

    def count_up(session: Session) -> None:
        statement = select(MarkFrame)
        kept = session.exec(statement if database.is_sqlite else statement.with_for_update()).one()
        kept.as_of_ms += 1
        session.add(kept)

    await asyncio.gather(*(database.run(count_up) for _ in range(40)))
    assert await database.run(lambda session: session.exec(select(MarkFrame)).one().as_of_ms) == 40


def test_who_loses_a_deadlock_is_begun_again(
    shared_postgres: PostgresServer, postgres_url: str, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    database.migrate()
    with database.session() as session:
        session.add_all([JobRun(name=name, started_at=NOON) for name in ("a", "b")])
    crossed = threading.Barrier(2)

    def touch(first: str, second: str) -> int:
        attempts = 0

        def work(session: Session) -> None:
            nonlocal attempts
            attempts += 1
            for name in (first, second):
                session.exec(select(JobRun).where(JobRun.name == name).with_for_update()).one().detail += first
                session.flush()
                if name == first and attempts == 1:
                    crossed.wait(10)

        database.work(work)
        return attempts

    with ThreadPoolExecutor(2) as threads:
        attempts = sorted(threads.map(touch, "ab", "ba"))
    assert attempts == [1, 2]
    with database.session(readonly=True) as session:
        assert {"".join(sorted(run.detail)) for run in session.exec(select(JobRun))} == {"ab"}
    (line,) = (record.getMessage() for record in caplog.records if "begun again" in record.getMessage())
    assert "deadlock" in line
    assert "\n" not in line
    database.close()


def test_a_migration_that_loses_a_deadlock_is_begun_again(
    shared_postgres: PostgresServer, postgres_url: str, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that serves holds what the migration wants, and wants what it holds."""
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    database.migrate()
    upgrade, crossed, attempts = migrations.upgrade, threading.Barrier(2), 0

    def crosses(connection: Connection) -> None:
        nonlocal attempts
        attempts += 1
        # The one that looks first loses: let it be the migration.
        connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        connection.execute(text("LOCK TABLE job_run"))
        if attempts == 1:
            crossed.wait(10)
        connection.execute(text("LOCK TABLE mark_frame"))
        upgrade(connection)

    def serve() -> None:
        with database.engine.begin() as connection:
            connection.execute(text("SET LOCAL deadlock_timeout = '10s'"))
            connection.execute(text("LOCK TABLE mark_frame"))
            crossed.wait(10)
            connection.execute(text("LOCK TABLE job_run"))

    monkeypatch.setattr(migrations, "upgrade", crosses)
    monkeypatch.setattr(migrations, "current", lambda _: None)
    monkeypatch.setattr(migrations, "refuse_foreign", lambda *_: None)
    with ThreadPoolExecutor(1) as threads:
        serving = threads.submit(serve)
        database.migrate()
        serving.result(10)
    assert attempts == 2
    database.close()


def test_a_serialisation_failure_is_begun_again_and_given_up_in_the_end(
    shared_postgres: PostgresServer, postgres_url: str, environ: dict[str, str]
) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    attempts = 0

    def work(session: Session) -> int:
        nonlocal attempts
        attempts += 1
        if attempts < last:
            session.connection().execute(text("DO $$ BEGIN RAISE SQLSTATE '40001' USING MESSAGE = 'lost'; END $$"))
        return attempts

    last = ATTEMPTS
    assert database.work(work) == ATTEMPTS
    attempts, last = 0, ATTEMPTS + 1
    with pytest.raises(DatabaseError, match="lost") as caught:
        database.work(work)
    assert attempts == ATTEMPTS
    assert caught.value.retry_after
    database.close()


def test_other_errors_are_not_tried_again(database: Database) -> None:
    attempts = 0

    def work(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        session.add_all([JobRun(name="prune", started_at=NOON) for _ in range(2)])

    with pytest.raises(IntegrityError):
        database.work(work)
    assert attempts == 1


def mark(as_of_ms: int) -> MarkFrame:
    return MarkFrame(audience="free", as_of_ms=as_of_ms, exchange="bybit", demo=False, payload=b"x")


def test_a_broken_constraint_keeps_its_own_error(database: Database) -> None:
    def insert() -> None:
        with database.session() as session:
            session.add(JobRun(name="prune", started_at=NOON))

    insert()
    with pytest.raises(IntegrityError):
        insert()


def test_a_wrong_statement_keeps_its_own_error(
    shared_postgres: PostgresServer, postgres_url: str, environ: dict[str, str]
) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    with pytest.raises(ProgrammingError), database.session() as session:
        session.connection().execute(text("SELECT nonsense"))
    database.close()


def test_sqlite_enforces_foreign_keys_and_writes_ahead(sqlite_database: Database) -> None:
    with sqlite_database.session(readonly=True) as session:
        connection = session.connection()
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": lambda _c, _i, _m, _found, wanted: False if isinstance(wanted, UtcDateTime) else None,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_every_constraint_and_index_has_the_name_of_its_convention(database: Database) -> None:
    with database.engine.connect() as connection:
        if database.is_sqlite:
            found = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = 'instrument_event'")
            ).scalar_one()
            assert "CONSTRAINT pk_instrument_event" in found
        else:
            statement = text(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'instrument_event'::regclass AND contype = 'p'"
            )
            assert connection.execute(statement).scalars().all() == ["pk_instrument_event"]


def test_migrations_undo_and_repeat(database: Database) -> None:
    from alembic import command

    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with pytest.raises(DatabaseError, match="has no tables yet"):
        database.check()
    database.migrate()
    database.check()


def test_there_is_one_line_of_migrations_with_dated_names() -> None:
    files = sorted(path.name for path in (migrations.SCRIPTS / "versions").glob("*.py"))
    assert files
    assert all(name[:11].replace("_", "").isdigit() for name in files)
    assert migrations.head()


def test_check_refuses_an_empty_database(empty_database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"run `python -m flashcur\.migrate`"):
        empty_database.check()


def test_check_creates_no_file(settings: Settings) -> None:
    database = Database(settings)
    with pytest.raises(DatabaseError, match="does not exist"):
        database.check()
    assert not (settings.data_dir / "flashcur.db").exists()
    database.close()


def test_an_older_version_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "head", lambda: "2030_newer")
    with pytest.raises(DatabaseError, match=r"is at version .*, expected version 2030_newer: run"):
        database.check()


@pytest.mark.parametrize("start", ["check", "migrate"])
def test_a_newer_version_is_refused(database: Database, start: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '2030_newer'"))
    with pytest.raises(DatabaseError, match="2030_newer, which this FlashCur does not know"):
        getattr(database, start)()


def test_migrating_together_is_safe(empty_database_url: str, environ: dict[str, str]) -> None:
    databases = [Database(Settings.load({**environ, "DATABASE_URL": empty_database_url})) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(Database.migrate, databases))
    for database in databases:
        database.check()
        database.close()


def test_a_failing_migration_leaves_nothing_behind(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = migrations.upgrade

    def upgrade_then_fail(connection: object) -> None:
        upgrade(connection)  # type: ignore[arg-type]
        raise RuntimeError("power cut")

    monkeypatch.setattr(migrations, "upgrade", upgrade_then_fail)
    with pytest.raises(RuntimeError, match="power cut"):
        empty_database.migrate()
    with pytest.raises(DatabaseError, match="has no tables yet"):
        empty_database.check()


def test_prepare_migrates_in_development_and_only_checks_in_production(environ: dict[str, str]) -> None:
    environ["FLASHCUR_SECRET_KEY"] = "b81f0e3d5c7a9264" * 4
    production = Database(
        Settings.load({**environ, "FLASHCUR_ENV": "prod", "FLASHCUR_PUBLIC_URL": "https://flashcur.example"})
    )
    with pytest.raises(DatabaseError, match="does not exist"):
        production.prepare()
    development = Database(Settings.load(environ))
    development.prepare()
    production.prepare()
    development.close()
    production.close()


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_file_is_its_owner_s_only_in_whatever_folder(tmp_path: Path, environ: dict[str, str], umask: int) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "market.db"
    settings = Settings.load({**environ, "DATABASE_URL": f"sqlite:///{file}"})
    former = os.umask(umask)
    try:
        made = Database(settings)
        made.migrate()
        with made.session() as session:
            start_run(session, "prune", NOON)
            assert modes(file) == {"market.db": 0o600, "market.db-wal": 0o600, "market.db-shm": 0o600}
        # As an earlier version left them, in use by another process.
        for each in tmp_path.glob("market.db*"):
            each.chmod(0o644)
        found = Database(settings)
        found.check()
        assert set(modes(file).values()) == {0o600}
        found.close()
        made.close()
    finally:
        os.umask(former)


def test_a_file_that_is_checked_stays_in_use(tmp_path: Path, environ: dict[str, str]) -> None:
    """To close a file gives up all locks that the process has on it: another would take it for one nobody uses."""
    file = tmp_path / "market.db"
    settings = Settings.load({**environ, "DATABASE_URL": f"sqlite:///{file}"})
    database, checked = Database(settings), Database(settings)
    database.migrate()
    with database.session() as session:
        start_run(session, "prune", NOON)
    checked.check()
    command = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM job_run').connection.close()"
    subprocess.run([sys.executable, "-c", command, str(file)], check=True)
    # Who closes a file that nobody uses takes its log away.
    assert "market.db-wal" in modes(file)
    checked.close()
    database.close()


def modes(file: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.glob(f"{file.name}*")}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"certainly not a database" * 100, "is not a database"), (None, "unable to open|[Ii]s a directory")],
)
def test_a_file_that_is_no_database(
    tmp_path: Path, environ: dict[str, str], content: bytes | None, message: str
) -> None:
    path = tmp_path / "odd.db"
    path.write_bytes(content) if content else path.mkdir()
    database = Database(Settings.load({**environ, "DATABASE_URL": f"sqlite:///{path}"}))
    with pytest.raises(DatabaseError, match=message) as caught:
        database.migrate()
    assert "\n" not in str(caught.value)
    database.close()


def test_an_unreachable_server_is_one_line_without_the_password(environ: dict[str, str]) -> None:
    url = "postgresql://trader:hunter2@127.0.0.1:1/flashcur"
    database = Database(Settings.load({**environ, "DATABASE_URL": url}))
    with pytest.raises(DatabaseError, match="cannot be used") as caught:
        database.check()
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.retry_after
    database.close()


def test_sessions_heal_after_the_server_was_away(own_postgres: PostgresServer, environ: dict[str, str]) -> None:
    url = own_postgres.create_database("healing")
    database = Database(Settings.load({**environ, "DATABASE_URL": url}))
    database.migrate()
    with database.session() as session:
        start_run(session, "prune", NOON)
    own_postgres.stop()
    with pytest.raises(DatabaseError), database.session() as session:
        names(session)
    own_postgres.start()
    with database.session(readonly=True) as session:
        assert names(session) == ["prune"]
    database.close()


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    with database.session() as session:
        event = InstrumentEvent(exchange="bybit", symbol="币安人生USDT", kind="listed", demo=False, seen_at=NOON)
        session.add(event)
    with database.session(readonly=True) as session:
        kept = session.exec(select(InstrumentEvent)).one()
    assert kept.seen_at == NOON
    assert kept.seen_at.utcoffset() is not None
    assert kept.symbol == "币安人生USDT"


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="expected a time with its zone"), database.session() as session:
        session.add(JobRun(name="prune", started_at=NOON.replace(tzinfo=None)))


def test_addresses_from_before_are_found_by_their_domain_in_ascii(database: Database) -> None:
    from alembic import command

    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    addresses = ["ann@bücher.de", "bob@example.com", "иван@почта.рф", "eve@☃.example", "ann@xn--straße.de"]
    with database.session() as session:
        for number, address in enumerate(addresses):
            account = Account(id=str(number), email=address, created_at=NOON)
            token = MailToken(id=str(number), purpose="reset", email=address, created_at=NOON, expires_at=NOON)
            session.add_all([account, token, Account(id=f"wallet {number}", created_at=NOON)])
            enqueue(session, address, "password-changed", {"base": "https://flashcur.example"}, NOON)
    before, after = "2026_11_25_accounts", "2026_11_27_ascii_addresses"
    kept = ["ann@xn--bcher-kva.de", "bob@example.com", "иван@xn--80a1acny.xn--p1ai", *addresses[3:]]
    for step, revision, expected in (
        (command.downgrade, before, addresses),
        (command.upgrade, after, kept),
        (command.downgrade, before, addresses),
    ):
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            step(config, revision)
            for column in ("email FROM account", "email FROM mail_token", "recipient FROM mail"):
                found = connection.execute(text(f"SELECT {column}")).scalars()
                assert sorted(filter(None, found)) == sorted(expected)


def test_of_two_accounts_whose_address_is_one_neither_is_lost(database: Database) -> None:
    from alembic import command

    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    # The last two differ by how the ü is made up.
    addresses = ["ann@bücher.de", "ann@xn--bcher-kva.de", "bob@bu\u0308cher.de", "bob@bücher.de"]
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "2026_11_25_accounts")
        # As the table was then, which is not as the class has it now.
        names = ("id", "email", "plan", "plan_source", "theme", "time_zone", "table_view", "created_at")
        rows = [(str(n), each, "free", "none", "system", "UTC", "", NOON) for n, each in enumerate(addresses)]
        old = table("account", *(column(name, UtcDateTime if name == "created_at" else None) for name in names))
        connection.execute(old.insert(), [dict(zip(names, row, strict=True)) for row in rows])
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        found = sorted(connection.execute(text("SELECT email FROM account")).scalars())
    assert found == ["ann@bücher.de", "ann@xn--bcher-kva.de", "bob@bücher.de", "bob@xn--bcher-kva.de"]
