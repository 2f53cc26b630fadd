"""How many signals are unread, and what counts as reading them: the same on every page that shows some."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.state.account import AccountState
from flashcur.state.signals import SignalsState


def unread() -> rx.Var[int]:
    """Signals that this visitor has not been shown, over all their tabs; never more than their plan may see."""
    return _unread("unread", SignalsState.ids)


def read_while_open(ids: rx.Var[str]) -> rx.Var[bool]:
    """Count those of `ids` (joined by |) as read while the panel is open in a tab that can be seen; whether it is.

    This or `read_on_page` once on a page.
    """
    return _reading(ids, in_panel=True)


def read_on_page(ids: rx.Var[str]) -> rx.Var[bool]:
    """Count those of `ids` as read while the tab can be seen: for a page of which they are the subject."""
    return _reading(ids, in_panel=False)


def _reading(ids: rx.Var[str], *, in_panel: bool) -> rx.Var[bool]:
    return browser.hook(
        "watched",
        "unread",
        "useReading",
        ids,
        _unread("unreadHere", ids),
        AccountState.signed_in,
        in_panel,
        browser.event(SignalsState.mark_read),
    ).to(bool)


def _unread(name: str, ids: rx.Var[str]) -> rx.Var[int]:
    known = AccountState.reached & SignalsState.known
    return browser.hook(name, "unread", "useUnread", ids, known, AccountState.signed_in, AccountState.signals_read).to(
        int
    )
