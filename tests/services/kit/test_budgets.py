"""Allowances in memory: a burst, then a rate, and no room for those who have gone."""

from __future__ import annotations

from flashcur.services.kit.budgets import Budgets


def test_a_burst_and_then_a_rate_for_each() -> None:
    budgets = Budgets(5, 2.0)
    assert [budgets.take("a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert budgets.take("b", 100.0)
    assert [budgets.take("a", 101.0) for _ in range(3)] == [True, True, False]
    # What was refused has cost nothing.
    assert [budgets.take("a", 101.5) for _ in range(2)] == [True, False]
    assert [budgets.take("a", 1000.0) for _ in range(6)] == [True] * 5 + [False]


def test_whose_is_whole_again_takes_no_room() -> None:
    budgets = Budgets(5, 2.0)
    for number in range(10_000):
        budgets.take(str(number), 100.0 + number / 10)
    assert len(budgets) <= 27


def test_it_is_not_forgotten_before() -> None:
    budgets = Budgets(5, 2.0)
    for _ in range(5):
        budgets.take("a", 100.0)
    for tenth in range(4):
        budgets.take("b", 100.0 + tenth / 10)
    assert not budgets.take("a", 100.4)
