"""The small picture of a signal: shapes within its plane, and the same in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.picture import HEIGHT, WIDTH, Picture, funding_picture, price_picture, volume_picture
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle

START = 1_795_435_200_000
END = START + 10 * HOUR_MS
AMOUNT = st.floats(0, 1e12) | st.just(0.0)


def hour(number: int, volume: float = 1e6, close: float = 100.0) -> Candle:
    open_ms = START + number * HOUR_MS
    return Candle("BTCUSDT", open_ms, 100.0, 101.0, 99.0, close, volume, True, open_ms, open_ms)


def numbers(picture: Picture) -> list[float]:
    found = re.findall(r"-?\d+(?:\.\d+)?", picture.bars + picture.marked + picture.curve + picture.ground)
    return [float(each) for each in found]


def test_volumes_are_bars_and_the_signal_s_hour_stands_out() -> None:
    picture = volume_picture(
        [hour(n, 1e6 * (n + 1)) for n in range(5)], START + 5 * HOUR_MS, 2e7, 1.5e7, "what it took to fire", START, END
    )
    assert picture is not None
    assert picture.bars.count("M") == 5
    assert picture.marked.count("M") == 1
    assert picture.line == pytest.approx(1 - 1.5e7 / (2e7 / 0.94))
    assert picture.line_text == "$15.00M"
    assert "In the hour of the signal $20.00M" in picture.description
    assert "between $1.00M and $5.00M" in picture.description
    assert "what it took to fire, $15.00M" in picture.description


def test_a_whole_hour_counts_more_than_what_was_seen_of_it() -> None:
    picture = volume_picture([hour(0), hour(1, 9e6)], START + HOUR_MS, 4e6, None, "", START, END)
    assert picture is not None
    assert "In the hour of the signal $9.00M" in picture.description
    assert picture.line is None


def test_without_hours_there_is_no_picture() -> None:
    assert volume_picture([], START, None, 3e6, "", START, END) is None
    assert price_picture([hour(0)], START, None, START, END) is None
    assert funding_picture([], START, 0.001, 8, 0.0006, "") is None


def test_prices_are_a_curve_through_the_signal() -> None:
    picture = price_picture([hour(n, close=100 + n) for n in range(4)], START + 2 * HOUR_MS + 5, 99.5, START, END)
    assert picture is not None
    assert picture.curve.count("L") == 4
    assert "between $99.5 and $103" in picture.description
    assert "it was $99.5" in picture.description


def test_payments_of_another_interval_are_compared_by_eight_hours() -> None:
    past = [Payment(START - n * 4 * HOUR_MS, 0.0001) for n in range(12, 0, -1)]
    picture = funding_picture(past, START, -0.0007, 4, -0.0006, "what it takes to be strong")
    assert picture is not None
    assert "between +0.0200 % and +0.0200 % per 8 hours" in picture.description
    assert "fired was -0.0700 %" in picture.description
    assert picture.line is not None
    assert picture.line > 0.5
    assert picture.ground


@given(st.lists(AMOUNT, max_size=9), AMOUNT, st.none() | AMOUNT)
def test_shapes_stay_within_the_plane(volumes: list[float], seen: float, line: float | None) -> None:
    hours = [hour(n, volume) for n, volume in enumerate(volumes)]
    picture = volume_picture(hours, START + 9 * HOUR_MS, seen, line, "", START, END)
    assert picture is not None
    for number in numbers(picture):
        assert -HEIGHT <= number <= max(WIDTH, HEIGHT)
    assert picture.line is None or 0 <= picture.line <= 1
