"""Accounts by email: registering, confirming, signing in, and a forgotten password.

No answer tells whether an address has an account: what differs is written into the mail, which only its owner reads.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from sqlmodel import Session, col, select

from flashcur.domain.plans import PLANS
from flashcur.errors import Conflict, Refusal, SignInNeeded, Throttled
from flashcur.models import Account, AuditEvent, MailToken
from flashcur.services.accounts import audit, changes, limits, mail_tokens, sessions
from flashcur.services.accounts.addresses import clean_address, shortened
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.passwords import check_length
from flashcur.services.notify import enqueue

WRONG = (
    "The address or the password is not right. If you have just registered, open the link in our mail first; if you "
    "signed up with a wallet, sign in with it."
)
_SAME_TIME_S = 0.05
_REMEMBERED = 50
"""Sign-ins by which an owner's networks are known."""
TAKEN = "This address has an account already: sign in, or reset its password."


class Registration:
    """What a visitor without a session does by email.

    Every method raises Refusal for what the visitor can mend, Throttled after too many attempts, and Unavailable while
    the database is away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def register(
        self, email: str, password: str, client: Client, browser_hash: str = "", next_path: str = ""
    ) -> str:
        """Send a link that makes the account once it is opened, and leads on to `next_path`, a path of this site; so
        does the link to sign in that goes to an address with an account. Returns the address in its one form.

        The password waits with the link. It counts if the link is opened in the browser that registered
        (`browser_hash`), or by somebody who knows it: nobody can prepare an account for somebody else's address.
        """
        address = self._address(email)
        password = check_length(password)
        await self._context.charge(
            (limits.REGISTER_NETWORK, client.network),
            # A stranger's attempts do not use up the owner's.
            (limits.REGISTER_HERE, f"{address} {client.network}"),
            (limits.REGISTER_ADDRESS, address),
            (limits.HASHING_NETWORK, client.network),
        )
        await self._context.hasher.check(password, address)
        hashed = await self._context.hasher.hash(password, whose=address)
        now, base = self._context.clock(), self._context.base

        def work(session: Session) -> None:
            known = _find(session, address)
            if known is not None:
                values = {"base": base, **({"next": next_path} if next_path else {})}
                enqueue(session, address, "already-registered", values, now)
                return
            token = mail_tokens.make(
                session,
                "register",
                address,
                now,
                password_hash=hashed,
                browser_hash=browser_hash,
                next_path=next_path or None,
            )
            enqueue(session, address, "register", {"base": base, "token_id": token.id}, now)
            audit.record(session, "registered", None, now, client, actor="nobody", detail=shortened(address))

        await self._context.run(work)
        return address

    async def confirm(self, token: str, client: Client, browser_hash: str = "", password: str = "") -> tuple[str, str]:
        """Make the account of a registration's link (`token`) and sign in. Returns the session's token, and the
        `next_path` of the registration.

        In another browser than the one that registered, `password` is needed: Refusal on the field `password` asks for
        it. Raises Conflict if the address has got an account meanwhile.
        """
        purpose, token_id = mail_tokens.read(self._context.settings.secret_key, token, "register")
        await self._context.charge((limits.LINK_NETWORK, client.network))
        now = self._context.clock()
        waiting = await self._context.run(lambda session: session.get(MailToken, token_id), readonly=True)
        if waiting is not None and waiting.used_at is None and waiting.browser_hash != browser_hash:
            if not password:
                raise Refusal("Enter the password you chose: you registered in another browser.", field="password")
            await self._context.charge_hashing(f"{waiting.email} {client.network}", client)
            if not await self._context.hasher.verify(waiting.password_hash, password, whose=waiting.email):
                raise Refusal(
                    "This is not the password that was chosen for this link. If you did not register, or have "
                    "forgotten it, register again.",
                    field="password",
                )

        def work(session: Session) -> tuple[str, str]:
            link = mail_tokens.use(session, purpose, token_id, now)
            if _find(session, link.email) is not None:
                raise Conflict(TAKEN)
            account = Account(email=link.email, password_hash=link.password_hash, created_at=now)
            session.add(account)
            # From here on the hash is the account's alone, to be changed or deleted with it.
            link.password_hash = None
            session.flush()
            audit.record(session, "confirmed", account.id, now, client)
            session_token, _ = sessions.start(session, account, PLANS["free"].sessions, "link", client, now)
            return session_token, link.next_path or ""

        return await self._context.run(work)

    async def sign_in(self, email: str, password: str, client: Client, former: str = "") -> str:
        """A new session's token. See `sessions.start` for `former`.

        Raises SignInNeeded where address and password do not belong together, whichever of them is wrong.
        """
        address = self._address(email, mailable=False)
        here = f"{address} {client.network}"
        now = self._context.clock()
        account = await self._sign_in_allowed(address, here, client, now)
        whose = account.id if account else address
        right = await self._context.hasher.verify(account.password_hash if account else None, password, whose=whose)
        if account is None or not right:
            await self._failed(account, address, client, now)
            raise SignInNeeded(WRONG, field="password")
        hashed = account.password_hash or ""
        outdated = self._context.hasher.outdated(hashed)
        renewed = await self._context.hasher.hash(password, whose=whose) if outdated else hashed

        def work(session: Session) -> str:
            current = sessions.lock(session, account.id)
            if current is None or current.password_hash != hashed:
                # It was changed while this one was being checked.
                raise SignInNeeded(WRONG, field="password")
            current.password_hash = renewed
            audit.record(session, "signed-in", current.id, now, client, detail="password")
            most = plan_of(current, now).sessions
            token, _ = sessions.start(session, current, most, "password", client, now, former=former)
            changes.tell(session, current.id, now)
            return token

        token = await self._context.run(work)
        self._context.told()
        await self._context.forgive((limits.SIGN_IN_HERE, here), (limits.SIGN_IN_ANYWHERE, address))
        return token

    async def forgot(self, email: str, client: Client, next_path: str = "") -> str:
        """Send a link to reset the password, if there is an account; it leads on to `next_path`, a path of this site.
        Returns the address in its one form.

        Takes as long whether there is one or not.
        """
        address = self._address(email)
        started = asyncio.get_running_loop().time()
        await self._context.charge((limits.RESET_NETWORK, client.network), (limits.RESET_ADDRESS, address))
        now, base = self._context.clock(), self._context.base

        def work(session: Session) -> None:
            account = _find(session, address)
            if account is None:
                return
            token = mail_tokens.make(session, "reset", address, now, account_id=account.id, next_path=next_path or None)
            enqueue(session, address, "reset", {"base": base, "token_id": token.id}, now)
            audit.record(session, "reset-asked", account.id, now, client, actor="nobody")

        await self._context.run(work)
        # Writing the link takes some milliseconds, by which an address with an account could be told.
        await asyncio.sleep(max(0.0, started + _SAME_TIME_S - asyncio.get_running_loop().time()))
        return address

    async def reset(self, token: str, password: str, client: Client) -> tuple[str, str]:
        """Set a new password by a reset's link (`token`) and end every session. Returns a new session's token, and the
        `next_path` with which the link was asked for."""
        purpose, token_id = mail_tokens.read(self._context.settings.secret_key, token, "reset")
        password = check_length(password)
        await self._context.charge((limits.LINK_NETWORK, client.network), (limits.HASHING_NETWORK, client.network))
        await self._context.hasher.check(password)
        hashed = await self._context.hasher.hash(password, whose=token_id)
        now, base = self._context.clock(), self._context.base

        def work(session: Session) -> tuple[str, str, str]:
            mail_tokens.lock_owner(session, token_id)
            link = mail_tokens.use(session, purpose, token_id, now)
            account = session.get(Account, link.account_id)
            if account is None or account.email != link.email:
                raise Refusal("The account's address was changed since: ask for a new link.", field="token")
            account.password_hash, account.password_changed_at = hashed, now
            mail_tokens.revoke(session, account.id, "reset", "change-new", "change-old")
            sessions.end_all(session, account.id)
            audit.record(session, "password-reset", account.id, now, client)
            enqueue(session, link.email, "password-changed", {"base": base}, now)
            session_token, _ = sessions.start(session, account, plan_of(account, now).sessions, "link", client, now)
            changes.tell(session, account.id, now)
            return session_token, link.email, link.next_path or ""

        session_token, address, next_path = await self._context.run(work)
        self._context.told()
        here = f"{address} {client.network}"
        await self._context.forgive((limits.SIGN_IN_HERE, here), (limits.SIGN_IN_ANYWHERE, address))
        return session_token, next_path

    def _address(self, email: str, *, mailable: bool = True) -> str:
        return clean_address(email, reachable=self._context.settings.is_prod, mailable=mailable)

    async def _sign_in_allowed(self, address: str, here: str, client: Client, now: datetime) -> Account | None:
        def work(session: Session) -> tuple[Account | None, bool]:
            account = _find(session, address)
            return account, account is not None and _been_here(session, account.id, client)

        account, been_here = await self._context.run(work, readonly=True)
        wanted = [
            (limits.SIGN_IN_NETWORK, client.network),
            (limits.SIGN_IN_HERE, here),
            (limits.HASHING_ACCOUNT, here),
            (limits.HASHING_NETWORK, client.network),
        ]
        # Strangers who guess from many networks must not lock out the owner in a place they have signed in from.
        if not been_here:
            wanted.append((limits.SIGN_IN_ANYWHERE, address))
        try:
            await self._context.charge(*wanted)
        except Throttled:
            await self._locked(address, client, now)
            raise
        return account

    async def _locked(self, address: str, client: Client, now: datetime) -> None:
        """Note a lockout for the account's owner, once while it lasts."""

        def work(session: Session) -> None:
            account = _find(session, address)
            if account is None:
                return
            last = audit.recent(session, account.id, 1)
            if not last or last[0].kind != "locked":
                audit.record(session, "locked", account.id, now, client, actor="nobody")
                changes.tell(session, account.id, now)

        await self._context.run(work)

    async def _failed(self, account: Account | None, address: str, client: Client, now: datetime) -> None:
        def work(session: Session) -> None:
            known = None if account is None else account.id
            audit.record(session, "sign-in-failed", known, now, client, actor="nobody", detail=shortened(address))

        await self._context.run(work)


def _been_here(session: Session, account_id: str, client: Client) -> bool:
    """Whether the account's owner has signed in from this network before."""
    signed_in = select(AuditEvent.ip).where(AuditEvent.account_id == account_id, AuditEvent.kind == "signed-in")
    return any(
        Client(ip, "").network == client.network
        for ip in session.exec(signed_in.order_by(col(AuditEvent.id).desc()).limit(_REMEMBERED))
    )


def _find(session: Session, address: str) -> Account | None:
    return session.exec(select(Account).where(Account.email == address)).first()
