"""Alerts on their way into the database: in order, at once, and for as long as it takes.

What rules found waits here until it is committed; while the database is away it keeps its true times, and where that
lasts, one alert of each account says what came late instead of a storm. Where more comes at once than can be written
down one by one, one alert of each account tells it, too: nothing is left out, and of each rule and contract no more
than one firing waits. A checkpoint waits behind what was found before it, so that what a restart goes on from is never
ahead of the alerts that are stored.

In the transaction each rule is locked and looked at again: one that was changed, paused, or has fired within its
cooldown gives nothing, so that two engines that overlap tell nothing twice. What is refused since its rule is no longer
what it was, or is snoozed, is said to `on_refused`. So is what the database cannot store, which holds up nothing else;
a database that is away, or is of another version, is waited for. Nothing is written once the lease is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from flashcur.domain.rules.condition import Fault
from flashcur.domain.rules.firing import Firing
from flashcur.domain.rules.renaming import renamed
from flashcur.domain.rules.rule import MOST_COOLDOWN_S, Definition, Scope
from flashcur.domain.signals.signal import Origin
from flashcur.engine.publisher import Publisher
from flashcur.engine.write_errors import must_wait
from flashcur.errors import DatabaseError
from flashcur.models import Account, AlertRecord, RuleRecord
from flashcur.services.accounts import watchlists
from flashcur.services.alerts import alerts, findings, rule_store
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.alerts.checkpoints import save_checkpoint
from flashcur.services.alerts.contract_notices import Left, delisted_notice, renamed_notice
from flashcur.services.alerts.findings import Series
from flashcur.services.bus.topics import ALERTS_TOPIC
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.time_zones import zone_of
from flashcur.services.lease import LeaseLost, Tenure
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

MANY = 10_000
"""Firings that wait one by one, some 15 s of writing; further ones are gathered by account."""
FEW = 3
"""So many of an account are never told as one, unless the database was away: a place gets as many messages a minute."""
BATCH = 200
"""Firings of one transaction."""
LATE_MS = 120_000
"""What waited longer than this to be written down is told in one alert an account."""
SLOW_MS = 10_000
"""A database that takes longer than this for one transaction was away."""

_NAMED = 100
"""So many alerts that are lost are named in the log; then one of each further thousand."""
_GATHERED_AS_ONE = 10
"""Gathered firings are as much work as one that is told by itself."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired on the market of `origin`."""

    origin: Origin
    firing: Firing


@dataclass(frozen=True, slots=True)
class MissedAlerts:
    """What one account's rules would have told, had anybody watched from one moment to another (Unix ms)."""

    origin: Origin
    firings: tuple[Firing, ...]
    first_ms: int
    until_ms: int


@dataclass(slots=True)
class Gathered:
    """What one account's rules fired, and is told in one alert."""

    origin: Origin
    account_id: str
    series: dict[tuple[str, int, int, str], Series] = field(default_factory=dict[tuple[str, int, int, str], Series])
    """By rule, its version, since when it has been going, and contract."""
    seen_ms: int = 0
    """When the first of these was known, Unix ms."""
    away: bool = False
    """Whether they waited for a database that was away."""

    def add(self, firing: Firing) -> None:
        """Take one in, unless it is told already or is within the cooldown."""
        rule = firing.rule
        self.seen_ms = min(self.seen_ms or firing.seen_ms, firing.seen_ms)
        key = (rule.id, rule.version, rule.since_ms, firing.symbol)
        if (known := self.series.get(key)) is None:
            self.series[key] = Series.of(firing)
        elif rule.definition.mode != "once" and firing.event_ms - known.last_ms >= rule.definition.cooldown_s * 1000:
            known.again += 1
            known.last_ms = firing.event_ms

    def merge(self, other: Gathered) -> None:
        """Take in all that came after these."""
        self.seen_ms = min(self.seen_ms, other.seen_ms)
        self.away = self.away or other.away
        for key, series in other.series.items():
            self.add(series.firing)
            mine = self.series[key]
            if series.last_ms > mine.last_ms:
                mine.again += series.again
                mine.last_ms = series.last_ms

    def __len__(self) -> int:
        return sum(1 + each.again for each in self.series.values())

    @property
    def is_few(self) -> bool:
        """Whether these are rather told one by one."""
        return len(self) <= FEW and len(self.series) == len(self) and not self.away

    def singly(self) -> list[Fired]:
        """The same one by one; but for what came again."""
        return [Fired(self.origin, each.firing) for each in self.series.values()]


@dataclass(frozen=True, slots=True)
class Pausing:
    """A rule that cannot go on: its watchlist is gone."""

    rule_id: str
    version: int
    """Of another version it is another rule."""


@dataclass(frozen=True, slots=True)
class Delisting:
    """A contract that is traded no more: the rules that name it rest, those that are paused, too."""

    former: str
    """Its name."""
    exchange: str
    others: tuple[str, ...] = ()
    """Contracts on the same coin that are traded."""
    said_ms: int | None = None
    """When it was said, Unix ms: one that rests and was changed since is its owner's. None: now."""
    after: str = ""
    """Those of accounts up to this one rest."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """A contract that has another name now: the rules that name it follow, those that are paused, too."""

    former: str
    symbol: str
    """The name before, and the name now."""
    exchange: str
    said_ms: int | None = None
    """As of a delisting."""
    after: str = ""
    """Those of accounts up to this one have followed."""


@dataclass(frozen=True, slots=True)
class ListRenaming:
    """A contract that has another name now: the watchlists that hold it follow."""

    former: str
    symbol: str
    """The name before, and the name now."""
    after: str = ""
    """Those of accounts up to this one have followed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a restart goes on from."""

    origin: Origin
    values: Mapping[str, Any]
    as_of_ms: int
    """Unix ms."""


Leaving = Delisting | Renaming
"""What becomes of a contract's name, for as many rules as name it."""
Writable = Fired | Gathered | MissedAlerts | Pausing | Leaving | ListRenaming | Checkpoint


class AlertWriter:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        database: Database,
        tenure: Tenure,
        bus: Publisher,
        deliver: Deliver,
        *,
        clock: Callable[[], int],
        observe: Callable[[float], None],
    ) -> None:
        """`deliver` writes down where an alert goes; `clock` is Unix ms; `observe` gets the seconds from the message
        that fired a rule to its alert's committed row."""
        self._database = database
        self._tenure = tenure
        self._bus = bus
        self._deliver = deliver
        self._clock = clock
        self._observe = observe
        self._queue: deque[Writable] = deque()
        self._writing: list[Writable] = []
        self._singles = 0
        """Firings in the queue that are told one by one."""
        self._gathered: dict[tuple[Origin, str], Gathered] = {}
        """Those in the queue that take in what follows, by account."""
        self._away_ms = (0, 0)
        """The last time in which the database was away, Unix ms."""
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._last_ids: dict[str, int] = {}
        """Largest id of an account's alerts that was not said on the bus yet."""
        self._last_id = 0
        self.on_refused: Callable[[Sequence[Firing]], None] | None = None
        """Is told of firings that gave nothing: their rules are snoozed or no longer what they were, or they cannot be
        stored."""
        self.is_held_up = False
        """Whether the database did not take what was tried last."""
        self.stored = 0
        """Alerts written; those that were there already are not counted."""
        self.dropped = 0
        """Firings that the database refuses."""

    @property
    def waiting(self) -> int:
        """What is not committed yet, but for checkpoints."""
        waiting = (each for each in (*self._writing, *self._queue) if not isinstance(each, Checkpoint))
        return sum(len(each) if isinstance(each, Gathered) else 1 for each in waiting)

    @property
    def unwritten(self) -> bool:
        """Whether anything at all is not committed yet."""
        return bool(self._writing or self._queue)

    def waiting_of(self, origin: Origin) -> list[Firing]:
        """The firings of `origin` that are not committed yet; of what came again the last."""
        waiting = (*self._writing, *self._queue)
        told = (each for each in waiting if isinstance(each, Fired | Gathered | MissedAlerts) and each.origin == origin)
        return [firing for each in told for firing in _marks_of(each)]

    def put(self, found: Iterable[Writable]) -> None:
        """Write these soon, in their order. A checkpoint takes the place of one of the same exchange that still waits.

        Where `MANY` firings wait, further ones are gathered by account.
        """
        for each in found:
            if isinstance(each, Checkpoint):
                outdated = [old for old in self._queue if isinstance(old, Checkpoint) and old.origin == each.origin]
                for old in outdated:
                    self._queue.remove(old)
            if isinstance(each, Fired):
                key = (each.origin, each.firing.rule.account_id)
                if (gathered := self._gathered.get(key)) is None and self._singles >= MANY:
                    gathered = self._gathered[key] = Gathered(*key)
                    self._queue.append(gathered)
                if gathered is not None:
                    gathered.add(each.firing)
                    continue
                self._singles += 1
            self._queue.append(each)
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled, or until the lease is lost."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            try:
                await self._write_all()
            finally:
                telling.cancel()

    async def flush(self) -> None:
        """Write what waits, after `run` was ended, where the database takes it."""
        try:
            while self._queue:
                await self._write_batch()
        except (DatabaseError, ProgrammingError, LeaseLost) as error:
            logger.warning("%d alerts are left unwritten: %s", self.waiting, error)
        if self._told.is_set():
            await self._publish()

    async def _write_all(self) -> None:
        backoff = Backoff(first_s=0.2, cap_s=3.0)
        while True:
            if not self._queue:
                self._news.clear()
                await self._news.wait()
            try:
                await self._write_batch()
            except LeaseLost:
                return
            except (DatabaseError, ProgrammingError) as error:
                if not backoff.failures:
                    logger.warning("alerts wait: %s", error)
                self._note_away(self._clock(), self._clock())
                self.is_held_up = True
                await asyncio.sleep(backoff.next_s())
            else:
                if self.is_held_up:
                    logger.info("alerts are written again")
                self.is_held_up = False
                backoff.reset()

    async def _write_batch(self) -> None:
        """The oldest that wait, in one transaction; one by one where the database refuses something of it.

        Raises what `must_wait` is of; all that was not written waits on then.
        """
        began_ms = self._clock()
        self._writing = self._next_batch(began_ms)
        try:
            await self._commit(self._writing)
            self._writing = []
        except Exception as error:
            if must_wait(error):
                raise
            await self._write_singly()
        finally:
            if self.is_held_up or self._clock() - began_ms > SLOW_MS:
                self._note_away(began_ms, self._clock())
            self._put_back(self._writing)
            self._writing = []

    def _next_batch(self, now_ms: int) -> list[Writable]:
        """What is to be written next: the oldest; but where these are late, all that waits is gathered first."""
        first = next((each for each in self._queue if isinstance(each, Fired)), None)
        if first is not None and now_ms - first.firing.seen_ms > LATE_MS:
            self._gather_all()
        batch: list[Writable] = []
        work = 0
        while self._queue and work < BATCH:
            if batch and isinstance(self._queue[0], ListRenaming):
                # It locks other accounts than those of rules, and all of one transaction are locked in one order.
                break
            each = self._queue.popleft()
            work += 1
            if isinstance(each, Gathered):
                if self._gathered.get((each.origin, each.account_id)) is each:
                    del self._gathered[each.origin, each.account_id]
                each.away = each.away or self._was_away(each.seen_ms, now_ms)
                if each.is_few:
                    work += len(each) - 1
                    batch += each.singly()
                    continue
                work += len(each.series) // _GATHERED_AS_ONE
            elif isinstance(each, Fired):
                self._singles -= 1
            elif isinstance(each, Leaving | ListRenaming):
                # It may be a whole transaction's work, and goes on before anything that follows it.
                work += BATCH
            batch.append(each)
        return batch

    def _gather_all(self) -> None:
        """Each account's firings as one, before all else."""
        gathered: dict[tuple[Origin, str], Gathered] = {}
        complete: list[Gathered] = []
        rest: list[Writable] = []
        for each in self._queue:
            if isinstance(each, Fired):
                key = (each.origin, each.firing.rule.account_id)
                if key not in gathered:
                    gathered[key] = Gathered(*key)
                gathered[key].add(each.firing)
            elif isinstance(each, Gathered):
                complete.append(each)
            else:
                rest.append(each)
        for each in complete:
            mine = gathered.setdefault((each.origin, each.account_id), each)
            if mine is not each:
                mine.merge(each)
        self._gathered = gathered
        self._singles = 0
        self._queue = deque([*gathered.values(), *rest])

    def _put_back(self, unwritten: Sequence[Writable]) -> None:
        for each in reversed(unwritten):
            if isinstance(each, Gathered):
                each.away = each.away or self._was_away(each.seen_ms, self._clock())
            elif isinstance(each, Fired):
                self._singles += 1
            self._queue.appendleft(each)

    def _note_away(self, since_ms: int, until_ms: int) -> None:
        first_ms, last_ms = self._away_ms
        # Between two times that are so close it was hardly there.
        goes_on = self.is_held_up or since_ms - last_ms <= SLOW_MS
        self._away_ms = (first_ms if goes_on else since_ms, until_ms)

    def _was_away(self, since_ms: int, now_ms: int) -> bool:
        """Whether the database was away for most of a time, Unix ms."""
        first_ms, last_ms = self._away_ms
        away_ms = min(last_ms, now_ms) - max(first_ms, since_ms)
        return away_ms > 0 and 2 * away_ms >= now_ms - since_ms

    async def _write_singly(self) -> None:
        while self._writing:
            try:
                await self._commit(self._writing[:1])
            except Exception as error:
                if must_wait(error):
                    raise
                # What cannot be stored must not hold up what follows it, nor what it was gathered with.
                if parts := _halves(self._writing[0]):
                    self._writing[:1] = parts
                    continue
                self._drop(self._writing[0], error)
            del self._writing[0]

    async def _commit(self, batch: Sequence[Writable]) -> None:
        def work(session: Session) -> _Written:
            self._tenure.require()
            written = _write(session, batch, self._deliver, self._clock())
            self._tenure.require()
            return written

        written = await self._database.run(work)
        self._queue.extendleft(reversed(written.left))
        if written.refused and self.on_refused is not None:
            self.on_refused(written.refused)
        now_ms = self._clock()
        self.stored += len(written.new)
        for alert in written.new:
            if alert.kind == "rule":
                self._observe(max(0.0, (now_ms - alert.seen_ms) / 1000))
            self._last_id = max(self._last_id, alert.id or 0)
            self._last_ids[alert.account_id] = max(self._last_ids.get(alert.account_id, 0), alert.id or 0)
        if written.new:
            self._told.set()

    async def _tell(self) -> None:
        # A bus that is away holds up nothing but itself.
        while True:
            await self._told.wait()
            self._told.clear()
            await self._publish()

    async def _publish(self) -> None:
        accounts, self._last_ids = self._last_ids, {}
        await self._bus.publish(ALERTS_TOPIC, self._last_id, orjson.dumps({"accounts": accounts}))

    def _drop(self, lost: Writable, error: Exception) -> None:
        """Give up what cannot be stored, and say which it is."""
        # Of a statement only the first line: what follows holds its values.
        why = str(getattr(error, "orig", None) or error).split("\n")[0]
        if isinstance(lost, Fired | Gathered | MissedAlerts):
            self.dropped += 1
            firings = _marks_of(lost)
            # A defect that has all of them refused must not fill the disk.
            if self.dropped <= _NAMED or self.dropped % 1_000 == 0:
                keys = [findings.firing_key(firing, demo=lost.origin.demo) for firing in firings]
                names = [
                    f"{key!r} of rule {each.rule.id} on {each.symbol!r}"
                    for key, each in zip(keys, firings, strict=True)
                ]
                logger.error(
                    "the database refuses %s, the alert is lost (%d so far): %s", ", ".join(names), self.dropped, why
                )
            if self.on_refused is not None:
                self.on_refused(firings)
        elif not isinstance(lost, Checkpoint):
            # It comes again, as a checkpoint does: rules and lists on what is gone are looked for.
            logger.error("the database refuses %s: %s", lost, why)


def _halves(each: Writable) -> Sequence[Writable]:
    """What is told in one alert, in two, so that one firing that is refused parts few of the others from each other;
    nothing where it is one."""
    if isinstance(each, Gathered) and len(each.series) > 1:
        series = list(each.series.items())
        middle = len(series) // 2
        halves = [replace(each, series=dict(half)) for half in (series[:middle], series[middle:])]
        return [part for half in halves for part in (half.singly() if half.is_few else [half])]
    if isinstance(each, MissedAlerts) and len(each.firings) > 1:
        middle = len(each.firings) // 2
        return [replace(each, firings=half) for half in (each.firings[:middle], each.firings[middle:])]
    return ()


@dataclass(frozen=True, slots=True)
class _Written:
    """What a batch came to."""

    new: Sequence[AlertRecord]
    """Alerts that were not there already."""
    left: Sequence[Leaving | ListRenaming]
    """Names of which rules, or lists, are left."""
    refused: Sequence[Firing]
    """See `AlertWriter.on_refused`."""


def _write(session: Session, batch: Sequence[Writable], deliver: Deliver, now_ms: int) -> _Written:
    """Write a batch down, in one transaction."""
    leaving = [each for each in batch if isinstance(each, Leaving)]
    naming = {each: rule_store.naming(session, each.former, after=each.after, limit=BATCH) for each in leaving}
    rules = rule_store.lock(session, _rule_ids(batch).union(*(page.rule_ids for page in naming.values())))
    found: list[AlertRecord] = []
    refused: list[Firing] = []
    tells: dict[str, Sequence[Series]] = {}
    """Key of an alert to what it tells."""
    for demo in (False, True):
        firings = [
            each for each in batch if isinstance(each, Fired | Gathered | MissedAlerts) and each.origin.demo is demo
        ]
        judge = _Judge(session, rules, firings, demo=demo)
        for each in firings:
            if isinstance(each, Fired):
                told = [Series.of(each.firing)] if judge.admits(each.firing) else []
            elif isinstance(each, Gathered):
                told = [left for series in each.series.values() if (left := judge.left_of(series)) is not None]
            else:
                told = [Series.of(firing) for firing in each.firings if judge.admits_missed(firing, each.first_ms)]
            if told:
                found.append(_alert(session, each, told, now_ms))
                tells[found[-1].key] = told
        refused += judge.refused
    for each in batch:
        if isinstance(each, Pausing):
            if (notice := _pause(session, each, rules, now_ms)) is not None:
                found.append(notice)
        elif isinstance(each, Leaving):
            mine = [rules[rule_id] for rule_id in naming[each].rule_ids if rule_id in rules]
            found += _leave(session, each, mine, now_ms)
    new = alerts.store(session, found, deliver, now_ms)
    for alert in new:
        # What demo data says changes no rule.
        for series in () if alert.demo else tells.get(alert.key, ()):
            rule = rules[series.firing.rule.id]
            once = series.firing.rule.definition.mode == "once" and rule.status == "active"
            rule_store.note_fired(session, rule, series.last_ms, now_ms, once=once, times=1 + series.again)
    for each in batch:
        if isinstance(each, Checkpoint):
            save_checkpoint(session, each.origin, each.values, each.as_of_ms)
    remaining: list[Leaving | ListRenaming] = [
        replace(each, after=page.next) for each, page in naming.items() if page.next
    ]
    for each in batch:
        if isinstance(each, ListRenaming):
            now = from_ms(now_ms)
            following = watchlists.follow(session, each.former, each.symbol, now, after=each.after, limit=BATCH)
            remaining += [replace(each, after=following)] if following else []
    return _Written(new, remaining, refused)


def _alert(session: Session, each: Fired | Gathered | MissedAlerts, told: Sequence[Series], now_ms: int) -> AlertRecord:
    if isinstance(each, Fired):
        return findings.alert_of(each.firing, each.origin)
    account = session.get(Account, told[0].firing.rule.account_id)
    zone = zone_of("UTC" if account is None else account.time_zone)
    if isinstance(each, Gathered):
        return findings.gathered_of(told, each.origin, zone=zone, written_ms=now_ms if each.away else None)
    firings = [series.firing for series in told]
    return findings.missed_of(firings, each.origin, each.first_ms, each.until_ms, zone=zone)


def _firings_of(each: Writable) -> Sequence[Firing]:
    if isinstance(each, Fired):
        return (each.firing,)
    if isinstance(each, Gathered):
        return [series.firing for series in each.series.values()]
    return each.firings if isinstance(each, MissedAlerts) else ()


def _marks_of(each: Fired | Gathered | MissedAlerts) -> Sequence[Firing]:
    """The firings that the evaluation goes by; of what came again the last."""
    if isinstance(each, Gathered):
        return [replace(series.firing, event_ms=series.last_ms) for series in each.series.values()]
    return _firings_of(each)


def _rule_ids(batch: Iterable[Writable]) -> set[str]:
    ids: set[str] = set()
    for each in batch:
        ids |= {firing.rule.id for firing in _firings_of(each)}
        if isinstance(each, Pausing):
            ids.add(each.rule_id)
    return ids


class _Judge:
    """Looks again at what was found, by what the locked rules and the stored alerts say."""

    def __init__(
        self,
        session: Session,
        rules: Mapping[str, RuleRecord],
        batch: Collection[Fired | Gathered | MissedAlerts],
        *,
        demo: bool,
    ) -> None:
        self._rules = rules
        self.refused: list[Firing] = []
        """What was looked at of rules that are snoozed, or are no longer what they were."""
        self._fired: dict[tuple[str, str], list[int]] = defaultdict(list)
        """Rule and symbol, and rule and nothing, to when it fired since it was set going, the exchange's time."""
        self._missed: dict[str, set[tuple[str, str]]] = {}
        """Account to the rules and symbols that it was told it missed."""
        firings = [firing for each in batch for firing in _firings_of(each)]
        if not firings:
            return
        # Of a rule that fires once the database says whether it has, but for demo data.
        longest_s = max(
            MOST_COOLDOWN_S if demo and firing.rule.definition.mode == "once" else firing.rule.definition.cooldown_s
            for firing in firings
        )
        since_ms = min(firing.event_ms for firing in firings) - longest_s * 1000
        for before in alerts.fired_since(session, {each.rule.id for each in firings}, since_ms, demo=demo):
            self._note(before.rule_id, before.symbol, before.event_ms, before.version)
        accounts = {each.account_id for each in batch if isinstance(each, Gathered)}
        for before in alerts.gathered_since(session, accounts, since_ms, demo=demo):
            self._note(before.rule_id, before.symbol, before.event_ms, before.version)
        outages = [each for each in batch if isinstance(each, MissedAlerts)]
        if outages:
            owners = {firing.rule.account_id for each in outages for firing in each.firings}
            first_ms = min(each.first_ms for each in outages)
            self._missed = alerts.told_as_missed(session, owners, first_ms, demo=demo)

    def admits(self, firing: Firing) -> bool:
        """Whether a firing is to be told: by a rule as it is now, once, and not within its cooldown."""
        rule = self._current(firing)
        if rule is None:
            return False
        once = firing.rule.definition.mode == "once"
        cooldown_ms = firing.rule.definition.cooldown_s * 1000
        for event_ms in self._fired.get((rule.id, "" if once else firing.symbol), ()):
            if once or abs(firing.event_ms - event_ms) < cooldown_ms:
                return False
        self._note(rule.id, firing.symbol, firing.event_ms, rule.version)
        return True

    def left_of(self, series: Series) -> Series | None:
        """What of a series is to be told: without its first where that was told, which may be all there is."""
        if self.admits(series.firing):
            if series.again:
                self._note(series.firing.rule.id, series.firing.symbol, series.last_ms, series.firing.rule.version)
            return series
        last = replace(series.firing, event_ms=series.last_ms)
        return Series(last, series.again - 1, series.last_ms) if series.again and self.admits(last) else None

    def admits_missed(self, firing: Firing, first_ms: int) -> bool:
        """Whether it is to be told that a rule would have fired while nothing was seen, since `first_ms` (Unix ms)."""
        rule = self._current(firing)
        if rule is None:
            return False
        if any(event_ms >= first_ms for event_ms in self._fired.get((rule.id, firing.symbol), ())):
            return False
        told = self._missed.setdefault(rule.account_id, set())
        if (rule.id, firing.symbol) in told:
            return False
        told.add((rule.id, firing.symbol))
        return True

    def _note(self, rule_id: str, symbol: str, event_ms: int, version: int) -> None:
        rule = self._rules.get(rule_id)
        # What is of before it was set going is no part of this.
        if rule is not None and version == rule.version and event_ms >= rule.changed_ms:
            for key in ((rule_id, symbol), (rule_id, "")):
                self._fired[key].append(event_ms)

    def _current(self, firing: Firing) -> RuleRecord | None:
        """The rule of a firing, if it may tell it; otherwise the firing is refused."""
        rule = self._rules.get(firing.rule.id)
        if rule is not None and rule.status == "active" and rule.version == firing.rule.version:
            snoozed = rule.snoozed_until_ms is not None and firing.seen_ms < rule.snoozed_until_ms
            if not snoozed:
                return rule
        self.refused.append(firing)
        return None


def _pause(session: Session, pausing: Pausing, rules: Mapping[str, RuleRecord], now_ms: int) -> AlertRecord | None:
    """Pause a rule that cannot go on; the notice that says so."""
    rule = rules.get(pausing.rule_id)
    if rule is None or rule.version != pausing.version or rule.status != "active":
        return None
    if not rule_store.watchlist_is_gone(session, rule):
        return None
    notice = findings.watchlist_notice(rule, now_ms)
    rule_store.pause(session, rule, "watchlist", now_ms)
    return notice


def _leave(session: Session, leaving: Leaving, rules: Iterable[RuleRecord], now_ms: int) -> list[AlertRecord]:
    """Have rules follow their contract to another name, or rest where they cannot; the notices that say so, of each
    account one for those that follow and one for those that rest."""
    found = [left for rule in rules if (left := _left(leaving, rule)) is not None]
    # First those that wait for room: they must not get that of the others.
    found.sort(key=lambda left: left.rule.why != "plan")
    told: dict[tuple[str, bool], list[Left]] = defaultdict(list)
    for left in found:
        told[left.rule.account_id, left.after is None].append(left)
    notices: list[AlertRecord] = []
    for (_, rests), mine in told.items():
        if rests:
            others = leaving.others if isinstance(leaving, Delisting) else (leaving.symbol,)
            notices.append(delisted_notice(mine, leaving.former, leaving.exchange, others, now_ms))
        elif isinstance(leaving, Renaming):
            notices.append(renamed_notice(mine, leaving.former, leaving.symbol, leaving.exchange, now_ms))
    # They say what was before.
    for left in found:
        if left.after is None:
            rule_store.rest(session, left.rule, "delisted", now_ms)
        else:
            rule_store.rewrite(session, left.rule, left.after, now_ms)
    return notices


def _left(leaving: Leaving, rule: RuleRecord) -> Left | None:
    """What becomes of a rule; None where it stays as it is."""
    try:
        before = Definition.from_json(rule.definition)
    except Fault:
        # Of another version, whose engine may be about to come.
        return None
    if before.scope != Scope("symbol", leaving.former) or not rule_store.can_follow(rule):
        return None
    if leaving.said_ms is not None and rule.status != "active" and rule.changed_ms > leaving.said_ms:
        return None
    try:
        after = renamed(before, leaving.symbol) if isinstance(leaving, Renaming) else None
    except Fault:
        after = None
    return Left(rule, before, after)
