"""A rule whose contract gets another name, and counts another number of the coin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flashcur.domain.rules.condition import Fault, FundingLevel, InterestMove, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.renaming import counts, renamed
from flashcur.domain.rules.rule import Definition, Scope


def on(symbol: str, *prices: float) -> Definition:
    return Definition(tuple(PriceCross("above", price) for price in prices), Scope("symbol", symbol), name="Dogs")


@pytest.mark.parametrize(
    ("former", "symbol", "was", "now"),
    [
        ("1000SHIBUSDT", "SHIBUSDT", 0.0123, 0.0000123),
        ("SHIBUSDT", "1000SHIBUSDT", 0.0000123, 0.0123),
        ("1000BOBUSDT", "1000000BOBUSDT", 0.1, 100.0),
        ("1MBABYDOGEUSDT", "BABYDOGEUSDT", 3.3, 0.0000033),
        # The same number, written in another way.
        ("SHIB1000USDT", "1000SHIBUSDT", 0.0123, 0.0123),
        ("LUNAUSDT", "LUNA2USDT", 0.7, 0.7),
    ],
)
def test_prices_are_of_as_many_coins_as_the_name_counts(former: str, symbol: str, was: float, now: float) -> None:
    assert renamed(on(former, was), symbol) == on(symbol, now)


def test_what_is_no_price_stays() -> None:
    rest = (PriceMove("up", 5.0, 900), VolumeRatio(2.0, 1e6), FundingLevel("below", -0.1), InterestMove("up", 5.0, 900))
    rule = replace(on("1000SHIBUSDT", 0.01), conditions=(*rest, PriceCross("below", 0.01)))
    assert renamed(rule, "SHIBUSDT").conditions == (*rest, PriceCross("below", 0.00001))


def test_a_price_that_no_rule_can_have_is_named() -> None:
    with pytest.raises(Fault) as refused:
        renamed(on("BABYDOGEUSDT", 1.0, 5e8), "1MBABYDOGEUSDT")
    assert refused.value.field == "conditions.1.price"
    assert counts("1mbabydogeusdt") == 1_000_000
