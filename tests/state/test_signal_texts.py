"""What the sheet says of what followed a signal, and from when on."""

from __future__ import annotations

from datetime import UTC

from flashcur.domain.signals.aftermath import known_from_ms
from flashcur.domain.spikes import HOUR_MS
from flashcur.models import SignalOutcome
from flashcur.state.signal_texts import _extremes, _followed, _outcomes
from tests.support.signals import MINUTE_MS, NOON_MS

AT_MS = NOON_MS + 31 * MINUTE_MS + 20_000


def told(outcome: SignalOutcome, now_ms: int) -> list[str]:
    return [row["text"] for row in _outcomes(outcome, AT_MS, UTC, now_ms)]


def test_what_is_not_known_yet_is_known_from_the_minute_it_names_on() -> None:
    fresh = SignalOutcome(signal_id=1, due_ms=known_from_ms(AT_MS, 1))
    # 12:31:20 and an hour; a minute until it is looked for, and a run each minute.
    first, *_ = told(fresh, AT_MS)
    assert first == "not known yet: from 23 Nov 2026, 13:34 UTC on"
    assert known_from_ms(AT_MS, 1) + MINUTE_MS <= NOON_MS + HOUR_MS + 34 * MINUTE_MS
    assert told(fresh, known_from_ms(AT_MS, 1))[0] == "not known yet"
    assert told(SignalOutcome(signal_id=1), AT_MS + 99 * HOUR_MS)[2] == "not known: prices of that time are missing"


def test_largest_moves_are_told_once_all_is_known_and_hours_are_named_as_such() -> None:
    part = SignalOutcome(signal_id=1, change_1h=1.0, highest_1h=3.0, lowest_1h=0.0, by_hours=False)
    assert _extremes(part) == ""
    whole = SignalOutcome(signal_id=1, highest=3.0, lowest=-1.0, by_hours=False)
    assert _extremes(whole).startswith("Within 24 h it was at most ")
    rough = SignalOutcome(signal_id=1, change_1h=1.0, by_hours=True)
    assert _followed(part) == "+1.00 % after 1 h"
    assert _followed(rough) == "+1.00 % after 1 h, to the nearest full hour"
    assert _extremes(rough) == "Measured to the nearest full hour: the minutes of that time are missing."
