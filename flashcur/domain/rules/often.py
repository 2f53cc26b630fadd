"""A stricter threshold for a rule that fires too often, from what it fired for.

At the moment at which a rule fires a number has only just come to its threshold, so what was measured then says little
of how far it went. What followed says it: the hour's whole volume, the highest and lowest price of the hours, the
funding that was paid. Where none of it is known, a firing counts as one that any threshold would have let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flashcur.domain.rules.atoms import atoms_of, seen
from flashcur.domain.rules.condition import (
    Condition,
    Fault,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceMove,
    VolumeRatio,
    condition_from_json,
    condition_to_json,
)
from flashcur.domain.rules.firing import plain
from flashcur.domain.rules.past import MOST_A_WEEK, stricter, turned_at
from flashcur.domain.rules.rule import Definition


@dataclass(frozen=True, slots=True)
class Fired:
    """One firing, and what followed as far as it is known."""

    value: float | None
    """What the condition `turned_at` measured, in its own unit."""
    price: float | None
    """Last price then, USDT."""
    high: float | None = None
    """The highest price of the hours in which the move may have gone on, USDT."""
    low: float | None = None
    """The lowest of them."""
    volume: float | None = None
    """Of the whole hour in which it fired, in USDT."""
    volume_before: float | None = None
    """Of the hour before."""
    paid_percent: float | None = None
    """The funding that was paid next, percent an interval."""


@dataclass(frozen=True, slots=True)
class Calmer:
    """A rule that fires too often, and one like it that does not."""

    fires: int
    """Of the rule, in a week."""
    definition: Definition
    """With the least strict threshold that would have fired `MOST_A_WEEK` times at most."""
    at: int
    """Which of its conditions is stricter."""
    would: int
    """How often it would have fired in that week, at most."""


def calmer(definition: Definition, fires: int, known: Sequence[Fired]) -> Calmer | None:
    """What a rule that fired so often in a week is offered; `known` are the firings of which something is said, the
    newest of them where there are very many.

    None where that is not too often, where the rule fires once or has no threshold to turn, where no threshold is
    strict enough, and where too little is known.
    """
    at = turned_at(definition)
    if fires <= MOST_A_WEEK or definition.mode == "once" or at is None or not known:
        return None
    told = any(isinstance(each, OnSignal) for each in definition.conditions)
    went = [_furthest(definition.conditions[at], each, told) for each in known]
    for tried in stricter(definition)[1:]:
        atom = atoms_of(tried.conditions[at])[0]
        left = sum(value is None or seen(atom.view, value) >= atom.threshold for value in went)
        # Of more firings than are known as many stay as of those.
        would = -(-left * fires // len(known))
        if would <= MOST_A_WEEK:
            return Calmer(fires, tried, at, would)
    return None


def with_threshold(definition: Definition, threshold: str) -> Definition:
    """The rule with another threshold of the condition `turned_at`, as a person writes it; as it is where that cannot
    be."""
    at = turned_at(definition)
    if at is None:
        return definition
    condition = definition.conditions[at]
    name = "multiple" if isinstance(condition, VolumeRatio) else "percent"
    try:
        other = condition_from_json({**condition_to_json(condition), name: threshold})
    except Fault:
        return definition
    return replace(definition, conditions=(*definition.conditions[:at], other, *definition.conditions[at + 1 :]))


def threshold_of(definition: Definition) -> float | None:
    """The threshold of the condition `turned_at`, in its own unit."""
    at = turned_at(definition)
    condition = None if at is None else definition.conditions[at]
    if isinstance(condition, VolumeRatio):
        return condition.multiple
    return condition.percent if isinstance(condition, PriceMove | InterestMove | FundingLevel) else None


def threshold_text(definition: Definition) -> str:
    """The same as people write it: `7.5 %`, `10 times`; empty where there is none."""
    threshold, at = threshold_of(definition), turned_at(definition)
    if threshold is None or at is None:
        return ""
    unit = "times" if isinstance(definition.conditions[at], VolumeRatio) else "%"
    return f"{plain(threshold).replace('-', '−')} {unit}"


def _furthest(condition: Condition, fired: Fired, told: bool) -> float | None:
    """How far the condition's number went; None where that is not known. `told`: a signal was the moment, so what was
    measured then is what counts."""
    value = fired.value
    if value is None or told:
        return value
    if isinstance(condition, VolumeRatio):
        if fired.volume is None or not fired.volume_before:
            return None
        return max(value, fired.volume / fired.volume_before)
    if isinstance(condition, FundingLevel):
        if fired.paid_percent is None:
            return None
        return (max if condition.side == "above" else min)(value, fired.paid_percent)
    if isinstance(condition, PriceMove):
        up = value > 0
        extreme = fired.high if up else fired.low
        if extreme is None or not fired.price or value <= -100:
            return None
        went = (extreme / fired.price * (1 + value / 100) - 1) * 100
        return max(value, went) if up else min(value, went)
    # Of open interest no past is kept.
    return None
