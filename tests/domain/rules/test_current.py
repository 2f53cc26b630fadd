"""What the conditions of a rule measure now, of what a plan is shown."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from flashcur.domain.plans import PLANS
from flashcur.domain.rules.condition import (
    INTEREST_WINDOWS_S,
    MOVE_WINDOWS_S,
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.current import Present, present
from flashcur.domain.rules.rule import Scope
from flashcur.state.rule_texts import present_texts
from tests.support.frames import market_frame

FRAME = market_frame()
SYMBOL = FRAME.values("symbol")[1]
ONE = Scope("symbol", symbol=SYMBOL)
NOTHING = Present("", None)


def exact(name: str) -> float:
    value = FRAME.exact[name][1]
    assert value is not None
    return value


def of_one(condition: Condition) -> Present:
    (found,) = present([condition], ONE, FRAME, (), {})
    return found


def test_a_price_is_shown_as_the_table_has_it() -> None:
    price = exact("price")
    there = of_one(PriceCross("above", price))
    assert there.met is True
    assert there.text.replace(",", "") == f"{FRAME.values('price')[1]} USDT"
    assert of_one(PriceCross("above", price * 1.01)).met is False
    assert of_one(PriceCross("below", price * 1.01)).met is True


@pytest.mark.parametrize(("way", "met"), [("up", 1.0), ("down", -1.0)])
def test_a_move_of_a_day_is_the_table_s(way: str, met: float) -> None:
    change = replace(FRAME, exact={**FRAME.exact, "change_pct": [met * 5.0] * FRAME.count})
    (found,) = present([PriceMove(way, 4.0, 86_400)], ONE, change, (), {})  # type: ignore[arg-type]
    assert found == Present(f"{met * 5:+.2f} %", True)
    (found,) = present([PriceMove(way, 6.0, 86_400)], ONE, change, (), {})  # type: ignore[arg-type]
    assert found.met is False
    (found,) = present([PriceMove("either", 5.0, 86_400)], ONE, change, (), {})
    assert found.met is True


def test_funding_is_in_percent_an_interval() -> None:
    rate = exact("funding_rate")
    assert of_one(FundingLevel("above", rate * 100)).text == f"{FRAME.values('funding')[1]} %"
    assert of_one(FundingLevel("above", rate * 100 + 0.01)).met is False


def test_whether_a_floor_is_reached_is_not_known() -> None:
    ratio = exact("ratio")
    assert of_one(VolumeRatio(max(1.0, ratio / 2), 0)).met is (ratio >= max(1.0, ratio / 2))
    assert of_one(VolumeRatio(ratio + 1, 5e6)).met is False
    assert of_one(VolumeRatio(ratio, 5e6)).met is None


@pytest.mark.parametrize(
    "condition",
    [
        *(PriceMove("up", 1.0, window_s) for window_s in MOVE_WINDOWS_S if window_s != 86_400),
        *(InterestMove("up", 1.0, window_s) for window_s in INTEREST_WINDOWS_S if window_s != 3_600),
    ],
)
@pytest.mark.parametrize("scope", [ONE, Scope("all")], ids=lambda scope: scope.kind)
def test_of_a_window_that_the_table_does_not_have_that_is_said(condition: Condition, scope: Scope) -> None:
    values = replace(FRAME, exact={**FRAME.exact, "oi_change_1h_pct": [2.0] * FRAME.count})
    found = present([condition, OnSignal("funding")], scope, values, (), {})
    assert found == [Present("", None, window_shown=False), NOTHING]
    assert present_texts(found, values)["present"] == [{"text": "", "met": "unshown"}, {"text": "", "met": ""}]


def test_a_move_over_minutes_is_what_the_engine_told_of_it() -> None:
    symbol, other = FRAME.values("symbol")[1], FRAME.values("symbol")[2]
    moves = {symbol: (0.5, -6.25, None, 2.0), other: (9.0, 9.0, 9.0, 9.0)}
    one = Scope("symbol", symbol=symbol)

    def of(window_s: int, scope: Scope = one) -> Present:
        (found,) = present([PriceMove("either", 5.0, window_s)], scope, FRAME, (), moves)
        return found

    assert of(300) == Present("about +0.50 %", False)
    assert of(900) == Present("about -6.25 %", True)
    # Told of others, and not yet of this one; and told of none.
    assert of(1_800) == NOTHING
    assert of(14_400) == Present("", None, window_shown=False)
    assert of(900, Scope("all")).text == "2 of 2 contracts meet this now"
    assert of(3_600, Scope("all")).text == "1 of 2 contracts meets this now"


def test_what_is_not_live_says_as_of_when() -> None:
    values = replace(FRAME, as_of_ms=1_764_000_000_000)
    live = present_texts([NOTHING], values)
    assert (live["as_of"], live["at"]) == (1_764_000_000_000, "")
    later = present_texts([NOTHING], values, ZoneInfo("Europe/Berlin"), live=False)
    assert later["at"] == "17:00 CET"
    assert present_texts([NOTHING], None, live=False)["at"] == ""


def test_a_plan_without_open_interest_is_told_none_of_it() -> None:
    condition = InterestMove("either", 0.01, 3_600)
    values = replace(FRAME, exact={**FRAME.exact, "oi_change_1h_pct": [2.0] * FRAME.count})
    (shown,) = present([condition], ONE, values.only(PLANS["pro"]), (), {})
    (hidden,) = present([condition], ONE, values.only(PLANS["free"]), (), {})
    assert shown == Present("+2.00 %", True)
    assert hidden == NOTHING
    (hidden,) = present([InterestMove("either", 0.01, 300)], ONE, values.only(PLANS["free"]), (), {})
    assert hidden == NOTHING


def test_contracts_of_a_scope_are_counted() -> None:
    values = replace(FRAME, exact={**FRAME.exact, "change_pct": [float(i) for i in range(FRAME.count)]})
    condition = PriceMove("up", 10.0, 86_400)
    (in_all,) = present([condition], Scope("all"), values, (), {})
    crypto = values.of("crypto")
    assert in_all.text == f"{sum(i >= 10 for i in crypto)} of {len(crypto)} contracts meet this now"
    members = values.values("symbol")[9:12]
    (in_list,) = present([condition], Scope("watchlist", watchlist_id="x"), values, members, {})
    assert in_list.text == "2 of 3 contracts meet this now"


def test_missing_values_are_no_zeros() -> None:
    values = replace(FRAME, exact={**FRAME.exact, "price": [None] * FRAME.count, "ratio": [float("nan")] * FRAME.count})
    assert present([PriceCross("below", 1.0), VolumeRatio(1.0, 0)], ONE, values, (), {}) == [NOTHING, NOTHING]
    assert present([PriceCross("below", 1.0)], Scope("symbol", symbol="GONEUSDT"), FRAME, (), {}) == [NOTHING]
    assert present([PriceCross("below", 1.0)], ONE, None, (), {}) == [NOTHING]
