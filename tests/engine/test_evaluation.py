"""Rules on the live market, from the tick to the row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from flashcur.domain.rules.atoms import PRICE, interest_source
from flashcur.domain.rules.condition import FundingLevel, InterestMove, OnSignal, PriceCross, VolumeRatio
from flashcur.domain.rules.measured import UNMEASURED
from flashcur.domain.rules.rule import Scope
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.listings import Listings
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.domain.ticks import Instrument, OpenInterest
from flashcur.engine import alert_writer
from flashcur.engine import evaluation as evaluation_module
from flashcur.models import Account, RuleRecord
from flashcur.services.accounts import watchlists
from flashcur.services.accounts.entitlement import plan_of, set_plan
from flashcur.services.alerts import rules
from flashcur.services.kit.clock import from_ms
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.services.storage.database import Database
from tests.engine.evaluating import HOUR, NOON, A, B, Rig, evaluating, stop
from tests.support.alerts import DOGS_MOVED
from tests.support.signals import signal
from tests.support.waiting import eventually

ABOVE = PriceCross("above", 11.0)


def titles(rig: Rig) -> list[str]:
    return [row.title for row in rig.rows()]


async def test_a_price_that_crosses_is_one_alert_and_one_word_on_the_bus(database: Database) -> None:
    async with evaluating(database) as rig, rig.told() as said:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, note="Sell a tenth.")
        rig.serve()
        await rig.begun()
        rig.later(1)
        rig.price(11.5)
        await rig.written()
        (row,) = rig.rows()
        assert (row.title, row.account_id, row.rule_id) == ("AUSDT: Price 11.50 (at or above 11)", owner, rule_id)
        assert (row.key, row.kind) == (f"rule:{rule_id}:1:AUSDT:{NOON + 1000}", "rule")
        assert (row.event_ms, row.seen_ms, row.stored_ms, row.price) == (NOON + 1000, NOON + 1000, NOON + 1000, 11.5)
        assert (row.evidence["note"], row.evidence["up"]) == ("Sell a tenth.", True)
        (reading,) = row.evidence["readings"]
        assert (reading["kind"], reading["value"], reading["threshold"], reading["met"]) == ("price", 11.5, 11.0, True)
        assert [each.id for each in rig.delivered] == [row.id]
        await eventually(lambda: said == {owner: row.id}, "the word on the bus")
        rule = rig.rules()[rule_id]
        assert (rule.status, rule.fires, rule.fired_ms) == ("active", 1, NOON + 1000)
        rig.pass_quietly(3, 12.0)
        await rig.written()
        assert len(rig.rows()) == 1
        assert (rig.writer.stored, rig.writer.dropped, len(rig.delays)) == (1, 0, 1)


async def test_what_is_met_at_the_first_look_fires_nothing(database: Database) -> None:
    """Complaint 1 (part): the first second after a start goes by crossings alone."""
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.rule(owner, ABOVE)
        rig.rule(owner, FundingLevel("above", 0.001))
        rig.serve(price=20.0)
        await rig.begun()
        rig.pass_quietly(5, 20.0)
        await rig.written()
        assert rig.rows() == []


async def test_a_stale_candle_tells_no_rule_anything(database: Database) -> None:
    """Complaint 9: the feed stalls mid-candle, and what comes too late fires nothing."""
    async with evaluating(database, now_ms=NOON + HOUR // 2) as rig:
        rig.rule(rig.owner(), VolumeRatio(2.0, 0.0))
        rig.serve()
        assert rig.market.target is not None
        rig.market.target.book.set_streamed_candles([A, B])
        rig.trade(10.0, open_ms=NOON - HOUR, closed=True)
        rig.trade(5.0)
        await rig.begun()
        told_ms = rig.now_ms
        rig.later(60)
        # Told a minute ago by the exchange's own clock, and only here now.
        market, venue = rig.market, rig.venue
        late = replace(rig.market.target.book.row(A).candle, volume_quote=50e6, event_ms=told_ms + 1)  # type: ignore[union-attr, arg-type]
        market.on_tick(venue, replace(late, seen_ms=rig.now_ms))
        await rig.written()
        assert rig.rows() == []


async def test_an_edit_reaches_the_evaluation_and_the_rule_starts_anew(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2, 10.5)

        def lower(session: Session) -> None:
            rule = session.get_one(RuleRecord, rule_id)
            rule.definition = {**rule.definition, "conditions": [{"kind": "price", "side": "above", "price": 10.2}]}
            rule.version, rule.changed_ms = 2, rig.now_ms
            session.add(rule)

        rig.edit(lower, owner)
        await eventually(lambda: rig.evaluation.rules[rule_id].version == 2, "the edit")
        # It is met already: nothing has crossed.
        rig.pass_quietly(2, 10.6)
        rig.pass_quietly(1, 10.0)
        await rig.written()
        assert rig.rows() == []
        rig.pass_quietly(1, 10.3)
        await rig.written()
        assert [(row.rule_version, row.price) for row in rig.rows()] == [(2, 10.3)]


@pytest.mark.parametrize("mode", ["once", "repeat"])
async def test_what_a_snooze_refuses_leaves_no_trace(database: Database, mode: str) -> None:
    """A price that crosses after “Snooze” was pressed, and before the evaluation has read that."""
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, mode=mode, cooldown_s=7 * 24 * 3_600)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(1)
        until_ms = rig.now_ms + HOUR
        rig.edit(lambda session: rules.snooze(session, owner, rule_id, until_ms, rig.now_ms), owner)
        rig.pass_quietly(1, 11.5)
        assert rig.evaluation.rules[rule_id].snoozed_until_ms is None
        await rig.written()
        assert rig.evaluation.figures.firings == 1
        assert rig.rows() == []
        await eventually(
            lambda: rig.evaluation.rules[rule_id].snoozed_until_ms == until_ms, "an evaluation that knows of the snooze"
        )
        # While it lasts nothing fires, and once it is over what crosses then.
        rig.pass_quietly(1)
        rig.pass_quietly(1, 11.5)
        rig.later(HOUR / 1000)
        rig.pass_quietly(2)
        assert rig.evaluation.figures.firings == 1
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert [row.event_ms for row in rig.rows("rule")] == [rig.now_ms]
        # That one was told: the rule is done, or in its cooldown.
        rig.pass_quietly(1)
        rig.pass_quietly(1, 11.5)
        assert rig.evaluation.figures.firings == 2
        assert rig.rules()[rule_id].status == ("done" if mode == "once" else "active")


@pytest.mark.parametrize("mode", ["once", "repeat"])
async def test_a_rule_whose_alert_the_database_refuses_can_fire_again(database: Database, mode: str) -> None:
    def refuse(session: Session, found: object, now_ms: int) -> None:
        session.connection().execute(text("SELECT :value"), {"value": object()})

    async with evaluating(database) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, mode=mode, cooldown_s=7 * 24 * 3_600)
        rig.serve()
        await rig.begun()
        deliver, rig.writer._deliver = rig.writer._deliver, refuse
        rig.pass_quietly(1)
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert (rig.rows(), rig.writer.dropped) == ([], 1)
        rig.writer._deliver = deliver
        rig.pass_quietly(1)
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert [row.event_ms for row in rig.rows("rule")] == [rig.now_ms]
        assert rig.rules()[rule_id].status == ("done" if mode == "once" else "active")


async def test_a_snooze_that_was_read_before_its_firing_is_refused_leaves_no_trace(sqlite_database: Database) -> None:
    """As where the database was away: what the writer does comes last."""
    async with evaluating(sqlite_database, writes=False) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, FundingLevel("above", 0.005), mode="once")
        rig.serve()
        await rig.begun()
        rig.pass_quietly(1, 11.5)
        assert rig.evaluation.figures.firings == 1
        until_ms = rig.now_ms + HOUR
        rig.edit(lambda session: rules.snooze(session, owner, rule_id, until_ms, rig.now_ms), owner)
        await eventually(
            lambda: rig.evaluation.rules[rule_id].snoozed_until_ms == until_ms, "an evaluation that knows of the snooze"
        )
        # It goes back before anybody knows that it is not done.
        rig.pass_quietly(1)
        await rig.writer.flush()
        assert rig.rows() == []
        rig.later(HOUR / 1000)
        rig.fund(0.01)
        rig.pass_quietly(1)
        rig.pass_quietly(1, 11.5)
        await rig.writer.flush()
        assert [row.event_ms for row in rig.rows("rule")] == [rig.now_ms]


async def test_a_snooze_ends_no_cooldown(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, cooldown_s=2 * 3_600)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert len(rig.rows()) == 1
        until_ms = rig.now_ms + HOUR
        rig.edit(lambda session: rules.snooze(session, owner, rule_id, until_ms, rig.now_ms), owner)
        await eventually(
            lambda: rig.evaluation.rules[rule_id].snoozed_until_ms == until_ms, "an evaluation that knows of the snooze"
        )
        for fired in (1, 2):
            rig.later(HOUR / 1000)
            rig.pass_quietly(1)
            rig.pass_quietly(1, 11.5)
            assert rig.evaluation.figures.firings == fired


async def test_new_paused_and_deleted_rules_follow_within_a_second(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.serve()
        await rig.begun()
        rule_id = rig.rule(owner, ABOVE, made_ms=rig.now_ms)
        rig.edit(lambda session: None, owner)
        await eventually(lambda: rule_id in rig.evaluation.rules, "the new rule")
        assert rig.evaluation.contracts == 1

        def pause(session: Session) -> None:
            rule = session.get_one(RuleRecord, rule_id)
            rule.status, rule.why = "paused", "owner"
            session.add(rule)

        rig.edit(pause, owner)
        await eventually(lambda: rule_id not in rig.evaluation.rules, "the pause")
        rig.later(1)
        rig.price(12.0)
        await rig.written()
        assert rig.rows() == []


async def test_a_smaller_plan_pauses_what_it_has_no_room_for(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner("pro")
        ids = [rig.rule(owner, PriceCross("above", 11.0 + number)) for number in range(5)]
        rig.serve()
        await rig.begun()
        assert rig.evaluation.rules.keys() == set(ids)

        def give(plan: str) -> None:
            def change(session: Session) -> None:
                set_plan(session, session.get_one(Account, owner), plan, from_ms(rig.now_ms), source="operator")  # type: ignore[arg-type]

            rig.edit(change)

        give("free")
        await eventually(lambda: rig.evaluation.rules.keys() == set(ids[:3]), "the pauses")
        assert {rig.rules()[each].why for each in ids[3:]} == {"plan"}
        give("elite")
        await eventually(lambda: rig.evaluation.rules.keys() == set(ids), "all of them")


async def test_a_watchlist_is_followed_and_its_rules_are_paused_with_it(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        with database.session() as session:
            plan = plan_of(session.get_one(Account, owner), from_ms(NOON))
            chosen = watchlists.create(session, owner, plan, "Mine", from_ms(NOON)).id
        rule_id = rig.rule(owner, ABOVE, scope=Scope("watchlist", watchlist_id=chosen), name="Mine", mode="repeat")
        rig.serve()
        await rig.begun()
        assert rig.evaluation.rules[rule_id].symbols == frozenset()
        rig.edit(lambda session: watchlists.add(session, owner, plan, chosen, A), owner)
        await eventually(lambda: rig.evaluation.rules[rule_id].symbols == {A}, "the contract")
        rig.pass_quietly(1, 10.0)
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert titles(rig) == ["AUSDT: Mine"]
        rig.edit(lambda session: watchlists.delete(session, owner, chosen), owner)
        await eventually(lambda: rig.rules()[rule_id].status == "paused", "the pause")
        await rig.written()
        (notice,) = rig.rows("notice")
        assert (notice.title, notice.rule_id) == ("Rule paused: its watchlist was deleted", rule_id)
        assert rig.rules()[rule_id].why == "watchlist"
        await eventually(lambda: rule_id not in rig.evaluation.rules, "that it is left out")


async def test_a_delisted_contract_pauses_the_rules_that_name_it_with_one_notice(database: Database) -> None:
    """Complaint 10: no ghosts, no endless errors; wider rules just shrink."""
    async with evaluating(database) as rig:
        owner = rig.owner()
        named, other = rig.rule(owner, ABOVE), rig.rule(owner, ABOVE, scope=B)
        every = rig.rule(owner, ABOVE, scope="")
        rig.serve()
        await rig.begun()
        gone = signal(1, detector="listing", kind="DELISTED", symbol=A, base="A", seen_ms=rig.now_ms)
        assert rig.market.target is not None
        rig.set_contracts(*[each for each in rig.instruments if each.symbol != A])
        for _ in range(3):
            rig.evaluation.on_signals(rig.market.target, [gone])
        await eventually(lambda: rig.rules()[named].status == "paused", "the pause")
        await rig.written()
        rules = rig.rules()
        assert [(rules[each].status, rules[each].why) for each in (named, other, every)] == [
            ("paused", "delisted"),
            ("active", ""),
            ("active", ""),
        ]
        (notice,) = rig.rows()
        assert (notice.kind, notice.title) == ("notice", "Rule paused: AUSDT is no longer traded")
        assert notice.text == "It stays paused if the contract comes back: you decide when it goes on."
        await eventually(lambda: named not in rig.evaluation.rules, "that it is left out")
        rig.set_contracts(*rig.instruments, Instrument(A, "A", 0.01, 2))
        rig.later(1)
        rig.price(10.0)
        rig.later(1)
        rig.price(12.0)
        await rig.written()
        # Relisted, the rule for all watches it again; the one that named it waits for its owner.
        assert [row.rule_id for row in rig.rows("rule")] == [every]


async def test_a_contract_that_counts_another_number_is_named_in_the_notice(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, scope="PEPEUSDT", name="Frogs")
        rig.instruments = [Instrument("1000PEPEUSDT", "1000PEPE", 0.01, 2), *rig.instruments]
        rig.serve()
        await rig.begun()
        gone = signal(1, detector="listing", kind="DELISTED", symbol="PEPEUSDT", base="PEPE", seen_ms=rig.now_ms)
        assert rig.market.target is not None
        rig.evaluation.on_signals(rig.market.target, [gone])
        await eventually(lambda: rig.rules()[rule_id].status == "paused", "the pause")
        (notice,) = rig.rows("notice")
        assert notice.text.split("\n") == [
            "“Frogs”",
            "1000PEPEUSDT is on the same coin, PEPE, and counts 1,000 of it instead of 1: its price is 1,000 times the "
            "price before. Check each price in the rule before you move it there.",
            "It stays paused if the contract comes back: you decide when it goes on.",
        ]


def renamed_signal(rig: Rig, symbol: str, was: str) -> Signal:
    measures = (Measure("term", "name", "text"), Measure("was", was, "text", "baseline"))
    base = symbol.removesuffix("USDT")
    rest = {"detector": "listing", "kind": "TERMS_CHANGED", "symbol": symbol, "base": base, "seen_ms": rig.now_ms}
    return signal(1, evidence=Evidence("listings/2", measures), **rest)


async def test_a_rule_follows_its_contract_to_another_name_with_its_prices_rescaled(database: Database) -> None:
    """1000SHIB becomes SHIB: the exchange's list says so, and what comes of it is one notice and a rule that fires."""
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.instruments = [Instrument(f"{base}USDT", base, 0.01, 2) for base in ("1000SHIB", "A", "B")]
        level = rig.rule(owner, PriceCross("above", 0.011), scope="1000SHIBUSDT", name="Dogs")
        other = rig.rule(owner, ABOVE)
        rig.serve(price=0.01)
        await rig.begun()
        detector = Listings(Origin("binanceusdm"))
        detector.compare(rig.instruments, rig.now_ms)
        rig.later(1)
        rig.set_contracts(Instrument("SHIBUSDT", "SHIB", 0.01, 8), *rig.instruments[1:])
        (said,) = detector.compare(rig.instruments, rig.now_ms)
        assert rig.market.target is not None
        for _ in range(2):
            rig.evaluation.on_signals(rig.market.target, [said])
        await eventually(lambda: rig.rules()[level].version == 2, "the other name")
        await rig.written()
        rule = rig.rules()[level]
        assert (rule.status, rule.changed_ms, rig.rules()[other].version) == ("active", rig.now_ms, 1)
        assert rule.definition["scope"]["symbol"] == "SHIBUSDT"
        assert rule.definition["conditions"] == [{"kind": "price", "side": "above", "price": 0.000011}]
        (notice,) = rig.rows()
        assert (notice.kind, notice.symbol, notice.rule_version) == ("notice", "SHIBUSDT", 1)
        assert notice.title == "Rule moved: 1000SHIBUSDT is SHIBUSDT now"
        assert notice.text.split("\n") == DOGS_MOVED
        await eventually(lambda: rig.evaluation.rules[level].version == 2, "that it is evaluated")
        for price in (0.0000105, 0.0000115):
            rig.later(1)
            rig.price(price, "SHIBUSDT")
        await rig.written()
        assert [(row.rule_id, row.symbol) for row in rig.rows("rule")] == [(level, "SHIBUSDT")]


async def test_a_rule_that_cannot_follow_its_contract_is_paused(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rule_id = rig.rule(rig.owner(), PriceCross("above", 5e8), scope="BABYDOGEUSDT")
        rig.serve()
        await rig.begun()
        assert rig.market.target is not None
        rig.evaluation.on_signals(rig.market.target, [renamed_signal(rig, "1MBABYDOGEUSDT", "BABYDOGE")])
        await eventually(lambda: rig.rules()[rule_id].status == "paused", "the pause")
        (notice,) = rig.rows()
        assert notice.title == "Rule paused: BABYDOGEUSDT is no longer traded"
        assert "1MBABYDOGEUSDT is on the same coin" in notice.text


async def test_a_rule_that_rests_follows_its_contract_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paused by its owner, by the plan, or snoozed; what it said before it was done stays said."""
    monkeypatch.setattr(alert_writer, "BATCH", 2)
    async with evaluating(database) as rig:
        owner, level = rig.owner(), PriceCross("above", 0.011)
        until_ms = rig.now_ms + HOUR

        def rule(**row: Any) -> str:
            return rig.rule(owner, level, scope="1000SHIBUSDT", **row)

        resting = [rule(status="paused", why=why) for why in ("owner", "plan")]
        snoozed = rule(snoozed_until_ms=until_ms)
        fired = rule(status="done", why="fired", fired_ms=rig.now_ms - HOUR)
        gone = rule(status="paused", why="delisted")
        other = rig.rule(owner, level, scope="1000PEPEUSDT", status="paused", why="owner")
        unreadable = rule(status="paused", why="owner")
        with rig.database.session() as session:
            row = session.get_one(RuleRecord, unreadable)
            row.definition = {**row.definition, "mode": "never"}
        resting.append(rule(status="paused", why="owner"))
        rig.serve()
        await rig.begun()
        assert rig.market.target is not None
        rig.later(1)
        for _ in range(2):
            rig.evaluation.on_signals(rig.market.target, [renamed_signal(rig, "SHIBUSDT", "1000SHIB")])
        await rig.written()
        rules = rig.rules()
        assert [(rules[each].status, rules[each].why) for each in resting] == [
            ("paused", "owner"),
            ("paused", "plan"),
            ("paused", "owner"),
        ]
        assert rules[snoozed].snoozed_until_ms == until_ms
        for each in (*resting, snoozed):
            said = rules[each].definition
            assert (said["scope"]["symbol"], said["conditions"][0]["price"]) == ("SHIBUSDT", 0.000011)
            assert (rules[each].version, rules[each].changed_ms) == (2, rig.now_ms)
        assert [rules[each].version for each in (fired, gone, other, unreadable)] == [1] * 4
        told = [
            each
            for row in rig.rows()
            for each in ([row.rule_id] if row.rule_id else [named["rule_id"] for named in row.evidence["rules"]])
        ]
        assert sorted(told) == sorted([*resting, snoozed])


async def test_one_that_waits_for_room_and_cannot_follow_its_contract_waits_no_longer(
    sqlite_database: Database,
) -> None:
    """Set going by the plan, it would watch what is no longer there."""
    async with evaluating(sqlite_database) as rig:
        waiting = rig.rule(rig.owner(), PriceCross("above", 5e8), scope="BABYDOGEUSDT", status="paused", why="plan")
        rig.serve()
        await rig.begun()
        assert rig.market.target is not None
        for _ in range(2):
            rig.evaluation.on_signals(rig.market.target, [renamed_signal(rig, "1MBABYDOGEUSDT", "BABYDOGE")])
        await rig.written()
        rule = rig.rules()[waiting]
        assert (rule.status, rule.why, rule.version) == ("paused", "delisted", 1)
        (notice,) = rig.rows()
        assert notice.title == "Rule stays paused: BABYDOGEUSDT is no longer traded"


async def test_demo_data_renames_no_rule(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, scope="1000SHIBUSDT")
        rig.serve(demo=True)
        await rig.begun()
        assert rig.market.target is not None
        rig.evaluation.on_signals(rig.market.target, [renamed_signal(rig, "SHIBUSDT", "1000SHIB")])
        assert rig.writer.waiting == 0
        assert rig.rules()[rule_id].version == 1


async def test_demo_data_pauses_and_ends_no_rule_and_its_alerts_say_what_they_are(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, mode="once")
        rig.serve(demo=True)
        await rig.begun()
        gone = signal(1, detector="listing", kind="DELISTED", symbol=A, base="A", seen_ms=rig.now_ms)
        assert rig.market.target is not None
        rig.evaluation.on_signals(rig.market.target, [gone])
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert [(row.demo, row.key.startswith("demo:rule:")) for row in rig.rows()] == [(True, True)]
        rule = rig.rules()[rule_id]
        assert (rule.status, rule.fires, rule.fired_ms) == ("active", 0, None)


@pytest.mark.parametrize(("preferred", "other"), [(BINANCE, BYBIT), (BYBIT, BINANCE)])
async def test_only_what_the_preferred_exchange_lists_changes_rules(
    database: Database, preferred: Venue, other: Venue
) -> None:
    """Minutes on another exchange, whose last set is weeks old, ended rules for good that the preferred one serves."""
    async with evaluating(database, preferred=preferred) as rig:
        owner = rig.owner()
        rig.instruments = [Instrument(f"{base}USDT", base, 0.01, 2) for base in ("1000SHIB", "A", "B")]
        named = rig.rule(owner, ABOVE)
        level = rig.rule(owner, PriceCross("above", 0.011), scope="1000SHIBUSDT")
        hears = rig.rule(owner, OnSignal("listing"))

        def say() -> None:
            """The exchange that serves delists one contract and gives another a new name."""
            assert rig.market.target is not None
            gone = signal(1, detector="listing", kind="DELISTED", symbol=A, base="A", seen_ms=rig.now_ms)
            rig.evaluation.on_signals(rig.market.target, [gone, renamed_signal(rig, "SHIBUSDT", "1000SHIB")])

        rig.serve(preferred)
        await rig.begun()
        rig.later(1)
        rig.serve(other)
        await eventually(lambda: rig.evaluation.book is rig.market.target, "the other book")
        say()
        # It is a signal like any other, and what asks for it hears of it.
        await eventually(lambda: [row.rule_id for row in rig.rows("rule")] == [hears], "the signal")
        await rig.written()
        assert rig.rows("notice") == []
        assert [(rig.rules()[each].status, rig.rules()[each].version) for each in (named, level)] == [("active", 1)] * 2

        rig.later(1)
        rig.serve(preferred)
        await eventually(lambda: rig.evaluation.book is rig.market.target, "the preferred exchange again")
        say()
        await eventually(lambda: rig.rules()[named].why == "delisted", "the pause")
        await eventually(lambda: rig.rules()[level].version == 2, "the other name")
        await rig.written()
        assert sorted((row.title, row.exchange) for row in rig.rows("notice")) == [
            ("2 rules paused: AUSDT is no longer traded", preferred.id),
            ("Rule moved: 1000SHIBUSDT is SHIBUSDT now", preferred.id),
        ]


async def test_another_exchange_fires_nothing_by_itself(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.rule(owner, ABOVE)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2)
        # Its price is another one from the start.
        rig.later(1)
        rig.serve(BYBIT, price=12.0)
        await eventually(lambda: rig.evaluation.book is rig.market.target, "the other book")
        rig.pass_quietly(3, 12.0)
        await rig.written()
        assert rig.rows() == []
        rig.pass_quietly(1, 10.0)
        rig.pass_quietly(1, 11.1)
        await rig.written()
        assert [(row.exchange, row.price) for row in rig.rows()] == [("bybit", 11.1)]
        # And back: what Bybit told is not told again by what Binance knew before.
        rig.pass_quietly(3, 10.0)
        await rig.written()
        rig.later(1)
        rig.serve(price=13.0)
        await eventually(lambda: rig.evaluation.book is rig.market.target, "the first exchange")
        rig.pass_quietly(6, 13.0)
        await rig.written()
        assert len(rig.rows()) == 1


async def test_a_restart_goes_on_where_it_stood(database: Database) -> None:
    """Complaint 1 (part): what crossed while the engine restarted is told once, whether it was seen before or not."""
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.rule(owner, ABOVE)
        rig.rule(owner, PriceCross("above", 11.6), cooldown_s=60)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2, 11.2)
        await rig.written()
        await stop(rig)
        now_ms = rig.now_ms
    # Eight seconds later it is above the second line.
    async with evaluating(database, now_ms=now_ms + 8_000) as rig:
        rig.serve(price=11.7)
        await rig.begun()
        rig.pass_quietly(2, 11.7)
        await rig.written()
        assert [(row.kind, row.price) for row in rig.rows()] == [("rule", 11.2), ("rule", 11.7)]
        await stop(rig)


async def test_after_an_outage_one_alert_an_account_says_what_was_missed(database: Database) -> None:
    async with evaluating(database) as rig:
        owner, other, third = rig.owner(), rig.owner(), rig.owner()
        rules = [rig.rule(owner, PriceCross("above", 11.0 + number / 10)) for number in range(3)]
        once = rig.rule(other, ABOVE, scope=B, mode="once")
        rig.rule(third, PriceCross("above", 99.0))
        rig.serve()
        await rig.begun()
        rig.pass_quietly(6)
        await stop(rig)
        now_ms = rig.now_ms
    async with evaluating(database, now_ms=now_ms + 15 * 60_000) as rig:
        rig.serve(price=12.0)
        await rig.begun()
        rig.pass_quietly(6, 12.0)
        await rig.written()
        found = {row.account_id: row for row in rig.rows()}
        assert len(rig.rows()) == 2
        assert {row.kind for row in rig.rows()} == {"missed"}
        mine = found[owner]
        assert mine.title == "3 alerts missed while FlashCur was not watching"
        assert mine.text.count("Price 12.00") == 3
        assert {each["rule_id"] for each in mine.evidence["missed"]} == set(rules)
        assert (mine.evidence["from_ms"], mine.evidence["until_ms"]) == (now_ms, now_ms + 15 * 60_000)
        assert rig.rules()[once].why == "fired"
        assert [rig.rules()[each].fires for each in rules] == [1, 1, 1]
        now_ms = rig.now_ms
    # Killed, and begun again at once: it is told already.
    async with evaluating(database, now_ms=now_ms + 12_000) as rig:
        rig.serve(price=12.0)
        await rig.begun()
        rig.pass_quietly(6, 12.0)
        await rig.written()
        assert len(rig.rows()) == 2


async def test_a_silent_feed_hides_what_is_told_as_missed(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rig.rule(owner, ABOVE)
        rig.rule(owner, PriceCross("above", 12.0))
        rig.serve()
        await rig.begun()
        rig.pass_quietly(3)
        silent_ms = rig.now_ms
        rig.later(90)
        rig.price(11.5)
        rig.later(1)
        # By now it is seen as it happens.
        rig.price(12.5)
        rig.pass_quietly(4, 12.5)
        await rig.written()
        (seen,), (missed,) = rig.rows("rule"), rig.rows("missed")
        assert (seen.price, missed.evidence["missed"][0]["price"]) == (12.5, 11.5)
        assert (missed.evidence["from_ms"], missed.evidence["until_ms"]) == (silent_ms, silent_ms + 90_000)


async def test_a_signal_fires_the_rules_that_wait_for_it(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, OnSignal("volume_spike", 2), scope="")
        rig.rule(owner, OnSignal("funding"), scope="")
        rig.serve()
        assert rig.market.target is not None
        strong = signal(1, symbol=A, base="A", severity=2, event_ms=rig.now_ms, seen_ms=rig.now_ms)
        # Detectors may begin before rules do.
        rig.evaluation.on_signals(rig.market.target, [strong])
        await rig.begun()
        await rig.written()
        rig.evaluation.on_signals(rig.market.target, [replace(strong, key="weak", symbol=B, severity=1)])
        await rig.written()
        (row,) = rig.rows()
        assert (row.rule_id, row.symbol, row.event_ms) == (rule_id, A, NOON)
        assert row.title.startswith("AUSDT: A hourly volume")


async def test_the_sweep_finds_what_nobody_told_of(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE)
        ends = rig.rule(owner, ABOVE, expires_ms=rig.now_ms + 60_000)
        rig.serve()
        await rig.begun()
        assert (
            await rig.evaluation.sweep()
            == "2 rules, 0 accounts read anew, 0 rules ended, 0 found late, 0 contracts caught up with"
        )
        # Written behind everybody's back, as a restored backup would.
        with database.session() as session:
            rule = session.get_one(RuleRecord, rule_id)
            rule.version = 7
            session.add(rule)
        late = rig.rule(owner, ABOVE)
        assert (
            await rig.evaluation.sweep()
            == "3 rules, 1 accounts read anew, 0 rules ended, 0 found late, 0 contracts caught up with"
        )
        assert rig.evaluation.rules[rule_id].version == 7
        assert late in rig.evaluation.rules
        rig.later(60)
        assert "1 rules ended" in await rig.evaluation.sweep()
        assert rig.rules()[ends].why == "expired"
        # What cannot be read is not asked for each time.
        with database.session() as session:
            rule = session.get_one(RuleRecord, rule_id)
            rule.definition = {}
            session.add(rule)
            rule.version = 8
        assert "1 accounts" in await rig.evaluation.sweep()
        assert "0 accounts" in await rig.evaluation.sweep()
        assert rig.evaluation.rules.keys() == {late}


async def test_many_rules_are_read_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_module, "PAGE", 10)
    async with evaluating(database) as rig:
        owner = rig.owner()
        ids = {rig.rule(owner, PriceCross("above", 11.0 + number)) for number in range(35)}
        rig.serve()
        await rig.begun()
        assert rig.evaluation.rules.keys() == ids
        assert rig.evaluation.figures.failures == 0


async def test_a_cooldown_outlives_a_kill(database: Database) -> None:
    async with evaluating(database) as rig:
        rig.rule(rig.owner(), ABOVE, cooldown_s=600)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(1, 11.5)
        await rig.written()
        now_ms = rig.now_ms
    async with evaluating(database, now_ms=now_ms + 2_000) as rig:
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2, 10.0)
        rig.pass_quietly(2, 11.5)
        await rig.written()
        assert len(rig.rows()) == 1
        rig.pass_quietly(600, 10.0)
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert len(rig.rows()) == 2


async def test_a_cooldown_that_was_told_among_many_outlives_a_kill(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fired again at the restart and refused when it was to be written, it was silent for a second cooldown."""
    monkeypatch.setattr(alert_writer, "MANY", 0)
    async with evaluating(database) as rig:
        owner = rig.owner()
        rules = {rig.rule(owner, PriceCross("above", 11.0 + number / 10), cooldown_s=600) for number in range(5)}
        rig.serve()
        await rig.begun()
        rig.pass_quietly(1, 11.5)
        await rig.written()
        (row,) = rig.rows()
        assert row.kind == "missed"
        now_ms = rig.now_ms
    monkeypatch.undo()
    async with evaluating(database, now_ms=now_ms + 2_000) as rig:
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2, 10.0)
        rig.pass_quietly(2, 11.5)
        # Nothing fires in the cooldown, so nothing begins another one.
        assert (rig.evaluation.figures.firings, len(rig.rows())) == (0, 1)
        rig.pass_quietly(600, 10.0)
        rig.pass_quietly(1, 11.5)
        await rig.written()
        assert {row.rule_id for row in rig.rows("rule")} == rules


@pytest.mark.parametrize("read_first", [True, False])
async def test_the_past_of_open_interest_is_known_whenever_it_was_read(
    sqlite_database: Database, read_first: bool
) -> None:
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), InterestMove("up", 5.0, 14_400))
        if not read_first:
            rig.serve()
            await rig.begun()
        else:
            rig.market.on_switch(rig.venue, "", False)
            rig.set_contracts(*rig.instruments)
            rig.price(10.0)
        book = rig.market.target
        assert book is not None
        rig.market.on_tick(rig.venue, OpenInterest(A, 100.0, rig.now_ms, rig.now_ms))
        past = [OpenInterest(A, 100.0, rig.now_ms - number * 300_000, rig.now_ms) for number in range(50, 0, -1)]
        rig.evaluation.on_interest(book, A, [(each.event_ms, each.contracts) for each in past])
        rig.market.remember(book, A, past)
        await rig.begun()
        source = interest_source(14_400)
        assert rig.evaluation.measured(book.book, A, rig.now_ms).values[source] == 0.0
        rig.later(60)
        rig.price(10.0)
        rig.market.on_tick(rig.venue, OpenInterest(A, 106.0, rig.now_ms, rig.now_ms))
        await rig.written()
        assert titles(rig) == ["AUSDT: Open interest +6.00 % in 4 hours (+5 % or more)"]


async def test_what_is_measured_is_of_the_book_that_rules_are_evaluated_on(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rig.serve()
        book = rig.market.target
        assert book is not None
        assert rig.evaluation.measured(book.book, A, rig.now_ms) == UNMEASURED
        await rig.begun()
        assert rig.evaluation.measured(book.book, A, rig.now_ms).values[PRICE] == 10.0
        assert rig.evaluation.measured(book.book, "GONEUSDT", rig.now_ms) == UNMEASURED
        rig.serve(BYBIT)
        assert rig.evaluation.measured(book.book, A, rig.now_ms) == UNMEASURED
