"""What the open tabs of an account are told when it, or one of its sessions, changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import reflex as rx

from flashcur.domain.plans import Audience
from flashcur.services.kit.clock import now_ms
from flashcur.state.account import AccountState, account_vars
from flashcur.state.market import moved_vars
from flashcur.state.notice import NoticeState
from flashcur.web.visitors import Visitor, Visitors

SIGNED_OUT = (
    "You are signed out here: the session was ended from another tab or device, or by signing in on more devices than "
    "your plan has."
)

States = Mapping[type[rx.State], dict[str, Any]]


class Tabs(Protocol):
    """Who writes to the sockets of a visitor (the broadcaster)."""

    def show(self, visitor: str, audience: Audience, states: States, moved: Callable[[], States]) -> None:
        """Tell all tabs of `visitor` (`Visitor.key`); those whose audience changes also get what `moved` returns."""
        ...


def follow(tabs: Tabs, visitors: Visitors) -> Callable[[Visitor, Visitor], None]:
    """A listener for `Visitors.listen`: tabs of a visitor who changed are told, and see by the plan they have now."""

    def show(before: Visitor, now: Visitor) -> None:
        audience = visitors.audience(now)
        states: dict[type[rx.State], dict[str, Any]] = {AccountState: account_vars(now, visitors.plan(now))}
        if before.account is not None and now.account is None:
            # Numbered by time: not what the tab showed last.
            states[NoticeState] = {
                "text": SIGNED_OUT,
                "bad": True,
                "link": "/login",
                "link_text": "Sign in",
                "number": now_ms(),
            }
        tabs.show(now.key, audience, states, lambda: moved_vars(audience))

    return show
