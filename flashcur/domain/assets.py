"""What contracts are on: coins, or what exchanges list beside them (stocks, commodities, currencies).

Exchanges call the latter TradFi. The table shows crypto, whichever exchange serves, unless somebody asks for the rest
or names a contract: `docs/decisions/crypto-and-the-rest.md`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self, cast, get_args

Assets = Literal["crypto", "tradfi"]
"""The two halves of an exchange's universe."""


class AssetClass(StrEnum):
    """What a contract is on; also the word that exports and the API use."""

    letter: str
    """What the column `asset` of a frame calls it."""

    def __new__(cls, word: str, letter: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        # An attribute of its own: every frame asks it of every contract.
        member.letter = letter
        return member

    CRYPTO = "crypto", "c"
    """A coin, or an index of coins."""
    STOCK = "stock", "s"
    """A share, also of a fund, and of a company before it is listed."""
    COMMODITY = "commodity", "m"
    """A metal, a fuel, a crop."""
    FOREX = "forex", "f"
    """A currency."""
    OTHER = "other", "o"
    """No coin, and nothing that is known here: an exchange's new word."""

    @property
    def assets(self) -> Assets:
        """The half it belongs to."""
        return "crypto" if self is AssetClass.CRYPTO else "tradfi"


CLASS_OF: dict[str, AssetClass] = {asset.letter: asset for asset in AssetClass}
"""A class by its letter."""

MARKS: dict[str, str] = {
    AssetClass.STOCK.letter: "Stock",
    AssetClass.COMMODITY.letter: "Commodity",
    AssetClass.FOREX.letter: "Currency",
    AssetClass.OTHER.letter: "Other",
}
"""What a row says beside its name, by letter; crypto says nothing."""
CLOSED_MARK = ", closed"
"""Follows while the market of the underlying is closed."""


def assets_named(text: str) -> Assets:
    """`text` as a half of the universe. Raises ValueError, which names both."""
    if text not in get_args(Assets):
        raise ValueError(f"assets: expected {' or '.join(get_args(Assets))}, was {text[:40]!r}")
    return cast("Assets", text)


def assets_of(letter: str) -> Assets:
    """The half that a letter of a frame's column `asset` stands for; an older frame has none, and is of crypto."""
    return CLASS_OF.get(letter, AssetClass.CRYPTO).assets


def mark(letter: str, closed: bool) -> str:
    """What a row says beside its name: `Stock`, `Commodity, closed`; empty for crypto. The page does the same."""
    word = MARKS.get(letter, "")
    return word + CLOSED_MARK if word and closed else word
