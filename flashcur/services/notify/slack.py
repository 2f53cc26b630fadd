"""Slack: messages through an incoming webhook of a channel, whose address its owner gives us."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import fit
from flashcur.domain.delivery.web_address import read_web_address
from flashcur.errors import Gone, Refusal, Refused, TryAgainLater, Unanswered
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.answers import failed, told
from flashcur.services.notify.channel import Handed, Outgoing, Payload
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.retry_after import too_many_s
from flashcur.settings import Settings

API = "https://hooks.slack.com"
MOST_TEXT = 3000
"""Characters of a block's text."""
WAIT_S = 5.0
"""Where a 429 does not say for how long."""

_HOST = "hooks.slack.com"
_PATH = re.compile(r"/services/(T[A-Z0-9]{6,20})/(B[A-Z0-9]{6,20})/([A-Za-z0-9]{16,64})/?")
_GONE_WORDS = (
    "no_service",
    "no_service_id",
    "no_team",
    "team_disabled",
    "channel_not_found",
    "channel_is_archived",
    "action_prohibited",
    "posting_to_general_channel_denied",
    "invalid_token",
    "user_not_found",
)


def parse_url(text: str) -> str:
    """The address of a webhook as it is kept, from what its owner pasted. Raises Refusal (field `url`)."""
    try:
        address = read_web_address(text)
    except ValueError:
        raise _no_webhook() from None
    parts = urlsplit(address.url)
    match = _PATH.fullmatch(parts.path)
    if address.host != _HOST or match is None or parts.port is not None or parts.query:
        raise _no_webhook()
    return f"{API}/services/{match[1]}/{match[2]}/{match[3]}"


def masked(address: str) -> str:
    """What its owner may see of it: enough to tell it from others, too little to use it."""
    match = _PATH.fullmatch(urlsplit(address).path)
    return f"{_HOST} … {match[2][-4:]}" if match else _HOST


class SlackChannel:
    """See `Channel`. The recipient is a webhook's address."""

    name = "slack"
    problem = ""
    rate = 50.0
    recipient_rate = 1.0
    own_servers = False
    useful_s = 3_600

    def __init__(self, settings: Settings, dialler: Dialler, clock: Callable[[], int] = now_ms) -> None:
        """`clock`: Unix ms."""
        self._base = settings.slack_api_base or API
        self._dialler = dialler
        self._clock = clock

    def render(self, message: Message) -> Payload:
        """The title as the text that notifications show, escaped; all of it in blocks whose texts are no markup."""
        parts = fit(message, MOST_TEXT - len(message.link_text), _cost)
        elements: list[dict[str, Any]] = [{"type": "text", "text": parts.title, "style": {"bold": True}}]
        quoted = f"“{parts.note}”" if parts.note else ""
        rest = [text for text in (*parts.lines, quoted, parts.more_text) if text]
        if rest:
            elements.append({"type": "text", "text": "\n" + "\n".join(rest)})
        if message.link:
            elements.append({"type": "text", "text": "\n"})
            elements.append({"type": "link", "url": message.link, "text": message.link_text or "Open"})
        return {
            "text": _escape(parts.title),
            "mrkdwn": False,
            "blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}],
            "unfurl_links": False,
            "unfurl_media": False,
        }

    async def send(self, outgoing: Outgoing) -> Handed:
        """Post it."""
        answer = await self._dialler.post(
            self._base + urlsplit(outgoing.recipient).path,
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(outgoing.payload),
            trusted=True,
        )
        said = answer.body.decode("utf-8", "replace").strip()
        # Slack says "ok", and no more; of an answer that broke off the status is enough.
        if answer.status == 200 and said in ("ok", ""):
            return Handed(status="delivered")
        if answer.status == 200:
            raise Unanswered("Slack’s answer did not confirm the message")
        if answer.status == 429:
            raise TryAgainLater(told("Slack", answer), wait_s=too_many_s(answer.headers, self._clock(), WAIT_S))
        if said in _GONE_WORDS or answer.status in (404, 410):
            raise Gone(f"{told('Slack', answer)}: the webhook was removed, or its channel is no longer there")
        if 400 <= answer.status < 500 and answer.status != 408:
            raise Refused(told("Slack", answer))
        raise failed("Slack", answer, self._clock())


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cost(text: str) -> int:
    return len(_escape(text))


def _no_webhook() -> Refusal:
    return Refusal(
        "This is not the address of a Slack webhook. In Slack, add an incoming webhook to an app and copy its address: "
        "it begins with https://hooks.slack.com/services/.",
        field="url",
    )
