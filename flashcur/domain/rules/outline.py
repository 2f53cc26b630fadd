"""What can be said of a rule while a part of it is wrong: all the rest, with a gap where the wrong part stands.

A number that cannot be is NaN in it, which is written "…" (`firing.plain`) and which nothing meets. An outline is for
texts: it is no rule, and is never stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from math import isnan, nan
from typing import Any, cast

from flashcur.domain.rules.condition import Condition, Fault, condition_from_json
from flashcur.domain.rules.rule import Definition, Scope

_NUMBERS = frozenset({"price", "percent", "multiple", "floor"})
_SOUND = 1.0
"""Within the bounds of each of these numbers."""
_NO_SCOPE = Scope("symbol", "…")


def outlined(conditions: Sequence[object], faults: Collection[str]) -> tuple[Condition | None, ...]:
    """One for each condition as a form has it; None where nothing can be said of it. `faults`: the names of the fields
    that are wrong, such as `conditions.0.percent`."""
    return tuple(_condition(each, f"conditions.{at}", faults) for at, each in enumerate(conditions))


def outline(rest: Definition, conditions: Sequence[Condition | None], faults: Collection[str]) -> Definition | None:
    """The rule with these conditions, and the `rest` as far as that is right; None where no condition is left."""
    known = tuple(each for each in conditions if each is not None)
    if not known:
        return None
    scope = _NO_SCOPE if any(each.partition(".")[0] == "scope" for each in faults) else rest.scope
    return replace(rest, conditions=known, scope=scope, hold_s=0 if "hold_s" in faults else rest.hold_s)


def has_gap(condition: Condition) -> bool:
    """Whether a number of it is not known."""
    values = (getattr(condition, each.name) for each in fields(condition))
    return any(isinstance(value, float) and isnan(value) for value in values)


def _condition(value: object, where: str, faults: Collection[str]) -> Condition | None:
    wrong = {each.removeprefix(f"{where}.") for each in faults if each == where or each.startswith(f"{where}.")}
    if not isinstance(value, Mapping) or not wrong <= _NUMBERS:
        return None
    written: dict[str, Any] = {**cast("Mapping[str, Any]", value), **dict.fromkeys(wrong, _SOUND)}
    while True:
        try:
            return replace(condition_from_json(written, where), **dict.fromkeys(wrong, nan))
        except Fault as fault:
            # Each tells of the first field that is wrong alone.
            name = fault.field.removeprefix(f"{where}.")
            if name not in _NUMBERS or name in wrong:
                return None
            wrong.add(name)
            written[name] = _SOUND
