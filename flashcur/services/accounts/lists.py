"""Watchlists as their owner changes them: each act authorised, limited and told in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlmodel import Session

from flashcur.domain.plans import Plan
from flashcur.domain.watchlists import ImportPlan
from flashcur.services.accounts import limits, sessions, watchlists
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.watchlists import ImportResult

T = TypeVar("T")


class Lists:
    """Every method raises Refusal for what the owner can mend; see `services.accounts.watchlists`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def toggle(self, caller: Caller, list_id: str, symbol: str) -> bool:
        """Put a contract into a list (the first, without `list_id`) or take it out; whether it is in it now."""
        now = self._context.clock()
        return await self._change(
            caller, lambda session, plan: watchlists.toggle(session, caller.account_id, plan, list_id, symbol, now)
        )

    async def add(self, caller: Caller, list_id: str, symbol: str) -> bool:
        return await self._change(
            caller, lambda session, plan: watchlists.add(session, caller.account_id, plan, list_id, symbol)
        )

    async def remove(self, caller: Caller, list_id: str, symbol: str) -> bool:
        return await self._change(
            caller, lambda session, plan: watchlists.remove(session, caller.account_id, plan, list_id, symbol)
        )

    async def create(self, caller: Caller, name: str) -> str:
        """A new list; its id."""
        now = self._context.clock()
        return await self._change(
            caller, lambda session, plan: watchlists.create(session, caller.account_id, plan, name, now).id
        )

    async def rename(self, caller: Caller, list_id: str, name: str) -> None:
        def work(session: Session, plan: Plan) -> None:
            watchlists.rename(session, caller.account_id, plan, list_id, name)

        await self._change(caller, work)

    async def move(self, caller: Caller, list_id: str, to_position: int) -> None:
        def work(session: Session, plan: Plan) -> None:
            watchlists.move(session, caller.account_id, plan, list_id, to_position)

        await self._change(caller, work)

    async def delete(self, caller: Caller, list_id: str) -> None:
        def work(session: Session, plan: Plan) -> None:
            watchlists.delete(session, caller.account_id, list_id)

        await self._change(caller, work)

    async def take_in(self, caller: Caller, parsed: ImportPlan, list_id: str) -> ImportResult:
        """Add the lists of a file."""
        now = self._context.clock()
        return await self._change(
            caller,
            lambda session, plan: watchlists.import_lists(session, caller.account_id, plan, parsed, list_id, now),
        )

    async def _change(self, caller: Caller, work: Callable[[Session, Plan], T]) -> T:
        now = self._context.clock()

        def authorised(session: Session) -> T:
            account, _ = sessions.require(session, caller, now, lock=True)
            limits.take(session, limits.WRITE_ACCOUNT, account.id, int(now.timestamp() * 1000))
            return work(session, plan_of(account, now))

        return await self._context.change(caller.account_id, authorised)
