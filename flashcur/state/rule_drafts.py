"""Rules as the form has them: what it begins with, and what comes back from it, checked field by field.

A form's texts are a person's: a contract as they call it, numbers as they type them. What cannot be is told by the name
of the field, all of it at once; nothing here asks a database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from flashcur.domain.plans import CHANNELS, Channel
from flashcur.domain.rules.condition import Condition, Fault, VolumeRatio, condition_from_json
from flashcur.domain.rules.contradictions import contradictions
from flashcur.domain.rules.outline import outline, outlined
from flashcur.domain.rules.rule import MOST_CONDITIONS, Definition, Scope
from flashcur.domain.texts import checked_text
from flashcur.errors import Refusal
from flashcur.models import RuleRecord
from flashcur.services.alerts.rules import Written
from flashcur.state.watchlists import find_contract

MOST_DRAFT = 12_000
"""Characters of a form as it is sent; five conditions and the longest note are some 2,000."""
KEEP = "keep"
"""Stands for the end that a rule has already."""
LONGEST_END_S = 365 * 86_400
_SOUND: Mapping[str, Any] = Definition((VolumeRatio(2.0, 0.0),), Scope("all")).to_json()


@dataclass(frozen=True, slots=True)
class Draft:
    """What a form says."""

    number: int
    """Of the question, which its answer repeats."""
    rule_id: str
    """Empty for a new rule."""
    version: int
    """The `revision` of the rule with which the form began."""
    definition: Definition | None
    """None where something cannot be."""
    conditions: tuple[Condition | None, ...]
    """As far as something can be said of each, for texts alone (`domain.rules.outline`)."""
    outline: Definition | None
    """The same of the whole."""
    faults: dict[str, str]
    """What is wrong, by the name of its field."""
    contradicts: bool
    """Whether each field can be, and only all of them together cannot."""
    channels: tuple[Channel, ...]
    ends: str
    """Seconds from now, `KEEP`, or empty for never."""
    ends_ms: int
    """The end that the rule has, as the form was told it, Unix ms; 0 without one. It is said, and never stored."""
    paused: bool
    """It is to be kept without being set going."""
    asks: bool
    """The exchange is to be asked for its past, where that is not stored."""
    test: bool
    """A test message is to follow."""

    def written(self, now_ms: int, kept_ms: int | None) -> Written:
        """What is to be stored. `kept_ms`: the end that the rule has, Unix ms. Call it where nothing is wrong."""
        assert self.definition is not None
        expires_ms = kept_ms if self.ends == KEEP else now_ms + int(self.ends) * 1000 if self.ends else None
        return Written(self.definition, self.channels, expires_ms)


def read_draft(sent: object, known: frozenset[str]) -> Draft:
    """The form that a page sent, as JSON. `known`: symbols of the contracts that trade.

    Raises Refusal for what no form of ours sends, and Unavailable while it is not known which contracts there are.
    """
    form = _form(sent)
    raw = form.get("definition")
    fields: dict[str, Any] = dict(cast("Mapping[str, Any]", raw)) if isinstance(raw, dict) else {}
    written = _conditions(fields)
    rest, faults, contradicts = _definition(fields, known)
    conditions = outlined(written, faults)
    channels = form.get("channels")
    wanted = set(map(str, cast("list[object]", channels))) if isinstance(channels, list) else set[str]()
    ends = str(form.get("ends", ""))[:12]
    # Python reads digits of all scripts.
    whole = ends.isascii() and ends.isdigit() and 0 < int(ends) <= LONGEST_END_S
    if ends not in ("", KEEP) and not whole:
        faults["ends"] = "Choose when it ends."
    return Draft(
        number=_whole(form.get("number")),
        rule_id=checked_text(form.get("rule", ""), 64),
        version=_whole(form.get("version")),
        definition=None if faults else rest,
        conditions=conditions,
        outline=outline(rest, conditions, faults),
        faults=faults,
        contradicts=contradicts,
        channels=tuple(channel for channel in CHANNELS if channel in wanted and channel != "in-app"),
        ends=ends,
        ends_ms=_whole(form.get("ends_ms")),
        paused=form.get("paused") is True,
        asks=form.get("asks") is True,
        test=form.get("test") is True,
    )


def form_of(definition: Definition, rule: RuleRecord | None = None) -> dict[str, Any]:
    """What the form begins with, for a definition and, where it is one that is kept, its rule.

    Each value is a text, as fields have them, but for lists and yes or no.
    """
    told = definition.to_json()
    return {
        **told,
        "conditions": [
            {name: _written(value) for name, value in condition.items()} for condition in told["conditions"]
        ],
        "cooldown_s": str(told["cooldown_s"]),
        "hold_s": str(told["hold_s"]),
        "channels": [] if rule is None else [each for each in rule.channels if each != "in-app"],
        "ends": KEEP if rule is not None and rule.expires_ms is not None else "",
        "ends_ms": 0 if rule is None or rule.expires_ms is None else rule.expires_ms,
    }


def blank_form(symbol: str = "") -> dict[str, Any]:
    """What a new rule begins with, for a contract where one is given."""
    return {
        "conditions": [{"kind": "price", "side": "above", "price": ""}],
        "scope": {"kind": "symbol", "symbol": symbol, "watchlist_id": ""},
        "mode": "repeat",
        "cooldown_s": "3600",
        "hold_s": "0",
        "urgent": False,
        "name": "",
        "note": "",
        "channels": [],
        "ends": "",
        "ends_ms": 0,
    }


def _form(sent: object) -> dict[str, Any]:
    try:
        value = json.loads(checked_text(sent, MOST_DRAFT), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refusal("The form did not arrive whole: try again.") from None
    if not isinstance(value, dict):
        raise Refusal("The form did not arrive whole: try again.")
    return cast("dict[str, Any]", value)


def _no_number(name: str) -> float:
    raise ValueError(f"expected a number, was {name}")


def _conditions(fields: Mapping[str, Any]) -> list[object]:
    raw = fields.get("conditions")
    return cast("list[object]", raw)[:MOST_CONDITIONS] if isinstance(raw, list) else []


def _definition(fields: dict[str, Any], known: frozenset[str]) -> tuple[Definition, dict[str, str], bool]:
    """(the rule, with something sound in the place of what is wrong, what that is, and whether only all of the fields
    together cannot be)."""
    faults: dict[str, str] = {}
    for number, condition in enumerate(_conditions(fields)):
        try:
            condition_from_json(condition, f"conditions.{number}")
        except Fault as fault:
            faults.setdefault(fault.field, str(fault))
    scope = fields.get("scope")
    if isinstance(scope, dict):
        found = dict(cast("Mapping[str, Any]", scope))
        if found.get("kind") == "symbol" and isinstance(found.get("symbol"), str) and found["symbol"].strip():
            try:
                found["symbol"] = find_contract(checked_text(found["symbol"], 64), known)
            except Refusal as refusal:
                if refusal.field != "symbol":
                    raise
                faults["scope.symbol"] = str(refusal)
        fields["scope"] = found
    while True:
        try:
            definition = Definition.from_json(fields)
            break
        except Fault as fault:
            faults.setdefault(fault.field, str(fault))
            # It names the first that is wrong: the others are found with something sound in its place.
            part = fault.field.partition(".")[0]
            fields[part] = _SOUND[part]
    if faults:
        return definition, faults, False
    for fault in contradictions(definition):
        faults.setdefault(fault.field, str(fault))
    return definition, faults, bool(faults)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else 0


def _written(value: object) -> str:
    """A value as one types it: thousands parted by commas, no exponent, no needless zeros."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.12f}".rstrip("0").rstrip(".")


def scope_name(scope: Scope, lists: Mapping[str, str]) -> str:
    """What a rule's owner calls what it watches, as a sentence needs it; `lists` has their watchlists, name by id."""
    if scope.kind != "watchlist":
        return ""
    return lists.get(scope.watchlist_id, "a watchlist that is gone")
