"""Text as a cheap SMS takes it: the GSM 03.38 alphabet, counted in septets. Pure.

One character outside the alphabet has the whole message sent in another one, at 70 characters a segment instead of
160: a typographic dash doubles the price. So what is not in it is written with what is.
"""

from __future__ import annotations

import unicodedata

from anyascii import anyascii

SEGMENT = 160
"""Septets of a message that is sent as one."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€")
"""Written with an escape before them: two septets each."""

_INSTEAD = {
    "`": "'",
    "\t": " ",
    "…": "...",
    "·": "-",
    "•": "-",
    "×": "x",
    "→": "->",
    "←": "<-",
    "↑": "up",
    "↓": "down",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "±": "+-",
    "₿": "BTC",
    "₮": "USDT",
}
_CUT = "..."


def septets(text: str) -> int:
    """How long a text of the alphabet is. Raises ValueError, which names it, for a character that is not in it."""
    length = 0
    for character in text:
        if character in _EXTENDED:
            length += 2
        elif character in _BASIC:
            length += 1
        else:
            raise ValueError(f"expected characters of the GSM alphabet, was {character!r}")
    return length


def to_gsm7(text: str) -> str:
    """The text in the alphabet: signs by what they mean, letters by how they sound, pictures and controls left out."""
    return "".join(_written(character) for character in unicodedata.normalize("NFC", text))


def cut(text: str, most: int) -> str:
    """A text of the alphabet in at most `most` septets, with three dots where something is left out.

    Raises ValueError as `septets` does.
    """
    if septets(text) <= most:
        return text
    kept, length = "", 0
    for character in text:
        length += septets(character)
        if length > most - len(_CUT):
            break
        kept += character
    return kept.rstrip() + _CUT if most >= len(_CUT) else ""


def _written(character: str) -> str:
    if character in _BASIC or character in _EXTENDED:
        return "" if character == "\r" else character
    if character in _INSTEAD:
        return _INSTEAD[character]
    kind = unicodedata.category(character)
    # Half of a surrogate pair, too, which nothing can transliterate.
    if kind[0] == "C" or kind in ("So", "Sk", "Mn", "Me"):
        return ""
    return "".join(_INSTEAD.get(each, each) for each in anyascii(character) if each in _BASIC or each in "`~[]{}|\\^")
