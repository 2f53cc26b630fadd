"""The exchange in a process of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from flashcur.errors import VenueUnavailable
from flashcur.services.simulator import SimulatorProcess
from tests.services.simulator.conftest import OTHERS

ROOT = Path(__file__).parents[3]


async def test_it_starts_serves_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    process = SimulatorProcess(symbols=20, seed=3)
    await process.start()
    try:
        assert process.running
        async with (
            aiohttp.ClientSession() as session,
            session.get(process.rest_url + "/fapi/v1/ticker/24hr") as response,
        ):
            assert len(await response.json()) == 20 + len(OTHERS)
        assert process.ws_url.startswith("ws://127.0.0.1:")
    finally:
        await process.stop()
    assert not process.running
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as session:
            await session.get(process.rest_url + "/fapi/v1/ping")
    await process.stop()


async def test_one_that_says_nothing_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashcur.services.simulator.process._START_TIMEOUT_S", 0.01)
    process = SimulatorProcess(symbols=5)
    with pytest.raises(VenueUnavailable, match="did not start"):
        await process.start()
    assert not process.running


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "flashcur.services.simulator",
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_ends_when_its_parent_is_gone() -> None:
    process = await run("--symbols", "5", "--exit-with-stdin")
    assert process.stdout is not None
    assert process.stdin is not None
    assert json.loads(await process.stdout.readline())["symbols"] == 5
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_it_ends_on_a_signal() -> None:
    process = await run("--symbols", "5")
    assert process.stdout is not None
    await process.stdout.readline()
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_busy_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await run("--symbols", "5", "--port", str(port))
        out, err = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert out == b""
    assert err.decode() == f"simulator: cannot listen on 127.0.0.1:{port}: the port is taken\n"


async def test_an_impossible_size_is_one_clear_line() -> None:
    process = await run("--symbols", "5000")
    _, err = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert err.decode() == "simulator: expected 1 to 1000 symbols, was 5000\n"
