"""Who may call which event handler over a socket.

Every public method of a state is callable by any socket with any arguments. Here each one is named with who may call
it; the gate (`gate.py`) refuses the rest. A handler still checks what its arguments mean.
"""

from __future__ import annotations

import inspect
import re
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
    "signal_state.open_signal": "anyone",
    "signal_state.read_signal": "anyone",
    "signal_list_state.show": "anyone",
    "signal_list_state.count_arrived": "anyone",
    "signal_list_state.show_statistics": "anyone",
    "signals_state.mark_read": "account",
    "rules_state.show": "account",
    "rules_state.open_form": "account",
    # What somebody shared is shown to guests, too; nothing is read for it.
    "rules_state.show_shared": "anyone",
    "rules_state.check": "account",
    "rules_state.preview": "account",
    "rules_state.cancel_preview": "account",
    "rules_state.save": "account",
    "rules_state.pause": "account",
    "rules_state.resume": "account",
    "rules_state.snooze": "account",
    "rules_state.delete": "account",
    # A guest is told nothing, and asks only while a session ends.
    "alerts_state.look": "account",
    "alerts_state.mark_read": "account",
    "alerts_state.acknowledge": "account",
    "alerts_state.tell_permission": "account",
    "ledger_state.show": "account",
    "channels_state.connect_url": "account",
    "channels_state.begin_telegram": "account",
    "channels_state.put_away": "anyone",
    "channels_state.begin_sms": "account",
    "channels_state.confirm_sms": "account",
    "channels_state.save_hours": "account",
    "channels_state.mute": "account",
    "channels_state.new_secret": "account",
    "channels_state.rename": "account",
    "channels_state.remove": "account",
    "channels_state.switch_on": "account",
    "channels_state.switch_off": "account",
    "channels_state.test": "account",
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

_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_LARGEST = 2**53
"""Beyond it the numbers of a browser are not exact."""


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
    hints: Mapping[str, Any]
    """Argument to its annotation."""
    open_ended: bool
    """Takes arguments of any name."""

    def fault_in(self, arguments: Mapping[str, Any]) -> str | None:
        """What makes the arguments of a call unfit, or None. Nothing of it is the caller's but a name's beginning."""
        if missing := self.required - arguments.keys():
            return f"without argument {min(missing)}"
        for name, value in arguments.items():
            if name not in self.hints:
                if self.open_ended:
                    continue
                return f"with an unknown argument {name[:40]!r}"
            if not fits(value, self.hints[name]):
                return f"with {name} of type {type(value).__name__}"
        return None


def fits(value: Any, hint: Any) -> bool:
    """Whether a value that came as JSON is what an annotation says.

    A number may also come as the text of an input: Reflex makes a number of it where a handler wants one. Any other
    text it would write into the log, whole, and pass on. Raises TypeError for an annotation that cannot be checked.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, member) for member in inner)
    kind = origin or hint
    if kind in (bool, str, NoneType):
        return isinstance(value, kind)
    if kind is int:
        text = isinstance(value, str) and _WHOLE.fullmatch(value) is not None
        return text or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST)
    if kind is float:
        text = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
        return text or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST)
    if kind is list:
        return isinstance(value, list) and all(fits(each, inner[0] if inner else Any) for each in value)
    if kind is dict:
        of = inner[1] if inner else Any
        return isinstance(value, dict) and all(isinstance(key, str) and fits(value[key], of) for key in value)
    raise TypeError(f"expected an annotation of plain types, was {hint!r}")


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


def _entrance(name: str, caller: Caller, function: Any) -> Entrance:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    hints = get_type_hints(function)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return Entrance(
        name,
        caller,
        frozenset(p.name for p in named if p.default is p.empty),
        {p.name: _checkable(hints.get(p.name, p.empty)) for p in named},
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def _checkable(hint: Any) -> Any:
    """`hint`, once it is known that arguments can be checked by it. Raises TypeError where they cannot."""
    for value in (None, [0], {"": 0}):
        fits(value, hint)
    return hint
