"""Watchlists without their database: names, symbols, what a plan allows, and files to import.

What exceeds a plan after a downgrade is derived from the order of the lists and never stored: the first ones, as many
as the plan has, can be changed; the others are read-only until they are deleted or the plan is raised again.
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import orjson

from flashcur.domain.exports import SECTION, ascii_name
from flashcur.domain.multiples import coin
from flashcur.domain.plans import PLAN_NAMES, PLANS, Plan

NAME_LENGTH = 60
"""Characters of a list's name at most."""
KEY_LENGTH = 120
"""Characters of a `name_key` at most."""
SYMBOL_LENGTH = 40
"""Characters of a symbol at most."""
IMPORT_BYTES = 512_000
"""Bytes of an imported file at most, in UTF-8."""
IMPORT_SYMBOLS = 5_000
"""Entries of an imported file at most."""
IMPORT_SECTIONS = 50
"""Lists in an imported file at most."""

TOO_LARGE = f"The file is too large: expected at most {IMPORT_BYTES // 1000} kB."

FAVOURITES = "Favourites"
"""The list that a first star creates."""

_SPACES = ("Zs", "Zl", "Zp")
_UNSEEN = ("Cc", "Cf", "Cs", *_SPACES)
# What a comma, a semicolon or a bar is in other scripts: they separate symbols and are never part of one.
_SEPARATORS = ",;|，；｜、､。｡،؛"
_NEVER_IN_SYMBOLS = frozenset(_SEPARATORS + ":：#")
# Marks that turn the direction of the text after them: a name with one would turn the page around it as well.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class ListView:
    """One list, with its symbols in order."""

    id: str
    name: str
    symbols: tuple[str, ...]


def clean_name(text: str) -> str:
    """A list's name as it is kept: NFC, single spaces. Raises ValueError, which tells people what is wrong with it."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if any(unicodedata.category(char) in ("Cc", "Cs") or char in _TURNING for char in name):
        raise ValueError("The name has a control character in it: leave it out.")
    # A name of nothing but joiners and other invisible characters could not be clicked.
    if all(unicodedata.category(char) in ("Cf", *_SPACES) for char in name):
        raise ValueError("Give the list a name.")
    if len(name) > NAME_LENGTH:
        raise ValueError(f"A name has at most {NAME_LENGTH} characters; this one has {len(name)}.")
    return name


def name_key(name: str) -> str:
    """The same text for names that count as one: case and width of letters do not matter.

    At most `KEY_LENGTH` characters; what would be longer ends in a hash.
    """
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if len(key) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key[: KEY_LENGTH - len(digest)] + digest


def valid_symbol(text: str) -> bool:
    """Whether `text` can be an exchange's id of a contract; whether there is such a contract is another question."""
    return 1 <= len(text) <= SYMBOL_LENGTH and not any(
        char in _NEVER_IN_SYMBOLS or unicodedata.category(char) in _UNSEEN for char in text
    )


def frozen(lists: Sequence[ListView], plan: Plan) -> frozenset[str]:
    """Ids of the lists that are read-only on `plan`; `lists` are all lists of an account, in order."""
    return frozenset(one.id for one in lists[plan.watchlists :])


def lists_limit(plan: Plan) -> str:
    """A sentence: `Free has 1 watchlist; Pro has 10.`"""
    number = plan.watchlists
    text = f"{plan.title} has {number or 'no'} watchlist{'' if number == 1 else 's'}"
    return text + _more(plan, "watchlists")


def symbols_limit(plan: Plan) -> str:
    """A sentence: `Free has room for 10 different symbols in watchlists; Pro has room for 100.`"""
    number = plan.watchlist_symbols
    return f"{plan.title} has room for {f'{number:,}' if number else 'no'} different symbols in watchlists" + _more(
        plan, "watchlist_symbols", "room for "
    )


def read_only(plan: Plan) -> str:
    """Sentences: why a list past the plan's number cannot be changed, and what to do."""
    return (
        f"This watchlist is read-only: {lists_limit(plan)} Nothing in it is lost. Move it up to go on with it in place "
        "of another, or delete it."
    )


def _more(plan: Plan, field: str, words: str = "") -> str:
    for name in PLAN_NAMES:
        if getattr(PLANS[name], field) > getattr(plan, field):
            return f"; {PLANS[name].title} has {words}{getattr(PLANS[name], field):,}."
    return "."


class Skipped(NamedTuple):
    """An entry of a file that was not taken for a contract."""

    line: int
    """Line of the file, from 1; in a JSON file the number of the entry."""
    text: str
    """At most 60 characters of it."""
    reason: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a file holds."""

    sections: tuple[tuple[str | None, tuple[str, ...]], ...]
    """(name or None, symbols) in the file's order; sections of one name are one. The nameless one holds what comes
    before any header."""
    skipped: tuple[Skipped, ...]
    unknown: tuple[tuple[str | None, tuple[str, ...]], ...]
    """Like `sections`, what was left out because no such contract trades now: delisted, of another exchange, or never
    there. Each is among `skipped`, too."""
    duplicates: int
    """Entries that repeat one of their own section."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(entry, symbol) of what is traded here under another name."""


_LINE_END = re.compile(r"\r\n|\r|\n")
_BETWEEN = re.compile(rf"[{_SEPARATORS}\s]+")
_HEADER = re.compile(rf"(?:^|[{_SEPARATORS}\s]){SECTION}")
# Letters, digits and signs of ASCII as an input method for Chinese or Japanese writes them.
_WIDE = {0xFF00 + code: 0x20 + code for code in range(1, 0x5F)}
_CSV_HEADERS = ("symbol", "symbols", "ticker", "pair")
_ASCII_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ENTRY_LENGTH = 100
_SKIPPED_TEXT = 60

_NOT_OURS = "not a USDT perpetual"
_SPOT = "a spot market without a USDT perpetual"
_OTHERWISE = "called otherwise here"
_HIDDEN = "written with an invisible character"
NOT_TRADED = "not traded here now"

# ccxt: BTC/USDT:USDT is the perpetual, BTC/USDT spot, BTC/USDT:USDT-261225 a dated future.
_CCXT = re.compile(r"([^/:]+)/USDT(:USDT)?", re.IGNORECASE)
_PERPETUAL = re.compile(r"(.+USDT)(?:\.P|[-_.]?PERP|[-_]SWAP)", re.IGNORECASE)
_DASHED = re.compile(r"(.+)[-_]USDT", re.IGNORECASE)


def parse_import(text: str, universe: Iterable[str], *, keep_unknown: bool = False) -> ImportPlan:
    """The lists in a file: TradingView's text, symbols in almost any spelling, CSV, or our own JSON.

    `universe` holds the symbols that trade now; a mapping by symbol will do. What is none of them is taken only if its
    owner said so (`keep_unknown`): nobody can tell a contract that is gone from one that never was. Raises ValueError,
    with a message for people, where the file is too large or broken.
    """
    if len(text) > IMPORT_BYTES or len(text.encode("utf-8", "surrogatepass")) > IMPORT_BYTES:
        raise ValueError(TOO_LARGE)
    text = text.removeprefix("\ufeff")
    found = _Found(_Symbols(universe), keep_unknown)
    for line, entry in _entries(text):
        if isinstance(entry, _Header):
            found.open(entry.name)
        else:
            found.take(line, entry)
    return found.plan()


class _Header(NamedTuple):
    name: str | None


def _entries(text: str) -> Iterator[tuple[int, str | _Header]]:
    if text.lstrip()[:1] in ("{", "["):
        return _json_entries(text)
    first = _LINE_END.split(text.lstrip(), maxsplit=1)[0].strip()
    delimiter = next((mark for mark in ",;\t，；、" if mark in first), ",")
    if first.split(delimiter)[0].strip("\"' ").casefold() in _CSV_HEADERS:
        return _csv_entries(text, delimiter)
    return _text_entries(text)


def _text_entries(text: str) -> Iterator[tuple[int, str | _Header]]:
    for number, line in enumerate(_LINE_END.split(text), 1):
        line = line.strip()
        if line.startswith("//") or (line.startswith("#") and not line.startswith(SECTION)):
            continue
        # TradingView's own export is one line: headers and symbols are all separated by commas.
        for piece in map(str.strip, line.split(",")):
            # A name goes to the next comma of ASCII: in it a full-width one stands for the comma that it had here.
            symbols, *name = _HEADER.split(piece, maxsplit=1)
            yield from ((number, part) for part in _BETWEEN.split(symbols))
            if name:
                yield number, _Header(_section_name(name[0]))


def _csv_entries(text: str, delimiter: str) -> Iterator[tuple[int, str | _Header]]:
    reader = csv.reader(_LINE_END.split(text), delimiter=delimiter)
    header = True
    try:
        for row in reader:
            if not "".join(row).strip():
                continue
            if not header:
                yield reader.line_num, row[0]
            header = False
    except csv.Error as error:
        raise ValueError(f"The file is not whole: line {reader.line_num}: {error}.") from None


def _json_entries(text: str) -> Iterator[tuple[int, str | _Header]]:
    try:
        read: Any = orjson.loads(text)
    except ValueError:
        raise ValueError("The file begins as JSON and is none, or not the whole of it.") from None
    data: Any = cast("dict[str, Any]", read).get("data") if isinstance(read, dict) else read
    if not isinstance(data, list):
        raise ValueError('Expected JSON with a list called "data", as an export has.')
    for number, entry in enumerate(cast("list[Any]", data), 1):
        symbol = cast("dict[str, Any]", entry).get("symbol") if isinstance(entry, dict) else entry
        yield number, symbol if isinstance(symbol, str) else "(no symbol)"


def _section_name(text: str) -> str | None:
    """A header's name; what would be refused as a list's name is cut or left out, None if nothing remains."""
    kept = "".join(
        c for c in text if c.isspace() or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _TURNING)
    )
    try:
        return clean_name(unicodedata.normalize("NFC", " ".join(kept.split()))[:NAME_LENGTH])
    except ValueError:
        return None


class _Found:
    """What has been read of a file so far."""

    def __init__(self, symbols: _Symbols, keep_unknown: bool) -> None:
        self._symbols = symbols
        self._keep_unknown = keep_unknown
        self._sections: dict[str | None, tuple[str | None, dict[str, None]]] = {}
        self._here: str | None = None
        self._skipped: list[Skipped] = []
        self._unknown: dict[str | None, dict[str, None]] = {}
        self._duplicates = 0
        self._renamed: dict[str, str] = {}
        self._entries = 0

    def open(self, name: str | None) -> None:
        key = None if name is None else name_key(name)
        if key not in self._sections and len(self._sections) == IMPORT_SECTIONS:
            raise ValueError(f"The file has too many lists: expected at most {IMPORT_SECTIONS}.")
        self._sections.setdefault(key, (name, {}))
        self._here = key

    def take(self, line: int, entry: str) -> None:
        # Our own CSV puts an apostrophe before what a spreadsheet would take for a formula.
        entry = entry.strip().strip("\"'")
        if not entry:
            return
        self._entries += 1
        if self._entries > IMPORT_SYMBOLS:
            raise ValueError(f"The file has too many symbols: expected at most {IMPORT_SYMBOLS:,}.")
        symbol, reason = self._symbols.find(entry)
        if symbol is not None and symbol not in self._symbols.current and not self._keep_unknown:
            self._unknown.setdefault(self._here, {})[symbol] = None
            symbol, reason = None, NOT_TRADED
        if symbol is None:
            self._skipped.append(Skipped(line, entry[:_SKIPPED_TEXT], reason))
            return
        if reason:
            self._renamed[entry[:_SKIPPED_TEXT]] = symbol
        _, here = self._sections.setdefault(self._here, (None, {}))
        if symbol in here:
            self._duplicates += 1
        here[symbol] = None

    def plan(self) -> ImportPlan:
        sections = [(name, tuple(symbols)) for name, symbols in self._sections.values()]
        return ImportPlan(
            tuple(section for section in sections if section[0] is not None or section[1]),
            tuple(self._skipped),
            tuple(
                (None if key is None else self._sections[key][0], tuple(symbols))
                for key, symbols in self._unknown.items()
            ),
            self._duplicates,
            tuple(self._renamed.items()),
        )


class _Symbols:
    """The contracts there are, found by any spelling."""

    def __init__(self, universe: Iterable[str]) -> None:
        self.current = frozenset(filter(valid_symbol, universe))
        self._by_ascii: dict[str, list[str]] = {}
        self._by_coin: dict[str, list[str]] = {}
        for symbol in sorted(self.current):
            self._by_coin.setdefault(coin(symbol), []).append(symbol)
            if written := ascii_name(symbol):
                self._by_ascii.setdefault(written, []).append(symbol)

    def find(self, entry: str) -> tuple[str | None, str]:
        """(symbol, "" or how it is another one than was written) or (None, why there is none).

        The symbol may be of a contract that does not trade now.
        """
        if entry in self.current:
            return entry, ""
        if len(entry) > _ENTRY_LENGTH:
            return None, "too long for a symbol"
        if any(unicodedata.category(char) in _UNSEEN for char in entry):
            return None, _HIDDEN
        entry = entry.translate(_WIDE)
        names, spot = _plain(entry)
        for name in names:
            found = self._current(name)
            if len(found) > 1:
                return None, f"either {' or '.join(found)}"
            if found:
                return found[0], ""
        ids = [name.upper() if name.isascii() else name for name in names]
        lost = next(filter(_is_perpetual, ids), None)
        if lost is None:
            return self._of_coin(entry.upper()) if entry.isalnum() else (None, _NOT_OURS)
        # Exchanges count one coin by different numbers: SHIB1000USDT is 1000SHIBUSDT elsewhere.
        others = self._by_coin.get(coin(lost), [])
        if others:
            return (others[0], _OTHERWISE) if len(others) == 1 else (None, f"either {' or '.join(others)}")
        return (None, _SPOT) if spot else (lost, "")

    def _of_coin(self, base: str) -> tuple[str | None, str]:
        """The contract of a coin that is named without its quote: `PEPE`, `xau`."""
        if (plain := f"{base}USDT") in self.current:
            return plain, ""
        others = self._by_coin.get(coin(base), [])
        if len(others) > 1:
            return None, f"either {' or '.join(others)}"
        return (others[0], _OTHERWISE) if others else (None, _NOT_OURS)

    def _current(self, name: str) -> list[str]:
        for spelling in (name, name.upper()):
            if spelling in self.current:
                return [spelling]
        # Only what is ASCII can be meant as a transcription; another name in another script is another contract.
        return self._by_ascii.get(name.upper(), []) if name.isascii() else []


def _plain(entry: str) -> tuple[tuple[str, ...], bool]:
    """(what the exchange's id of the contract may be, likeliest first; whether the entry names a spot market)."""
    ccxt = _CCXT.fullmatch(entry)
    if ccxt:
        return (f"{ccxt[1]}USDT",), ccxt[2] is None
    exchange, colon, name = entry.rpartition(":")
    if colon and not re.fullmatch(r"\w+", exchange):
        return (), False
    perpetual = _PERPETUAL.fullmatch(name)
    if perpetual:
        return (perpetual[1], _DASHED.sub(r"\1USDT", perpetual[1])), False
    if _DASHED.fullmatch(name):
        return (_DASHED.sub(r"\1USDT", name),), True
    return (name,), bool(colon)


def _is_perpetual(name: str) -> bool:
    """Whether a contract that does not trade now may have had this id: letters of any script, and digits."""
    if not valid_symbol(name) or len(name) <= len("USDT") or not name.endswith("USDT"):
        return False
    return all(char in _ASCII_ID if char.isascii() else unicodedata.category(char)[0] in "LMN" for char in name)
