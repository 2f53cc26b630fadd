"""Whether FlashCur is available, and if not why: what `/health` answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from flashcur import __version__
from flashcur.engine.status import STATUS_TTL_MS, ChannelStatus, EngineStatus, FeedStatus, JobStatus
from flashcur.services.bus import RedisBus
from flashcur.services.storage.database import Database
from flashcur.web.process import WebRuntime

FRAME_MAX_AGE_S = 10.0
"""Older than this, the newest frame makes the service unavailable."""
PROBE_TIMEOUT_S = 1.5
"""A part that takes longer to answer counts as down; the probe itself stays well under a monitor's patience."""

WORKS = "ok"
NOT_CONFIGURED = "not configured"

Report = dict[str, Any]


class Probe:
    """Asks one part whether it works; one question at a time, so that a part that hangs is not asked again."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[object] | None = None

    async def state(self) -> str:
        """`ok`, or one line that says why not. Never raises."""
        # Held on to: before this one goes on, another caller may have begun the next question.
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.ensure_future(self._start())
        done, _ = await asyncio.wait({asking}, timeout=PROBE_TIMEOUT_S)
        if not done:
            return f"no answer within {PROBE_TIMEOUT_S:g} s"
        error = asking.exception()
        return WORKS if error is None else " ".join(str(error).split())[:300] or type(error).__name__

    async def _start(self) -> object:
        return await self._ask()


class Health:
    """The report of one web process."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._database = Probe(self._ask_database)
        self._redis = Probe(self._ask_redis)

    async def report(self) -> tuple[bool, Report]:
        """(whether it can serve, all of `/health` as a JSON object). Ends within PROBE_TIMEOUT_S, whatever hangs.

        Keys: `status` (`ok`, `degraded`, `unavailable`), `problems`, `version`, `database`, `redis`, `engine`,
        `exchange`, `feeds`, `jobs`, `mail`, `signals`, `rules`, `baselines`, `web`. For the operator: it has what
        servers and exchanges said.
        """
        runtime = self._runtime
        database, redis = await asyncio.gather(self._database.state(), self._redis_state())
        now_ms = runtime.clock()
        live = runtime.hub.live
        frame_age_s = None if live is None else max(0.0, (now_ms - live.as_of_ms) / 1000)
        status = runtime.engine_status
        present = status is not None and now_ms - status.as_of_ms <= STATUS_TTL_MS
        problems: list[str] = []
        if database != WORKS:
            problems.append("database")
        if redis not in (WORKS, NOT_CONFIGURED):
            problems.append("redis")
        if frame_age_s is None:
            problems.append("no frame yet")
        elif frame_age_s > FRAME_MAX_AGE_S:
            problems.append(f"the newest frame is {frame_age_s:.0f} s old")
        price_ms = status.last_price_ms if status is not None and present else None
        price_age_s = None if price_ms is None else max(0.0, (now_ms - price_ms) / 1000)
        if live is not None and live.state != "live":
            newest = "" if price_age_s is None else f": newest {price_age_s:.0f} s old"
            problems.append(f"prices are {live.state}{newest}")
        baselines = status.history if status is not None and present else None
        if baselines is not None and baselines.problem:
            problems.append(baselines.problem)
        signals = status.signals if status is not None and present else None
        if signals is not None and signals.state == "waiting":
            problems.append("signals wait for the database")
        if signals is not None and signals.dropped:
            problems.append(f"{signals.dropped} signals were lost")
        rules = status.rules if status is not None and present else None
        if rules is not None and rules.state == "waiting":
            problems.append("alerts wait for the database")
        if rules is not None and rules.dropped:
            problems.append(f"{rules.dropped} alerts were lost")
        stalled = [
            name for name, each in (status.channels if status and present else {}).items() if each.state == "stalled"
        ]
        if stalled:
            problems.append(f"messages are not taken up: {', '.join(stalled)}")
        # Frames are taken each second whatever the exchanges do; a frame of old prices serves nobody. The frame's
        # own state decides (stale: older than frames.STALE_MS): the engine's word on the age may be seconds late.
        available = (
            live is not None and frame_age_s is not None and frame_age_s <= FRAME_MAX_AGE_S and live.state != "stale"
        )
        report: Report = {
            "status": "unavailable" if not available else "degraded" if problems else "ok",
            "problems": problems,
            "version": __version__,
            "database": database,
            "redis": redis,
            "engine": {
                "lease": _lease(status, present),
                "last_frame_age_s": None if frame_age_s is None else round(frame_age_s, 1),
                "last_price_age_s": None if price_age_s is None else round(price_age_s, 1),
                "process": status.process if status is not None and present else None,
                "epoch": status.epoch if status is not None and present else None,
                "frames": status.frames if status is not None and present else None,
                "failures": status.failures if status is not None and present else {},
            },
            "exchange": None if live is None else {"id": live.exchange, "demo": live.demo, "state": live.state},
            "feeds": _reports(status.feeds) if status is not None and present else {},
            "jobs": _reports(status.jobs) if status is not None and present else {},
            "channels": _reports(status.channels) if status is not None and present else {},
            "signals": None if signals is None else asdict(signals),
            "rules": None if rules is None else asdict(rules),
            "baselines": None if baselines is None else asdict(baselines),
            "web": {"failures": runtime.failures},
        }
        return available, report

    async def _ask_database(self) -> object:
        database = self._runtime.database
        if database is None or not self._runtime.database_ready.is_set():
            raise ConnectionError(self._runtime.database_problem or "not ready yet")
        return await _select_one(database)

    async def _redis_state(self) -> str:
        if self._runtime.settings.redis_url is None:
            return NOT_CONFIGURED
        return await self._redis.state()

    async def _ask_redis(self) -> None:
        bus = self._runtime.bus
        if isinstance(bus, RedisBus):
            await bus.ping()


def in_words(report: Report) -> Report:
    """What everybody may know of a report: a word for each part and ages in seconds, no names and nobody's texts."""
    return {
        "status": report["status"],
        "problems": report["problems"],
        "database": _word(report["database"]),
        "redis": _word(report["redis"]),
        "engine": {name: report["engine"][name] for name in ("lease", "last_frame_age_s", "last_price_age_s")},
        "exchange": report["exchange"],
        "feeds": {
            key: {name: feed[name] for name in ("name", "state", "demo", "symbols", "last_message_age_s", "waits_s")}
            for key, feed in report["feeds"].items()
        },
        "channels": {name: channel["state"] for name, channel in report["channels"].items()},
        "signals": report["signals"] and report["signals"]["state"],
        "rules": report["rules"] and report["rules"]["state"],
        "baselines": report["baselines"]
        and {name: report["baselines"][name] for name in ("ready", "contracts", "new", "quiet")},
    }


def _word(state: str) -> str:
    return state if state in (WORKS, NOT_CONFIGURED) else "down"


async def _select_one(database: Database) -> object:
    return await database.run(lambda session: session.connection().execute(text("SELECT 1")).scalar(), readonly=True)


def _lease(status: EngineStatus | None, present: bool) -> str:
    if status is None:
        return "none"
    return "held" if present else "expired"


def _reports(
    parts: Mapping[str, FeedStatus] | Mapping[str, JobStatus] | Mapping[str, ChannelStatus],
) -> dict[str, Report]:
    return {name: asdict(part) for name, part in parts.items()}
