"""Numbers that SMS go to: asked for by a signed-in owner, confirmed by a code that only who has the phone can read.

A code is computed from the secret key when it is sent and when it is typed; what is stored says which one it is.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from sqlmodel import Session, select

from flashcur.domain.delivery.phone_number import masked, mobile_number, region_of
from flashcur.errors import Conflict, Refusal, Throttled
from flashcur.models import Delivery, Destination
from flashcur.services.accounts import limits
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.limits import Wanted
from flashcur.services.notify import destinations, outbox
from flashcur.services.notify.sms import BLANK, STOPPED_TEXT, code_of
from flashcur.settings import Secret

VALID_MS = 10 * 60_000
"""How long a code works, in ms."""
TRIES = 5
"""Wrong codes, after which a new one has to be asked for."""
MOST_NUMBERS = 3
"""Of one account, those that are not confirmed included."""
TEXT = (
    f"FlashCur: {BLANK} is your code for alerts by SMS, valid for 10 minutes. "
    "Msg&data rates may apply. Reply STOP to end, HELP for help."
)

_WRONG = "This is not the code from our last message. Check it again."
_OVER = "This code no longer works. Ask for a new one."


def charges(account_id: str, number: str, client: Client) -> tuple[Wanted, ...]:
    """What asking for a code costs (`Context.charge`, before `begin_opt_in`); `number` in E.164."""
    return (
        (limits.SMS_CODE_ACCOUNT, account_id),
        (limits.SMS_CODE_NUMBER, number),
        (limits.SMS_CODE_NETWORK, client.network),
        (limits.SMS_CODE_COUNTRY, region_of(number)),
    )


def begin_opt_in(session: Session, account_id: str, typed: object, now_ms: int) -> Destination:
    """Send a code to a number, in the caller's transaction, which has locked the account; where it is to be typed in.

    Raises Refusal (`number`) for what is no mobile number, Conflict where it is connected, or there are too many.
    """
    number = mobile_number(typed)
    mine = destinations.of_account(session, account_id, "sms")
    if any(each.address == number and each.state == "on" for each in mine):
        raise Conflict("This number is already connected.", field="number")
    if len([each for each in mine if each.address != number]) >= MOST_NUMBERS:
        raise Conflict(f"You already have {MOST_NUMBERS} numbers. Remove one first.", field="number")
    closed = destinations.suppressed(session, "sms", number)
    if closed is not None and closed.reason == "stop":
        raise Refusal(STOPPED_TEXT, field="number")
    nonce = secrets.token_hex(8)
    details: dict[str, Any] = {"nonce": nonce, "until_ms": now_ms + VALID_MS, "wrong": 0}
    place = destinations.keep(session, account_id, "sms", number, now_ms, details=details, confirmed=False)
    # What its owner called it before stays.
    place.name = place.name or masked(number)
    # One that was switched off is confirmed anew: the number may have another owner by now.
    place.state, place.why, place.confirmed_ms = "unconfirmed", "", None
    session.add(place)
    session.flush()
    message = Delivery(
        key="",
        account_id=account_id,
        kind="notice",
        channel="sms",
        destination_id=place.id,
        recipient=number,
        payload={"text": TEXT, "code": {"destination": place.id, "nonce": nonce}},
        urgent=True,
        due_ms=now_ms,
        expires_ms=now_ms + VALID_MS,
        created_ms=now_ms,
    )
    outbox.write(session, [message], now_ms)
    return place


def confirm(session: Session, account_id: str, destination_id: str, typed: str, now_ms: int, secret: Secret) -> str:
    """Take a code, in the caller's transaction, which is to be committed whatever comes: wrong ones are counted.

    Empty where the number is confirmed and on; else why not, for its owner.
    """
    query = select(Destination).where(
        Destination.id == destination_id, Destination.account_id == account_id, Destination.channel == "sms"
    )
    place = session.exec(query.with_for_update(), execution_options={"populate_existing": True}).first()
    if place is None or place.state != "unconfirmed":
        return _OVER
    nonce, until_ms = place.details.get("nonce"), place.details.get("until_ms", 0)
    wrong = int(place.details.get("wrong", TRIES))
    if not isinstance(nonce, str) or now_ms >= until_ms or wrong >= TRIES:
        return _OVER
    code = code_of(secret, place.id, nonce)
    given = "".join(typed.split()).encode("utf-8", "replace")
    if not hmac.compare_digest(given, code.encode()):
        # A new dict: SQLAlchemy does not see what changes inside one.
        place.details = {**place.details, "wrong": wrong + 1}
        session.add(place)
        left = TRIES - wrong - 1
        return f"{_WRONG} {left} {'try' if left == 1 else 'tries'} left." if left else _OVER
    destinations.keep(session, account_id, "sms", place.address, now_ms, details={}, confirmed=True)
    return ""


def over_the_cap(session: Session, account_id: str, number: str, now_ms: int) -> str:
    """Count one SMS (no code), in the caller's transaction; why it must not go, for its owner, empty where it may."""
    try:
        limits.take(session, limits.SMS_ACCOUNT, account_id, now_ms)
        limits.take(session, limits.SMS_COUNTRY, region_of(number), now_ms)
    except Throttled:
        return "Too many text messages today: each account gets 50 a day, and each country has a limit of its own."
    return ""
