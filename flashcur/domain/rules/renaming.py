"""A rule on a contract whose exchange calls it by another name, and may count another number of the coin by it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from flashcur.domain import multiples
from flashcur.domain.rules.condition import LEAST_PRICE, MOST_PRICE, Condition, Fault, PriceCross
from flashcur.domain.rules.rule import Definition, Scope


def counts(symbol: str) -> int:
    """How many coins one of a contract in USDT stands for: 1,000 for `1000SHIBUSDT`."""
    return multiples.split(symbol.upper().removesuffix("USDT"))[0]


def renamed(definition: Definition, symbol: str) -> Definition:
    """A rule on one contract as it says the same of that contract under the name `symbol`.

    Prices are of as many coins as the name counts; percents, and amounts in USDT, stay. Raises Fault where a price
    would become one that no rule can have.
    """
    before, after = counts(definition.scope.symbol), counts(symbol)
    conditions = tuple(
        _rescaled(condition, f"conditions.{number}.price", before, after)
        for number, condition in enumerate(definition.conditions)
    )
    return replace(definition, conditions=conditions, scope=Scope("symbol", symbol))


def _rescaled(condition: Condition, field: str, before: int, after: int) -> Condition:
    if not isinstance(condition, PriceCross) or before == after:
        return condition
    # As a person would move the point: 0.1 times 1,000 is 100.
    price = float(Decimal(repr(condition.price)) * after / before)
    if not LEAST_PRICE <= price <= MOST_PRICE:
        raise Fault(field, f"No rule can have the price {price:.12g}.")
    return replace(condition, price=price)
