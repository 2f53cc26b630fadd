"""Alerts by Web Push: encrypted for one browser (RFC 8291) and left with its push service, which has it wake up."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import orjson

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.answers import failed
from flashcur.services.notify.channel import Handed, Outgoing, Payload, cannot_send
from flashcur.services.notify.dialling import Answer, Dialler
from flashcur.services.notify.retry_after import too_many_s
from flashcur.services.notify.vapid import Vapid, public_key
from flashcur.settings import Settings

logger = logging.getLogger(__name__)

MOST_TITLE, MOST_BODY = 120, 600
"""Characters; a phone shows fewer."""
MOST_BYTES = 3_000
"""Of what is encrypted: services take 4,096 of what comes out, and pad it."""
TIMEOUT_S = 10.0
BUSY_S = 10.0
"""How long a browser's messages wait after a 429 that does not say, in seconds."""
OPERATOR_WAIT_S = 300.0
"""How often is asked again what only the operator can mend, in seconds."""

_ANOTHER_KEY = "This browser’s connection is out of date. Turn web push on in it again."
_GONE = "This browser is no longer subscribed. Turn web push on in it again."


class WebPushChannel:
    """See `services.notify.channel.Channel`."""

    name = "web-push"
    rate = 100.0
    recipient_rate = 2.0
    own_servers = True
    useful_s = 3600

    def __init__(
        self,
        settings: Settings,
        dialler: Dialler,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`timeout_s`: of a whole request; `clock`: Unix ms."""
        key, subject = settings.web_push.private_key, settings.web_push.subject
        self._dialler = dialler
        self._timeout_s = timeout_s
        self._clock = clock
        self._vapid = None if key is None else Vapid(key, subject, clock)
        self._key = "" if key is None else public_key(key)

    @property
    def problem(self) -> str:
        """See `Channel`."""
        return "" if self._vapid is not None else cannot_send("web-push")

    def render(self, message: Message) -> Payload:
        """`title`, `body` and `url` (a path of our pages), which the browser's worker shows; and how urgent it is."""
        lines = [*message.lines, message.note, f"+{message.more:,} more" if message.more else ""]
        body = "\n".join(line for each in lines if (line := one_line(each)))
        parts = urlsplit(message.link)
        return {
            "title": _cut(one_line(message.title), MOST_TITLE) or "FlashCur",
            "body": _cut(body, MOST_BODY),
            "url": parts.path + (f"?{parts.query}" if parts.query else ""),
            "urgent": message.urgent or message.kind in ("alert", "test"),
        }

    async def send(self, outgoing: Outgoing) -> Handed:
        """Raises DeliveryError and its kinds. A message that is sent again takes the place of the first, where it
        waits at the service and where it is shown."""
        if self._vapid is None:
            raise TryAgainLater(self.problem, wait_s=OPERATOR_WAIT_S, whole_channel=True)
        if outgoing.details.get("key", self._key) != self._key:
            raise Gone(_ANOTHER_KEY)
        topic = hashlib.sha256(outgoing.key.encode()).hexdigest()[:32]
        try:
            headers = {
                "Authorization": self._vapid.authorization(outgoing.recipient),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(max(0, (outgoing.expires_ms - self._clock()) // 1000)),
                "Urgency": "high" if outgoing.payload.get("urgent") else "normal",
                "Topic": topic,
            }
            body = _encrypted(outgoing, topic)
        except ValueError as error:
            raise Refused(str(error)) from error
        answer = await self._dialler.post(
            outgoing.recipient, headers=headers, body=body, timeout_s=self._timeout_s, purpose=self.name
        )
        if answer.status in (200, 201, 202, 204):
            return Handed(answer.headers.get("Location", "")[-128:], "accepted")
        raise self._refusal(answer, urlsplit(outgoing.recipient).hostname or "")

    def _refusal(self, answer: Answer, host: str) -> DeliveryError:
        """What an answer means that is no success."""
        said = one_line(answer.body.decode(errors="replace"))[:200]
        words = f"{host} answered {answer.status}{f': {said}' if said else ''}"
        if answer.status in (404, 410):
            return Gone(_GONE)
        if answer.status == 429:
            return TryAgainLater(words, wait_s=too_many_s(answer.headers, self._clock(), BUSY_S))
        if answer.status in (401, 403):
            logger.error("%s. Check VAPID_PRIVATE_KEY, VAPID_SUBJECT and this machine's clock", words)
            return TryAgainLater(words, wait_s=OPERATOR_WAIT_S)
        if answer.status == 408 or answer.status >= 500:
            return failed(host, answer, self._clock())
        return Refused(words)


def _encrypted(outgoing: Outgoing, tag: str) -> bytes:
    """What only the subscribed browser reads. Raises ValueError where its keys are none."""
    payload = {**outgoing.payload, "tag": tag}
    data = orjson.dumps(payload)
    if len(data) > MOST_BYTES:
        # Signs of four bytes each: the title says what happened.
        data = orjson.dumps({**payload, "body": ""})
    # The library ships no types, and brings others: who sends nothing does without it.
    pusher: Any = import_module("pywebpush").WebPusher
    details = outgoing.details
    keys = {"p256dh": str(details.get("p256dh", "")), "auth": str(details.get("auth", ""))}
    try:
        return bytes(pusher({"endpoint": outgoing.recipient, "keys": keys}).encode(data)["body"])
    except Exception as error:
        # Whatever the libraries below make of keys that are none.
        raise ValueError("expected the keys of a subscribed browser, was something else") from error


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
