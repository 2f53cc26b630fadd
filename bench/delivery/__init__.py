"""How fast a message is at its provider, what a channel that hangs does to the others, and what kills do.

The database is SQLite, the provider a server on this machine, the worker a process of its own as the engine is one.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.delivery.kills import killed
from bench.delivery.provider import Provider, ProviderChannel, provider
from bench.options import Options
from bench.process import ProgramFailed
from bench.report import Cell, Table, quantile
from flashcur.engine.delivery import DeliveryWorker
from flashcur.models import Delivery
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

SECRET_KEY = "0123456789abcdef" * 4
RATES = {
    "email": 50.0,
    "sms": 20.0,
    "telegram": 30.0,
    "discord": 40.0,
    "slack": 40.0,
    "webhook": 60.0,
    "web-push": 60.0,
}
"""Messages a second that each channel takes of us in all: what its provider documents, or we allow ourselves."""
A_SECOND = 200
ANSWER_S = 0.15
"""What a provider takes for an answer."""
HANGS = "webhook"


def run(options: Options) -> Table:
    """Measure; times in ms."""
    seconds = 5 if options.quick else 30
    calm = asyncio.run(_mixed(seconds, hangs=False))
    hung = asyncio.run(_mixed(seconds, hangs=True))
    messages, kills = (200, 5) if options.quick else (10_000, 200)
    return Table(
        "delivery",
        ("from the crossing's row to the provider's socket", "messages", "p50 ms", "p99 ms", "largest ms"),
        (
            (f"**{A_SECOND} a second over {len(RATES)} channels**", *_cells(calm)),
            (f"**the same while `{HANGS}` hangs: all others**", *_cells(hung)),
        ),
        (_kills(messages, kills, 0.0, 1), _kills(messages, kills, 0.1, 2)),
    )


def _cells(delays: Sequence[float]) -> tuple[Cell, ...]:
    if not delays:
        raise ProgramFailed("no message came")
    return len(delays), quantile(delays, 0.5), quantile(delays, 0.99), max(delays)


async def _mixed(seconds: int, *, hangs: bool) -> list[float]:
    """Ms from just before each message is written to its arrival, of all channels but one that hangs."""
    with tempfile.TemporaryDirectory() as folder, provider() as there:
        there.delay_s = ANSWER_S
        if hangs:
            there.hangs = {HANGS}
        settings = _settings(folder)
        database = Database(settings)
        database.migrate()
        channels = {name: ProviderChannel(there.url, name, rate=rate) for name, rate in RATES.items()}
        worker = DeliveryWorker(database, channels, settings.secret_key, now_ms, deliver=lambda *_: None)
        task = asyncio.create_task(worker.run())
        written = await _write(database, seconds)
        await _until_sent(there, written, hangs=hangs)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for channel in channels.values():
            await channel.close()
        database.close()
        arrived = {arrival.key: arrival for arrival in reversed(there.arrivals)}
        return [
            (arrived[key].at_s - at_s) * 1000
            for key, (channel, at_s) in written.items()
            if key in arrived and not (hangs and channel == HANGS)
        ]


async def _write(database: Database, seconds: int) -> dict[str, tuple[str, float]]:
    """(channel, moment) of each message, by its key."""
    written: dict[str, tuple[str, float]] = {}
    names, weights = list(RATES), list(RATES.values())
    began, number = time.monotonic(), 0
    # Alerts come in small groups, each a transaction of its own: twenty a second of ten messages.
    for group in range(20 * seconds):
        await asyncio.sleep(max(0.0, began + group / 20 - time.monotonic()))
        now, at_s, rows = now_ms(), time.monotonic(), list[Delivery]()
        for channel in random.choices(names, weights, k=A_SECOND // 20):
            number += 1
            row = Delivery(
                key=f"{random.getrandbits(128):032x}",
                kind="alert",
                channel=channel,
                recipient=f"recipient {number}",
                payload={"text": "BTCUSDT: Price 65,010 (at or above 65,000)"},
                due_ms=now,
                expires_ms=now + 3_600_000,
                created_ms=now,
            )
            rows.append(row)
            written[row.key] = (channel, at_s)
        await database.run(lambda session, rows=rows, now=now: outbox.write(session, rows, now))
    return written


async def _until_sent(there: Provider, written: dict[str, tuple[str, float]], *, hangs: bool) -> None:
    wanted = {key for key, (channel, _) in written.items() if not (hangs and channel == HANGS)}
    deadline = time.monotonic() + 60
    while not wanted <= there.taken.keys():
        if time.monotonic() > deadline:
            raise ProgramFailed(f"{len(wanted - there.taken.keys())} messages did not come within a minute")
        await asyncio.sleep(0.05)


def _kills(messages: int, kills: int, forgets: float, workers: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(_settings(folder))
        database.migrate()
        database.close()
        found = killed(
            _environ(folder), messages=messages, kills=kills, forgets=forgets, chance=random.Random(), workers=workers
        )
    if found.lost or found.untold or found.changed:
        print(found, file=sys.stderr)
    who = "A worker" if workers == 1 else f"One of {workers} workers"
    silence = f", {forgets * 100:.0f} % of the messages taken without an answer" if forgets else ""
    return (
        f"{who} killed {found.kills} times during {found.messages:,} messages{silence} ({found.seconds:.0f} s): "
        f"{len(found.lost)} lost, {found.doubled} came twice under the same key, "
        f"of which {len(found.untold)} that their ledger does not tell; {len(found.changed)} changed between attempts."
    )


def _settings(folder: str) -> Settings:
    return Settings.load(_environ(folder))


def _environ(folder: str) -> dict[str, str]:
    return {"FLASHCUR_DATA_DIR": str(Path(folder)), "FLASHCUR_SECRET_KEY": SECRET_KEY}
