"""Stars and watchlists: what a tab asks for. The lists themselves are shown by `AccountState`."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import reflex as rx

from flashcur.domain.multiples import under_other_names
from flashcur.domain.watchlists import ImportPlan, parse_import
from flashcur.errors import Refusal, Unavailable
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.state.notice import refuse, say
from flashcur.state.visit import act, form_text, known_contracts, text


def find_contract(typed: str, known: frozenset[str]) -> str:
    """The contract that somebody means: its symbol, its base asset (`btc`), TradingView's name, or what another
    exchange calls it (`SHIB1000`).

    Raises Refusal where there is none, and Unavailable while nobody can tell.
    """
    if not known:
        raise Unavailable("The contracts are not known yet: try again in a few seconds.")
    name = typed.strip()
    for symbol in (name, name.upper(), f"{name.upper()}USDT"):
        if symbol in known:
            return symbol
    for plan in _read(name, known):
        found = [symbol for _, symbols in plan.sections for symbol in symbols]
        if len(found) == 1 and not plan.skipped:
            return found[0]
    others = under_other_names(name, known)
    if others:
        raise Refusal(f"“{name[:40]}” may be {' or '.join(others)} here: write which.", field="symbol")
    raise Refusal(f"There is no contract “{name[:40]}” here: try a name such as BTC or BTCUSDT.", field="symbol")


def named_here(typed: str, symbol: str) -> str:
    """A sentence where the contract that was found counts its coin by another number than was typed; else empty."""
    name = typed.strip()
    return f"{name} is called {symbol} here." if any(plan.renamed for plan in _read(name, [symbol])) else ""


def _read(name: str, known: Iterable[str]) -> Iterator[ImportPlan]:
    """What a name means as a file would have it, taken as a symbol and as a base asset."""
    for entry in (name, f"{name}USDT"):
        with contextlib.suppress(ValueError):
            yield parse_import(entry, known)


class WatchlistState(rx.State):
    """Each handler answers with a notice where something is in the way; the change itself comes by `AccountState`."""

    problem: str = ""
    """What was wrong with the contract that was to be added last, and the list it was for."""
    problem_list: str = ""
    added: int = 0
    """Grows with each list, and each contract by name, that was taken in: the field is emptied then."""

    @rx.event
    async def star(self, symbol: str, list_id: str) -> None:
        """Put a contract into a list, or take it out; an empty `list_id` is the first list."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            # Only rows of the table have a star; what else is sent here would be a contract that nobody has listed.
            wanted = text(symbol, 64)
            if wanted not in known_contracts():
                raise Refusal(f"There is no contract “{wanted[:40]}” here.", field="symbol")
            await accounts.watchlists.toggle(caller, text(list_id, 64), wanted)
            return ""

        await self._do(work)

    @rx.event
    async def create(self, form: dict[str, Any]) -> None:
        """A new list, `name`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.watchlists.create(caller, form_text(form, "name"))
            self.added += 1
            return ""

        await self._do(work)

    @rx.event
    async def rename(self, form: dict[str, Any]) -> None:
        """Another `name` for the list `id`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.watchlists.rename(caller, form_text(form, "id"), form_text(form, "name"))
            return "Renamed."

        await self._do(work)

    @rx.event
    async def delete(self, list_id: str) -> None:
        """Delete a list."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.watchlists.delete(caller, text(list_id, 64))
            return "The list was deleted."

        await self._do(work)

    @rx.event
    async def move(self, list_id: str, to_position: int) -> None:
        """Put a list at another place in the order, from 0."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            position = int(to_position) if isinstance(to_position, int | float) else 0
            await accounts.watchlists.move(caller, text(list_id, 64), max(0, min(position, 1_000)))
            return ""

        await self._do(work)

    @rx.event
    async def add(self, form: dict[str, Any]) -> None:
        """Put a contract, `symbol` (or its base asset), into the list `id`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            self.problem_list = form_text(form, "id", 64)
            try:
                symbol = find_contract(form_text(form, "symbol", 64), known_contracts())
            except Refusal as refusal:
                self.problem = str(refusal)
                return ""
            added = await accounts.watchlists.add(caller, self.problem_list, symbol)
            self.added += 1
            here = named_here(form_text(form, "symbol", 64), symbol)
            return here if added else f"{here} {symbol} is in this list already.".strip()

        self.problem, self.problem_list = "", ""
        await self._do(work)

    @rx.event
    async def remove(self, list_id: str, symbol: str) -> None:
        """Take a contract out of a list."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.watchlists.remove(caller, text(list_id, 64), text(symbol, 64))
            return ""

        await self._do(work)

    async def _do(self, work: Callable[[Accounts, Caller], Awaitable[str]]) -> None:
        try:
            done = await act(self, work, "Sign in to keep a watchlist: a free account is enough.")
        except Refusal as refusal:
            await refuse(self, refusal)
        else:
            # Without a word too: an earlier refusal is over.
            await say(self, done)
