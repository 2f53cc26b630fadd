"""Who may call which event handler over a socket.

Every public method of a state is callable by any socket with any arguments. Here each one is named with who may call
it; the gate (`gate.py`) refuses the rest. A handler still checks what its arguments mean.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from reflex_base.registry import RegistrationContext

Caller = Literal["anyone", "account", "admin"]
"""`account`: anybody who is signed in; `admin`: an operator."""

ACCESS: Mapping[str, Caller] = {
    "feed_state.watch_table": "anyone",
    "feed_state.watch_feed": "anyone",
    # A guest who clicks a star is told that an account is needed.
    "watchlist_state.star": "anyone",
    "watchlist_state.create": "account",
    "watchlist_state.rename": "account",
    "watchlist_state.delete": "account",
    "watchlist_state.move": "account",
    "watchlist_state.add": "account",
    "watchlist_state.remove": "account",
    "profile_state.change_address": "account",
    "profile_state.change_password": "account",
    "profile_state.set_theme": "account",
    "profile_state.set_time_zone": "account",
    "profile_state.keep_view": "account",
    "profile_state.end_session": "account",
    "profile_state.end_other_sessions": "account",
    "profile_state.unlink_wallet": "account",
    "profile_state.create_api_key": "account",
    "profile_state.delete_api_key": "account",
}
"""Our own event handlers, as "state.handler" (`tests/state/wire/test_access.py` compares it with the states)."""

REFLEX_ACCESS: Mapping[str, Caller] = {
    # A page says hello with it, at first and after each reconnect.
    "state.hydrate_and_load": "anyone",
    # The visitor has gone to another page without a reload.
    "on_load_internal_state.on_load_internal": "anyone",
    # The page has crashed: its error boundary reports it.
    "frontend_event_exception_state.handle_frontend_exception": "anyone",
}
"""Reflex's handlers that the built page uses. Its others (`setvar`, `update_vars_internal`, …) are refused."""

_PLAIN: Mapping[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    # Reflex turns the text of an input into a number where a handler wants one.
    int: (int, str),
    float: (int, float, str),
    dict: (dict,),
    list: (list,),
    NoneType: (NoneType,),
}


class Identity(Protocol):
    """Who is at the other end of a socket."""

    @property
    def account(self) -> object | None:
        """None for a guest."""
        ...

    @property
    def admin(self) -> bool: ...


def may_call(caller: Caller, visitor: Identity) -> bool:
    """Whether a visitor may call a handler that is for `caller`."""
    if caller == "anyone":
        return True
    return visitor.account is not None and (caller == "account" or visitor.admin)


@dataclass(frozen=True, slots=True)
class Entrance:
    """An event handler that sockets may call."""

    name: str
    """Short: "state.handler"."""
    caller: Caller
    required: frozenset[str]
    kinds: Mapping[str, tuple[type, ...] | None]
    """Argument to the JSON types it may have; None: any."""
    open_ended: bool
    """Takes arguments of any name."""

    def fault_in(self, arguments: Mapping[str, Any]) -> str | None:
        """What makes the arguments of a call unfit, or None. Names and plain types only."""
        if missing := self.required - arguments.keys():
            return f"without argument {min(missing)}"
        for name, value in arguments.items():
            if name not in self.kinds:
                if self.open_ended:
                    continue
                return f"with an unknown argument {name[:40]!r}"
            kinds = self.kinds[name]
            if kinds is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
                return f"with {name} of type {type(value).__name__}"
        return None


def short_name(full_name: str) -> str:
    """ "feed_state.watch_table" for "reflex___state____state.flashcur___state___market____feed_state.watch_table"."""
    state, _, handler = full_name.rpartition(".")
    return f"{state.rpartition('.')[2].rpartition('____')[2]}.{handler}"


def entrances() -> dict[str, Entrance]:
    """Full name to entrance of all handlers that are registered and listed here."""
    access: dict[str, Caller] = {**ACCESS, **REFLEX_ACCESS}
    found: dict[str, Entrance] = {}
    for full_name, registered in RegistrationContext.get().event_handlers.items():
        name = short_name(full_name)
        if name in access:
            found[full_name] = _entrance(name, access[name], registered.handler.fn)
    return found


def _kinds(hint: Any) -> tuple[type, ...] | None:
    """The JSON types of a type hint; None where it is more than plain ones."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        members = [_kinds(member) for member in get_args(hint)]
        return None if None in members else tuple(kind for member in members for kind in member or ())
    return _PLAIN.get(origin or hint)


def _entrance(name: str, caller: Caller, function: Any) -> Entrance:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return Entrance(
        name,
        caller,
        frozenset(p.name for p in named if p.default is p.empty),
        {p.name: _kinds(hints.get(p.name)) for p in named},
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )
