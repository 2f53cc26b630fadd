"""Browsers that an account gets Web Push in: what they tell us of themselves, kept, and forgotten again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import Session

from flashcur.domain.delivery.web_address import read_web_address
from flashcur.domain.devices import device
from flashcur.domain.plans import channel_plan_text
from flashcur.domain.texts import checked_text
from flashcur.errors import Conflict, PlanNeeded, Refusal, Unavailable
from flashcur.services.accounts import changes, sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import destinations
from flashcur.services.notify.channel import cannot_send
from flashcur.services.notify.vapid import public_key

MOST_BROWSERS = 10
"""Of one account."""
MOST_ADDRESS = 1_000
_UNREADABLE = "This browser's subscription cannot be read: reload the page and turn web push on again."


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a browser says of a subscription (`PushSubscription.toJSON()`)."""

    endpoint: str
    p256dh: str
    """Its public key: a point of P-256, 65 bytes as URL-safe Base64."""
    auth: str
    """A secret that it shares with who sends: 16 bytes as URL-safe Base64."""
    expires_ms: int | None
    """When it ends by itself, Unix ms; None: not."""


def read_subscription(fields: Mapping[str, Any], *, private: bool) -> Subscription:
    """A subscription as the browser told it. Raises Refusal for what cannot be one.

    `private`: whether a push service may be on this machine, without TLS (development). Where it really leads is
    looked at again each time it is dialled.
    """
    endpoint = checked_text(fields.get("endpoint", ""), MOST_ADDRESS, "endpoint")
    try:
        address = read_web_address(endpoint, private=private).url
    except ValueError as problem:
        raise Refusal(f"endpoint: expected {problem}", field="endpoint") from None
    found: object = fields.get("keys")
    keys = cast("dict[str, object]", found) if isinstance(found, dict) else dict[str, object]()
    p256dh, auth = (checked_text(keys.get(name, ""), 200, name) for name in ("p256dh", "auth"))
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(p256dh))
        if len(_bytes(auth)) != 16:
            raise ValueError
    except ValueError:
        raise Refusal(_UNREADABLE, field="keys") from None
    ends: object = fields.get("expirationTime")
    known = isinstance(ends, int | float) and 0 < ends < 2**53
    return Subscription(address, p256dh, auth, int(cast("float", ends)) if known else None)


class PushSubscriptions:
    """Acts of a signed-in owner's browsers, each in one transaction that reads the session again.

    Every method raises SignInNeeded when signed out, Throttled after too many, and Unavailable while the database is
    away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def key(self) -> str:
        """The public key that browsers subscribe with; empty where web push is not configured."""
        private = self._context.settings.web_push.private_key
        return "" if private is None else public_key(private)

    async def subscribe(self, caller: Caller, subscription: Subscription, former: str = "") -> str:
        """Send alerts to this browser from now on, in place of its `former` address if it had one; its name.

        An address is one browser's: an account that had it before, on the same device, has it no longer. Raises
        PlanNeeded, and Conflict for more than `MOST_BROWSERS`.
        """
        key = self.key
        if not key:
            raise Unavailable(cannot_send("web-push"))
        now = self._context.clock()
        now_ms = to_ms(now)
        name = device(caller.client.user_agent)
        details = {"p256dh": subscription.p256dh, "auth": subscription.auth, "key": key}
        if subscription.expires_ms is not None:
            details["expires_ms"] = str(subscription.expires_ms)

        def work(session: Session) -> str:
            at_address = destinations.owned_at(session, "web-push", subscription.endpoint, caller.account_id)
            account, _ = sessions.require(session, caller, now, locked=True)
            plan = plan_of(account, now)
            if "web-push" not in plan.channels:
                raise PlanNeeded(channel_plan_text("web-push"))
            for other in at_address:
                if other.account_id != account.id:
                    session.delete(other)
                    changes.tell(session, other.account_id, now)
            mine = destinations.of_account(session, account.id, "web-push")
            for each in mine:
                # What has ended is replaced by what the same browser has now.
                if (each.state == "off" and each.name == name) or (former and each.address == former):
                    session.delete(each)
            session.flush()
            mine = destinations.of_account(session, account.id, "web-push")
            if len([each for each in mine if each.address != subscription.endpoint]) >= MOST_BROWSERS:
                raise Conflict(f"Web push is on in {MOST_BROWSERS} browsers already: remove one of them first.")
            destinations.keep(
                session,
                account.id,
                "web-push",
                subscription.endpoint,
                now_ms,
                name=name,
                details=details,
                confirmed=True,
            )
            return name

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, work)

    async def unsubscribe(self, caller: Caller, endpoint: str) -> bool:
        """Send nothing to this browser any more; whether anything was."""
        now = self._context.clock()

        def work(session: Session) -> bool:
            account, _ = sessions.require(session, caller, now, locked=True)
            found = [
                each for each in destinations.of_account(session, account.id, "web-push") if each.address == endpoint
            ]
            for each in found:
                session.delete(each)
            if found:
                changes.tell(session, account.id, now)
            return bool(found)

        await self._context.charge_write(caller)
        removed = await self._context.run(work)
        self._context.told()
        return removed


def _bytes(text: str) -> bytes:
    """URL-safe Base64, padded or not. Raises ValueError for anything else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("expected Base64") from error
