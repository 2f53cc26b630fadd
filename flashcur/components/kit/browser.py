"""The bridge to the modules in `assets/browser`: what runs in the browser, as Vars that components in Python use."""

from __future__ import annotations

import reflex as rx
from reflex.config import get_config

from flashcur.settings.addresses import port_of
from flashcur.state.account import AccountState
from flashcur.state.profile import ProfileState
from flashcur.state.wire.javascript import event, function, handler, hook, maybe, member, module, part

__all__ = [
    "VIEW",
    "backend",
    "backend_port",
    "chosen",
    "event",
    "function",
    "handler",
    "hook",
    "list_choice",
    "maybe",
    "member",
    "module",
    "part",
]

VIEW = hook(
    "view",
    "view",
    "useView",
    AccountState.reached,
    AccountState.table_view,
    rx.cond(AccountState.signed_in, event(ProfileState.keep_view), None),
)
"""What the visitor chose: `q`, `sort`, `dir`, `min`, `show`, `list`; kept in the URL, and in the account."""


def list_choice() -> rx.Var[str]:
    """The id of the watchlist that is shown; empty for all contracts, also where the address names another's list."""
    return function("rows", "listChoice").call(VIEW, AccountState.lists).to(str)


def chosen(key: str) -> rx.Var[str]:
    """One choice of the view as a Var."""
    return member(VIEW, key)


def backend() -> rx.Var[str]:
    """The origin of the HTTP routes: in development they are on another port than the pages."""
    return function("server", "backendOrigin").call(backend_port()).to(str)


def routes_origin() -> str:
    """Where programs reach the HTTP routes, as it is built into the pages."""
    return get_config().api_url


def backend_port() -> int:
    """The port of the HTTP routes; 0 where it is the pages' own."""
    config = get_config()
    return 0 if config.api_url == config.deploy_url else port_of(config.api_url)
