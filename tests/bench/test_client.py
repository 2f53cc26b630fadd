"""How the load client judges what its sockets saw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.sockets.client import Tally, _covered, _result  # pyright: ignore[reportPrivateUsage]

SECOND = 1_000


def sockets(*seen: list[tuple[int, float]]) -> Any:
    return [SimpleNamespace(seen=list(one)) for one in seen]


def test_every_frame_at_once_is_everything() -> None:
    seen = [(number * SECOND, number + 0.05) for number in range(100, 110)]
    result = _result(sockets(seen, seen), Tally(), 99.5, 112.0)
    assert (result["frames"], result["delivered"], result["covered"]) == (10, 1.0, 1.0)
    assert result["p50_ms"] == pytest.approx(50)
    assert result["p99_ms"] == pytest.approx(50)


def test_a_newer_frame_stands_in_for_a_missed_one_only_if_it_comes_in_time() -> None:
    frames = [100_000, 101_000, 102_000]
    assert _covered(frames, [(100_000, 100.1), (102_000, 102.1)]) == 3
    assert _covered(frames, [(100_000, 100.1), (102_000, 103.1)]) == 2
    assert _covered(frames, [(100_000, 100.1)]) == 1
    assert _covered(frames, []) == 0


def test_a_socket_that_is_silent_counts_against_delivery_and_shows_in_the_longest_wait() -> None:
    seen = [(number * SECOND, number + 0.05) for number in range(100, 110)]
    result = _result(sockets(seen, []), Tally(), 99.5, 112.0)
    assert result["delivered"] == pytest.approx(0.5)
    assert result["worst_gap_s"] == pytest.approx(12.5)


def test_frames_whose_stragglers_would_not_be_seen_are_left_out() -> None:
    seen = [(number * SECOND, number + 0.05) for number in range(100, 110)]
    assert _result(sockets(seen), Tally(), 99.5, 109.9)["frames"] == 8


def test_one_message_for_many_sockets_is_looked_into_once() -> None:
    tally = Tally()
    head = b'{"as_of":1795426271003}'
    assert tally.frame_of(head, len(head), False) == 1795426271003
    assert tally.frame_of(head, len(head), False) == 1795426271003
    assert tally.frame_of(b"2", 1, False) is None
