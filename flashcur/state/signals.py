"""The newest signals as the browser holds them, and what their owner has read of them.

Like the market they are the same for everybody of a plan: column by column, one packed text each, written to all
sockets by `broadcast`, and put in the place of this state's own values when a page loads or reconnects.
"""

from __future__ import annotations

import contextlib
from typing import Any

import reflex as rx

from flashcur.domain.plans import PLANS, Audience, Plan, shown_from_ms
from flashcur.domain.signals.words import KIND_TITLES
from flashcur.domain.venue_links import signal_links
from flashcur.errors import Refusal
from flashcur.models import SignalRecord
from flashcur.state.visit import act, text
from flashcur.web.signal_hub import SignalHub

LATE_MS = 120_000
"""A signal that was stored so long after its event rings nowhere, whatever else delays what a plan is shown."""

_ON_ANY_PAGE = ("known", "ids")


class SignalsState(rx.State):
    """See the module. Every var is a placeholder; columns hold a value a signal, joined by |, the newest first."""

    known: bool = False
    """The server has read the signals; there may be none."""
    ids: str = ""
    """On every page, to count those that are unread."""
    watched: int = 0
    """How many contracts detectors look at."""
    id: str = ""
    title: str = ""
    """The kind in words."""
    severity: str = ""
    direction: str = ""
    symbol: str = ""
    base: str = ""
    text: str = ""
    """The signal in one line."""
    at: str = ""
    """The exchange's time, Unix ms."""
    later: str = ""
    """Ms from then until this plan was shown it."""
    late: str = ""
    """1 where it was found long after it happened, as after a restart: it is shown, and is no news."""
    page: str = ""
    """Address of the contract's page at the exchange; empty where there is none."""
    chart: str = ""
    """Address of its chart at TradingView."""

    @rx.event
    async def mark_read(self, signal_id: str) -> None:
        """The owner has been shown the signals up to this one, by its id. Says nothing: nobody asked for it."""
        with contextlib.suppress(Refusal):
            read = text(signal_id, 16)
            if read.isascii() and read.isdigit():
                await act(self, lambda accounts, caller: accounts.profile.read_signals(caller, int(read)))


def signals_vars(hub: SignalHub, audience: Audience) -> dict[str, Any]:
    """SignalsState's vars by name for an audience; {} while its signals are not known."""
    shown = hub.shown(audience)
    if shown is None:
        return {}
    kept = _packed.get(audience)
    if kept is None or kept[0] is not shown:
        kept = _packed[audience] = shown, _pack(shown, PLANS[audience])
    return {"known": True, "ids": kept[1]["id"], "watched": hub.watched, **kept[1]}


def on_any_page(values: dict[str, Any]) -> dict[str, Any]:
    """What of these vars a page without the table is told."""
    return {name: values[name] for name in _ON_ANY_PAGE if name in values}


_COLUMNS = ("id", "title", "severity", "direction", "symbol", "base", "text", "at", "later", "late", "page", "chart")


_packed: dict[Audience, tuple[tuple[SignalRecord, ...], dict[str, str]]] = {}
"""By audience, the list that was packed last, and its columns: every page that opens is told them."""


def _pack(shown: tuple[SignalRecord, ...], plan: Plan) -> dict[str, str]:
    rows = [_row(record, plan) for record in shown]
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    return {name: "|".join(values) for name, values in zip(_COLUMNS, columns, strict=True)}


def _row(record: SignalRecord, plan: Plan) -> tuple[str, ...]:
    later = max(0, shown_from_ms(plan.cadence_s, record.stored_ms) - record.event_ms)
    return (
        str(record.id),
        _one(KIND_TITLES.get(record.kind, record.kind)),  # pyright: ignore[reportArgumentType, reportCallIssue]
        str(record.severity),
        record.direction,
        _one(record.symbol),
        _one(record.base),
        _one(record.text),
        str(record.event_ms),
        str(later),
        "1" if record.stored_ms - record.event_ms > LATE_MS else "",
        *map(_one, signal_links(record.exchange, record.symbol, record.kind, demo=record.demo)),
    )


def _one(value: str) -> str:
    """A text that stays one value of a packed column."""
    return value.replace("|", "/")
