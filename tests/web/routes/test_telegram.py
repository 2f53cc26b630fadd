"""The webhook that Telegram posts to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlmodel import Session, select

from flashcur.errors import DatabaseError
from flashcur.models import Destination, ProviderEvent
from flashcur.services.accounts import sessions
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.telegram_links import begin_link
from flashcur.settings import Settings
from tests.support.accounts import ADDRESS
from tests.support.site import Browser, Site, running_site
from tests.support.telegram import TOKEN, USERNAME, message
from tests.support.waiting import eventually

PATH = "/webhooks/telegram"
WORD = "telegrams-own-word-" + "w" * 20


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.load({**environ, "TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_WEBHOOK_SECRET": WORD})


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings) as site:
        yield site


async def post(browser: Browser, update: Any, word: str = WORD) -> Any:
    content = update if isinstance(update, bytes) else json.dumps(update).encode()
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": word}
    return await browser.client.post(PATH, content=content, headers=headers)


async def test_an_update_is_answered_in_the_answer(site: Site) -> None:
    account_id = site.account(ADDRESS, plan="elite")

    def work(session: Session) -> str:
        sessions.lock(session, account_id)
        link = begin_link(session, account_id, site.runtime.settings.secret_key, USERNAME, now_ms())
        return link.url.partition("=")[2]

    code = site.database.work(work)
    answer = await post(site.browser(), {"update_id": 1, **message(f"/start {code}")})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["method"], said["chat_id"]) == ("sendMessage", 7)
    assert said["text"].startswith("Connected")
    with site.database.session() as session:
        assert session.exec(select(Destination.state)).one() == "on"
    again = await post(site.browser(), {"update_id": 1, **message(f"/start {code}")})
    assert (again.status_code, again.json()) == (200, {})


@pytest.mark.parametrize("word", ["", "x", WORD[:-1], WORD + "x", "é"])
async def test_who_does_not_know_the_word_is_refused(site: Site, word: str) -> None:
    headers = {b"X-Telegram-Bot-Api-Secret-Token": word.encode()} if word else {}
    answer = await site.browser().client.post(PATH, content=b'{"update_id": 1}', headers=headers)
    assert answer.status_code == 401
    with site.database.session() as session:
        assert session.exec(select(ProviderEvent)).first() is None


async def test_without_a_word_there_is_no_webhook(environ: dict[str, str]) -> None:
    async with running_site(Settings.load({**environ, "TELEGRAM_BOT_TOKEN": TOKEN})) as site:
        assert (await post(site.browser(), {"update_id": 1}, "")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"\xff", 400), (b"[]", 200), (b"7", 200), (b"{}", 200), (b" " * 300_000, 413)],
)
async def test_what_is_no_update_does_no_harm(site: Site, body: bytes, status: int) -> None:
    assert (await post(site.browser(), body)).status_code == status


async def test_while_the_database_is_away_telegram_is_asked_to_post_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(work: object, **more: object) -> object:
        raise DatabaseError("it is away")

    await eventually(site.runtime.database_ready.is_set, "the database to be ready")
    with monkeypatch.context() as patch:
        patch.setattr(site.database, "run", away)
        answer = await post(site.browser(), {"update_id": 1, **message("/start")})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (await post(site.browser(), {"update_id": 1, **message("/start")})).json()["chat_id"] == 7
