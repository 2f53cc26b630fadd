"""What followed one signal, as far as its hours are known."""

from __future__ import annotations

import pytest

from flashcur.domain.signals.aftermath import Hour, aftermath, known_from_ms
from flashcur.domain.spikes import HOUR_MS
from tests.support.signals import MINUTE_MS, NOON_MS


def hours(count: int = 24, first: int = 0) -> dict[int, Hour]:
    """Closes of 101, 102, … from the hour of noon on, each hour reaching 5 above and 3 below its close."""
    return {
        NOON_MS + number * HOUR_MS: Hour(106.0 + number, 98.0 + number, 101.0 + number)
        for number in range(first, first + count)
    }


def test_all_that_followed_is_told() -> None:
    after = aftermath(NOON_MS + 29 * MINUTE_MS, 100.0, hours())
    assert after.moves == {1: pytest.approx(0.01), 4: pytest.approx(0.04), 24: pytest.approx(0.24)}
    assert (after.highest, after.lowest) == (pytest.approx(0.29), pytest.approx(-0.02))


def test_the_nearest_full_hour_is_where_it_begins() -> None:
    late = aftermath(NOON_MS + 30 * MINUTE_MS, 100.0, hours(25))
    assert late.moves[1] == pytest.approx(0.02)
    assert late.highest == pytest.approx(0.30)
    assert known_from_ms(NOON_MS + 29 * MINUTE_MS, 1) == NOON_MS + HOUR_MS
    assert known_from_ms(NOON_MS + 30 * MINUTE_MS, 1) == NOON_MS + 2 * HOUR_MS


def test_what_is_not_known_is_none_and_never_guessed() -> None:
    part = aftermath(NOON_MS, 100.0, hours(5))
    assert (part.moves[4], part.moves[24], part.highest, part.complete) == (pytest.approx(0.04), None, None, False)
    # An hour in the middle is missing: the largest move may have been in it.
    gap = hours()
    del gap[NOON_MS + 7 * HOUR_MS]
    assert aftermath(NOON_MS, 100.0, gap).moves[24] == pytest.approx(0.24)
    assert aftermath(NOON_MS, 100.0, gap).lowest is None
    assert aftermath(NOON_MS, None, hours()).moves == {1: None, 4: None, 24: None}


def test_without_a_price_the_hour_before_says_it_and_a_move_one_way_only_is_none_the_other() -> None:
    after = aftermath(NOON_MS, None, hours(25, first=-1))
    assert after.moves[1] == pytest.approx(0.01)
    up = aftermath(NOON_MS, 50.0, hours())
    assert up.lowest == 0.0
    assert up.complete
    assert aftermath(NOON_MS, 500.0, hours()).highest == 0.0
