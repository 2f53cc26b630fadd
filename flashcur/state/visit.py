"""Who is behind a state: the link between Reflex's sockets and the accounts.

A state itself holds nothing that tells: it names its socket, whose connection knows who opened it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import reflex as rx

from flashcur.domain.texts import checked_text
from flashcur.errors import SignInNeeded, Unavailable
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.state.wire.door import UNKNOWN, Arrival
from flashcur.web.process import WebRuntime
from flashcur.web.visitors import GUEST, Visitor

T = TypeVar("T")

States = Mapping[type[rx.State], dict[str, Any]]

_runtime: WebRuntime | None = None
_tell: Callable[[str, States], None] | None = None
_arrival: Callable[[str], Arrival] | None = None


def connect(runtime: WebRuntime, tell: Callable[[str, States], None], arrival_of: Callable[[str], Arrival]) -> None:
    """Tell the states of this process where accounts are, what sends vars to the socket of a session id, and who
    opened that."""
    global _runtime, _tell, _arrival
    _runtime, _tell, _arrival = runtime, tell, arrival_of


def runtime() -> WebRuntime | None:
    """What this process has besides its pages; None before `connect`."""
    return _runtime


def tell(state: rx.State, states: States) -> None:
    """Send vars to the tab of `state` without any state keeping them."""
    if _tell is not None:
        _tell(state.router.session.session_id, states)


def teller(state: rx.State) -> Callable[[States], None]:
    """`tell` for the tab of `state` after its handler is done."""
    tab = state.router.session.session_id
    return lambda states: None if _tell is None else _tell(tab, states)


def known_visitor(state: rx.State) -> Visitor:
    """The visitor whose tab a state is, as far as this process knows without asking; else `GUEST`."""
    return GUEST if _runtime is None else _runtime.visitors.known(_arrival_of(state).visitor)


async def visitor_of(state: rx.State) -> Visitor:
    """The visitor whose tab a state is; asks the database if need be. Never raises: see `Visitors.look_up`."""
    return GUEST if _runtime is None else await _runtime.visitors.look_up(_arrival_of(state).visitor)


def client_of(state: rx.State) -> Client:
    """Where a state's socket comes from."""
    return _arrival_of(state).client


def _arrival_of(state: rx.State) -> Arrival:
    return UNKNOWN if _arrival is None else _arrival(state.router.session.session_id)


async def act(
    state: rx.State,
    work: Callable[[Accounts, Caller], Awaitable[T]],
    invitation: str = "Sign in first: a free account is enough.",
) -> T:
    """Have the services do `work` for the visitor whose tab a state is, and return what it returns.

    Raises what `work` raises, SignInNeeded with the `invitation` for a guest, and Unavailable while accounts cannot be
    reached.
    """
    visitor = await visitor_of(state)
    if visitor.unsure or _runtime is None or _runtime.accounts is None:
        raise Unavailable("Accounts cannot be reached at this moment: try again in a few seconds.")
    caller = visitor.caller(client_of(state))
    if caller is None:
        raise SignInNeeded(invitation)
    return await work(_runtime.accounts, caller)


def known_contracts() -> frozenset[str]:
    """Symbols of the contracts that trade now; empty until the first frame has come."""
    live = None if _runtime is None else _runtime.hub.live
    return frozenset() if live is None else frozenset(live.values("symbol"))


def watchable_contracts() -> frozenset[str]:
    """Symbols of those that rules can watch: on crypto. Empty until the first frame has come."""
    live = None if _runtime is None else _runtime.hub.live
    if live is None:
        return frozenset()
    symbols = live.values("symbol")
    return frozenset(symbols[at] for at in live.of("crypto"))


def text(value: object, most: int = 300) -> str:
    """An argument of a handler as text. Raises Refusal for anything else: see `checked_text`."""
    return checked_text(value, most)


def form_text(form: object, name: str, most: int = 300) -> str:
    """A field of a submitted form, empty where it is missing. Raises Refusal for what is no form, and as `text`."""
    return text(form.get(name, ""), most) if isinstance(form, dict) else text(None)
