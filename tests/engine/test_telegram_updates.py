"""What people write to the bot reaches the active engine, one asker at a time, or the webhook."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlmodel import Session, select

from flashcur.engine.telegram_updates import TelegramUpdates
from flashcur.errors import DatabaseError
from flashcur.models import Destination
from flashcur.services.accounts import sessions
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import now_ms, utc_now
from flashcur.services.notify.telegram_links import begin_link
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account
from tests.support.telegram import TOKEN, USERNAME, TelegramServer, message
from tests.support.vendor import HTML, Reply, json_reply, serving
from tests.support.waiting import eventually


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with serving(TelegramServer()) as vendor:
        yield vendor


@pytest.fixture
def environ(environ: dict[str, str], server: TelegramServer) -> dict[str, str]:
    return {**environ, "TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE": server.url}


def updates_of(settings: Settings, database: Database) -> TelegramUpdates:
    return TelegramUpdates(settings, database, now_ms, poll_s=5, backoff=Backoff(0.01, 0.02))


@contextlib.asynccontextmanager
async def running(*all_of_them: TelegramUpdates) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in all_of_them]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result


def code_for_a_new_account(database: Database, settings: Settings) -> str:
    def work(session: Session) -> str:
        account_id = add_account(session, "ada@example.com", utc_now(), plan="elite")
        sessions.lock(session, account_id)
        return begin_link(session, account_id, settings.secret_key, USERNAME, now_ms()).url.partition("=")[2]

    return database.work(work)


def states(database: Database) -> list[tuple[str, str]]:
    return database.work(lambda session: [(one.address, one.state) for one in session.exec(select(Destination))])


async def test_a_chat_is_connected_and_answered(
    server: TelegramServer, settings: Settings, sqlite_database: Database
) -> None:
    updates = updates_of(settings, sqlite_database)
    async with running(updates):
        server.write(message(f"/start {code_for_a_new_account(sqlite_database, settings)}"))
        await eventually(lambda: len(server.texts(7)) == 1, "an answer")
        assert server.texts(7)[0].startswith("Connected")
        assert updates.state == "ok"
        server.write(message("/plan"))
        await eventually(lambda: len(server.texts(7)) == 2, "another answer")
    assert server.texts(7)[1].startswith("Your plan: Elite.")
    assert states(sqlite_database) == [("7", "on")]


async def test_what_was_answered_is_not_answered_again_by_the_next_engine(
    server: TelegramServer, settings: Settings, sqlite_database: Database
) -> None:
    async with running(updates_of(settings, sqlite_database)):
        server.write(message("/start"))
        await eventually(lambda: len(server.sent) == 1, "an answer")
    # Telegram may give it once more: what the former engine had read last was not confirmed.
    async with running(updates_of(settings, sqlite_database)):
        server.write(message("/help"))
        await eventually(lambda: len(server.sent) == 2, "the next answer")
    assert len(server.sent) == 2


async def test_two_that_ask_say_so_and_go_on_when_one_has_gone(
    server: TelegramServer, settings: Settings, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Complaint 16: 409 is told in plain words once, and is no reason to give up or to ask without a pause."""
    server.pollers = 1
    updates = updates_of(settings, sqlite_database)
    updates_module_wait = 0.02
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flashcur.engine.telegram_updates._Conflict.retry_after", updates_module_wait)
        async with running(updates):
            await eventually(lambda: updates.state == "conflict", "the conflict to be noticed")
            await eventually(lambda: len(server.requests) >= 4, "some more attempts")
            server.pollers = 0
            await eventually(lambda: updates.state == "ok" or server.pollers == 1, "it to go on")
            server.write(message("/start"))
            await eventually(lambda: len(server.sent) == 1, "an answer")
    told = [record.getMessage() for record in caplog.records if "Another server uses this bot" in record.getMessage()]
    assert len(told) == 1
    assert TOKEN not in told[0]


async def test_nobodys_webhook_is_taken_away(
    server: TelegramServer, settings: Settings, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Complaint 16: a developer's machine with production's token must not silence production."""
    server.webhook = {"url": "https://production.example/webhooks/telegram"}
    updates = updates_of(settings, sqlite_database)
    async with running(updates):
        await eventually(lambda: updates.state == "conflict", "the conflict to be noticed")
    assert server.webhook == {"url": "https://production.example/webhooks/telegram"}
    assert "set TELEGRAM_WEBHOOK_SECRET if it is this server's" in caplog.text


async def test_in_production_telegram_is_told_where_to_post(
    server: TelegramServer, environ: dict[str, str], sqlite_database: Database
) -> None:
    settings = Settings.load(
        {**environ, "TELEGRAM_WEBHOOK_SECRET": "w" * 32, "FLASHCUR_PUBLIC_URL": "https://flashcur.example"}
    )
    server.script.extend([HTML, Reply(fault="hang up"), json_reply({"ok": False, "description": "wait"}, 429)])
    updates = updates_of(settings, sqlite_database)
    async with asyncio.timeout(30):
        await updates.run()
    assert server.webhook == {
        "url": "https://flashcur.example/webhooks/telegram",
        "secret_token": "w" * 32,
        "allowed_updates": ["message", "my_chat_member"],
        "max_connections": 10,
    }
    assert updates.state == "ok"


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        Reply(200, body=b"<html>"),
        Reply(200, body=b'{"ok": true, "result": {}}'),
        Reply(200, body=b'{"ok": true, "result": [7, null, {}]}'),
        Reply(500),
        Reply(fault="hang up"),
    ],
)
async def test_a_strange_answer_loses_no_update(
    server: TelegramServer, settings: Settings, sqlite_database: Database, reply: Reply
) -> None:
    server.script.append(json_reply({"ok": True, "result": {"username": USERNAME}}))
    server.script.append(reply)
    server.write(message("/start"))
    async with running(updates_of(settings, sqlite_database)):
        await eventually(lambda: len(server.sent) == 1, "an answer")


async def test_what_is_written_while_the_database_is_away_is_answered_later(
    server: TelegramServer, settings: Settings, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    run = sqlite_database.run

    async def away(work: object, **more: object) -> object:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise DatabaseError("it is away")
        return await run(work, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_database, "run", away)
    server.write(message("/start"))
    async with running(updates_of(settings, sqlite_database)):
        await eventually(lambda: len(server.sent) == 1, "an answer", within_s=10)
    assert tries == 3


async def test_an_answer_that_does_not_arrive_stops_nothing(
    server: TelegramServer, settings: Settings, sqlite_database: Database
) -> None:
    server.blocked.add(7)
    async with running(updates_of(settings, sqlite_database)):
        server.write(message("/start"))
        server.write(message("/start", chat=8, user=8))
        await eventually(lambda: len(server.texts(8)) == 1, "the other's answer")


async def test_without_a_bot_nothing_is_asked(
    server: TelegramServer, environ: dict[str, str], sqlite_database: Database
) -> None:
    del environ["TELEGRAM_BOT_TOKEN"]
    updates = updates_of(Settings.load(environ), sqlite_database)
    await updates.run()
    assert updates.state == "not configured"
    assert not server.requests
