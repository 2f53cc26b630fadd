"""What the form of a rule sends, and what it begins with."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from flashcur.domain.rules.condition import FundingLevel, OnSignal, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.sentence import sentence
from flashcur.errors import Refusal, Unavailable
from flashcur.models import RuleRecord
from flashcur.services.alerts.rules import Written
from flashcur.state.rule_drafts import MOST_DRAFT, Draft, blank_form, form_of, read_draft
from flashcur.state.rule_texts import draft_texts, ends_text

KNOWN = frozenset({"BTCUSDT", "ETHUSDT", "1000SHIBUSDT"})
NOW_MS = 1_764_000_000_000


def sent(form: dict[str, Any], **more: Any) -> str:
    """A form as the page sends it."""
    beside = {"channels": form.get("channels", []), "ends": form.get("ends", ""), "ends_ms": form.get("ends_ms", 0)}
    definition = {name: value for name, value in form.items() if name not in beside}
    return json.dumps({"number": 7, "definition": definition, **beside, **more})


def draft(*conditions: dict[str, Any], **more: Any) -> Draft:
    form = blank_form("btc")
    if conditions:
        form["conditions"] = list(conditions)
    return read_draft(sent({**form, **more}), KNOWN)


def test_what_a_person_types_is_understood() -> None:
    found = draft({"kind": "price", "side": "above", "price": "65,000.5"}, channels=["email", "nonsense", "in-app"])
    assert found.faults == {}
    assert found.definition == Definition((PriceCross("above", 65_000.5),), Scope("symbol", symbol="BTCUSDT"))
    assert (found.number, found.rule_id, found.channels) == (7, "", ("email",))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = draft(
        {"kind": "price", "side": "above", "price": ""},
        {"kind": "move", "way": "down", "percent": "200", "window_s": "900"},
        {"kind": "funding", "side": "below", "percent": "NaN"},
        scope={"kind": "symbol", "symbol": "nothing"},
        ends="soon",
    )
    assert found.definition is None
    assert not found.contradicts
    assert found.faults.keys() == {
        "conditions.0.price",
        "conditions.1.percent",
        "conditions.2.percent",
        "scope.symbol",
        "ends",
    }
    assert "There is no contract “nothing” here" in found.faults["scope.symbol"]


@pytest.mark.parametrize(
    ("more", "conditions", "said"),
    [
        ({}, [{"percent": "much"}], "BTCUSDT rises or falls by … % or more within 15 minutes, at most once an hour."),
        ({"scope": {"kind": "symbol", "symbol": "no"}}, [{}], "… rises or falls by 5 % or more within 15 minutes,"),
        ({"hold_s": "-1"}, [{}], "BTCUSDT rises or falls by 5 % or more within 15 minutes, at most once an hour."),
        ({}, [{"way": "sideways"}, {"percent": "7"}], "BTCUSDT rises or falls by 7 % or more within 15 minutes,"),
    ],
    ids=["a number", "the contract", "the hold", "a condition"],
)
def test_what_is_wrong_is_a_gap_in_what_is_said_of_the_rest(
    more: dict[str, Any], conditions: list[dict[str, Any]], said: str
) -> None:
    move = {"kind": "move", "way": "either", "percent": "5", "window_s": "900"}
    found = draft(*({**move, **each} for each in conditions), **more)
    assert found.definition is None
    assert found.outline is not None
    assert sentence(found.outline).startswith(f"Tell me when {said}")


def test_of_two_that_contradict_each_other_the_later_has_the_gap() -> None:
    found = draft(
        {"kind": "price", "side": "above", "price": "65000"}, {"kind": "price", "side": "below", "price": "60000"}
    )
    assert found.outline is not None
    assert "trades at or above 65,000 USDT and trades at or below … USDT" in sentence(found.outline)
    # Where nothing can be said there is no sentence.
    assert draft({"kind": "nothing"}).outline is None


@pytest.mark.parametrize("price", ["0", "-1", "1e300", "inf", "", "abc", "1e-30", "٣"])
def test_a_price_that_cannot_be_is_refused_beside_its_field(price: str) -> None:
    found = draft({"kind": "price", "side": "above", "price": price})
    assert (found.faults == {}) is (price == "٣")
    assert found.faults.keys() <= {"conditions.0.price"}


@pytest.mark.parametrize("typed", ["2,5", "0,500", "1,00,000", "1.000,5", "12,3456", ",5", "1,000,", "-2,5"])
def test_a_comma_that_may_be_a_decimal_point_is_never_left_out(typed: str) -> None:
    found = draft({"kind": "funding", "side": "below", "percent": typed})
    assert found.faults == {"conditions.0.percent": "Write decimals with a point: 2.5."}


@pytest.mark.parametrize(
    ("typed", "price"),
    [("65,000", 65_000), ("1,234,567.5", 1_234_567.5), (" 65000 ", 65_000), ("1e3", 1_000), (".5", 0.5), ("5.", 5)],
)
def test_thousands_may_be_set_apart(typed: str, price: float) -> None:
    found = draft({"kind": "price", "side": "above", "price": typed})
    assert found.definition is not None
    assert found.definition.conditions == (PriceCross("above", price),)


@pytest.mark.parametrize("price", ["1_000", "0x10", "²", "1e5000", "9" * 400, int("9" * 400), "1e", "--1", "."])
def test_what_is_no_number_is_said_to_be_none(price: object) -> None:
    assert "Enter a number" in draft({"kind": "price", "side": "above", "price": price}).faults["conditions.0.price"]


@pytest.mark.parametrize("digits", ["²", "³⁰⁰", "৩০০", "9" * 400, 300.5, True, [300]])
def test_digits_that_are_no_whole_number_are_refused_beside_their_field(digits: object) -> None:
    move = {"kind": "move", "way": "up", "percent": "5", "window_s": digits}
    assert draft(move, cooldown_s=digits, hold_s=digits).faults.keys() >= {"conditions.0.window_s", "cooldown_s"}


def test_a_contradiction_is_told_beside_the_later_condition() -> None:
    found = draft(
        {"kind": "price", "side": "above", "price": "65000"}, {"kind": "price", "side": "below", "price": "60000"}
    )
    assert found.contradicts
    assert found.definition is None
    assert list(found.faults) == ["conditions.1.price"]


def test_a_contract_that_goes_by_another_name_is_found() -> None:
    form = blank_form("SHIB1000")
    form["conditions"] = [{"kind": "funding", "side": "below", "percent": "−0.05"}]
    found = read_draft(sent(form), KNOWN)
    assert found.definition is not None
    assert found.definition.scope.symbol == "1000SHIBUSDT"
    assert found.definition.conditions == (FundingLevel("below", -0.05),)


def test_while_contracts_are_not_known_nothing_is_called_wrong() -> None:
    with pytest.raises(Unavailable):
        read_draft(sent(blank_form("btc")), frozenset())


@pytest.mark.parametrize(
    "text",
    ["", "x", "null", "[]", "7", '"x"', "[" * 5_000, "9" * 5_000, '{"number": NaN}', "a" * (MOST_DRAFT + 1), "\0"],
)
def test_what_no_form_sends_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        read_draft(text, KNOWN)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [{}], [[]], {"kind": {}}, [None] * 50])
@pytest.mark.parametrize("name", ["conditions", "scope", "mode", "cooldown_s", "hold_s", "urgent", "name", "note"])
def test_nonsense_in_a_field_is_a_fault_or_nothing(name: str, value: object) -> None:
    found = read_draft(sent({**blank_form("btc"), name: value}), KNOWN)
    assert found.definition is None
    assert found.faults


@pytest.mark.parametrize("field", ["rule", "version", "number", "channels", "ends", "ends_ms", "paused", "test"])
@pytest.mark.parametrize("value", [None, -1, 1.5, {}, [], [[]], True, "9" * 300])
def test_nonsense_beside_the_definition_changes_nothing_of_it(field: str, value: object) -> None:
    try:
        found = read_draft(sent(blank_form("btc"), **{field: value}), KNOWN)
    except Refusal:
        assert field == "rule"
        return
    assert "conditions.0.price" in found.faults
    assert isinstance(found.version, int)
    assert isinstance(found.number, int)


@pytest.mark.parametrize(
    "definition",
    [
        Definition((PriceCross("below", 0.00001234),), Scope("symbol", symbol="BTCUSDT"), mode="once", note="Sell <b>"),
        Definition((PriceMove("either", 5.0, 900), VolumeRatio(3.0, 5e6)), Scope("all"), cooldown_s=90, urgent=True),
        Definition((OnSignal("open_interest", 2, "any", "long_build_up"),), Scope("watchlist", watchlist_id="a" * 32)),
    ],
    ids=["price", "two", "signal"],
)
def test_a_rule_comes_back_from_its_form_as_it_was(definition: Definition) -> None:
    rule = RuleRecord(
        account_id="x", definition={}, channels=["in-app", "sms"], expires_ms=5, created_ms=0, changed_ms=0
    )
    form = form_of(definition, rule)
    assert all(isinstance(value, str) for condition in form["conditions"] for value in condition.values())
    found = read_draft(sent(form), KNOWN)
    assert found.definition == definition
    assert found.channels == ("sms",)
    assert found.written(NOW_MS, 5) == Written(definition, ("sms",), 5)
    assert found.ends_ms == 5


@pytest.mark.parametrize(("ends", "expected"), [("", None), ("86400", NOW_MS + 86_400_000), ("keep", 42)])
def test_an_end_is_so_many_seconds_away_or_as_it_was(ends: str, expected: int | None) -> None:
    found = draft({"kind": "price", "side": "above", "price": "1"}, ends=ends)
    assert found.written(NOW_MS, 42).expires_ms == expected


@pytest.mark.parametrize(
    ("ends", "ends_ms", "said"),
    [
        ("", NOW_MS, "every time."),
        ("604800", 0, "every time. It ends in 7 days."),
        ("keep", NOW_MS, "every time. It ends on 24 Nov 2025, 16:00 UTC."),
        ("keep", 10**15, "every time."),
        ("keep", "soon", "every time."),
        ("³", 0, "every time."),
    ],
)
def test_the_sentence_of_a_form_says_when_the_rule_ends(ends: str, ends_ms: object, said: str) -> None:
    found = draft({"kind": "price", "side": "above", "price": "1"}, ends=ends, ends_ms=ends_ms)
    definition = Definition((PriceCross("above", 1.0),), Scope("symbol", symbol="BTCUSDT"), cooldown_s=0)
    assert draft_texts(replace(found, outline=definition), {}, ends_text(found, UTC))["sentence"].endswith(said)


@pytest.mark.parametrize("ends", ["0", "-5", "1.5", "99999999999", "never", "٣"])
def test_an_end_that_cannot_be_is_refused(ends: str) -> None:
    assert draft({"kind": "price", "side": "above", "price": "1"}, ends=ends).faults.keys() == {"ends"}


def test_a_form_with_nothing_in_it_is_wrong_everywhere_at_once() -> None:
    found = read_draft("{}", KNOWN)
    assert found.faults.keys() == {"conditions", "scope.kind", "mode", "cooldown_s", "hold_s"}


def test_numbers_that_are_shown_in_a_form_have_their_thousands_parted() -> None:
    shown = form_of(Definition((VolumeRatio(3.0, 5_000_000.0),), Scope("all")))["conditions"][0]
    assert (shown["multiple"], shown["floor"]) == ("3", "5,000,000")
