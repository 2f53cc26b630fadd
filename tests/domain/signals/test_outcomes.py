"""What followed signals: quartiles, the lift, and an interval that holds what it promises."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from flashcur.domain.signals.outcomes import (
    HORIZONS_H,
    LEAST_BLOCKS,
    Base,
    Outcome,
    QuietHour,
    block_ms,
    lift,
    student_quantile,
    summarise,
)
from flashcur.domain.spikes import HOUR_MS
from tests.domain.signals.market import A, B, at

RUNS = 300


def market(draw: random.Random, days: int, contracts: int) -> dict[str, list[float]]:
    """Hourly prices of contracts that move together, with storms and calms."""
    together = [draw.gauss(0, 0.006) * draw.choice([0.3, 1, 3]) for _ in range(days * 24)]
    return {
        f"C{number}USDT": list(accumulate((1 + each + draw.gauss(0, 0.004) for each in together), lambda p, r: p * r))
        for number in range(contracts)
    }


def swarms(draw: random.Random, days: int, symbols: list[str]) -> set[tuple[str, int]]:
    """Hours with signals: most come in swarms over many contracts and some hours."""
    found: set[tuple[str, int]] = set()
    for _ in range(days // 3):
        hour = draw.randrange(days * 24)
        for symbol in draw.sample(symbols, draw.randint(1, len(symbols))):
            found |= {(symbol, (hour + later) % (days * 24)) for later in range(draw.randint(1, 4))}
    return found


def measured(
    prices: dict[str, list[float]], signals: set[tuple[str, int]], horizon: int, up: bool
) -> tuple[list[Outcome], Base]:
    outcomes: list[Outcome] = []
    quiet: list[QuietHour] = []
    for symbol, path in prices.items():
        for hour in range(len(path) - horizon):
            move = path[hour + horizon] / path[hour] - 1
            if (symbol, hour) in signals:
                outcomes.append(Outcome(symbol, at(hour), up, move))
            else:
                quiet.append(QuietHour(symbol, at(hour), move))
    return outcomes, Base(quiet, horizon)


# Much to compute, on a busy machine.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("horizon", HORIZONS_H)
def test_on_shuffled_signals_the_interval_holds_one(horizon: int) -> None:
    """Swarms of signals at random hours of a market whose contracts move together."""
    held = told = 0
    for seed in range(RUNS):
        draw = random.Random(seed)
        days = 60 if horizon < 24 else 120
        prices = market(draw, days, 3)
        found = lift(*measured(prices, swarms(draw, days, list(prices)), horizon, draw.random() < 0.5))
        if found is None or found.low is None or found.high is None:
            continue
        told += 1
        held += found.low <= 1 <= found.high
    assert told >= 0.95 * RUNS
    # Three standard errors of a share of 0.95 in so many runs.
    margin = 3 * (0.95 * 0.05 / told) ** 0.5
    assert 0.95 - margin <= held / told <= 0.95 + margin, held / told


def test_a_true_lift_is_found() -> None:
    draw = random.Random(1)
    outcomes = [Outcome(A, at(5 * n), True, 1.0 if draw.random() < 0.75 else -1.0) for n in range(400)]
    quiet = [QuietHour(A, at(n), draw.choice([1.0, -1.0])) for n in range(2_000) if n % 5]
    found = lift(outcomes, Base(quiet, 1))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low > 1.2
    assert found.low < 1.5 < found.high
    assert found.value == pytest.approx(found.hit_rate / found.base_rate)


def test_each_signal_is_compared_with_its_own_contract_and_side() -> None:
    quiet = [QuietHour(A, at(n), 1.0 if n % 4 else -1.0) for n in range(400)]
    quiet += [QuietHour(B, at(n), -1.0) for n in range(400)]
    base = Base(quiet, 1)
    assert (base.rate(A, True), base.rate(A, False)) == (0.75, 0.25)
    assert (base.rate(B, True), base.rate(B, False)) == (0.0, 1.0)
    outcomes = [Outcome(A, at(48 * n), True, 1.0 if n % 4 else -1.0) for n in range(40)]
    found = lift(outcomes, base)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert lift([Outcome(B, at(0), True, 1.0)], base) is None
    assert lift([Outcome("CUSDT", at(0), True, 1.0)], base) is None


def test_a_move_of_nothing_is_no_hit() -> None:
    assert not Outcome(A, 0, True, 0.0).hit
    assert not Outcome(A, 0, False, 0.0).hit
    assert Outcome(A, 0, False, -0.1).hit


def test_a_base_of_few_hours_is_not_taken_for_certain() -> None:
    """As many hours to compare with as signals: the interval is wider by about the root of two."""
    draw = random.Random(3)
    outcomes = [Outcome(A, at(24 * n), True, draw.choice([1.0, -1.0])) for n in range(120)]

    def width(hours_a_day: int) -> float:
        quiet = [
            QuietHour(A, at(24 * n + 1 + hour), draw.choice([1.0, -1.0]))
            for n in range(120)
            for hour in range(hours_a_day)
        ]
        found = lift(outcomes, Base(quiet, 1))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        return (found.high - found.low) / found.value

    assert 1.25 < width(1) / width(22) < 1.6


def test_one_swarm_however_large_makes_no_interval() -> None:
    quiet = [QuietHour(A, at(n), 1.0 if n % 2 else -1.0) for n in range(2_000)]
    outcomes = [Outcome(A, at(n / 1000), True, 1.0) for n in range(1_000)]
    found = lift(outcomes, Base(quiet, 1))
    assert found is not None
    assert (found.value, found.low, found.high) == (2.0, None, None)


def test_quartiles() -> None:
    base = Base([QuietHour(A, at(n), 1.0) for n in range(9)], 1)
    found = summarise([Outcome(A, at(n), True, n / 100) for n in range(5)], base)
    assert found is not None
    assert (found.count, found.lower_quartile, found.median, found.upper_quartile) == (5, 0.01, 0.02, 0.03)
    one = summarise([Outcome(A, at(0), True, 0.5)], base)
    assert one is not None
    assert (one.lower_quartile, one.median, one.upper_quartile) == (0.5, 0.5, 0.5)
    assert summarise([], base) is None


def test_blocks_are_longer_than_horizons() -> None:
    assert [block_ms(horizon) // HOUR_MS for horizon in HORIZONS_H] == [24, 24, 72]


@pytest.mark.parametrize(
    ("degrees", "expected"), [(LEAST_BLOCKS - 1, 2.3646), (10, 2.2281), (30, 2.0423), (1_000, 1.9623)]
)
def test_quantiles_of_student_s_t(degrees: int, expected: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(expected, abs=1e-3)
