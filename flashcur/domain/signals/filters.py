"""Which signals are asked for: the filters of `/signals` and of the API, in the words of their addresses.

Read from an address (`SignalFilter.parse`), written into one (`query`), applied by the database
(`services.alerts.signals`) and, to a signal that has just come, by `matches`: one meaning for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol, Self, TypeVar, get_args
from urllib.parse import urlencode

from flashcur.domain.multiples import coin
from flashcur.domain.signals.signal import DETECTOR_NAMES, QUADRANTS, SEVERITIES, DetectorName, Quadrant
from flashcur.domain.view import SEARCH_LENGTH

Side = Literal["bullish", "bearish"]
Since = Literal["hour", "day", "week", "month"]
SINCE_MS: dict[Since, int] = {"hour": 3_600_000, "day": 86_400_000, "week": 7 * 86_400_000, "month": 30 * 86_400_000}
"""How far back each reaches, in ms."""

Choice = TypeVar("Choice", bound=str)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID = re.compile(r"[0-9a-zA-Z]{1,32}")


class WrongFilter(ValueError):
    """A parameter of an address that cannot be understood; its text names what was expected and what came."""


class Found(Protocol):
    """A signal, or its row in the database."""

    @property
    def detector(self) -> str:
        """One of `DETECTOR_NAMES`."""
        ...

    @property
    def base(self) -> str:
        """The base asset of its contract."""
        ...

    @property
    def severity(self) -> int:
        """One of `SEVERITIES`."""
        ...

    @property
    def direction(self) -> str:
        """One of `DIRECTIONS`."""
        ...

    @property
    def quadrant(self) -> str | None:
        """One of `QUADRANTS`; None or empty where there is none."""
        ...

    @property
    def event_ms(self) -> int:
        """The exchange's time, Unix ms."""
        ...


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """What is wanted; an empty field wants everything."""

    detectors: tuple[DetectorName, ...] = ()
    direction: Side | None = None
    severity: int = 1
    """The least one."""
    quadrant: Quadrant | None = None
    contract: str = ""
    """A symbol or a base asset, whatever its case and multiple (`domain.multiples`)."""
    since: Since | None = None
    """Counted back from now."""
    first_day: date | None = None
    last_day: date | None = None
    """Whole UTC days, both included."""
    list_id: str = ""
    """Only contracts in this watchlist of the caller's."""

    symbols: frozenset[str] | None = field(default=None, compare=False)
    """The contracts of that list; None for no list. Not in the address."""

    @property
    def coins(self) -> frozenset[str] | None:
        """The coins whose contracts are wanted, under whatever name and on whatever exchange; None for all."""
        listed = None if self.symbols is None else frozenset(map(coin, self.symbols))
        if not self.contract:
            return listed
        named = frozenset((coin(self.contract),))
        return named if listed is None else named & listed

    @classmethod
    def parse(cls, params: Mapping[str, str], *, strict: bool = False) -> Self:
        """The filter in an address's parameters. What is unknown or wrong counts as not given, or, if `strict`, raises
        WrongFilter."""
        read = _Reader(params, strict)
        first, last = read.day("from"), read.day("to")
        if first is not None and last is not None and last < first:
            read.wrong("to", f"{last}", f"a day not before {first}")
            last = None
        return cls(
            detectors=read.several("kind", DETECTOR_NAMES),
            direction=read.one("direction", get_args(Side)),
            severity=int(read.one("severity", tuple(map(str, SEVERITIES))) or 1),
            quadrant=read.one("quadrant", QUADRANTS),
            contract=read.name("contract"),
            since=read.one("since", get_args(Since)),
            first_day=first,
            last_day=last,
            list_id=read.id("list"),
        )

    def query(self) -> str:
        """This filter as URL-encoded parameters, without what is empty."""
        given = {
            "kind": ",".join(self.detectors),
            "direction": self.direction,
            "severity": self.severity if self.severity > 1 else None,
            "quadrant": self.quadrant,
            "contract": self.contract,
            "since": self.since,
            "from": self.first_day,
            "to": self.last_day,
            "list": self.list_id,
        }
        return urlencode({name: str(value) for name, value in given.items() if value}, safe=",")

    def matches(self, found: Found, now_ms: int) -> bool:
        """Whether a signal is wanted, at `now_ms` (Unix ms)."""
        first, end = self.span_ms(now_ms)
        coins = self.coins
        return (
            (not self.detectors or found.detector in self.detectors)
            and found.severity >= self.severity
            and self.direction in (None, found.direction)
            and self.quadrant in (None, found.quadrant)
            and (coins is None or coin(found.base) in coins)
            and (first is None or found.event_ms >= first)
            and (end is None or found.event_ms < end)
        )

    def span_ms(self, now_ms: int) -> tuple[int | None, int | None]:
        """(first, end): times from `first` on and before `end`, Unix ms; None where there is no bound."""
        starts = [_midnight_ms(self.first_day)] if self.first_day else []
        if self.since:
            starts.append(now_ms - SINCE_MS[self.since])
        end = _midnight_ms(self.last_day + timedelta(days=1)) if self.last_day else None
        return max(starts, default=None), end


class _Reader:
    """Reads parameters; what is wrong is left out, or raised."""

    def __init__(self, params: Mapping[str, str], strict: bool) -> None:
        self._params = params
        self._strict = strict

    def wrong(self, name: str, was: str, expected: str) -> None:
        if self._strict:
            raise WrongFilter(f"{name}: expected {expected}, was {was[:60]!r}")

    def one(self, name: str, choices: tuple[Choice, ...]) -> Choice | None:
        text = self._params.get(name, "")
        found = next((choice for choice in choices if choice == text), None)
        if text and found is None:
            self.wrong(name, text, _or(choices))
        return found

    def several(self, name: str, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        texts = [text for text in self._params.get(name, "").split(",") if text]
        for text in texts:
            if text not in choices:
                self.wrong(name, text, f"{_or(choices)}, separated by commas")
        return tuple(choice for choice in choices if choice in texts)

    def name(self, name: str) -> str:
        text = self._params.get(name, "").strip()
        if len(text) > SEARCH_LENGTH:
            self.wrong(name, text, f"at most {SEARCH_LENGTH} characters")
            return ""
        # No name has control or half characters, and PostgreSQL takes no NUL.
        if not text.isprintable():
            self.wrong(name, text, "a symbol or a coin")
            return ""
        return text

    def id(self, name: str) -> str:
        text = self._params.get(name, "")
        if text and not _ID.fullmatch(text):
            self.wrong(name, text, "the id of a watchlist")
            return ""
        return text

    def day(self, name: str) -> date | None:
        text = self._params.get(name, "")
        if not text:
            return None
        try:
            found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            found = None
        # The day after the last one must be a day, too.
        if found is None or not 1970 <= found.year <= 9998:
            self.wrong(name, text, "a day as YYYY-MM-DD")
            return None
        return found


def _or(choices: Iterable[str]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}"


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
