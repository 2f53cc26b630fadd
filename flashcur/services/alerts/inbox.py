"""What an account was told: the newest alerts, and the ledger of every message with each step of its way.

Nothing here asks who may: functions take the id of the account whose rows they read. `Inbox` is what an owner does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from sqlalchemy import ColumnElement, and_, exists, func, or_
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from flashcur.domain.delivery.status import STATUSES
from flashcur.domain.plans import CHANNELS
from flashcur.models import AlertRecord, AlertSettings, Delivery, DeliveryStep, Destination
from flashcur.services.accounts import sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.sessions import Caller
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
    gathers: int = 0
    """Of a summary or digest: how many messages it tells."""
    told: tuple[AlertRecord, ...] = ()
    """The alerts of these, the newest first, `MOST_TOLD` at most."""
    paused_until_ms: int | None = None
    """While it waits because its place asked for it: until when, Unix ms."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the ledger: an alert with where it went, or what belongs to no one alert (a test, a summary)."""

    at_ms: int
    """When it was stored, Unix ms."""
    alert: AlertRecord | None
    ways: tuple[Way, ...]

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
    found = [*_of_alerts(session, alerts), *_of_deliveries(session, alone)]
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
    return [*_of_alerts(session, alerts), *_of_deliveries(session, alone)]


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
    query = select(Delivery).where(
        Delivery.account_id == account_id, col(Delivery.alert_id).is_(None), Delivery.kind != "mail", *_fitting(wanted)
    )
    if after is not None:
        query = query.where(_before(col(Delivery.created_ms), col(Delivery.id), after, alert=False))
    return session.exec(query.order_by(col(Delivery.created_ms).desc(), col(Delivery.id).desc()).limit(limit)).all()


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


def _of_deliveries(session: Session, deliveries: Sequence[Delivery]) -> list[Entry]:
    ways = {_id(way.delivery): way for found in _ways(session, deliveries).values() for way in found}
    return [Entry(each.created_ms, None, (ways[_id(each)],)) for each in deliveries]


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
    gathering = [_id(each) for each in deliveries if each.kind in ("summary", "digest")]
    gathered = _gathered(session, deliveries[0].account_id or "", gathering) if gathering else {}
    found: dict[int | None, list[Way]] = {}
    for each in deliveries:
        place = destinations.get(each.destination_id or "")
        taken = tuple(steps.get(_id(each), ()))
        told = gathered.get(_id(each), (0, ()))
        way = Way(each, taken, place, *told, paused_until_ms=paused.get(_id(each)))
        found.setdefault(each.alert_id, []).append(way)
    return found


def _gathered(session: Session, account_id: str, ids: Sequence[int]) -> dict[int, tuple[int, tuple[AlertRecord, ...]]]:
    """Of these summaries and digests, how many messages each tells, and the newest alerts of them."""
    into, alert_id = col(Delivery.merged_into), col(Delivery.alert_id)
    count = func.count().over(partition_by=into)
    back = func.row_number().over(partition_by=into, order_by=alert_id.desc())
    named: dict[str, Any] = {"into": into, "alert_id": alert_id, "count": count, "back": back}
    merged = (
        columns_of(*(each.label(name) for name, each in named.items()))
        # What is gathered was written before it.
        .where(col(Delivery.account_id) == account_id, col(Delivery.id) < max(ids), into.in_(ids))
        .subquery()
    )
    query = (
        select(merged.c.into, merged.c["count"], AlertRecord)
        .select_from(merged)
        # What was deleted meanwhile was told all the same.
        .join(AlertRecord, col(AlertRecord.id) == merged.c.alert_id, isouter=True)
        .where(merged.c.back <= MOST_TOLD)
        .order_by(col(AlertRecord.id).desc())
    )
    found: dict[int, tuple[int, tuple[AlertRecord, ...]]] = {}
    for id_, number, alert in cast("Any", session).exec(query):
        _, told = found.get(id_, (0, ()))
        found[id_] = number, told if alert is None else (*told, alert)
    return found


def _id(row: AlertRecord | Delivery) -> int:
    return cast("int", row.id)
