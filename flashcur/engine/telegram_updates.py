"""Has Telegram tell us what people write to the bot: by a webhook where there is an address for it, else by asking.

Telegram gives updates to one asker at a time, so the active engine alone asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal, cast

from flashcur.errors import DatabaseError, DeliveryError
from flashcur.services.kit.backoff import Backoff
from flashcur.services.notify.answers import json_object, told
from flashcur.services.notify.dialling import Answer, Dialler
from flashcur.services.notify.telegram import TelegramApi
from flashcur.services.notify.telegram_chat import UPDATES, TelegramChat
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import routes_origin

logger = logging.getLogger(__name__)

WEBHOOK_PATH = "/webhooks/telegram"
POLL_S = 25.0
"""How long Telegram holds a question for which there is nothing new."""
PATIENCE_S = 10.0
"""How much later than that its answer may come."""
CONNECTIONS = 10
"""That Telegram may open at a time to the webhook."""


class TelegramUpdates:
    """The supervised task of one time in office."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], int],
        *,
        poll_s: float = POLL_S,
        backoff: Backoff | None = None,
    ) -> None:
        """`clock`: Unix ms; `backoff`: pauses after a failure."""
        self._settings = settings
        self._database = database
        self._clock = clock
        self._poll_s = poll_s
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._chat = TelegramChat(settings.secret_key, routes_origin(settings))
        self._offset = 0
        self.state: Literal["not configured", "starting", "ok", "failing", "conflict"] = "not configured"
        """`conflict`: another process asks for this bot's updates, or a webhook of its is set."""

    async def run(self) -> None:
        """Until cancelled; returns at once where there is no bot, and as soon as a webhook is set."""
        if self._settings.telegram.bot_token is None:
            return
        self.state = "starting"
        dialler = Dialler()
        try:
            api = TelegramApi(self._settings, dialler)
            if self._settings.telegram.webhook_secret is not None and self._address.startswith("https:"):
                await self._keep_trying(lambda: self._set_webhook(api))
                return
            bot = await self._keep_trying(api.username)
            while True:
                for update in await self._keep_trying(lambda: self._ask(api)):
                    await self._answer(api, update, bot)
        finally:
            await dialler.close()

    @property
    def _address(self) -> str:
        return routes_origin(self._settings) + WEBHOOK_PATH

    async def _keep_trying(self, work: Callable[[], Any]) -> Any:
        """What `work` returns once it does not raise DeliveryError any more."""
        while True:
            try:
                result = await work()
            except DeliveryError as error:
                state = "conflict" if isinstance(error, _Conflict) else "failing"
                if self.state != state:
                    logger.warning("what people write to the Telegram bot cannot be read: %s", error)
                self.state = state
                await asyncio.sleep(max(self._backoff.next_s(), error.retry_after or 0.0))
                continue
            if self.state in ("failing", "conflict"):
                logger.info("what people write to the Telegram bot is read again")
            self.state = "ok"
            self._backoff.reset()
            return result

    async def _set_webhook(self, api: TelegramApi) -> None:
        secret = self._settings.telegram.webhook_secret
        assert secret is not None
        values = {
            "url": self._address,
            "secret_token": secret.reveal(),
            "allowed_updates": UPDATES,
            "max_connections": CONNECTIONS,
        }
        answer = await api.call("setWebhook", values)
        if answer.status != 200:
            raise api.failed(answer)

    async def _ask(self, api: TelegramApi) -> list[dict[str, Any]]:
        values = {"offset": self._offset, "timeout": self._poll_s, "allowed_updates": UPDATES}
        answer = await api.call("getUpdates", values, self._poll_s + PATIENCE_S)
        updates = json_object(answer).get("result")
        if answer.status == 409:
            raise _conflict(answer)
        if answer.status != 200 or not isinstance(updates, list):
            raise api.failed(answer)
        each = cast("list[object]", updates)
        return [cast("dict[str, Any]", one) for one in each if isinstance(one, dict)]

    async def _answer(self, api: TelegramApi, update: dict[str, Any], bot: str) -> None:
        backoff = Backoff(0.5, 15.0)
        while True:
            try:
                said = await self._database.run(
                    lambda session: self._chat.answer(session, update, self._clock(), bot=bot)
                )
                break
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("%s: what was written to the Telegram bot waits", error)
                await asyncio.sleep(backoff.next_s())
        if isinstance(update.get("update_id"), int):
            self._offset = max(self._offset, update["update_id"] + 1)
        if said is None:
            return
        try:
            answer = await api.call("sendMessage", said)
        except DeliveryError as error:
            logger.info("an answer of the Telegram bot did not arrive: %s", error)
            return
        if answer.status != 200:
            logger.info("an answer of the Telegram bot did not arrive: %s", told("Telegram", answer))


class _Conflict(DeliveryError):
    """Telegram gives the updates to somebody else."""

    retry_after = 30.0


def _conflict(answer: Answer) -> _Conflict:
    """We take nobody's webhook away: it may be that of production, whose token somebody has on another machine."""
    said = told("Telegram", answer)
    if "webhook" in said.lower():
        return _Conflict(
            f"{said}. A webhook is set for this bot: set TELEGRAM_WEBHOOK_SECRET if it is this server's, take another "
            "bot's token, or call deleteWebhook"
        )
    return _Conflict(f"{said}. Another server uses this bot: give each its own")
