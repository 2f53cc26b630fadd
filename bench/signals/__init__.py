"""How fast a signal is where it is to be, what detectors cost, and what kills do.

500 contracts on a simulated exchange in a process of its own, of which 300 have their candles streamed four times a
second. One contract after the other trades four times the hour before; each signal's way is told by the times in its
row and by the clock of an Elite socket.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.options import Options
from bench.process import Program, ProgramFailed
from bench.report import Table, quantile, ratio
from bench.signals import socket
from bench.signals.kills import Plan, killed, undisturbed
from bench.signals.spikes import CONTRACTS, PAUSE_S, spike
from flashcur.services.simulator import SimulatorProcess


def run(options: Options) -> Table:
    """Measure; times in ms."""
    spikes, watched_s, kills = (20, 10.0, 5) if options.quick else (250, 60.0, 300)
    delays, with_detectors = asyncio.run(_engine("with", watched_s, spikes))
    _, without = asyncio.run(_engine("without", watched_s, 0))
    shown = asyncio.run(socket.delays(spikes))
    said = _kills(kills, contracts=12 if options.quick else 40, hours=6 if options.quick else 32)
    return Table(
        "signals",
        ("from the exchange's message", "signals", "p50 ms", "p99 ms", "largest ms"),
        (
            ("**to the committed row**", *_cells(delays)),
            ("**to an Elite tab's socket**", *_cells(shown)),
        ),
        (
            f"The engine with all detectors takes {with_detectors * 100:.1f} % of a core, without "
            f"{without * 100:.1f} %: {ratio(with_detectors, without)} ({watched_s:.0f} s each).",
            said,
        ),
    )


def _cells(delays: Sequence[float]) -> tuple[float | int, ...]:
    if not delays:
        raise ProgramFailed("no signal came")
    return len(delays), quantile(delays, 0.5), quantile(delays, 0.99), max(delays)


async def _engine(detectors: str, seconds: float, spikes: int) -> tuple[list[float], float]:
    """(ms from message to committed row of each spike, processor time of the engine in cores)."""
    exchange = SimulatorProcess(symbols=CONTRACTS, seed=1)
    await exchange.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "bench.signals.watched", exchange.rest_url, exchange.ws_url, folder]
            with Program([*command, detectors], talks=True) as program:
                symbols: list[str] = json.loads(await asyncio.to_thread(program.hear))["symbols"]
                used, began = program.cpu_s(), time.monotonic()
                await asyncio.sleep(seconds)
                cores = (program.cpu_s() - used) / (time.monotonic() - began)
                if not spikes:
                    return [], cores
                program.say("forget")
                await asyncio.to_thread(program.hear)
                for number in range(spikes):
                    await spike(exchange, symbols[number % len(symbols)])
                    await asyncio.sleep(PAUSE_S)
                await asyncio.sleep(3)
                program.say("tell")
                return json.loads(await asyncio.to_thread(program.hear)), cores
    finally:
        await exchange.stop()


def _kills(kills: int, *, contracts: int, hours: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        whole = undisturbed(Plan(Path(folder) / "whole", 1, contracts, hours))
        survived, done = killed(Plan(Path(folder) / "killed", 1, contracts, hours), kills, random.Random())
    missing, extra = len(set(whole) - set(survived)), len(set(survived) - set(whole))
    return (
        f"{done} kills (SIGKILL) while a seeded market runs through {len(whole):,} signals: "
        f"{len(survived):,} are stored, {missing} are missing and {extra} are too many."
    )
