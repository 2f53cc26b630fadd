"""What the conditions of a rule measure now, of what a plan is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import nan
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from flashcur.domain.plans import PLANS
from flashcur.domain.rules import atoms
from flashcur.domain.rules.atoms import SOURCES
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
from flashcur.domain.rules.current import Present, Unknown, present
from flashcur.domain.rules.measured import SELDOM, UNMEASURED, Measured
from flashcur.domain.rules.rule import Scope
from flashcur.state.rule_texts import present_texts
from tests.support.frames import market_frame

FRAME = market_frame()
OPEN = replace(FRAME, exact={**FRAME.exact, "oi_change_1h_pct": [2.0] * FRAME.count})
SYMBOL = FRAME.values("symbol")[1]
ONE = Scope("symbol", symbol=SYMBOL)
NOTHING = Present("", None)
WINDOWS: list[Condition] = [
    *(PriceMove("either", 1.0, window_s) for window_s in MOVE_WINDOWS_S),
    *(InterestMove("either", 1.0, window_s) for window_s in INTEREST_WINDOWS_S),
]
MINUTE_MS = 60_000
TABLED = (atoms.move_source(86_400), atoms.interest_source(3_600))
"""The windows that the table shows, too."""


def untold(symbol: str) -> Measured:
    return UNMEASURED


def told(known_ms: Mapping[int, int] | None = None, others: float | None = 0.0, **values: float | None) -> Measured:
    """A contract at which these sources (by name) measure this, and all `others` that."""
    found = [others] * SOURCES
    for name, value in values.items():
        found[getattr(atoms, name)] = value
    return Measured(found, known_ms or {})


def source_of(condition: Condition) -> int:
    (atom,) = atoms.atoms_of(condition)
    return atom.source


def exact(name: str) -> float:
    value = FRAME.exact[name][1]
    assert value is not None
    return value


def of_one(condition: Condition) -> Present:
    (found,) = present([condition], ONE, FRAME, (), untold)
    return found


def test_a_price_is_shown_as_the_table_has_it() -> None:
    price = exact("price")
    there = of_one(PriceCross("above", price))
    assert there.met is True
    assert there.text.replace(",", "") == f"{FRAME.values('price')[1]} USDT"
    assert of_one(PriceCross("above", price * 1.01)).met is False
    assert of_one(PriceCross("below", price * 1.01)).met is True


@pytest.mark.parametrize("condition", WINDOWS, ids=lambda each: f"{each.kind} {each.window_s}")
def test_of_each_window_the_number_is_shown_that_rules_are_judged_by(condition: PriceMove | InterestMove) -> None:
    def of(value: float) -> Present:
        values: list[float | None] = [99.0] * SOURCES
        values[source_of(condition)] = value
        (found,) = present([condition], ONE, OPEN, (), lambda symbol: Measured(values, {}))
        return found

    assert of(0.5) == Present("+0.50 %", False)
    assert of(-6.25) == Present("-6.25 %", True)


@pytest.mark.parametrize(("way", "met"), [("up", 1.0), ("down", -1.0)])
def test_a_move_counts_the_way_that_is_meant(way: Literal["up", "down"], met: float) -> None:
    def of(percent: float, sign: float) -> bool | None:
        values: list[float | None] = [sign * 5.0] * SOURCES
        (found,) = present([PriceMove(way, percent, 300)], ONE, FRAME, (), lambda symbol: Measured(values, {}))
        return found.met

    assert (of(5.0, met), of(6.0, met), of(5.0, -met)) == (True, False, False)


@pytest.mark.parametrize("condition", WINDOWS, ids=lambda each: f"{each.kind} {each.window_s}")
@pytest.mark.parametrize("scope", [ONE, Scope("all")], ids=lambda scope: scope.kind)
def test_what_is_not_known_says_why_and_until_when(condition: Condition, scope: Scope) -> None:
    source = source_of(condition)

    def of(ask: Callable[[str], Measured]) -> Present:
        (found,) = present([condition], scope, OPEN, (), ask)
        return found

    def not_yet(symbol: str) -> Measured:
        return told({source: FRAME.as_of_ms + (1 if symbol == SYMBOL else 2)}, others=None)

    if source not in TABLED:
        assert of(untold) == Present("", None, Unknown("untold", condition))
    assert of(not_yet) == Present("", None, Unknown("window", condition, FRAME.as_of_ms + 1))
    assert of(lambda symbol: told({source: SELDOM}, others=None)) == Present("", None, Unknown("seldom", condition))
    assert of(lambda symbol: told(others=None)) == Present("", None, Unknown("old", condition))


def test_funding_is_in_percent_an_interval() -> None:
    rate = exact("funding_rate")
    assert of_one(FundingLevel("above", rate * 100)).text == f"{FRAME.values('funding')[1]} %"
    assert of_one(FundingLevel("above", rate * 100 + 0.01)).met is False


def test_a_ratio_is_judged_with_its_floor() -> None:
    def of(
        condition: Condition, ask: Callable[[str], Measured] = lambda symbol: told(RATIO=3.5, VOLUME=2e6)
    ) -> Present:
        (found,) = present([condition], ONE, FRAME, (), ask)
        return found

    assert of(VolumeRatio(3.0, 0)) == Present("3.50 times", True)
    assert of(VolumeRatio(3.0, 5e6)) == Present("3.50 times, 2.00M USDT", False)
    assert of(VolumeRatio(3.0, 2e6)) == Present("3.50 times, 2.00M USDT", True)
    assert of(VolumeRatio(4.0, 2e6)).met is False
    # Before the engine has told anything the table's ratio is known, and the volume is not.
    assert of(VolumeRatio(1.0, 0), untold).text == f"{FRAME.values('ratio')[1]} times"
    assert of(VolumeRatio(1.0, 5e6), untold) == Present(f"{FRAME.values('ratio')[1]} times", None)
    (many,) = present([VolumeRatio(1.0, 5e6)], Scope("all"), FRAME, (), untold)
    assert many == Present("", None, Unknown("untold", VolumeRatio(1.0, 5e6)))


def test_before_a_plan_is_told_anything_the_form_says_what_its_table_does() -> None:
    day, hour = PriceMove("either", 1.0, 86_400), InterestMove("up", 1.0, 3_600)
    frame = replace(OPEN, exact={**OPEN.exact, "change_pct": [-3.0] * FRAME.count})
    assert present([day, hour], ONE, frame, (), untold) == [Present("-3.00 %", True), Present("+2.00 %", True)]
    # Where it is told, that counts: rules are judged by it.
    assert present([day], ONE, frame, (), lambda symbol: told(others=0.5)) == [Present("+0.50 %", False)]


def test_a_number_that_is_still_missing_keeps_nothing_else_from_being_told() -> None:
    price = PriceCross("above", nan)
    assert of_one(price) == Present(of_one(PriceCross("above", 1.0)).text, None)
    found = present([None, FundingLevel("below", nan), PriceCross("above", 1.0)], ONE, FRAME, (), untold)
    assert [(bool(each.text), each.met) for each in found] == [(False, None), (True, None), (True, True)]
    # How many contracts meet it cannot be said.
    assert present([FundingLevel("below", nan)], Scope("all"), FRAME, (), untold) == [NOTHING]


@pytest.mark.parametrize(
    "condition", [PriceCross("above", 1.0), FundingLevel("below", 1.0), VolumeRatio(1.0, 0), VolumeRatio(1.0, 5e6)]
)
def test_what_no_rule_could_be_judged_by_is_not_shown(condition: Condition) -> None:
    """The table shows an old number, and marks it; no rule fires by it."""
    (found,) = present([condition], ONE, FRAME, (), lambda symbol: told(others=None))
    assert found == Present("", None, Unknown("old", condition))


def test_a_signal_has_no_value_of_its_own() -> None:
    assert present([OnSignal("funding")], ONE, FRAME, (), untold) == [NOTHING]


def test_of_many_contracts_those_count_that_are_known() -> None:
    known = {FRAME.values("symbol")[i]: value for i, value in ((1, -6.25), (2, 9.0), (3, 2.0))}

    def ask(symbol: str) -> Measured:
        return told(others=known.get(symbol))

    def of(percent: float) -> str:
        (found,) = present([PriceMove("either", percent, 900)], Scope("all"), FRAME, (), ask)
        return found.text

    assert of(5.0) == "2 of 3 contracts meet this"
    assert of(7.0) == "1 of 3 contracts meets this"


def test_what_is_not_live_says_as_of_when() -> None:
    values = replace(FRAME, as_of_ms=1_764_000_000_000)
    live = present_texts([NOTHING], values)
    assert (live["as_of"], live["at"]) == (1_764_000_000_000, "")
    later = present_texts([NOTHING], values, ZoneInfo("Europe/Berlin"), cadence_s=300)
    assert later["at"] == "17:00 CET"
    assert present_texts([NOTHING], None, cadence_s=300)["at"] == ""


@pytest.mark.parametrize("window_s", INTEREST_WINDOWS_S)
def test_a_plan_without_open_interest_is_told_that_it_has_none(window_s: int) -> None:
    condition = InterestMove("either", 0.01, window_s)

    def ask(symbol: str) -> Measured:
        return told(others=2.0)

    (shown,) = present([condition], ONE, OPEN.only(PLANS["pro"]), (), ask)
    (hidden,) = present([condition], ONE, OPEN.only(PLANS["free"]), (), ask)
    assert shown == Present("+2.00 %", True)
    assert hidden == Present("", None, Unknown("plan", condition))


def test_that_a_plan_has_no_open_interest_stands_before_the_rest_is_filled_in() -> None:
    conditions: list[Condition] = [InterestMove("up", nan, 3_600), OnSignal("open_interest"), OnSignal("funding")]
    nowhere = Scope("symbol", symbol="…")
    found = present(conditions, nowhere, OPEN.only(PLANS["free"]), (), untold)
    told = present_texts(found, FRAME)["present"]
    assert [each["why"] for each in told] == ["Open interest comes with Pro."] * 2 + [""]
    assert present(conditions[1:], nowhere, OPEN.only(PLANS["pro"]), (), untold) == [NOTHING, NOTHING]


def test_a_plan_is_told_nothing_of_contracts_that_its_table_does_not_show() -> None:
    condition = PriceMove("up", 1.0, 900)
    asked: list[str] = []

    def ask(symbol: str) -> Measured:
        asked.append(symbol)
        return told(others=2.0)

    cut = FRAME.only(PLANS["free"])
    (beyond,) = set(FRAME.values("symbol")[:51]) - set(cut.values("symbol"))
    assert present([condition], Scope("symbol", symbol=beyond), cut, (), ask) == [NOTHING]
    present([condition], Scope("all"), cut, (), ask)
    assert beyond not in asked


def test_contracts_of_a_scope_are_counted() -> None:
    symbols = FRAME.values("symbol")

    def ask(symbol: str) -> Measured:
        return told(others=float(symbols.index(symbol)))

    condition = PriceMove("up", 10.0, 86_400)
    (in_all,) = present([condition], Scope("all"), FRAME, (), ask)
    crypto = FRAME.of("crypto")
    assert in_all.text == f"{sum(i >= 10 for i in crypto)} of {len(crypto)} contracts meet this"
    (in_list,) = present([condition], Scope("watchlist", watchlist_id="x"), FRAME, symbols[9:12], ask)
    assert in_list.text == "2 of 3 contracts meet this"


def test_missing_values_are_no_zeros() -> None:
    values = replace(FRAME, exact={**FRAME.exact, "price": [None] * FRAME.count, "ratio": [float("nan")] * FRAME.count})
    conditions: list[Condition] = [PriceCross("below", 1.0), VolumeRatio(1.0, 0)]
    old = [Present("", None, Unknown("old", each)) for each in conditions]
    assert present(conditions, ONE, values, (), untold) == old
    assert present([PriceCross("below", 1.0)], Scope("symbol", symbol="GONEUSDT"), FRAME, (), untold) == [NOTHING]
    assert present([PriceCross("below", 1.0)], ONE, None, (), untold) == [NOTHING]


NOON_MS = 1_764_072_000_000
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("unknown", "cadence_s", "text"),
    [
        (
            Unknown("window", PriceMove("up", 1, 14_400), NOON_MS + 90 * MINUTE_MS + 1),
            1,
            "Not known yet: FlashCur has watched the price for less than 4 hours. It will know by 14:31 CET, or soon"
            " after you save the rule.",
        ),
        # The past of a window of a minute is not asked for, nor is that of open interest by a rule.
        (
            Unknown("window", PriceMove("up", 1, 60), NOON_MS + 1_000),
            1,
            "Not known yet: FlashCur has watched the price for less than 1 minute. It will know by 13:01 CET.",
        ),
        (
            Unknown("window", InterestMove("up", 1, 14_400), NOON_MS + 720 * MINUTE_MS),
            1,
            "Not known yet: FlashCur has watched the open interest for less than 4 hours. It will know by 01:00 CET"
            " tomorrow.",
        ),
        # A plan that is not live is shown it at its mark.
        (
            Unknown("window", InterestMove("up", 1, 14_400), NOON_MS + 31 * MINUTE_MS),
            900,
            "Not known yet: FlashCur has watched the open interest for less than 4 hours. It will know by 13:45 CET.",
        ),
        (
            Unknown("window", VolumeRatio(3, 0), NOON_MS + 60 * MINUTE_MS),
            1,
            "Not known yet: the volume of the whole hour before is missing. You will see it here by 14:00 CET.",
        ),
        (
            Unknown("seldom", InterestMove("up", 1, 300)),
            1,
            "Not known: the open interest of smaller contracts is updated every 8 minutes, too seldom for a window of"
            " 5 minutes. Choose a longer one.",
        ),
        (
            Unknown("old", FundingLevel("above", 0.1)),
            1,
            "Not known now: the exchange has sent no new funding rate lately, and rules ignore old ones.",
        ),
        (
            Unknown("untold", PriceMove("up", 1, 300)),
            1,
            "Not known yet: FlashCur has just started. You will see it here within a minute.",
        ),
        (Unknown("untold", PriceMove("up", 1, 300)), 300, "Not shown yet: your plan shows it from 13:05 CET."),
    ],
)
def test_the_form_says_in_words_why_and_until_when(unknown: Unknown, cadence_s: int, text: str) -> None:
    values = replace(FRAME, as_of_ms=NOON_MS)
    (said,) = present_texts([Present("", None, unknown)], values, BERLIN, cadence_s=cadence_s)["present"]
    assert said == {"text": "", "met": "", "why": text}
