"""Reading the newest frame from Redis: what a web worker does when it starts or has missed one.

A private redis-server on loopback. Ours: `RedisBus.snapshot` and decoding the frame; the peer: a bare GET of the same
bytes through redis-py's own asyncio client.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bench.market import Market
from bench.options import Options
from bench.process import Program, ProgramFailed, free_port
from bench.report import Table, quantile, ratio
from flashcur.domain.frames import Frame
from flashcur.services.bus import RedisBus
from flashcur.services.bus.topics import LIVE_TOPIC


def run(options: Options) -> Table:
    """Measure; times in milliseconds."""
    server = shutil.which("redis-server")
    if server is None:
        raise ProgramFailed("expected redis-server on the PATH (Debian: apt install redis-server)")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with Program(command, cwd=Path(folder)) as program:
            program.wait_for_port(port)
            return asyncio.run(_measure(f"redis://127.0.0.1:{port}/0", 200 if options.quick else 2000))


async def _measure(url: str, rounds: int) -> Table:
    payload = _payload()
    bus = RedisBus(url)
    bare: Redis = Redis.from_url(url)
    try:
        if not await bus.publish(LIVE_TOPIC, 1, payload, payload):
            raise ProgramFailed("the snapshot could not be written")
        await bare.set("bare", payload)

        async def decoded() -> Frame:
            message = await bus.snapshot(LIVE_TOPIC)
            assert message is not None
            return Frame.decode(message.payload)

        reads: dict[str, Callable[[], Awaitable[Any]]] = {
            "FlashCur: the snapshot through the bus": lambda: bus.snapshot(LIVE_TOPIC),
            "FlashCur: the same, decoded to a frame": decoded,
            "bare redis-py: GET of the same bytes": lambda: bare.get("bare"),
        }
        times: dict[str, list[float]] = {name: [] for name in reads}
        for round_number in range(rounds + 20):
            # In turn, so that whatever else the machine does falls on all of them.
            for name, read in reads.items():
                started = time.perf_counter()
                await read()
                if round_number >= 20:
                    times[name].append((time.perf_counter() - started) * 1000)
    finally:
        await bus.close()
        await bare.aclose()
    *_, peer = times.values()
    return Table(
        "redis",
        ("read of one snapshot", "p50 ms", "p99 ms", "p50 against the peer"),
        tuple(
            (
                name,
                quantile(values, 0.5),
                quantile(values, 0.99),
                None if values is peer else ratio(quantile(values, 0.5), quantile(peer, 0.5)),
            )
            for name, values in times.items()
        ),
        (f"{rounds:,} reads of each, in turn, of {len(payload):,} bytes.",),
    )


def _payload() -> bytes:
    frames = Market().frames()
    next(frames)
    return next(frames).encode()
