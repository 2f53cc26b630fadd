"""An engine on a simulated exchange, watched from outside: `watched REST_URL WS_URL FOLDER with|without`.

Says `{"symbols": […]}` once its detectors have all they compare with: the contracts whose candles are streamed. Then it
answers each line of its standard input: `forget`, and `tell` with the ms from message to committed row of all spikes
since. `without`: detectors are told of no tick.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.watching import watching
from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Tick
from flashcur.engine import engine as engine_module
from flashcur.engine.detection import Detection
from flashcur.engine.engine import Engine, Office
from flashcur.engine.history import History
from flashcur.engine.live_market import VenueBook
from flashcur.engine.signal_writer import KnownSet, SignalWriter
from flashcur.services.bus import MemoryBus
from flashcur.services.kit.clock import now_ms
from flashcur.services.kit.metrics import Metrics
from flashcur.services.lease import FileLease
from flashcur.services.storage.database import Database

CANDLES = 300
FILLED = 0.95


class NoPast(History):
    """Past hours are given, so that nothing is asked for beside what is measured."""

    async def fill(self) -> str:
        return "given"


class _Deaf(Detection):
    """Detectors that hear of no tick."""

    def on_tick(self, book: VenueBook, tick: Tick) -> None:
        return


async def main(rest_url: str, ws_url: str, folder: Path, detectors: str) -> None:
    engine_module.History = NoPast
    if detectors == "without":
        engine_module.Detection = _Deaf
    settings = watching(rest_url, ws_url, folder)
    database, metrics = Database(settings), Metrics()
    database.migrate()
    delays: list[float] = []

    class Timed(SignalWriter):
        async def _commit(self, batch: Sequence[Signal | KnownSet]) -> None:
            await super()._commit(batch)
            now = now_ms()
            delays.extend(now - each.seen_ms for each in batch if isinstance(each, Signal) and each.kind == "SPIKE")

    engine_module.SignalWriter = Timed
    engine = Engine(
        settings, bus=MemoryBus(), database=database, lease=FileLease(folder / "engine.lock"), metrics=metrics
    )
    serving = asyncio.create_task(engine.run())
    office = await filled(engine)
    streamed = learn(office)
    print(json.dumps({"symbols": streamed}), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).strip():
        if line == b"forget":
            delays.clear()
        print(json.dumps(delays), flush=True)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    database.close()


async def filled(engine: Engine) -> Office:
    """The engine's office once nearly all contracts have their ratio and the detectors have begun."""
    deadline_ms = now_ms() + 120_000
    while now_ms() < deadline_ms:
        await asyncio.sleep(0.2)
        office = engine.office
        shown = None if office is None else office.market.shown
        if office is None or shown is None or office.detection.runner is None:
            continue
        rows = [row for row in shown.book if row.instrument.is_crypto]
        if sum(row.ratio is not None for row in rows) >= FILLED * len(rows):
            return office
    raise TimeoutError("the market was not filled within two minutes")


def learn(office: Office) -> list[str]:
    """Give all contracts four weeks of the hours they trade now; the streamed ones, the largest first."""
    shown = office.market.shown
    assert shown is not None
    hour = now_ms() // HOUR_MS
    for row in shown.ranked():
        usual = 1.0 if row.ticker is None else row.ticker.volume_quote / 24
        hours = [((hour - ago) * HOUR_MS, usual * (1 + ago % 7 / 10)) for ago in range(673, 1, -1)]
        office.detection.learn_volumes(shown, row.instrument.symbol, hours)
    return [row.instrument.symbol for row in shown.ranked() if row.candle_streamed][:CANDLES]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
