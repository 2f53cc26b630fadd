"""Signals as the API answers them; the fields are those of `web.api.schema`."""

from __future__ import annotations

from typing import Any

from flashcur.domain.exports import iso
from flashcur.domain.signals.evidence import Evidence
from flashcur.models import SignalOutcome, SignalRecord

_NOTHING_KNOWN = SignalOutcome(signal_id=0, by_hours=False)


def signal_json(record: SignalRecord, outcome: SignalOutcome | None) -> dict[str, Any]:
    """A stored signal with why it fired, how long it took to be told, and what followed."""
    return {
        "id": record.id,
        "key": record.key,
        "detector": record.detector,
        "kind": record.kind,
        "exchange": record.exchange,
        "demo": record.demo,
        "symbol": record.symbol,
        "base": record.base,
        "severity": record.severity,
        "direction": record.direction,
        "quadrant": record.quadrant or None,
        "text": record.text,
        "price": record.price,
        "period_at": iso(record.period_ms),
        "period_s": record.span_ms // 1000,
        "evidence": _evidence(record),
        "receipt": {
            "event_at": iso(record.event_ms),
            "seen_at": iso(record.seen_ms),
            "stored_at": iso(record.stored_ms),
            "seen_after_ms": record.seen_ms - record.event_ms,
            "stored_after_ms": record.stored_ms - record.seen_ms,
        },
        "outcome": _outcome(outcome or _NOTHING_KNOWN),
    }


def _evidence(record: SignalRecord) -> dict[str, Any] | None:
    try:
        evidence = Evidence.from_json(record.evidence)
    except ValueError:
        # Of a version that this one does not know; the signal itself is as good as ever.
        return None
    measures = [
        {
            "name": each.name,
            "label": each.label,
            "value": each.value,
            "unit": each.unit,
            "role": each.role,
            "text": each.text,
        }
        for each in evidence.measures
    ]
    return {
        "rule_version": evidence.rule_version,
        "measures": measures,
        "chart": evidence.chart,
        "line": evidence.line,
    }


def _outcome(outcome: SignalOutcome) -> dict[str, float | bool | None]:
    return {
        "change_1h_pct": outcome.change_1h,
        "change_4h_pct": outcome.change_4h,
        "change_24h_pct": outcome.change_24h,
        "highest_pct": outcome.highest,
        "lowest_pct": outcome.lowest,
        "by_hours": outcome.by_hours,
    }
