"""Text as it comes from outside: anything can be sent, over a socket as over HTTP."""

from __future__ import annotations

from flashcur.errors import Refusal

_NO_NAMES = frozenset({"A", "It", "Mail", "None", "Not", "Nothing", "Our", "That", "The", "This", "You", "Your"})
"""What a sentence of ours begins with, and no name does."""


def checked_text(value: object, most: int, field: str = "") -> str:
    """`value` where it is text that a database can keep: at most `most` characters, no NUL, no half characters.

    Raises Refusal for anything else, in words for whoever typed it; its `field` is the one given.
    """
    if not isinstance(value, str):
        raise Refusal("Enter text.", field=field)
    if len(value) > most:
        raise Refusal(f"Use at most {most:,} characters: this has {len(value):,}.", field=field)
    # PostgreSQL keeps no NUL, and half of a surrogate pair has no UTF-8; nobody types either.
    try:
        value.encode()
        whole = "\0" not in value
    except UnicodeEncodeError:
        whole = False
    if not whole:
        raise Refusal("This has a character that cannot be kept: type it anew.", field=field)
    return value


def lowered(sentence: str) -> str:
    """A sentence as it stands after a colon: `you stopped it`. Only what is certainly no name loses its capital."""
    first = sentence.partition(" ")[0]
    return sentence[:1].lower() + sentence[1:] if first in _NO_NAMES else sentence
