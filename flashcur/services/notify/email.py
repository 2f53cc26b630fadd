"""Alerts by email: rendered once as text and HTML, with a way to stop them that mail programs know (RFC 8058)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import ConfigError, TryAgainLater
from flashcur.models import Delivery
from flashcur.services.notify.channel import Handed, Outgoing, Payload, cannot_send
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.links import make_token, read_token
from flashcur.services.notify.port import MailSender
from flashcur.services.notify.senders import make_sender
from flashcur.services.notify.templates import Rendered
from flashcur.settings import Secret, Settings
from flashcur.settings.addresses import routes_origin

logger = logging.getLogger(__name__)

UNSUBSCRIBE_PATH = "/unsubscribe"
BLANK = "\x1a"
"""Stands in a stored mail for the address that stops alert mail, which holds a computed code: no text has it."""
MOST_SUBJECT = 150
OPERATOR_WAIT_S = 300.0
"""How often is looked whether mail has been configured, in seconds."""

_PURPOSE = "unsubscribe"
_WHY = "You get this because your alerts are set to reach you by email."
_STOP = "Stop alert email"
_STAYS = "You still get email about your account, such as a new password."


class EmailChannel:
    """See `services.notify.channel.Channel`."""

    name = "email"
    rate = 50.0
    recipient_rate = 1.0
    own_servers = False
    useful_s = 6 * 3600

    def __init__(self, settings: Settings, dialler: Dialler, sender: MailSender | None = None) -> None:
        """`sender`: instead of the one that the settings choose."""
        self._sender = sender or _sender(settings, dialler)
        self._secret = settings.secret_key
        self._origin = routes_origin(settings)

    @property
    def problem(self) -> str:
        """See `Channel`."""
        return "" if self._sender is not None else cannot_send("email")

    def render(self, message: Message) -> Payload:
        """`subject`, `text` and `html`, with `BLANK` for the address that stops them; `stop` says that there is one."""
        subject = one_line(message.title)[:MOST_SUBJECT] or "FlashCur"
        return {"subject": subject, "text": _text(message), "html": _html(message, subject), "stop": True}

    async def send(self, outgoing: Outgoing) -> Handed:
        """Raises DeliveryError and its kinds."""
        if self._sender is None:
            raise TryAgainLater(self.problem, wait_s=OPERATOR_WAIT_S, whole_channel=True)
        rendered, headers = self._complete(outgoing)
        provider_id = await self._sender.send(outgoing.recipient, rendered, headers=headers, key=outgoing.key)
        return Handed(provider_id, "accepted")

    def _complete(self, outgoing: Outgoing) -> tuple[Rendered, Mapping[str, str]]:
        """The mail as it is sent, the same in each attempt, and its headers."""
        payload = outgoing.payload
        text, html, headers = str(payload["text"]), str(payload["html"]), dict[str, str]()
        if payload.get("stop"):
            token = unsubscribe_token(self._secret, outgoing.delivery_id, outgoing.key)
            url = f"{self._origin}{UNSUBSCRIBE_PATH}?t={token}"
            text, html = text.replace(BLANK, url), html.replace(BLANK, url)
            headers["List-Unsubscribe"] = f"<{url}>"
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return Rendered(str(payload["subject"]), text, html), headers


def _sender(settings: Settings, dialler: Dialler) -> MailSender | None:
    try:
        return make_sender(settings, dialler)
    except ConfigError as error:
        # The market is not to be down for a mail setting; mail keeps until it is corrected.
        logger.error("%s", error)
        return None


@dataclass(frozen=True, slots=True)
class MailNamed:
    """What a token that stops alert mail says of the message that it stood in."""

    delivery_id: int
    mark: str
    """Of its key; empty in mail of versions that named the id alone."""

    def is_of(self, delivery: Delivery) -> bool:
        """Whether it stood in this one: SQLite gives the id of what was deleted to a message of somebody else."""
        return delivery.channel == "email" and self.mark in ("", _mark(delivery.key))


def unsubscribe_token(secret: Secret, delivery_id: int, key: str) -> str:
    """What stops alert mail to whoever got a message: its number, a mark of its key and a code that only the secret
    key makes."""
    return make_token(secret, _PURPOSE, f"{delivery_id:016x}{_mark(key)}")


def read_unsubscribe_token(secret: Secret, token: str) -> MailNamed | None:
    """What a token names; None where it is none of ours."""
    found = read_token(secret, _PURPOSE, token)
    if found is None:
        return None
    delivery_id, rest = int(found[:16], 16), found[16:]
    # Mail that was sent before keys were named has to stop, too: the id alone filled all 32 digits.
    return MailNamed(delivery_id, rest) if delivery_id else MailNamed(int(rest, 16), "")


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _lines(message: Message) -> list[str]:
    lines = [line for each in message.lines if (line := one_line(each))]
    return [*lines, f"+{message.more:,} more"] if message.more else lines


def _text(message: Message) -> str:
    note = one_line(message.note)
    parts = [
        one_line(message.title),
        "\n".join(_lines(message)),
        f"Your note: {note}" if note else "",
        f"{one_line(message.link_text)}: {one_line(message.link)}",
        f"-- \n{_WHY} {_STAYS}\n{_STOP}: {BLANK}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(message: Message, subject: str) -> str:
    """Colours that are readable on white and on black: some programs turn one into the other, some do not."""
    link = escape(one_line(message.link))
    lines = "".join(f'<p style="margin:0 0 6px">{escape(line)}</p>\n' for line in _lines(message))
    note = one_line(message.note)
    quoted = f'<p style="margin:14px 0 0;color:#808080">Your note: {escape(note)}</p>\n' if note else ""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<title>{escape(subject)}</title></head>
<body style="margin:0;padding:20px;font:16px/1.5 -apple-system,'Segoe UI',Roboto,sans-serif">
<div style="max-width:560px">
<h1 style="margin:0 0 12px;font-size:20px;line-height:1.3">{escape(one_line(message.title))}</h1>
{lines}{quoted}<p style="margin:20px 0 6px"><a href="{link}" style="display:inline-block;padding:10px 18px;\
border-radius:6px;background:#e0a83c;color:#14110a;text-decoration:none">{escape(one_line(message.link_text))}</a></p>
<p style="margin:0;font-size:13px;color:#808080">{link}</p>
<p style="margin:28px 0 0;font-size:13px;color:#808080">{_WHY} {_STAYS}<br>
<a href="{BLANK}" style="color:#808080">{_STOP}</a></p>
</div>
</body></html>
"""
