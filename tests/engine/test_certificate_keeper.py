"""Silence certificates of an engine at work."""

from __future__ import annotations

import asyncio

import pytest
from sqlmodel import Session

from flashcur.domain.rules.condition import FundingLevel, PriceCross, PriceMove
from flashcur.domain.signals.silence import DAY_MS
from flashcur.engine.certificate_keeper import CertificateKeeper
from flashcur.models import RuleDay, RuleRecord
from flashcur.services.alerts import certificates
from flashcur.services.alerts.certificates import Certificate
from flashcur.services.market.venues import BYBIT
from flashcur.services.storage.database import Database
from tests.engine.evaluating import HOUR, NOON, A, B, Rig, evaluating, stop
from tests.support.rules import add_owner, add_rule, definition
from tests.support.waiting import eventually

ABOVE = PriceCross("above", 20.0)
FUNDED = FundingLevel("above", 1.0)


class Kept:
    """A rig whose time passes with a keeper beside it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.keeper = CertificateKeeper(
            rig.evaluation, lambda symbol, now_ms: True, rig.database, rig.tenure, clock=rig.clock
        )
        self.cut: set[str] = set()

    async def begin(self) -> None:
        await self.keeper.restore()
        await self.rig.begun()
        self.keeper.step(self.rig.now_ms)

    def run(self, seconds: int, price: float = 10.0) -> None:
        for _ in range(seconds):
            self.rig.later(1)
            for symbol in (A, B):
                if "price" not in self.cut:
                    self.rig.price(price, symbol)
                if "funding" not in self.cut:
                    self.rig.fund(0.01, symbol)
            self.rig.evaluation.step(self.rig.now_ms)
            self.keeper.step(self.rig.now_ms)
            self.keeper.take_turns(self.rig.now_ms)

    def told(self, *rule_ids: str) -> list[Certificate]:
        with self.rig.database.session(readonly=True) as session:
            found = certificates.of_rules(session, rule_ids, self.rig.now_ms)
        return [found[rule_id] for rule_id in rule_ids]


async def test_a_feed_that_is_cut_for_ninety_seconds_blinds_exactly_the_rules_concerned(database: Database) -> None:
    async with evaluating(database) as rig:
        owner, made_ms = rig.owner(), NOON - 60_000
        on_price, on_funding, on_all, on_both = (
            rig.rule(owner, *conditions, scope=scope, made_ms=made_ms)
            for conditions, scope in (((ABOVE,), A), ((FUNDED,), A), ((ABOVE,), ""), ((ABOVE, FUNDED), B))
        )
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(120)
        kept.cut = {"price"}
        kept.run(90)
        kept.cut = set()
        kept.run(120)
        await kept.keeper.flush()
        price, funding, every, both = kept.told(on_price, on_funding, on_all, on_both)
        for certificate in (price, every, both):
            assert certificate.blind == {"stale": pytest.approx(90, abs=1), "engine_away": pytest.approx(60, abs=1)}
            assert certificate.coverage == pytest.approx(240 / 390, abs=0.01)
        assert funding.blind == {"engine_away": pytest.approx(60, abs=1)}
        for certificate in (price, funding, every, both):
            so_far = (rig.now_ms - rig.now_ms // DAY_MS * DAY_MS) / 1000
            assert certificate.watched_s + certificate.idle_s + certificate.blind_s == pytest.approx(so_far, abs=0.01)
            assert certificate.until_ms == rig.now_ms


async def test_a_move_is_blind_until_the_price_at_its_beginning_is_known(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database, now_ms=NOON + 25_000) as rig:
        owner, made_ms = rig.owner(), NOON + 25_000
        quarter, minute, level = (
            rig.rule(owner, each, made_ms=made_ms) for each in (PriceMove("up", 5, 900), PriceMove("up", 5, 60), ABOVE)
        )
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(40)
        book = rig.evaluation.book
        assert book is not None
        rig.evaluation.on_prices(book, A, [(NOON - at * 60_000, 10.0) for at in range(20, -1, -1)])
        kept.run(60)
        await kept.keeper.flush()
        known = kept.told(quarter, minute, level)
        assert known[0].blind == {"no_baseline": pytest.approx(40, abs=5)}
        assert known[1].blind == {"no_baseline": pytest.approx(60, abs=5)}
        assert not known[2].blind
        assert known[0].watched_s == pytest.approx(60, abs=5)


async def test_the_nearest_miss_of_the_day_is_told(database: Database) -> None:
    async with evaluating(database) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, scope="", made_ms=NOON - 60_000)
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(30, 10.0)
        kept.run(1, 19.5)
        near_ms = rig.now_ms
        kept.run(30, 12.0)
        await kept.keeper.flush()
        (certificate,) = kept.told(rule_id)
        nearest = certificate.nearest
        assert (nearest["value"], nearest["threshold"], nearest["at_ms"]) == (19.5, 20.0, near_ms)
        assert nearest["missing"] == pytest.approx(0.025)
        assert nearest["text"] == "Price 19.50 (at or above 20)"


async def test_an_edit_ends_the_nearest_miss_of_the_rule_as_it_was(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, scope="", made_ms=NOON - 60_000)
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(1, 19.5)
        kept.run(70, 12.0)
        await kept.keeper.flush()
        assert kept.told(rule_id)[0].nearest["threshold"] == 20.0

        def raise_it(session: Session) -> None:
            rule = session.get_one(RuleRecord, rule_id)
            rule.definition = definition(PriceCross("above", 30.0), scope="").to_json()
            rule.version, rule.changed_ms = 2, rig.now_ms
            session.add(rule)

        rig.edit(raise_it, owner)
        await eventually(lambda: rig.evaluation.rules[rule_id].version == 2, "the edit")
        # The day's highest price was before the edit, so nothing counts as a miss of the new version yet.
        kept.run(70, 12.0)
        await kept.keeper.flush()
        assert kept.told(rule_id)[0].nearest == {}
        kept.run(1, 25.0)
        await kept.keeper.flush()
        assert kept.told(rule_id)[0].nearest["threshold"] == 30.0


async def test_paused_and_snoozed_time_is_idle_and_a_restart_is_blind(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        rule_id = rig.rule(owner, ABOVE, made_ms=NOON - 60_000)
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(100)

        def pause(session: Session) -> None:
            rule = session.get_one(RuleRecord, rule_id)
            rule.status, rule.changed_ms = "paused", rig.now_ms
            session.add(rule)

        rig.edit(pause, owner)
        await eventually(lambda: rule_id not in rig.evaluation.rules, "the pause")
        await kept.keeper.save()
        rig.now_ms += 50_000
        (certificate,) = kept.told(rule_id)
        noon_s = NOON % DAY_MS // 1000
        assert (certificate.watched_s, certificate.idle_s) == (100, noon_s - 60 + 50)

        def resume(session: Session) -> None:
            rule = session.get_one(RuleRecord, rule_id)
            rule.status, rule.changed_ms = "active", rig.now_ms
            session.add(rule)

        rig.edit(resume, owner)
        await eventually(lambda: rule_id in rig.evaluation.rules, "that it goes on")
        kept.run(40)
        await stop(rig)
        await kept.keeper.flush()
        now_ms = rig.now_ms
    async with evaluating(database, now_ms=now_ms + 300_000) as rig:
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(20)
        await kept.keeper.flush()
        (certificate,) = kept.told(rule_id)
        assert certificate.blind == {"engine_away": pytest.approx(360, abs=2)}
        assert (certificate.watched_s, certificate.idle_s) == (pytest.approx(160, abs=2), noon_s - 60 + 50)


async def test_a_switch_of_exchange_is_blind_until_the_other_is_watched(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, made_ms=NOON)
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(60)
        rig.later(7)
        rig.serve(BYBIT)
        await eventually(lambda: rig.evaluation.book is rig.market.target, "the other book")
        kept.run(60)
        await kept.keeper.flush()
        (certificate,) = kept.told(rule_id)
        assert certificate.blind == {"switch": pytest.approx(7, abs=1)}


async def test_each_day_has_a_certificate_of_its_own(database: Database) -> None:
    midnight = (NOON // DAY_MS + 1) * DAY_MS
    async with evaluating(database, now_ms=midnight - 120_000) as rig:
        rule_id = rig.rule(rig.owner(), ABOVE, made_ms=midnight - HOUR)
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        kept.run(119, 15.0)
        kept.run(61, 11.0)
        await kept.keeper.flush()
        with database.session(readonly=True) as session:
            today, yesterday = certificates.days_of(session, rule_id, rig.now_ms)
        assert (today.day, yesterday.day) == (midnight // DAY_MS, midnight // DAY_MS - 1)
        assert yesterday.watched_s + yesterday.idle_s + yesterday.blind_s == pytest.approx(86_400)
        assert (today.watched_s, today.blind_s, today.idle_s) == (60, 0, 0)
        assert [each.nearest["value"] for each in (today, yesterday)] == [11.0, 15.0]
        with database.session() as session:
            assert certificates.prune_days(session, midnight) == 1
            assert [each.day for each in certificates.days_of(session, rule_id, rig.now_ms)] == [today.day]


async def test_the_keeper_writes_as_it_goes_and_in_turns(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.engine.certificate_keeper.STEP_S", 0.01)
    async with evaluating(sqlite_database) as rig:
        owner = rig.owner()
        ids = [rig.rule(owner, ABOVE, made_ms=NOON) for _ in range(5)]
        rig.serve()
        kept = Kept(rig)
        await kept.begin()
        assert kept.keeper.take_turns(rig.now_ms + 60_000, most=3) == 3
        assert kept.keeper.take_turns(rig.now_ms + 60_000, most=3) == 2
        task = asyncio.create_task(kept.keeper.run())
        try:
            rig.later(61)
            await eventually(lambda: len(kept.told(*ids)) == 5 if _known(rig, 5) else False, "all of them")
            with rig.database.session() as session:
                session.delete(session.get_one(RuleRecord, ids[0]))
            rig.later(61)
            before = {each.until_ms for each in kept.told(*ids[1:])}
            await eventually(lambda: {each.until_ms for each in kept.told(*ids[1:])} != before, "the others, later on")
            rig.tenure.lost.set()
            rig.later(61)
            await asyncio.wait_for(task, 5)
        finally:
            task.cancel()


def _known(rig: Rig, number: int) -> bool:
    with rig.database.session(readonly=True) as session:
        return len(certificates.load_days(session, 0)) == number


def test_days_are_read_in_pages_and_those_of_no_rule_are_left_out(database: Database) -> None:
    with database.session() as session:
        owner = add_owner(session, NOON)
        ids = sorted(add_rule(session, owner, definition(), NOON).id for _ in range(3))
        days = [RuleDay(rule_id=each, day=day, watched_s=1.5, until_ms=9) for each in (*ids, "gone") for day in (7, 8)]
        assert certificates.save_days(session, days) == 6
        assert certificates.save_days(session, []) == 0
        days[0].watched_s = 2.5
        assert certificates.save_days(session, days[:1]) == 1
    with database.session(readonly=True) as session:
        first = certificates.load_days(session, 7, limit=4)
        rest = certificates.load_days(session, 7, (first[-1].rule_id, first[-1].day), limit=4)
        assert [(row.rule_id, row.day) for row in (*first, *rest)] == [(each, day) for each in ids for day in (7, 8)]
        assert [row.watched_s for row in first] == [2.5, 1.5, 1.5, 1.5]
        assert len(certificates.load_days(session, 8)) == 3
