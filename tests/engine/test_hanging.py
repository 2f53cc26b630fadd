"""Places that let us wait, and the room that they take."""

from __future__ import annotations

from flashcur.engine.hanging import FORGOTTEN_S, HANGS_S, SLOW_S, SPARE, Hanging


def test_who_has_not_answered_for_a_moment_holds_no_room() -> None:
    hanging = Hanging()
    hanging.ask("a", 10.0)
    hanging.ask("b", 10.0 + SLOW_S / 2)
    assert (hanging.slow(10.0), hanging.until_slow_s(10.0)) == (0, SLOW_S)
    assert (hanging.slow(10.0 + SLOW_S), hanging.until_slow_s(10.0 + SLOW_S)) == (1, SLOW_S / 2)
    assert (hanging.slow(11.0), hanging.until_slow_s(11.0)) == (2, 0.0)
    hanging.ended("a", 11.0)
    assert hanging.slow(11.0) == 1


def test_there_is_an_end_of_those_that_are_waited_for() -> None:
    hanging = Hanging()
    for number in range(SPARE + 5):
        hanging.ask(str(number), 0.0)
    assert hanging.slow(HANGS_S) == SPARE


def test_who_hung_has_a_share_until_it_is_quicker() -> None:
    hanging = Hanging()
    for each in ("a", "b", "c"):
        hanging.ask(each, 0.0)
    hanging.ended("a", HANGS_S)
    hanging.ended("b", HANGS_S)
    hanging.ended("c", HANGS_S / 2)
    assert list(hanging.places) == ["a", "b"]
    assert (hanging.room(8), hanging.room(1)) == (2, 1)
    hanging.ask("a", 10.0)
    hanging.ask("c", 10.0)
    assert (hanging.room(8), hanging.room(1)) == (1, 0)
    hanging.ended("a", 10.1)
    assert list(hanging.places) == ["b"]


def test_a_place_that_hung_long_ago_is_forgotten() -> None:
    hanging = Hanging()
    hanging.ask("a", 0.0)
    hanging.ended("a", HANGS_S)
    hanging.ended("another", HANGS_S + FORGOTTEN_S)
    assert list(hanging.places) == ["a"]
    hanging.ended("another", HANGS_S + FORGOTTEN_S + 1)
    assert list(hanging.places) == []
