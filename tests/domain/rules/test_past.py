"""When rules would have fired: the same as live over the same values, and honest about what the past does not tell."""

from __future__ import annotations

from math import nan
from random import Random

import pytest

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.past import Series, firings, funding_firings, limited, needs_of, stricter
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.ticks import Candle, Instrument, Ticker

T0 = 1_795_420_800_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
A = "AUSDT"
ONE = Scope("symbol", A)


def definition(*conditions: Condition, **terms: object) -> Definition:
    return Definition(conditions, ONE, **terms)  # pyright: ignore[reportArgumentType]


def minutes(rows: list[tuple[float, float]]) -> Series:
    """Minutes by close and volume."""
    return Series(MINUTE_MS, [(T0 + at * MINUTE_MS, close, close, close, v) for at, (close, v) in enumerate(rows)])


def hours(closes: list[float], volumes: list[float] | None = None, spread: float = 0.0) -> Series:
    volumes = volumes or [1.0] * len(closes)
    rows = [
        (T0 + at * HOUR_MS, close + spread, close - spread, close, volume)
        for at, (close, volume) in enumerate(zip(closes, volumes, strict=True))
    ]
    return Series(HOUR_MS, rows)


def steps(found: list[object], step_ms: int = HOUR_MS) -> list[int]:
    return [(each.at_ms - T0) // step_ms - 1 for each in found]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "conditions",
    [
        (PriceMove("either", 2.0, 300),),
        (PriceMove("up", 2.0, 900), PriceCross("above", 101.0)),
        (PriceMove("down", 1.0, 60), PriceMove("down", 2.0, 3_600)),
        (VolumeRatio(2.0, 500.0),),
    ],
)
def test_the_past_fires_as_the_evaluator_does_over_the_same_values(seed: int, conditions: tuple[Condition, ...]):
    draw = Random(seed)
    wanted = definition(*conditions, cooldown_s=draw.choice((60, 3_600)))
    rows: list[tuple[float, float]] = []
    price = 100.0
    for at in range(600):
        price = max(90.0, min(112.0, price + draw.choice((-2.0, -0.5, 0.0, 0.5, 2.0))))
        rows.append((price, draw.choice((0.0, 5.0, 10.0, 40.0)) * (1, 3)[at // 60 % 2]))
    past = firings(wanted, A, minutes(rows), T0)

    book, evaluator = MarketBook(), Evaluator()
    book.set_instruments([Instrument(A, "A", 0.01, 2)])
    evaluator.put([Rule("r", "a", 1, wanted, frozenset([A]), True, 0)])
    live: list[int] = []
    total = 0.0
    for at, (close, volume) in enumerate(rows):
        end_ms = T0 + (at + 1) * MINUTE_MS
        opened = T0 + at // 60 * HOUR_MS
        total = volume if at % 60 == 0 else total + volume
        # The price stands for the minute; the stream is never silent, so that nothing is missed.
        before = rows[at - 1][0] if at else close
        times = [*(end_ms - back_ms for back_ms in range(59_000, 0, -9_000) if at), end_ms]
        ticks = [Ticker(A, close if time_ms == end_ms else before, 1.0, 1e7, time_ms, time_ms) for time_ms in times]
        candle = Candle(A, opened, 1, 1, 1, 1, total, at % 60 == 59, end_ms, end_ms)
        for tick in [*ticks, candle]:
            assert book.apply(tick)
            row = book.row(A)
            assert row is not None
            live += [each.event_ms for each in evaluator.on_tick(row, tick)]
    assert [each.at_ms for each in past] == live
    assert len(past) > 0


def test_a_hold_is_met_at_each_step_of_it():
    rows = [(99.0, 0.0), (101.0, 0.0), (99.0, 0.0), (101.0, 0.0), (102.0, 0.0), (102.0, 0.0)]
    wanted = definition(PriceCross("above", 100.0), PriceMove("either", 0.5, 60), hold_s=60)
    assert firings(wanted, A, minutes(rows), T0) != []
    assert steps([*firings(wanted, A, minutes(rows), T0)], MINUTE_MS) == [4]


def test_a_price_is_crossed_within_its_hour():
    found = firings(definition(PriceCross("above", 105.0)), A, hours([100, 100, 104, 106, 100], spread=2), T0)
    assert steps([*found]) == [2, 3]
    assert found[0].price == 105.0
    assert found[0].up is True
    below = firings(definition(PriceCross("below", 95.0)), A, hours([100, 96, 94, 100, 94], spread=2), T0)
    assert steps([*below]) == [1, 2, 4]


def test_volumes_are_of_whole_hours():
    series = hours([1, 1, 1, 1, 1], [10, 40, 130, 20, 100])
    assert steps([*firings(definition(VolumeRatio(3.0, 50.0)), A, series, T0)]) == [2, 4]


def test_what_is_missing_fires_nothing():
    rows = [(T0 + at * HOUR_MS, 1.0, 1.0, 1.0, volume) for at, volume in ((0, 9.0), (1, 9.0), (3, 100.0), (4, 500.0))]
    series = Series(HOUR_MS, rows)
    assert series.volumes[2] != series.volumes[2]
    assert steps([*firings(definition(VolumeRatio(3.0, 0.0)), A, series, T0)]) == [4]
    broken = hours([100, nan, 106, 107])
    assert firings(definition(PriceMove("up", 5.0, 3_600)), A, broken, T0) == []


def test_cooldown_mode_and_the_beginning_are_respected():
    series = hours([100, 110] * 10)
    wanted = definition(PriceMove("up", 5.0, 3_600), cooldown_s=4 * 3_600)
    assert steps([*firings(wanted, A, series, T0)]) == [3, 7, 11, 15, 19]
    assert steps([*firings(wanted, A, series, T0 + 10 * HOUR_MS)]) == [9, 13, 17]
    once = definition(PriceMove("up", 5.0, 3_600), mode="once")
    assert len(limited(once, firings(once, A, series, T0))) == 1


def test_payments():
    payments = [(T0 + at * 8 * HOUR_MS, rate) for at, rate in enumerate((0.0001, 0.0012, 0.0011, 0.0001, 0.002))]
    found = funding_firings(definition(FundingLevel("above", 0.1)), A, payments, T0)
    assert [each.at_ms for each in found] == [T0 + 8 * HOUR_MS, T0 + 32 * HOUR_MS]


def test_open_interest_each_five_minutes():
    values = [1000.0] * 13 + [1060.0] * 3
    rows = [(T0 + at * 300_000, v, v, v, 0.0) for at, v in enumerate(values)]
    found = firings(definition(InterestMove("up", 5.0, 3_600)), A, Series(300_000, rows), T0)
    assert steps([*found], 300_000) == [13]


@pytest.mark.parametrize(
    ("conditions", "contracts", "grain"),
    [
        ((PriceMove("up", 5, 3_600),), 500, "hours"),
        ((VolumeRatio(3, 0), PriceMove("up", 5, 14_400)), 500, "hours"),
        ((PriceCross("above", 1),), 1, "hours"),
        ((PriceMove("up", 5, 900),), 1, "minutes"),
        ((PriceMove("up", 5, 900),), 2, None),
        ((FundingLevel("above", 0.1),), 500, "payments"),
        ((FundingLevel("above", 0.1), PriceCross("above", 1)), 1, None),
        ((InterestMove("up", 5, 900),), 1, "interest"),
        ((InterestMove("up", 5, 900),), 20, None),
        ((InterestMove("up", 5, 900), VolumeRatio(3, 0)), 1, None),
        ((OnSignal("listing"),), 500, "signals"),
        ((OnSignal("listing"), PriceMove("up", 5, 3_600)), 500, "signals"),
        ((OnSignal("listing"), OnSignal("funding")), 500, None),
    ],
)
def test_what_history_can_judge(conditions: tuple[Condition, ...], contracts: int, grain: str | None):
    needs = needs_of(definition(*conditions), contracts)
    assert needs.grain == grain
    assert bool(needs.unjudgeable) == (grain is None)


def test_beside_a_signal_it_is_said_what_cannot_be_judged_and_why():
    needs = needs_of(definition(PriceMove("up", 5, 900), OnSignal("funding"), FundingLevel("above", 0.1)), 1)
    assert needs.at_most
    assert needs.notes[0].startswith(
        "This counts the signals alone. Whether the contract then rises by 5 % or more within 15 minutes and has a "
        "funding rate of 0.1 % per interval or more is not known, "
    )
    assert not needs_of(definition(OnSignal("funding")), 1).at_most


def test_a_hold_that_the_past_is_too_coarse_for_is_told():
    needs = needs_of(definition(VolumeRatio(3, 0), hold_s=60), 20)
    assert "The hold is ignored here: the past is known only hour by hour." in needs.notes
    assert needs_of(definition(VolumeRatio(3, 0), hold_s=60), 1).grain == "minutes"


def test_stricter_thresholds_are_as_people_write_them():
    wanted = definition(PriceCross("above", 1), PriceMove("down", 40, 3_600))
    assert [each.conditions[1].percent for each in stricter(wanted)] == [40, 44, 50, 60, 70, 80]  # pyright: ignore
    assert stricter(definition(PriceCross("above", 1))) == []
    funding = stricter(definition(FundingLevel("below", -0.05)))
    assert funding[2].conditions[0].percent == -0.0625  # pyright: ignore
    assert stricter(definition(FundingLevel("above", -0.05))) == []
