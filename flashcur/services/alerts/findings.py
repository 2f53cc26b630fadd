"""What the evaluation found, as the alerts that tell it: a rule fired, an outage hid something, a rule was paused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from flashcur.domain.rules.condition import PriceCross, PriceMove, condition_to_json
from flashcur.domain.rules.firing import Firing, plain
from flashcur.domain.rules.sentence import sentence
from flashcur.domain.signals.signal import Origin
from flashcur.models import AlertRecord, RuleRecord
from flashcur.services.alerts.compose import MOST_TEXT, MOST_TITLE, Missed, gathered_text, missed_text

MOST_LISTED = 200
"""Firings that one alert of many keeps with what was measured; of more it holds the rule, the contract and the time."""


@dataclass(slots=True)
class Series:
    """A firing, and how often the same rule fired for the same contract after it."""

    firing: Firing
    again: int
    last_ms: int
    """The exchange's time of the last of them, Unix ms."""

    @classmethod
    def of(cls, firing: Firing) -> Series:
        """One that nothing has followed."""
        return cls(firing, 0, firing.event_ms)


def firing_key(firing: Firing, *, demo: bool) -> str:
    """Names the event: `rule:ID:VERSION:BTCUSDT:1795435200000`. Real and simulated ones never share a key."""
    rule = firing.rule
    key = f"rule:{rule.id}:{rule.version}:{firing.symbol}:{firing.event_ms}"
    return f"demo:{key}" if demo else key


def title_of(firing: Firing) -> str:
    """What happened, in one line: the contract, and what its owner called the rule or what was measured."""
    said = firing.rule.definition.name or (firing.readings[0].text if firing.readings else "")
    return f"{firing.symbol}: {said}"[:MOST_TITLE]


def alert_of(firing: Firing, origin: Origin) -> AlertRecord:
    """The alert that a rule gives; neither chained nor stored."""
    definition = firing.rule.definition
    lines = [reading.text for reading in firing.readings]
    # What the title says need not be said again.
    lines = lines if definition.name else lines[1:]
    says_price = any(isinstance(reading.condition, PriceCross) for reading in firing.readings)
    if firing.price is not None and not says_price:
        lines.append(f"Last price {plain(firing.price)} USDT")
    return AlertRecord(
        key=firing_key(firing, demo=origin.demo),
        account_id=firing.rule.account_id,
        kind="rule",
        rule_id=firing.rule.id,
        rule_version=firing.rule.version,
        exchange=origin.exchange,
        symbol=firing.symbol,
        demo=origin.demo,
        urgent=definition.urgent,
        title=title_of(firing),
        text="\n".join(lines)[:MOST_TEXT],
        price=firing.price,
        evidence={
            "readings": _readings(firing),
            "up": points_up(firing),
            "name": definition.name,
            "sentence": sentence(definition),
            "note": definition.note,
            "hold_s": definition.hold_s,
        },
        event_ms=firing.event_ms,
        seen_ms=firing.seen_ms,
        stored_ms=0,
        hash="",
    )


def missed_of(firings: Sequence[Firing], origin: Origin, first_ms: int, until_ms: int, *, zone: tzinfo) -> AlertRecord:
    """The one alert of an account that says what it missed while nothing was watched, from `first_ms` to `until_ms`
    (Unix ms)."""
    told = [Missed(title_of(each), each.event_ms) for each in firings]
    title, text = missed_text(told, first_ms, until_ms, zone=zone)
    return _one_of_many([Series.of(each) for each in firings], origin, first_ms, until_ms, title, text)


def gathered_of(series: Sequence[Series], origin: Origin, *, zone: tzinfo, written_ms: int | None) -> AlertRecord:
    """The one alert of an account that says what was watched, and was not written down one by one: see
    `compose.gathered_text`."""
    symbols: Counter[str] = Counter()
    for each in series:
        symbols[each.firing.symbol] += 1 + each.again
    told = [Missed(title_of(each.firing), each.firing.event_ms) for each in series]
    first_ms = min(each.firing.event_ms for each in series)
    last_ms = max(each.last_ms for each in series)
    title, text = gathered_text(told, symbols, first_ms, last_ms, zone=zone, written_ms=written_ms)
    until_ms = last_ms if written_ms is None else written_ms
    alert = _one_of_many(series, origin, first_ms, until_ms, title, text)
    alert.evidence["cause"] = "many" if written_ms is None else "database"
    return alert


def _one_of_many(
    series: Iterable[Series], origin: Origin, first_ms: int, until_ms: int, title: str, text: str
) -> AlertRecord:
    in_order = sorted(series, key=lambda each: (each.firing.event_ms, each.firing.rule.id, each.firing.symbol))
    firings = [each.firing for each in in_order]
    keys = [firing_key(each, demo=origin.demo) for each in firings]
    digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:40]
    # Whoever asks later whether something was told has to find it here.
    rest: dict[str, dict[str, Any]] = {}
    for each in in_order[MOST_LISTED:]:
        rule = each.firing.rule
        symbols = rest.setdefault(rule.id, {"version": rule.version, "symbols": {}})["symbols"]
        symbols[each.firing.symbol] = sorted({each.firing.event_ms, each.last_ms})
    return AlertRecord(
        key=f"{'demo:' if origin.demo else ''}missed:{firings[0].rule.account_id}:{digest}",
        account_id=firings[0].rule.account_id,
        kind="missed",
        exchange=origin.exchange,
        demo=origin.demo,
        urgent=any(each.rule.definition.urgent for each in firings),
        title=title[:MOST_TITLE],
        text=text[:MOST_TEXT],
        evidence={
            "from_ms": first_ms,
            "until_ms": until_ms,
            "count": sum(1 + each.again for each in in_order),
            "missed": [_listed(each) for each in in_order[:MOST_LISTED]],
            **({"rest": rest} if rest else {}),
        },
        event_ms=max(each.last_ms for each in in_order),
        seen_ms=max(each.seen_ms for each in firings),
        stored_ms=0,
        hash="",
    )


def _listed(series: Series) -> dict[str, Any]:
    firing = series.firing
    return {
        "rule_id": firing.rule.id,
        "rule_version": firing.rule.version,
        "symbol": firing.symbol,
        "title": title_of(firing),
        "event_ms": firing.event_ms,
        "price": firing.price,
        "readings": _readings(firing),
        **({"again": series.again, "last_ms": series.last_ms} if series.again else {}),
    }


def watchlist_notice(rule: RuleRecord, now_ms: int) -> AlertRecord:
    """Says that a rule is paused as its watchlist is gone."""
    text = "Choose another watchlist in the rule, then resume it."
    return notice_of(rule, "watchlist", "Rule paused: its watchlist was deleted", text, now_ms)


def notice_of(
    rule: RuleRecord, why: str, title: str, text: str, now_ms: int, exchange: str = "", symbol: str = ""
) -> AlertRecord:
    """A notice of one rule, given as it was before; neither chained nor stored. The text begins with its name."""
    name = str(rule.definition.get("name") or "")
    return AlertRecord(
        key=notice_key(rule, why),
        account_id=rule.account_id,
        kind="notice",
        rule_id=rule.id,
        rule_version=rule.version,
        exchange=exchange,
        symbol=symbol,
        title=title[:MOST_TITLE],
        text=(f"“{name}”\n{text}" if name else text)[:MOST_TEXT],
        evidence={"why": why},
        event_ms=now_ms,
        seen_ms=now_ms,
        stored_ms=0,
        hash="",
    )


def notice_key(rule: RuleRecord, why: str) -> str:
    """Names what became of a rule, given as it was before: whoever has it rest second tells nothing."""
    return f"notice:{rule.id}:{why}:{rule.version}:{rule.changed_ms}"


def points_up(firing: Firing) -> bool | None:
    """Whether a rule that fired points up: by its first condition about the price; None where none is."""
    for reading in firing.readings:
        condition = reading.condition
        if isinstance(condition, PriceCross):
            return condition.side == "above"
        if isinstance(condition, PriceMove):
            return condition.way == "up" if condition.way != "either" else (reading.value or 0.0) > 0
    return None


def _readings(firing: Firing) -> list[dict[str, Any]]:
    return [
        {
            **condition_to_json(reading.condition),
            "value": reading.value,
            "threshold": reading.threshold,
            "met": reading.met,
            "text": reading.text,
        }
        for reading in firing.readings
    ]
