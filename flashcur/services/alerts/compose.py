"""What a message says, in plain text: of an alert, of many at once, of what was held, of a cap, and of a test.

A message is composed once, when it is written down, and may be read hours later: it names moments, never "just now".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from flashcur.domain.delivery.batching import WINDOW_MS
from flashcur.domain.delivery.message import FiredRule, Message
from flashcur.models import AlertRecord
from flashcur.services.kit.clock import from_ms

LATE_MS = 60_000
"""From this age on, in ms, a message says that it comes late."""
MOST_NAMED = 10
"""Alerts that a summary or a digest tells one by one."""
MOST_SYMBOLS = 3
"""Contracts that its title names."""
MESSAGES_PAGE = "/alerts?tab=messages"
"""Where alerts are read again; with `alert`, its id, one of them alone."""
MOST_TITLE, MOST_TEXT = 200, 1_000
"""Characters of an alert's title and text."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a rule would have told."""

    title: str
    """What happened, as the alert's first line would have said it."""
    event_ms: int
    """When, by the exchange's clock, Unix ms."""


def message_of(alert: AlertRecord, *, zone: tzinfo, base: str) -> Message:
    """The message that tells a stored alert. `zone`: its owner's; `base`: origin of the pages, for the link.

    A late one says how late it is, and when it happened.
    """
    lines = [line for line in alert.text.split("\n") if line]
    if alert.kind == "rule":
        late_ms = alert.stored_ms - alert.event_ms
        if late_ms > LATE_MS:
            lines.append(f"Late by {_length(late_ms)}: it happened on {_moment(alert.event_ms, zone)}.")
        lines.append(receipt_line(alert, zone))
    notice = alert.kind == "notice"
    return Message(
        kind="notice" if notice else "alert",
        title=alert.title,
        lines=tuple(lines),
        link=f"{base}{MESSAGES_PAGE}&alert={alert.id}",
        link_text="Open the notice" if notice else "Open the alert",
        urgent=alert.urgent,
        symbol=alert.symbol,
        price=alert.price,
        event_ms=alert.event_ms,
        seen_ms=alert.seen_ms,
        stored_ms=alert.stored_ms,
        note=str(alert.evidence.get("note") or ""),
        rule=_rule_of(alert),
    )


def receipt_line(alert: AlertRecord, zone: tzinfo) -> str:
    """When the exchange said it, and how long after that it was seen and stored:
    `Exchange 12:00:01.234 GMT · seen +80 ms · stored +95 ms`."""
    said = f"{_time(alert.event_ms, zone)}.{alert.event_ms % 1000:03d} {_zone_name(alert.event_ms, zone)}"
    seen, stored = (_after(each - alert.event_ms) for each in (alert.seen_ms, alert.stored_ms))
    return f"Exchange {said} · seen {seen} · stored {stored}"


def missed_text(found: Sequence[Missed], first_ms: int, until_ms: int, *, zone: tzinfo) -> tuple[str, str]:
    """(title, text) of the one alert that says what was missed while nothing was watched, from `first_ms` until
    `until_ms` (Unix ms); what does not fit is counted. Raises ValueError where nothing was missed."""
    if not found:
        raise ValueError("expected something that was missed, found nothing")
    title = f"{_counted(len(found), 'alert')} missed while FlashCur was not watching"
    head = f"Nothing was watched from {_moment(first_ms, zone)} until {_moment(until_ms, zone)}."
    return title, _listed(head, found, len(found), zone)


def gathered_text(
    found: Sequence[Missed],
    symbols: Mapping[str, int],
    first_ms: int,
    until_ms: int,
    *,
    zone: tzinfo,
    written_ms: int | None = None,
) -> tuple[str, str]:
    """(title, text) of the one alert that says what fired from `first_ms` until `until_ms` (Unix ms), so often on each
    contract (`symbols`); what does not fit is counted.

    `written_ms`: when it could be written down, where the database was away; else there was too much of it at once.
    """
    number = sum(symbols.values())
    if written_ms is None:
        title = f"{_counted(number, 'alert')} came at once: {_names(symbols)}"
        head = f"From {_moment(first_ms, zone)} until {_moment(until_ms, zone)}: too many to send one by one."
    else:
        title = f"{_counted(number, 'alert')} {'is' if number == 1 else 'are'} late: FlashCur’s database was down"
        head = f"Nothing could be stored until {moment(written_ms, zone)}."
    return title, _listed(head, found, number, zone)


def summary_of(
    alerts: Sequence[AlertRecord], *, digest: bool, zone: tzinfo, base: str, follows: bool = False
) -> Message:
    """One message in place of many: how many, of which contracts, and the newest of them, urgent ones before others.

    `digest`: they were held for long, and the title says since when. `follows`: others were told one by one just before
    them. Raises ValueError for no alert.
    """
    if not alerts:
        raise ValueError("expected an alert to tell of, found none")
    number = len(alerts)
    first_ms, last_ms = min(alert.event_ms for alert in alerts), max(alert.event_ms for alert in alerts)
    head = _counted(number, "more alert" if follows and not digest else "alert")
    # Quiet hours that end soon, too, hold alerts for a minute or two.
    within = not digest and last_ms - first_ms <= WINDOW_MS
    head += " within a minute" if within else f" since {moment(first_ms, zone)}"
    names = _names(Counter(alert.symbol for alert in alerts if alert.symbol))
    chosen = sorted(alerts, key=lambda alert: (not alert.urgent, -alert.event_ms))[:MOST_NAMED]
    return Message(
        kind="digest" if digest else "summary",
        title=(f"{head}: {names}" if names else head)[:MOST_TITLE],
        lines=tuple(f"{_time(alert.event_ms, zone)} {alert.title}" for alert in chosen),
        link=f"{base}{MESSAGES_PAGE}",
        link_text="Open your alerts",
        urgent=any(alert.urgent for alert in alerts),
        event_ms=last_ms,
        more=number - len(chosen),
    )


def cap_text(cap: int, until_ms: int, *, zone: tzinfo) -> tuple[str, str]:
    """(title, text) of the notice that a day's cap of messages is reached; it lasts until `until_ms` (Unix ms)."""
    return (
        f"You reached your daily cap of {_counted(cap, 'message')}",
        f"Until {_moment(until_ms, zone)}, alerts appear only in the app.\n"
        "You can raise it on the alerts page, under Channels.",
    )


def message_of_test(channel: str, now_ms: int, *, zone: tzinfo, base: str) -> Message:
    """What “Send a test” sends to a channel; `channel` is what people call it."""
    return Message(
        kind="test",
        title="Test message from FlashCur",
        lines=(
            f"You asked for it at {_time(now_ms, zone)} {_zone_name(now_ms, zone)} ({channel}).",
            "Your alerts will arrive the same way.",
        ),
        link=f"{base}{MESSAGES_PAGE}",
        link_text="Open your alerts",
        event_ms=now_ms,
    )


def moment(unix_ms: int, zone: tzinfo) -> str:
    """Date and time on somebody's clock, to the minute: `27 Nov 22:14 GMT`."""
    return f"{_date(unix_ms, zone)} {from_ms(unix_ms).astimezone(zone):%H:%M} {_zone_name(unix_ms, zone)}"


def _rule_of(alert: AlertRecord) -> FiredRule | None:
    if alert.kind != "rule" or alert.rule_id is None:
        return None
    name, said = (str(alert.evidence.get(each) or "") for each in ("name", "sentence"))
    return FiredRule(alert.rule_id, name, said)


def _listed(head: str, found: Sequence[Missed], number: int, zone: tzinfo) -> str:
    """A first line, and a line for each in order of time as far as there is room; all are `number`."""
    lines = [head]
    for each in sorted(found, key=lambda each: each.event_ms):
        line = f"{_time(each.event_ms, zone)} {each.title}"
        rest = f"{number - len(lines) + 1:,} more."
        if len("\n".join((*lines, line, rest))) > MOST_TEXT:
            break
        lines.append(line)
    if (left := number - len(lines) + 1) > 0:
        lines.append(f"{left:,} more.")
    return "\n".join(lines)


def _names(counted: Mapping[str, int]) -> str:
    """The contracts with the most alerts: `BTCUSDT 5, ETHUSDT 3, SOLUSDT and 4 other contracts`."""
    if len(counted) == 1:
        return next(iter(counted))
    most = Counter(counted).most_common(MOST_SYMBOLS)
    named = ", ".join(f"{symbol} {times}" if times > 1 else symbol for symbol, times in most)
    others = len(counted) - MOST_SYMBOLS
    return f"{named} and {others} other {'contract' if others == 1 else 'contracts'}" if others > 0 else named


def _moment(unix_ms: int, zone: tzinfo) -> str:
    return f"{_date(unix_ms, zone)} at {_time(unix_ms, zone)} {_zone_name(unix_ms, zone)}"


def _date(unix_ms: int, zone: tzinfo) -> str:
    at = from_ms(unix_ms).astimezone(zone)
    return f"{at.day} {at:%b}"


def _time(unix_ms: int, zone: tzinfo) -> str:
    return f"{from_ms(unix_ms).astimezone(zone):%H:%M:%S}"


def _zone_name(unix_ms: int, zone: tzinfo) -> str:
    """`GMT`; where the zone has no letters at that moment, its distance: `UTC+05:45`."""
    name = from_ms(unix_ms).astimezone(zone).tzname() or "UTC"
    return re.sub(r"^([+-]\d\d)(\d\d)?$", lambda found: f"UTC{found[1]}" + (f":{found[2]}" if found[2] else ""), name)


def _after(span_ms: int) -> str:
    sign = "−" if span_ms < 0 else "+"
    return f"{sign}{abs(span_ms)} ms" if abs(span_ms) < 10_000 else f"{sign}{_length(abs(span_ms))}"


def _length(span_ms: int) -> str:
    seconds = span_ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
