"""What the services of accounts share in one process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from flashcur.errors import Conflict, DatabaseError, Unavailable
from flashcur.services.accounts import changes, limits
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.limits import Wanted
from flashcur.services.accounts.passwords import Hasher
from flashcur.services.accounts.sessions import Caller
from flashcur.services.kit.clock import to_ms
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

T = TypeVar("T")

_DOWN = "Accounts cannot be reached at this moment, and nothing was changed. Try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Context:
    """Database, clock and the rest."""

    settings: Settings
    database: Database
    hasher: Hasher
    base: str
    """Origin of the pages, for links in mail and the domain of wallet texts."""
    clock: Callable[[], datetime]
    """The time now, aware."""
    told: Callable[[], None]
    """Called once a change to an account is committed, so that pages here show it at once."""

    async def run(self, work: Callable[[Session], T], *, readonly: bool = False) -> T:
        """Do `work` in one transaction and return what it returns.

        Raises what `work` raises (nothing is written then), Unavailable while the database is away, and Conflict where
        two collided.
        """
        try:
            return await self.database.run(work, readonly=readonly)
        except DatabaseError as error:
            raise Unavailable(_DOWN) from error
        except (IntegrityError, StaleDataError) as error:
            raise Conflict("Somebody did the same at the same moment: look again and repeat it if needed.") from error

    async def charge(self, *wanted: Wanted) -> None:
        """Take from each limit for whom it counts, all or none. Raises Throttled, and Unavailable as `run` does.

        In a transaction of its own, before the work: what is refused later has counted, and nothing else is locked
        while limits are.
        """
        now_ms = to_ms(self.clock())

        def work(session: Session) -> None:
            for limit, who in limits.in_order(wanted):
                limits.take(session, limit, who, now_ms)

        await self.run(work)

    async def charge_write(self, caller: Caller) -> None:
        """Count one change by the caller, for the account and the network, whatever becomes of it."""
        await self.charge(
            (limits.WRITE_ACCOUNT, caller.account_id),
            (limits.WRITE_NETWORK, caller.client.network),
        )

    async def charge_hashing(self, whose: str, client: Client, *also: Wanted) -> None:
        """Count one password that is to be hashed, for whom it is and where it comes from, which is never forgiven; and
        what else it is `also` counted as."""
        await self.charge((limits.HASHING_ACCOUNT, whose), (limits.HASHING_NETWORK, client.network), *also)

    async def forgive(self, *wanted: Wanted) -> None:
        """Give whole allowances back, after what earned it. Never raises Unavailable: an allowance that stays used
        undoes nothing of what was done."""

        def work(session: Session) -> None:
            for limit, who in limits.in_order(wanted):
                limits.forgive(session, limit, who)

        with contextlib.suppress(Unavailable):
            await self.run(work)

    async def change(self, account_id: str, work: Callable[[Session], T]) -> T:
        """Like `run`, for what changes an account: every page that shows it is told, in all processes."""

        def both(session: Session) -> T:
            result = work(session)
            changes.tell(session, account_id, self.clock())
            return result

        result = await self.run(both)
        self.told()
        return result
