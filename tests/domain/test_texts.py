"""Text as it comes from outside."""

from __future__ import annotations

import pytest

from flashcur.domain.texts import checked_text
from flashcur.errors import Refusal


@pytest.mark.parametrize("value", ["", "a", "Grüezi 币安 🚀", "a\nb\tc", "x" * 10])
def test_what_a_database_can_keep_is_taken(value: str) -> None:
    assert checked_text(value, 10 if len(value) <= 10 else len(value)) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "Expected a text, was NoneType."),
        (7, "Expected a text, was int."),
        (["a"], "Expected a text, was list."),
        ("x" * 11, "Expected at most 10 characters, was 11."),
        ("a\0", "without NUL or half characters"),
        ("a\ud800", "without NUL or half characters"),
        ("\udfffa", "without NUL or half characters"),
    ],
)
def test_anything_else_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        checked_text(value, 10)
    with pytest.raises(Refusal) as named:
        checked_text(value, 10, "email")
    assert str(named.value).startswith("email: expected")
    assert named.value.field == "email"
