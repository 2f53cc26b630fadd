"""How far contracts are from signals, from the engine over the bus to a web process."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from flashcur.domain.plans import PLANS
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
    teller = WhyNot(Watcher(watched), bus, clock=lambda: NOON_MS + 5)
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


async def test_how_far_prices_have_moved_is_told_beside_it() -> None:
    bus, watched, distances = MemoryBus(), runner(2), Distances()
    minute_ms = 60_000
    for minute in range(21):
        at_ms = NOON_MS + minute * minute_ms + 7_000
        watched.take(Ticker("C0USDT", 100.0 + minute, 0.0, 1e7, at_ms, at_ms))
    teller = WhyNot(Watcher(watched), bus, clock=lambda: NOON_MS + 21 * minute_ms)
    assert await teller.tell()
    message = await bus.snapshot(DISTANCES_TOPIC)
    assert message is not None
    distances.receive(DISTANCES_TOPIC, message.payload)
    shown = distances.shown(PLANS["elite"], NOON_MS + 21 * minute_ms)
    assert shown is not None
    # Over 5 and 15 minutes; nobody saw the price of half an hour and of an hour ago, nor any of the other contract.
    assert shown.moves == {"C0USDT": [round(500 / 115, 4), round(1_500 / 105, 4), None, None]}


async def test_the_loop_is_never_held_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a contract takes, others have their turn after each few milliseconds."""
    monkeypatch.setattr(why_not, "PAUSE_S", 0.0)
    # By a clock on which each look at it takes a millisecond: it is looked at once a contract.
    looks = itertools.count()
    monkeypatch.setattr(why_not, "perf_counter", lambda: next(looks) / 1000)
    teller = WhyNot(Watcher(runner(200)), MemoryBus(), clock=lambda: NOON_MS + 5)
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
    teller = WhyNot(watcher, bus, clock=lambda: NOON_MS)
    assert not await teller.tell()
    watcher.runner = runner(5)
    monkeypatch.setattr(why_not, "HOLD_S", 0.0)
    telling = asyncio.create_task(teller.tell())
    await asyncio.sleep(0)
    watcher.runner = runner(1)
    assert not await telling
    assert await bus.snapshot(DISTANCES_TOPIC) is None
