"""Mobile numbers as people write them, and those that are refused."""

from __future__ import annotations

import pytest

from flashcur.domain.delivery.phone_number import masked, mobile_number, region_of
from flashcur.errors import Refusal


@pytest.mark.parametrize(
    ("typed", "number", "region"),
    [
        ("+44 7400 123456", "+447400123456", "GB"),
        (" 0044 (0)7400-123456 ", "+447400123456", "GB"),
        ("+1 (650) 253-0000", "+16502530000", "US"),
        ("+1 604 555 0123", "+16045550123", "CA"),
        ("+49 1512 3456789", "+4915123456789", "DE"),
        ("+९१ 98765 43210", "+919876543210", "IN"),
    ],
)
def test_a_number_has_one_form(typed: str, number: str, region: str) -> None:
    assert mobile_number(typed) == number
    assert mobile_number(number) == number
    assert region_of(number) == region


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "Give a number"),
        ("07400 123456", "country code"),
        ("+999 12345678", "No country has this code"),
        ("+44 74", "too few digits"),
        ("+44 7400 1234567890", "too many digits"),
        ("+1 155 555 0123", "no such number"),
        ("+49 30 1234567", "landline"),
        ("+44 906 123 4567", "Premium"),
        ("+1 900 555 1234", "Premium"),
        ("+1 800 555 1234", "toll-free"),
        ("+881 6 1234 5678", "Satellite"),
        ("+800 1234 5678", "Satellite"),
        ("+44 56 1234 5678", "internet phones"),
        ("+44 7400 123456 ext. 5", "without an extension"),
        ("+call-me", "Expected a phone number"),
        ("+" + "1" * 50, "at most 40"),
        ("+44 7400\0 123456", "cannot be kept"),
        (447400123456, "Enter text"),
    ],
)
def test_a_number_that_is_not_sent_to_is_refused_beside_its_field(typed: object, word: str) -> None:
    """Complaint 20: numbers that cost somebody money for nothing are not sent to."""
    with pytest.raises(Refusal, match=word) as caught:
        mobile_number(typed)
    assert caught.value.field == "number"


def test_a_number_is_shown_by_its_end() -> None:
    assert masked("+447400123456") == "+44 …3456"
    assert masked("nonsense") == "…ense"
    assert region_of("nonsense") == ""
