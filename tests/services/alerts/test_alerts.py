"""Alerts in the database: stored once, chained, followed, kept and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel import Session, select

from flashcur.domain.signals.aftermath import known_from_ms
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.engine.outcomes import Outcomes
from flashcur.models import AlertRecord
from flashcur.services.alerts import alerts, receipts
from flashcur.services.alerts.alerts import Precision
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.storage.database import Database
from tests.engine.test_outcomes import Clock, Minutes, serving
from tests.support.alerts import alert
from tests.support.rules import add_owner, add_rule, definition
from tests.support.signals import NOON_MS


class Given(list[AlertRecord]):
    """Takes what is to be delivered."""

    def __call__(self, session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        assert all(each.id is not None and each.stored_ms == now_ms for each in found)
        self.extend(found)


def owner_and_rule(database: Database) -> tuple[str, str]:
    with database.session() as session:
        owner = add_owner(session, NOON_MS)
        return owner, add_rule(session, owner, definition(), NOON_MS).id


def store(database: Database, *found: AlertRecord, now_ms: int = NOON_MS + 100) -> list[AlertRecord]:
    given = Given()
    with database.session() as session:
        new = alerts.store(session, found, given, now_ms)
    assert given == new
    return new


def stored(database: Database) -> list[AlertRecord]:
    with database.session(readonly=True) as session:
        return list(session.exec(select(AlertRecord).order_by(AlertRecord.id)))  # type: ignore[arg-type]


def test_an_alert_is_stored_once_chained_and_delivered_with_it(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)
    one, two = (alert(owner, NOON_MS + at, key=f"k{at}", rule_id=rule_id) for at in (1, 2))
    assert [each.key for each in store(database, one, two)] == ["k1", "k2"]
    again, three = alert(owner, key="k2"), alert(owner, key="k3", kind="notice", price=None)
    assert [each.key for each in store(database, again, three)] == ["k3"]
    rows = stored(database)
    assert [each.key for each in rows] == ["k1", "k2", "k3"]
    assert [each.previous_hash for each in rows] == ["", rows[0].hash, rows[1].hash]
    assert receipts.verify([each.model_dump() for each in rows]).broken is None
    # What followed is looked for where something can follow.
    assert [each.due_ms for each in rows] == [known_from_ms(NOON_MS + 1, 1), known_from_ms(NOON_MS + 2, 1), None]
    with database.session(readonly=True) as session:
        assert [each.key for each in alerts.newest(session, owner, limit=2)] == ["k3", "k2"]
        assert [each.key for each in alerts.newest(session, owner, before_id=rows[1].id)] == ["k1"]
        assert alerts.newest(session, "nobody") == []


def test_nothing_is_stored_where_nothing_can_be_delivered(database: Database) -> None:
    owner, _ = owner_and_rule(database)

    def broken(session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), database.session() as session:
        alerts.store(session, [alert(owner)], broken, NOON_MS)
    assert stored(database) == []


def test_what_rules_fired_is_known_in_order_of_time(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)

    def one(at: int, symbol: str = "BTCUSDT", **more: Any) -> AlertRecord:
        return alert(owner, NOON_MS + at, symbol=symbol, rule_id=rule_id, **more)

    store(database, one(9, rule_version=3), one(5), one(7, "ETHUSDT"), one(8, demo=True), one(20, kind="missed"))
    with database.session(readonly=True) as session:
        assert alerts.fired_since(session, [rule_id], NOON_MS, demo=False) == [
            (rule_id, "BTCUSDT", 1, NOON_MS + 5),
            (rule_id, "ETHUSDT", 1, NOON_MS + 7),
            (rule_id, "BTCUSDT", 3, NOON_MS + 9),
        ]
        assert alerts.fired_since(session, [rule_id], NOON_MS, demo=True) == [(rule_id, "BTCUSDT", 1, NOON_MS + 8)]
        assert alerts.fired_since(session, [rule_id], NOON_MS + 10, demo=False) == []
        assert alerts.fired_since(session, [], NOON_MS, demo=False) == []


def test_what_was_told_as_missed_is_known(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)
    told = {"missed": [{"rule_id": rule_id, "symbol": "BTCUSDT"}, {"rule_id": "x", "symbol": "ETHUSDT"}]}
    store(database, alert(owner, NOON_MS, kind="missed", symbol="", evidence=told))
    with database.session(readonly=True) as session:
        found = alerts.told_as_missed(session, [owner], NOON_MS, demo=False)
        assert found == {owner: {(rule_id, "BTCUSDT"), ("x", "ETHUSDT")}}
        assert alerts.told_as_missed(session, [owner], NOON_MS + 1, demo=False) == {}
        assert alerts.told_as_missed(session, [owner], NOON_MS, demo=True) == {}
        assert alerts.told_as_missed(session, ["another"], NOON_MS, demo=False) == {}


def test_what_one_alert_of_many_told_is_known_by_rule_contract_and_time(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)
    told = {
        "missed": [
            {"rule_id": rule_id, "rule_version": 2, "symbol": "BTCUSDT", "event_ms": NOON_MS, "last_ms": NOON_MS + 9}
        ],
        "rest": {rule_id: {"version": 2, "symbols": {"ETHUSDT": [NOON_MS + 5]}}},
    }
    store(database, alert(owner, NOON_MS + 9, kind="missed", symbol="", evidence=told))
    with database.session(readonly=True) as session:
        assert sorted(alerts.gathered_since(session, [owner], NOON_MS, demo=False)) == [
            (rule_id, "BTCUSDT", 2, NOON_MS),
            (rule_id, "BTCUSDT", 2, NOON_MS + 9),
            (rule_id, "ETHUSDT", 2, NOON_MS + 5),
        ]
        pairs = {(rule_id, "BTCUSDT"), (rule_id, "ETHUSDT")}
        assert alerts.told_as_missed(session, [owner], NOON_MS, demo=False) == {owner: pairs}
        assert alerts.gathered_since(session, [owner], NOON_MS + 10, demo=False) == []
        assert alerts.gathered_since(session, [owner], NOON_MS, demo=True) == []
        assert alerts.gathered_since(session, [], NOON_MS, demo=False) == []


async def test_what_the_price_did_is_filled_in_to_the_minute(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)
    event_ms = NOON_MS + 10 * 60_000 + 5
    (made,) = store(database, alert(owner, event_ms, rule_id=rule_id, price=1.0))
    clock, source = Clock(), Minutes()
    clock.now_ms = known_from_ms(event_ms, 1) - 1
    jobs = Outcomes(serving(clock), source, database, clock)
    assert await jobs.fill() == "0 signals looked at, 0 done, 0 requests"
    clock.now_ms += 1
    assert await jobs.fill() == "0 signals looked at, 0 done, 1 alerts looked at, 0 done, 1 requests"
    clock.now_ms = known_from_ms(event_ms, 24)
    assert await jobs.fill() == "0 signals looked at, 0 done, 1 alerts looked at, 1 done, 2 requests"
    (row,) = stored(database)
    assert [round(value or 0, 9) for value in (row.change_1h, row.change_4h, row.change_24h)] == [10, 10, 10]
    assert row.due_ms is None
    # The chain does not know what followed.
    assert (row.hash, receipts.verify([row.model_dump()]).broken) == (made.hash, None)


async def test_the_hours_that_are_kept_tell_what_followed_at_full_hours(database: Database) -> None:
    owner, rule_id = owner_and_rule(database)
    store(database, alert(owner, NOON_MS, rule_id=rule_id, price=1.0))
    hours = [
        Candle("BTCUSDT", NOON_MS + number * HOUR_MS, 1, 2, 1, 1.0 + number / 100, 1e6, True, NOON_MS, NOON_MS)
        for number in range(25)
    ]
    with database.session() as session:
        save_hours(session, "binanceusdm", hours, demo=False)
    clock, source = Clock(), Minutes()
    jobs = Outcomes(serving(clock), source, database, clock)
    await jobs.fill()
    (row,) = stored(database)
    assert [round(value or 0, 9) for value in (row.change_1h, row.change_4h, row.change_24h)] == [0, 3, 23]


def test_how_right_a_rule_is_goes_by_where_it_points(database: Database) -> None:
    owner, up = owner_and_rule(database)
    with database.session() as session:
        down, nowhere, new = (add_rule(session, owner, definition(), NOON_MS).id for _ in range(3))
    for rule_id, points, changes in (
        (up, True, [1.0, 2.0, -1.0, None]),
        (down, False, [1.0, -2.0]),
        (nowhere, None, [0.0, 3.0]),
        (new, True, [None]),
    ):
        store(
            database,
            *(alert(owner, rule_id=rule_id, change_4h=change, evidence={"up": points}) for change in changes),
            alert(owner, rule_id=rule_id, change_4h=5.0, demo=True),
        )
    with database.session(readonly=True) as session:
        found = alerts.precision(session, owner)
        assert found == {up: Precision(3, 2), down: Precision(2, 1), nowhere: Precision(2, 1)}
        assert alerts.precision(session, "nobody") == {}
    assert found[up].share == pytest.approx(2 / 3)
    assert Precision(0, 0).share is None


def test_old_alerts_go_and_the_newest_of_an_account_stays_for_the_chain(database: Database) -> None:
    owner, _ = owner_and_rule(database)
    other, _ = owner_and_rule(database)
    # An outage hid what happened last: it is older than what was told before.
    for at, happened in enumerate((3, 2, 1, 0)):
        store(database, alert(owner, NOON_MS + happened, key=f"a{at}"), now_ms=NOON_MS + at)
    store(database, alert(other, NOON_MS, key="b"), now_ms=NOON_MS)
    with database.session() as session:
        assert alerts.prune(session, NOON_MS + 2) == 2
    rows = [each.model_dump() for each in stored(database) if each.account_id == owner]
    assert receipts.verify(rows) == receipts.Verdict(2, rows[0]["previous_hash"], None)
    with database.session() as session:
        assert alerts.prune(session, NOON_MS + 99) == 1
    assert {each.key for each in stored(database)} == {"a3", "b"}
    (new,) = store(database, alert(owner, NOON_MS + 100, key="a4"))
    assert new.previous_hash == next(each.hash for each in stored(database) if each.key == "a3")


def test_alerts_of_demo_data_go_but_for_the_last_number(database: Database) -> None:
    owner, _ = owner_and_rule(database)
    store(database, alert(owner, key="real"), *(alert(owner, key=f"d{n}", demo=True) for n in range(3)))
    with database.session() as session:
        assert alerts.purge_demo(session) == 2
    assert [each.key for each in stored(database)] == ["real", "d2"]
    store(database, alert(owner, key="next"))
    with database.session() as session:
        assert alerts.purge_demo(session) == 1
    assert [each.key for each in stored(database)] == ["real", "next"]
