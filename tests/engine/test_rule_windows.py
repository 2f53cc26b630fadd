"""The prices of before that rules with windows of hours look at."""

from __future__ import annotations

from typing import Any

import pytest

from flashcur.domain.rules.atoms import move_source
from flashcur.domain.rules.condition import PriceCross, PriceMove
from flashcur.domain.ticks import Candle, Ticker
from flashcur.engine import rule_windows
from flashcur.engine.live_market import VenueBook
from flashcur.engine.rule_windows import RuleWindows
from flashcur.errors import VenueUnavailable
from flashcur.services.storage.database import Database
from tests.engine.evaluating import HOUR, MINUTE, NOON, A, B, evaluating
from tests.support.waiting import eventually

DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def nothing_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what rules look at is asked for, where a test does not say otherwise."""
    monkeypatch.setattr(rule_windows, "SPARE_A_RUN", 0)


class Minutes:
    """Every minute closed at 10 USDT."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.is_away = False

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        if self.is_away:
            raise VenueUnavailable("away")
        self.asked.append((symbol, first_ms, end_ms))
        return [
            Candle(symbol, at_ms, 10, 10, 10, 10, 1e3, True, at_ms + MINUTE, at_ms + MINUTE)
            for at_ms in range(first_ms, end_ms, MINUTE)
        ]


async def test_a_move_over_a_day_is_judged_once_the_day_is_known(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_windows, "REQUESTS_A_RUN", 10)
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), PriceMove("up", 5.0, 86_400))
        rig.rule(rig.owner(), PriceCross("above", 99.0), scope=B)
        source = Minutes()
        windows = RuleWindows(rig.evaluation, source, rig.clock)
        assert await windows.fill() == "no rules are evaluated yet"
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2)
        source.is_away = True
        with pytest.raises(VenueUnavailable):
            await windows.fill()
        source.is_away = False
        runs = 0
        while (await windows.fill()) != "0 stretches of minutes asked for, of 0 contracts":
            runs += 1
        # A run asks for one stretch of each contract.
        assert runs == -(-(DAY + MINUTE) // rule_windows.STRETCH_MS)
        assert {symbol for symbol, *_ in source.asked} == {A}
        assert [first for _, first, _ in source.asked[1:]] == [end for *_, end in source.asked[:-1]]
        rig.pass_quietly(1)
        rig.pass_quietly(1, 10.6)
        await rig.written()
        (row,) = rig.rows()
        assert row.title == "AUSDT: Price +6.00 % in 24 hours (+5 % or more)"


async def test_all_contracts_are_asked_for_where_a_rule_watches_all(sqlite_database: Database) -> None:
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), PriceMove("up", 5.0, 14_400), scope="")
        rig.rule(rig.owner(), PriceMove("up", 5.0, 43_200), scope=B)
        rig.serve()
        await rig.begun()
        source = Minutes()
        windows = RuleWindows(rig.evaluation, source, rig.clock)
        assert await windows.fill() == "2 stretches of minutes asked for, of 2 contracts"
        (first, earlier, _), (second, later, _) = source.asked
        assert (first, second) == (B, A)
        assert later - earlier == 8 * HOUR


async def test_short_windows_are_known_soon_after_a_start_and_after_a_silence(sqlite_database: Database) -> None:
    """Complaint 1: the process is half a minute old, the window a quarter of an hour."""
    async with evaluating(sqlite_database, now_ms=NOON + 25_000) as rig:
        rig.rule(rig.owner(), PriceMove("up", 5.0, 900), scope="")
        rig.rule(rig.owner(), PriceMove("up", 5.0, 86_400), scope=B)
        rig.rule(rig.owner(), PriceMove("up", 5.0, 60), scope=A)
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2)
        source = Minutes()
        windows = RuleWindows(rig.evaluation, source, rig.clock)
        assert await windows.fill() == "3 stretches of minutes asked for, of 2 contracts"
        assert sorted(source.asked[:2]) == [(each, NOON - 16 * MINUTE, NOON) for each in (A, B)]
        assert (source.asked[2][0], source.asked[2][1]) == (B, NOON - DAY - MINUTE)
        assert await windows.fill() == "1 stretches of minutes asked for, of 1 contracts"
        assert dict(rig.evaluation.moves_known(A)) == {60: False, 900: True}
        rig.pass_quietly(18)
        rig.pass_quietly(1, 10.6)
        await rig.written()
        fired = {row.title.partition(" (")[0] for row in rig.rows()}
        assert {f"{each}: Price +6.00 % in 15 minutes" for each in (A, B)} <= fired
        # The stream is silent for two minutes: nobody knows what a window begins with that begins in them.
        rig.later(120)
        rig.pass_quietly(1)
        assert dict(rig.evaluation.moves_known(A))[900] is False
        source.asked.clear()
        await windows.fill()
        assert {symbol for symbol, *_ in source.asked} == {A, B}
        assert dict(rig.evaluation.moves_known(A))[900] is True


async def test_a_longer_window_than_before_is_filled_from_its_own_beginning_on(sqlite_database: Database) -> None:
    """What the form promises: soon after the rule is saved its move is known."""
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), PriceMove("up", 5.0, 14_400))
        rig.serve()
        await rig.begun()
        rig.pass_quietly(2)
        windows = RuleWindows(rig.evaluation, Minutes(), rig.clock)

        async def fill_all() -> None:
            # It rests for a while where nothing is missing.
            rig.pass_quietly(rule_windows.REST_MS // 1000 + 1)
            while await windows.fill() != "0 stretches of minutes asked for, of 0 contracts":
                rig.pass_quietly(5)

        def known(window_s: int) -> bool:
            book = rig.evaluation.book
            assert book is not None
            return rig.evaluation.measured(book.book, A, rig.now_ms).values[move_source(window_s)] is not None

        await fill_all()
        assert (known(14_400), known(86_400)) == (True, False)
        owner = rig.owner()
        rule_id = rig.rule(owner, PriceMove("up", 5.0, 86_400))
        rig.edit(lambda session: None, owner)
        await eventually(lambda: rule_id in rig.evaluation.rules, "the rule")
        await fill_all()
        assert (known(14_400), known(86_400)) == (True, True)


async def test_what_no_rule_looks_at_follows_the_largest_first(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_windows, "SPARE_A_RUN", 2)
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), PriceMove("up", 5.0, 900), scope=A)
        rig.serve()
        await rig.begun()
        rig.later(1)
        rig.market.on_tick(rig.venue, Ticker(B, 10.0, 1.0, 90e6, rig.now_ms, rig.now_ms))
        source = Minutes()
        windows = RuleWindows(rig.evaluation, source, rig.clock)
        # What a rule looks at goes first.
        await windows.fill()
        assert [symbol for symbol, *_ in source.asked] == [A]
        source.asked.clear()
        await windows.fill()
        assert {symbol for symbol, *_ in source.asked} == {B}
        while await windows.fill() != "0 stretches of minutes asked for, of 0 contracts":
            rig.pass_quietly(5)
        book = rig.evaluation.book
        assert book is not None
        for symbol in (A, B):
            seen = rig.evaluation.measured(book.book, symbol, rig.now_ms)
            assert [seen.values[move_source(each)] for each in (900, 3_600, 14_400, 43_200, 86_400)] == [0.0] * 5
        # Then there is a rest.
        source.asked.clear()
        assert await windows.fill() == "at rest"


async def test_rules_that_want_nothing_are_left_alone_while_the_others_are_asked_for(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a hundred thousand of them."""
    monkeypatch.setattr(rule_windows, "SPARE_A_RUN", 1)
    looks: list[int] = []
    missing = RuleWindows._missing

    async def look(self: RuleWindows, book: VenueBook) -> list[Any]:
        looks.append(1)
        return await missing(self, book)

    monkeypatch.setattr(RuleWindows, "_missing", look)
    async with evaluating(sqlite_database) as rig:
        rig.rule(rig.owner(), PriceCross("above", 99.0), scope=B)
        rig.serve()
        await rig.begun()
        source = Minutes()
        windows = RuleWindows(rig.evaluation, source, rig.clock)
        for _ in range(5):
            await windows.fill()
        assert (len(looks), len(source.asked)) == (1, 5)
        # What is saved meanwhile is seen to within a minute.
        rig.later(rule_windows.REST_MS // 1000)
        await windows.fill()
        assert len(looks) == 2
