"""What a rule that fires too often is offered: the least strict threshold that would have left it quiet."""

from __future__ import annotations

from random import Random

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
from flashcur.domain.rules.often import Calmer, Fired, calmer, threshold_of, with_threshold
from flashcur.domain.rules.past import MOST_A_WEEK, Series, firings
from flashcur.domain.rules.rule import Definition, Scope

UP = PriceMove("up", 5.0, 900)
T0, HOUR_MS = 1_795_420_800_000, 3_600_000


def definition(*conditions: Condition, **terms: object) -> Definition:
    return Definition(conditions, Scope("all"), **terms)  # pyright: ignore[reportArgumentType]


def rose(*percents: float) -> list[Fired]:
    """Firings at the threshold itself, at a price of 105, which went on to these."""
    return [Fired(5.0, 105.0, high=100.0 + percent, low=99.0) for percent in percents]


def offered(rule: Definition, known: list[Fired], fires: int | None = None) -> Calmer:
    found = calmer(rule, len(known) if fires is None else fires, known)
    assert found is not None
    return found


def test_it_is_how_far_a_move_went_that_counts_and_not_what_was_measured_when_it_began() -> None:
    # 6.25 % is below what 15 of them came to, 7.5 % above what 11 did.
    found = offered(definition(UP), rose(*[7.0] * 11, *[9.0] * 4, *[5.2] * 10))
    assert found == Calmer(25, definition(PriceMove("up", 7.5, 900)), 0, 4)


def test_a_fall_and_either_way_go_by_their_own_side() -> None:
    fell = [Fired(-5.0, 95.0, high=200.0, low=100.0 - percent) for percent in (*[5.1] * 12, *[12.0] * 8)]
    assert offered(definition(PriceMove("down", 5.0, 900)), fell).would == 8
    both = [*fell[:12], *rose(*[9.0] * 10)]
    assert offered(definition(PriceMove("either", 5.0, 900)), both).definition.conditions == (
        PriceMove("either", 5.5, 900),
    )


def test_an_hour_s_volume_goes_on_growing_after_it_fired() -> None:
    known = [Fired(3.0, 1.0, volume=multiple * 10.0, volume_before=10.0) for multiple in (*[4.0] * 10, *[7.0] * 6)]
    found = offered(definition(VolumeRatio(3.0, 1e6)), known)
    assert found.definition.conditions == (VolumeRatio(4.5, 1e6),)
    assert found.would == 6


def test_funding_goes_by_what_was_paid_next_and_by_its_sign() -> None:
    known = [Fired(-0.05, None, paid_percent=paid) for paid in (*[-0.051] * 9, *[-0.2] * 6)]
    found = offered(definition(FundingLevel("below", -0.05)), known)
    assert found.definition.conditions == (FundingLevel("below", -0.055),)
    # One that points inwards has no stricter threshold.
    assert calmer(definition(FundingLevel("below", 0.05)), 15, [Fired(0.04, None, paid_percent=0.04)] * 15) is None


def test_beside_a_signal_what_was_measured_at_its_moment_counts() -> None:
    rule = definition(OnSignal("listing"), InterestMove("up", 10.0, 900))
    found = offered(rule, [*[Fired(10.5, 1.0)] * 10, *[Fired(40.0, 1.0)] * 10])
    assert (found.at, found.would) == (1, 10)
    assert found.definition.conditions == (OnSignal("listing"), InterestMove("up", 11.0, 900))


@pytest.mark.parametrize(
    ("rule", "known", "fires"),
    [
        (definition(UP), rose(*[5.2] * 14), 14),
        (definition(UP), [], 40),
        (definition(UP, mode="once"), rose(*[5.2] * 15), 15),
        (definition(PriceCross("above", 5.0)), rose(*[5.2] * 15), 15),
        (definition(OnSignal("listing")), rose(*[5.2] * 15), 15),
        (definition(UP), [Fired(5.0, 105.0)] * 15, 15),
        (definition(UP), [Fired(None, 105.0, high=110.0, low=1.0)] * 15, 15),
        (definition(InterestMove("up", 10.0, 900)), [Fired(10.0, 1.0)] * 15, 15),
        (definition(UP), rose(*[5_000.0] * 15), 15),
    ],
    ids=[
        "not too often",
        "nothing known",
        "fires once",
        "a price is meant",
        "a signal has no threshold",
        "what followed is not stored",
        "nothing was measured",
        "open interest has no past",
        "no threshold is strict enough",
    ],
)
def test_nothing_is_offered_where_it_is_not_often_or_too_little_is_known(
    rule: Definition, known: list[Fired], fires: int
) -> None:
    assert calmer(rule, fires, known) is None


def test_what_is_not_known_counts_as_if_nothing_could_keep_it_quiet() -> None:
    unknown = [Fired(5.0, 105.0)] * 10
    assert offered(definition(UP), [*unknown, *rose(*[5.2] * 10)]).would == 10
    assert calmer(definition(UP), 25, [*unknown, *unknown[:5], *rose(*[5.2] * 10)]) is None


def test_of_very_many_the_newest_stand_for_all() -> None:
    # One in twenty went far: of 400 that is 20, which is too many.
    known = rose(*[5.2] * 190, *[6.0] * 8, *[20.0] * 2)
    assert offered(definition(UP), known, 400).would == 4
    assert offered(definition(UP), known, 400).definition.conditions == (PriceMove("up", 6.25, 900),)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_offered_keeps_its_word_over_the_same_hours(seed: int) -> None:
    """The rule is judged over hours at random, then the offered one over the same: no more often than was said."""
    draw = Random(seed)
    volumes = [draw.choice((1.0, 2.0, 4.0, 8.0)) * draw.uniform(1.0, 1.2) for _ in range(7 * 24)]
    series = Series(HOUR_MS, [(T0 + at * HOUR_MS, 1.0, 1.0, 1.0, volume) for at, volume in enumerate(volumes)])
    rule = definition(VolumeRatio(2.0, 0.0), cooldown_s=60)
    fired = firings(rule, "A", series, 0)
    assert len(fired) > MOST_A_WEEK
    known = [
        Fired(2.0, 1.0, volume=volumes[at], volume_before=volumes[at - 1])
        for at in ((each.at_ms - T0) // HOUR_MS - 1 for each in fired)
    ]
    found = offered(rule, known)
    assert len(firings(found.definition, "A", series, 0)) <= found.would <= MOST_A_WEEK


def test_a_threshold_is_put_where_the_rule_has_one() -> None:
    rule = definition(PriceCross("above", 1.0), PriceMove("down", 5.0, 900))
    assert with_threshold(rule, "7.5").conditions == (PriceCross("above", 1.0), PriceMove("down", 7.5, 900))
    assert threshold_of(with_threshold(rule, "7.5")) == 7.5
    assert with_threshold(definition(VolumeRatio(2.0, 5.0)), "3").conditions == (VolumeRatio(3.0, 5.0),)
    assert threshold_of(definition(PriceCross("above", 1.0))) is None


@pytest.mark.parametrize("typed", ["", "much", "-1", "150", "nan", "1e99"])
def test_a_threshold_that_cannot_be_changes_nothing(typed: str) -> None:
    rule = definition(PriceMove("down", 5.0, 900))
    assert with_threshold(rule, typed) == rule
    assert with_threshold(definition(PriceCross("above", 1.0)), "2") == definition(PriceCross("above", 1.0))
