"""Who looks at the page: the accounts behind the session cookies, as this process knows them.

A socket carries the cookie of the moment it was opened. What the cookie stands for is read from the database when it
comes, kept, and read anew whenever the account changes, whichever process changed it (`services.accounts.changes`).
What somebody may see follows from here; what they change is authorised again in the transaction of the change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import cast

from sqlmodel import Session

from flashcur.domain.plans import PLANS, Audience, Plan
from flashcur.errors import DatabaseError
from flashcur.models import Account
from flashcur.services.accounts import changes, sessions
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.sessions import Caller, hash_token
from flashcur.services.accounts.view import AccountView, read_account
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import EPOCH
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web.acquaintances import Acquaintances
from flashcur.web.cookies import Cookies

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
"""A change made by another process shows within this time."""
MOST_UNSURE = 200
"""How many are asked about in one look: made-up cookies must not keep it from following changes."""
TRUSTED_FOR = timedelta(minutes=1)
"""After this long a visitor is read anew, in case a change was ever missed."""
PATIENCE_S = 1.5
"""How long a visitor waits for the database before they are shown what guests see."""
CAPACITY = 50_000
"""Sessions kept; the longest unused give way."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """One cookie. `GUEST` is anybody without."""

    key: str = ""
    """Hash of the session's token; empty without a cookie."""
    session_id: str = ""
    account: AccountView | None = None
    expires_at: datetime | None = None
    unsure: bool = False
    """A cookie came and the database did not answer: it will be asked again."""

    @property
    def read_at(self) -> datetime:
        """When the account was read from the database; `EPOCH` without one."""
        return EPOCH if self.account is None else self.account.read_at

    @property
    def admin(self) -> bool:
        """Whether the account administrates."""
        return self.account is not None and self.account.admin

    @property
    def account_id(self) -> str:
        """Empty without an account."""
        return "" if self.account is None else self.account.id

    @property
    def ends_at(self) -> datetime | None:
        """When the plan or the session ends by itself, whichever is first; None if neither does."""
        plan_until = None if self.account is None else self.account.plan_until
        # A plan that had ended when it was read was read as Free.
        ends = [self.expires_at, plan_until if plan_until is not None and plan_until > self.read_at else None]
        return min((end for end in ends if end is not None), default=None)

    def caller(self, client: Client) -> Caller | None:
        """Who asks, for the services of accounts; None for a guest."""
        return None if self.account is None else Caller(self.account.id, self.session_id, client)


GUEST = Visitor()

Listener = Callable[[Visitor, Visitor], None]
"""Told (before, now) of a visitor whose account or session changed; `key` stays the same."""


class Visitors:
    """The visitors of one web process; `run` is its supervised task."""

    def __init__(self, settings: Settings, cookies: Cookies, clock: Callable[[], datetime]) -> None:
        self.cookies = cookies
        self._settings = settings
        self._guests: Audience = cast("Audience", settings.dev_audience)
        self._clock = clock
        self._database: Database | None = None
        self._known: Acquaintances[Visitor] = Acquaintances()
        self._present: Callable[[str], bool] = lambda key: True
        self._changed: set[str] = set()
        """Accounts that are to be read anew; they stay here until the database has answered."""
        self._unsure: dict[str, None] = {}
        self._listeners: list[Listener] = []
        self._news = asyncio.Event()
        self._round = 0
        self._changes = changes.Reader()

    def open(self, database: Database) -> None:
        """Set the database to read from; before that nobody can be looked up."""
        self._database = database

    def listen(self, listener: Listener) -> None:
        """Call `listener` in the event loop for each visitor that changed."""
        self._listeners.append(listener)

    def ask_presence(self, present: Callable[[str], bool]) -> None:
        """Have `present` say, by `Visitor.key`, who has a tab open: all others are forgotten after a while."""
        self._present = present

    def poke(self) -> None:
        """Something was changed by this very process: look at once. Call it in the event loop's thread."""
        self._news.set()

    def plan(self, visitor: Visitor) -> Plan:
        """What a visitor may see and do now."""
        return PLANS[self.audience(visitor)]

    def audience(self, visitor: Visitor) -> Audience:
        """The plan they see by; in development a visitor without an account may have the one that is configured."""
        if visitor.account is not None:
            return visitor.account.plan.audience
        return "guest" if visitor.unsure else self._guests

    def key_of(self, cookie_header: str) -> str:
        """The `Visitor.key` of whoever comes with these cookies; empty without one of ours."""
        token = self.cookies.session_token(cookie_header)
        return "" if token is None else hash_token(token)

    def known(self, key: str) -> Visitor:
        """Who has this key, as far as it is known already; `GUEST` otherwise. Asks nothing."""
        if key in self._unsure:
            return Visitor(key, unsure=True)
        return self._known.get(key) or GUEST

    def of_account(self, account_id: str) -> list[Visitor]:
        """Everybody who is known to be signed in to an account; their tabs may be closed by now."""
        return self._known.of_accounts([account_id])

    async def identify(self, cookie_header: str, *, anew: bool = False) -> Visitor:
        """Who comes with these cookies: see `look_up`."""
        return await self.look_up(self.key_of(cookie_header), anew=anew)

    async def look_up(self, key: str, *, anew: bool = False) -> Visitor:
        """Who has this key. Never raises: while the database is away they are `unsure`, or as last known.

        `anew`: ask the database about somebody who is known, too.
        """
        if not key:
            return GUEST
        known = self._known.get(key)
        if known is not None and not anew and self._clock() - known.read_at < TRUSTED_FOR:
            self._known.use(key, self._clock())
            return known
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._read(key)
        except (DatabaseError, TimeoutError):
            if known is not None:
                return known
            self._unsure[key] = None
            while len(self._unsure) > CAPACITY:
                del self._unsure[next(iter(self._unsure))]
            return Visitor(key, unsure=True)

    async def run(self) -> None:
        """Follow changes until cancelled."""
        backoff = Backoff(first_s=LOOK_EVERY_S, cap_s=3.0)
        while True:
            try:
                await self._look()
                backoff.reset()
                wait_s = LOOK_EVERY_S
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("accounts cannot be followed: %s", error)
                wait_s = backoff.next_s()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _look(self) -> None:
        """Read anew who changed, whose plan or session ended, and who could not be asked about before."""
        if self._database is None or not (self._known or self._unsure):
            self._changes.forget()
            return
        started = self._clock()
        fresh = await self._database.run(lambda session: self._changes.news(session, monotonic()), readonly=True)
        self._changed |= fresh | self._known.ended(started)
        if self._changed:
            self._round += 1
            await self._refresh(self._changed)
            self._changed.clear()
        self._known.forget_gone(started, self._present)
        for key in list(self._unsure)[:MOST_UNSURE]:
            await self._read(key)

    async def _refresh(self, accounts: Iterable[str]) -> None:
        shown = self._known.of_accounts(accounts)
        ids = {visitor.account.id for visitor in shown if visitor.account is not None}
        assert self._database is not None
        now = self._clock()

        def work(session: Session) -> dict[str, AccountView]:
            found = (session.get(Account, account_id) for account_id in ids)
            admins = self._settings.admin_emails
            return {account.id: read_account(session, account, admins, now) for account in found if account}

        views = await self._database.run(work, readonly=True)
        for before in shown:
            assert before.account is not None
            view = views.get(before.account.id)
            if view is not None and any(each.id == before.session_id for each in view.sessions):
                now_is = Visitor(before.key, before.session_id, view, before.expires_at)
                self._known.keep(now_is, now)
            else:
                now_is = Visitor(before.key)
                self._known.forget(before.key)
            self._tell(before, now_is)

    async def _read(self, key: str) -> Visitor:
        """Ask the database who has this session, and keep it. Raises DatabaseError."""
        database = self._database
        if database is None:
            raise DatabaseError("the process has not opened its database yet", retry_after=1.0)
        while True:
            round_before = self._round
            now = self._clock()
            found = await database.run(lambda session, now=now: self._find(session, key, now), readonly=True)
            # What changed while this was read would be missed: changes are told only to who is known.
            if round_before == self._round:
                break
        # Only whoever asks first learns it: the tabs that show something else are told here.
        unsure = key in self._unsure
        self._unsure.pop(key, None)
        before = Visitor(key, unsure=True) if unsure else self._known.get(key)
        if found is None:
            self._known.forget(key)
            visitor = Visitor(key)
            if before is not None:
                self._tell(before, visitor)
            return visitor
        visitor, seen_at = found
        self._known.keep(visitor, now)
        self._known.use(key, now)
        while len(self._known) > CAPACITY:
            self._known.forget_longest_unused()
        if unsure:
            self._tell(Visitor(key, unsure=True), visitor)
        if now - seen_at > sessions.SEEN_EVERY:
            with contextlib.suppress(DatabaseError):
                await database.run(lambda session: sessions.touch(session, visitor.session_id, now))
        # It may have changed meanwhile.
        return self._known.get(key) or Visitor(key)

    def _find(self, session: Session, key: str, now: datetime) -> tuple[Visitor, datetime] | None:
        found = sessions.find(session, key, now)
        if found is None:
            return None
        account, login = found
        view = read_account(session, account, self._settings.admin_emails, now)
        return Visitor(key, login.id, view, login.expires_at), login.seen_at

    def _tell(self, before: Visitor, now: Visitor) -> None:
        for listener in self._listeners:
            listener(before, now)
