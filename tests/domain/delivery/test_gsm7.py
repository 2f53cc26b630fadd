"""Texts of SMS: in the cheap alphabet, and counted as the networks count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.gsm7 import cut, septets, to_gsm7

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("BTC at 65,010", 13),
        ("€", 2),
        ("[x]{y}~^|\\", 18),
        ("£¥èéùìòÇØøÅåΔΦß@", 16),
        ("two\nlines", 9),
    ],
)
def test_signs_of_the_extension_count_twice(text: str, length: int) -> None:
    """Complaint 20: €, [] and {} count two."""
    assert septets(text) == length
    assert to_gsm7(text) == text


@pytest.mark.parametrize("character", ["–", "“", "ç", "`", "₿", "\t", "\0", "й", "🚀"])
def test_what_would_double_the_price_is_not_counted(character: str) -> None:
    with pytest.raises(ValueError, match="GSM alphabet"):
        septets(f"a{character}b")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("up 5 % – “fast”, it’s…", 'up 5 % - "fast", it\'s...'),
        ("ratio ≥ 3 → 4×", "ratio >= 3 -> 4x"),
        ("Łódź, façade", "Lodz, facade"),
        # Composed first: a letter with its accent beside it is one letter of the alphabet.
        ("e\u0301", "é"),
        ("🚀 moon\u200b\x1b[31m", " moon[31m"),
        ("a\r\nb\tc", "a\nb c"),
        ("\ud800x", "x"),
        ("`", "'"),
    ],
)
def test_signs_are_written_with_what_there_is(text: str, written: str) -> None:
    assert to_gsm7(text) == written


@given(ANY_TEXT, st.integers(3, 400))
def test_any_text_fits(text: str, most: int) -> None:
    """Complaint 20: whatever is in it, no text leaves the alphabet or the length."""
    written = to_gsm7(text)
    shorter = cut(written, most)
    assert septets(shorter) <= most
    assert shorter == written or shorter.endswith("...")
    assert to_gsm7(written) == written


def test_a_sign_of_two_septets_is_not_cut_in_half() -> None:
    assert cut("abc€€", 6) == "abc..."
    assert cut("ab€€€", 7) == "ab€..."
    assert cut("abcd", 2) == ""
