"""What an account was told: the newest alerts, and the ledger of every message with each step of its way.

Nothing here asks who may: functions take the id of the account whose rows they read. `Inbox` is what an owner does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from sqlalchemy import ColumnElement, and_, case, exists, func, or_
from sqlalchemy import select as columns_of
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from flashcur.domain.delivery.status import STATUSES
from flashcur.domain.plans import CHANNELS
from flashcur.models import AlertRecord, AlertSettings, Delivery, DeliveryStep, Destination
from flashcur.services.accounts import sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts.dispatch import GATHERED_KINDS
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import outbox, pauses

T = TypeVar("T")

NEWEST = 30
"""Alerts behind the bell."""
PAGE = 25
"""Messages of one page of the ledger."""
MOST_AT_ONCE = 50
"""Messages that are read anew together."""
MOST_TESTS = 20
MOST_STEPS = 60
"""Steps of one delivery that are shown, the newest: more than any that is tried on the schedule has."""
MOST_TOLD = 100
"""Alerts of one summary or digest that are listed."""
TESTS_FOR_MS = 15 * 60_000
"""How long a test message is shown beside its channel."""
_ID = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Way:
    """One delivery, and each step of its way (the last `MOST_STEPS`), the oldest first."""

    delivery: Delivery
    steps: tuple[DeliveryStep, ...]
    destination: Destination | None
    """None where it needs none, or where that was removed."""
    paused_until_ms: int | None = None
    """While it waits because its place asked for it: until when, Unix ms."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the ledger: an alert with where it went, or what belongs to no one alert (a test, a summary).

    A summary or digest is one for all places that what was held is told to at one moment.
    """

    at_ms: int
    """When it was stored, Unix ms."""
    alert: AlertRecord | None
    ways: tuple[Way, ...]
    """In the order in which they were written."""
    gathers: int = 0
    """Of a summary or digest: how many alerts it tells, each once, to however many places."""
    told: tuple[AlertRecord, ...] = ()
    """These, the newest first, `MOST_TOLD` at most."""

    @property
    def key(self) -> str:
        """Names it among an account's messages: `a12` or `d34`."""
        _, is_alert, id_ = self.place
        return f"{'a' if is_alert else 'd'}{id_}"

    @property
    def place(self) -> tuple[int, bool, int]:
        """(Unix ms, whether it is an alert, id): the ledger begins with the largest."""
        if self.alert is not None:
            return self.at_ms, True, _id(self.alert)
        return self.at_ms, False, _id(self.ways[0].delivery)


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which messages are asked for; an empty text asks for all."""

    status: str = ""
    channel: str = ""
    rule_id: str = ""
    alert_id: int = 0
    """The one alert that is asked for; 0 for all."""

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> Self:
        """The filter of an address. What it does not understand counts as not given."""
        status, channel, alert = params.get("status", ""), params.get("channel", ""), params.get("alert", "")
        rule = params.get("rule", "")
        return cls(
            status if status in STATUSES else "",
            channel if channel in CHANNELS else "",
            rule if re.fullmatch("[0-9a-f]{32}", rule) else "",
            int(alert) if _ID.fullmatch(alert) else 0,
        )


@dataclass(frozen=True, slots=True)
class LedgerCursor:
    """Where a page ends: at this message, which is on it."""

    at_ms: int
    alert: bool
    id: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for a text that no page gave."""
        match = re.fullmatch(r"([0-9]{1,15})([ad])([0-9]{1,15})", text)
        return None if match is None else cls(int(match[1]), match[2] == "a", int(match[3]))

    def __str__(self) -> str:
        return f"{self.at_ms}{'a' if self.alert else 'd'}{self.id}"


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A page of the ledger, the newest first."""

    entries: tuple[Entry, ...]
    next: LedgerCursor | None
    """None on the last one."""


def newest(session: Session, account_id: str, limit: int = NEWEST) -> list[Entry]:
    """The newest alerts of an account, the newest first."""
    query = select(AlertRecord).where(AlertRecord.account_id == account_id)
    return _of_alerts(session, session.exec(query.order_by(col(AlertRecord.id).desc()).limit(limit)).all())


def page(
    session: Session, account_id: str, wanted: LedgerFilter, after: LedgerCursor | None = None, limit: int = PAGE
) -> LedgerPage:
    """A page of an account's messages."""
    alerts = _alerts(session, account_id, wanted, after, limit + 1)
    alone: Sequence[Delivery] = ()
    if not (wanted.rule_id or wanted.alert_id):
        alone = _alone(session, account_id, wanted, after, limit + 1)
    found = [*_of_alerts(session, alerts), *_of_deliveries(session, account_id, alone)]
    found.sort(key=lambda entry: entry.place, reverse=True)
    shown = found[:limit]
    return LedgerPage(tuple(shown), LedgerCursor(*shown[-1].place) if len(found) > limit else None)


def entries_of(session: Session, account_id: str, alert_ids: Iterable[int], delivery_ids: Iterable[int]) -> list[Entry]:
    """These messages of an account, the newest first: alerts, those that deliveries tell, and those of no alert."""
    changed = session.exec(
        select(Delivery).where(
            Delivery.account_id == account_id, Delivery.kind != "mail", col(Delivery.id).in_(list(delivery_ids))
        )
    ).all()
    wanted = {*alert_ids, *(each.alert_id for each in changed if each.alert_id is not None)}
    alerts = session.exec(
        select(AlertRecord)
        .where(AlertRecord.account_id == account_id, col(AlertRecord.id).in_(sorted(wanted)[-MOST_AT_ONCE:]))
        .order_by(col(AlertRecord.id).desc())
    ).all()
    alone = sorted((each for each in changed if each.alert_id is None), key=_id, reverse=True)[:MOST_AT_ONCE]
    return [*_of_alerts(session, alerts), *_of_deliveries(session, account_id, alone)]


def tests(session: Session, account_id: str, now_ms: int) -> list[Way]:
    """The test messages of the last minutes, the newest first; one a place."""
    query = (
        select(Delivery)
        .where(Delivery.account_id == account_id, Delivery.kind == "test", Delivery.created_ms > now_ms - TESTS_FOR_MS)
        .order_by(col(Delivery.id).desc())
        .limit(MOST_TESTS)
    )
    last: dict[str | None, Delivery] = {}
    for each in session.exec(query):
        last.setdefault(each.destination_id, each)
    return [way for ways in _ways(session, list(last.values())).values() for way in ways]


def mark_read(session: Session, account_id: str, alert_id: int) -> bool:
    """Note that the owner was shown the alerts up to this one; it never goes back. Returns whether that is news.

    An alert that is not stored yet cannot have been shown.
    """
    last = session.exec(select(func.max(AlertRecord.id)).where(AlertRecord.account_id == account_id)).one() or 0
    row = session.get(AlertSettings, account_id)
    read = min(alert_id, last)
    if read <= (0 if row is None else row.alerts_read):
        return False
    row = row or AlertSettings(account_id=account_id)
    row.alerts_read = read
    session.add(row)
    return True


def acknowledge(session: Session, account_id: str, alert_id: int, now_ms: int) -> int:
    """A tab of the owner has shown the browser notification of an alert: how many deliveries arrived by that."""
    waiting = session.exec(
        select(Delivery)
        .where(
            Delivery.account_id == account_id,
            Delivery.alert_id == alert_id,
            Delivery.channel == "browser",
            Delivery.status == "queued",
        )
        .with_for_update()
    ).all()
    for each in waiting:
        outbox.record(session, each, "delivered", now_ms, "Shown in one of your tabs.")
    return len(waiting)


class Inbox:
    """What an owner does with their alerts. Each raises SignInNeeded when signed out, Throttled after too much, and
    Unavailable while the database is away."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self, caller: Caller, alert_id: int) -> None:
        """The owner has been shown the alerts up to this one."""
        now = self._context.clock()

        def work(session: Session) -> bool:
            sessions.require(session, caller, now, locked=True)
            return mark_read(session, caller.account_id, alert_id)

        await self._context.charge_write(caller)
        await self._context.change(caller.account_id, work)

    async def acknowledge(self, caller: Caller, alert_id: int) -> int:
        """A tab has shown the browser notification of an alert; see the function."""
        now = self._context.clock()

        def work(session: Session) -> int:
            sessions.require(session, caller, now, locked=True)
            return acknowledge(session, caller.account_id, alert_id, to_ms(now))

        await self._context.charge_write(caller)
        return await self._context.run(work)


def _alerts(
    session: Session, account_id: str, wanted: LedgerFilter, after: LedgerCursor | None, limit: int
) -> Sequence[AlertRecord]:
    query = select(AlertRecord).where(AlertRecord.account_id == account_id)
    if wanted.alert_id:
        query = query.where(AlertRecord.id == wanted.alert_id)
    if wanted.rule_id:
        query = query.where(AlertRecord.rule_id == wanted.rule_id)
    if wanted.status or wanted.channel:
        query = query.where(exists().where(and_(col(Delivery.alert_id) == col(AlertRecord.id), *_fitting(wanted))))
    if after is not None:
        query = query.where(_before(col(AlertRecord.stored_ms), col(AlertRecord.id), after, alert=True))
    return session.exec(
        query.order_by(col(AlertRecord.stored_ms).desc(), col(AlertRecord.id).desc()).limit(limit)
    ).all()


def _alone(
    session: Session, account_id: str, wanted: LedgerFilter, after: LedgerCursor | None, limit: int
) -> Sequence[Delivery]:
    """The first delivery of each message that belongs to no one alert, and has one that fits."""
    first = func.min(col(Delivery.id))
    mine = and_(col(Delivery.account_id) == account_id, col(Delivery.alert_id).is_(None), col(Delivery.kind) != "mail")
    # What is gathered for an account is written in one transaction, with one moment for all places.
    together = case((col(Delivery.kind).in_(GATHERED_KINDS), 0), else_=col(Delivery.id))
    heads = columns_of(first.label("id")).where(mine).group_by(col(Delivery.created_ms), col(Delivery.kind), together)
    if fitting := _fitting(wanted):
        heads = heads.having(func.max(case((and_(*fitting), 1), else_=0)) == 1)
    if after is not None:
        heads = heads.where(col(Delivery.created_ms) <= after.at_ms)
        heads = heads.having(_before(col(Delivery.created_ms), first, after, alert=False))
    newest = heads.order_by(col(Delivery.created_ms).desc(), first.desc()).limit(limit).subquery()
    query = select(Delivery).where(col(Delivery.id).in_(select(newest.c.id)))
    return session.exec(query.order_by(col(Delivery.created_ms).desc(), col(Delivery.id).desc())).all()


def _fitting(wanted: LedgerFilter) -> list[ColumnElement[bool]]:
    given = ((col(Delivery.status), wanted.status), (col(Delivery.channel), wanted.channel))
    return [column == value for column, value in given if value]


def _before(at_ms: Any, id_: Any, cursor: LedgerCursor, *, alert: bool) -> ColumnElement[bool]:
    """What stands after the cursor's message in the ledger; of one moment, alerts stand first."""
    if alert == cursor.alert:
        return or_(at_ms < cursor.at_ms, and_(at_ms == cursor.at_ms, id_ < cursor.id))
    return cast("ColumnElement[bool]", at_ms < cursor.at_ms if alert else at_ms <= cursor.at_ms)


def _of_alerts(session: Session, alerts: Sequence[AlertRecord]) -> list[Entry]:
    ids = [_id(each) for each in alerts]
    query = select(Delivery).where(col(Delivery.alert_id).in_(ids), Delivery.kind != "mail").order_by(col(Delivery.id))
    ways = _ways(session, session.exec(query).all() if ids else ())
    return [Entry(each.stored_ms, each, tuple(ways.get(each.id, ()))) for each in alerts]


def _of_deliveries(session: Session, account_id: str, deliveries: Sequence[Delivery]) -> list[Entry]:
    """The messages of no one alert that these are of, each with all its deliveries."""
    found = {_id(each): each for each in deliveries}
    moments = {each.created_ms for each in deliveries if each.kind in GATHERED_KINDS}
    if moments:
        query = select(Delivery).where(
            Delivery.account_id == account_id,
            col(Delivery.created_ms).in_(moments),
            col(Delivery.kind).in_(GATHERED_KINDS),
            col(Delivery.alert_id).is_(None),
        )
        # A digest and a summary may be of one moment, and only one of them asked for.
        asked = {_together(each) for each in deliveries}
        found |= {_id(each): each for each in session.exec(query) if _together(each) in asked}
    groups: dict[_Together, list[Way]] = {}
    in_order = [found[id_] for id_ in sorted(found)]
    for way in (way for ways in _ways(session, in_order).values() for way in ways):
        groups.setdefault(_together(way.delivery), []).append(way)
    gathered = _gathered(session, account_id, groups)
    entries = [
        Entry(ways[0].delivery.created_ms, None, tuple(ways), *gathered.get(group, (0, ())))
        for group, ways in groups.items()
    ]
    return sorted(entries, key=lambda entry: entry.place, reverse=True)


_Together = tuple[int, str, int]
"""What deliveries of one message of no alert have in common."""


def _together(delivery: Delivery) -> _Together:
    return delivery.created_ms, delivery.kind, 0 if delivery.kind in GATHERED_KINDS else _id(delivery)


def _ways(session: Session, deliveries: Sequence[Delivery]) -> dict[int | None, list[Way]]:
    """By alert."""
    ids = [_id(each) for each in deliveries]
    if not ids:
        return {}
    steps: dict[int, list[DeliveryStep]] = {}
    back = func.row_number().over(partition_by=col(DeliveryStep.delivery_id), order_by=col(DeliveryStep.id).desc())
    known = select(DeliveryStep.id, back.label("back")).where(col(DeliveryStep.delivery_id).in_(ids)).subquery()
    last = select(known.c.id).where(known.c.back <= MOST_STEPS)
    for step in session.exec(select(DeliveryStep).where(col(DeliveryStep.id).in_(last)).order_by(col(DeliveryStep.id))):
        steps.setdefault(step.delivery_id, []).append(step)
    places = {each.destination_id for each in deliveries if each.destination_id is not None}
    query = select(Destination).where(col(Destination.id).in_(places))
    destinations = {each.id: each for each in session.exec(query)} if places else {}
    paused = pauses.until_ms(session, deliveries)
    found: dict[int | None, list[Way]] = {}
    for each in deliveries:
        place = destinations.get(each.destination_id or "")
        taken = tuple(steps.get(_id(each), ()))
        way = Way(each, taken, place, paused_until_ms=paused.get(_id(each)))
        found.setdefault(each.alert_id, []).append(way)
    return found


def _gathered(
    session: Session, account_id: str, groups: Mapping[_Together, Sequence[Way]]
) -> dict[_Together, tuple[int, tuple[AlertRecord, ...]]]:
    """Of these summaries and digests, how many alerts each tells, and the newest of them."""
    kept = {group: ways for group, ways in groups.items() if group[1] in GATHERED_KINDS}
    ids = {_id(way.delivery) for ways in kept.values() for way in ways}
    if not ids:
        return {}
    told_by = aliased(Delivery)
    merged = (
        columns_of(col(told_by.created_ms), col(told_by.kind), col(Delivery.alert_id), func.count().label("deliveries"))
        .join(told_by, col(told_by.id) == col(Delivery.merged_into))
        # What is gathered was written before it.
        .where(col(Delivery.account_id) == account_id, col(Delivery.id) < max(ids), col(told_by.id).in_(ids))
    )
    # An alert that went to several places counts once.
    each_once = (
        merged.where(col(Delivery.alert_id).is_not(None))
        .group_by(col(told_by.created_ms), col(told_by.kind), col(Delivery.alert_id))
        .subquery()
    )
    group = (each_once.c.created_ms, each_once.c.kind)
    count = func.count().over(partition_by=group)
    back = func.row_number().over(partition_by=group, order_by=each_once.c.alert_id.desc())
    ranked = columns_of(*group, each_once.c.alert_id, count.label("count"), back.label("back")).subquery()
    query = (
        columns_of(ranked.c.created_ms, ranked.c.kind, ranked.c["count"], AlertRecord)
        .join(AlertRecord, col(AlertRecord.id) == ranked.c.alert_id)
        .where(ranked.c.back <= MOST_TOLD)
        .order_by(col(AlertRecord.id).desc())
    )
    numbers: dict[_Together, int] = {}
    told: dict[_Together, list[AlertRecord]] = {}
    for created_ms, kind, number, alert in cast("Any", session).exec(query):
        numbers[created_ms, kind, 0] = number
        told.setdefault((created_ms, kind, 0), []).append(alert)
    gone = _told_and_gone(session, account_id, ids)
    found: dict[_Together, tuple[int, tuple[AlertRecord, ...]]] = {}
    for each, ways in kept.items():
        # Which of them went to several places is known no longer: at least as many as one place was told of.
        places: dict[tuple[str, str | None], int] = {}
        for way in ways:
            place = way.delivery.channel, way.delivery.destination_id
            places[place] = places.get(place, 0) + gone.get(_id(way.delivery), 0)
        found[each] = numbers.get(each, 0) + max(places.values()), tuple(told.get(each, ()))
    return found


def _told_and_gone(session: Session, account_id: str, ids: Collection[int]) -> dict[int, int]:
    """By summary or digest, how many of what it told were deleted meanwhile."""
    into = col(Delivery.merged_into)
    query = columns_of(into, func.count()).where(
        col(Delivery.account_id) == account_id,
        col(Delivery.id) < max(ids),
        into.in_(ids),
        col(Delivery.alert_id).is_(None),
    )
    return dict(cast("Any", session).exec(query.group_by(into)).all())


def _id(row: AlertRecord | Delivery) -> int:
    return cast("int", row.id)
