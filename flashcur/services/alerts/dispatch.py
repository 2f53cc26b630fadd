"""Alerts to messages: one delivery for each place that an alert goes to, in the transaction that stores it.

What a channel sends is rendered here and never again, and its idempotency key is made here. Whatever keeps an alert
from going somewhere is said in the ledger: of a message that waits, is gathered, or over the cap, in its own; of a
channel that cannot be used at all, in that of the app, where each alert is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from sqlalchemy import or_
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from flashcur.domain.delivery.batching import WINDOW_MS
from flashcur.domain.delivery.local_day import date_of, day_end_ms, day_start_ms
from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.planning import Hold, Verdict, Wishes, silence, verdict
from flashcur.domain.delivery.status import Status
from flashcur.domain.plans import CHANNELS, Plan
from flashcur.models import Account, AlertRecord, Delivery, RuleRecord
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.alerts import compose, receipts
from flashcur.services.alerts.alert_settings import read_wishes
from flashcur.services.alerts.places import OURS, Addresses, Place, left_out, read_addresses, ways
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import outbox, sms_codes
from flashcur.services.notify.channel import Channel, Payload

BROWSER_USEFUL_S = 120
"""How long a browser's tab may show an alert, in seconds: who opens one later sees it in the app."""
GATHERED_KINDS = ("summary", "digest")
COUNTED_KINDS = ("alert", *GATHERED_KINDS)
"""Messages that count towards the cap and the number a minute."""

_NOT_LEFT: tuple[Status, ...] = ("expired", "dead", "merged", "capped")
"""Statuses of what reached nobody as a message of its own, unless it was handed over before."""
_TRAFFIC: tuple[Any, ...] = (
    Delivery.account_id,
    Delivery.channel,
    Delivery.destination_id,
    Delivery.status,
    Delivery.created_ms,
    Delivery.due_ms,
    Delivery.handed_ms,
)
_HOUR_MS = 3_600_000
_WHY = {
    "muted": "You muted your alerts",
    "quiet": "Your quiet hours",
    "many": "More than three messages within a minute",
}


def dispatch(
    session: Session, alerts: Sequence[AlertRecord], channels: Mapping[str, Channel], now_ms: int, base: str
) -> list[Delivery]:
    """Write down the messages of alerts that were just chained, added and flushed; returns them with their ids.

    `channels`: those of this server by name; `base`: origin of the pages. An alert goes where its rule says, as far as
    the owner's plan, places and wishes of this moment let it; a notice into the app and by mail; demo data into the app
    alone. Where a cap is reached, a notice of that is written too.
    """
    ids = {alert.account_id for alert in alerts}
    accounts = session.exec(select(Account).where(col(Account.id).in_(ids)).order_by(col(Account.id))).all()
    books = read_books(session, accounts, channels, now_ms, base)
    wanted = _wanted_channels(session, alerts)
    for alert in alerts:
        book = books.get(alert.account_id)
        if book is not None:
            book.tell(alert, wanted[alert.key])
    written = write(session, [row for book in books.values() for row in book.rows], now_ms)
    return written + write(session, [row for book in books.values() for row in book.notices_of_caps()], now_ms)


def write(session: Session, rows: Sequence[Delivery], now_ms: int) -> list[Delivery]:
    """Write down planned messages, each with why it is not sent at once, if so, as its ledger's first step."""
    written = outbox.write(session, rows, now_ms)
    for row in written:
        if row.status == "held":
            row.problem = ""
        elif row.channel == "browser" and row.status == "queued":
            row.problem = outbox.NO_TAB
    return written


def delivery_key(*parts: str) -> str:
    """The idempotency key of what these name: always the same for the same."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def read_books(
    session: Session, accounts: Sequence[Account], channels: Mapping[str, Channel], now_ms: int, base: str
) -> dict[str, Book]:
    """What has to be known of each account, by its id, before a message of its can be planned."""
    wishes = read_wishes(session, accounts)
    addresses = read_addresses(session, accounts, from_ms(now_ms))
    books = {
        account.id: Book(
            session, account, plan_of(account, from_ms(now_ms)), wishes[account.id], addresses, channels, now_ms, base
        )
        for account in accounts
    }
    # A local day has 25 hours at most, and 26 where two changes meet.
    recent = columns_of(*_TRAFFIC).where(
        col(Delivery.account_id).in_(list(books)),
        col(Delivery.created_ms) >= now_ms - 26 * _HOUR_MS,
        col(Delivery.channel) != "in-app",
        col(Delivery.kind).in_(COUNTED_KINDS),
        or_(col(Delivery.status).not_in(_NOT_LEFT), col(Delivery.handed_ms).is_not(None)),
    )
    for account_id, *known in session.connection().execute(recent):
        books[account_id].remember(*known)
    return books


@dataclass
class _Traffic:
    """What went to one place of late."""

    left_ms: list[int] = field(default_factory=list[int])
    gathered_ms: int | None = None
    """When what is held for it is gathered, Unix ms."""


@dataclass
class Book:
    """An account's messages as they are planned in one transaction; the account is locked (`receipts.chain`)."""

    session: Session
    account: Account
    plan: Plan
    wishes: Wishes
    addresses: Addresses
    channels: Mapping[str, Channel]
    now_ms: int
    base: str
    rows: list[Delivery] = field(default_factory=list[Delivery])
    """What is to be written."""
    _sent_today: int = 0
    _traffic: dict[tuple[str, str], _Traffic] = field(default_factory=dict[tuple[str, str], _Traffic])
    _capped: list[Place] = field(default_factory=list[Place])

    def remember(
        self,
        channel: str,
        destination_id: str | None,
        status: str,
        created_ms: int,
        due_ms: int,
        handed_ms: int | None,
    ) -> None:
        """Take into account a message that was written before; times are Unix ms."""
        traffic = self.traffic(channel, destination_id)
        if status == "held":
            traffic.gathered_ms = min(due_ms, traffic.gathered_ms or due_ms)
            return
        # What was held and then sent by itself leaves when it is due; what is tried again left when it was written.
        left_ms = handed_ms or max(created_ms, due_ms if due_ms <= self.now_ms else created_ms)
        if left_ms > self.now_ms + WINDOW_MS:
            # By a clock that was set back since: it must not hold or count anything until then.
            return
        traffic.left_ms.append(left_ms)
        if channel not in OURS and left_ms >= day_start_ms(self.now_ms, self.wishes.zone):
            self._sent_today += 1

    def traffic(self, channel: str, destination_id: str | None) -> _Traffic:
        """What went to a place of late."""
        return self._traffic.setdefault((channel, destination_id or ""), _Traffic())

    def tell(self, alert: AlertRecord, wanted: Sequence[str]) -> None:
        """Plan the messages of one alert, which go by the channels that are `wanted`."""
        message = compose.message_of(alert, zone=self.wishes.zone, base=self.base)
        not_sent: list[str] = []
        placed: list[Place] = []
        for name in wanted:
            way = ways(self.account, self.plan, name, self.channels, self.addresses, notice=alert.kind == "notice")
            placed += way.places
            if way.why_not:
                not_sent.append(left_out(name, way.why_not))
        detail = f"Not sent by {'; '.join(not_sent)}." if not_sent and alert.kind != "notice" else ""
        self.rows.append(self._in_app(alert, detail))
        payloads: dict[str, Payload] = {}
        for place in placed:
            if place.channel not in payloads:
                payloads[place.channel] = self.render(place.channel, message)
            self.rows.append(self._outside(alert, place, payloads[place.channel]))

    def judge(self, place: Place, *, urgent: bool, gathering: bool = False, digest: bool = False) -> Verdict:
        """Whether a message may leave for a place now, and note what becomes of it; see `planning.verdict`.

        `gathering`: it is the one that tells of what is held for the place. The `digest` of a night passes the cap: it
        is one, and all that night it was promised.
        """
        traffic = self.traffic(place.channel, place.destination_id)
        counted = place.channel not in OURS
        found = verdict(
            self.wishes,
            self.now_ms,
            urgent=urgent,
            counted=counted and not digest,
            sent_today=self._sent_today,
            left_ms=traffic.left_ms,
            gathered_ms=None if gathering else traffic.gathered_ms,
        )
        if isinstance(found, Hold):
            traffic.gathered_ms = min(found.until_ms, traffic.gathered_ms or found.until_ms)
        elif found == "capped":
            self._capped.append(place)
        else:
            traffic.left_ms.append(self.now_ms)
            self._sent_today += counted
        return found

    def count_sms(self, place: Place) -> str:
        """Count a message that leaves now, if it is an SMS; why it must not, for its owner, empty where it may."""
        if place.channel != "sms":
            return ""
        # What each costs is the operator's: whoever is paid for messages to some numbers must not earn by it.
        return sms_codes.over_the_cap(self.session, self.account.id, place.recipient, self.now_ms)

    def render(self, channel: str, message: Message) -> Payload:
        """The message as this channel sends it."""
        if channel == "browser":
            return {"title": message.title, "lines": list(message.lines), "link": message.link, "note": message.note}
        return self.channels[channel].render(message)

    def useful_ms(self, channel: str) -> int:
        """How long after its time a message is worth sending by this channel, in ms."""
        return 1000 * (BROWSER_USEFUL_S if channel == "browser" else self.channels[channel].useful_s)

    def row(self, kind: str, place: Place, key: str, payload: Payload, **more: Any) -> Delivery:
        """A delivery to a place, due now."""
        fields: dict[str, Any] = {"due_ms": self.now_ms, "expires_ms": self.now_ms} | more
        return Delivery(
            key=key,
            account_id=self.account.id,
            kind=kind,
            channel=place.channel,
            destination_id=place.destination_id,
            recipient=place.recipient,
            payload=dict(payload),
            created_ms=self.now_ms,
            **fields,
        )

    def notices_of_caps(self) -> list[Delivery]:
        """Where a cap was reached: the day's one notice of it, into the app and to the first place that was capped."""
        if not self._capped:
            return []
        zone, place = self.wishes.zone, self._capped[0]
        title, text = compose.cap_text(self.wishes.cap, day_end_ms(self.now_ms, zone), zone=zone)
        notice = AlertRecord(
            key=f"cap:{self.account.id}:{date_of(self.now_ms, zone)}",
            account_id=self.account.id,
            kind="notice",
            title=title,
            text=text,
            event_ms=self.now_ms,
            seen_ms=self.now_ms,
            stored_ms=self.now_ms,
            hash="",
        )
        if not receipts.chain(self.session, [notice]):
            return []
        self.session.add(notice)
        self.session.flush()
        message = compose.message_of(notice, zone=zone, base=self.base)
        return [self._in_app(notice, ""), self._outside(notice, place, self.render(place.channel, message))]

    def _in_app(self, alert: AlertRecord, detail: str) -> Delivery:
        place = Place("in-app", None, "")
        delivered = {"alert_id": alert.id, "urgent": alert.urgent, "status": "delivered", "problem": detail[:300]}
        return self.row(_kind(alert), place, delivery_key(alert.key, "in-app", ""), {}, **delivered)

    def _outside(self, alert: AlertRecord, place: Place, payload: Payload) -> Delivery:
        useful_ms = self.useful_ms(place.channel)
        # What was missed, and a notice, are of use from when they are told.
        since_ms = alert.event_ms if alert.kind == "rule" else alert.stored_ms
        planned: dict[str, Any] = {"expires_ms": since_ms + useful_ms}
        if planned["expires_ms"] <= self.now_ms:
            planned |= {"status": "expired", "problem": outbox.TOO_LATE}
        else:
            planned |= self._plan(self._found(alert, place), useful_ms)
            if "status" not in planned and (why := self.count_sms(place)):
                planned |= {"status": "capped", "problem": why}
        key = delivery_key(alert.key, place.channel, place.destination_id or "")
        return self.row(_kind(alert), place, key, payload, alert_id=alert.id, urgent=alert.urgent, **planned)

    def _found(self, alert: AlertRecord, place: Place) -> Verdict:
        if alert.kind == "notice":
            # They are few: they wait for a silence to end, and for nothing else.
            return silence(self.wishes, self.now_ms, urgent=alert.urgent) or "send"
        return self.judge(place, urgent=alert.urgent)

    def _plan(self, found: Verdict, useful_ms: int) -> dict[str, Any]:
        """What of a delivery's row says this."""
        if isinstance(found, Hold):
            until_ms = found.until_ms
            why = self.why_held(found)
            return {"status": "held", "due_ms": until_ms, "expires_ms": until_ms + useful_ms, "problem": why}
        return {"status": "capped", "problem": self.why_capped} if found == "capped" else {}

    @property
    def why_capped(self) -> str:
        """What the ledger says of a message over the cap."""
        return f"You reached your daily cap of {self.wishes.cap:,}, so this is only in the app."

    def why_held(self, hold: Hold) -> str:
        """Why something is held and until when, for its owner."""
        return why_held(hold, self.wishes.zone)


def why_held(hold: Hold, zone: tzinfo) -> str:
    """Why something is held and until when, for its owner, who lives in `zone`."""
    return f"{_WHY[hold.why]}: it waits until {compose.moment(hold.until_ms, zone)}."


def _kind(alert: AlertRecord) -> str:
    return "notice" if alert.kind == "notice" else "alert"


def _wanted_channels(session: Session, alerts: Iterable[AlertRecord]) -> dict[str, Sequence[str]]:
    """The channels that each alert (by its key) goes by beside the app, in the order of the plans."""
    named: dict[str, list[str]] = {alert.key: _rule_ids(alert) for alert in alerts}
    ids = {rule_id for each in named.values() for rule_id in each}
    rules = session.exec(select(RuleRecord).where(col(RuleRecord.id).in_(ids)))
    chosen = {(rule.id, rule.account_id): rule.channels for rule in rules}
    wanted: dict[str, Sequence[str]] = {}
    for alert in alerts:
        names = {name for each in named[alert.key] for name in chosen.get((each, alert.account_id), ())}
        if alert.kind == "notice":
            names = {"email"}
        wanted[alert.key] = [] if alert.demo else [each for each in CHANNELS if each in names and each != "in-app"]
    return wanted


def _rule_ids(alert: AlertRecord) -> list[str]:
    """The rules that an alert is of; of what was missed (`evidence["missed"]`) they may be several."""
    found = [alert.rule_id] if alert.rule_id else []
    for each in alert.evidence.get("missed", ()):
        found.append(str(each.get("rule_id")))
    return [*found, *alert.evidence.get("rest", ())]
