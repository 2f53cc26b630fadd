"""Alerts and their deliveries as texts of a page: one line behind the bell, and all there is to a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from flashcur.domain.delivery.status import WORDS, Status
from flashcur.domain.plans import CHANNEL_NAMES, channel_in_text
from flashcur.models import AlertRecord, Delivery
from flashcur.services.accounts.channels import EMAIL_PLACE
from flashcur.services.alerts.inbox import Entry, Way
from flashcur.services.kit.clock import from_ms
from flashcur.services.market.venues import venue_title
from flashcur.services.notify.pauses import asked
from flashcur.state.signal_texts import moment

Texts = dict[str, str]

LATE_MS = 60_000
"""An alert that was stored so long after its event says so."""
_BAD = frozenset({"bounced", "expired", "dead", "uncertain"})
_WAITS = frozenset({"held", "queued", "sending", "retrying"})
_ALONE = {
    "test": "Test message",
    "summary": "Summary of several alerts",
    "digest": "Digest of your quiet hours",
    "notice": "Notice",
}


def line_texts(entry: Entry, zone: tzinfo) -> Texts:
    """An alert behind the bell; every value is a text."""
    alert = entry.alert
    if alert is None:
        raise ValueError(f"expected the entry of an alert, was {entry.key}")
    return {
        "id": str(alert.id),
        "title": alert.title,
        "text": alert.text,
        "note": _note(alert),
        "event_ms": str(alert.event_ms or alert.stored_ms),
        "stored_ms": str(alert.stored_ms),
        "when": moment(alert.event_ms or alert.stored_ms, zone, seconds=True),
        "urgent": "1" if alert.urgent else "",
        "demo": "1" if alert.demo else "",
        "where": where_text(entry.ways),
        "browser": "1" if any(_waits_for_a_tab(way.delivery) for way in entry.ways) else "",
    }


def entry_texts(entry: Entry, zone: tzinfo) -> dict[str, Any]:
    """A message of the ledger: texts, and under `receipt`, `tells`, `ways` and each way's `steps` lists of them."""
    alert = entry.alert
    day = from_ms(entry.at_ms).astimezone(zone).date()
    return {
        "key": entry.key,
        "id": "" if alert is None else str(alert.id),
        "at_ms": str(entry.at_ms),
        # Grows with each step: of two tellings of a message this says which is the newer one.
        "seq": str(max((step.id or 0 for way in entry.ways for step in way.steps), default=0)),
        "title": alone_title(entry.ways[0].delivery) if alert is None else alert.title,
        "text": _alone_text(entry) if alert is None else alert.text,
        "note": "" if alert is None else _note(alert),
        "rule": "" if alert is None else alert.rule_id or "",
        "urgent": "1" if alert is not None and alert.urgent else "",
        "demo": "1" if alert is not None and alert.demo else "",
        "when": moment(entry.at_ms, zone, seconds=True),
        "event_ms": str(entry.at_ms),
        "where": where_text(entry.ways),
        "tells": [_told(each, zone, day) for each in entry.told],
        "unlisted": _unlisted(entry),
        "receipt": [] if alert is None else _receipt(alert, zone),
        "ways": [way_texts(way, alert, zone, day) for way in entry.ways],
    }


def _note(alert: AlertRecord) -> str:
    return str(alert.evidence.get("note") or "")


def way_texts(way: Way, alert: AlertRecord | None, zone: tzinfo, day: object = None) -> dict[str, Any]:
    """One delivery and, under `steps`, its way; a step of another day than `day` says which."""
    delivery = way.delivery
    status = delivery.status
    problem = delivery.problem if status in _BAD or status == "retrying" else ""
    return {
        "id": str(delivery.id),
        # The account's own address is one place, before it has a row and after.
        "destination": EMAIL_PLACE if delivery.channel == "email" else delivery.destination_id or "",
        "channel": channel_name(delivery.channel),
        "place": "" if way.destination is None else way.destination.name,
        "status": status,
        "word": status_word(status),
        "side": "bad" if status in _BAD else "waits" if status in _WAITS else "",
        "meaning": _meaning(status),
        "problem": problem,
        "advice": _advice(way, zone, day),
        "speed": _speed(way, alert),
        "steps": _steps(way, problem, zone, day),
    }


def _steps(way: Way, problem: str, zone: tzinfo, day: object) -> list[Texts]:
    """Each step with its words: once, however often they came, and not where they are said as the `problem`."""
    said = {problem}
    told: list[Texts] = []
    for step in way.steps:
        detail = "" if step.detail in said else step.detail
        said.add(detail)
        told.append({"word": status_word(step.status), "when": _clock(step.at_ms, zone, day), "detail": detail})
    return told


def channel_name(channel: str) -> str:
    """What people call a channel; its own name where it is of another version."""
    names: Mapping[str, str] = {**CHANNEL_NAMES}
    return names.get(channel, channel)


def status_word(status: str) -> str:
    """One word for where a message is."""
    words: Mapping[str, Any] = {**WORDS}
    return words[status].title if status in words else status


def where_text(ways: Iterable[Way]) -> str:
    """Where an alert went: `Telegram delivered, email queued`."""
    # Each alert stands in the app: that is said only where it went nowhere else.
    names: Mapping[str, str] = {each: channel_in_text(each) for each in CHANNEL_NAMES}
    parts = {
        f"{names.get(way.delivery.channel, way.delivery.channel)} {status_word(way.delivery.status).lower()}": None
        for way in ways
        if way.delivery.channel != "in-app"
    }
    told = ", ".join(parts)
    return told[:1].upper() + told[1:]


def _meaning(status: str) -> str:
    words: Mapping[str, Any] = {**WORDS}
    return words[status].meaning if status in words else ""


def alone_title(delivery: Delivery) -> str:
    """What a message that tells no alert is called."""
    if delivery.kind == "notice" and "code" in delivery.payload:
        return "Code to confirm your number"
    return _ALONE.get(delivery.kind, "Message")


def _alone_text(entry: Entry) -> str:
    delivery = entry.ways[0].delivery
    if entry.gathers:
        count = "1 message" if entry.gathers == 1 else f"{entry.gathers:,} messages"
        return f"Brings you {count} at once."
    if delivery.kind == "test":
        return "You asked for this test."
    return ""


def _told(alert: AlertRecord, zone: tzinfo, day: object) -> Texts:
    """An alert that a summary or digest tells; one of another day than `day` says which."""
    when = _clock(alert.event_ms or alert.stored_ms, zone, day, exact=False)
    return {"id": str(alert.id), "title": alert.title, "when": when}


def _unlisted(entry: Entry) -> str:
    """What is said of the alerts that a summary tells beside those that are listed."""
    more = entry.gathers - len(entry.told)
    return f"And {more:,} older {'one' if more == 1 else 'ones'}." if entry.told and more > 0 else ""


def _waits_for_a_tab(delivery: Delivery) -> bool:
    return delivery.channel == "browser" and delivery.status == "queued"


def _receipt(alert: AlertRecord, zone: tzinfo) -> list[Texts]:
    """When the exchange said it, and how long after that it was seen and stored."""
    stored = {"what": "Stored", "when": _clock(alert.stored_ms, zone), "delay": ""}
    if not alert.exchange or not alert.event_ms:
        return [stored]
    said = venue_title(alert.exchange, demo=alert.demo)
    return [
        {"what": f"Exchange time ({said})", "when": _clock(alert.event_ms, zone), "delay": ""},
        {"what": "Seen", "when": _clock(alert.seen_ms, zone), "delay": _after(alert.seen_ms, alert.event_ms)},
        {**stored, "delay": _after(alert.stored_ms, alert.event_ms)},
    ]


def _speed(way: Way, alert: AlertRecord | None) -> str:
    """How long after the exchange said it (or after it was written) it was handed over, and taken."""
    delivery = way.delivery
    from_event = alert is not None and bool(alert.exchange) and alert.event_ms > 0
    since_ms = alert.event_ms if alert is not None and from_event else delivery.created_ms
    parts: list[str] = []
    if delivery.handed_ms is not None:
        parts.append(f"handed over {_after(delivery.handed_ms, since_ms)}")
    for status in ("accepted", "delivered"):
        at_ms = next((step.at_ms for step in way.steps if step.status == status), None)
        if at_ms is not None and delivery.channel != "in-app":
            parts.append(f"{status} {_after(at_ms, since_ms)}")
    if not parts:
        return ""
    said = ", ".join(parts)
    return f"{said[0].upper()}{said[1:]} after {'the exchange’s time' if from_event else 'it was written'}"


def _advice(way: Way, zone: tzinfo, day: object) -> str:
    """What its owner can do, or is to wait for."""
    delivery, place = way.delivery, way.destination
    status: Status = delivery.status  # pyright: ignore[reportAssignmentType]
    if way.paused_until_ms is not None:
        return f"Waiting: {asked(delivery.channel)} until {_clock(way.paused_until_ms, zone, day, exact=False)}."
    match status:
        case "held":
            return f"It leaves at {moment(delivery.due_ms, zone)}."
        case "retrying" | "uncertain":
            return f"The next attempt is at {_clock(delivery.due_ms, zone)}."
        case "capped":
            return "You can raise your daily cap under Channels."
        case "expired" if delivery.channel == "browser":
            return "Web push reaches you even with no FlashCur page open."
        case "dead" | "bounced" | "expired" if place is not None and place.state == "off":
            return "This destination is now switched off: see Channels."
        case "bounced":
            return "Check the address, then send a test under Channels."
        case "dead":
            return "Send a test under Channels to see whether it works again."
        case _:
            return ""


def _after(at_ms: int, since_ms: int) -> str:
    delay = max(0, at_ms - since_ms)
    if delay < 1_000:
        return f"+{delay} ms"
    return f"+{delay / 1000:,.1f} s" if delay < 100_000 else f"+{delay // 60_000:,} min"


def _clock(at_ms: int, zone: tzinfo, day: object = None, *, exact: bool = True) -> str:
    """`12:00:01.234`, or to the second where it need not be `exact`, with its date where that is another than `day`."""
    at = from_ms(at_ms).astimezone(zone)
    clock = f"{at:%H:%M:%S}" + (f".{at_ms % 1000:03d}" if exact else "")
    return clock if day is None or at.date() == day else f"{at.day} {at:%b}, {clock}"
