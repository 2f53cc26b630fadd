"""`python -m flashcur.engine` as an operator starts it: what it refuses, how it stops, and who takes over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flashcur.domain.frames import Frame
from flashcur.engine.status import ENGINE_TOPIC, EngineStatus
from flashcur.services.bus import BusMessage, RedisBus
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.services.simulator import SimulatedExchange
from tests.support.programs import RedisServer
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


@contextmanager
def engine_process(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "flashcur.engine"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "REDIS_URL: expected"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis does not answer"),
        ({"FLASHCUR_EXCHANGES": "mtgox"}, "FLASHCUR_EXCHANGES: expected"),
        (
            {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "postgresql+psycopg://a:secret@127.0.0.1:1/b"},
            "cannot be used",
        ),
    ],
    ids=["no Redis", "Redis is down", "unknown exchange", "database is down"],
)
def test_what_it_cannot_start_with_is_one_clear_line(
    environ: dict[str, str], extra: dict[str, str], words: str
) -> None:
    with engine_process({**environ, **extra}) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    (line,) = errors.strip().splitlines()
    assert line.startswith("flashcur: ")
    assert words in line
    assert "secret" not in line


def test_it_imports_neither_user_interface_nor_exchange_library() -> None:
    code = (
        "import sys, flashcur.engine; "
        "print([m for m in sys.modules if m.split('.')[0] in ('reflex', 'ccxt') or m.startswith('flashcur.state')])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


class Reader:
    """What a web worker would receive."""

    def __init__(self, bus: RedisBus) -> None:
        self.frames: list[tuple[BusMessage, Frame]] = []
        self.statuses: list[EngineStatus] = []
        self._bus = bus
        self._tasks = [asyncio.create_task(self._follow_frames()), asyncio.create_task(self._follow_status())]

    async def _follow_frames(self) -> None:
        async for message in self._bus.subscribe(LIVE_TOPIC):
            self.frames.append((message, Frame.decode(message.payload)))

    async def _follow_status(self) -> None:
        async for message in self._bus.subscribe(ENGINE_TOPIC):
            self.statuses.append(EngineStatus.decode(message.payload))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_standby_takes_over_from_an_engine_that_is_killed(
    live_environ: dict[str, str], exchange: SimulatedExchange, own_redis: RedisServer
) -> None:
    environ = {**live_environ, "REDIS_URL": own_redis.url}
    bus = RedisBus(own_redis.url)
    reader = Reader(bus)
    with engine_process(environ) as first, engine_process(environ) as second:
        await eventually(lambda: bool(reader.frames and reader.statuses), "a frame", 30)
        holder = int(reader.statuses[-1].process.split(":")[1])
        assert holder in (first.pid, second.pid)
        standby = second if holder == first.pid else first
        os.kill(holder, signal.SIGKILL)
        killed_ms = time.time() * 1000
        last = reader.frames[-1][0]
        await eventually(lambda: reader.frames[-1][0].epoch > last.epoch, "a frame of the other engine", 15)
        taken_over = next(frame for message, frame in reader.frames if message.epoch > last.epoch)
        # The lease moves within 10 s; the new engine then imports ccxt and reads a first snapshot.
        assert taken_over.as_of_ms - killed_ms < 14_000
        await eventually(lambda: reader.statuses[-1].process.endswith(f":{standby.pid}"), "its status", 5)
        positions = [message.position for message, _ in reader.frames]
        assert positions == sorted(set(positions))
        assert taken_over.seq > last.seq
        assert not _blank(taken_over)

        standby.send_signal(signal.SIGTERM)
        stopping_s = time.monotonic()
        await asyncio.to_thread(standby.wait, 10)
        assert time.monotonic() - stopping_s < 5
        assert standby.returncode == 0
    await reader.close()
    await bus.close()


def _blank(frame: Frame) -> list[str]:
    return [name for name in ("price", "change", "volume", "funding") if "" in frame.values(name)]
