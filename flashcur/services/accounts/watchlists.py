"""An account's watchlists: functions on an open session, which the caller commits, and the owner's acts on top.

Whoever changes something first locks the account's row, so that two requests at once can neither pass a limit nor
take one position. The limits are the plan's: a number of lists, and a number of different symbols over all of them
together. Lists past the plan's number are read-only (see `domain/watchlists.py`).

Every function raises NotFound for a list that does not exist and for one of another account alike; what changes a list
raises PlanNeeded, in a sentence that names the limit, where the plan does not allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel import delete as delete_rows
from sqlmodel import update as update_rows

from flashcur.domain import watchlists as rules
from flashcur.domain.plans import Plan
from flashcur.domain.watchlists import ImportPlan, ListView
from flashcur.errors import Conflict, NotFound, PlanNeeded, Refusal
from flashcur.models import Account, Watchlist, WatchlistItem
from flashcur.services.accounts import changes, sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller

T = TypeVar("T")

_UNKNOWN = "This watchlist does not exist, or no longer."
_NAMED = 5
"""Symbols a message names before it counts the rest."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did."""

    created: tuple[str, ...]
    """Names of new lists."""
    added: int
    """Symbols put into a list; one that went into two counts twice."""
    already: int
    """Symbols that were in their list before."""
    left_out: tuple[str, ...]
    """Different symbols that a list did not take, because of the plan's limits."""
    message: str
    """Sentences about what was left out, and which limit it was; empty if nothing was."""
    first: str = field(default="", compare=False)
    """Name of the list that took in what stood below no header; empty where nothing did, or a list was chosen."""


def lists(session: Session, account_id: str) -> list[ListView]:
    """All lists of an account in order, read-only ones too."""
    symbols: dict[str, list[str]] = {}
    query = (
        select(WatchlistItem.watchlist_id, WatchlistItem.symbol)
        .join(Watchlist, col(Watchlist.id) == col(WatchlistItem.watchlist_id))
        .where(Watchlist.account_id == account_id)
        .order_by(col(WatchlistItem.position), col(WatchlistItem.symbol))
    )
    for list_id, symbol in session.exec(query):
        symbols.setdefault(list_id, []).append(symbol)
    return [ListView(one.id, one.name, tuple(symbols.get(one.id, ()))) for one in _owned(session, account_id)]


def create(session: Session, account_id: str, plan: Plan, name: str, now: datetime) -> Watchlist:
    """A new list after the others. Raises Refusal for a name that cannot be one, Conflict for a name in use."""
    _lock(session, account_id)
    return _create(session, account_id, plan, name, now)


def rename(session: Session, account_id: str, plan: Plan, list_id: str, name: str) -> Watchlist:
    """Give a list another name. Raises Refusal for a name that cannot be one, Conflict for one in use."""
    _lock(session, account_id)
    owned = _owned(session, account_id)
    target = _writable(owned, list_id, plan)
    target.name, target.name_key = _free_name(name, [one for one in owned if one is not target])
    session.add(target)
    session.flush()
    return target


def delete(session: Session, account_id: str, list_id: str) -> None:
    """Delete a list and what is in it; it may be read-only."""
    _lock(session, account_id)
    session.delete(_find(_owned(session, account_id), list_id))
    session.flush()


def move(session: Session, account_id: str, plan: Plan, list_id: str, to_position: int) -> None:
    """Put a list at a place in the order, from 0; past the end is the end, below 0 the beginning.

    A read-only list may move as well: after a downgrade its owner chooses which lists stay in use.
    """
    _lock(session, account_id)
    owned = _owned(session, account_id)
    target = _find(owned, list_id)
    owned.remove(target)
    owned.insert(max(0, min(to_position, len(owned))), target)
    for position, one in enumerate(owned):
        one.position = position
        session.add(one)
    session.flush()


def add(session: Session, account_id: str, plan: Plan, list_id: str, symbol: str) -> bool:
    """Put a symbol at the end of a list; False if it is there already. Raises Refusal for what cannot be a symbol."""
    _lock(session, account_id)
    target = _writable(_owned(session, account_id), list_id, plan)
    return _add(session, account_id, plan, target, symbol)


def remove(session: Session, account_id: str, plan: Plan, list_id: str, symbol: str) -> bool:
    """Take a symbol out of a list; False if it was not there."""
    _lock(session, account_id)
    target = _writable(_owned(session, account_id), list_id, plan)
    return _remove(session, target, symbol)


def toggle(session: Session, account_id: str, plan: Plan, list_id: str, symbol: str, now: datetime) -> bool:
    """Put a symbol into a list, or take it out if it is there. Returns whether it is in the list now.

    With an empty `list_id` it is the first list, which is created if there is none.
    """
    _lock(session, account_id)
    _require_symbol(symbol)
    owned = _owned(session, account_id)
    if not list_id and not owned:
        owned = [_create(session, account_id, plan, rules.FAVOURITES, now)]
    target = _writable(owned, list_id or owned[0].id, plan)
    return not _remove(session, target, symbol) and _add(session, account_id, plan, target, symbol)


def import_lists(
    session: Session, account_id: str, plan: Plan, parsed: ImportPlan, into_list_id: str, now: datetime
) -> ImportResult:
    """Add a file's symbols in order, as far as the plan allows; the rest is counted and named, not an error.

    With `into_list_id` everything goes into that list. If it is empty, each section goes into the list of its name,
    which is created if there is none, and what has no name into the first list. Nothing is taken out of a list.
    """
    _lock(session, account_id)
    work = _Import(session, account_id, plan, now)
    if into_list_id:
        target = _writable(work.owned, into_list_id, plan)
        work.put(target, [symbol for _, symbols in parsed.sections for symbol in symbols])
    else:
        for name, symbols in parsed.sections:
            work.put_section(name, symbols)
    return work.result()


def held(session: Session, symbols: Collection[str]) -> set[str]:
    """Which of some symbols any account's list holds."""
    if not symbols:
        return set()
    query = select(WatchlistItem.symbol).where(col(WatchlistItem.symbol).in_(sorted(symbols))).distinct()
    return set(session.exec(query))


def follow(session: Session, former: str, symbol: str, now: datetime, *, after: str = "", limit: int) -> str:
    """Have lists hold a contract by the name that it has now, at the place that it had; one that holds it by that name
    already loses the former. Their owners' pages know.

    It does so for up to `limit` accounts after the one named, read-only lists too, and returns where the next page
    begins; empty after the last.
    """
    holding = select(Watchlist.id).join(WatchlistItem, col(WatchlistItem.watchlist_id) == col(Watchlist.id))
    owners = (
        select(Watchlist.account_id)
        .where(col(Watchlist.id).in_(holding.where(WatchlistItem.symbol == former)), col(Watchlist.account_id) > after)
        .distinct()
        .order_by(col(Watchlist.account_id))
        .limit(limit)
    )
    wanted = list(session.exec(owners))
    locked = select(Account.id).where(col(Account.id).in_(wanted)).order_by(col(Account.id))
    found = list(session.exec(locked.with_for_update(key_share=True)))
    mine = list(session.exec(select(Watchlist.id).where(col(Watchlist.account_id).in_(found))))
    there = col(WatchlistItem.watchlist_id).in_(mine), col(WatchlistItem.symbol) == former
    both = select(WatchlistItem.watchlist_id).where(
        col(WatchlistItem.watchlist_id).in_(mine), WatchlistItem.symbol == symbol
    )
    doubles = list(session.exec(both))
    session.exec(delete_rows(WatchlistItem).where(*there, col(WatchlistItem.watchlist_id).in_(doubles)))
    session.exec(update_rows(WatchlistItem).where(*there).values(symbol=symbol))
    for account_id in found:
        changes.tell(session, account_id, now)
    return wanted[-1] if len(wanted) == limit else ""


class _Import:
    """An import under way."""

    def __init__(self, session: Session, account_id: str, plan: Plan, now: datetime) -> None:
        self._session, self._account_id, self._plan, self._now = session, account_id, plan, now
        self.owned = _owned(session, account_id)
        self._held = {one.id: set(one.symbols) for one in lists(session, account_id)}
        live = [self._held[one.id] for one in self.owned[: plan.watchlists]]
        self._known = set[str]().union(*live)
        self._created: list[str] = []
        self._first = ""
        self._added = 0
        self._already = 0
        self._without_room: dict[str, None] = {}
        self._without_list: dict[str, None] = {}

    def put_section(self, name: str | None, symbols: Sequence[str]) -> None:
        target = self._list_for(name)
        if target is None and len(self.owned) < self._plan.watchlists:
            if not any(map(self._fits, symbols)):
                self._without_room |= dict.fromkeys(symbols)
                return
            target = _create(self._session, self._account_id, self._plan, name or rules.FAVOURITES, self._now)
            self.owned.append(target)
            self._created.append(target.name)
        if name is None and target is not None:
            self._first = target.name
        if target is not None and target in self.owned[: self._plan.watchlists]:
            self.put(target, symbols)
            return
        held = set[str]() if target is None else self._held[target.id]
        self._already += sum(symbol in held for symbol in symbols)
        self._without_list |= dict.fromkeys(symbol for symbol in symbols if symbol not in held)

    def put(self, target: Watchlist, symbols: Iterable[str]) -> None:
        held = self._held.setdefault(target.id, set())
        position = _end(self._session, target)
        for symbol in symbols:
            if symbol in held:
                self._already += 1
            elif not self._fits(symbol):
                self._without_room[symbol] = None
            else:
                self._session.add(WatchlistItem(watchlist_id=target.id, symbol=symbol, position=position))
                held.add(symbol)
                self._known.add(symbol)
                self._added += 1
                position += 1
        self._session.flush()

    def result(self) -> ImportResult:
        sentences: list[str] = []
        if self._without_list:
            sentences.append(f"{_left_out(self._without_list)}: {rules.lists_limit(self._plan)}")
        if self._without_room:
            sentences.append(f"{_left_out(self._without_room)}: {rules.symbols_limit(self._plan)}")
        left_out = tuple(self._without_list | self._without_room)
        message = " ".join(sentences)
        return ImportResult(tuple(self._created), self._added, self._already, left_out, message, self._first)

    def _list_for(self, name: str | None) -> Watchlist | None:
        if name is None:
            return self.owned[0] if self.owned else None
        key = rules.name_key(name)
        return next((one for one in self.owned if one.name_key == key), None)

    def _fits(self, symbol: str) -> bool:
        return symbol in self._known or len(self._known) < self._plan.watchlist_symbols


def _left_out(symbols: dict[str, None]) -> str:
    names = list(symbols)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = "1 symbol was" if len(names) == 1 else f"{len(names):,} symbols were"
    return f"{count} left out ({', '.join(names[:_NAMED])}{more})"


def _lock(session: Session, account_id: str) -> None:
    """Until this transaction ends, no other gets past here for the same account."""
    # SQLite has no row locks and needs none: a writing transaction is alone from its beginning.
    query = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    if session.exec(query).first() is None:
        raise NotFound("This account does not exist, or no longer.")


def _owned(session: Session, account_id: str) -> list[Watchlist]:
    query = (
        select(Watchlist)
        .where(Watchlist.account_id == account_id)
        .order_by(col(Watchlist.position), col(Watchlist.created_at), col(Watchlist.id))
        # What the session read before the lock may have changed meanwhile.
        .execution_options(populate_existing=True)
    )
    return list(session.exec(query))


def _find(owned: Sequence[Watchlist], list_id: str) -> Watchlist:
    for one in owned:
        if one.id == list_id:
            return one
    raise NotFound(_UNKNOWN)


def _writable(owned: Sequence[Watchlist], list_id: str, plan: Plan) -> Watchlist:
    target = _find(owned, list_id)
    if target not in owned[: plan.watchlists]:
        raise PlanNeeded(rules.read_only(plan))
    return target


def _create(session: Session, account_id: str, plan: Plan, name: str, now: datetime) -> Watchlist:
    owned = _owned(session, account_id)
    name, key = _free_name(name, owned)
    if len(owned) >= plan.watchlists:
        raise PlanNeeded(rules.lists_limit(plan))
    position = max((one.position for one in owned), default=-1) + 1
    created = Watchlist(account_id=account_id, name=name, name_key=key, position=position, created_at=now)
    session.add(created)
    session.flush()
    return created


def _free_name(text: str, others: Iterable[Watchlist]) -> tuple[str, str]:
    """(name, key) for a list that is not among `others`."""
    try:
        name = rules.clean_name(text)
    except ValueError as error:
        raise Refusal(str(error), field="name") from None
    key = rules.name_key(name)
    if any(one.name_key == key for one in others):
        raise Conflict(f"There is a list called “{name}” already: choose another name.", field="name")
    return name, key


def _require_symbol(symbol: str) -> None:
    if not rules.valid_symbol(symbol):
        raise Refusal(f"Expected the symbol of a contract, was {symbol[:60]!r}.", field="symbol")


def _add(session: Session, account_id: str, plan: Plan, target: Watchlist, symbol: str) -> bool:
    _require_symbol(symbol)
    # Read-only lists count for nothing: what is in them neither takes room nor makes any.
    live = [one.id for one in _owned(session, account_id)[: plan.watchlists]]
    holding = set(
        session.exec(
            select(WatchlistItem.watchlist_id).where(
                col(WatchlistItem.watchlist_id).in_(live), WatchlistItem.symbol == symbol
            )
        )
    )
    if target.id in holding:
        return False
    if not holding and _different_symbols(session, live) >= plan.watchlist_symbols:
        raise PlanNeeded(rules.symbols_limit(plan))
    session.add(WatchlistItem(watchlist_id=target.id, symbol=symbol, position=_end(session, target)))
    session.flush()
    return True


def _remove(session: Session, target: Watchlist, symbol: str) -> bool:
    # PostgreSQL refuses to compare with some characters that no symbol has.
    if not rules.valid_symbol(symbol):
        return False
    query = delete_rows(WatchlistItem).where(
        col(WatchlistItem.watchlist_id) == target.id, col(WatchlistItem.symbol) == symbol
    )
    return session.exec(query).rowcount > 0


def _different_symbols(session: Session, list_ids: Sequence[str]) -> int:
    query = select(func.count(func.distinct(col(WatchlistItem.symbol))))
    return session.exec(query.where(col(WatchlistItem.watchlist_id).in_(list_ids))).one()


def _end(session: Session, target: Watchlist) -> int:
    """The position after the last symbol of a list."""
    last = func.coalesce(func.max(col(WatchlistItem.position)), -1)
    return session.exec(select(last).where(WatchlistItem.watchlist_id == target.id)).one() + 1


class Watchlists:
    """Watchlists as their owner changes them: each act authorised, limited and told in one transaction.

    Every method raises what the function of its name raises, SignInNeeded when signed out, Throttled after too many
    changes, and Unavailable while the database is away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def toggle(self, caller: Caller, list_id: str, symbol: str) -> bool:
        """Put a contract into a list (the first, if `list_id` is empty) or take it out; whether it is in it now."""
        now = self._context.clock()
        return await self._change(
            caller, lambda session, plan: toggle(session, caller.account_id, plan, list_id, symbol, now)
        )

    async def add(self, caller: Caller, list_id: str, symbol: str) -> bool:
        """Put a contract at the end of a list; False if it is there already."""
        return await self._change(caller, lambda session, plan: add(session, caller.account_id, plan, list_id, symbol))

    async def remove(self, caller: Caller, list_id: str, symbol: str) -> bool:
        """Take a contract out of a list; False if it was not there."""
        return await self._change(
            caller, lambda session, plan: remove(session, caller.account_id, plan, list_id, symbol)
        )

    async def create(self, caller: Caller, name: str) -> str:
        """Make a new list, after the others. Returns its id."""
        now = self._context.clock()
        return await self._change(caller, lambda session, plan: create(session, caller.account_id, plan, name, now).id)

    async def rename(self, caller: Caller, list_id: str, name: str) -> None:
        """Give a list another name."""

        def work(session: Session, plan: Plan) -> None:
            rename(session, caller.account_id, plan, list_id, name)

        await self._change(caller, work)

    async def move(self, caller: Caller, list_id: str, to_position: int) -> None:
        """Put a list at a place in the order, from 0."""

        def work(session: Session, plan: Plan) -> None:
            move(session, caller.account_id, plan, list_id, to_position)

        await self._change(caller, work)

    async def delete(self, caller: Caller, list_id: str) -> None:
        """Delete a list and what is in it."""

        def work(session: Session, plan: Plan) -> None:
            delete(session, caller.account_id, list_id)

        await self._change(caller, work)

    async def take_in(self, caller: Caller, parsed: ImportPlan, list_id: str) -> ImportResult:
        """Add the lists of a file, as `import_lists` does."""
        now = self._context.clock()
        return await self._change(
            caller,
            lambda session, plan: import_lists(session, caller.account_id, plan, parsed, list_id, now),
        )

    async def _change(self, caller: Caller, work: Callable[[Session, Plan], T]) -> T:
        now = self._context.clock()

        def authorised(session: Session) -> T:
            account, _ = sessions.require(session, caller, now, locked=True)
            return work(session, plan_of(account, now))

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, authorised)
