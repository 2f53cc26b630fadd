"""The production server starts only on a database it can use, and makes none."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from pathlib import Path

import pytest

from flashcur import serve
from flashcur.errors import ConfigError
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web.market_hub import MarketHub
from flashcur.web.page import build
from flashcur.web.process import WebRuntime
from tests.support.accounts import WHERE
from tests.support.programs import PostgresServer, free_port
from tests.support.waiting import eventually

REACHED = "the database was accepted"


@pytest.fixture
def production(environ: dict[str, str]) -> dict[str, str]:
    return {
        **environ,
        "FLASHCUR_ENV": "prod",
        "FLASHCUR_PUBLIC_URL": "https://flashcur.example",
        "FLASHCUR_EXCHANGES": "binanceusdm",
        "FLASHCUR_BINANCEUSDM_REST_URL": "http://127.0.0.1:9",
        "FLASHCUR_BINANCEUSDM_WS_URL": "ws://127.0.0.1:9",
    }


def start(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `python -m flashcur.serve` says before it exits with 2; REACHED if it got as far as the build."""

    def stop(where: str) -> bool:
        raise ConfigError(REACHED)

    settings = Settings.load(environ)
    monkeypatch.setattr(Settings, "load", lambda: settings)
    monkeypatch.setattr(serve, "_refuse_busy_port", lambda host, port: None)
    monkeypatch.setattr(build, "ensure_built", stop)
    # What the start leaves in the environment ends with the test.
    monkeypatch.setattr("os.environ", {})
    assert serve.main() == 2
    return capsys.readouterr().err.splitlines()


def test_a_missing_file_is_refused_and_not_made(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(production["FLASHCUR_DATA_DIR"])
    (line,) = start(production, monkeypatch, capsys)
    assert line.startswith("flashcur: The database ")
    assert line.endswith("does not exist: run `python -m flashcur.migrate`")
    assert list(folder.glob("*.db*")) == []


def test_another_version_is_refused(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "old.db"
    sqlite3.connect(file).execute("CREATE TABLE alembic_version (version_num TEXT)").connection.close()
    (line,) = start({**production, "DATABASE_URL": f"sqlite:///{file}"}, monkeypatch, capsys)
    assert "has no tables yet, expected version" in line


def test_a_migrated_one_is_accepted(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database(Settings.load(production))
    database.migrate()
    database.close()
    assert start(production, monkeypatch, capsys) == [f"flashcur: {REACHED}"]


def test_a_server_that_is_away_is_waited_for_but_a_missing_database_is_not(
    production: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_postgres: PostgresServer,
) -> None:
    production["DATABASE_URL"] = own_postgres.url("nowhere")
    (line,) = start(production, monkeypatch, capsys)
    assert line.endswith('database "nowhere" does not exist')
    own_postgres.stop()
    monkeypatch.undo()
    away, end = start(production, monkeypatch, capsys)
    assert "cannot be used" in away
    assert end == f"flashcur: {REACHED}"


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("192.0.2.1", "FLASHCUR_HOST: expected an address of this machine, was '192.0.2.1'"),
        ("127.0.0.1", "PORT: {port} cannot be used (Address already in use); set PORT to a free one"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_told_in_a_line(host: str, line: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            serve._refuse_busy_port(host, port)
    assert str(caught.value) == line.format(port=port)
    serve._refuse_busy_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_server_listens_where_the_settings_say(
    environ: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    settings = Settings.load({**environ, "FLASHCUR_HOST": host, "PORT": str(free_port())})
    monkeypatch.setattr(Settings, "load", lambda: settings)
    monkeypatch.setattr(build, "ensure_built", lambda where: False)
    monkeypatch.setattr("uvicorn.run", lambda app, **options: told.append(options["host"]))
    monkeypatch.setattr("os.environ", {})
    assert serve.main() == 0
    assert told == [host]


async def test_a_web_process_in_production_does_not_make_a_file(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.web.process._DATABASE_PATIENCE_S", 0.01)
    settings = Settings.load(production)
    runtime = WebRuntime(settings, MarketHub(), WHERE)
    async with runtime.lifespan():
        await eventually(lambda: runtime.database_problem != "", "the problem")
        await asyncio.sleep(0.3)
        assert list(settings.data_dir.glob("*.db*")) == []
        database = Database(settings)
        await asyncio.to_thread(database.migrate)
        database.close()
        # The operator has made it: it heals.
        await asyncio.wait_for(runtime.database_ready.wait(), 15)
