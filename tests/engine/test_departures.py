"""Contracts that are gone or have another name, where nobody told rules and watchlists of it in time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlmodel import Session, select

from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Scope
from flashcur.domain.signals.listings import DAY_MS, Listings
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.domain.ticks import Instrument
from flashcur.engine import alert_writer
from flashcur.engine.alert_writer import Delisting, ListRenaming, Pausing, Renaming, Writable
from flashcur.models import Account, AccountChange
from flashcur.services.accounts import watchlists
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.alerts import signals
from flashcur.services.kit.clock import from_ms
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.services.records.instrument_sets import contracts_of, save_set
from flashcur.services.storage.database import Database
from tests.engine.evaluating import A, B, Rig, evaluating
from tests.support.waiting import eventually

ABOVE = PriceCross("above", 11.0)
LEVEL = PriceCross("above", 0.011)
DOGS = "1000SHIBUSDT"


def contracts(*bases: str) -> list[Instrument]:
    return [Instrument(f"{base}USDT", base, 0.01, 2) for base in bases]


class Exchange:
    """What an exchange lists, told by the detector and stored; the engine was killed before it told the rules."""

    def __init__(self, rig: Rig, venue: Venue = BINANCE, *bases: str) -> None:
        self._rig = rig
        self._origin = Origin(venue.id)
        self._detector = Listings(self._origin)
        self.says(*(bases or ("1000SHIB", "A", "B")))

    def says(self, *bases: str, kept: Sequence[str] = ()) -> Sequence[Signal]:
        """It lists these; what is kept of it may be another set."""
        now_ms = self._rig.now_ms
        found = self._detector.compare(contracts(*bases), now_ms)
        self.store(found, *(kept or bases))
        return found

    def store(self, found: Sequence[Signal], *bases: str) -> None:
        with self._rig.database.session() as session:
            signals.store(session, found, self._rig.now_ms)
            save_set(session, self._origin, contracts_of(contracts(*bases)), self._rig.now_ms)


async def serve(rig: Rig, *bases: str, venue: Venue = BINANCE) -> None:
    rig.instruments = contracts(*bases)
    rig.serve(venue)
    await eventually(lambda: rig.evaluation.book is rig.market.target, "that rules are evaluated")


async def sweep(rig: Rig) -> str:
    """What the sweep caught up with, written."""
    said = await rig.evaluation.sweep()
    await rig.written()
    return said.rsplit(", ", 1)[1].split(" ")[0]


def states(rig: Rig, *rule_ids: str) -> list[tuple[str, str]]:
    rules = rig.rules()
    return [(rules[each].status, rules[each].why) for each in rule_ids]


def make_list(rig: Rig, account_id: str, name: str, *symbols: str) -> str:
    with rig.database.session() as session:
        plan = plan_of(session.get_one(Account, account_id), from_ms(rig.now_ms))
        made = watchlists.create(session, account_id, plan, name, from_ms(rig.now_ms)).id
        for symbol in symbols:
            watchlists.add(session, account_id, plan, made, symbol)
        return made


def held(rig: Rig, account_id: str) -> dict[str, tuple[str, ...]]:
    with rig.database.session(readonly=True) as session:
        return {one.name: one.symbols for one in watchlists.lists(session, account_id)}


async def test_a_delisting_that_nobody_acted_upon_is_found_by_the_sweep_once(database: Database) -> None:
    async with evaluating(database) as rig:
        owner, other = rig.owner(), rig.owner()
        exchange = Exchange(rig)
        mine = [rig.rule(owner, ABOVE) for _ in range(2)]
        resting = rig.rule(owner, ABOVE, status="paused", why="owner")
        theirs, apart = rig.rule(other, ABOVE), rig.rule(other, ABOVE, scope=B)
        rig.later(1)
        exchange.says("1000SHIB", "B")
        await serve(rig, "1000SHIB", "B")
        assert await sweep(rig) == "1"
        assert states(rig, *mine, resting, theirs) == [("paused", "delisted")] * 4
        assert states(rig, apart) == [("active", "")]
        assert sorted((row.account_id, row.title) for row in rig.rows()) == sorted(
            [
                (owner, "3 rules paused: AUSDT is no longer traded"),
                (other, "Rule paused: AUSDT is no longer traded"),
            ]
        )
        assert await sweep(rig) == "0"
        assert len(rig.rows()) == 2


@pytest.mark.parametrize("swept_first", [False, True])
async def test_both_ways_together_give_one_notice(database: Database, swept_first: bool) -> None:
    async with evaluating(database, writes=False) as rig:
        exchange = Exchange(rig)
        rules = [rig.rule(rig.owner(), ABOVE)]
        rules.append(rig.rule(rig.owner(), LEVEL, scope=DOGS))
        rig.later(1)
        found = exchange.says("SHIB", "B")
        await serve(rig, "SHIB", "B")
        assert rig.market.target is not None
        for swept in (swept_first, not swept_first):
            if swept:
                assert "2 contracts caught up with" in await rig.evaluation.sweep()
            else:
                rig.evaluation.on_signals(rig.market.target, found)
        await rig.writer.flush()
        assert states(rig, *rules) == [("paused", "delisted"), ("active", "")]
        assert rig.rules()[rules[1]].version == 2
        assert sorted(row.title for row in rig.rows()) == [
            "Rule moved: 1000SHIBUSDT is SHIBUSDT now",
            "Rule paused: AUSDT is no longer traded",
        ]


async def test_a_name_that_nobody_followed_is_followed_by_the_sweep(database: Database) -> None:
    async with evaluating(database) as rig:
        owner = rig.owner()
        exchange = Exchange(rig)
        level = rig.rule(owner, LEVEL, scope=DOGS)
        make_list(rig, owner, "Mine", B, DOGS, A)
        rig.later(1)
        exchange.says("SHIB", "A", "B")
        await serve(rig, "SHIB", "A", "B")
        assert await sweep(rig) == "1"
        said = rig.rules()[level].definition
        assert (said["scope"]["symbol"], said["conditions"][0]["price"]) == ("SHIBUSDT", 0.000011)
        assert held(rig, owner) == {"Mine": (B, "SHIBUSDT", A)}
        assert await sweep(rig) == "0"
        assert len(rig.rows()) == 1


async def test_what_was_told_of_too_early_before_a_switch_is_not_forgotten(sqlite_database: Database) -> None:
    """The preferred exchange's word came while its rules were still read, and another exchange took over."""
    async with evaluating(sqlite_database) as rig:
        named = rig.rule(rig.owner(), ABOVE)
        found = Exchange(rig).says("1000SHIB", "B")
        rig.instruments = contracts("1000SHIB", "B")
        rig.serve(BINANCE)
        assert rig.market.target is not None
        assert not rig.evaluation.is_ready
        rig.evaluation.on_signals(rig.market.target, found)
        rig.serve(BYBIT)
        await rig.begun()
        await rig.written()
        assert states(rig, named) == [("paused", "delisted")]


async def test_half_a_list_and_another_exchange_s_list_change_nothing(database: Database) -> None:
    async with evaluating(database) as rig:
        exchange = Exchange(rig)
        rules = [rig.rule(rig.owner(), ABOVE), rig.rule(rig.owner(), LEVEL, scope=DOGS)]
        # Nothing was said of what is missing here.
        await serve(rig, "B")
        assert await sweep(rig) == "0"
        # It was said, and is so no longer: of the answer of now half is missing.
        rig.later(1)
        gone = exchange.says("B", "C")
        exchange.store((), "1000SHIB", "A", "B")
        assert len(gone) == 3
        assert await sweep(rig) == "0"
        # Another exchange said it.
        rig.later(1)
        other = Exchange(rig, BYBIT)
        rig.later(1)
        other.says("SHIB", "B")
        await serve(rig, "SHIB", "B", venue=BYBIT)
        assert await sweep(rig) == "0"
        # The preferred one did, too, and is asked once it serves again.
        exchange.store((), "B", "C")
        assert await sweep(rig) == "0"
        assert states(rig, *rules) == [("active", "")] * 2
        await serve(rig, "B", "C")
        assert await sweep(rig) == "2"
        assert states(rig, *rules) == [("paused", "delisted")] * 2


async def test_one_that_came_back_later_is_there(sqlite_database: Database) -> None:
    """It is missing from a list of later, and what was said of it is older than its return."""
    async with evaluating(sqlite_database) as rig:
        exchange = Exchange(rig)
        named = rig.rule(rig.owner(), ABOVE)
        rig.later(1)
        exchange.says("1000SHIB", "B")
        rig.later(2 * DAY_MS / 1000)
        exchange.says("1000SHIB", "A", "B")
        exchange.store((), "1000SHIB", "B")
        await serve(rig, "1000SHIB", "B")
        assert await sweep(rig) == "0"
        assert states(rig, named) == [("active", "")]


async def test_what_was_changed_since_and_rests_is_its_owner_s(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        owner = rig.owner()
        exchange = Exchange(rig)
        rig.later(1)
        exchange.says("1000SHIB", "B")
        rig.later(1)
        going = rig.rule(owner, ABOVE, changed_ms=rig.now_ms)
        kept = rig.rule(owner, ABOVE, status="paused", why="owner", changed_ms=rig.now_ms)
        await serve(rig, "1000SHIB", "B")
        assert await sweep(rig) == "1"
        assert states(rig, going, kept) == [("paused", "delisted"), ("paused", "owner")]
        assert await sweep(rig) == "0"


async def test_a_simulated_exchange_is_never_caught_up_with(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        exchange = Exchange(rig)
        named = rig.rule(rig.owner(), ABOVE)
        rig.later(1)
        exchange.says("1000SHIB", "B")
        rig.instruments = contracts("1000SHIB", "B")
        rig.serve(demo=True)
        await rig.begun()
        assert await sweep(rig) == "0"
        assert states(rig, named) == [("active", "")]


async def test_an_account_has_one_notice_however_its_rules_lie_among_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_writer, "BATCH", 4)
    async with evaluating(database, writes=False) as rig:
        owners = [rig.owner() for _ in range(5)]
        # Ids of one account's rules lie before and behind those of the others.
        made = {owner: [rig.rule(owner, ABOVE) for _ in range(3)] for owner in owners}
        moved = [rig.rule(owners[number % 2], LEVEL, scope=DOGS) for number in range(11)]
        rig.writer.put([Delisting(A, BINANCE.id), Renaming(DOGS, "SHIBUSDT", BINANCE.id)])
        await rig.writer.flush()
        assert {why for rules in made.values() for _, why in states(rig, *rules)} == {"delisted"}
        assert {rig.rules()[each].version for each in moved} == {2}
        told = [(row.account_id, row.title) for row in rig.rows()]
        assert sorted(told) == sorted(
            [
                *((owner, "3 rules paused: AUSDT is no longer traded") for owner in owners),
                (owners[0], "6 rules moved: 1000SHIBUSDT is SHIBUSDT now"),
                (owners[1], "5 rules moved: 1000SHIBUSDT is SHIBUSDT now"),
            ]
        )


def changed_accounts(session: Session) -> list[str]:
    return list(session.exec(select(AccountChange.account_id)))


async def test_watchlists_follow_a_contract_to_another_name_at_its_place(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dropped out of them without a word, and so out of rules on them."""
    monkeypatch.setattr(alert_writer, "BATCH", 2)
    async with evaluating(database) as rig:
        owners = [rig.owner() for _ in range(5)]
        for owner in owners:
            make_list(rig, owner, "Stars", A, DOGS, B)
        make_list(rig, owners[0], "Both", "SHIBUSDT", A, DOGS)
        apart = rig.owner("free")
        make_list(rig, apart, "Stars", A, B)
        chosen = make_list(rig, owners[1], "Dogs", DOGS)
        on_list = rig.rule(owners[1], PriceCross("above", 12.0), scope=Scope("watchlist", watchlist_id=chosen))
        await serve(rig, "1000SHIB", "A", "B")
        with rig.database.session(readonly=True) as session:
            before = len(changed_accounts(session))
        rig.later(1)
        detector = Listings(Origin(BINANCE.id))
        detector.compare(rig.instruments, rig.now_ms)
        rig.set_contracts(*contracts("SHIB", "A", "B"))
        assert rig.market.target is not None
        rig.evaluation.on_signals(rig.market.target, detector.compare(rig.instruments, rig.now_ms))
        await rig.written()
        for owner in owners:
            assert held(rig, owner)["Stars"] == (A, "SHIBUSDT", B)
        assert held(rig, owners[0])["Both"] == ("SHIBUSDT", A)
        assert held(rig, apart) == {"Stars": (A, B)}
        with rig.database.session(readonly=True) as session:
            assert sorted(changed_accounts(session)[before:]) == sorted(owners)
        # The rule on the list goes on with it.
        await eventually(lambda: rig.evaluation.rules[on_list].symbols == {"SHIBUSDT"}, "the name in the list")
        for price in (11.0, 12.5):
            rig.later(1)
            rig.price(price, "SHIBUSDT")
        await rig.written()
        assert [(row.rule_id, row.symbol) for row in rig.rows("rule")] == [(on_list, "SHIBUSDT")]


async def test_lists_follow_in_a_transaction_of_their_own(sqlite_database: Database) -> None:
    """They lock other accounts than the rules beside them."""
    async with evaluating(sqlite_database, writes=False) as rig:
        written: list[Writable] = [Pausing("none", 1), ListRenaming(DOGS, "SHIBUSDT"), Pausing("none", 2)]
        rig.writer.put(written)
        assert [rig.writer._next_batch(rig.now_ms) for _ in written] == [[each] for each in written]
