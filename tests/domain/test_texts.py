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
        (None, "Enter text."),
        (7, "Enter text."),
        (["a"], "Enter text."),
        ("x" * 11, "Use at most 10 characters: this has 11."),
        ("x" * 12_001, "Use at most 10 characters: this has 12,001."),
        ("a\0", "This has a character that cannot be kept: type it anew."),
        ("a\ud800", "This has a character that cannot be kept: type it anew."),
        ("\udfffa", "This has a character that cannot be kept: type it anew."),
    ],
)
def test_anything_else_is_refused_in_words(value: object, words: str) -> None:
    """Each a sentence by itself: it stands beside its field, and names no type."""
    for field in ("", "email"):
        with pytest.raises(Refusal) as refused:
            checked_text(value, 10, field)
        assert (str(refused.value), refused.value.field) == (words, field)


@pytest.mark.parametrize(
    ("sentence", "after_a_colon"),
    [
        ("You switched it off.", "you switched it off."),
        ("The bot was blocked.", "the bot was blocked."),
        ("None of these can.", "none of these can."),
        ("Not on Pro.", "not on Pro."),
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
