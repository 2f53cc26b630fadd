"""What people read of signals."""

from __future__ import annotations

import pytest

from flashcur.domain.signals.evidence import ROLES
from flashcur.domain.signals.signal import DETECTOR_NAMES, DIRECTIONS, KINDS, QUADRANTS, SEVERITIES
from flashcur.domain.signals.words import (
    DETECTOR_TITLES,
    DIRECTION_WORDS,
    KIND_TITLES,
    QUADRANT_MEANINGS,
    QUADRANT_TITLES,
    ROLE_TITLES,
    SEVERITY_WORDS,
    lift_text,
    move_text,
    span_text,
)


def test_everything_has_a_name() -> None:
    assert set(KIND_TITLES) == set(KINDS)
    assert set(DETECTOR_TITLES) == set(DETECTOR_NAMES)
    assert set(DIRECTION_WORDS) == set(DIRECTIONS)
    assert set(SEVERITY_WORDS) == set(SEVERITIES)
    assert set(QUADRANT_TITLES) == set(QUADRANT_MEANINGS) == set(QUADRANTS)
    assert set(ROLE_TITLES) == set(ROLES)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 ms"),
        (40, "40 ms"),
        (999, "999 ms"),
        (1_240, "1.2 s"),
        (180_000, "3 min"),
        (7_500_000, "2 h 5 min"),
        (86_400_000, "1 day"),
        (2 * 86_400_000 + 3_600_000, "2 days 1 h"),
        (86_400_000 + 60_000, "1 day"),
    ],
)
def test_lengths_of_time(ms: int, text: str) -> None:
    assert span_text(ms) == text


def test_moves() -> None:
    assert [move_text(x) for x in (0.0123, -0.004, 0.00001, -0.00001)] == ["+1.23 %", "-0.40 %", "0.00 %", "0.00 %"]


@pytest.mark.parametrize(
    ("lift", "low", "high", "end"),
    [
        (None, None, None, "Nothing to compare with yet."),
        (1.08, None, None, "too little time has passed to tell this from chance."),
        (1.08, 0.94, 1.23, "1.08 times as often as without a signal; 95 % interval 0.94 to 1.23: this may be chance."),
        (1.3, 1.1, 1.5, "more than chance."),
        (0.7, 0.5, 0.9, "less than chance, so the price rather went the other way."),
    ],
)
def test_lift_is_told_with_what_it_is_worth(
    lift: float | None, low: float | None, high: float | None, end: str
) -> None:
    assert lift_text(lift, low, high).endswith(end)


def test_what_points_nowhere_is_followed_by_a_price_that_rises_or_falls() -> None:
    assert lift_text(1.3, 1.1, 1.5).startswith("The price went where they pointed 1.30 times as often")
    assert lift_text(1.3, 1.1, 1.5, points=False).startswith("The price rose 1.30 times as often as without a signal")
    assert lift_text(0.7, 0.5, 0.9, points=False).endswith("less than chance, so the price rather fell.")
    assert lift_text(0.7, 0.5, 0.9, points=False, short=True).startswith("0.70 times")
