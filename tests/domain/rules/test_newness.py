"""Which contracts are too new for a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.newness import LONGEST_MS, is_too_new, too_new_text, young
from flashcur.domain.ticks import Instrument

HOUR, DAY = 3_600_000, 86_400_000
NOON = 1_795_435_200_000 // DAY * DAY + DAY // 2
NEW = Instrument("NEWUSDT", "NEW", 0.1, 1, listed_ms=NOON)


@pytest.mark.parametrize(
    ("condition", "until_ms"),
    [
        (PriceMove("up", 5.0, 900), 900_000),
        (PriceMove("up", 5.0, 86_400), DAY),
        (InterestMove("up", 5.0, 14_400), 4 * HOUR),
        (VolumeRatio(3.0, 0.0), HOUR),
        (OnSignal("volume_spike"), HOUR),
        (OnSignal("adaptive_spike"), 12 * HOUR),
        (OnSignal("funding"), 30 * 8 * HOUR),
    ],
)
def test_a_contract_is_too_new_until_it_is_as_old_as_a_condition_looks_back(
    condition: Condition, until_ms: int
) -> None:
    assert is_too_new([condition], NEW, NOON + until_ms - 1)
    assert not is_too_new([condition], NEW, NOON + until_ms)
    # One condition that cannot be judged is enough.
    assert is_too_new([PriceCross("above", 1.0), condition], NEW, NOON + until_ms - 1)
    assert young([NEW], NOON + until_ms - 1) == [NEW]
    assert until_ms < LONGEST_MS


@pytest.mark.parametrize("condition", [PriceCross("above", 1.0), FundingLevel("above", 0.1), OnSignal("listing")])
def test_what_looks_at_the_present_alone_is_judged_at_once(condition: Condition) -> None:
    assert not is_too_new([condition], NEW, NOON)


def test_volumes_go_by_the_hours_of_the_clock() -> None:
    late = replace(NEW, listed_ms=NOON + 50 * 60_000)
    assert is_too_new([VolumeRatio(3.0, 0.0)], late, NOON + HOUR - 1)
    assert not is_too_new([VolumeRatio(3.0, 0.0)], late, NOON + HOUR)


def test_payments_go_by_the_contract_s_own_interval() -> None:
    hourly = replace(NEW, funding_interval_hours=1)
    assert not is_too_new([OnSignal("funding")], hourly, NOON + 30 * HOUR)


def test_what_the_exchange_does_not_say_is_not_new() -> None:
    old = replace(NEW, listed_ms=None)
    assert not is_too_new([PriceMove("up", 5.0, 900)], old, NOON)
    assert young([old, replace(NEW, listed_ms=NOON - LONGEST_MS)], NOON) == []


def test_how_many_are_too_new_is_one_sentence() -> None:
    assert too_new_text(0, 150) == ""
    assert too_new_text(1, 150) == "1 of 150 contracts is too new to be judged."
    assert too_new_text(2, 1_500) == "2 of 1,500 contracts are too new to be judged."
    assert too_new_text(1, 1) == "The contract is too new to be judged."
