"""The ledger of an account's messages, page by page.

Like `SignalState` it tells the tab and keeps nothing; what moves later is told by `AlertsState`.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl

import reflex as rx
from sqlmodel import Session

from flashcur.errors import Refusal
from flashcur.services.alerts import inbox
from flashcur.services.alerts.inbox import LedgerCursor, LedgerFilter
from flashcur.state.alert_texts import entry_texts
from flashcur.state.reading import Own, passes, read_own
from flashcur.state.visit import tell, text

MOST_QUERY = 500
"""Characters of a query; longer than any that the page writes."""


class LedgerState(rx.State):
    """Every var is a placeholder."""

    query: str = ""
    """What the following answers, as it was asked."""
    number: int = 0
    """Grows with each answer."""
    entries: list[dict[str, Any]] = []
    """One page; see `alert_texts.entry_texts`."""
    next: str = ""
    """Where the next page begins; empty on the last one."""
    problem: str = ""
    passes: bool = False
    """Whether it is worth asking again after a while."""
    problem_link: str = ""
    problem_link_text: str = ""

    @rx.event
    async def show(self, query: str) -> None:
        """Tell a page: `status`, `channel`, `rule`, `alert`, and `after` from the second page on."""
        told: dict[str, Any] = {"problem": "", "passes": False, "problem_link": "", "problem_link_text": ""}
        try:
            asked = _params(text(query, MOST_QUERY))
            told |= await read_own(self, lambda session, own: _page_vars(session, own, asked))
        except Refusal as refusal:
            link, link_text = refusal.way_out
            told = {
                "problem": str(refusal),
                "passes": passes(refusal),
                "problem_link": link,
                "problem_link_text": link_text,
            }
        tell(self, {LedgerState: {**told, "query": str(query)[:MOST_QUERY], "number": time.time_ns() // 1_000_000}})


def _params(query: str) -> dict[str, str]:
    """Raises Refusal for what no page of ours asks."""
    try:
        return dict(parse_qsl(query, max_num_fields=10))
    except ValueError:
        raise Refusal("This link does not work. Open your messages under Alerts instead.") from None


def _page_vars(session: Session, own: Own, params: dict[str, str]) -> dict[str, Any]:
    found = inbox.page(session, own.account_id, LedgerFilter.parse(params), LedgerCursor.parse(params.get("after", "")))
    return {
        "entries": [entry_texts(entry, own.zone) for entry in found.entries],
        "next": "" if found.next is None else str(found.next),
    }
