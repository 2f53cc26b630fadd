"""From the exchange's message that fires a rule to the provider's socket, through a whole engine.

500 contracts on a simulated exchange in a process of its own, the engine in another one, the provider in this one. One
contract after the other trades four times the hour before, which fires a rule of each of several accounts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field

from bench.delivery.mix import A_SECOND, ANSWER_S
from bench.delivery.provider import Provider, provider
from bench.process import Program, ProgramFailed
from bench.signals.spikes import CONTRACTS, spike
from flashcur.services.simulator import SimulatorProcess

ACCOUNTS = 5
"""Whose rules one spike fires."""
AN_ALERT = 6.0
"""Messages of one alert, on average."""
PAUSE_S = ACCOUNTS * AN_ALERT / A_SECOND
"""Between two spikes."""
PATIENCE_S = 60.0


@dataclass
class Crossings:
    """Ms from the exchange's message."""

    stored: list[float]
    """To each alert's committed row."""
    arrived: dict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))
    """To the provider's socket, by channel, of all but one that hangs."""

    @property
    def all_arrived(self) -> list[float]:
        return [each for delays in self.arrived.values() for each in delays]


async def crossed(spikes: int, hangs: str = "") -> Crossings:
    """Have rules fire at `spikes` moments, while the channel `hangs` never answers."""
    exchange = SimulatorProcess(symbols=CONTRACTS, seed=1)
    await exchange.start()
    try:
        with tempfile.TemporaryDirectory() as folder, provider() as there:
            there.delay_s = ANSWER_S
            there.hangs = {hangs}
            command = [sys.executable, "-m", "bench.delivery.watched", exchange.rest_url, exchange.ws_url, folder]
            with Program([*command, there.url, str(spikes)], talks=True) as program:
                symbols: list[str] = json.loads(await asyncio.to_thread(program.hear))["symbols"]
                began = time.monotonic()
                for number, symbol in enumerate(symbols):
                    await asyncio.sleep(max(0.0, began + number * PAUSE_S - time.monotonic()))
                    await spike(exchange, symbol)
                return await _told(program, there, hangs)
    finally:
        await exchange.stop()


async def _told(program: Program, there: Provider, hangs: str) -> Crossings:
    """What the engine tells, once all that it wrote down has come."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        await asyncio.sleep(3)
        program.say("tell")
        told = json.loads(await asyncio.to_thread(program.hear))
        sent = {key: each for key, each in told["sent"].items() if each[0] != hangs}
        first = {arrival.key: arrival for arrival in reversed(there.arrivals)}
        if sent and sent.keys() <= first.keys():
            break
        if time.monotonic() > deadline:
            raise ProgramFailed(f"{len(sent.keys() - first.keys())} of {len(sent)} messages did not come in a minute")
    found = Crossings(told["stored"])
    ahead_ms = (time.time() - time.monotonic()) * 1000
    for key, (channel, seen_ms) in sent.items():
        found.arrived[channel].append(first[key].at_s * 1000 + ahead_ms - seen_ms)
    return found
