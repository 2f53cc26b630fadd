"""Alerts on their way into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.firing import Firing, Reading
from flashcur.domain.rules.rule import Rule
from flashcur.domain.signals.signal import Origin
from flashcur.engine import alert_writer
from flashcur.engine.alert_writer import Checkpoint, Delisting, Fired, MissedAlerts, Pausing
from flashcur.errors import DatabaseError
from flashcur.models import AlertRecord, RuleRecord
from flashcur.services.alerts import receipts, rule_store
from flashcur.services.alerts.checkpoints import load_checkpoint, purge_demo_checkpoints
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.engine.evaluating import NOON, evaluating
from tests.support.programs import PostgresServer
from tests.support.signals import DEMO, REAL
from tests.support.waiting import eventually

ABOVE = PriceCross("above", 11.0)
READING = Reading(ABOVE, 11.5, 11.0, True, "Price 11.50 (at or above 11)")
HOUR = 3_600_000


def rule_of(database: Database, rule_id: str) -> Rule:
    with database.session(readonly=True) as session:
        return next(rule for rule in rule_store.load(session, NOON).rules if rule.id == rule_id)


def firing(rule: Rule, at: int = 0, symbol: str = "AUSDT", **other: Any) -> Firing:
    """It fires `at` ms after noon."""
    made = Firing(rule, symbol, NOON + at, NOON + at + 40, 11.5, (READING,), missed=False)
    return replace(made, **other)


def fired(rule: Rule, at: int = 0, symbol: str = "AUSDT", origin: Origin = REAL, **other: Any) -> Fired:
    return Fired(origin, firing(rule, at, symbol, **other))


async def away(batch: object) -> None:
    raise DatabaseError("it is away")


async def test_two_engines_that_overlap_tell_nothing_twice(database: Database) -> None:
    async with evaluating(database) as one, evaluating(database) as other:
        owner = one.owner()
        rules = [rule_of(database, one.rule(owner, ABOVE, cooldown_s=60)) for _ in range(10)]
        for number, rule in enumerate(rules):
            for at in (0, 90_000):
                # What they see of it is not to the millisecond the same.
                one.writer.put([fired(rule, at)])
                other.writer.put([fired(rule, at + number % 3)])
        await one.written()
        await other.written()
        assert len(one.rows()) == 20
        assert one.writer.stored + other.writer.stored == 20
        assert {rule.fires for rule in one.rules().values()} == {2}


async def test_a_rule_is_looked_at_again_when_its_alert_is_written(database: Database) -> None:
    def pause(rule: RuleRecord) -> None:
        rule.status, rule.why = "paused", "owner"

    def edit(rule: RuleRecord) -> None:
        rule.version += 1

    def snooze(rule: RuleRecord) -> None:
        rule.snoozed_until_ms = NOON + HOUR

    async with evaluating(database) as rig:
        owner = rig.owner()
        rules = [rule_of(database, rig.rule(owner, ABOVE)) for _ in range(5)]
        changes: list[Callable[[RuleRecord], None]] = [pause, edit, snooze]
        for rule, change in zip(rules, changes, strict=False):
            with database.session() as session:
                change(session.get_one(RuleRecord, rule.id))
        with database.session() as session:
            session.delete(session.get_one(RuleRecord, rules[3].id))
        refused: list[Firing] = []
        rig.writer.on_refused = refused.extend
        rig.writer.put([fired(rule) for rule in rules])
        rig.writer.put([fired(rules[2], 2 * HOUR), fired(rules[4], 1)])
        await rig.written()
        assert {(row.rule_id, row.event_ms) for row in rig.rows()} == {
            (rules[4].id, NOON),
            # Its snooze was over by then.
            (rules[2].id, NOON + 2 * HOUR),
        }
        # What is in a cooldown was told before.
        assert [each.rule.id for each in refused] == [rule.id for rule in rules[:4]]
        assert rig.writer.dropped == 0


async def test_once_is_once_for_all_contracts_and_a_cooldown_is_a_contract_s_own(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        once = rule_of(database, rig.rule(owner, ABOVE, scope="", mode="once"))
        often = rule_of(database, rig.rule(owner, ABOVE, scope="", cooldown_s=60))
        for rule in (once, often):
            rig.writer.put([fired(rule), fired(rule, 5, "BUSDT"), fired(rule, 9), fired(rule, 60_000)])
        rig.writer.put([fired(once, 9 * HOUR)])
        # Demo data has its own, and ends nothing.
        rig.writer.put([fired(rule, at, origin=DEMO) for rule in (once, often) for at in (1, 2)])
        await rig.written()
        told = [(row.rule_id == once.id, row.demo, row.symbol, row.event_ms - NOON) for row in rig.rows()]
        assert sorted(told) == [
            (False, False, "AUSDT", 0),
            (False, False, "AUSDT", 60_000),
            (False, False, "BUSDT", 5),
            (False, True, "AUSDT", 1),
            (True, False, "AUSDT", 0),
            (True, True, "AUSDT", 1),
        ]
        rules = rig.rules()
        assert [(rules[each.id].status, rules[each.id].fires) for each in (once, often)] == [("done", 1), ("active", 3)]


async def test_a_rule_that_was_set_going_again_knows_no_cooldown_of_before(database: Database) -> None:
    async with evaluating(database) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE))
        rig.writer.put([fired(rule)])
        await rig.written()
        with database.session() as session:
            session.get_one(RuleRecord, rule.id).changed_ms = NOON + 10
        rig.writer.put([fired(rule, 20), fired(rule, 30)])
        await rig.written()
        assert [row.event_ms - NOON for row in rig.rows()] == [0, 20]


async def test_what_was_missed_is_told_once_and_not_what_was_told(database: Database) -> None:
    async with evaluating(database) as rig:
        owner, other = rig.owner(), rig.owner()
        told, hidden, theirs = (rule_of(database, rig.rule(each, ABOVE)) for each in (owner, owner, other))
        rig.writer.put([fired(told, 10)])
        missed = MissedAlerts(REAL, (firing(told, 20), firing(hidden, 30)), NOON, NOON + 60_000)
        rig.writer.put([missed, missed, MissedAlerts(REAL, (firing(theirs, 5),), NOON, NOON + 60_000)])
        # Another engine saw the same a moment later.
        rig.writer.put([MissedAlerts(REAL, (firing(hidden, 33),), NOON, NOON + 60_000)])
        await rig.written()
        found = rig.rows("missed")
        assert sorted((row.account_id == owner, row.evidence["count"]) for row in found) == [(False, 1), (True, 1)]
        (mine,) = [row for row in found if row.account_id == owner]
        assert [each["rule_id"] for each in mine.evidence["missed"]] == [hidden.id]
        assert mine.text.split("\n")[-1].endswith("AUSDT: Price 11.50 (at or above 11)")
        assert rig.rules()[hidden.id].fires == 1
        # What an alert tells goes once, and where it goes is written with it.
        assert len(rig.delivered) == len(rig.rows()) == 3


async def test_alerts_wait_for_a_database_that_is_away_with_their_true_times(
    own_postgres: PostgresServer, environ: dict[str, str]
) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": own_postgres.create_database("mine")}))
    database.migrate()
    async with evaluating(database) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE))
        await asyncio.to_thread(own_postgres.stop)
        rig.writer.put([fired(rule), Checkpoint(REAL, {"a": 1}, NOON)])
        await eventually(lambda: rig.writer.is_held_up, "that it notices")
        assert rig.writer.waiting_of(REAL) == [firing(rule)]
        rig.later(30)
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: not rig.writer.waiting, "everything in the database", 15)
        (row,) = rig.rows()
        assert (row.kind, row.event_ms, row.seen_ms, row.stored_ms) == ("rule", NOON, NOON + 40, NOON + 30_000)
        assert not rig.writer.is_held_up
    database.close()


async def test_after_a_long_wait_one_alert_an_account_says_what_comes_late(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with evaluating(database) as rig:
        owner, other = rig.owner(), rig.owner()
        mine = [rule_of(database, rig.rule(owner, ABOVE, name=f"Rule {number}")) for number in range(3)]
        theirs = rule_of(database, rig.rule(other, ABOVE, mode="once"))
        with monkeypatch.context() as patch:
            patch.setattr(rig.writer, "_commit", away)
            rig.writer.put([fired(rule, number * 1000) for number, rule in enumerate(mine)])
            rig.writer.put([fired(theirs, 50), Checkpoint(REAL, {"a": 1}, NOON)])
            await eventually(lambda: rig.writer.is_held_up, "that it notices")
            rig.later(alert_writer.LATE_MS / 1000 + 5)
            await eventually(lambda: rig.writer._away_ms[1] == rig.now_ms, "another attempt")
        await rig.written()
        found = {row.account_id: row for row in rig.rows()}
        assert len(rig.rows()) == 2
        assert found[owner].title == "3 alerts are late: FlashCur’s database was down"
        assert found[owner].text.split("\n")[0].startswith("Nothing could be stored until ")
        assert found[owner].text.count("AUSDT: Rule") == 3
        assert found[owner].evidence["cause"] == "database"
        assert found[other].title == "1 alert is late: FlashCur’s database was down"
        assert rig.rules()[theirs.id].status == "done"
        await eventually(lambda: not rig.writer.unwritten, "the checkpoint")
        with database.session(readonly=True) as session:
            assert load_checkpoint(session, REAL) == ({"a": 1}, NOON)


async def test_what_waits_for_long_says_that_the_database_was_away_only_if_it_was(database: Database) -> None:
    async with evaluating(database, writes=False) as rig:
        many, few = (rule_of(database, rig.rule(rig.owner(), ABOVE, scope="")) for _ in range(2))
        rig.writer.put([fired(many, number, f"C{number}USDT") for number in range(5)])
        rig.writer.put([fired(few, number, f"C{number}USDT") for number in range(2)])
        rig.later(alert_writer.LATE_MS / 1000 + 5)
        await rig.writer.flush()
        (one,) = rig.rows("missed")
        assert one.title == ("5 alerts came at once: C0USDT, C1USDT, C2USDT and 2 other contracts")
        assert "away" not in one.text
        assert {row.rule_id for row in rig.rows("rule")} == {few.id}
        assert len(rig.rows()) == 3


async def test_a_storm_is_gathered_by_account_and_nothing_of_it_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_writer, "MANY", 3)
    async with evaluating(database, writes=False) as rig:
        owner, other = rig.owner(), rig.owner()
        mine = rule_of(database, rig.rule(owner, ABOVE, scope="", cooldown_s=60))
        theirs = rule_of(database, rig.rule(other, ABOVE, scope=""))
        symbols = [f"C{number:03}USDT" for number in range(300)]
        rig.writer.put([fired(mine, number, symbol) for number, symbol in enumerate(symbols)])
        # The last one comes again when its cooldown is over, and the second one within it.
        rig.writer.put([fired(mine, 70_000, symbols[-1]), fired(mine, 5_000, symbols[4])])
        rig.writer.put([fired(theirs, 1), Checkpoint(REAL, {"a": 1}, NOON)])
        assert (rig.writer.waiting, rig.writer.dropped, len(rig.writer._queue)) == (3 + 298 + 1, 0, 6)
        assert {each.event_ms - NOON for each in rig.writer.waiting_of(REAL) if each.symbol == symbols[-1]} == {70_000}
        storm = list(rig.writer._queue)
        rig.later(1)
        await rig.writer.flush()
        assert [row.symbol for row in rig.rows("rule")] == [*symbols[:3], "AUSDT"]
        (one,) = rig.rows("missed")
        assert one.title == "298 alerts came at once: C299USDT 2, C003USDT, C004USDT and 294 other contracts"
        first, *told, rest = one.text.split("\n")
        assert first == "From 23 Nov at 10:00:00 UTC until 23 Nov at 10:01:10 UTC: too many to send one by one."
        assert rest == f"{298 - len(told)} more."
        assert (one.account_id, one.evidence["count"], one.evidence["cause"]) == (owner, 298, "many")
        assert (rig.rules()[mine.id].fires, rig.rules()[theirs.id].fires) == (301, 1)
        with database.session(readonly=True) as session:
            assert load_checkpoint(session, REAL) == ({"a": 1}, NOON)
        # It was committed, and the answer was lost; or another engine, or a restart, found the same once more.
        rig.writer.put([each for each in storm if not isinstance(each, Checkpoint)])
        rig.writer.put([MissedAlerts(REAL, tuple(firing(mine, 9, each) for each in symbols), NOON, NOON + 60_000)])
        await rig.writer.flush()
        assert (len(rig.rows()), rig.rules()[mine.id].fires) == (5, 301)
        # What comes after it is told one by one again.
        rig.writer.put([fired(mine, 140_000, symbols[-1])])
        await rig.writer.flush()
        assert rig.rows()[-1].kind == "rule"


async def test_of_a_storm_that_is_refused_the_last_is_said(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one counts for the cooldown."""
    monkeypatch.setattr(alert_writer, "MANY", 0)
    async with evaluating(sqlite_database, writes=False) as rig:
        rule = rule_of(sqlite_database, rig.rule(rig.owner(), ABOVE, cooldown_s=60))
        refused: list[Firing] = []
        rig.writer.on_refused = refused.extend
        rig.writer.put([fired(rule), fired(rule, 70_000)])
        with sqlite_database.session() as session:
            session.get_one(RuleRecord, rule.id).snoozed_until_ms = NOON + HOUR
        await rig.writer.flush()
        assert rig.rows() == []
        assert refused[-1].event_ms == NOON + 70_000


async def test_a_storm_of_many_waits_in_little_room(database: Database) -> None:
    async with evaluating(database, writes=False) as rig:
        rules = [rule_of(database, rig.rule(rig.owner(), ABOVE, scope="", cooldown_s=60)) for _ in range(3)]
        for minute in range(400):
            rig.writer.put([fired(rule, minute * 60_000, f"C{n}USDT") for rule in rules for n in range(50)])
        singles = [each for each in rig.writer._queue if isinstance(each, Fired)]
        assert len(singles) == alert_writer.MANY
        assert len(rig.writer._queue) == alert_writer.MANY + len(rules)
        assert (rig.writer.waiting, rig.writer.dropped) == (60_000, 0)


async def test_nothing_is_written_after_the_lease_is_lost(database: Database) -> None:
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE))
        rig.writer.put([fired(rule), Checkpoint(REAL, {}, NOON), Delisting("AUSDT", "binanceusdm")])
        rig.tenure.lost.set()
        await asyncio.wait_for(rig.writer.run(), 5)
        await rig.writer.flush()
        assert rig.rows() == []
        assert rig.rules()[rule.id].status == "active"
        with database.session(readonly=True) as session:
            assert load_checkpoint(session, REAL) is None


async def test_what_the_database_refuses_holds_up_nothing(database: Database) -> None:
    async with evaluating(database) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE, scope=""))
        rig.writer.put([fired(rule, symbol="A"), fired(rule, 2**70, "B"), fired(rule, symbol="C")])
        await rig.written()
        assert [row.symbol for row in rig.rows()] == ["A", "C"]
        assert rig.writer.dropped == 1


async def test_what_the_database_refuses_of_a_storm_holds_up_nothing_else_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_writer, "MANY", 0)
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE, scope=""))
        rig.writer.put(
            [fired(rule, symbol="A"), fired(rule, 2**70, "B"), *(fired(rule, symbol=each) for each in "CDE")]
        )
        await rig.writer.flush()
        assert [row.symbol for row in rig.rows()] == ["A", "C", "D", "E"]
        assert rig.writer.dropped == 1


WRONG: dict[str, tuple[str, object]] = {
    "constraint": ("INSERT INTO rule (id) VALUES (:value)", "x"),
    "value": ("SELECT CAST(:value AS BIGINT)", 2**70),
    "statement": ("SELECT :value", object()),
}
"""What a database refuses: a statement, and its value."""


def refuses(symbol: str, wrong: str) -> Callable[[Session, Sequence[AlertRecord], int], None]:
    """A step of the transaction in which the database refuses what tells of one contract."""

    def deliver(session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        for alert in found:
            if symbol in {alert.symbol, *(each["symbol"] for each in alert.evidence.get("missed", ()))}:
                statement, value = WRONG[wrong]
                session.connection().execute(text(statement), {"value": value})

    return deliver


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_row_that_is_refused_is_named_and_the_others_go_through(
    database: Database, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE, scope=""))
        refused: list[Firing] = []
        rig.writer.on_refused = refused.extend
        rig.writer._deliver = refuses("B", wrong)
        rig.writer.put([fired(rule, symbol=each) for each in "ABC"])
        rig.writer.put([Checkpoint(REAL, {"a": 1}, NOON)])
        await asyncio.wait_for(rig.writer.flush(), 60)
        assert not rig.writer.unwritten
        assert [row.symbol for row in rig.rows()] == ["A", "C"]
        assert [each.symbol for each in refused] == ["B"]
        assert (rig.writer.dropped, rig.rules()[rule.id].fires) == (1, 2)
        (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert f"'rule:{rule.id}:1:B:{NOON}' of rule {rule.id} on 'B'" in said.message
        with database.session(readonly=True) as session:
            assert load_checkpoint(session, REAL) == ({"a": 1}, NOON)


async def test_one_of_what_was_missed_that_is_refused_leaves_the_others(database: Database) -> None:
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE, scope=""))
        refused: list[Firing] = []
        rig.writer.on_refused = refused.extend
        rig.writer._deliver = refuses("C", "statement")
        missed = tuple(firing(rule, number, each) for number, each in enumerate("ABCDEFGH"))
        rig.writer.put([MissedAlerts(REAL, missed, NOON, NOON + 60_000)])
        await asyncio.wait_for(rig.writer.flush(), 60)
        told = [[each["symbol"] for each in row.evidence["missed"]] for row in rig.rows("missed")]
        assert told == [["A", "B"], ["D"], ["E", "F", "G", "H"]]
        assert [each.symbol for each in refused] == ["C"]
        assert (rig.writer.dropped, rig.rules()[rule.id].fires) == (1, 7)


async def test_of_a_storm_in_which_one_is_refused_the_rest_is_no_storm_of_messages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_writer, "MANY", 0)
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE, scope="", cooldown_s=60))
        refused: list[Firing] = []
        rig.writer.on_refused = refused.extend
        rig.writer._deliver = refuses("C099", "constraint")
        rig.writer.put([fired(rule, number, f"C{number:03}") for number in range(100)])
        # The last one again, when its cooldown is over.
        rig.writer.put([fired(rule, 70_000, "C099")])
        await rig.writer.flush()
        assert len(rig.rows()) < 12
        assert rig.rules()[rule.id].fires == 99
        # The evaluation goes by the last.
        assert [(each.symbol, each.event_ms - NOON) for each in refused] == [("C099", 70_000)]


async def test_alerts_wait_for_a_table_that_is_being_rebuilt(database: Database) -> None:
    """PostgreSQL calls that a wrong statement."""

    def rename(before: str, after: str) -> None:
        with database.session() as session:
            session.connection().execute(text(f"ALTER TABLE {before} RENAME TO {after}"))

    async with evaluating(database) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE))
        rename("alert", "elsewhere")
        rig.writer.put([fired(rule)])
        await eventually(lambda: rig.writer.is_held_up, "that it notices")
        assert (rig.writer.waiting, rig.writer.dropped) == (1, 0)
        rename("elsewhere", "alert")
        await rig.written()
        assert [row.rule_id for row in rig.rows()] == [rule.id]


async def test_the_newest_checkpoint_waits_behind_what_was_found_before_it(database: Database) -> None:
    async with evaluating(database, writes=False) as rig:
        rule = rule_of(database, rig.rule(rig.owner(), ABOVE))
        rig.writer.put([Checkpoint(REAL, {"n": 1}, NOON + 1), Checkpoint(DEMO, {"n": 9}, NOON)])
        rig.writer.put([fired(rule), Checkpoint(REAL, {"n": 2}, NOON + 2)])
        assert rig.writer.waiting == 1
        await rig.writer.flush()

        def read(origin: Origin) -> object:
            with database.session(readonly=True) as session:
                return load_checkpoint(session, origin)

        assert read(REAL) == ({"n": 2}, NOON + 2)
        # An older one never takes the place of a newer one.
        rig.writer.put([Checkpoint(REAL, {"n": 1}, NOON + 1)])
        await rig.writer.flush()
        assert (read(REAL), read(DEMO)) == (({"n": 2}, NOON + 2), ({"n": 9}, NOON))
        # Where rules were evaluated on another exchange since, this one's tells nothing.
        other = Origin("bybit")
        rig.writer.put([Checkpoint(other, {"n": 3}, NOON + 3)])
        await rig.writer.flush()
        assert (read(REAL), read(other)) == (None, ({"n": 3}, NOON + 3))
        with database.session() as session:
            assert purge_demo_checkpoints(session) == 1
        assert read(DEMO) is None


async def test_a_contract_that_is_gone_pauses_each_rule_once_those_of_its_owner_and_of_the_plan_too(
    database: Database,
) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        going, edited = rig.rule(owner, ABOVE), rig.rule(owner, ABOVE, version=2)
        paused, waiting = (rig.rule(owner, ABOVE, status="paused", why=why) for why in ("owner", "plan"))
        done, other = rig.rule(owner, ABOVE, status="done", why="fired"), rig.rule(owner, ABOVE, scope="BUSDT")
        rig.writer.put([Delisting("AUSDT", "binanceusdm")] * 2)
        # Its scope is no list.
        rig.writer.put([Pausing(other, 1)])
        await rig.written()
        rules = rig.rules()
        assert {(rules[each].status, rules[each].why) for each in (going, edited, paused, waiting)} == {
            ("paused", "delisted")
        }
        assert [(rules[each].status, rules[each].why) for each in (done, other)] == [("done", "fired"), ("active", "")]
        (notice,) = rig.rows()
        assert (notice.kind, notice.title) == ("notice", "4 rules paused: AUSDT is no longer traded")
        assert {each["rule_id"] for each in notice.evidence["rules"]} == {going, edited, paused, waiting}


async def test_many_rules_on_a_contract_that_is_gone_are_one_notice_of_each_account(database: Database) -> None:
    async with evaluating(database) as rig:
        owner, other = rig.owner(), rig.owner()
        many = [rig.rule(owner, ABOVE, name=f"Level {number}") for number in range(30)]
        single = rig.rule(other, ABOVE, name="Alone")
        rig.writer.put([Delisting("AUSDT", "binanceusdm")] * 2)
        await rig.written()
        assert {rule.why for rule in rig.rules().values()} == {"delisted"}
        notices = {row.account_id: row for row in rig.rows()}
        assert len(rig.rows()) == len(rig.delivered) == 2
        told = notices[owner]
        assert (told.rule_id, told.symbol, told.title) == (None, "AUSDT", "30 rules paused: AUSDT is no longer traded")
        assert told.text.split("\n") == [
            "They stay paused if the contract comes back: you decide when each goes on.",
            *(f"“Level {number}”" for number in range(10)),
            "and 20 more.",
        ]
        assert [each["rule_id"] for each in told.evidence["rules"]] == many
        assert notices[other].rule_id == single
        assert notices[other].title == "Rule paused: AUSDT is no longer traded"
        for row in notices.values():
            assert row.hash == receipts.hash_of(row.model_dump(include=set(receipts.TOLD)), "")


async def test_where_it_goes_fails_with_the_alert(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rule = rule_of(sqlite_database, rig.rule(rig.owner(), ABOVE))

        def broken(session: Session, found: object, now_ms: int) -> None:
            raise ValueError("no such channel")

        rig.writer._deliver = broken
        rig.writer.put([fired(rule)])
        await rig.written()
        assert (rig.rows(), rig.writer.dropped, rig.rules()[rule.id].fires) == ([], 1, 0)
