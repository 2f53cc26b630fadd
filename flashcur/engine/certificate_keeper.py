"""Keeps the silence certificates: each second what could be judged of each contract, and for each rule, about once a
minute, what that made of its day.

What hides an input is counted once a contract; a rule's time is added up from it when its turn comes. With very many
rules a turn comes less often than each minute, so that what is written stays the same. After a restart each rule goes
on where it was written down, and the time between was one without an engine.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from flashcur.domain.rules.condition import MOVE_INPUTS, Input
from flashcur.domain.rules.firing import nearest_text
from flashcur.domain.rules.rule import Rule
from flashcur.domain.rules.watch import InputSight, WatchLedger, account, look_at, needs_of
from flashcur.domain.signals.silence import DAY_MS
from flashcur.domain.ticks import TickKind
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.live_market import VenueBook
from flashcur.errors import DatabaseError
from flashcur.models import RuleDay
from flashcur.services.alerts.certificates import load_days, save_days
from flashcur.services.kit.backoff import Backoff
from flashcur.services.lease import LeaseLost, Tenure
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

STEP_S = 1.0
TURN_MS = 60_000
"""How old what is written of a rule may be before its turn comes, where there are not very many."""
MOST_A_STEP = 200
"""Rules whose turn comes in one step at most."""
LOOK_EVERY_MS = 5_000
"""How often all contracts are looked at while each stream speaks; else in each step, so that what was silent counts to
the second."""
SPEAKS_MS = 2_000
"""A stream that said something so long ago speaks."""
STREAMS: tuple[TickKind, ...] = ("ticker", "funding", "candle")
DAY_END_MS = 10_000
"""So long before the day ends all rules have a turn: its nearest misses are forgotten then."""


@dataclass(slots=True)
class _Account:
    """What a rule's day came to so far; lengths in ms."""

    until_ms: int
    """Up to when, Unix ms."""
    day: int
    watched: int = 0
    idle: int = 0
    blind: dict[str, int] = field(default_factory=dict[str, int])
    nearest: dict[str, Any] = field(default_factory=dict[str, Any])
    turn_ms: int = 0
    """When it had its last turn, Unix ms."""


class CertificateKeeper:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        evaluation: Evaluation,
        is_ready: Callable[[str, int], bool],
        database: Database,
        tenure: Tenure,
        *,
        clock: Callable[[], int],
    ) -> None:
        """`is_ready` says whether a contract's detectors have what they compare with at a moment (Unix ms), which is
        what `clock` is in. It is the witness of `evaluation` from now on."""
        self._evaluation = evaluation
        self._is_ready = is_ready
        self._database = database
        self._tenure = tenure
        self._clock = clock
        self._ledger: WatchLedger | None = None
        self._book: VenueBook | None = None
        self._since_ms = 0
        self._looked_ms = 0
        self._was_silent = False
        self._accounts: dict[str, _Account] = {}
        self._turns: deque[str] = deque()
        """Rules in the order of their turns."""
        self._queued: set[str] = set()
        self._unsaved: dict[tuple[str, int], RuleDay] = {}
        self._backoff = Backoff(first_s=0.5, cap_s=5.0)
        evaluation.witness = self

    async def run(self) -> None:
        """Keep the certificates until cancelled, or until the lease is lost."""
        await self._restore()
        failing = False
        while True:
            now_ms = self._clock()
            self.step(now_ms)
            self.take_turns(now_ms)
            try:
                await self.save()
                failing = False
            except LeaseLost:
                return
            except (DatabaseError, IntegrityError) as error:
                if not failing:
                    logger.warning("silence certificates are not saved: %s", error)
                failing = True
            await asyncio.sleep(STEP_S)

    def step(self, now_ms: int) -> None:
        """Look at all contracts at `now_ms` (Unix ms)."""
        book, evaluation = self._evaluation.book, self._evaluation
        if book is None:
            return
        ledger = self._ledger
        if ledger is None:
            began_ms = evaluation.blind_since_ms or now_ms // DAY_MS * DAY_MS
            ledger = self._ledger = WatchLedger(min(began_ms, now_ms))
            ledger.away(evaluation.since_ms, "engine_away")
        elif evaluation.since_ms != self._since_ms:
            ledger.away(evaluation.since_ms, "switch")
        if evaluation.since_ms != self._since_ms:
            self._since_ms, self._book = evaluation.since_ms, book
            self._turns, self._queued = deque(evaluation.rules), set(evaluation.rules)
            self._looked_ms = 0
        silent = any((book.book.silence_ms(kind, now_ms) or 0) > SPEAKS_MS for kind in STREAMS)
        if silent or self._was_silent or not 0 <= now_ms - self._looked_ms < LOOK_EVERY_MS:
            self._looked_ms = now_ms
            ledger.step(now_ms, self._sights(book, now_ms) if evaluation.rules else ())
        self._was_silent = silent

    def take_turns(self, now_ms: int, most: int = MOST_A_STEP) -> int:
        """Account for the rules whose turn has come at `now_ms` (Unix ms), `most` at a time; returns how many."""
        ledger = self._ledger
        if ledger is None:
            return 0
        ends = now_ms % DAY_MS >= DAY_MS - DAY_END_MS
        taken = 0
        while self._turns and taken < most:
            rule = self._evaluation.rules.get(self._turns[0])
            if rule is not None:
                known = self._account_of(rule.id, now_ms)
                rest_ms = 2 * DAY_END_MS if ends else TURN_MS
                if 0 <= now_ms - known.turn_ms < rest_ms:
                    break
                known.turn_ms = now_ms
                needs = needs_of(rule.definition.conditions)
                decided_ms = min(now_ms, ledger.decided_ms(rule.symbols, needs))
                self._account(ledger, rule, decided_ms)
                taken += 1
                self._turns.append(rule.id)
            else:
                self._queued.discard(self._turns[0])
            self._turns.popleft()
        if not taken and self._turns:
            ledger.forget(min(each.until_ms for each in self._accounts.values()))
        return taken

    def on_rule_begins(self, rule: Rule) -> None:
        """See `Witness.on_rule_begins`."""
        if self._ledger is not None and rule.id not in self._queued:
            self._queued.add(rule.id)
            # Of a new one something is told at once.
            self._turns.appendleft(rule.id)

    def on_rule_ends(self, rule: Rule, now_ms: int) -> None:
        """See `Witness.on_rule_ends`."""
        if self._ledger is not None:
            self._account(self._ledger, rule, now_ms)

    async def save(self) -> None:
        """Write down what has changed since the last time. Raises DatabaseError, and LeaseLost."""
        if not self._unsaved:
            return
        rows, self._unsaved = self._unsaved, {}

        def write(session: Session) -> None:
            self._tenure.require()
            save_days(session, rows.values())
            self._tenure.require()

        try:
            await self._database.run(write)
        except BaseException:
            # What was found meanwhile is newer.
            self._unsaved = {**rows, **self._unsaved}
            raise

    async def flush(self) -> None:
        """Account for all rules and write it down, after `run` was ended, where the database takes it."""
        ledger, now_ms = self._ledger, self._clock()
        if ledger is None:
            return
        try:
            for rule in self._evaluation.rules.values():
                self._account(ledger, rule, now_ms)
            await self.save()
        except (DatabaseError, IntegrityError, LeaseLost) as error:
            logger.warning("silence certificates are not saved: %s", error)

    async def restore(self) -> None:
        """Go on from what is stored of today and yesterday. Raises DatabaseError."""
        first_day = self._clock() // DAY_MS - 1
        after = ("", 0)
        found: dict[str, _Account] = {}
        while page := await self._database.run(
            lambda session, after=after: load_days(session, first_day, after), readonly=True
        ):
            for row in page:
                found[row.rule_id] = _Account(
                    row.until_ms,
                    row.day,
                    round(row.watched_s * 1000),
                    round(row.idle_s * 1000),
                    {cause: round(seconds * 1000) for cause, seconds in row.blind.items()},
                    dict(row.nearest),
                )
            after = (page[-1].rule_id, page[-1].day)
        self._accounts = found

    async def _restore(self) -> None:
        while True:
            try:
                await self.restore()
                return
            except DatabaseError as error:
                if not self._backoff.failures:
                    logger.warning("silence certificates cannot be read: %s", error)
                await asyncio.sleep(self._backoff.next_s())

    def _sights(self, book: VenueBook, now_ms: int) -> Iterator[tuple[str, Input, InputSight]]:
        for row in book.book:
            symbol = row.instrument.symbol
            for name, sight in look_at(book.book, row, now_ms, self._is_ready(symbol, now_ms)):
                yield symbol, name, sight
            for window_s, known in self._evaluation.moves_known(symbol):
                sight = InputSight(now_ms, None) if known else InputSight(0, "no_baseline")
                yield symbol, MOVE_INPUTS[window_s], sight

    def _account_of(self, rule_id: str, now_ms: int) -> _Account:
        known = self._accounts.get(rule_id)
        if known is None:
            day = now_ms // DAY_MS
            known = self._accounts[rule_id] = _Account(day * DAY_MS, day)
        return known

    def _account(self, ledger: WatchLedger, rule: Rule, to_ms: int) -> None:
        known = self._account_of(rule.id, to_ms)
        for part in account(ledger, rule, known.until_ms, to_ms):
            if part.day != known.day:
                known.day, known.watched, known.idle, known.blind, known.nearest = part.day, 0, 0, {}, {}
            known.watched += part.watched
            known.idle += part.idle
            for cause, ms in part.blind.items():
                known.blind[cause] = known.blind.get(cause, 0) + ms
            known.until_ms = min(to_ms, (part.day + 1) * DAY_MS)
            self._unsaved[rule.id, part.day] = _row(rule.id, known)
        if known.day == to_ms // DAY_MS:
            near = self._nearest(rule, known.nearest)
            if near != known.nearest:
                known.nearest = near
                self._unsaved[rule.id, known.day] = _row(rule.id, known)

    def _nearest(self, rule: Rule, known: dict[str, Any]) -> dict[str, Any]:
        """The nearest miss of the rule as it is now; empty where only an earlier version of it had one."""
        if known and known["version"] != rule.version:
            known = {}
        near = self._evaluation.nearest(rule)
        if near is None or (known and known["missing"] <= near.missing):
            return known
        row = None if self._book is None else self._book.book.row(near.symbol)
        decimals = None if row is None else row.instrument.price_decimals
        return {
            "version": rule.version,
            "symbol": near.symbol,
            "value": near.value,
            "threshold": near.threshold,
            "at_ms": near.at_ms,
            "missing": near.missing,
            "text": nearest_text(near, decimals),
        }


def _row(rule_id: str, known: _Account) -> RuleDay:
    return RuleDay(
        rule_id=rule_id,
        day=known.day,
        watched_s=known.watched / 1000,
        idle_s=known.idle / 1000,
        blind={cause: ms / 1000 for cause, ms in known.blind.items()},
        nearest=known.nearest,
        until_ms=known.until_ms,
    )
