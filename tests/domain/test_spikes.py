"""The canonical volume rule and the plans' marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.plans import AUDIENCES, PLANS, last_mark_ms, next_mark_ms
from flashcur.domain.spikes import SpikeRule, volume_ratio


@pytest.mark.parametrize(
    ("previous", "current", "holds"),
    [
        (1_000_000, 3_000_000, True),
        (1_000_000, 2_999_999, False),
        (1_000_001, 3_000_000, False),
        (900_000, 2_900_000, False),
        (2_000_000, 5_900_000, False),
        (2_000_000, 6_000_000, True),
        (0, 9e9, False),
        (None, 9e9, False),
        (1.0, None, False),
    ],
)
def test_the_rule_holds_at_three_times_and_three_million(
    previous: float | None, current: float | None, holds: bool
) -> None:
    assert SpikeRule().holds(previous, current) is holds


def test_multiple_and_floor_are_settings() -> None:
    assert SpikeRule(multiple=2, floor=10).holds(5, 10)
    assert not SpikeRule(multiple=2, floor=11).holds(5, 10)


@given(st.none() | st.floats(0, 1e12), st.none() | st.floats(0, 1e12))
def test_there_is_a_ratio_only_over_a_known_hour_with_trades(previous: float | None, current: float | None) -> None:
    ratio = volume_ratio(previous, current)
    if previous is None or current is None or previous == 0:
        assert ratio is None
    else:
        assert ratio == current / previous


@given(st.sampled_from([1, 300, 900]), st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_marks_lie_around_now(cadence_s: int, now_ms: int) -> None:
    last, following = last_mark_ms(cadence_s, now_ms), next_mark_ms(cadence_s, now_ms)
    assert last <= now_ms < following
    assert following - last == cadence_s * 1000
    assert last % (cadence_s * 1000) == 0


def test_plans_differ_as_promised() -> None:
    shown = {a: (PLANS[a].cadence_s, PLANS[a].rows, PLANS[a].open_interest, PLANS[a].live) for a in AUDIENCES}
    assert shown == {
        "guest": (900, 50, False, False),
        "free": (900, 50, False, False),
        "pro": (300, None, True, False),
        "elite": (1, None, True, True),
    }
