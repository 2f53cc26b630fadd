"""Which saved rules fired too often in a week, from their stored alerts and what followed, on both databases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from flashcur.domain.rules.condition import FundingLevel, PriceMove, VolumeRatio
from flashcur.domain.rules.often import Calmer
from flashcur.domain.rules.rule import Definition
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import AlertRecord, RuleRecord
from flashcur.services.alerts import often, receipts
from flashcur.services.alerts.often import too_often
from flashcur.services.records.funding_payments import save_payments
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.storage.database import Database
from tests.support.alerts import alert
from tests.support.rules import add_owner, add_rule, definition
from tests.support.signals import NOON_MS

VENUE = "binanceusdm"
NOW_MS = NOON_MS + 6 * 24 * HOUR_MS
UP = definition(PriceMove("up", 5.0, 900), scope="")


def fired(rule: RuleRecord, number: int, value: float | None = 5.0, **more: Any) -> AlertRecord:
    """The alert of so many hours after noon, at ten past."""
    fields: dict[str, Any] = {
        "key": f"{rule.id}:{number}",
        "rule_id": rule.id,
        "rule_version": rule.version,
        "price": 105.0,
        "evidence": {"readings": [{"value": value}]},
    }
    return alert(rule.account_id, NOON_MS + number * HOUR_MS + 10 * 60_000, **(fields | more))


def hour(number: int, high: float = 105.2, low: float = 99.0, volume: float = 1.0, symbol: str = "BTCUSDT") -> Candle:
    open_ms = NOON_MS // HOUR_MS * HOUR_MS + number * HOUR_MS
    return Candle(symbol, open_ms, 100.0, high, low, 100.0, volume, True, open_ms, open_ms)


def make(database: Database, written: Definition, alerts_of: Iterable[AlertRecord] = (), **more: Any) -> RuleRecord:
    with database.session() as session:
        owner = add_owner(session, NOON_MS)
        rule = add_rule(session, owner, written, NOON_MS, **({"fires": 100, "fired_ms": NOW_MS} | more))
        session.expunge(rule)
    return rule


def store(
    database: Database, found: Iterable[AlertRecord], hours: Iterable[Candle] = (), *, demo: bool = False
) -> None:
    with database.session() as session:
        session.add_all(receipts.chain(session, list(found)))
        save_hours(session, VENUE, list(hours), demo=demo)


def offered(database: Database, *rules: RuleRecord, now_ms: int = NOW_MS) -> dict[str, Calmer]:
    with database.session(readonly=True) as session:
        return too_often(session, rules, now_ms)


def test_the_threshold_goes_by_how_far_the_price_went_in_the_hours_that_followed(database: Database) -> None:
    rule = make(database, UP)
    went = [105.2] * 12 + [112.0] * 8
    store(
        database,
        [fired(rule, number) for number in range(20)],
        [hour(number, high) for number, high in enumerate(went)],
    )
    # What demo data did says nothing of it.
    store(database, [], [hour(number, 900.0) for number in range(20)], demo=True)
    (found,) = offered(database, rule).values()
    assert (found.fires, found.would) == (20, 8)
    assert found.definition == replace(UP, conditions=(PriceMove("up", 5.5, 900),))


def test_a_move_late_in_its_hour_goes_on_into_the_next(database: Database) -> None:
    rule = make(database, UP)
    late = [fired(rule, 2 * number) for number in range(20)]
    for each in late:
        each.event_ms += 40 * 60_000
    hours = [hour(number, 105.2 if number % 2 == 0 or number < 26 else 190.0) for number in range(40)]
    store(database, late, hours)
    (found,) = offered(database, rule).values()
    assert found.would == 7
    # Without the hour that followed it is not known how far it went.
    other = make(database, UP)
    more = [fired(other, 100 + number, symbol="ETHUSDT") for number in range(20)]
    for each in more:
        each.event_ms += 40 * 60_000
    store(database, more, [hour(100 + 2 * number, symbol="ETHUSDT") for number in range(10)])
    assert offered(database, other) == {}


def test_an_hour_s_volume_and_the_hour_before_s(database: Database) -> None:
    rule = make(database, definition(VolumeRatio(3.0, 0.0), scope=""))
    volumes = [1.0, 4.0] * 12 + [1.0, 9.0] * 5
    store(
        database,
        [fired(rule, number, 3.0) for number in range(1, 34, 2)],
        [hour(number, volume=volume) for number, volume in enumerate(volumes)],
    )
    (found,) = offered(database, rule).values()
    assert (found.fires, found.would, found.definition.conditions) == (17, 5, (VolumeRatio(4.5, 0.0),))


def test_the_payment_that_came_next(database: Database) -> None:
    rule = make(database, definition(FundingLevel("above", 0.05), scope=""))
    at = [NOON_MS + number * 8 * HOUR_MS for number in range(16)]
    store(database, [fired(rule, 8 * number, 0.05, price=None) for number in range(16)])
    payments = [Payment(at_ms + 4 * HOUR_MS, 0.00051 if number < 12 else 0.003) for number, at_ms in enumerate(at)]
    # One that came later, and one of another contract, are not what was paid next.
    more = [Payment(at_ms + 6 * HOUR_MS, 0.09) for at_ms in at]
    with database.session() as session:
        save_payments(session, VENUE, {"BTCUSDT": [*payments, *more], "ETHUSDT": more}, demo=False)
    (found,) = offered(database, rule).values()
    assert (found.would, found.definition.conditions) == (4, (FundingLevel("above", 0.055),))


def test_only_what_this_rule_fired_this_week_as_it_is_written_counts(database: Database) -> None:
    rule = make(database, UP, version=2)
    hours = [hour(number) for number in range(20)]
    store(database, [fired(rule, number) for number in range(14)], hours)
    store(
        database,
        [
            fired(rule, 14, rule_version=1),
            fired(rule, 15, demo=True),
            fired(rule, 16, kind="missed"),
            fired(rule, -40),
        ],
    )
    assert offered(database, rule) == {}
    store(database, [fired(rule, 17)])
    assert offered(database, rule)[rule.id].fires == 15
    # A week later, of an edited rule, and of one that is done nothing is said.
    assert offered(database, rule, now_ms=NOW_MS + 2 * 24 * HOUR_MS) == {}
    for change in ({"version": 3}, {"status": "done"}, {"definition": {"conditions": []}}):
        other = RuleRecord(**{**rule.model_dump(), **change})
        assert offered(database, other) == {}


def test_what_another_version_wrote_counts_as_unknown(database: Database) -> None:
    rule = make(database, UP)
    odd: list[Any] = [{}, {"readings": None}, {"readings": []}, {"readings": ["5"]}, {"readings": [{"value": "5"}]}]
    found = [fired(rule, number, evidence=odd[number % 5] if number < 10 else {"readings": [{"value": 5.0}]})
             for number in range(20)]  # fmt: skip
    store(database, found, [hour(number) for number in range(20)])
    assert offered(database, rule)[rule.id].would == 10


def test_those_that_fire_most_are_offered_one_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(often, "MOST_RULES", 1)
    monkeypatch.setattr(often, "MOST_JUDGED", 10)
    quieter, louder = make(database, UP), make(database, UP)
    store(database, [fired(quieter, number) for number in range(18)], [hour(number) for number in range(30)])
    store(database, [fired(louder, number) for number in range(30)])
    found = offered(database, quieter, louder)
    assert list(found) == [louder.id]
    assert (found[louder.id].fires, found[louder.id].would) == (30, 0)
