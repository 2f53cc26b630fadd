"""A market, rules and a database, with a clock and an exchange of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
from sqlmodel import Session, select

from flashcur.domain.plans import PlanName
from flashcur.domain.rules.condition import Condition
from flashcur.domain.rules.rule import Scope
from flashcur.domain.ticks import Candle, Funding, Instrument, Ticker
from flashcur.engine.alert_writer import AlertWriter
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.publisher import FencedPublisher
from flashcur.models import AlertRecord, RuleRecord
from flashcur.services.accounts import changes
from flashcur.services.bus import MemoryBus
from flashcur.services.bus.topics import ALERTS_TOPIC
from flashcur.services.kit.clock import from_ms
from flashcur.services.lease import Tenure
from flashcur.services.market.venues import BINANCE, Venue
from flashcur.services.storage.database import Database
from tests.support.rules import add_owner, add_rule, definition
from tests.support.waiting import eventually

MINUTE = 60_000
HOUR = 3_600_000
NOON = 1_795_428_000_000
A, B = "AUSDT", "BUSDT"


class Rig:
    """What an engine has of rules. Two contracts, whose prices begin at 10 USDT."""

    def __init__(self, database: Database, *, now_ms: int = NOON, preferred: Venue = BINANCE) -> None:
        self.now_ms = now_ms
        self.database = database
        self.tenure = Tenure(1)
        self.bus = MemoryBus()
        self.delays: list[float] = []
        self.delivered: list[AlertRecord] = []
        self.writer = AlertWriter(
            database,
            self.tenure,
            FencedPublisher(self.bus, self.tenure),
            self._deliver,
            clock=self.clock,
            observe=self.delays.append,
        )
        self.market = LiveMarket(self.clock, lambda book, kind, symbol: None)
        self.evaluation = Evaluation(self.market, self.writer, database, preferred=preferred.id, clock=self.clock)
        self.instruments = [Instrument(symbol, symbol.removesuffix("USDT"), 0.01, 2) for symbol in (A, B)]
        self.venue = BINANCE

    def clock(self) -> int:
        return self.now_ms

    def _deliver(self, session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        self.delivered += found

    def serve(self, venue: Venue = BINANCE, *, demo: bool = False, price: float = 10.0) -> None:
        """What `MarketSource` does when an exchange takes over."""
        self.venue = venue
        self.market.on_switch(venue, "", demo)
        self.set_contracts(*self.instruments)
        for instrument in self.instruments:
            self.price(price, instrument.symbol)
            self.fund(0.01, instrument.symbol)

    def set_contracts(self, *instruments: Instrument) -> None:
        self.instruments = list(instruments)
        self.market.on_instruments(self.venue, list(instruments))

    def later(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)

    def price(self, price: float, symbol: str = A) -> None:
        self.market.on_tick(self.venue, Ticker(symbol, price, 1.0, 50e6, self.now_ms, self.now_ms))

    def fund(self, percent: float, symbol: str = A) -> None:
        self.market.on_tick(self.venue, Funding(symbol, 10.0, percent / 100, None, self.now_ms, self.now_ms))

    def trade(self, millions: float, symbol: str = A, *, open_ms: int = NOON, closed: bool = False) -> None:
        event_ms = open_ms + HOUR if closed else self.now_ms
        tick = Candle(symbol, open_ms, 10, 11, 9, 10, millions * 1e6, closed, event_ms, self.now_ms)
        self.market.on_tick(self.venue, tick)

    def pass_quietly(self, seconds: int, price: float = 10.0) -> None:
        """Time in which prices are told each second, and nothing happens."""
        for _ in range(seconds):
            self.later(1)
            for symbol in (A, B):
                self.price(price, symbol)
            self.evaluation.step(self.now_ms)

    def owner(self, plan: PlanName = "elite") -> str:
        with self.database.session() as session:
            return add_owner(session, self.now_ms - HOUR, plan=plan)

    def rule(self, account_id: str, *conditions: Condition, scope: Scope | str = A, **other: Any) -> str:
        """A rule's id. What is not of its definition is set in its row."""
        said = {name: other.pop(name) for name in ("mode", "cooldown_s", "hold_s", "name", "note") if name in other}
        with self.database.session() as session:
            written = definition(*conditions, scope=scope, **said)
            return add_rule(session, account_id, written, other.pop("made_ms", self.now_ms - HOUR), **other).id

    def edit(self, change: Callable[[Session], object], *accounts: str) -> None:
        """What a web process does in one transaction."""
        with self.database.session() as session:
            change(session)
            for account_id in accounts:
                changes.tell(session, account_id, from_ms(self.now_ms))

    async def begun(self) -> None:
        await eventually(lambda: self.evaluation.is_ready, "that rules are evaluated")

    async def written(self) -> None:
        await eventually(lambda: not self.writer.waiting, "everything in the database")

    def rows(self, kind: str = "") -> list[AlertRecord]:
        with self.database.session(readonly=True) as session:
            found = list(session.exec(select(AlertRecord).order_by(AlertRecord.id)))  # type: ignore[arg-type]
        return [row for row in found if not kind or row.kind == kind]

    def rules(self) -> dict[str, RuleRecord]:
        with self.database.session(readonly=True) as session:
            return {rule.id: rule for rule in session.exec(select(RuleRecord))}

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[dict[str, int]]:
        """The largest id of each account that was said on the bus."""
        said: dict[str, int] = {}

        async def follow() -> None:
            async with self.bus.subscribe(ALERTS_TOPIC) as messages:
                async for message in messages:
                    said.update(orjson.loads(message.payload)["accounts"])

        task = asyncio.create_task(follow())
        try:
            yield said
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def evaluating(
    database: Database, *, now_ms: int = NOON, writes: bool = True, preferred: Venue = BINANCE
) -> AsyncIterator[Rig]:
    """Rules at work until the block ends; without `writes` as if each transaction were still to come."""
    rig = Rig(database, now_ms=now_ms, preferred=preferred)
    works = [rig.evaluation.run, *([rig.writer.run] if writes else [])]
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        yield rig
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stop(rig: Rig) -> None:
    """What an engine does that is stopped."""
    rig.evaluation.close()
    await rig.writer.flush()
