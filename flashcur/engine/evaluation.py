"""Rules on the live market: each tick that the book took goes in, and each signal; firings go to the writer.

There is one evaluator, for the book that is being filled. It begins once the contracts' last values, the rules and what
they fired last are read; while the database is away it waits, and frames go on. What the book holds by then is judged:
what became met while no engine ran is told as missed, once for each account. After a switch of exchange it begins anew
on the new book, which fires nothing.

A contract that leaves, or gets another name, changes the rules that name it only where the preferred exchange says so.
Another exchange that serves for a while lists other contracts, and the set that it is compared with may be weeks old:
what it says would outlast it, for contracts that the preferred one trades all along.

Who edits a rule or a watchlist, or gets another plan, changes an account: the accounts that changed are read anew twice
a second. `sweep` looks each minute whether all rules are here that should be, and whether they followed what became of
their contracts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol

from sqlmodel import Session

from flashcur.domain.book import MarketBook
from flashcur.domain.multiples import under_other_names
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.firing import Firing, Nearest
from flashcur.domain.rules.measured import UNMEASURED, Measured
from flashcur.domain.rules.rule import MOST_COOLDOWN_S, Rule
from flashcur.domain.signals.listings import former_symbol
from flashcur.domain.signals.signal import Signal
from flashcur.domain.ticks import Instrument, Tick
from flashcur.engine.alert_writer import (
    AlertWriter,
    Checkpoint,
    Delisting,
    Fired,
    ListRenaming,
    MissedAlerts,
    Pausing,
    Renaming,
)
from flashcur.engine.detection import values_of
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.errors import DatabaseError
from flashcur.services.accounts.changes import Reader
from flashcur.services.alerts import alerts, departures, rule_store
from flashcur.services.alerts.alerts import FiredBefore
from flashcur.services.alerts.checkpoints import load_checkpoint
from flashcur.services.alerts.rule_store import Loaded, Stamp
from flashcur.services.kit.backoff import Backoff
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often changes of accounts are looked for, and the evaluator is told that time has passed."""
SAVE_EVERY_MS = 5_000
"""How often a checkpoint is written: 100 kB of 500 contracts. Only the last one holds the prices of the past minutes,
2 MB of them: after a kill they are asked of the exchange (`rule_windows`)."""
GATHER_MS = 3_000
"""For so long after the first thing that was missed others are waited for: one alert tells all of them."""
SILENT_MS = 10_000
"""So long without a price nothing was watched."""
PAGE = 500
"""Rules that are put in at once: some 5 ms of the event loop."""
OLDEST_MS = 7 * 86_400_000
"""A checkpoint that is older tells nothing of the present."""
_SAY_AGAIN = 10_000
"""A failure of the evaluation is logged at first and each time after so many more."""


class Witness(Protocol):
    """Accounts for what rules watched: is told of each that begins, or ends, to be what it is."""

    def on_rule_begins(self, rule: Rule) -> None:
        """From now on it is evaluated."""
        ...

    def on_rule_ends(self, rule: Rule, now_ms: int) -> None:
        """From `now_ms` (Unix ms) on it is not evaluated any more, or is another one."""
        ...


@dataclass(slots=True)
class EvaluationFigures:
    """What the evaluation did in this time in office."""

    ticks: int = 0
    seconds: float = 0.0
    """Time spent on ticks."""
    firings: int = 0
    missed: int = 0
    failures: int = 0
    """Ticks at which the evaluator raised, which would be a defect of it."""


class Evaluation:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        market: LiveMarket,
        writer: AlertWriter,
        database: Database,
        *,
        preferred: str,
        clock: Callable[[], int],
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        """`preferred` is the ccxt id of the exchange whose listings change rules, `clock` Unix ms, `timer` seconds.
        Observes `market`, and hears what `writer` refuses, from now on."""
        self._market = market
        self._writer = writer
        self._database = database
        self._preferred = preferred
        self._clock = clock
        self._timer = timer
        self._book: VenueBook | None = None
        self._evaluator: Evaluator | None = None
        self._rules: dict[str, Rule] = {}
        self._owned: dict[str, set[str]] = defaultdict(set)
        """Account to the ids of its rules that are evaluated."""
        self._left_out: set[str] = set()
        """Active rules that cannot be evaluated: of another version, or on a list that is gone."""
        self._reader = Reader()
        self._changed: set[str] = set()
        """Accounts that are to be read anew."""
        self._early: list[Signal] = []
        """Signals of this book that were found before its evaluation began."""
        self._news = asyncio.Event()
        self._reading = asyncio.Lock()
        self._backoff = Backoff(first_s=0.5, cap_s=5.0)
        self._missed: list[Firing] = []
        self._missed_ms = 0
        """When the first of these was found, Unix ms."""
        self._heard_ms = 0
        """When a price was heard last, Unix ms."""
        self._gap_ms = (0, 0)
        """The last time in which nothing was watched, Unix ms."""
        self._saved_ms = 0
        self.witness: Witness | None = None
        self.figures = EvaluationFigures()
        self.since_ms = 0
        """When the evaluation of this book began, Unix ms; 0 while it has not."""
        self.blind_since_ms = 0
        """From when on nothing was watched before that, Unix ms; 0 where that is not known."""
        market.observe(self)
        writer.on_refused = self._on_refused

    @property
    def is_ready(self) -> bool:
        """Whether rules are evaluated now."""
        return self._evaluator is not None

    @property
    def book(self) -> VenueBook | None:
        """The book that rules are evaluated on; None while none is."""
        return None if self._evaluator is None else self._book

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules that are evaluated, by id."""
        return self._rules

    @property
    def is_waiting(self) -> bool:
        """Whether the database could not be read when it was last tried."""
        return self._backoff.failures > 0

    @property
    def contracts(self) -> int:
        """How many contracts are watched by a rule."""
        if self._book is None or not self._rules:
            return 0
        named = {symbol for rule in self._rules.values() for symbol in rule.symbols or ()}
        every = any(rule.symbols is None for rule in self._rules.values())
        traded = [row.instrument for row in self._book.book]
        return sum(each.symbol in named or (every and each.is_crypto) for each in traded)

    def nearest(self, rule: Rule) -> Nearest | None:
        """See `Evaluator.nearest`."""
        return None if self._evaluator is None else self._evaluator.nearest(rule)

    @property
    def gap_ms(self) -> tuple[int, int]:
        """The last time in which nothing was watched, Unix ms; (0, 0) where there was none."""
        return self._gap_ms

    def moves_known(self, symbol: str) -> Iterator[tuple[int, bool]]:
        """See `Evaluator.moves_known`."""
        return iter(()) if self._evaluator is None else self._evaluator.moves_known(symbol)

    def measured(self, book: MarketBook, symbol: str, now_ms: int) -> Measured:
        """See `Evaluator.measured`; nothing where rules are not evaluated on this book."""
        row, target = book.row(symbol), self._book
        if row is None or target is None or target.book is not book or self._evaluator is None:
            return UNMEASURED
        return self._evaluator.measured(row, now_ms)

    def on_book(self, book: VenueBook) -> None:
        """See `Observer.on_book`."""
        if book is self._book:
            # The exchange goes on in the book it had.
            return
        self._save(self._clock())
        if self._book is not None and self._changes_rules(self._book):
            for signal in self._early:
                self._follow_contract(self._book, signal)
        self._book = book
        self._evaluator = None
        self._missed.clear()
        self._early.clear()
        self.since_ms = 0
        self._news.set()

    def on_instruments(self, book: VenueBook, instruments: Sequence[Instrument]) -> None:
        """See `Observer.on_instruments`."""
        if (evaluator := self._of(book)) is not None:
            evaluator.set_contracts(_on_crypto(instruments))

    def on_tick(self, book: VenueBook, tick: Tick) -> None:
        """See `Observer.on_tick`."""
        evaluator = self._of(book)
        row = book.book.row(tick.symbol)
        if evaluator is None or row is None:
            return
        if row.ticker is tick:
            if self._heard_ms and tick.seen_ms - self._heard_ms > SILENT_MS:
                self._gap_ms = (self._heard_ms, tick.seen_ms)
            self._heard_ms = max(self._heard_ms, tick.seen_ms)
        began_s = self._timer()
        try:
            found = evaluator.on_tick(row, tick)
        except Exception:
            # The market goes on without its rules, never the other way round.
            self._failed()
            return
        self.figures.ticks += 1
        self.figures.seconds += self._timer() - began_s
        if found:
            self._give(book, found)

    def on_signals(self, book: VenueBook, signals: Iterable[Signal]) -> None:
        """Evaluate signals that were found just now on a book."""
        if book is not self._book:
            return
        evaluator = self._evaluator
        if evaluator is None:
            self._early.extend(signals)
            return
        now_ms = self._clock()
        for signal in signals:
            try:
                found = evaluator.on_signal(signal, book.book.row(signal.symbol))
            except Exception:
                self._failed()
                continue
            late = now_ms - signal.seen_ms > SILENT_MS
            self._give(book, [replace(firing, missed=True) for firing in found] if late else found)
            if self._changes_rules(book):
                self._follow_contract(book, signal)

    def on_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """Learn a contract's past prices, (Unix ms, USDT) in order of time, of which windows know nothing yet."""
        if (evaluator := self._of(book)) is not None:
            evaluator.fill_prices(symbol, prices)

    def on_interest(self, book: VenueBook, symbol: str, values: Sequence[tuple[int, float]]) -> None:
        """Learn a contract's past open interest, (Unix ms, contracts) in order of time."""
        if (evaluator := self._of(book)) is not None:
            evaluator.fill_interest(symbol, values)

    async def run(self) -> None:
        """Begin with each new book, follow changes, and say twice a second that time has passed; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            # A database that hangs holds up what follows it alone.
            tasks.create_task(self._read_all())
            tasks.create_task(self._step_all())

    def step(self, now_ms: int) -> None:
        """Time has passed, to `now_ms` (Unix ms)."""
        book, evaluator = self._book, self._evaluator
        if book is None or evaluator is None:
            return
        try:
            found = evaluator.step(now_ms)
        except Exception:
            self._failed()
            return
        self._give(book, found)
        if self._missed and not 0 <= now_ms - self._missed_ms < GATHER_MS:
            self._tell_missed(book, now_ms)
        # What is still to be told as missed would be forgotten by a restart that goes on from here.
        if not self._missed and not 0 <= now_ms - self._saved_ms < SAVE_EVERY_MS:
            self._save(now_ms)

    def close(self) -> None:
        """The last checkpoint, after `run` was ended; the writer takes it along when it is flushed."""
        if self._book is not None and self._missed:
            self._tell_missed(self._book, self._clock())
        self._save(self._clock(), prices=True)

    async def begin(self, book: VenueBook) -> None:
        """Make the book's evaluator, as it was before a restart, and judge what is there now. Raises DatabaseError."""
        origin, evaluator = book.origin, Evaluator()

        def first(session: Session) -> tuple[tuple[Mapping[str, Any], int] | None, Mapping[str, list[FiredBefore]]]:
            # What changes from here on is read again.
            self._reader.news(session, time.monotonic())
            return load_checkpoint(session, origin), self._gathered(session, demo=origin.demo)

        async with self._reading:
            saved, gathered = await self._database.run(first, readonly=True)
            now_ms = self._clock()
            self.blind_since_ms = 0
            if saved is not None and now_ms - saved[1] <= OLDEST_MS:
                try:
                    evaluator.restore(*saved)
                    self.blind_since_ms = saved[1]
                except ValueError as error:
                    logger.warning("what was known of contracts cannot be used: %s", error)
            rules: dict[str, Rule] = {}
            orphans: list[Pausing] = []
            after = ""
            while True:
                loaded, fired = await self._database.run(
                    lambda session, after=after: self._page(session, after, gathered, demo=origin.demo), readonly=True
                )
                if book is not self._book:
                    return
                evaluator.put(loaded.rules)
                for (rule_id, symbol), event_ms in fired.items():
                    evaluator.fired(rule_id, symbol, event_ms)
                rules.update((rule.id, rule) for rule in loaded.rules)
                orphans += [Pausing(rule_id, version) for rule_id, version in loaded.orphans.items()]
                if not (after := loaded.next):
                    break
                # Other tasks have their turn between two pages.
                await asyncio.sleep(0)
            self._rules = rules
            self._owned.clear()
            for rule in rules.values():
                self._owned[rule.account_id].add(rule.id)
        self._writer.put(orphans)
        for firing in self._writer.waiting_of(origin):
            evaluator.fired(firing.rule.id, firing.symbol, firing.event_ms)
        self._evaluator = evaluator
        self.since_ms = now_ms = self._clock()
        # What is judged now is kept at once: a kill that follows soon goes on from here.
        self._saved_ms = 0
        if self.blind_since_ms:
            self._gap_ms = (self.blind_since_ms, now_ms)
        evaluator.set_contracts(_on_crypto(row.instrument for row in book.book))
        logger.info("%d rules are evaluated on %s", len(rules), book.venue.name)
        for row in book.book:
            # It may have been read before the rules were.
            past = [(each.event_ms, each.contracts) for each in row.open_interest_history]
            self.on_interest(book, row.instrument.symbol, past)
            for tick in values_of(book, row, now_ms):
                self.on_tick(book, tick)
        early, self._early = self._early, []
        self.on_signals(book, early)

    async def follow(self) -> int:
        """Read the accounts anew that changed since the last look; how many. Raises DatabaseError."""
        now_ms = self._clock()

        async with self._reading:
            self._changed |= await self._database.run(
                lambda session: self._reader.news(session, time.monotonic()), readonly=True
            )
            changed = frozenset(self._changed)
            if changed:
                self._replace(
                    changed,
                    await self._database.run(lambda session: rule_store.load(session, now_ms, changed), readonly=True),
                )
                # Had the reading failed, they would still be to be read.
                self._changed -= changed
        return len(changed)

    async def sweep(self) -> str:
        """End the rules whose time is over, have rules and watchlists follow contracts that are gone or renamed,
        and see that all rules are evaluated as they are stored, on what is there.

        Returns what was found. Raises DatabaseError.
        """
        now_ms = self._clock()
        ended = await self._database.run(lambda session: rule_store.expire(session, now_ms))
        if self._evaluator is None or self._book is None:
            return f"{ended} rules ended; none are evaluated yet"
        followed = await self._catch_up(self._book)
        if followed:
            logger.warning("rules or watchlists had not followed %d contracts that are gone or renamed", followed)
        wrong = await self._compare()
        if wrong:
            logger.warning("rules of %d accounts were not evaluated as they are stored", len(wrong))
        seen = self.figures.firings + self.figures.missed
        for row in self._book.book:
            for tick in values_of(self._book, row, now_ms):
                self.on_tick(self._book, tick)
        found = self.figures.firings + self.figures.missed - seen
        return (
            f"{len(self._rules)} rules, {len(wrong)} accounts read anew, {ended} rules ended, {found} found late, "
            f"{followed} contracts caught up with"
        )

    async def _step_all(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.step(self._clock())

    async def _read_all(self) -> None:
        while True:
            self._news.clear()
            pause_s = await self._read()
            try:
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _read(self) -> float:
        """Read what is to be read now; seconds until the next time."""
        book = self._book
        try:
            if book is not None and self._evaluator is None:
                await self.begin(book)
            elif self._evaluator is not None:
                await self.follow()
        except DatabaseError as error:
            if not self._backoff.failures:
                logger.warning("rules wait: %s", error)
            return self._backoff.next_s()
        self._backoff.reset()
        return LOOK_S

    def _gathered(self, session: Session, *, demo: bool) -> Mapping[str, list[FiredBefore]]:
        """What alerts of many firings told of each rule, as far as a cooldown may go on from it."""
        since_ms = self._clock() - MOST_COOLDOWN_S * 1000
        found: dict[str, list[FiredBefore]] = defaultdict(list)
        for before in alerts.gathered_since(session, None, since_ms, demo=demo):
            found[before.rule_id].append(before)
        return found

    def _page(
        self, session: Session, after: str, gathered: Mapping[str, list[FiredBefore]], *, demo: bool
    ) -> tuple[Loaded, dict[tuple[str, str], int]]:
        """Rules of all accounts after the one named, and what they fired last since they were set going."""
        now_ms = self._clock()
        loaded = rule_store.load_page(session, now_ms, after, PAGE)
        rules = {rule.id: rule for rule in loaded.rules}
        told = alerts.fired_since(session, rules.keys(), now_ms - MOST_COOLDOWN_S * 1000, demo=demo)
        told += [before for rule_id in rules for before in gathered.get(rule_id, ())]
        fired: dict[tuple[str, str], int] = {}
        for before in told:
            rule, key = rules[before.rule_id], (before.rule_id, before.symbol)
            if before.version == rule.version and before.event_ms >= rule.since_ms:
                fired[key] = max(before.event_ms, fired.get(key, 0))
        return loaded, fired

    async def _compare(self) -> set[str]:
        """Read those accounts anew whose rules are not evaluated as they are stored; which these were."""
        async with self._reading:
            known = {rule.id: (rule.account_id, *_stamp_of(rule)) for rule in self._rules.values()}
            stored: dict[str, tuple[Any, ...]] = {}
            after = ""
            while page := await self._database.run(
                lambda session, after=after: rule_store.stamps(session, after), readonly=True
            ):
                stored.update((stamp.rule_id, _stored(stamp)) for stamp in page)
                after = page[-1].rule_id
            different = [
                each
                for rule_id in (known.keys() | stored.keys()) - self._left_out
                if known.get(rule_id) != stored.get(rule_id)
                for each in (known.get(rule_id), stored.get(rule_id))
            ]
            wrong = {each[0] for each in different if each is not None}
            if wrong:
                now_ms = self._clock()
                loaded = await self._database.run(
                    lambda session: rule_store.load(session, now_ms, wrong), readonly=True
                )
                self._replace(wrong, loaded)
            self._left_out = stored.keys() - self._rules.keys()
            return wrong

    def _replace(self, accounts: Collection[str], loaded: Loaded) -> None:
        """Evaluate what was loaded of some accounts in place of what is evaluated of them."""
        evaluator = self._evaluator
        if evaluator is None:
            # Whoever begins reads them.
            return
        now_ms = self._clock()
        fresh = {rule.id: rule for rule in loaded.rules}
        gone = [rule_id for account in accounts for rule_id in self._owned[account] if rule_id not in fresh]
        changed = [rule for rule in loaded.rules if self._rules.get(rule.id) != rule]
        for rule_id in (*gone, *(rule.id for rule in changed)):
            if self.witness is not None and (former := self._rules.get(rule_id)) is not None:
                self.witness.on_rule_ends(former, now_ms)
        evaluator.remove(gone)
        evaluator.put(changed)
        for rule_id in gone:
            self._owned[self._rules.pop(rule_id).account_id].discard(rule_id)
        for rule in changed:
            self._rules[rule.id] = rule
            self._owned[rule.account_id].add(rule.id)
            if self.witness is not None:
                self.witness.on_rule_begins(rule)
        self._writer.put(Pausing(rule_id, version) for rule_id, version in loaded.orphans.items())

    def _changes_rules(self, book: VenueBook) -> bool:
        """Whether what leaves this book, or gets another name in it, does so for the rules that name it."""
        return not book.demo and book.venue.id == self._preferred

    def _follow_contract(self, book: VenueBook, signal: Signal) -> None:
        if signal.kind == "DELISTED":
            self._writer.put([_delisting(book, signal.symbol)])
        elif former := former_symbol(signal):
            self._writer.put([Renaming(former, signal.symbol, book.venue.id), ListRenaming(former, signal.symbol)])

    async def _catch_up(self, book: VenueBook) -> int:
        """Have rules and watchlists follow what the preferred exchange said of contracts, where they have not; how many
        contracts that is. While another one serves they wait for it."""
        traded = [row.instrument.symbol for row in book.book]
        if not traded or not self._changes_rules(book):
            return 0
        found = await self._database.run(
            lambda session: departures.overdue(session, book.venue.id, traded), readonly=True
        )
        if book is not self._book:
            return 0
        for each in found:
            if each.in_rules and each.symbol:
                self._writer.put([Renaming(each.former, each.symbol, book.venue.id, each.said_ms)])
            elif each.in_rules:
                self._writer.put([_delisting(book, each.former, each.said_ms)])
            if each.in_lists:
                self._writer.put([ListRenaming(each.former, each.symbol)])
        return len(found)

    def _give(self, book: VenueBook, found: Sequence[Firing]) -> None:
        if not found:
            return
        now: list[Fired] = []
        for firing in found:
            if firing.missed:
                if not self._missed:
                    self._missed_ms = self._clock()
                self._missed.append(firing)
                self.figures.missed += 1
            else:
                now.append(Fired(book.origin, firing))
                self.figures.firings += 1
        self._writer.put(now)

    def _on_refused(self, firings: Sequence[Firing]) -> None:
        """A rule may be changed after it was read here last: what it fired since leaves no trace."""
        if (evaluator := self._evaluator) is not None:
            for firing in firings:
                evaluator.refused(firing.rule.id, firing.symbol, firing.event_ms)

    def _tell_missed(self, book: VenueBook, now_ms: int) -> None:
        by_account: dict[str, list[Firing]] = defaultdict(list)
        for firing in self._missed:
            by_account[firing.rule.account_id].append(firing)
        self._missed.clear()
        first_ms, until_ms = self._gap_ms if self._gap_ms[1] else (now_ms, now_ms)
        self._writer.put(
            MissedAlerts(book.origin, tuple(firings), first_ms, until_ms) for firings in by_account.values()
        )
        # With it in one transaction, where the writer is free.
        self._save(now_ms)

    def _save(self, now_ms: int, *, prices: bool = False) -> None:
        book, evaluator = self._book, self._evaluator
        self._saved_ms = now_ms
        # Without rules there is nothing to go on with.
        if book is None or evaluator is None or not self._rules:
            return
        values = _slim(evaluator.checkpoint(prices=prices), self._rules.keys())
        self._writer.put([Checkpoint(book.origin, values, now_ms)])

    def _of(self, book: VenueBook) -> Evaluator | None:
        return self._evaluator if book is self._book else None

    def _failed(self) -> None:
        self.figures.failures += 1
        if self.figures.failures % _SAY_AGAIN == 1:
            logger.exception("the evaluation of rules failed, %d times so far", self.figures.failures)


def _delisting(book: VenueBook, symbol: str, said_ms: int | None = None) -> Delisting:
    others = under_other_names(symbol, [row.instrument.symbol for row in book.book])
    return Delisting(symbol, book.venue.id, tuple(other for other in others if other != symbol), said_ms)


def _slim(checkpoint: dict[str, Any], rules: Collection[str]) -> dict[str, Any]:
    """A checkpoint of these rules alone, without what alerts say anyway: what they fired last."""
    under_way: dict[str, dict[str, Any]] = {
        rule_id: {**kept, "fired": {}}
        for rule_id, kept in checkpoint["rules"].items()
        if rule_id in rules and (kept["spent"] or kept["holds"])
    }
    return {**checkpoint, "rules": under_way}


def _on_crypto(instruments: Iterable[Instrument]) -> frozenset[str]:
    return frozenset(each.symbol for each in instruments if each.is_crypto)


def _stamp_of(rule: Rule) -> Iterator[int | None]:
    yield from (rule.version, rule.since_ms, rule.snoozed_until_ms, rule.expires_ms)


def _stored(stamp: Stamp) -> tuple[Any, ...]:
    return (stamp.account_id, stamp.version, stamp.changed_ms, stamp.snoozed_until_ms, stamp.expires_ms)
