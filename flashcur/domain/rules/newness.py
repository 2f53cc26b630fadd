"""Which contracts are too new for a rule: they have not been traded for as long as its conditions look back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flashcur.domain.rules.condition import Condition, InterestMove, OnSignal, PriceMove, VolumeRatio
from flashcur.domain.signals import adaptive_spike, funding_extreme
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Instrument

LONGEST_MS = 11 * 24 * HOUR_MS
"""No condition looks back further: 30 payments of funding, eight hours each, are ten days."""


def young(contracts: Iterable[Instrument], now_ms: int) -> list[Instrument]:
    """Those that may be too new for some rule at `now_ms` (Unix ms)."""
    return [each for each in contracts if each.listed_ms is not None and each.listed_ms > now_ms - LONGEST_MS]


def is_too_new(conditions: Sequence[Condition], contract: Instrument, now_ms: int) -> bool:
    """Whether some condition cannot be judged for a contract at `now_ms` (Unix ms), as it was listed only lately.

    A contract of which the exchange does not say when it was listed is not new.
    """
    listed_ms = contract.listed_ms
    if listed_ms is None:
        return False
    return any(_age_ms(each, listed_ms, now_ms) < _needed_ms(each, contract) for each in conditions)


def too_new_text(count: int, contracts: int) -> str:
    """How many of a rule's contracts are too new, in one sentence; empty where none is."""
    if not count:
        return ""
    if contracts == 1:
        return "The contract is too new to be judged."
    return f"{count:,} of {contracts:,} contracts {'is' if count == 1 else 'are'} too new to be judged."


def _age_ms(condition: Condition, listed_ms: int, now_ms: int) -> int:
    if isinstance(condition, PriceMove | InterestMove) or (
        isinstance(condition, OnSignal) and condition.detector == "funding"
    ):
        return now_ms - listed_ms
    # Volumes are compared by the hours of the clock; that in which trading began is one of them.
    return (now_ms // HOUR_MS - listed_ms // HOUR_MS) * HOUR_MS


def _needed_ms(condition: Condition, contract: Instrument) -> int:
    """How far a condition looks back."""
    if isinstance(condition, PriceMove | InterestMove):
        return condition.window_s * 1000
    if isinstance(condition, VolumeRatio):
        return HOUR_MS
    if isinstance(condition, OnSignal):
        if condition.detector == "volume_spike":
            return HOUR_MS
        if condition.detector == "adaptive_spike":
            return adaptive_spike.LEAST_RECENT_HOURS * HOUR_MS
        if condition.detector == "funding":
            return funding_extreme.LEAST_PAYMENTS * contract.funding_interval_hours * HOUR_MS
    return 0
