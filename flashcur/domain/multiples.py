"""Names that count a coin by the thousand: `1000PEPE`, `SHIB1000` and `1MBABYDOGE` are PEPE, SHIB and BABYDOGE.

Exchanges price a coin that is worth next to nothing in packets, and each names the packet its own way. The page does
the same (`assets/browser/multiples.ts`), by the same pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PATTERN = "(?:(10{3,})([^0-9].*)|(.*[^0-9])(10{3,})|1M([A-Z]{3,}))"
"""A number and a coin in groups 1 and 2, a coin and a number in 3 and 4, or a coin by the million in 5."""

_PATTERN = re.compile(PATTERN, re.DOTALL)
_QUOTE = "USDT"


def split(base: str) -> tuple[int, str]:
    """(how many, of which coin) of a base asset in capitals; (1, base) for all but a few."""
    found = _PATTERN.fullmatch(base)
    if found is None:
        return 1, base
    before, first, second, after, by_million = found.groups()
    return (1_000_000, by_million) if by_million else (int(before or after), first or second)


def coin(name: str) -> str:
    """The coin that a base asset or a symbol in USDT is about, in capitals: `SHIB` of `1000SHIBUSDT` and `shib1000`."""
    name = name.upper()
    return split(name.removesuffix(_QUOTE) or name)[1]


def under_other_names(name: str, symbols: Iterable[str]) -> list[str]:
    """The contracts that are about the coin of `name`, whatever number of it they count, in alphabetical order."""
    wanted = coin(name)
    return sorted(symbol for symbol in symbols if coin(symbol) == wanted)
