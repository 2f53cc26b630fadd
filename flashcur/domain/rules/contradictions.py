"""What in a rule can never be, or says the same twice: refused beside the field, before it is saved."""

from __future__ import annotations

from flashcur.domain.rules.atoms import AS_IS, PRICE, SIZE, TURNED, Atom, atoms_of
from flashcur.domain.rules.condition import (
    Condition,
    Fault,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.firing import plain
from flashcur.domain.rules.rule import Definition
from flashcur.domain.signals.signal import QUADRANTS, DetectorName
from flashcur.domain.signals.words import DETECTOR_TITLES, QUADRANT_TITLES

_POINTING: frozenset[DetectorName] = frozenset(("volume_spike", "adaptive_spike", "open_interest"))
"""Detectors whose signals point up or down."""
_QUADRANT_WAYS = {
    "long_build_up": "bullish",
    "short_build_up": "bearish",
    "short_covering": "bullish",
    "long_unwinding": "bearish",
}


def contradictions(definition: Definition) -> list[Fault]:
    """All that is wrong with a rule as a whole, each with the field of the later of two conditions; empty if it can
    fire."""
    found: list[Fault] = []
    conditions = definition.conditions
    for later, condition in enumerate(conditions):
        where = f"conditions.{later}"
        if isinstance(condition, OnSignal):
            found += _of_signal(condition, where)
        for earlier in range(later):
            fault = _of_pair(conditions[earlier], condition, earlier + 1, where)
            if fault is not None:
                found.append(fault)
                break
    signals = [each for each in conditions if isinstance(each, OnSignal)]
    if signals and definition.hold_s:
        found.append(
            Fault("hold_s", "A signal lasts only a moment. Set “Hold” to “Fire at once”, or remove the signal.")
        )
    return found


def _of_signal(condition: OnSignal, where: str) -> list[Fault]:
    title = DETECTOR_TITLES[condition.detector]
    if condition.quadrant:
        if condition.quadrant not in QUADRANTS:
            kinds = ", ".join(QUADRANT_TITLES.values())
            return [Fault(f"{where}.quadrant", f"Choose one of: {kinds}.")]
        if condition.detector != "open_interest":
            return [Fault(f"{where}.quadrant", f"“{title}” signals have no such kind. Choose any.")]
        way = _QUADRANT_WAYS[condition.quadrant]
        if condition.direction not in ("any", way):
            return [Fault(f"{where}.direction", f"{QUADRANT_TITLES[condition.quadrant]} is always {way}.")]
    if condition.direction != "any" and condition.detector not in _POINTING:
        return [Fault(f"{where}.direction", f"“{title}” signals have no direction. Choose “either direction”.")]
    return []


def _of_pair(first: Condition, second: Condition, number: int, where: str) -> Fault | None:
    """What is wrong with two conditions of one rule; `number` is the first one's, counted from 1."""
    if isinstance(first, OnSignal) and isinstance(second, OnSignal):
        return Fault(where, "Two signals never come at the same moment. Write a rule for each.")
    if isinstance(first, VolumeRatio) and isinstance(second, VolumeRatio):
        return Fault(where, f"Condition {number} already checks the volume. Keep the stricter one.")
    if type(first) is not type(second) or isinstance(first, OnSignal):
        return None
    one, other = atoms_of(first)[0], atoms_of(second)[0]
    if one.source != other.source:
        return None
    field = f"{where}.{'price' if isinstance(second, PriceCross) else 'percent'}"
    if {one.view, other.view} == {AS_IS, TURNED}:
        return _of_sides(one, other, number, field, second)
    if SIZE in (one.view, other.view) and one.view != other.view:
        return Fault(f"{where}.way", f"Condition {number} already checks the same window. Keep the one you mean.")
    return Fault(field, f"Condition {number} already checks the same thing. Keep the stricter one.")


def _of_sides(one: Atom, other: Atom, number: int, field: str, condition: Condition) -> Fault | None:
    """Two conditions on one source from opposite sides: a range, or nothing at all."""
    if isinstance(condition, PriceMove | InterestMove):
        what = "price" if isinstance(condition, PriceMove) else "open interest"
        where = field.removesuffix("percent") + "way"
        return Fault(where, f"The {what} cannot rise and fall over the same window: see condition {number}.")
    low, high = (one.threshold, -other.threshold) if one.view == AS_IS else (other.threshold, -one.threshold)
    if low <= high:
        return None
    what, unit = ("price", "") if one.source == PRICE else ("funding rate", " %")
    return Fault(
        field,
        f"The {what} cannot be at or above {plain(low)}{unit} and at or below {plain(high)}{unit} at once;"
        f" see condition {number}.",
    )
