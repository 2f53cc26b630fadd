"""Where Telegram posts what people write to the bot."""

from __future__ import annotations

import hmac
from typing import ClassVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from flashcur.errors import DatabaseError
from flashcur.services.notify.telegram_chat import TelegramChat
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import Route, RouteGroup, error, json_answer

MOST_BODY = 262_144
"""Bytes; a message may quote another one, with all that is in it."""


class TelegramRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._chat = TelegramChat(runtime.settings.secret_key, runtime.where.page)

    async def receive(self, request: Request) -> Response:
        """What people write to the Telegram bot, posted by Telegram with the word of `TELEGRAM_WEBHOOK_SECRET`; 404
        where that is not set."""
        telegram = self._runtime.settings.telegram
        if telegram.bot_token is None or telegram.webhook_secret is None:
            return error(404, "Telegram's webhook is not set up here.")
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(given.encode(), telegram.webhook_secret.reveal().encode()):
            return error(401, "This was not posted by Telegram.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY:
                return error(413, f"expected at most {MOST_BODY} bytes, more came")
        try:
            update = orjson.loads(bytes(body))
        except orjson.JSONDecodeError:
            return error(400, "expected JSON, what came is none")
        database = self._runtime.database
        if database is None or not self._runtime.database_ready.is_set():
            return error(503, "FlashCur is still starting.", retry_after=5.0)
        try:
            said = await database.run(lambda session: self._chat.answer(session, update, self._runtime.clock()))
        except DatabaseError:
            # Telegram posts it again.
            return error(503, "The database cannot be reached.", retry_after=5.0)
        return json_answer({} if said is None else {"method": "sendMessage", **said})

    ROUTES: ClassVar[tuple[Route, ...]] = (Route("POST", "/webhooks/telegram", receive),)
