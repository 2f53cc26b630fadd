"""What becomes of texts that are too long, or not fit to be shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import Cost, cut, fit, one_line, utf16_units
from tests.support.messages import ALERT, any_message


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("ab  cd", 4, "ab…"),
        ("😀😀", 4, "😀😀"),
        ("😀😀😀", 5, "😀😀…"),
        ("😀😀😀", 4, "😀…"),
        ("xe\u0301yy", 3, "x…"),
        ("x👍🏽y", 4, "x…"),
        ("a👨‍👩‍👧b", 6, "a…"),
        ("abc", 1, "…"),
    ],
)
def test_a_text_is_cut_where_no_character_is_parted(text: str, most: int, left: str) -> None:
    """Complaint 14: counted in UTF-16 units."""
    assert cut(text, most, utf16_units) == left


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb\x00c\x1b[0m", "a b c [0m"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("  a   b  ", "a b"),
        ("a\u202eb\u202cc\u2067d\u2069", "abcd"),
        ("\ud83d!", "\ufffd!"),
        ("שלום", "שלום"),
        ("\x00\t", ""),
    ],
)
def test_what_cannot_be_shown_is_taken_out(text: str, line: str) -> None:
    assert one_line(text) == line


def test_lines_are_left_out_from_the_end_and_counted() -> None:
    """Complaint 14: "+n more" instead of an error for what is too long."""
    message = replace(ALERT, kind="digest", lines=tuple(f"line {number:04}" for number in range(1_000)), more=7)
    parts = fit(message, 1_000, utf16_units)
    assert parts.lines == message.lines[: len(parts.lines)]
    assert len(parts.lines) > 80
    assert parts.more == 1_000 - len(parts.lines) + 7
    assert parts.more_text == f"+{parts.more} more"


def test_nothing_is_left_out_where_all_fits() -> None:
    parts = fit(ALERT, 1_000, utf16_units)
    assert (parts.title, parts.lines, parts.note) == (ALERT.title, ALERT.lines, ALERT.note)
    assert (parts.more, parts.more_text) == (0, "")


def test_a_message_without_a_title_has_one() -> None:
    assert fit(replace(ALERT, title=" \x00"), 1_000, utf16_units).title == "FlashCur"


def five_each(text: str) -> int:
    """As if each character were escaped."""
    return 5 * len(text)


@given(any_message, st.integers(4_500, 20_000), st.sampled_from([utf16_units, five_each]))
def test_whatever_is_written_fits(message: Message, most: int, cost: Cost) -> None:
    parts = fit(message, most, cost)
    text = "\n".join([parts.title, *parts.lines, *([f"“{parts.note}”"] if parts.note else [])])
    assert cost(text) <= most
    assert text.encode()
    assert len(parts.lines) + parts.more == len(message.lines) + message.more
