"""What owners are told of rules whose contract left. Read these aloud."""

from __future__ import annotations

from typing import Any

from flashcur.domain.rules.condition import PriceCross, PriceMove
from flashcur.domain.rules.renaming import renamed
from flashcur.domain.rules.rule import MOST_NAME
from flashcur.models import RuleRecord
from flashcur.services.alerts.compose import MOST_TEXT
from flashcur.services.alerts.contract_notices import Left, delisted_notice, renamed_notice
from tests.support.alerts import DOGS_MOVED, NOON_MS
from tests.support.rules import definition

PAUSED = {"status": "paused", "why": "owner"}
RISES = PriceMove("up", 5.0, 900)


def left(name: str = "", price: float = 0.011, *, moves: bool = False, rule: Any = (), **said: Any) -> Left:
    """A rule on 1000SHIBUSDT, which rests; one that `moves` goes on with SHIBUSDT."""
    before = definition(*said.pop("conditions", (PriceCross("above", price),)), scope="1000SHIBUSDT", name=name, **said)
    row = RuleRecord(account_id="a" * 32, definition=before.to_json(), channels=[], version=3, **dict(rule))
    return Left(row, before, renamed(before, "SHIBUSDT") if moves else None)


def lines(found: list[Left]) -> tuple[str, list[str]]:
    if found[0].after is None:
        notice = delisted_notice(found, "1000SHIBUSDT", "bybit", (), NOON_MS)
    else:
        notice = renamed_notice(found, "1000SHIBUSDT", "SHIBUSDT", "bybit", NOON_MS)
    return notice.title, notice.text.split("\n")


def test_one_rule_is_told_as_itself() -> None:
    notice = renamed_notice([only := left("Dogs", moves=True)], "1000SHIBUSDT", "SHIBUSDT", "bybit", NOON_MS)
    assert (notice.rule_id, notice.rule_version, notice.evidence) == (only.rule.id, 3, {"why": "renamed"})
    assert notice.title == "Rule moved: 1000SHIBUSDT is SHIBUSDT now"
    assert notice.text.split("\n") == DOGS_MOVED


def test_rules_that_were_paused_before_are_told_with_those_that_are_now() -> None:
    found = [left("Dogs", rule={"position": 2}), left(rule={"position": 1, **PAUSED})]
    assert lines(found) == (
        "2 rules paused: 1000SHIBUSDT is no longer traded",
        [
            "They stay paused if the contract comes back: you decide when each goes on.",
            "Trades at or above 0.011 USDT (paused before)",
            "“Dogs”",
        ],
    )
    title, said = lines([left("Dogs", rule=PAUSED), left("Cats", rule=PAUSED)])
    assert title == "2 rules stay paused: 1000SHIBUSDT is no longer traded"
    assert said[1:] == ["“Dogs”", "“Cats”"] or said[1:] == ["“Cats”", "“Dogs”"]


def test_a_contract_on_the_same_coin_is_named_once() -> None:
    notice = delisted_notice([left("Dogs"), left("Cats")], "1000SHIBUSDT", "bybit", ("SHIBUSDT",), NOON_MS)
    assert notice.text.split("\n")[0] == (
        "SHIBUSDT is on the same coin, SHIB, and counts 1 of it instead of 1,000: its price is 1/1,000 of the price "
        "before. Check each price in the rules before you move them there."
    )


def test_rules_that_follow_their_contract_are_told_with_their_prices() -> None:
    found = [
        left("Dogs", moves=True, rule={"position": 1}),
        left("Fast", moves=True, rule={"position": 2}, conditions=(RISES,)),
        left("Off", 0.02, moves=True, rule={"position": 3, **PAUSED}),
    ]
    assert lines(found) == (
        "3 rules moved: 1000SHIBUSDT is SHIBUSDT now",
        [
            "The exchange calls 1000SHIBUSDT SHIBUSDT now. The rules go by this name, too; those that were paused stay "
            "paused.",
            "SHIBUSDT counts 1 SHIB instead of 1,000: its price is 1/1,000 of the price before.",
            "Each price in the rules was rescaled with it.",
            "Those that were active start anew: what happened before does not count.",
            "“Dogs”: 0.011 USDT is 0.000011 USDT now",
            "“Fast”",
            "“Off” (paused before): 0.02 USDT is 0.00002 USDT now",
        ],
    )
    _, going = lines(found[:2])
    assert going[0].endswith("The rules watch it under this name.")
    assert "They start anew: what happened before does not count." in going
    _, resting = lines([left(name, moves=True, rule=PAUSED) for name in ("Dogs", "Off")])
    assert resting[0].endswith("The rules go by this name, too, and stay paused.")
    assert not any("anew" in each or "(paused before)" in each for each in resting)


def test_what_finds_no_room_is_counted() -> None:
    many = tuple(PriceCross("above", 0.011 + number / 1e6) for number in range(3))
    found = [left("N" * MOST_NAME, moves=True, conditions=many, rule={"position": each}) for each in range(12)]
    notice = renamed_notice(found, "1000SHIBUSDT", "SHIBUSDT", "bybit", NOON_MS)
    said = notice.text.split("\n")
    named = sum(each.startswith("“N") for each in said)
    assert 1 < named < 10
    assert said[-1] == f"and {12 - named} more."
    assert len(notice.text) <= MOST_TEXT
    assert len(notice.evidence["rules"]) == 12


def test_a_notice_of_many_has_one_key_whatever_their_order() -> None:
    found = [left("Dogs"), left("Cats")]
    keys = {delisted_notice(each, "A", "bybit", (), NOON_MS).key for each in (found, found[::-1])}
    assert len(keys) == 1
    assert keys != {delisted_notice([*found, left()], "A", "bybit", (), NOON_MS).key}


def test_a_rule_without_a_name_is_told_by_what_it_waits_for() -> None:
    _, said = lines([left("Dogs"), left(conditions=(PriceCross("above", 1.0), RISES), rule={"position": 9})])
    assert said[-1] == "Trades at or above 1 USDT and rises by 5 % or more within 1…"
