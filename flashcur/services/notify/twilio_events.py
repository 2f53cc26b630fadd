"""What Twilio says became of SMS, and what people answer to them: whether Twilio said so, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sqlmodel import Session

from flashcur.services.alerts.alerts import Deliver
from flashcur.services.notify import outbox, stops
from flashcur.services.notify.provider_events import delivery_of, is_new, said
from flashcur.services.notify.sms import STOPPED, STOPPED_TEXT
from flashcur.settings import Secret

SIGNATURE_HEADER = "X-Twilio-Signature"
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS = frozenset({"HELP", "INFO"})
"""In capitals, each the whole message: those that Twilio itself knows."""

_WORDS = {
    30002: "Twilio suspended this site’s account.",
    30003: "The phone was off or out of reach for too long.",
    30004: "The phone or its carrier blocks messages.",
    30005: "This number no longer exists.",
    30006: "This is a landline, or its carrier takes no SMS.",
    30007: "The carrier’s spam filter blocked it.",
    30008: "The carrier did not say why.",
    30034: "The sender is not registered with the carriers (A2P 10DLC).",
    STOPPED: STOPPED_TEXT,
}
"""Why a message was not delivered, by Twilio's error code, in words for its owner."""
_FOR_GOOD = frozenset({30005, 30006})
"""After these the number is not tried again."""


def is_twilio(token: Secret, url: str, fields: Mapping[str, str], signature: str) -> bool:
    """Whether Twilio signed a form for this URL: the public one, whatever proxies made of it on the way."""
    validator: Any = import_module("twilio.request_validator").RequestValidator(token.reveal())
    return bool(signature) and bool(validator.validate(url, dict(fields), signature))


def take_status(session: Session, key: str, fields: Mapping[str, Any], now_ms: int, deliver: Deliver) -> bool:
    """Note a status of the delivery with this `key`, in the caller's transaction; whether it was new and of ours."""
    sid, status = said(fields, "MessageSid", 64), said(fields, "MessageStatus", 20)
    if status not in ("delivered", "undelivered", "failed", "canceled") or not sid:
        return False
    delivery = delivery_of(session, "sms", key, sid)
    if delivery is None or not is_new(session, "twilio", f"{sid}:{status}", now_ms):
        return False
    delivery.provider_id = delivery.provider_id or sid
    if status == "delivered":
        outbox.told(session, delivery, "delivered", now_ms)
        return True
    code = said(fields, "ErrorCode", 10)
    number = int(code) if code.isascii() and code.isdigit() else 0
    words = _WORDS.get(number) or f"Twilio: {status}{f', error {number}' if number else ''}."
    outbox.told(session, delivery, "bounced", now_ms, words)
    if number == STOPPED:
        stops.stop_number(session, delivery.recipient, now_ms, deliver)
    elif number in _FOR_GOOD:
        stops.stop_place(session, delivery.destination_id, words, now_ms, deliver)
    return True


def take_answer(session: Session, fields: Mapping[str, Any], now_ms: int, base: str, deliver: Deliver) -> str:
    """Do what somebody's SMS asks for, in the caller's transaction; what to answer, empty for nothing.

    Twilio answers STOP and START by itself. `base`: origin of the pages.
    """
    number, sid = said(fields, "From", 40), said(fields, "MessageSid", 64)
    if not number or not sid or not is_new(session, "twilio", f"{sid}:answer", now_ms):
        return ""
    # With its own opt-out service Twilio says which it was, in any language, and has answered.
    understood = said(fields, "OptOutType", 10).upper()
    word = understood or said(fields, "Body", 40).strip(" .!\"'").upper()
    if word in STOP_WORDS:
        stops.stop_number(session, number, now_ms, deliver)
    elif word in START_WORDS:
        stops.start_number(session, number, now_ms)
    elif word in HELP_WORDS and not understood:
        return f"FlashCur market alerts. Change them at {base}/alerts. Reply STOP to end them, START to resume."
    return ""
