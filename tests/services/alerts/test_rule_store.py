"""Rules as the engine reads them, and what it does with them."""

from __future__ import annotations

import logging

import pytest
from sqlmodel import Session, select

from flashcur.domain.rules.rule import Scope
from flashcur.models import Account, AccountChange, RuleRecord
from flashcur.services.accounts import watchlists
from flashcur.services.accounts.entitlement import plan_of, set_plan
from flashcur.services.accounts.upkeep import end_plans
from flashcur.services.alerts import rule_store
from flashcur.services.kit.clock import from_ms
from flashcur.services.storage.database import Database
from tests.support.billing import NO_PRICES
from tests.support.rules import ABOVE, add_owner, add_rule, definition

NOW = 1_795_435_200_000
HOUR = 3_600_000


def rows(database: Database) -> dict[str, tuple[str, str]]:
    with database.session(readonly=True) as session:
        return {rule.id: (rule.status, rule.why) for rule in session.exec(select(RuleRecord))}


def told(database: Database) -> list[str]:
    with database.session(readonly=True) as session:
        return list(session.exec(select(AccountChange.account_id)))


def test_a_rule_is_read_with_what_it_watches_and_what_its_plan_may_know(database: Database) -> None:
    with database.session() as session:
        elite, free = add_owner(session, NOW), add_owner(session, NOW, plan="free")
        plan = plan_of(session.get_one(Account, elite), from_ms(NOW))
        chosen = watchlists.create(session, elite, plan, "Mine", from_ms(NOW))
        for symbol in ("BTCUSDT", "ETHUSDT"):
            watchlists.add(session, elite, plan, chosen.id, symbol)
        one = add_rule(session, elite, definition(), NOW, snoozed_until_ms=NOW + 5, expires_ms=NOW + 9, version=4)
        every = add_rule(session, free, definition(scope=""), NOW)
        listed = add_rule(session, elite, definition(scope=Scope("watchlist", watchlist_id=chosen.id)), NOW)
        add_rule(session, elite, definition(), NOW, status="paused", why="owner")
    with database.session(readonly=True) as session:
        by_id = {rule.id: rule for rule in rule_store.load(session, NOW).rules}
        assert {rule.id for rule in rule_store.load(session, NOW, [free]).rules} == {every.id}
        assert rule_store.load(session, NOW, []).rules == []
    assert by_id.keys() == {one.id, every.id, listed.id}
    found = by_id[one.id]
    assert (found.symbols, found.version, found.open_interest) == (frozenset({"BTCUSDT"}), 4, True)
    assert (found.since_ms, found.snoozed_until_ms, found.expires_ms) == (NOW, NOW + 5, NOW + 9)
    assert found.definition == definition()
    assert (by_id[every.id].symbols, by_id[every.id].open_interest) == (None, False)
    assert by_id[listed.id].symbols == {"BTCUSDT", "ETHUSDT"}


def test_pages_hold_each_rule_once_and_stamps_tell_of_each(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        ids = {add_rule(session, owner, definition(), NOW).id for _ in range(7)}
    with database.session(readonly=True) as session:
        seen: list[str] = []
        after = ""
        while True:
            page = rule_store.load_page(session, NOW, after, 3)
            seen += [rule.id for rule in page.rules]
            if not (after := page.next):
                break
        assert sorted(seen) == sorted(ids)
        stamps = [*rule_store.stamps(session, limit=4)]
        stamps += rule_store.stamps(session, stamps[-1].rule_id, limit=4)
        assert [stamp.rule_id for stamp in stamps] == sorted(ids)
        assert {(s.account_id, s.version, s.changed_ms) for s in stamps} == {(owner, 1, NOW)}


def test_a_rule_on_a_list_that_is_gone_or_anothers_is_an_orphan(database: Database) -> None:
    with database.session() as session:
        mine, other = add_owner(session, NOW), add_owner(session, NOW)
        plan = plan_of(session.get_one(Account, other), from_ms(NOW))
        theirs = watchlists.create(session, other, plan, "Theirs", from_ms(NOW))
        gone = add_rule(session, mine, definition(scope=Scope("watchlist", watchlist_id="0" * 32)), NOW)
        foreign = add_rule(session, mine, definition(scope=Scope("watchlist", watchlist_id=theirs.id)), NOW)
        whole = add_rule(session, other, definition(scope=Scope("watchlist", watchlist_id=theirs.id)), NOW)
    with database.session() as session:
        loaded = rule_store.load(session, NOW)
        assert [rule.id for rule in loaded.rules] == [whole.id]
        assert loaded.orphans == {gone.id: 1, foreign.id: 1}
        locked = rule_store.lock(session, [gone.id, whole.id, "nobody"])
        assert {each: rule_store.watchlist_is_gone(session, rule) for each, rule in locked.items()} == {
            gone.id: True,
            whole.id: False,
        }
        assert rule_store.pause(session, locked[gone.id], "watchlist", NOW + 1)
        assert not rule_store.pause(session, locked[gone.id], "delisted", NOW + 2)
    assert rows(database)[gone.id] == ("paused", "watchlist")
    assert told(database) == [mine]


def test_a_definition_of_another_version_is_left_out_and_said(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        broken = add_rule(session, owner, definition(), NOW)
        broken.definition = {"conditions": [{"kind": "phase of the moon"}]}
        whole = add_rule(session, owner, definition(), NOW)
    with database.session(readonly=True) as session, caplog.at_level(logging.WARNING):
        assert [rule.id for rule in rule_store.load(session, NOW).rules] == [whole.id]
    assert broken.id in caplog.text


def test_a_rule_that_fires_once_is_done_and_one_that_repeats_goes_on(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        once, often = (add_rule(session, owner, definition(ABOVE, mode=mode), NOW).id for mode in ("once", "repeat"))
    for event_ms in (NOW + 5, NOW + 3):
        with database.session() as session:
            for rule in rule_store.lock(session, [once, often]).values():
                if rule.status == "active":
                    rule_store.note_fired(session, rule, event_ms, NOW + 9, once=rule.id == once)
    with database.session(readonly=True) as session:
        done, going = session.get_one(RuleRecord, once), session.get_one(RuleRecord, often)
    assert (done.status, done.why, done.fires, done.fired_ms, done.changed_ms) == ("done", "fired", 1, NOW + 5, NOW + 9)
    # What it fires changes nothing of what it is: it does not begin anew.
    assert (going.status, going.fires, going.fired_ms, going.changed_ms) == ("active", 2, NOW + 5, NOW)
    assert told(database) == [owner]


def test_rules_end_when_their_time_is_over(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        ends, stays, paused = (
            add_rule(session, owner, definition(), NOW, expires_ms=NOW + after, status=status).id
            for after, status in ((HOUR, "active"), (HOUR + 1, "active"), (HOUR, "paused"))
        )
    with database.session() as session:
        assert rule_store.expire(session, NOW + HOUR - 1) == 0
        assert rule_store.expire(session, NOW + HOUR) == 1
        assert rule_store.expire(session, NOW + HOUR) == 0
    assert rows(database) == {ends: ("done", "expired"), stays: ("active", ""), paused: ("paused", "")}


def test_a_smaller_plan_keeps_the_newest_rules_paused_and_a_larger_one_brings_them_back(database: Database) -> None:
    with database.session() as session:
        owner, other = add_owner(session, NOW), add_owner(session, NOW)
        ids = [add_rule(session, owner, definition(), NOW).id for _ in range(7)]
        theirs = [add_rule(session, other, definition(), NOW).id for _ in range(7)]
        session.get_one(RuleRecord, ids[0]).status, session.get_one(RuleRecord, ids[0]).why = "paused", "owner"

    def give(plan: str) -> list[tuple[str, str]]:
        with database.session() as session:
            set_plan(session, session.get_one(Account, owner), plan, from_ms(NOW + HOUR), source="operator")  # type: ignore[arg-type]
        return [rows(database)[rule_id] for rule_id in ids]

    own, active, plan = ("paused", "owner"), ("active", ""), ("paused", "plan")
    # Free has three: the fourth and later of those that were active wait.
    assert give("free") == [own, active, active, active, plan, plan, plan]
    assert give("free") == [own, active, active, active, plan, plan, plan]
    with database.session(readonly=True) as session:
        changed = {rule_id: session.get_one(RuleRecord, rule_id).changed_ms for rule_id in ids}
    # What begins again begins anew; what went on was not touched.
    assert [changed[rule_id] for rule_id in ids] == [NOW] * 4 + [NOW + HOUR] * 3
    assert give("pro") == [own, *[active] * 6]
    assert {rows(database)[rule_id] for rule_id in theirs} == {active}


def test_a_rule_that_ends_makes_room_for_the_oldest_that_waits(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        once, short, other, *waiting = (add_rule(session, owner, definition(), NOW).id for _ in range(6))
        session.get_one(RuleRecord, short).expires_ms = NOW + HOUR
        set_plan(session, session.get_one(Account, owner), "free", from_ms(NOW), source="operator")
    going, waits = ("active", ""), ("paused", "plan")
    with database.session() as session:
        rule_store.note_fired(session, rule_store.lock(session, [once])[once], NOW + 1, NOW + 1, once=True)
    assert [rows(database)[each] for each in waiting] == [going, waits, waits]
    with database.session() as session:
        assert rule_store.expire(session, NOW + HOUR) == 1
    assert [rows(database)[each] for each in waiting] == [going, going, waits]
    with database.session() as session:
        assert rule_store.pause(session, rule_store.lock(session, [other])[other], "delisted", NOW + HOUR)
    assert [rows(database)[each] for each in waiting] == [going, going, going]


def test_a_plan_that_ends_leaves_what_free_has(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOW)
        ids = [add_rule(session, owner, definition(), NOW).id for _ in range(4)]
        session.get_one(Account, owner).plan_until = from_ms(NOW + HOUR)
    with database.session() as session:
        assert end_plans(session, NO_PRICES, from_ms(NOW + HOUR - 1)) == "0 plans ended"
        assert end_plans(session, NO_PRICES, from_ms(NOW + HOUR)) == "1 plans ended"
    assert [rows(database)[rule_id][1] for rule_id in ids] == ["", "", "", "plan"]


def test_enforcing_goes_by_the_plan_of_the_moment(database: Database) -> None:
    def enforced(session: Session, now_ms: int) -> tuple[int, int]:
        return rule_store.enforce_plan(session, session.get_one(Account, owner), now_ms)

    with database.session() as session:
        owner = add_owner(session, NOW)
        session.get_one(Account, owner).plan_until = from_ms(NOW + HOUR)
        for _ in range(5):
            add_rule(session, owner, definition(), NOW)
        assert enforced(session, NOW) == (0, 0)
        assert enforced(session, NOW + HOUR) == (2, 0)
        assert enforced(session, NOW) == (0, 2)
