"""Telegram: messages of a bot, and the calls of its API that we need."""

from __future__ import annotations

import html
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import fit, utf16_units
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.kit.budgets import Budgets
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.answers import bounded_s, failed, json_object, told
from flashcur.services.notify.channel import Handed, Outgoing, Payload, cannot_send
from flashcur.services.notify.dialling import Answer, Dialler
from flashcur.settings import Settings

logger = logging.getLogger(__name__)

API = "https://api.telegram.org"
MOST_TEXT = 4096
"""UTF-16 units of a message's text, its markup not counted."""
GROUP_BURST = 20
"""Messages to one group a minute; Telegram refuses more for as long as it likes."""
WAIT_S = 5.0
"""Where a 429 does not say for how long."""
TOKEN_WAIT_S = 60.0
"""How often a token that Telegram does not know is tried again."""

# Of these the chat is to blame, and no other message would fare better.
_GONE_WORDS = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "not enough rights",
    "have no rights",
    "need administrator rights",
    "chat_write_forbidden",
    "chat_restricted",
    "topic_closed",
    "topic_deleted",
    "group chat was deactivated",
)


class TelegramApi:
    """One bot's API."""

    def __init__(self, settings: Settings, dialler: Dialler, clock: Callable[[], int] = now_ms) -> None:
        """`clock`: Unix ms."""
        self._token = settings.telegram.bot_token
        self._base = settings.telegram.api_base or API
        self._dialler = dialler
        self._clock = clock
        self._username = ""
        self.refused = False
        """Whether Telegram does not take the token."""

    @property
    def problem(self) -> str:
        """Why the bot cannot be used; empty while it can."""
        if self._token is None:
            return cannot_send("telegram")
        if self.refused:
            return "This site cannot send Telegram messages until its operator sets a new bot token."
        return ""

    async def call(self, method: str, values: Mapping[str, Any], timeout_s: float | None = None) -> Answer:
        """Call a method. Raises DeliveryError, also where there is no token; see `Dialler.post`."""
        if self._token is None:
            raise DeliveryError(self.problem)
        answer = await self._dialler.post(
            f"{self._base}/bot{self._token.reveal()}/{method}",
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(values),
            timeout_s=timeout_s,
            trusted=True,
        )
        # 404 is what it says of a path without a bot: a token that was never one.
        refused = answer.status in (401, 404) and json_object(answer).get("ok") is False
        if refused and not self.refused:
            logger.error("%s. Check TELEGRAM_BOT_TOKEN; Telegram messages wait", told("Telegram", answer))
        if refused or answer.status == 200:
            self.refused = refused
        return answer

    async def username(self) -> str:
        """The bot's name in links (`t.me/NAME`). Raises DeliveryError where Telegram does not tell it."""
        if not self._username:
            answer = await self.call("getMe", {})
            name = _mapping(json_object(answer).get("result")).get("username")
            if answer.status != 200 or not isinstance(name, str) or not name:
                raise self.failed(answer)
            self._username = name
        return self._username

    def failed(self, answer: Answer) -> DeliveryError:
        """What an answer means that is no success, and is about nothing that was asked."""
        return failed("Telegram", answer, self._clock())


class TelegramChannel:
    """See `Channel`. The recipient is a chat's id."""

    name = "telegram"
    rate = 30.0
    recipient_rate = 1.0
    own_servers = False
    useful_s = 3_600

    def __init__(self, api: TelegramApi, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds of a clock that nobody sets."""
        self.api = api
        self._monotonic = monotonic
        self._groups = Budgets(GROUP_BURST, GROUP_BURST / 60)

    @property
    def problem(self) -> str:
        """Why nothing can be sent; empty while it can."""
        return self.api.problem

    def render(self, message: Message) -> Payload:
        """`html`, and `plain` should Telegram not take the markup."""
        room = MOST_TEXT - utf16_units(message.link_text) - 8
        # The plain text holds the link itself; it is the longer one.
        parts = fit(message, room - utf16_units(message.link), utf16_units)
        quoted = f"“{parts.note}”" if parts.note else ""
        rest = [text for text in (*parts.lines, quoted, parts.more_text) if text]
        marked = [f"<b>{_escape(parts.title)}</b>", *map(_escape, rest)]
        plain = [parts.title, *rest]
        if message.link:
            marked.append(f'<a href="{_escape(message.link)}">{_escape(message.link_text or "Open")}</a>')
            plain.append(message.link)
        return {"html": "\n".join(marked), "plain": "\n".join(plain)}

    async def send(self, outgoing: Outgoing) -> Handed:
        """Send it: as plain text where Telegram cannot read our markup, to the supergroup that a group has become."""
        chat = outgoing.recipient
        if chat.startswith("-") and not self._groups.take(chat, self._monotonic()):
            raise TryAgainLater("Telegram takes 20 messages a minute for a group", wait_s=60 / GROUP_BURST)
        payload = outgoing.payload
        values: dict[str, Any] = {
            "chat_id": _chat_id(chat),
            "text": payload["html"],
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        answer = await self.api.call("sendMessage", values)
        if _said(answer, "can't parse entities"):
            logger.error("Telegram could not read our markup: %s", told("Telegram", answer))
            del values["parse_mode"]
            values["text"] = payload["plain"]
            answer = await self.api.call("sendMessage", values)
        moved = _mapping(json_object(answer).get("parameters")).get("migrate_to_chat_id")
        if answer.status == 400 and isinstance(moved, int):
            values["chat_id"] = moved
            answer = await self.api.call("sendMessage", values)
        else:
            moved = None
        return self._handed(answer, "" if moved is None else str(moved))

    def _handed(self, answer: Answer, moved_to: str) -> Handed:
        """What the answer means. Raises DeliveryError."""
        said = json_object(answer)
        if answer.status == 200 and said.get("ok") is True:
            result = _mapping(said.get("result"))
            chat, number = _mapping(result.get("chat")).get("id", ""), result.get("message_id", "")
            return Handed(f"{chat}:{number}"[:128], "delivered", moved_to)
        if answer.status == 200:
            raise Unanswered("Telegram’s answer did not confirm the message")
        if answer.status == 429:
            asked = _mapping(said.get("parameters")).get("retry_after")
            raise TryAgainLater(told("Telegram", answer), wait_s=bounded_s(asked, WAIT_S))
        if answer.status == 403 and said:
            raise Gone(f"{told('Telegram', answer)}: the bot was blocked or is no longer in this chat")
        if answer.status in (401, 404) and said:
            raise TryAgainLater(told("Telegram", answer), wait_s=TOKEN_WAIT_S, whole_channel=True)
        if answer.status == 400 and said:
            words = str(said.get("description", "")).lower()
            raise (Gone if any(gone in words for gone in _GONE_WORDS) else Refused)(told("Telegram", answer))
        raise self.api.failed(answer)


def _said(answer: Answer, words: str) -> bool:
    return answer.status == 400 and words in str(json_object(answer).get("description", "")).lower()


def _escape(text: str) -> str:
    return html.escape(text)


def _chat_id(recipient: str) -> int | str:
    return int(recipient) if recipient.removeprefix("-").isdecimal() else recipient


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
