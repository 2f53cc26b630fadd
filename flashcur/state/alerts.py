"""What the bell shows of an account's alerts, in every tab of it.

Like `SignalState` it is told to tabs and kept nowhere: every var is a placeholder. A tab asks when it is opened or
connected again; from then on the hub tells it (`follow`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Protocol

import reflex as rx

from flashcur.errors import Refusal, SignInNeeded
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.state import visit
from flashcur.state.alert_texts import entry_texts, line_texts, way_texts
from flashcur.state.market import moved_vars
from flashcur.state.reading import passes, read_own, zone_of
from flashcur.state.tabs import Tabs
from flashcur.state.visit import States, act, tell, text
from flashcur.web.alert_hub import AlertNews, read_news
from flashcur.web.visitors import Visitors


class AlertsState(rx.State):
    """See the module."""

    known: bool = False
    """The server has said what there is; there may be nothing."""
    passes: bool = False
    """It could not, and it is worth asking again after a while."""
    recent: list[dict[str, str]] = []
    """The newest alerts; see `alert_texts.line_texts`."""
    moved: list[dict[str, Any]] = []
    """Messages that are new, or whose deliveries moved, in the last seconds; see `alert_texts.entry_texts`."""
    tests: list[dict[str, Any]] = []
    """Test messages of the last minutes, one a place; see `alert_texts.way_texts`."""

    @rx.event
    async def look(self, why: str) -> None:
        """Tell this tab the newest alerts. `why` is for the page, which asks again for as long as it has no answer."""
        try:
            told = await read_own(
                self,
                lambda session, own: news_vars(read_news(session, own.account_id, (), (), own.now_ms), own.zone),
            )
        except SignInNeeded:
            return
        except Refusal as refusal:
            told = {"passes": passes(refusal)}
        tell(self, {AlertsState: told})

    @rx.event
    async def mark_read(self, alert_id: str) -> None:
        """The owner has been shown the alerts up to this one, by its id. Says nothing: nobody asked for it."""
        await self._about(alert_id, lambda accounts, caller, id_: accounts.inbox.read(caller, id_))

    @rx.event
    async def acknowledge(self, alert_id: str) -> None:
        """This tab has shown the browser notification of an alert."""
        await self._about(alert_id, lambda accounts, caller, id_: accounts.inbox.acknowledge(caller, id_))

    @rx.event
    async def tell_permission(self, permission: str) -> None:
        """Whether this browser shows notifications: `granted`, or anything else. Says nothing: nobody asked for it."""
        with contextlib.suppress(Refusal):
            await act(self, lambda accounts, caller: accounts.profile.set_notifies(caller, permission == "granted"))

    async def _about(self, alert_id: object, work: Callable[[Accounts, Caller, int], Any]) -> None:
        with contextlib.suppress(Refusal):
            named = text(alert_id, 15)
            if named.isascii() and named.isdigit():
                await act(self, lambda accounts, caller: work(accounts, caller, int(named)))
                runtime = visit.runtime()
                if runtime is not None:
                    runtime.alerts.poke()


def news_vars(news: AlertNews, zone: tzinfo) -> dict[str, Any]:
    """AlertsState's vars by name for the tabs of an account."""
    return {
        "known": True,
        "passes": False,
        "recent": [line_texts(entry, zone) for entry in news.newest],
        "moved": [entry_texts(entry, zone) for entry in news.moved],
        "tests": [way_texts(way, None, zone) for way in news.tests],
    }


class Present(Protocol):
    """Who knows which visitors have a tab open (the broadcaster)."""

    def has_tab(self, visitor: str) -> bool:
        """Whether the visitor with this key has one."""
        ...


def has_tab(tabs: Present, visitors: Visitors) -> Callable[[str], bool]:
    """Whether an account, by id, has a tab open in this process."""
    return lambda account_id: any(tabs.has_tab(visitor.key) for visitor in visitors.of_account(account_id))


def follow(tabs: Tabs, visitors: Visitors) -> Callable[[str, AlertNews], None]:
    """A listener for `AlertHub.listen`: all tabs of an account are told its news, in its time zone."""

    def show(account_id: str, news: AlertNews) -> None:
        for visitor in visitors.of_account(account_id):
            audience = visitors.audience(visitor)
            states: States = {AlertsState: news_vars(news, zone_of(visitor))}
            tabs.show(visitor.key, audience, states, lambda audience=audience: moved_vars(audience))

    return show
