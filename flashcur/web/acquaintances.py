"""The visitors that a web process knows: by cookie, by account, by when something of theirs ends, by last use.

Looking one up, and finding those of an account or those whose time has come, takes no longer with 50,000 of them than
with five.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

KEPT_FOR = timedelta(minutes=10)
"""How long somebody without an open tab is remembered after their last request."""
MOST_AT_A_TIME = 500
"""How many are looked at in one go to find those that are gone."""
_SPARE = 100


class Kept(Protocol):
    """What is kept of one cookie."""

    @property
    def key(self) -> str:
        """Hash of the session's token."""
        ...

    @property
    def account_id(self) -> str:
        """Empty for a guest."""
        ...

    @property
    def ends_at(self) -> datetime | None:
        """When the plan or the session ends by itself, whichever is first; None if neither does."""
        ...


V = TypeVar("V", bound=Kept)


@dataclass(slots=True)
class _Entry(Generic[V]):
    visitor: V
    used_at: datetime


class Acquaintances(Generic[V]):
    """See the module. Times are aware."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry[V]] = OrderedDict()
        self._accounts: dict[str, dict[str, None]] = {}
        self._ends: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> V | None:
        """Who has this key; None if nobody is known by it."""
        entry = self._entries.get(key)
        return None if entry is None else entry.visitor

    def use(self, key: str, now: datetime) -> None:
        """Note that somebody who is known came again."""
        self._entries[key].used_at = now
        self._entries.move_to_end(key)

    def keep(self, visitor: V, now: datetime) -> None:
        """Remember a visitor, in place of what was known by the same key; that counts as no use."""
        entry = self._entries.get(visitor.key)
        known_end = None
        if entry is None:
            self._entries[visitor.key] = _Entry(visitor, now)
        else:
            known_end = entry.visitor.ends_at
            self._unlist(entry.visitor)
            entry.visitor = visitor
        self._accounts.setdefault(visitor.account_id, {})[visitor.key] = None
        if visitor.ends_at is not None and visitor.ends_at != known_end:
            heappush(self._ends, (visitor.ends_at, visitor.key))
            self._clear_ends()

    def forget(self, key: str) -> None:
        """Know somebody no longer; nothing happens where nobody is known."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._unlist(entry.visitor)

    def forget_longest_unused(self) -> None:
        """Forget whoever came last the longest ago."""
        self.forget(next(iter(self._entries)))

    def forget_gone(self, now: datetime, present: Callable[[str], bool]) -> None:
        """Forget those who have not come for `KEPT_FOR`, unless they are `present` (by key); some at a time."""
        for _ in range(min(MOST_AT_A_TIME, len(self._entries))):
            key, entry = next(iter(self._entries.items()))
            if now - entry.used_at < KEPT_FOR:
                return
            if present(key):
                self.use(key, now)
            else:
                self.forget(key)

    def of_accounts(self, account_ids: Iterable[str]) -> list[V]:
        """The visitors of these accounts."""
        return [self._entries[key].visitor for one in account_ids for key in self._accounts.get(one, ())]

    def ended(self, now: datetime) -> set[str]:
        """Ids of the accounts of which something has ended by `now`, each moment told once."""
        accounts: set[str] = set()
        while self._ends and self._ends[0][0] <= now:
            moment, key = heappop(self._ends)
            visitor = self.get(key)
            if visitor is not None and visitor.ends_at == moment:
                accounts.add(visitor.account_id)
        return accounts

    def _unlist(self, visitor: V) -> None:
        keys = self._accounts[visitor.account_id]
        del keys[visitor.key]
        if not keys:
            del self._accounts[visitor.account_id]

    def _clear_ends(self) -> None:
        """Moments of those who were forgotten, or have others by now, are thrown out when they are the most."""
        if len(self._ends) > 2 * len(self._entries) + _SPARE:
            found = ((entry.visitor.ends_at, key) for key, entry in self._entries.items())
            self._ends = [(moment, key) for moment, key in found if moment is not None]
            heapify(self._ends)
