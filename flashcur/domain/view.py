"""A view of the table: search, filters and order, as `assets/browser/rows.ts` applies them in the browser.

The server needs the same rows in the same order for an export. The page filters and sorts by the values it displays,
not by the exact ones, and compares text as JavaScript does; so does this module, and a test holds both together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import Literal, Self, TypeVar, cast, get_args
from urllib.parse import urlencode

from flashcur.domain.assets import Assets, assets_of
from flashcur.domain.frames import Frame
from flashcur.domain.multiples import coin

Sort = Literal["symbol", "price", "change", "volume", "ratio", "funding", "oi", "oi1h"]
Direction = Literal["asc", "desc"]
Show = Literal["all", "gainers", "losers", "spiking"]

Choice = TypeVar("Choice", bound=str)

CHOICES = ("q", "sort", "dir", "min", "show", "assets")
"""What an address says of a view, beside the list."""
SEARCH_LENGTH = 40
"""UTF-16 units of the search text that count, as in the page."""

SCALES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
# What JavaScript calls white space; Python's strip() takes U+001C to U+001F and U+0085 as well, and leaves U+FEFF.
_SPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_INFINITE = {"Infinity": inf, "+Infinity": inf, "-Infinity": -inf}


@dataclass(frozen=True, slots=True)
class View:
    """What a visitor chose; the defaults are those of the page."""

    q: str = ""
    """Part of a symbol or a base asset, whatever its case; or another name of it (`domain.multiples`)."""
    sort: Sort = "volume"
    dir: Direction = "desc"
    min: str = ""
    """Least 24 h volume as it was typed (`50M`); empty for none."""
    show: Show = "all"
    assets: Assets = "crypto"
    """Crypto also shows what else is named, by the search or by a list; `tradfi` shows no crypto."""
    symbols: frozenset[str] | None = None
    """Only these contracts, unless something is searched for; None for all."""

    @classmethod
    def parse(cls, params: Mapping[str, str], symbols: frozenset[str] | None = None) -> Self:
        """The view in an address's parameters. Never raises: what is unknown or wrong counts as not given."""
        least = params.get("min", "")
        return cls(
            q=_cut(params.get("q", "")),
            sort=_choice(params.get("sort"), get_args(Sort), cast("Sort", "volume")),
            dir=_choice(params.get("dir"), get_args(Direction), cast("Direction", "desc")),
            min=least if isfinite(amount(least)) else "",
            show=_choice(params.get("show"), get_args(Show), cast("Show", "all")),
            assets=_choice(params.get("assets"), get_args(Assets), cast("Assets", "crypto")),
            symbols=symbols,
        )

    def query(self, list_id: str = "") -> str:
        """This view as URL-encoded parameters, without what is the default; empty for the page's own view.

        `list_id` is the id of the watchlist that is shown; one that cannot be an id is left out.
        """
        default = View()
        plain = {name: getattr(self, name) for name in CHOICES}
        changed = {name: value for name, value in plain.items() if value != getattr(default, name)}
        if list_id.isalnum() and len(list_id) <= 32:
            changed["list"] = list_id
        return urlencode(changed)


def select(frame: Frame, view: View) -> list[int]:
    """Indices of the frame's rows that `view` shows, in its order; missing values come last in both directions."""
    order = _matching(frame, view)
    if view.sort == "symbol":
        bases = _column(frame, "base")
        # Stable in both directions: equal rows stay in the frame's order.
        return sorted(order, key=lambda i: _units(bases[i]), reverse=view.dir == "desc")
    numbers = [amount(text) for text in _column(frame, view.sort)]
    present = [i for i in order if not isnan(numbers[i])]
    missing = [i for i in order if isnan(numbers[i])]
    return sorted(present, key=lambda i: numbers[i], reverse=view.dir == "desc") + missing


def amount(text: str) -> float:
    """`1.23B`, `2.5m`, `3000000` as a number; NaN for an empty text and for what is not a number."""
    if not text:
        return nan
    scale = SCALES.get(text[-1].upper())
    return _number(text) if scale is None else _number(text[:-1]) * scale


def _matching(frame: Frame, view: View) -> list[int]:
    symbols, bases = frame.values("symbol"), _column(frame, "base")
    changes = _column(frame, "change")
    halves = [assets_of(letter) for letter in _column(frame, "asset")]
    spikes = _column(frame, "spike")
    volumes = [amount(text) for text in _column(frame, "volume")]
    wanted = view.q.strip(_SPACE).upper()
    about = coin(wanted)
    coins = list(map(coin, bases)) if wanted or view.symbols is not None else []
    # A list may hold contracts of another exchange, which names them otherwise.
    others = frozenset(map(coin, (view.symbols or frozenset()).difference(symbols)))
    least = amount(view.min)
    # Whoever names a contract looks for it, whatever it is on.
    both = view.assets == "crypto" and (bool(wanted) or view.symbols is not None)
    order: list[int] = []
    for i, symbol in enumerate(symbols):
        if not both and halves[i] != view.assets:
            continue
        if view.symbols is not None and not wanted and symbol not in view.symbols and coins[i] not in others:
            continue
        if wanted and wanted not in symbol.upper() and wanted not in bases[i].upper() and coins[i] != about:
            continue
        if least > 0 and not volumes[i] >= least:
            continue
        if view.show == "gainers" and not _number(changes[i]) > 0:
            continue
        if view.show == "losers" and not _number(changes[i]) < 0:
            continue
        if view.show == "spiking" and spikes[i] != "1":
            continue
        order.append(i)
    return order


def _column(frame: Frame, name: str) -> list[str]:
    """A column's texts; all missing where the frame does not have it."""
    return frame.values(name) if name in frame.columns else [""] * frame.count


def _choice(text: str | None, choices: tuple[Choice, ...], default: Choice) -> Choice:
    return cast("Choice", text) if text in choices else default


def _cut(text: str) -> str:
    """The first `SEARCH_LENGTH` UTF-16 units, without a character that the cut would halve."""
    return _units(text, "utf-16-le")[: 2 * SEARCH_LENGTH].decode("utf-16-le", "ignore")


def _units(text: str, encoding: str = "utf-16-be") -> bytes:
    """Bytes that compare as JavaScript compares strings: by UTF-16 units, not by code points."""
    return text.encode(encoding, "surrogatepass")


def _number(text: str) -> float:
    """JavaScript's `Number(text)`."""
    text = text.strip(_SPACE)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _PREFIXED.fullmatch(text):
        try:
            return float(int(text, 0))
        except OverflowError:
            return inf
    return _INFINITE.get(text, nan)
