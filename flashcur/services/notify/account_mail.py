"""Mail of accounts (confirm, reset, changed, …): frozen when it is queued, but for the code of its link.

The code is computed from the secret key each time it is sent, and is the same each time: so every attempt is the same
to the byte, and neither the database nor a backup of it opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlmodel import Session

from flashcur.models import Delivery, new_id
from flashcur.services.kit.clock import length_ms, to_ms
from flashcur.services.notify import outbox
from flashcur.services.notify.channel import Payload
from flashcur.services.notify.links import link_code
from flashcur.services.notify.templates import BLANK, render, useful_for
from flashcur.settings import Secret


def enqueue(session: Session, recipient: str, template: str, values: Mapping[str, object], now: datetime) -> Delivery:
    """Queue a mail, due at once, in the caller's transaction; its address has its domain in ASCII.

    Raises ValueError for an unknown template, or values that are missing or unknown to it.
    """
    rendered = render(template, values)
    payload: dict[str, Any] = {
        "subject": rendered.subject,
        "text": rendered.text,
        "html": rendered.html,
        "template": template,
        "values": dict(values),
    }
    now_ms = to_ms(now)
    mail = Delivery(
        key=new_id(),
        kind="mail",
        channel="email",
        recipient=recipient,
        payload=payload,
        due_ms=now_ms,
        expires_ms=now_ms + length_ms(useful_for(template, values)),
        created_ms=now_ms,
    )
    outbox.write(session, [mail], now_ms)
    return mail


def token_id_of(payload: Payload) -> str | None:
    """The id of the link in a mail; None where it has none, or is no mail of an account."""
    values = payload.get("values")
    token_id = cast("Mapping[str, object]", values).get("token_id") if isinstance(values, Mapping) else None
    return token_id if isinstance(token_id, str) else None


def complete(payload: Payload, secret: Secret) -> Payload:
    """What is sent: the frozen text with the code of its link put in; as it is where there is none."""
    token_id = token_id_of(payload)
    if token_id is None:
        return payload
    code = link_code(secret, str(payload["template"]), token_id)
    return {**payload, **{part: str(payload[part]).replace(BLANK, code) for part in ("text", "html")}}
