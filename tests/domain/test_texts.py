"""Text as it comes from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flashcur.domain.texts import checked_text, lowered
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


@pytest.mark.parametrize(
    ("sentence", "after_a_colon"),
    [
        ("You switched it off.", "you switched it off."),
        ("The bot was blocked.", "the bot was blocked."),
        ("Discord says that this webhook was deleted.", "Discord says that this webhook was deleted."),
        ("STOP was sent.", "STOP was sent."),
        ("", ""),
    ],
)
def test_after_a_colon_only_a_name_keeps_its_capital(sentence: str, after_a_colon: str) -> None:
    assert lowered(sentence) == after_a_colon


def test_email_has_one_spelling() -> None:
    root = Path(__file__).parents[2]
    files = [*root.glob("flashcur/**/*.py"), *root.glob("docs/*.md"), root / "README.md", root / "CHANGELOG.md"]
    assert [str(file) for file in files if re.search(r"\be-mail", file.read_text(encoding="utf-8"), re.I)] == []
