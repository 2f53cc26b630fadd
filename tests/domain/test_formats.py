"""How numbers are written."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain import formats

SIZES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (12, "12.00"),
        (999.99, "999.99"),
        (999.999, "1.00K"),
        (7_890, "7.89K"),
        (996_000, "996.00K"),
        (999_994, "999.99K"),
        (999_999, "1.00M"),
        (45_600_000, "45.60M"),
        (1.234e9, "1.23B"),
        (2.5e12, "2.50T"),
        (9.9e15, "9900.00T"),
        (-7_890, "-7.89K"),
        (None, ""),
        (nan, ""),
        (inf, ""),
    ],
)
def test_compact(value: float | None, text: str) -> None:
    assert formats.compact(value) == text


@given(st.floats(0.01, 9e14))
def test_compact_is_near_the_value_and_has_at_most_three_digits_before_the_point(value: float) -> None:
    text = formats.compact(value)
    letter = text[-1] if text[-1].isalpha() else ""
    number = float(text.removesuffix(letter))
    assert number < 1000
    assert abs(number * SIZES[letter] - value) <= 0.0051 * SIZES[letter]
    assert number >= 1 or not letter


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(0.00001234, 8, "0.00001234"), (96510, 1, "96510.0"), (None, 2, ""), (nan, 2, "")]
)
def test_price(value: float | None, decimals: int, text: str) -> None:
    assert formats.price(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234, "+1.23"), (-0.4, "-0.40"), (0.001, "0.00"), (-0.004, "0.00"), (0, "0.00"), (100.0, "+100.00"), (None, "")],
)
def test_percent_carries_its_sign_unless_it_is_nothing(value: float | None, text: str) -> None:
    assert formats.percent(value) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0001, "+0.0100"), (-0.00375, "-0.3750"), (0.0000001, "0.0000"), (None, "")]
)
def test_funding_rate(rate: float | None, text: str) -> None:
    assert formats.rate_percent(rate) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.419, "3.42"), (0, "0.00"), (999.99, "999.99"), (999.999, "1000"), (12345.6, "12346"), (None, "")],
)
def test_multiple(value: float | None, text: str) -> None:
    assert formats.multiple(value) == text
