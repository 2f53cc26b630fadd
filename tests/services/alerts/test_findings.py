"""What an alert says of a rule that fired."""

from __future__ import annotations

import pytest

from flashcur.domain.rules.condition import Condition, PriceCross, PriceMove
from flashcur.domain.rules.firing import Firing, Reading
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.signals.signal import Origin
from flashcur.services.alerts.findings import alert_of
from tests.support.alerts import NOON_MS

MOVE, CROSS = PriceMove("either", 5.0, 900), PriceCross("above", 65_000.0)


def fired(*conditions: Condition, name: str = "", price: float | None = 65_010.0) -> Firing:
    definition = Definition(conditions, Scope("symbol", "BTCUSDT"), name=name)
    readings = tuple(Reading(each, 5.2, 5.0, True, f"Reading {n}") for n, each in enumerate(conditions, 1))
    rule = Rule("0" * 32, "a", 1, definition, frozenset(("BTCUSDT",)), open_interest=True, since_ms=0)
    return Firing(rule, "BTCUSDT", NOON_MS, NOON_MS, price, readings, missed=False)


@pytest.mark.parametrize(
    ("firing", "text"),
    [
        (fired(MOVE), "Last price 65,010 USDT"),
        (fired(MOVE, name="Up"), "Reading 1\nLast price 65,010 USDT"),
        (fired(MOVE, price=0.00001234), "Last price 0.00001234 USDT"),
        # Its own condition says it.
        (fired(CROSS), ""),
        (fired(MOVE, CROSS), "Reading 2"),
        (fired(MOVE, price=None), ""),
    ],
)
def test_the_price_is_said_once(firing: Firing, text: str) -> None:
    assert alert_of(firing, Origin("binanceusdm", demo=False)).text == text


def test_the_rule_is_kept_as_it_read_when_it_fired() -> None:
    evidence = alert_of(fired(MOVE, name="Up"), Origin("binanceusdm", demo=False)).evidence
    said = "Tell me when BTCUSDT rises or falls by 5 % or more within 15 minutes, at most once an hour."
    assert (evidence["name"], evidence["sentence"]) == ("Up", said)
