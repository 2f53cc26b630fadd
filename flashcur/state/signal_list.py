"""`/signals`: what the address asks for, page by page, and what followed signals in the past.

Like `SignalState` it tells the tab and keeps nothing (see `state.signal`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import reflex as rx
from sqlmodel import Session

from flashcur.domain.plans import Plan, next_mark_ms
from flashcur.domain.signals.filters import SignalFilter, WrongFilter
from flashcur.domain.signals.words import FILTER_TITLES, WITHOUT_TITLES
from flashcur.engine.history_status import HistoryStatus
from flashcur.errors import Refusal
from flashcur.services.alerts.signal_list import how_complete, read_list, why_nothing
from flashcur.services.alerts.signals import Cursor, count_newer
from flashcur.services.alerts.statistics import read_statistics
from flashcur.services.kit.clock import from_ms
from flashcur.state.distance_texts import distance_vars
from flashcur.state.reading import Reader, passes, read, reader_of
from flashcur.state.signal_texts import entry_texts, moment, statistics_texts
from flashcur.state.visit import tell, text
from flashcur.web.signal_hub import SHOWN

MOST_QUERY = 2_000
"""Characters of a query; longer than any that the page writes."""


class SignalListState(rx.State):
    """Every var is a placeholder."""

    query: str = ""
    """What the following answers, as it was asked."""
    number: int = 0
    """Grows with each answer."""
    entries: list[dict[str, str]] = []
    """One page; see `signal_texts.entry_texts`."""
    next: str = ""
    """Where the next page begins; empty on the last one."""
    newest: int = 0
    """Id of the newest signal there was then; larger ones arrived later."""
    arrived: int = 0
    """How many of those are asked for."""
    counted: int = 0
    """Id of the newest signal there was when they were counted."""
    ignored: list[str] = []
    """Sentences about parts of the address that were not understood."""
    without: list[dict[str, str]] = []
    """Where nothing was found: the `query` without a filter, which finds something, and its `title`."""
    nothing: str = ""
    """Where nothing was found, why."""
    nothing_paid: bool = False
    """Whether another plan shows something."""
    complete: str = ""
    """How complete what is shown is."""
    baselines: str = ""
    """How far the past that detectors compare with is filled; empty once it is."""
    distances_of: str = ""
    """The one contract that is asked for; empty without one."""
    distances: list[dict[str, str]] = []
    """How far it is from each signal now; see `distance_texts`."""
    distances_note: str = ""
    limits: str = ""
    """What the visitor's plan shows; empty where it shows all at once."""
    problem: str = ""
    passes: bool = False
    """Whether it is worth asking again after a while."""
    problem_link: str = ""
    problem_link_text: str = ""
    groups: list[dict[str, str]] = []
    """What followed signals in the past; see `signal_texts.statistics_texts`."""
    groups_of: str = ""
    """When that was computed; empty without any."""
    groups_known: bool = False
    """Whether `groups` were told."""

    @rx.event
    async def show(self, query: str) -> None:
        """Tell a page of signals; `query` is that of its address, with `after` from the second page on."""
        told: dict[str, Any] = {"problem": "", "passes": False, "problem_link": "", "problem_link_text": ""}
        try:
            asked = _params(text(query, MOST_QUERY))
            told |= await read(self, lambda session, reader: _list_vars(session, reader, asked))
        except Refusal as refusal:
            link, link_text = refusal.way_out
            told = {
                "problem": str(refusal),
                "passes": passes(refusal),
                "problem_link": link,
                "problem_link_text": link_text,
            }
        tell(self, {SignalListState: {**told, "query": str(query)[:MOST_QUERY], "number": _number()}})

    @rx.event
    async def count_arrived(self, query: str) -> None:
        """Tell how many signals that are asked for have arrived since the one with the id `newer` in the query."""
        try:
            asked = _params(text(query, MOST_QUERY))
            reader = reader_of(self)
        except Refusal:
            # The page asks again.
            return
        newer = asked.get("newer", "")
        since = int(newer) if newer.isascii() and newer.isdigit() and len(newer) < 16 else 0
        wanted = _wanted(asked, reader)[0]
        known = [each.id or 0 for each in reader.newest]
        found = sum((each.id or 0) > since and wanted.matches(each, reader.now_ms) for each in reader.newest)
        if reader.plan.history is None and len(reader.newest) >= SHOWN:
            # There may be more than this process knows.
            try:
                found = await read(self, lambda session, reader: _count_newer(session, reader, asked, since))
            except Refusal:
                return
        tell(self, {SignalListState: {"arrived": found, "counted": max(known, default=0)}})

    @rx.event
    async def show_statistics(self) -> None:
        """Tell what followed signals of each kind in the past."""
        try:
            told = await read(self, _statistics_vars)
        except Refusal:
            # The list says what is wrong; the page asks again.
            return
        tell(self, {SignalListState: told})


def _number() -> int:
    return time.time_ns() // 1_000_000


def _params(query: str) -> dict[str, str]:
    """Raises Refusal for what no page of ours asks."""
    try:
        return dict(parse_qsl(query, max_num_fields=30))
    except ValueError:
        raise Refusal("This address asks for too much at once: begin anew at /signals.") from None


def _list_vars(session: Session, reader: Reader, params: dict[str, str]) -> dict[str, Any]:
    wanted, ignored = _wanted(params, reader)
    after = Cursor.parse(params.get("after", ""))
    page = read_list(session, reader.plan, wanted, demo=reader.demo, now_ms=reader.now_ms, after=after)
    vars_: dict[str, Any] = {
        "entries": [entry_texts(record, outcome, reader.zone) for record, outcome in page.entries],
        "next": "" if page.next is None else str(page.next),
    }
    if after is not None:
        return vars_
    shown = [record for record, _ in page.entries]
    complete = how_complete(session, wanted, shown, reader.exchange, demo=reader.demo, now_ms=reader.now_ms)
    return {
        **vars_,
        "newest": max((record.id or 0 for record in (*shown, *reader.newest)), default=0),
        "arrived": 0,
        "ignored": ignored,
        "without": [{"title": WITHOUT_TITLES[name], "query": instead.query()} for name, instead in page.without],
        **({} if page.entries else _nothing_vars(session, reader, wanted)),
        "complete": complete.text,
        **distance_vars(reader, wanted.contract),
        "baselines": baselines_text(reader.history),
        "limits": _limits(reader.plan),
    }


def _count_newer(session: Session, reader: Reader, params: dict[str, str], last_id: int) -> int:
    wanted = _wanted(params, reader)[0]
    return count_newer(session, reader.plan, wanted, demo=reader.demo, now_ms=reader.now_ms, last_id=last_id)


def _nothing_vars(session: Session, reader: Reader, wanted: SignalFilter) -> dict[str, Any]:
    """Why there is nothing to see, as it is: what a plan hides is not said not to be."""
    plan = reader.plan
    cause, shown_by = why_nothing(session, plan, wanted, demo=reader.demo, now_ms=reader.now_ms)
    filtered = wanted.query() != ""
    whose = "Without an account" if plan.audience == "guest" else f"With {plan.title}"
    next_mark = f"{from_ms(next_mark_ms(plan.cadence_s, reader.now_ms)).astimezone(reader.zone):%H:%M %Z}"
    when = "at once" if plan.live else f"at the next mark, every {plan.cadence_s // 60} minutes"
    match cause:
        case "none" if filtered and "open_interest" in wanted.detectors and not plan.open_interest:
            said = f"{whose} signals of open interest are not shown. At this moment none would fit these filters."
        case "none" if filtered:
            said = "No signal fits all of these filters."
        case "none":
            said = f"No signal has been found yet. What is found appears here {when}."
        case "history":
            said = f"{whose} you look back over the newest {plan.history} signals, and none of them fits these filters."
        case "delay":
            what = "What fits these filters" if filtered else "What has been found so far"
            said = f"{what} appears at the next mark, {next_mark}."
        case "open_interest":
            said = f"{whose} signals of open interest are not shown, and no others have been found"
            said += " that fit these filters." if filtered else " so far."
    better = f" {shown_by.title} shows some that do." if shown_by is not None and cause == "history" else ""
    if shown_by is not None and cause != "history":
        better = f" {shown_by.title} shows {'it' if cause == 'delay' else 'them'} now."
    return {"nothing": said + better, "nothing_paid": shown_by is not None or "open interest" in said}


def _wanted(params: dict[str, str], reader: Reader) -> tuple[SignalFilter, list[str]]:
    """The filter of an address for a visitor, and sentences about what of it counts as not given."""
    wanted, ignored = SignalFilter.parse(params), _not_understood(params)
    if wanted.list_id:
        lists = () if reader.visitor.account is None else reader.visitor.account.lists
        found = next((each for each in lists if each.id == wanted.list_id), None)
        if found is not None:
            return replace(wanted, symbols=frozenset(found.symbols)), ignored
        ignored.append("That watchlist is not yours, or no longer there: signals of all contracts are shown.")
    return replace(wanted, list_id=""), ignored


def _not_understood(params: dict[str, str]) -> list[str]:
    """A sentence for each filter of the address that counts as not given."""
    faults: list[str] = []
    for name, value in params.items():
        if name not in FILTER_TITLES or not value:
            continue
        try:
            SignalFilter.parse({name: value}, strict=True)
        except WrongFilter as fault:
            faults.append(f"{FILTER_TITLES[name]} in the address was not understood and counts as not given ({fault}).")
    if not faults and _backwards(params):
        faults.append("The last day in the address is before the first one, and counts as not given.")
    return faults


def _backwards(params: dict[str, str]) -> bool:
    try:
        return date.fromisoformat(params.get("to", "")) < date.fromisoformat(params.get("from", ""))
    except ValueError:
        return False


def baselines_text(history: HistoryStatus | None) -> str:
    """How far the past that detectors compare with is filled; empty once it is, but for contracts that are new."""
    if history is None or not (history.filling or history.new):
        return ""
    is_, its = ("is", "its") if history.new == 1 else ("are", "their")
    news = f"{history.new:,} {is_} too new to compare with {its} own past."
    if not history.filling:
        return f"Of {history.contracts:,} contracts {news}"
    rest = (
        f"{history.ready:,} of {history.contracts:,} contracts have enough of a past to compare with; the rest follow"
    )
    return f"{rest}, the largest first." + (f" {news}" if history.new else "")


def _limits(plan: Plan) -> str:
    whose = "Without an account you see" if plan.audience == "guest" else f"{plan.title} shows"
    parts: list[str] = []
    if plan.history is not None:
        parts.append(f"the newest {plan.history} signals")
    if not plan.live:
        parts.append(f"each from the next mark on, every {plan.cadence_s // 60} minutes")
    if not plan.open_interest:
        parts.append("none of open interest")
    return f"{whose} {', '.join(parts)}." if parts else ""


def _statistics_vars(session: Session, reader: Reader) -> dict[str, Any]:
    known = read_statistics(session, reader.exchange, demo=reader.demo)
    groups = () if known is None else known.groups
    if not reader.plan.open_interest:
        groups = tuple(group for group in groups if group.detector != "open_interest")
    return {
        "groups": statistics_texts(groups),
        "groups_of": "" if known is None else moment(known.computed_ms, reader.zone),
        "groups_known": True,
    }
