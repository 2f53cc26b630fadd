"""Discord: messages through a webhook of a channel, whose address its owner gives us."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import fit, utf16_units
from flashcur.domain.delivery.web_address import read_web_address
from flashcur.errors import Gone, Refusal, Refused, TryAgainLater, Unanswered
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.answers import bounded_s, failed, json_object, told
from flashcur.services.notify.channel import Handed, Outgoing, Payload
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.retry_after import too_many_s
from flashcur.settings import Settings

API = "https://discord.com"
MOST_CONTENT, MOST_DESCRIPTION = 2000, 4096
"""Characters of a message and of an embed's text."""
WAIT_S = 5.0
"""Where a 429 does not say for how long."""
SHUT_OUT_S = 300.0
"""Where what stands before Discord answers in its place: it has shut our address out for a while."""

_HOSTS = ("discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com")
_PATH = re.compile(r"/api(?:/v[0-9]{1,2})?/webhooks/([0-9]{15,21})/([A-Za-z0-9_-]{40,120})/?")
_MARKUP = re.compile(r"([\\*_~`|<>\[\]()#])")
_COSTLY = re.compile(r"[\\*_~`|<>\[\]()#+.-]")
"""What may be escaped, wherever it stands."""
_AT_BEGINNING = re.compile(r"^([-+]|[0-9]+(?=[.)]))")
_ACCENT, _URGENT = 0x3B82F6, 0xDC2626
"""Colours of the bar beside the text."""


def parse_url(text: str) -> str:
    """The address of a webhook as it is kept, from what its owner pasted. Raises Refusal (field `url`)."""
    try:
        address = read_web_address(text)
    except ValueError:
        raise _no_webhook() from None
    parts = urlsplit(address.url)
    match = _PATH.fullmatch(parts.path)
    if address.host not in _HOSTS or match is None or parts.port is not None:
        raise _no_webhook()
    thread = parse_qs(parts.query).get("thread_id", [""])[0]
    query = f"?thread_id={thread}" if re.fullmatch("[0-9]{15,21}", thread) else ""
    # Of this version it is known that it tells waits in seconds.
    return f"{API}/api/v10/webhooks/{match[1]}/{match[2]}{query}"


def masked(address: str) -> str:
    """What its owner may see of it: enough to tell it from others, too little to use it."""
    match = _PATH.fullmatch(urlsplit(address).path)
    return f"discord.com … {match[1][-4:]}" if match else "discord.com"


class DiscordChannel:
    """See `Channel`. The recipient is a webhook's address."""

    name = "discord"
    problem = ""
    rate = 40.0
    recipient_rate = 0.5
    own_servers = False
    useful_s = 3_600

    def __init__(self, settings: Settings, dialler: Dialler, clock: Callable[[], int] = now_ms) -> None:
        """`clock`: Unix ms."""
        self._base = settings.discord_api_base or API
        self._dialler = dialler
        self._clock = clock

    def render(self, message: Message) -> Payload:
        """The title as the message, so that it stands in the notification; all else in an embed."""
        room = MOST_DESCRIPTION - _cost(message.link_text) - len(message.link) - 8
        parts = fit(message, room, _cost)
        quoted = f"“{_escape(parts.note)}”" if parts.note else ""
        text = [*map(_escape, parts.lines), quoted, _escape(parts.more_text)]
        if message.link:
            text.append(f"[{_escape(message.link_text or 'Open')}](<{message.link}>)")
        embed: dict[str, Any] = {
            "description": "\n".join(line for line in text if line),
            "color": _URGENT if message.urgent else _ACCENT,
        }
        if message.event_ms > 0:
            embed["timestamp"] = datetime.fromtimestamp(message.event_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return {
            "content": f"**{_escape(parts.title)}**",
            "embeds": [embed] if embed["description"] else [],
            "allowed_mentions": {"parse": []},
        }

    async def send(self, outgoing: Outgoing) -> Handed:
        """Post it and wait for the message that comes of it."""
        parts = urlsplit(outgoing.recipient)
        query = f"{parts.query}&wait=true" if parts.query else "wait=true"
        answer = await self._dialler.post(
            f"{self._base}{parts.path}?{query}",
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(outgoing.payload),
            trusted=True,
        )
        said = json_object(answer)
        if answer.status == 204 or (answer.status == 200 and said.get("id")):
            return Handed(str(said.get("id", ""))[:128], "delivered")
        if answer.status == 200:
            raise Unanswered("Discord’s answer did not confirm the message")
        if answer.status == 429:
            if not said:
                wait = too_many_s(answer.headers, self._clock(), SHUT_OUT_S)
                raise TryAgainLater("Discord refuses our requests for now", wait_s=wait, whole_channel=True)
            wait = bounded_s(said.get("retry_after"), too_many_s(answer.headers, self._clock(), WAIT_S))
            raise TryAgainLater(told("Discord", answer), wait_s=wait, whole_channel=said.get("global") is True)
        if answer.status == 403 and not said:
            raise TryAgainLater(told("Discord", answer), wait_s=SHUT_OUT_S, whole_channel=True)
        # Each more would count towards being shut out, for 10,000 in ten minutes.
        if answer.status in (401, 403, 404):
            raise Gone(f"{told('Discord', answer)}: the webhook was deleted, or its address has changed")
        if answer.status == 400:
            raise Refused(told("Discord", answer))
        raise failed("Discord", answer, self._clock())


def _escape(text: str) -> str:
    return _AT_BEGINNING.sub(_guard_beginning, _MARKUP.sub(r"\\\1", text))


def _guard_beginning(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[0] in "+-" else f"{match[0]}\\"


def _cost(text: str) -> int:
    return utf16_units(text) + len(_COSTLY.findall(text))


def _no_webhook() -> Refusal:
    return Refusal(
        "This is not the address of a Discord webhook. Copy it in Discord: Edit Channel, Integrations, Webhooks, Copy "
        "Webhook URL. It begins with https://discord.com/api/webhooks/.",
        field="url",
    )
