"""Signals as texts of a page: one entry of a list, and all there is to one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo
from typing import Any, cast

from flashcur.domain.rules.condition import OnSignal
from flashcur.domain.rules.contradictions import contradictions
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.share import to_link
from flashcur.domain.signals.aftermath import MINUTE_MS, known_from_ms
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.signals.picture import Picture
from flashcur.domain.signals.signal import DetectorName, Signal
from flashcur.domain.signals.words import (
    DETECTOR_TITLES,
    DIRECTION_WORDS,
    FUNDING_SIGNS,
    KIND_TITLES,
    QUADRANT_MEANINGS,
    QUADRANT_TITLES,
    ROLE_TITLES,
    SEVERITY_WORDS,
    lift_text,
    move_text,
    span_text,
)
from flashcur.domain.venue_links import signal_links
from flashcur.models import SignalOutcome, SignalRecord
from flashcur.services.alerts.signal_details import Details
from flashcur.services.alerts.statistics import GroupStatistics
from flashcur.services.kit.clock import from_ms
from flashcur.services.market.venues import venue_title

Texts = dict[str, str]


def entry_texts(record: SignalRecord, outcome: SignalOutcome | None, zone: tzinfo) -> Texts:
    """One signal in a list; every value is a text."""
    return {
        "id": str(record.id),
        "base": record.base,
        "symbol": record.symbol,
        "kind": kind_title(record.kind),
        "text": record.text,
        **_marks(record.direction, record.severity, record.quadrant),
        "demo": "1" if record.demo else "",
        "event_ms": str(record.event_ms),
        "when": moment(record.event_ms, zone),
        "followed": _followed(outcome),
    }


def detail_vars(details: Details, zone: tzinfo, now_ms: int) -> dict[str, Any]:
    """The vars of `SignalState` for a signal that may be seen."""
    signal = details.signal
    exchange = venue_title(signal.origin.exchange, demo=signal.origin.demo)
    page, chart = signal_links(signal.origin.exchange, signal.symbol, signal.kind, demo=signal.origin.demo)
    return {
        "base": signal.base,
        "symbol": signal.symbol,
        "kind": kind_title(signal.kind),
        "text": signal.text,
        **_marks(signal.direction, signal.severity, signal.quadrant or ""),
        "demo": signal.origin.demo,
        "exchange": exchange,
        "event_ms": signal.event_ms,
        "when": moment(signal.event_ms, zone, seconds=True),
        "measures": _measures(signal.evidence),
        "again": f"/alerts?draft={to_link(_like(signal))}",
        "rule": signal.evidence.rule_version,
        "picture": {} if details.picture is None else _picture(details.picture, zone),
        "picture_note": _picture_note(signal.evidence, details.picture),
        "receipt": _receipt(signal, details.stored_ms, exchange, zone),
        # Nothing follows for a contract that is not traded.
        "outcomes": [] if signal.kind == "DELISTED" else _outcomes(details.outcome, signal.event_ms, zone, now_ms),
        "extremes": _extremes(details.outcome),
        "past": [_past(group) for group in details.of_its_kind],
        "past_of": _past_of(details.of_its_kind),
        "links": [
            {"text": text, "href": href}
            for text, href in ((f"{signal.symbol} at {exchange}", page), ("Chart at TradingView", chart))
            if href
        ],
    }


def _like(signal: Signal) -> Definition:
    """The rule that tells of it when it happens again."""
    plain = Definition((OnSignal(signal.detector),), Scope("symbol", symbol=signal.symbol))
    if signal.direction == "none":
        return plain
    pointing = replace(plain, conditions=(OnSignal(signal.detector, direction=signal.direction),))
    return plain if contradictions(pointing) else pointing


def kind_title(kind: str) -> str:
    """What a kind is called; its own name where it is of another version."""
    known: dict[str, str] = {**KIND_TITLES}
    return known.get(kind, kind)


def moment(at_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
    """A time of a day in somebody's zone: `27 Nov 2026, 13:05 UTC`."""
    at = from_ms(at_ms).astimezone(zone)
    return f"{at.day} {at:%b %Y, %H:%M:%S %Z}" if seconds else f"{at.day} {at:%b %Y, %H:%M %Z}"


def wall_clock(minutes: int) -> str:
    """A time of every day, in minutes after midnight: `22:00`."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _marks(direction: str, severity: int, quadrant: str) -> Texts:
    directions: dict[str, str] = {**DIRECTION_WORDS}
    titles: dict[str, str] = {**QUADRANT_TITLES}
    meanings: dict[str, str] = {**QUADRANT_MEANINGS}
    return {
        "direction": direction,
        "direction_word": directions.get(direction, ""),
        "severity": str(severity),
        "severity_word": SEVERITY_WORDS.get(severity, str(severity)),
        "quadrant": titles.get(quadrant, ""),
        "quadrant_meaning": meanings.get(quadrant, ""),
    }


def _measures(evidence: Evidence) -> list[Texts]:
    """In the order in which they are read; `role` stands at the first of each."""
    rows: list[Texts] = []
    for role, title in ROLE_TITLES.items():
        of_role: list[Measure] = [measure for measure in evidence.measures if measure.role == role]
        rows += [
            {"role": "" if at else title, "label": measure.label, "text": measure.text}
            for at, measure in enumerate(of_role)
        ]
    return rows


def _picture(picture: Picture, zone: tzinfo) -> Texts:
    def percent(share: float) -> str:
        return f"{min(1.0, max(0.0, share)) * 100:.2f}%"

    edges = (from_ms(picture.first_ms).astimezone(zone), from_ms(picture.end_ms).astimezone(zone))
    first, end = (f"{edge.day} {edge:%b, %H:%M}" for edge in edges)
    return {
        "bars": picture.bars,
        "marked": picture.marked,
        "curve": picture.curve,
        "ground": picture.ground,
        "mark": percent(picture.mark),
        "line": "" if picture.line is None else percent(picture.line),
        "line_text": picture.line_text,
        "most": picture.most_text,
        "first": first,
        "end": end,
        "caption": picture.caption,
        "description": picture.description,
    }


def _picture_note(evidence: Evidence, picture: Picture | None) -> str:
    if picture is None:
        return "No hours of that time are stored, so there is no picture."
    if evidence.chart == "open_interest":
        return "Past values of open interest are not kept: this is the price."
    if evidence.chart == "funding" and picture.curve:
        return "No past payments of this contract are stored: this is the price."
    return ""


def _receipt(signal: Signal, stored_ms: int, exchange: str, zone: tzinfo) -> list[Texts]:
    def exact(at_ms: int) -> str:
        return f"{from_ms(at_ms).astimezone(zone):%H:%M:%S}.{at_ms % 1000:03d}"

    event_ms, seen_ms = signal.event_ms, signal.seen_ms
    stored = {"what": "The signal was stored", "when": exact(stored_ms), "delay": _later(stored_ms - seen_ms)}
    if signal.detector == "listing":
        # The exchange does not say when it changed its list: it is asked for it now and then.
        place = f"{exchange}’s list of contracts"
        what = f"No longer in {place}" if signal.kind == "DELISTED" else f"Seen in {place}"
        return [{"what": what, "when": exact(seen_ms), "delay": ""}, stored]
    return [
        {"what": f"{exchange} sent the value", "when": exact(event_ms), "delay": ""},
        {"what": "FlashCur received it", "when": exact(seen_ms), "delay": _later(seen_ms - event_ms)},
        stored,
    ]


def _later(ms: int) -> str:
    # The exchange's clock may be ahead of ours.
    return f"{span_text(ms)} later" if ms >= 0 else f"{span_text(-ms)} before, by the exchange’s clock"


def _outcomes(outcome: SignalOutcome | None, event_ms: int, zone: tzinfo, now_ms: int) -> list[Texts]:
    rows: list[Texts] = []
    for hours in HORIZONS_H:
        change: float | None = None if outcome is None else getattr(outcome, f"change_{hours}h")
        due_ms = known_from_ms(event_ms, hours)
        if change is not None:
            text, side = move_text(change / 100), "up" if change > 0 else "down" if change < 0 else ""
        elif now_ms < due_ms:
            # To the full minute, and a run of the job that looks.
            text, side = f"not known yet: from {moment(due_ms + 2 * MINUTE_MS, zone)} on", "open"
        elif outcome is not None and outcome.due_ms is not None:
            text, side = "not known yet", "open"
        else:
            text, side = "not known: prices of that time are missing", "open"
        rows.append({"after": f"{hours} h later", "text": text, "side": side})
    return rows


def _extremes(outcome: SignalOutcome | None) -> str:
    if outcome is None:
        return ""
    if outcome.by_hours:
        return "Measured to the nearest full hour: the minutes of that time are missing."
    if outcome.highest is None or outcome.lowest is None:
        return ""
    return (
        f"Within 24 h it was at most {move_text(outcome.highest / 100)} above and "
        f"{move_text(outcome.lowest / 100)} below."
    )


def _followed(outcome: SignalOutcome | None) -> str:
    if outcome is None:
        return ""
    known = ((hours, getattr(outcome, f"change_{hours}h")) for hours in HORIZONS_H)
    told = [f"{move_text(change / 100)} after {hours} h" for hours, change in known if change is not None]
    return ", ".join([*told, "to the nearest full hour"] if told and outcome.by_hours else told)


def _past(group: GroupStatistics) -> Texts:
    return {
        "after": f"{group.horizon_h} h later",
        "median": move_text(group.median),
        "half": f"{move_text(group.lower_quartile)} to {move_text(group.upper_quartile)}",
        "verdict": lift_text(group.lift, group.low, group.high, points=group.points),
    }


def _past_of(groups: tuple[GroupStatistics, ...]) -> str:
    if not groups:
        return ""
    group = groups[0]
    return f"{group.count:,} signals: {group_title(group.detector, group.severity, group.quadrant)}"


def statistics_texts(groups: Iterable[GroupStatistics]) -> list[Texts]:
    """One row a group and horizon: a detector's own first, then those by severity and by quadrant."""
    order = list(DETECTOR_TITLES)
    known = [group for group in groups if group.detector in order]
    known.sort(key=lambda g: (g.horizon_h, order.index(cast("DetectorName", g.detector)), _depth(g), g.severity or 0))
    return [
        {
            "horizon": str(group.horizon_h),
            "title": _row_title(group),
            "part": "1" if _depth(group) else "",
            "count": f"{group.count:,}",
            "median": move_text(group.median),
            "half": f"{move_text(group.lower_quartile)} to {move_text(group.upper_quartile)}",
            "hits": _rate(group.hit_rate, points=group.points),
            "base": _rate(group.base_rate, points=group.points),
            "verdict": ""
            if group.lift is None
            else lift_text(group.lift, group.low, group.high, points=group.points, short=True),
        }
        for group in known
    ]


def _rate(rate: float | None, *, points: bool) -> str:
    """How often; where signals point nowhere, how often what."""
    return "–" if rate is None else f"{rate * 100:.0f} %{'' if points else ' rose'}"


def _depth(group: GroupStatistics) -> int:
    return 2 if group.quadrant else 0 if group.severity is None else 1


def _row_title(group: GroupStatistics) -> str:
    if not _depth(group):
        return group_title(group.detector, None, "")
    title = group_title("", group.severity, group.quadrant).removeprefix(", ")
    return title[:1].upper() + title[1:]


def group_title(detector: str, severity: int | None, quadrant: str) -> str:
    """What the signals of a group have in common: `Open interest, long build-up, strong`."""
    detectors: dict[str, str] = {**DETECTOR_TITLES}
    titles: dict[str, str] = {**QUADRANT_TITLES, **FUNDING_SIGNS}
    parts = [detectors.get(detector, detector)]
    if quadrant:
        parts.append(titles.get(quadrant, quadrant).lower())
    if severity is not None:
        parts.append(SEVERITY_WORDS.get(severity, str(severity)).lower())
    return ", ".join(parts)
