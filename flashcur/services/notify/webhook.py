"""Webhooks to any server, signed as Standard Webhooks has it (docs/webhooks.md is for whoever receives them)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import orjson
from standardwebhooks import Webhook

from flashcur.domain.delivery.message import Message, MessageKind
from flashcur.domain.delivery.text_fit import one_line
from flashcur.domain.delivery.web_address import read_web_address
from flashcur.errors import DeliveryError, Gone, Refusal, Refused, TryAgainLater
from flashcur.models import Destination
from flashcur.services.kit.clock import from_ms, now_ms
from flashcur.services.notify.answers import failed, told
from flashcur.services.notify.channel import Handed, Outgoing, Payload
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.retry_after import too_many_s
from flashcur.settings import Secret, Settings

MOST_BODY = 20_000
"""Bytes; the standard's limit."""
ROTATION_MS = 24 * 3_600_000
"""For so long after a new secret was made, messages are signed with the one before, too."""
WAIT_S = 10.0
"""Where a 429 does not say for how long."""

TYPES: dict[MessageKind, str] = {
    "alert": "alert.fired",
    "summary": "alert.summary",
    "digest": "alert.digest",
    "notice": "account.notice",
    "test": "webhook.test",
}
"""What a message's body calls its kind."""


def parse_url(text: str, *, private: bool = False) -> str:
    """An address that messages may be posted to, from what its owner typed; `private`: see `read_web_address`.

    Raises Refusal (field `url`).
    """
    try:
        return read_web_address(text, private=private).url
    except ValueError as error:
        # What came stands in the field.
        raise Refusal(f"Enter {str(error).partition(', was ')[0]}.", field="url") from None


def masked(address: str) -> str:
    """What its owner is shown of it: the server. What follows often holds a password."""
    return urlsplit(address).netloc


def new_details() -> dict[str, Any]:
    """`Destination.details` of a new webhook: what its secret is derived from, beside our own key."""
    return {"salt": secrets.token_hex(16), "version": 1, "rotated_ms": 0}


def rotated(details: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """`details` with the next secret; the present one goes on signing beside it for a day."""
    return {**details, "version": int(details["version"]) + 1, "rotated_ms": now_ms}


def secret_of(destination: Destination, secret_key: Secret) -> str:
    """The signing secret of a webhook, `whsec_` and Base64: shown to its owner when it was made, and stored nowhere.

    Raises KeyError for a destination whose details are not those of a webhook.
    """
    details = destination.details
    return "whsec_" + base64.b64encode(_secret(secret_key, details["salt"], details["version"])).decode()


class WebhookChannel:
    """See `Channel`. The recipient is an address."""

    name = "webhook"
    problem = ""
    rate = 50.0
    recipient_rate = 5.0
    own_servers = True
    useful_s = 6 * 3_600

    def __init__(self, settings: Settings, dialler: Dialler, clock: Callable[[], int] = now_ms) -> None:
        """`clock`: Unix ms."""
        self._key = settings.secret_key
        self._dialler = dialler
        self._clock = clock

    def render(self, message: Message) -> Payload:
        """`body`: the very text that is signed and sent in each attempt."""
        lines = [one_line(line) for line in message.lines]
        while True:
            body = _body(message, lines)
            if len(body.encode()) <= MOST_BODY or not lines:
                return {"body": body}
            del lines[-max(1, len(lines) // 8) :]

    async def send(self, outgoing: Outgoing) -> Handed:
        """Post it; anything from 200 to 299 means that it was taken."""
        details, body = outgoing.details, str(outgoing.payload["body"])
        if "salt" not in details:
            raise Refused("This webhook was removed")
        at_ms = self._clock()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": outgoing.key,
            "webhook-timestamp": str(at_ms // 1000),
            "webhook-signature": self._signatures(details, outgoing.key, at_ms, body),
        }
        answer = await self._dialler.post(outgoing.recipient, headers=headers, body=body.encode(), purpose=self.name)
        server = masked(outgoing.recipient)
        if 200 <= answer.status < 300:
            return Handed(status="delivered")
        if answer.status == 410:
            raise Gone(f"{told(server, answer)}: the server wants no more messages")
        if answer.status == 429 or (answer.status == 503 and "Retry-After" in answer.headers):
            raise TryAgainLater(told(server, answer), wait_s=too_many_s(answer.headers, at_ms, WAIT_S))
        if 300 <= answer.status < 400:
            raise DeliveryError(f"{server} answered {answer.status}: redirects are not followed")
        raise failed(server, answer, at_ms)

    def _signatures(self, details: Mapping[str, Any], key: str, at_ms: int, body: str) -> str:
        version = int(details["version"])
        versions = [version]
        if version > 1 and at_ms - int(details["rotated_ms"]) < ROTATION_MS:
            versions.append(version - 1)
        # The library takes a time's digits for UTC, whatever its zone: it has to be in UTC.
        at = from_ms(at_ms)
        return " ".join(Webhook(_secret(self._key, details["salt"], each)).sign(key, at, body) for each in versions)


def _body(message: Message, lines: list[str]) -> str:
    price, rule = message.price, message.rule
    named = None if rule is None else {"id": rule.id, "name": one_line(rule.name), "sentence": one_line(rule.sentence)}
    return orjson.dumps(
        {
            "type": TYPES[message.kind],
            "timestamp": from_ms(message.event_ms).isoformat(timespec="milliseconds") if message.event_ms > 0 else None,
            "data": {
                "title": one_line(message.title)[:200],
                "lines": lines,
                "more": max(0, message.more) + len(message.lines) - len(lines),
                "note": one_line(message.note)[:300],
                "rule": named,
                "urgent": message.urgent,
                "symbol": one_line(message.symbol)[:64],
                "price": price if price is not None and isfinite(price) else None,
                "event_ms": message.event_ms or None,
                "seen_ms": message.seen_ms or None,
                "stored_ms": message.stored_ms or None,
                "link": message.link,
            },
        }
    ).decode()


def _secret(secret_key: Secret, salt: str, version: int) -> bytes:
    key = secret_key.reveal().encode()
    return hmac.new(key, f"webhook secret\0{salt}\0{version}".encode(), hashlib.sha256).digest()
