"""How far contracts are from signals, from the engine over the bus to a web process."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from flashcur.domain.book import MarketBook
from flashcur.domain.plans import PLANS
from flashcur.domain.rules.atoms import move_source
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.measured import UNMEASURED, Measured
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Origin
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Instrument, Ticker
from flashcur.engine import why_not
from flashcur.engine.why_not import WhyNot
from flashcur.services.bus.memory import MemoryBus
from flashcur.services.bus.topics import DISTANCES_TOPIC
from flashcur.web.distances import Distances

NOON_MS = 1_795_435_200_000


class Watcher:
    """What `Detection` is to those that ask for its runner."""

    def __init__(self, runner: Runner | None) -> None:
        self.runner = runner


class Judging:
    """What `Evaluation` is to it."""

    def __init__(self, rules: Evaluator | None = None) -> None:
        self.rules = rules or Evaluator()

    def measured(self, book: MarketBook, symbol: str, now_ms: int) -> Measured:
        row = book.row(symbol)
        assert row is not None
        return self.rules.measured(row, now_ms)


def runner(contracts: int) -> Runner:
    made = Runner(Origin("binanceusdm"))
    made.take_instruments([Instrument(f"C{i}USDT", f"C{i}", 0.01, 2) for i in range(contracts)], NOON_MS)
    for i in range(contracts):
        made.fill_volumes(f"C{i}USDT", [(NOON_MS - number * HOUR_MS, 1e6 * number) for number in range(1, 700)])
        made.take(Candle(f"C{i}USDT", NOON_MS, 1, 1, 1, 1, 2e6, False, NOON_MS + 1, NOON_MS + 1))
    return made


async def test_what_the_engine_tells_is_what_a_page_is_answered() -> None:
    bus, watched, distances = MemoryBus(), runner(3), Distances()
    assert (distances.of("C1USDT"), distances.as_of_ms) == ([], 0)
    teller = WhyNot(Watcher(watched), Judging(), bus, clock=lambda: NOON_MS + 5)
    assert await teller.tell()
    # Whoever comes later is told the same.
    message = await bus.snapshot(DISTANCES_TOPIC)
    assert message is not None
    distances.receive(DISTANCES_TOPIC, message.payload)
    assert distances.of("C1USDT") == watched.why_not("C1USDT", NOON_MS + 5)
    shown = distances.shown(PLANS["elite"], NOON_MS + 5)
    assert shown is not None
    assert (shown.as_of_ms, shown.exchange, shown.demo) == (NOON_MS + 5, "binanceusdm", False)
    assert distances.of("C9USDT") == []
    assert distances.of("C1USDT")[0].text.startswith("Volume spike: 2.00× of 3.00×")
    # A second time within the same moment is newer all the same.
    assert await teller.tell()
    again = await bus.snapshot(DISTANCES_TOPIC)
    assert again is not None
    assert again.position > message.position


async def test_what_rules_are_judged_by_is_told_beside_it() -> None:
    bus, watched, distances, rules = MemoryBus(), runner(2), Distances(), Evaluator()
    minute_ms = 60_000
    for second in range(0, 21 * 60, 5):
        at_ms = NOON_MS + second * 1000
        tick = Ticker("C0USDT", 100.0 + second / 60, 0.0, 1e7, at_ms, at_ms)
        watched.take(tick)
        row = watched.book.row("C0USDT")
        assert row is not None
        rules.on_tick(row, tick)
    now_ms = NOON_MS + 21 * minute_ms - 5_000
    teller = WhyNot(Watcher(watched), Judging(rules), bus, clock=lambda: now_ms)
    assert await teller.tell()
    message = await bus.snapshot(DISTANCES_TOPIC)
    assert message is not None
    distances.receive(DISTANCES_TOPIC, message.payload)
    shown = distances.shown(PLANS["elite"], now_ms)
    assert shown is not None
    seen = shown.measured("C0USDT")
    row = watched.book.row("C0USDT")
    assert row is not None
    assert seen.known_ms == rules.measured(row, now_ms).known_ms
    last = 100 + (21 * 60 - 5) / 60
    expected = [100 * minutes / (last - minutes) for minutes in (1, 5, 15)]
    assert [seen.values[move_source(60 * minutes)] for minutes in (1, 5, 15)] == pytest.approx(expected, rel=1e-5)
    # Longer ones are known once so much time is over.
    windows_s = (1_800, 3_600, 14_400, 43_200, 86_400)
    assert {move_source(each): NOON_MS + 1000 * each for each in windows_s} == seen.known_ms
    # Nobody has told a price of the other contract.
    assert shown.measured("C1USDT") == UNMEASURED


async def test_the_loop_is_never_held_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a contract takes, others have their turn after each few milliseconds."""
    monkeypatch.setattr(why_not, "PAUSE_S", 0.0)
    # By a clock on which each look at it takes a millisecond: it is looked at once a contract.
    looks = itertools.count()
    monkeypatch.setattr(why_not, "perf_counter", lambda: next(looks) / 1000)
    teller = WhyNot(Watcher(runner(200)), Judging(), MemoryBus(), clock=lambda: NOON_MS + 5)
    telling = asyncio.create_task(teller.tell())
    turns = 0
    while not telling.done():
        turns += 1
        await asyncio.sleep(0)
    assert telling.result()
    holds = 200 / (1000 * why_not.HOLD_S)
    assert turns >= holds - 1, "one between each two"


async def test_nothing_is_told_of_a_book_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, watcher = MemoryBus(), Watcher(None)
    teller = WhyNot(watcher, Judging(), bus, clock=lambda: NOON_MS)
    assert not await teller.tell()
    watcher.runner = runner(5)
    monkeypatch.setattr(why_not, "HOLD_S", 0.0)
    telling = asyncio.create_task(teller.tell())
    await asyncio.sleep(0)
    watcher.runner = runner(1)
    assert not await telling
    assert await bus.snapshot(DISTANCES_TOPIC) is None
