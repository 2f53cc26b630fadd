"""The ring of past hours, against a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.hourly_volumes import KEPT_HOURS, WEEK_HOURS, HourlyVolumes
from tests.domain.signals.market import at


@given(st.lists(st.tuples(st.integers(-10, 2_000), st.floats(0, 1e12)), max_size=60))
def test_it_is_a_dictionary_of_the_newest_hours(puts: list[tuple[int, float]]) -> None:
    ring, all_of_them = HourlyVolumes(), dict[int, float]()
    for hour, volume in puts:
        before = ring.version
        changed = ring.put(at(hour), volume)
        assert changed == (ring.version > before)
        newest = max(all_of_them, default=hour)
        if hour > newest - KEPT_HOURS:
            all_of_them[hour] = volume
        newest = max(all_of_them)
        all_of_them = {each: v for each, v in all_of_them.items() if each > newest - KEPT_HOURS}
        for each in {hour, *all_of_them, newest + 1, newest - KEPT_HOURS, newest - KEPT_HOURS + 1}:
            assert ring.at(at(each)) == all_of_them.get(each)


def test_what_is_known_newest_first() -> None:
    ring = HourlyVolumes()
    for hour in (0, 1, 3):
        ring.put(at(hour), float(hour))
    assert ring.known(at(4), 4) == [3.0, 1.0, 0.0]
    assert ring.known(at(4), 2, stride=3) == [1.0]
    assert ring.at(at(2)) is None


def test_an_hour_that_is_judged_when_the_next_is_over_still_has_its_four_weeks() -> None:
    volumes = HourlyVolumes()
    for hour in range(-4 * WEEK_HOURS, 2):
        volumes.put(at(hour), 1.0)
    assert volumes.known(at(0), 4, WEEK_HOURS) == [1.0] * 4
