"""A server that speaks the part of Telegram's Bot API that we use, as Telegram documents it."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import dataclass, field
from typing import Any

from tests.support.vendor import Reply, Request, Vendor, json_reply

TOKEN = "123456:AAtest_token-of-a-bot"
USERNAME = "flashcur_test_bot"


@dataclass
class Sent:
    chat: int
    text: str
    """As people see it."""
    entities: list[tuple[str, str, str]]
    """(kind, text, address) of each."""
    plain: bool


@dataclass
class TelegramServer(Vendor):
    """Takes messages for any chat that is neither `blocked` nor `moved`."""

    blocked: set[int] = field(default_factory=set[int])
    moved: dict[int, int] = field(default_factory=dict[int, int])
    unknown: set[int] = field(default_factory=set[int])
    token: str = TOKEN
    sent: list[Sent] = field(default_factory=list[Sent])
    updates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    webhook: dict[str, Any] = field(default_factory=dict[str, Any])
    pollers: int = 0
    """Who is waiting for updates."""
    takes_html: bool = True
    """Whether it reads markup at all; without, every message that has a mode is refused."""

    def __post_init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()

    def texts(self, chat: int) -> list[str]:
        return [sent.text for sent in self.sent if sent.chat == chat]

    def write(self, update: dict[str, Any]) -> None:
        """Somebody writes to the bot."""
        self.updates.append({"update_id": 1_000 + len(self.updates), **update})
        self.news.set()

    async def reply(self, request: Request) -> Reply:
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", request.path)
        if match is None or ":" not in match[1]:
            return _error(404, "Not Found")
        if match[1] != self.token:
            return _error(401, "Unauthorized")
        values = request.json
        match match[2]:
            case "getMe":
                return _ok({"id": 1, "is_bot": True, "first_name": "FlashCur", "username": USERNAME})
            case "sendMessage":
                return self._send(values)
            case "getUpdates":
                return await self._get_updates(values)
            case "setWebhook":
                self.webhook = values
                return _ok(True)
            case "deleteWebhook":
                self.webhook = {}
                return _ok(True)
            case _:
                return _error(404, "Not Found: method not found")

    def _send(self, values: dict[str, Any]) -> Reply:
        chat = values.get("chat_id")
        if not isinstance(chat, int):
            return _error(400, "Bad Request: chat_id is empty")
        if chat in self.unknown:
            return _error(400, "Bad Request: chat not found")
        if chat in self.blocked:
            return _error(403, "Forbidden: bot was blocked by the user")
        if chat in self.moved:
            return _error(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                parameters={"migrate_to_chat_id": self.moved[chat]},
            )
        text, entities = values.get("text", ""), list[tuple[str, str, str]]()
        if values.get("parse_mode") == "HTML":
            try:
                if not self.takes_html:
                    raise ValueError("unsupported start tag at byte offset 0")
                text, entities = read_html(text)
            except ValueError as problem:
                return _error(400, f"Bad Request: can't parse entities: {problem}")
        if not text.strip():
            return _error(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return _error(400, "Bad Request: message is too long")
        self.sent.append(Sent(chat, text, entities, "parse_mode" not in values))
        return _ok({"message_id": len(self.sent), "chat": {"id": chat, "type": "private"}, "text": text})

    async def _get_updates(self, values: dict[str, Any]) -> Reply:
        if self.webhook:
            return _error(409, "Conflict: can't use getUpdates method while webhook is active")
        if self.pollers:
            return _error(409, "Conflict: terminated by other getUpdates request")
        self.pollers += 1
        try:
            self.news.clear()
            fresh = self._since(values)
            if not fresh:
                over = asyncio.create_task(self._over.wait())
                news = asyncio.create_task(self.news.wait())
                await asyncio.wait((over, news), timeout=values["timeout"], return_when=asyncio.FIRST_COMPLETED)
                for task in (over, news):
                    task.cancel()
                fresh = self._since(values)
            return _ok(fresh)
        finally:
            self.pollers -= 1

    def _since(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        return [update for update in self.updates if update["update_id"] >= values.get("offset", 0)]


def message(text: str, chat: int = 7, user: int = 7, kind: str = "private", **more: Any) -> dict[str, Any]:
    """An update: `user` writes `text`."""
    return {
        "message": {
            "message_id": 1,
            "date": 1_700_000_000,
            "from": {"id": user, "is_bot": False, "first_name": "Ada", "username": "ada"},
            "chat": {"id": chat, "type": kind, "title": "Traders"} if kind != "private" else {"id": chat, "type": kind},
            "text": text,
            **more,
        }
    }


def read_html(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """What Telegram makes of a text in HTML. Raises ValueError for what it does not read."""
    plain, entities, open_tags = "", list[tuple[str, str, str]](), list[tuple[str, str, int]]()
    for token in re.findall(r"<[^>]*>?|&[^;\s]*;?|[^<&]+", text):
        if token.startswith("</"):
            if not open_tags or token != f"</{open_tags[-1][0]}>":
                raise ValueError(f"unexpected end tag {token}")
            name, address, since = open_tags.pop()
            entities.append((name, plain[since:], address))
        elif token.startswith("<"):
            match = re.fullmatch(r'<(b|i|u|s|code|pre)>|<(a) href="([^"<>]*)">', token)
            if match is None:
                raise ValueError(f"unsupported start tag {token!r}")
            open_tags.append((match[1] or match[2], html.unescape(match[3] or ""), len(plain)))
        elif token.startswith("&"):
            if not re.fullmatch(r"&(lt|gt|amp|quot|#\d+|#x[0-9a-f]+);", token):
                raise ValueError(f"unknown entity {token!r}")
            plain += html.unescape(token)
        else:
            plain += token
    if open_tags:
        raise ValueError("can't find end tag")
    return plain, entities


def _ok(result: Any) -> Reply:
    return json_reply({"ok": True, "result": result})


def _error(status: int, description: str, **more: Any) -> Reply:
    return json_reply({"ok": False, "error_code": status, "description": description, **more}, status)


def flood(retry_after: float) -> Reply:
    """What Telegram says of too many messages."""
    return _error(429, f"Too Many Requests: retry after {retry_after}", parameters={"retry_after": retry_after})
