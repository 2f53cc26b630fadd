"""What the owner of an account does with it: address, password, sessions, preferences, data, its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from sqlmodel import Session, col, select
from sqlmodel import delete as remove

from flashcur.domain.plans import Plan
from flashcur.domain.view import View
from flashcur.errors import Conflict, Refusal
from flashcur.models import Account, AlertSettings, Delivery, LoginSession, MailToken, new_id
from flashcur.services.accounts import api_keys, audit, changes, limits, mail_tokens, sessions
from flashcur.services.accounts.addresses import clean_address, shortened
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.export import document
from flashcur.services.accounts.passwords import check_length
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts import alert_settings, signals
from flashcur.services.kit.clock import to_ms
from flashcur.services.kit.time_zones import is_time_zone
from flashcur.services.notify import enqueue
from flashcur.settings.idn import shown_address

T = TypeVar("T")

THEMES = ("system", "dark", "light")
DELETE_WORD = "DELETE"
MAX_VIEW = 400
"""Characters of a table's view as it is kept, URL-encoded: one that was typed may take nine."""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose API key it is."""

    account_id: str
    plan: Plan


class Profile:
    """Acts of a signed-in owner, each in one transaction that reads the session again.

    Every method raises Refusal for what the owner can mend, SignInNeeded when signed out, Throttled after too many,
    and Unavailable while the database is away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's own session."""
        now = self._context.clock()

        def work(session: Session) -> None:
            sessions.lock(session, caller.account_id)
            sessions.end(session, caller.account_id, caller.session_id)
            audit.record(session, "signed-out", caller.account_id, now, caller.client)

        await self._context.change(caller.account_id, work)

    async def end_session(self, caller: Caller, session_id: str) -> None:
        """End one of the account's sessions. Raises NotFound for any other."""

        def work(session: Session, account: Account, login: LoginSession) -> None:
            sessions.end(session, account.id, session_id)
            audit.record(session, "session-ended", account.id, self._context.clock(), caller.client)

        await self._change(caller, work)

    async def end_other_sessions(self, caller: Caller) -> int:
        """End all of the account's sessions but the caller's; how many."""

        def work(session: Session, account: Account, login: LoginSession) -> int:
            ended = sessions.end_all(session, account.id, but=login.id)
            detail = f"{ended} others"
            audit.record(session, "session-ended", account.id, self._context.clock(), caller.client, detail=detail)
            return ended

        return await self._change(caller, work)

    async def set_notifies(self, caller: Caller, notifies: bool) -> None:
        """Note whether the caller's browser has allowed notifications."""

        def work(session: Session, account: Account, login: LoginSession) -> None:
            login.notifies = notifies
            session.add(login)

        await self._change(caller, work)

    async def set_theme(self, caller: Caller, theme: str) -> None:
        """Keep one of `THEMES` for the account's pages."""
        if theme not in THEMES:
            raise Refusal(f"expected a theme ({', '.join(THEMES)}), was {theme[:20]!r}", field="theme")

        def work(session: Session, account: Account, login: LoginSession) -> None:
            account.theme = theme

        await self._change(caller, work)

    async def set_time_zone(self, caller: Caller, time_zone: str) -> None:
        """Keep the time zone, an IANA name, that the account's pages show times in."""
        if not await is_time_zone(time_zone):
            raise Refusal(f"There is no time zone {time_zone[:40]!r}: choose one of the list.", field="time_zone")

        def work(session: Session, account: Account, login: LoginSession) -> None:
            account.time_zone = time_zone
            # Quiet hours go by this clock.
            row = session.get(AlertSettings, account.id)
            alert_settings.plan_anew(session, account, row, to_ms(self._context.clock()))

        await self._change(caller, work)

    async def set_table_view(self, caller: Caller, query: str) -> None:
        """Keep how the market table is arranged; `query` is that of the page's address, URL-encoded.

        What a view does not have is left out (`domain.view`).
        """
        kept = View.parse(dict(parse_qsl(query)), None).query(dict(parse_qsl(query)).get("list", ""))
        if len(kept) > MAX_VIEW:
            raise Refusal("This view is too long to be kept.", field="query")

        def work(session: Session, account: Account, login: LoginSession) -> None:
            account.table_view = kept

        await self._change(caller, work)

    async def read_signals(self, caller: Caller, signal_id: int) -> None:
        """Note that the owner has been shown the signals up to that one, by its id; it never goes back.

        A signal that is not stored yet cannot have been shown.
        """

        def work(session: Session, account: Account, login: LoginSession) -> None:
            account.signals_read = max(account.signals_read, min(signal_id, signals.last_id(session)))

        await self._change(caller, work)

    async def change_password(self, caller: Caller, current: str, new: str) -> None:
        """Set a password after the `current` one; every other session ends.

        An account without a password gives a session within `sessions.FRESH` instead, or gets SignInAgain. Raises
        Conflict if address or password was changed meanwhile.
        """
        account = await self._confirmed(caller, current)
        if account.email is None:
            raise Refusal("Add an email address first: you sign in with it and the password.", field="new")
        new = check_length(new, "new")
        await self._context.hasher.check(new, account.email, field="new")
        await self._context.charge_hashing(account.id, caller.client)
        hashed = await self._context.hasher.hash(new, whose=account.id)
        now, base = self._context.clock(), self._context.base

        def work(session: Session, current: Account, login: LoginSession) -> None:
            if current.password_hash != account.password_hash or current.email != account.email:
                raise Conflict("Address or password was changed in another tab: look again.")
            current.password_hash, current.password_changed_at = hashed, now
            mail_tokens.revoke(session, current.id, "reset", "change-new", "change-old")
            sessions.end_all(session, current.id, but=login.id)
            audit.record(session, "password-changed", current.id, now, caller.client)
            enqueue(session, current.email or "", "password-changed", {"base": base}, now)

        await self._change(caller, work)

    async def change_address(self, caller: Caller, email: str, password: str) -> str:
        """Send links to the new address and to the present one, which changes once both are opened.

        An account without a present address needs only the new one's link. `password` as `current` in
        `change_password`. Returns the new address in its one form.
        """
        address = clean_address(email, reachable=self._context.settings.is_prod)
        account = await self._confirmed(caller, password)
        if address == account.email:
            raise Refusal("That is your address already.", field="email")
        await self._context.charge((limits.MAIL_ACCOUNT, account.id))
        now, base = self._context.clock(), self._context.base

        def work(session: Session, current: Account, login: LoginSession) -> None:
            if current.email != account.email:
                raise Conflict("Your address was changed in another tab: look again.")
            mail_tokens.revoke(session, current.id, "change-new", "change-old")
            pair = new_id()
            taken = session.exec(select(Account.id).where(Account.email == address)).first() is not None
            token = mail_tokens.make(session, "change-new", address, now, account_id=current.id, pair=pair)
            if taken:
                # The address's owner is told; whoever asked is not.
                enqueue(session, address, "change-taken", {"base": base}, now)
            else:
                enqueue(session, address, "change-new", {"base": base, "token_id": token.id}, now)
            if current.email is not None:
                old = mail_tokens.make(session, "change-old", current.email, now, account_id=current.id, pair=pair)
                values = {"base": base, "token_id": old.id, "new_email": shown_address(address)}
                enqueue(session, current.email, "change-old", values, now)
            detail = f"to {shortened(address)}"
            audit.record(session, "address-change-asked", current.id, now, caller.client, detail=detail)

        await self._change(caller, work)
        return address

    async def confirm_address(self, token: str, client: Client) -> bool:
        """Use one of the two links of a change of address, signed in or not.

        True once the address has changed, False while the other link has not been opened. Raises Conflict where it
        can no longer change.
        """
        purpose, token_id = mail_tokens.read(self._context.settings.secret_key, token, "change-new", "change-old")
        now, base = self._context.clock(), self._context.base
        await self._context.charge((limits.LINK_NETWORK, client.network))

        def work(session: Session) -> bool:
            mail_tokens.lock_owner(session, token_id)
            link = mail_tokens.use(session, purpose, token_id, now)
            account = session.get(Account, link.account_id)
            if account is None:
                raise Refusal("This account was deleted.", field="token")
            # Read after the lock, so that of two links opened at once the second sees the first.
            pair = session.exec(
                select(MailToken).where(MailToken.pair == link.pair).execution_options(populate_existing=True)
            ).all()
            if any(other.used_at is None for other in pair):
                return False
            new = next(other.email for other in pair if other.purpose == "change-new")
            old = account.email
            expected = next((other.email for other in pair if other.purpose == "change-old"), None)
            if old != expected:
                raise Conflict("The account's address was changed since: ask for new links.", field="token")
            if session.exec(select(Account.id).where(Account.email == new)).first() is not None:
                raise Conflict("That address has an account of its own by now.", field="token")
            account.email = new
            mail_tokens.revoke(session, account.id, "reset")
            if old is not None:
                enqueue(session, old, "changed", {"base": base, "new_email": shown_address(new)}, now)
            audit.record(session, "address-changed", account.id, now, client, detail=f"to {shortened(new)}")
            changes.tell(session, account.id, now)
            return True

        done = await self._context.run(work)
        self._context.told()
        return done

    async def delete(self, caller: Caller, password: str, word: str) -> None:
        """Delete the account and all that is its own, for good. `word` must be `DELETE_WORD`, `password` as in
        `change_address`."""
        if word.strip() != DELETE_WORD:
            raise Refusal(f"Type {DELETE_WORD} in capitals, so that it does not happen by mistake.", field="word")
        await self._confirmed(caller, password)
        now, base = self._context.clock(), self._context.base

        def work(session: Session, account: Account, login: LoginSession) -> None:
            if account.email is not None:
                # Neither belongs to an account by a key: the address alone says whose they are.
                session.exec(remove(MailToken).where(col(MailToken.email) == account.email))
                session.exec(
                    remove(Delivery).where(col(Delivery.kind) == "mail", col(Delivery.recipient) == account.email)
                )
                enqueue(session, account.email, "account-deleted", {"base": base}, now)
            audit.record(session, "deleted", account.id, now)
            session.flush()
            audit.anonymise(session, account.id)
            session.delete(account)

        await self._change(caller, work)

    async def create_api_key(self, caller: Caller) -> str:
        """A new key for the API, to be shown this once.

        Raises PlanNeeded where the plan has no API, SignInAgain unless the session is fresh, Conflict when there are
        enough.
        """

        def work(session: Session, account: Account, login: LoginSession) -> str:
            now = self._context.clock()
            api_keys.require_plan(plan_of(account, now))
            sessions.require_fresh(login, now)
            key = api_keys.create(session, account, now)
            audit.record(session, "api-key-created", account.id, now, caller.client, detail=key[-4:])
            if account.email is not None:
                enqueue(session, account.email, "way-in-added", {"base": self._context.base}, now)
            return key

        return await self._change(caller, work)

    async def use_api_key(self, key: str) -> KeyHolder:
        """Whose key it is, and the plan that it gives; counts one request, and notes the time of use.

        Raises SignInNeeded for a wrong key, Throttled after too many requests, PlanNeeded while the plan has no API.
        """
        now = self._context.clock()
        # Looked at before anything is written: a made-up key must not take the database's write lock.
        found, account = await self._context.run(lambda session: api_keys.find(session, key), readonly=True)
        await self._context.charge((limits.API_ACCOUNT, account.id))
        plan = plan_of(account, now)
        api_keys.require_plan(plan)
        if found.used_at is None or now - found.used_at > sessions.SEEN_EVERY:
            await self._context.run(lambda session: api_keys.touch(session, found, now))
        return KeyHolder(account.id, plan)

    async def delete_api_key(self, caller: Caller, key_id: str) -> None:
        """Delete a key by its id. Raises NotFound, for another account's key as well."""

        def work(session: Session, account: Account, login: LoginSession) -> None:
            api_keys.delete(session, account.id, key_id)
            audit.record(session, "api-key-deleted", account.id, self._context.clock(), caller.client)

        await self._change(caller, work)

    async def charge_files(self, account_id: str) -> None:
        """Count one file that an account exports or imports, whatever becomes of it. Raises Throttled."""
        await self._context.charge((limits.EXPORT_ACCOUNT, account_id))

    async def export(self, caller: Caller) -> dict[str, Any]:
        """All that is kept about an account; see `export.document`."""
        now = self._context.clock()

        def work(session: Session) -> dict[str, Any]:
            account, _ = sessions.require(session, caller, now)
            audit.record(session, "data-exported", account.id, now, caller.client)
            session.flush()
            return document(session, account)

        return await self._context.run(work)

    async def _confirmed(self, caller: Caller, password: str) -> Account:
        """The caller's account once its password is right or, where it has none, the session is fresh."""
        now = self._context.clock()

        def look(session: Session) -> Account:
            account, login = sessions.require(session, caller, now)
            if account.password_hash is None:
                sessions.require_fresh(login, now)
            return account

        account = await self._context.run(look, readonly=True)
        if account.password_hash is None:
            return account
        await self._context.charge_hashing(account.id, caller.client, (limits.PASSWORD_CHECK, account.id))
        if not await self._context.hasher.verify(account.password_hash, password, whose=account.id):
            raise Refusal("That is not your password.", field="password")
        await self._context.forgive((limits.PASSWORD_CHECK, account.id))
        return account

    async def _change(self, caller: Caller, work: Callable[[Session, Account, LoginSession], T]) -> T:
        now = self._context.clock()

        def authorised(session: Session) -> T:
            account, login = sessions.require(session, caller, now, locked=True)
            result = work(session, account, login)
            session.flush()
            return result

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, authorised)
