"""A rule: what its owner wrote, and the same with what the evaluation needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, cast, get_args

from flashcur.domain.rules.condition import Condition, Fault, condition_from_json, condition_to_json

Mode = Literal["once", "repeat"]
ScopeKind = Literal["symbol", "watchlist", "all"]

MOST_CONDITIONS = 5
DEFAULT_COOLDOWN_S = 3_600
LEAST_COOLDOWN_S, MOST_COOLDOWN_S = 60, 7 * 86_400
MOST_HOLD_S = 3_600
MOST_NAME, MOST_NOTE = 60, 300
"""Characters."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which contracts a rule watches."""

    kind: ScopeKind
    symbol: str = ""
    """The exchange's own symbol; of `symbol` alone."""
    watchlist_id: str = ""
    """Of `watchlist` alone; its contracts are those that are in it now."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a rule's owner wrote."""

    conditions: tuple[Condition, ...]
    scope: Scope
    mode: Mode = "repeat"
    cooldown_s: int = DEFAULT_COOLDOWN_S
    """Seconds after an alert in which the same contract gives no other; of `repeat` alone."""
    hold_s: int = 0
    """Seconds for which all conditions must stay met before it fires."""
    urgent: bool = False
    """Whether it is told in quiet hours, too."""
    name: str = ""
    """Empty: its sentence stands for it."""
    note: str = ""
    """What its owner wants to read in each message."""

    def to_json(self) -> dict[str, Any]:
        """As it is stored and shared."""
        return {
            "conditions": [condition_to_json(each) for each in self.conditions],
            "scope": {"kind": self.scope.kind, "symbol": self.scope.symbol, "watchlist_id": self.scope.watchlist_id},
            "mode": self.mode,
            "cooldown_s": self.cooldown_s,
            "hold_s": self.hold_s,
            "urgent": self.urgent,
            "name": self.name,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The definition that `value` says, each field by itself; see `domain.rules.contradictions` for the whole.

        Raises Fault for the first field that cannot be.
        """
        if not isinstance(value, Mapping):
            raise Fault("", "This is not a rule.")
        fields = cast("Mapping[object, object]", value)
        raw = fields.get("conditions")
        conditions = cast("list[object]", raw) if isinstance(raw, list) else []
        if not conditions:
            raise Fault("conditions", "Add at least one condition.")
        if len(conditions) > MOST_CONDITIONS:
            raise Fault("conditions", f"A rule can have up to {MOST_CONDITIONS} conditions.")
        return cls(
            tuple(condition_from_json(each, f"conditions.{number}") for number, each in enumerate(conditions)),
            _scope(fields.get("scope")),
            _choice(fields, "mode", get_args(Mode)),
            _seconds(fields, "cooldown_s", LEAST_COOLDOWN_S, MOST_COOLDOWN_S),
            _seconds(fields, "hold_s", 0, MOST_HOLD_S),
            fields.get("urgent") is True,
            _text(fields, "name", MOST_NAME),
            _text(fields, "note", MOST_NOTE),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is evaluated."""

    id: str
    account_id: str
    version: int
    definition: Definition
    symbols: frozenset[str] | None
    """The contracts of its scope; None for all."""
    open_interest: bool
    """Whether its owner's plan may know of open interest."""
    since_ms: int
    """What happened before does not count, Unix ms: when it was made, changed, or set going again."""
    snoozed_until_ms: int | None = None
    expires_ms: int | None = None


def _scope(value: object) -> Scope:
    fields = cast("Mapping[object, object]", value if isinstance(value, Mapping) else {})
    kind = _choice(fields, "kind", get_args(ScopeKind), "scope.")
    symbol, watchlist_id = (_text(fields, name, 64, "scope.") for name in ("symbol", "watchlist_id"))
    if kind == "symbol" and not symbol:
        raise Fault("scope.symbol", "Choose a contract.")
    if kind == "watchlist" and not watchlist_id:
        raise Fault("scope.watchlist_id", "Choose a watchlist.")
    return Scope(kind, symbol if kind == "symbol" else "", watchlist_id if kind == "watchlist" else "")


def _choice(fields: Mapping[object, object], name: str, allowed: tuple[Any, ...], where: str = "") -> Any:
    value = fields.get(name)
    if value not in allowed:
        raise Fault(where + name, f"Choose one of: {', '.join(allowed)}.")
    return value


def _seconds(fields: Mapping[object, object], name: str, least: int, most: int) -> int:
    raw = fields.get(name)
    # Some digits of other scripts are digits to Python, and yet no numbers.
    seconds = int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 10 else raw
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not least <= seconds <= most:
        raise Fault(name, f"Enter whole seconds from {least:,} to {most:,}.")
    return seconds


def _text(fields: Mapping[object, object], name: str, most: int, where: str = "") -> str:
    raw = fields.get(name, "")
    if not isinstance(raw, str):
        raise Fault(where + name, "Enter text.")
    text = " ".join("".join(char if char.isprintable() else " " for char in raw).split())
    if len(text) > most:
        raise Fault(where + name, f"Use {most} characters at most.")
    return text
