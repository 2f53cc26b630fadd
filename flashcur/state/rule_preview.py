""" "Would have fired": what a rule's past says while it is written, told to its tab bit by bit.

A preview is a task of its own, one an account: the next one ends the one before, and so does whoever cancels, and the
end of its tab's connection. It holds no state, so the page's other questions are answered meanwhile. Those that wait
have their turn in the order in which they came, and of one network one is worked out at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from flashcur.domain.rules.condition import Condition, InterestMove, OnSignal
from flashcur.domain.rules.newness import too_new_text
from flashcur.domain.rules.often import threshold_text
from flashcur.domain.rules.past import DAY_MS, MINUTE_MS, WEEK_DAYS
from flashcur.domain.rules.rule import Definition
from flashcur.domain.signals.outcomes import Summary
from flashcur.domain.signals.words import lift_text, move_text
from flashcur.domain.spikes import HOUR_MS
from flashcur.errors import DatabaseError
from flashcur.services.alerts import past_requests, preview
from flashcur.services.alerts.past_requests import Kind
from flashcur.services.alerts.preview import Preview
from flashcur.services.kit.budgets import Budgets
from flashcur.services.storage.database import Database
from flashcur.state.rule_drafts import form_of
from flashcur.state.rule_texts import with_units_kept
from flashcur.state.signal_texts import moment

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Previews that one process works out at a time; the others wait."""
ACCOUNT_BURST, ACCOUNT_RATE = 20, 0.5
"""Previews of one account at once, and a second after that: a form asks when it has been left alone for a moment."""
NETWORK_BURST, NETWORK_RATE = 100, 2.0
"""The same of one network, in which there may be many accounts."""
LOOK_EVERY_S = 0.5
"""How often it is looked whether the exchange has told the past that was asked for."""
PATIENCE_S = 180.0
"""How long the exchange is waited for."""
UNASKED = 12
"""So many requests of the exchange, half a second or so where it is near, are made without a press: eight days of one
contract's minutes."""
SHOWN = 5
"""So many of the newest firings are listed."""
_STEP = 0.05
"""A smaller part of the way is not worth telling."""

_AWAY = "The past cannot be read at this moment: try again in a few seconds."
_OFTEN = "The past was looked at very often just now: wait a few seconds, then change something or look again."
_UNREAD = "No past of these contracts is known yet: it is being read."
_ELSEWHERE = "It was asked for again in another tab."
_LATE = "The exchange has not told the past in three minutes: try again later."

_EXACT = 1e-6
_SPANS = ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"))

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One preview."""

    number: int
    """Of the question, which each answer repeats."""
    account_id: str
    network: str
    """Where it was asked for."""
    definition: Definition
    symbols: tuple[str, ...]
    exchange: str
    """ccxt id."""
    demo: bool
    now_ms: int
    """Unix ms."""
    zone: tzinfo
    """The visitor's."""
    open_interest: bool
    """Whether the plan may see it."""
    asks: bool
    """Whether the exchange is to be asked for what is not stored."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A preview that waits or is worked out."""

    tab: str
    number: int
    task: asyncio.Task[None]
    tell: Tell


class Turns:
    """Who may work, `most` at a time and one of each network; the others wait in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._working: set[str] = set()
        self._waiting: dict[asyncio.Future[None], str] = {}

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Wait for one, and have it."""
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[called] = network
        self._call()
        try:
            await called
            yield
        finally:
            # Whoever gives up while waiting has no turn to give back.
            if self._waiting.pop(called, None) is None:
                self._working.discard(network)
            self._call()

    def _call(self) -> None:
        for called, network in list(self._waiting.items()):
            if len(self._working) >= self._most:
                return
            if network not in self._working and not called.done():
                del self._waiting[called]
                self._working.add(network)
                called.set_result(None)


class Previews:
    """The previews under way in one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic, in seconds."""
        self._clock = clock
        self._running: dict[str, _Running] = {}
        """By account."""
        self._turns = Turns(AT_ONCE)
        self._accounts = Budgets(ACCOUNT_BURST, ACCOUNT_RATE)
        self._networks = Budgets(NETWORK_BURST, NETWORK_RATE)

    def begin(self, tab: str, database: Database, wanted: Wanted, tell: Tell) -> None:
        """Work it out for a tab, in place of what is worked out for its account now. Call it in the event loop."""
        former = self._running.pop(wanted.account_id, None)
        if former is not None:
            former.task.cancel()
            if former.tab != tab:
                former.tell({"number": former.number, "state": "cannot", "reasons": [_ELSEWHERE]})
        now = self._clock()
        if not (self._accounts.take(wanted.account_id, now) and self._networks.take(wanted.network, now)):
            tell({"number": wanted.number, "state": "cannot", "reasons": [_OFTEN]})
            return
        task = asyncio.create_task(self._run(database, wanted, tell), name=f"preview of {wanted.number}")
        self._running[wanted.account_id] = _Running(tab, wanted.number, task, tell)
        task.add_done_callback(lambda done: self._forget(wanted.account_id, done))

    def cancel(self, tab: str) -> None:
        """End what is worked out for a tab, if anything is."""
        for account_id, each in list(self._running.items()):
            if each.tab == tab:
                del self._running[account_id]
                each.task.cancel()

    def _forget(self, account_id: str, done: asyncio.Task[None]) -> None:
        known = self._running.get(account_id)
        if known is not None and known.task is done:
            del self._running[account_id]

    async def _run(self, database: Database, wanted: Wanted, tell: Tell) -> None:
        def say(state: str, **more: Any) -> None:
            tell({"number": wanted.number, "state": state, **more})

        if not wanted.open_interest and any(map(_of_interest, wanted.definition.conditions)):
            say("cannot", reasons=["Your plan does not show open interest, nor its past."])
            return
        if not wanted.symbols:
            say("cannot", reasons=["There is no contract to look at."])
            return
        try:
            async with self._turns.turn(wanted.network):
                found = await _worked_out(database, wanted, tell)
            if found is not None and found.asks is not None and (wanted.asks or found.requests <= UNASKED):
                problem = await _asked(database, wanted, found.asks, say)
                if problem:
                    say("cannot", reasons=[problem])
                    return
                async with self._turns.turn(wanted.network):
                    found = await _worked_out(database, wanted, tell)
        except DatabaseError:
            say("cannot", reasons=[_AWAY])
            return
        except Exception:
            logger.exception("a preview failed")
            say("cannot", reasons=["The past of this rule could not be worked out."])
            return
        if found is not None:
            tell({"number": wanted.number, **texts(found, wanted)})


def _of_interest(condition: Condition) -> bool:
    return isinstance(condition, InterestMove) or (
        isinstance(condition, OnSignal) and condition.detector == "open_interest"
    )


async def _worked_out(database: Database, wanted: Wanted, tell: Tell) -> Preview | None:
    """The whole of it; what it says without a suggestion is told before one is looked for."""
    told = 0.0

    def say(state: str, **more: Any) -> None:
        tell({"number": wanted.number, "state": state, **more})

    def progress(share: float) -> None:
        nonlocal told
        if share - told >= _STEP:
            told = share
            say("working", percent=round(share * 100))

    say("working", percent=0)
    return await preview.run(
        database,
        wanted.definition,
        wanted.symbols,
        wanted.exchange,
        wanted.demo,
        wanted.now_ms,
        progress,
        early=lambda found: tell({"number": wanted.number, **texts(found, wanted)}),
    )


async def _asked(database: Database, wanted: Wanted, kind: Kind, say: Callable[..., None]) -> str:
    """Have the engine ask the exchange for one contract's past, and wait for it; why it did not come, or empty."""
    first_ms, until_ms = preview.span_of(kind, wanted.now_ms)
    symbol = wanted.symbols[0]
    request_id = await database.run(
        lambda session: past_requests.ask(
            session,
            wanted.account_id,
            wanted.exchange,
            symbol,
            kind,
            demo=wanted.demo,
            first_ms=first_ms,
            until_ms=until_ms,
            now_ms=wanted.now_ms,
        )
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                known = await database.run(
                    lambda session: past_requests.progress(session, wanted.account_id, request_id), readonly=True
                )
                if known is None or known.state == "cancelled":
                    return _ELSEWHERE
                if not known.is_open:
                    return known.problem
                say("asking", percent=round(known.share * 100))
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        return _LATE
    except asyncio.CancelledError:
        await database.run(lambda session: past_requests.cancel(session, wanted.account_id, request_id))
        raise


def texts(found: Preview, wanted: Wanted) -> dict[str, Any]:
    """What the page shows of a preview: `state` (`done`, `cannot`, or `asks` where the exchange has to be asked), and
    `reasons`; of one that is done `headline`, `notes`, `days`, `newest`, `followed`, and `suggestion`."""
    if found.needs.grain is None:
        return {"state": "cannot", "reasons": list(found.needs.unjudgeable)}
    if found.asks is not None:
        return {"state": "asks", "reasons": []}
    if not found.contracts:
        new = too_new_text(found.too_new, found.scope)
        known = [new] if new and found.too_new == found.scope else [_UNREAD]
        return {"state": "cannot", "reasons": known}
    return {
        "state": "done",
        "headline": _headline(found),
        "notes": list(found.needs.notes),
        "days": _days(found) if found.count else [],
        "newest": []
        if found.needs.at_most
        else [{"symbol": each.symbol, "when": moment(each.at_ms, wanted.zone)} for each in found.firings[:SHOWN]],
        "followed": [_followed(hours, summary, found) for hours, summary in found.followed],
        "suggestion": _suggestion(found),
    }


def _headline(found: Preview) -> str:
    new = too_new_text(found.too_new, found.scope)
    return f"{_often(found)} {new}".rstrip()


def _often(found: Preview) -> str:
    if found.stored_ms == 0:
        return "No signals are stored yet: how often it would have fired is not known."
    over = "" if found.contracts == 1 else f", over {found.contracts:,} contracts"
    if not found.count:
        return f"Would not have fired in {_span(found)}{over}."
    times = _at_most if found.needs.at_most else _times
    week_at_most = found.needs.days <= WEEK_DAYS if found.stored_ms is None else found.stored_ms <= WEEK_DAYS * DAY_MS
    if week_at_most:
        return f"Would have fired {times(found.count)} in {_span(found)}{over}."
    if not found.week:
        return f"Would have fired {times(found.count)} in {_span(found)}, not in the last {WEEK_DAYS}{over}."
    in_all = f"{found.needs.days}" if found.stored_ms is None else _span(found)
    return f"Would have fired {times(found.week)} in {WEEK_DAYS} days and {times(found.count)} in {in_all}{over}."


def _known_days(found: Preview) -> int:
    """Of how many of the last days something is stored."""
    return found.needs.days if found.stored_ms is None else -(-found.stored_ms // DAY_MS)


def _span(found: Preview) -> str:
    """`the last 30 days`, or where less is known `the 40 minutes stored so far`."""
    if found.stored_ms is None:
        return f"the last {found.needs.days} days"
    size_ms, unit = next((each for each in _SPANS if found.stored_ms >= each[0]), _SPANS[-1])
    count = max(1, found.stored_ms // size_ms)
    return f"the {unit} stored so far" if count == 1 else f"the {count} {unit}s stored so far"


def _at_most(count: int) -> str:
    return f"{_times(count)} at most" if count else _times(count)


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _days(found: Preview) -> list[dict[str, str]]:
    """A bar a day, the oldest first: `height` in percent of the tallest, what it says, and `known`, which is empty
    where nothing of that day is stored."""
    most = max(found.by_day, default=0) or 1
    last = len(found.by_day) - 1
    known = _known_days(found)
    times = _at_most if found.needs.at_most else _times
    return [
        {
            "height": str(round(100 * count / most)) if count else "0",
            "says": f"{times(count).capitalize() if last - at < known else 'Not known'} {_ago(last - at)}",
            "known": "1" if last - at < known else "",
        }
        for at, count in enumerate(found.by_day)
    ]


def _ago(days: int) -> str:
    return "in the last 24 hours" if not days else "the day before" if days == 1 else f"{days} days before"


def _followed(hours: int, summary: Summary, found: Preview) -> dict[str, str]:
    return {
        "after": f"{hours} h later",
        "median": with_units_kept(move_text(summary.median)),
        "half": with_units_kept(f"{move_text(summary.lower_quartile)} to {move_text(summary.upper_quartile)}"),
        "verdict": with_units_kept(_verdict(summary, found)),
    }


def _verdict(summary: Summary, found: Preview) -> str:
    """How often the price went on that way, beside other hours; of too few cases, how many there were."""
    lift = summary.lift
    if lift is not None and (lift.low is None or lift.high is None):
        # Cases that point nowhere are left out among others that do.
        mixed = summary.points and any(each.up is None for each in found.firings)
        often = _cases(lift.hit_rate, summary.count, "went on that way" if summary.points else "rose", mixed=mixed)
        return f"{often}; usually it does in {100 * lift.base_rate:.0f} % of hours. Too few to tell from chance."
    return lift_text(
        None if lift is None else lift.value,
        None if lift is None else lift.low,
        None if lift is None else lift.high,
        points=summary.points,
        otherwise="at other hours",
    )


def _cases(rate: float, count: int, went: str, *, mixed: bool) -> str:
    hits = round(rate * count)
    if mixed or abs(hits - rate * count) > _EXACT:
        return f"In {100 * rate:.0f} % of cases the price {went}"
    if not hits:
        did = "go on that way" if went.startswith("went") else "rise"
        return f"In none of {count:,} cases did the price {did}" if count > 1 else f"The price did not {did}"
    return f"In {hits:,} of {count:,} cases the price {went}" if count > 1 else f"The price {went}"


def _suggestion(found: Preview) -> dict[str, Any]:
    """Stricter conditions, as the form has them, and what they would do; empty without any. `text` says why, and `use`
    what is set, and how often the rule fires then."""
    if found.suggestion is None:
        return {}
    weeks = found.needs.days / WEEK_DAYS
    before, after = round(found.count / weeks), round(found.would / weeks)
    often = f"about {after:,} a week" if after else "less than once a week" if found.would else "not once"
    return {
        "text": f"This fires often: about {before:,} times a week.",
        "use": f"Use {threshold_text(found.suggestion)}: {often} instead of {before:,}",
        "conditions": form_of(found.suggestion)["conditions"],
    }
