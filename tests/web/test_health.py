"""`/health` says what the table is worth: frames go on while every price is dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

import pytest

from flashcur.domain.frames import Liveness
from flashcur.engine.history_status import HistoryStatus
from flashcur.engine.status import ENGINE_TOPIC, EngineStatus, SignalsStatus
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.settings import Settings
from flashcur.web.health import Health, Probe, in_words
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime
from tests.support.accounts import WHERE
from tests.support.frames import NOW_MS, market_frame
from tests.support.running import Running
from tests.support.waiting import eventually


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[WebRuntime]:
    runtime = WebRuntime(replace(settings, engine="external"), MarketHub(), WHERE, clock=lambda: NOW_MS)
    async with runtime.lifespan():
        await asyncio.wait_for(runtime.database_ready.wait(), 10)
        yield runtime


async def tell(
    runtime: WebRuntime,
    price_age_ms: int,
    history: HistoryStatus | None = None,
    signals: SignalsStatus | None = None,
) -> None:
    assert runtime.bus is not None
    last_price_ms = NOW_MS - price_age_ms
    status = EngineStatus(
        NOW_MS, 1, "host:1", "0.1.0", NOW_MS, 12, last_price_ms=last_price_ms, history=history, signals=signals
    )
    await runtime.bus.publish(ENGINE_TOPIC, 1, status.encode())
    await eventually(lambda: runtime.engine_status is not None, "the engine's status")


@pytest.mark.parametrize(
    ("state", "age_ms", "available", "status", "problems"),
    [
        ("live", 1_000, True, "ok", []),
        ("delayed", 12_000, True, "degraded", ["prices are delayed: newest 12 s old"]),
        ("stale", 75_000, False, "unavailable", ["prices are stale: newest 75 s old"]),
    ],
)
async def test_fresh_frames_of_old_prices_are_not_well(
    runtime: WebRuntime, state: Liveness, age_ms: int, available: bool, status: str, problems: list[str]
) -> None:
    runtime.hub.receive(LIVE_TOPIC, market_frame(state=state).encode())
    await tell(runtime, age_ms)
    answer, report = await Health(runtime).report()
    assert (answer, report["status"], report["problems"]) == (available, status, problems)
    assert report["engine"]["last_price_age_s"] == age_ms / 1000


async def test_old_prices_are_named_without_the_engines_word(runtime: WebRuntime) -> None:
    runtime.hub.receive(LIVE_TOPIC, market_frame(state="stale").encode())
    available, report = await Health(runtime).report()
    assert (available, report["problems"]) == (False, ["prices are stale"])


async def test_baselines_that_are_not_ready_are_named_to_the_operator_alone(runtime: WebRuntime) -> None:
    runtime.hub.receive(LIVE_TOPIC, market_frame(state="live").encode())
    history = HistoryStatus(480, 500, 490, 20, 310, 12, 3, 2, {"BTCUSDT": "is asked for again: no"})
    await tell(runtime, 1_000, history)
    available, report = await Health(runtime).report()
    assert (available, report["status"]) == (True, "degraded")
    assert report["problems"] == ["baselines of 12 of 310 liquid contracts are not ready"]
    assert report["baselines"]["not_ready"] == {"BTCUSDT": "is asked for again: no"}
    assert in_words(report)["baselines"] == {"ready": 480, "contracts": 500, "new": 3, "quiet": 2}
    assert runtime.engine_status is not None
    assert runtime.engine_status.history == history


@pytest.mark.parametrize(
    ("state", "dropped", "problems"),
    [
        ("ok", 0, []),
        ("filling", 0, []),
        ("waiting", 0, ["signals wait for the database"]),
        ("ok", 3, ["3 signals were lost"]),
    ],
)
async def test_what_becomes_of_signals_is_said(
    runtime: WebRuntime, state: str, dropped: int, problems: list[str]
) -> None:
    runtime.hub.receive(LIVE_TOPIC, market_frame(state="live").encode())
    signals = SignalsStatus(state, 12, 4, dropped, 500, 480)
    await tell(runtime, 1_000, signals=signals)
    available, report = await Health(runtime).report()
    assert (available, report["problems"]) == (True, problems)
    assert report["signals"] == asdict(signals)
    # In words for everybody: how many there are tells nobody whether it works.
    assert in_words(report)["signals"] == state
    assert runtime.engine_status is not None
    assert runtime.engine_status.signals == signals


async def test_a_part_is_asked_one_question_at_a_time_however_many_callers_there_are() -> None:
    running = most = 0

    async def ask() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        raise ConnectionError("is\naway")

    probe = Probe(ask)

    async def poll() -> set[str]:
        return {await probe.state() for _ in range(50)}

    found = await asyncio.gather(*(poll() for _ in range(20)))
    assert set[str]().union(*found) == {"is away"}
    assert most == 1


async def test_the_engine_tells_the_age_of_the_newest_price(running: Running) -> None:
    office = running.office
    status = office.status()
    assert status.last_price_ms is not None
    assert 0 <= status.as_of_ms - status.last_price_ms < 5_000
    # Its book asked a minute later, without another price.
    age_ms = office.price_age_ms(status.last_price_ms + 60_000)
    assert age_ms is not None
    assert age_ms <= 60_000
    line = next(
        line
        for line in running.engine._metrics.render().decode().splitlines()
        if line.startswith("flashcur_price_age_seconds ")
    )
    assert 0 <= float(line.split()[1]) < 5
