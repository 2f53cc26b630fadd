"""An engine that is killed again and again while prices go on: which alerts are stored then, and which of an engine
that is left alone.

The market is a random walk that can be entered at any second; it waits while no engine serves. Each engine is a process
of its own, ended by SIGKILL.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlmodel import select

from flashcur.domain.rules.condition import FundingLevel, PriceCross
from flashcur.domain.ticks import Funding, Instrument, Tick, Ticker
from flashcur.engine import evaluation
from flashcur.engine.engine import Engine, Office
from flashcur.models import AlertRecord
from flashcur.services.bus import MemoryBus
from flashcur.services.kit.metrics import Metrics
from flashcur.services.lease import FileLease
from flashcur.services.market.source import Sink, VenueStatus
from flashcur.services.market.venues import BINANCE
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.conftest import SECRET_KEY
from tests.support.rules import add_owner, add_rule, definition

START_MS = 1_795_428_000_000
SECONDS = 60
CONTRACTS = 12
LEVELS = (97.0, 98.5, 99.5, 100.5, 101.5, 103.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which market, and where what is stored goes."""

    folder: Path
    seed: int
    database_url: str

    def settings(self) -> Settings:
        return Settings.load(
            {
                "FLASHCUR_DATA_DIR": str(self.folder),
                "FLASHCUR_SECRET_KEY": SECRET_KEY,
                "FLASHCUR_DEMO": "off",
                "DATABASE_URL": self.database_url,
            }
        )


class Market:
    """Prices and rates of each second, by the seed alone."""

    def __init__(self, seed: int, second: int = 0) -> None:
        self.second = second
        draw = random.Random(seed)
        self.symbols = [f"C{number}USDT" for number in range(CONTRACTS)]
        self._prices: dict[str, list[float]] = {}
        self._rates: dict[str, list[float]] = {}
        for symbol in self.symbols:
            price, rate = 100.0, 0.0
            self._prices[symbol], self._rates[symbol] = [], []
            for _ in range(SECONDS + 1):
                self._prices[symbol].append(price)
                self._rates[symbol].append(rate)
                price = round(price + draw.uniform(-1.2, 1.2), 2)
                rate = round(rate + draw.uniform(-0.0003, 0.0003), 6)

    @property
    def now_ms(self) -> int:
        return START_MS + self.second * 1000

    def instruments(self) -> list[Instrument]:
        return [Instrument(symbol, symbol.removesuffix("USDT"), 0.01, 2) for symbol in self.symbols]

    def ticks(self) -> list[Tick]:
        now_ms = self.now_ms
        found: list[Tick] = []
        for symbol in self.symbols:
            price = self._prices[symbol][self.second]
            found.append(Ticker(symbol, price, 0.0, 50e6, now_ms, now_ms))
            found.append(Funding(symbol, price, self._rates[symbol][self.second], None, now_ms, now_ms))
        return found


class ReplaySource:
    """Feeds an engine the market from its second on, as fast as what is found can be committed."""

    def __init__(self, market: Market, sink: Sink, position: Any, office: Callable[[], Office | None]) -> None:
        self._market = market
        self._sink = sink
        self._position = position
        self._office = office
        self.ended = asyncio.Event()

    async def run(self) -> None:
        market, sink = self._market, self._sink
        await _until(lambda: self._office() is not None)
        office = self._office()
        assert office is not None
        sink.on_switch(BINANCE, "", False)
        sink.on_instruments(BINANCE, market.instruments())
        # An exchange says what is, not what was missed.
        for tick in market.ticks():
            sink.on_tick(BINANCE, tick)
        await _until(lambda: office.evaluation.is_ready and not office.alert_writer.waiting)
        office.evaluation.step(market.now_ms)
        await _until(lambda: not office.alert_writer.unwritten)
        while market.second < SECONDS:
            market.second += 1
            # Whoever comes after a kill begins with this second.
            self._position.value = market.second
            for tick in market.ticks():
                sink.on_tick(BINANCE, tick)
                if random.random() < 0.2:
                    await asyncio.sleep(0)
            office.evaluation.step(market.now_ms)
            await _until(lambda: not office.alert_writer.unwritten)
        self.ended.set()
        await asyncio.Event().wait()

    async def refresh_instruments(self) -> None:
        self._sink.on_instruments(BINANCE, self._market.instruments())

    async def refresh_snapshot(self) -> None:
        """The streams are never silent."""

    def set_candle_symbols(self, symbols: Any) -> None:
        """There are no candles."""

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Any]:
        return []

    async def open_interest(self, symbol: str) -> Any:
        await asyncio.Event().wait()

    async def open_interest_history(self, symbol: str, limit: int) -> list[Any]:
        return []

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Any]:
        return []

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]:
        return []

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Any]:
        return []

    def status(self) -> list[VenueStatus]:
        return []


def prepare(database: Database) -> dict[str, str]:
    """Rules of all kinds of scope; what each is called, by its id."""
    names: dict[str, str] = {}
    with database.session() as session:
        owners = [add_owner(session, START_MS - 3_600_000) for _ in range(3)]
        made = START_MS - 3_600_000
        for number in range(CONTRACTS):
            for level in LEVELS:
                side = "above" if level > 100 else "below"
                written = definition(PriceCross(side, level), scope=f"C{number}USDT", cooldown_s=60)
                rule = add_rule(session, owners[number % 3], written, made)
                names[rule.id] = f"{number} {level}"
        for name, written in (
            ("every", definition(PriceCross("above", 102.0), scope="", cooldown_s=60)),
            ("once", definition(PriceCross("below", 99.0), scope="", mode="once")),
            ("funded", definition(FundingLevel("above", 0.05), scope="", cooldown_s=60)),
            # Of one message: what lay between two of them is not seen by who comes after a kill.
            ("both", definition(PriceCross("above", 101.0), PriceCross("below", 103.5), scope="", cooldown_s=60)),
            ("held", definition(PriceCross("above", 101.0), scope="", hold_s=3, cooldown_s=60)),
        ):
            names[add_rule(session, owners[0], written, made).id] = name
    return names


def alerts(database: Database, names: dict[str, str]) -> list[tuple[str, str, str, int]]:
    """(kind, rule, contract, when) of all alerts, sorted."""
    with database.session(readonly=True) as session:
        rows = session.exec(select(AlertRecord)).all()
    return sorted((row.kind, names[row.rule_id or ""], row.symbol, row.event_ms - START_MS) for row in rows)


def killed(plan: Plan, kills: int, draw: random.Random) -> tuple[list[tuple[str, str, str, int]], int]:
    """(the alerts that engines store which are killed `kills` times, how often they were in fact)."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    database = Database(plan.settings())
    names = prepare(database)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    position: Any = context.Value("q", 0, lock=False)
    ended: Any = context.Value("b", False, lock=False)
    done = 0
    while not ended.value:
        process = context.Process(target=_serve, args=(plan, position, ended), daemon=True)
        process.start()
        if done < kills:
            stride = 1.4 * (SECONDS - position.value) / (kills - done + 1)
            _wait_for_the_moment(process, position, stride, draw)
            if not ended.value:
                process.kill()
                done += 1
        process.join()
        if process.exitcode not in (0, -9):
            raise RuntimeError(f"an engine ended with {process.exitcode}")
        process.close()
    found = alerts(database, names)
    database.close()
    return found, done


def _wait_for_the_moment(process: BaseProcess, position: Any, stride: float, draw: random.Random) -> None:
    goal = position.value + draw.uniform(0, stride)
    while position.value < goal and process.is_alive():
        time.sleep(0.0005)
    time.sleep(draw.uniform(0, 0.03))


def _serve(plan: Plan, position: Any, ended: Any) -> None:
    logging.getLogger("flashcur").setLevel(logging.ERROR)
    # The market stands still while no engine serves, so each second of it can be kept.
    evaluation.SAVE_EVERY_MS = 0
    asyncio.run(_engine(plan, position, ended))


async def _engine(plan: Plan, position: Any, ended: Any) -> None:
    settings, market = plan.settings(), Market(plan.seed, position.value)
    database = Database(settings)
    sources: list[ReplaySource] = []

    def source(_: Settings, sink: Sink) -> Any:
        sources.append(ReplaySource(market, sink, position, lambda: engine.office))
        return sources[-1]

    engine = Engine(
        settings,
        bus=MemoryBus(),
        database=database,
        lease=FileLease(plan.folder / "engine.lock"),
        metrics=Metrics(),
        source=source,
        clock=lambda: market.now_ms,
    )
    task = asyncio.create_task(engine.run())
    await _until(lambda: bool(sources))
    await sources[-1].ended.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    database.close()
    ended.value = True


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  (what is waited for has no event, and is there within milliseconds)
        await asyncio.sleep(0.0003)
