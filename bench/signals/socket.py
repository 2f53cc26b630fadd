"""From the exchange's message to the socket of an Elite tab, through the production server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
import uuid
from pathlib import Path

import aiohttp
from sqlmodel import select

from bench.process import ProgramFailed
from bench.serving import production_server
from bench.signals.spikes import CONTRACTS, PAUSE_S, spike
from bench.sockets.client import DIALECTS
from flashcur.models import SignalRecord
from flashcur.services.simulator import SimulatorProcess
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

_IDS = re.compile(r'"ids_rx_state_":"([0-9|]*)"')
_SETTLE_S = 20.0
"""Until all hours that spikes are measured against have been asked for."""


async def delays(spikes: int) -> list[float]:
    """Ms from each spike's message to the moment that its id was read from the socket."""
    exchange = SimulatorProcess(symbols=CONTRACTS, seed=1)
    await exchange.start()
    settings = {
        "FLASHCUR_DEMO": "off",
        "FLASHCUR_EXCHANGES": "binanceusdm",
        "FLASHCUR_BINANCEUSDM_REST_URL": exchange.rest_url,
        "FLASHCUR_BINANCEUSDM_WS_URL": exchange.ws_url,
        "FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4,
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            serving = production_server(Path(folder), **settings)
            _, port = await asyncio.to_thread(serving.__enter__)
            try:
                return await _watch(exchange, port, Path(folder), spikes)
            finally:
                await asyncio.to_thread(serving.__exit__, None, None, None)
    finally:
        await exchange.stop()


async def _watch(exchange: SimulatorProcess, port: int, folder: Path, spikes: int) -> list[float]:
    seen: dict[int, float] = {}
    ready = asyncio.Event()
    reading = asyncio.create_task(_read(port, seen, ready))
    try:
        await asyncio.wait_for(ready.wait(), 30)
        await asyncio.sleep(_SETTLE_S)
        first_ms = time.time() * 1000
        symbols = await _largest(port)
        for number in range(spikes):
            await spike(exchange, symbols[number % len(symbols)])
            await asyncio.sleep(PAUSE_S)
        await asyncio.sleep(5)
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    database = Database(Settings.load({"FLASHCUR_DATA_DIR": str(folder), "FLASHCUR_SECRET_KEY": "0" * 64}))
    try:
        with database.session(readonly=True) as session:
            wanted = select(SignalRecord).where(SignalRecord.seen_ms >= first_ms, SignalRecord.kind == "SPIKE")
            return [seen[row.id] - row.seen_ms for row in session.exec(wanted) if row.id in seen]
    finally:
        database.close()


async def _largest(port: int) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/api/v1/markets") as answer,
    ):
        rows = (await answer.json())["rows"]
    ranked = sorted(rows, key=lambda row: -row["volume_quote"])
    return [row["symbol"] for row in ranked][:250]


async def _read(port: int, seen: dict[int, float], ready: asyncio.Event) -> None:
    """Be a tab: note when each signal's id comes first, Unix ms."""
    dialect = DIALECTS["flashcur"]
    assert dialect.hello is not None
    address = f"http://127.0.0.1:{port}{dialect.target.format(token=uuid.uuid4())}"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address, origin=f"http://localhost:{port}", max_msg_size=0) as tab,
    ):
        async for message in tab:
            at_ms = time.time() * 1000
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            text: str = message.data
            if text.startswith("0"):
                await tab.send_str(dialect.hello)
            elif text == "2":
                await tab.send_str("3")
            for ids in _IDS.findall(text):
                for signal_id in filter(None, ids.split("|")):
                    seen.setdefault(int(signal_id), at_ms)
                ready.set()
    raise ProgramFailed("the socket was closed")
