"""One signal over the page: why it fired, what followed, and what usually follows.

What is told goes to the tab and is kept nowhere: a state that outlives its page would show a plan what it may not see.
"""

from __future__ import annotations

import time
from typing import Any

import reflex as rx
from sqlmodel import Session

from flashcur.domain.plans import Plan
from flashcur.errors import NotFound, PlanNeeded, Refusal
from flashcur.services.alerts.signal_details import Details, Hidden, read_details
from flashcur.state.distance_texts import distance_vars
from flashcur.state.reading import Reader, passes, read
from flashcur.state.signal_texts import detail_vars
from flashcur.state.visit import tell
from flashcur.state.wire.defaults import default_vars

_LARGEST = 2**53


class SignalState(rx.State):
    """Every var is a placeholder; what they hold is in `signal_texts.detail_vars`."""

    shown_id: int = 0
    """The signal that the following is about; 0 before the first."""
    opened: int = 0
    """Grows when something but the address asked for it: the page then opens it, and names it in its address."""
    problem: str = ""
    """Why it cannot be shown; empty where it is."""
    passes: bool = False
    """Whether it is worth asking again after a while."""
    problem_link: str = ""
    problem_link_text: str = ""
    base: str = ""
    symbol: str = ""
    kind: str = ""
    text: str = ""
    direction: str = ""
    direction_word: str = ""
    severity: str = ""
    severity_word: str = ""
    quadrant: str = ""
    quadrant_meaning: str = ""
    demo: bool = False
    exchange: str = ""
    event_ms: int = 0
    when: str = ""
    measures: list[dict[str, str]] = []
    """`role` (only at the first of each), `label`, `text`."""
    rule: str = ""
    picture: dict[str, str] = {}
    """Paths, places and texts; empty without one."""
    picture_note: str = ""
    receipt: list[dict[str, str]] = []
    """`what`, `when`, `delay`."""
    outcomes: list[dict[str, str]] = []
    """`after`, `text`, `side` (`up`, `down`, `open` where it is not known, or empty)."""
    extremes: str = ""
    past: list[dict[str, str]] = []
    """`after`, `median`, `half`, `verdict`."""
    past_of: str = ""
    distances_of: str = ""
    distances: list[dict[str, str]] = []
    """`text`, `share` (in percent of the way there), `near` (`there` where a signal is due)."""
    distances_note: str = ""
    again: str = ""
    """Where a rule is begun that tells when it happens again; a path."""
    links: list[dict[str, str]] = []
    """`text`, `href`."""

    @rx.event
    async def open_signal(self, signal_id: int) -> None:
        """Open the sheet with a signal, by its id."""
        await self._tell(signal_id, {"opened": time.time_ns() // 1_000_000})

    @rx.event
    async def read_signal(self, signal_id: int) -> None:
        """Tell a page that has its sheet open already what is in it."""
        await self._tell(signal_id, {})

    async def _tell(self, signal_id: int, more: dict[str, Any]) -> None:
        wanted = int(signal_id)
        try:
            told = await read(self, lambda session, reader: _details(session, reader, wanted))
        except Refusal as refusal:
            link, link_text = refusal.way_out
            told = {
                "problem": str(refusal),
                "passes": passes(refusal),
                "problem_link": link,
                "problem_link_text": link_text,
            }
        blank = default_vars(SignalState)
        del blank["opened"]
        tell(self, {SignalState: {**blank, **told, **more, "shown_id": wanted}})


def _details(session: Session, reader: Reader, signal_id: int) -> dict[str, Any]:
    found: Details | Hidden | None = None
    if 0 < signal_id < _LARGEST:
        try:
            found = read_details(session, reader.plan, signal_id, demo=reader.demo, now_ms=reader.now_ms)
        except ValueError:
            raise NotFound("This signal was stored by another version of FlashCur, and cannot be shown.") from None
    if found is None:
        raise NotFound("There is no such signal, or no longer.")
    if isinstance(found, Hidden):
        raise PlanNeeded(_hidden_text(found, reader.plan))
    return {
        **detail_vars(found, reader.zone, reader.now_ms),
        **distance_vars(reader, found.signal.symbol),
    }


def _hidden_text(hidden: Hidden, plan: Plan) -> str:
    whose = "Without an account FlashCur" if plan.audience == "guest" else f"Your plan, {plan.title},"
    better = "" if hidden.shown_by is None else f" {hidden.shown_by.title} shows it now."
    return f"{whose} {hidden.why}.{better}"
