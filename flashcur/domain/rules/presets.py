"""Rules that are ready to be taken: what traders ask for most, with numbers that are worth a message."""

from __future__ import annotations

from dataclasses import dataclass

from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceMove,
    VolumeRatio,
    needs_open_interest,
)
from flashcur.domain.rules.rule import Definition, Scope

_ALL = Scope("all")


@dataclass(frozen=True, slots=True)
class Preset:
    """A rule to begin with; whoever takes it may change all of it."""

    id: str
    title: str
    why: str
    """What it is good for, one line."""
    definition: Definition

    @property
    def open_interest(self) -> bool:
        """Whether it needs a plan with open interest."""
        return needs_open_interest(self.definition.conditions)


def _preset(
    preset_id: str, title: str, why: str, *conditions: Condition, cooldown_s: int = 3_600, urgent: bool = False
) -> Preset:
    definition = Definition(conditions, _ALL, cooldown_s=cooldown_s, urgent=urgent, name=title)
    return Preset(preset_id, title, why, definition)


PRESETS: tuple[Preset, ...] = (
    _preset(
        "move-with-volume",
        "Fast move with volume",
        "A fast move that many traders take part in.",
        PriceMove("either", 5.0, 900),
        VolumeRatio(3.0, 1_000_000.0),
    ),
    _preset(
        "breakout",
        "Sudden rise",
        "The first minutes of a breakout, without contracts that hardly trade.",
        PriceMove("up", 3.0, 300),
        VolumeRatio(2.0, 1_000_000.0),
    ),
    _preset(
        "crash",
        "Crash",
        "A fall you want to hear about even at night.",
        PriceMove("down", 10.0, 3_600),
        urgent=True,
    ),
    _preset(
        "volume",
        "Volume spike",
        "An hour with three times the volume of the one before.",
        VolumeRatio(3.0, 3_000_000.0),
        cooldown_s=4 * 3_600,
    ),
    _preset(
        "shorts-pay",
        "Shorts pay",
        "Negative funding, as it often builds up before a squeeze.",
        FundingLevel("below", -0.1),
        cooldown_s=8 * 3_600,
    ),
    _preset(
        "longs-pay",
        "Longs pay",
        "Crowded longs: a funding rate that makes them expensive.",
        FundingLevel("above", 0.1),
        cooldown_s=8 * 3_600,
    ),
    _preset(
        "new-positions",
        "New positions",
        "Open interest that grows by a tenth in an hour while the price moves.",
        InterestMove("up", 10.0, 3_600),
        PriceMove("either", 2.0, 3_600),
    ),
    _preset(
        "unusual-volume",
        "Very unusual volume",
        "Extreme volume by each contract’s own standards.",
        OnSignal("adaptive_spike", severity=3),
    ),
    _preset(
        "listings",
        "Listings and changed terms",
        "A contract is listed or delisted, or its terms change.",
        OnSignal("listing"),
        cooldown_s=60,
    ),
)
"""In the order in which they are offered."""
