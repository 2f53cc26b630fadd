"""Fitting a message into what a channel takes: what cannot be shown is taken out, and what is too long is cut.

Texts are cut before they are escaped, so no entity and no escape is ever cut in two; what each character will cost
once it is escaped is counted beforehand.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from flashcur.domain.delivery.message import Message

Cost = Callable[[str], int]
"""What a text costs of a channel's limit once it is escaped; that of two texts is the sum of theirs."""

MOST_TITLE, MOST_LINE, MOST_NOTE = 200, 500, 300
"""Cost of one of them, whatever room there is."""
_MORE_ROOM = 24
"""For "+1,234 more" in a line of its own."""
_QUOTES_ROOM = 3
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Would turn round what follows them, our own words too."""
_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A message's texts, each one line, not escaped yet."""

    title: str
    """Never empty."""
    lines: tuple[str, ...]
    note: str
    """Empty where there is none."""
    more: int
    """How many lines, or things that lines would tell of, are left out."""

    @property
    def more_text(self) -> str:
        """`+3 more`; empty where nothing is left out."""
        return f"+{self.more:,} more" if self.more else ""


def fit(message: Message, most: int, cost: Cost) -> Fitted:
    """The message within `most` of cost, a line end between each two lines included; links and markup come on top.

    Lines are left out from the end.
    """
    title = cut(one_line(message.title), MOST_TITLE, cost) or "FlashCur"
    note = cut(one_line(message.note), MOST_NOTE, cost)
    left = most - cost(title) - _MORE_ROOM - (cost(note) + _QUOTES_ROOM if note else 0)
    lines: list[str] = []
    for raw in message.lines:
        line = cut(one_line(raw), MOST_LINE, cost)
        left -= cost(line) + 1
        if left < 0:
            break
        lines.append(line)
    return Fitted(title, tuple(lines), note, max(0, message.more) + len(message.lines) - len(lines))


def cut(text: str, most: int, cost: Cost) -> str:
    """`text` where it costs at most `most`, else its beginning and "…"; what is drawn as one is not parted."""
    if cost(text) <= most:
        return text
    left = most - cost("…")
    end = 0
    for char in text:
        left -= cost(char)
        if left < 0:
            break
        end += 1
    while 0 < end < len(text) and (_continues(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip() + "…"


def one_line(text: str) -> str:
    """`text` on one line, without control characters, halves of characters, and what turns the direction round."""
    kept: list[str] = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cs":
            kept.append("\ufffd")
        elif category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif char not in _TURNING:
            kept.append(char)
    return " ".join("".join(kept).split())


def utf16_units(text: str) -> int:
    """How many UTF-16 code units: what Telegram counts, and an emoji has two of."""
    return len(text) + sum(char > "\uffff" for char in text)


def _continues(char: str) -> bool:
    """Whether it is drawn with the character before it."""
    return char == _JOINER or unicodedata.category(char) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= char <= "\U0001f3ff"
