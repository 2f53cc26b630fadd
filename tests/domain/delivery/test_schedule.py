"""Pauses between attempts: as stated, jittered, never past the use of a message."""

from __future__ import annotations

import pytest

from flashcur.domain.delivery.schedule import (
    LONGEST_WAIT_S,
    PAUSES_S,
    SHORTEST_S,
    TOLD_AT_ONCE,
    next_attempt_ms,
    pause_s,
    told_again_ms,
    told_to_wait_ms,
)

NOW = 1_800_000_000_000
DAY_MS = 24 * 3_600_000


@pytest.mark.parametrize(("attempts", "pause"), [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3600), (6, 3600), (99, 3600)])
def test_pauses_are_as_stated_and_a_fifth_shorter_or_longer(attempts: int, pause: int) -> None:
    assert pause_s(attempts, 0.5) == pytest.approx(pause)
    assert pause_s(attempts, 0) == pytest.approx(0.8 * pause)
    assert pause_s(attempts, 1) == pytest.approx(1.2 * pause)


def test_the_next_attempt_is_after_the_pause_while_there_is_time() -> None:
    for attempts, pause in enumerate(PAUSES_S, 1):
        assert next_attempt_ms(attempts, NOW, NOW + DAY_MS, 0.5) == NOW + 1000 * pause


def test_a_pause_is_at_most_half_of_the_time_that_is_left() -> None:
    assert next_attempt_ms(5, NOW, NOW + 2_000_000, 0.5) == NOW + 1_000_000
    tries, now = 0, NOW
    while (due := next_attempt_ms(tries + 1, now, NOW + 3_600_000, 0.5)) is not None:
        assert now + 1000 * SHORTEST_S <= due < NOW + 3_600_000
        tries, now = tries + 1, due
    # It is tried until its use is over, and not for ever.
    assert now >= NOW + 3_600_000 - 1000 * SHORTEST_S
    assert 10 < tries < 20


def test_a_provider_is_not_asked_earlier_than_it_said() -> None:
    assert next_attempt_ms(1, NOW, NOW + DAY_MS, 0.5, at_least_s=900) == NOW + 900_000
    assert next_attempt_ms(1, NOW, NOW + 1_000_000, 0.5, at_least_s=900) == NOW + 900_000


@pytest.mark.parametrize("said_s", [900, 3600, 86_400, 1e12, float("inf")])
def test_who_is_away_for_longer_than_a_message_is_of_use_is_asked_all_the_same(said_s: float) -> None:
    assert next_attempt_ms(1, NOW, NOW + 900_000, 0.5, at_least_s=said_s) == NOW + 5_000
    assert next_attempt_ms(5, NOW, NOW + 900_000, 0.5, at_least_s=said_s) == NOW + 450_000


def test_who_says_at_once_again_and_again_is_asked_less_and_less_often() -> None:
    waits: list[int] = []
    now, expires = NOW, NOW + 6 * 3_600_000
    while (due := told_again_ms(0, now, expires, 0.5, before=len(waits))) is not None:
        waits.append((due - now) // 1000)
        now = due
    assert waits[: TOLD_AT_ONCE + len(PAUSES_S)] == [1] * TOLD_AT_ONCE + [*PAUSES_S]
    assert len(waits) < 30
    # It is jittered, and what is told may be longer.
    assert told_again_ms(0, NOW, expires, 0, before=5) == NOW + 96_000
    assert told_again_ms(5000, NOW, expires, 0, before=5) == NOW + 5_000_000
    assert told_again_ms(5000, NOW, NOW + 5_000_000, 0, before=0) is None


def test_what_would_come_too_late_is_not_tried_again() -> None:
    assert next_attempt_ms(1, NOW, NOW + 5_000, 0.5) is None
    assert next_attempt_ms(1, NOW, NOW - 1, 0.5) is None


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        (30, 30),
        (0, 1),
        (0.2, 1),
        (10_072, 10_072),
        (-5, SHORTEST_S),
        (float("nan"), SHORTEST_S),
        (float("inf"), SHORTEST_S),
        (1e300, LONGEST_WAIT_S),
    ],
)
def test_a_provider_is_left_alone_for_as_long_as_it_asks(told: float, waits: float) -> None:
    assert told_to_wait_ms(told, NOW) == NOW + 1000 * waits
