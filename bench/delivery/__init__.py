"""How fast alerts are stored and at their providers, and what a channel that hangs does to the others.

Through a whole engine from the exchange's message on (`crossings`), and from the outbox alone. The database is SQLite,
the provider a server on this machine.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence

from bench.delivery.crossings import Crossings, crossed
from bench.delivery.mix import A_SECOND, ANSWER_S, HANGS, RATES, share
from bench.delivery.provider import Provider, ProviderChannel, provider
from bench.options import Options
from bench.process import ProgramFailed
from bench.report import Cell, Table, quantile, shown
from flashcur.engine.delivery import DeliveryWorker
from flashcur.models import Delivery
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

SECRET_KEY = "0123456789abcdef" * 4


def run(options: Options) -> Table:
    """Measure; times in ms."""
    spikes, seconds = (30, 5) if options.quick else (250, 30)
    calm = asyncio.run(crossed(spikes))
    hung = asyncio.run(crossed(spikes, HANGS))
    alone = asyncio.run(_mixed(seconds))
    return Table(
        "delivery",
        ("from the exchange's message", "number", "p50 ms", "p99 ms", "largest ms"),
        (
            ("**to the alert's committed row**", *_cells(calm.stored)),
            (
                f"**to the provider's socket, {A_SECOND} a second over {len(RATES)} channels**",
                *_cells(calm.all_arrived),
            ),
            (f"**the same while `{HANGS}` hangs: all others**", *_cells(hung.all_arrived)),
            (f"from the outbox alone, {A_SECOND} a second: a message's row to the socket", *_cells(alone)),
        ),
        (f"By channel: {_by_channel(calm)}.", f"While `{HANGS}` hangs: {_by_channel(hung)}."),
    )


def _cells(delays: Sequence[float]) -> tuple[Cell, ...]:
    if not delays:
        raise ProgramFailed("no message came")
    return len(delays), quantile(delays, 0.5), quantile(delays, 0.99), max(delays)


def _by_channel(found: Crossings) -> str:
    said = [
        f"{name} ({shown(share(name) * A_SECOND)} a second of {shown(RATES[name])}) {shown(quantile(delays, 0.99))} ms"
        for name, delays in sorted(found.arrived.items())
    ]
    return f"p99 of {', '.join(said)}"


async def _mixed(seconds: int) -> list[float]:
    """Ms from just before each message is written to its arrival."""
    with tempfile.TemporaryDirectory() as folder, provider() as there:
        there.delay_s = ANSWER_S
        settings = Settings.load({"FLASHCUR_DATA_DIR": folder, "FLASHCUR_SECRET_KEY": SECRET_KEY})
        database = Database(settings)
        database.migrate()
        channels = {name: ProviderChannel(there.url, name, rate=rate) for name, rate in RATES.items()}
        worker = DeliveryWorker(database, channels, settings.secret_key, now_ms, deliver=lambda *_: None)
        task = asyncio.create_task(worker.run())
        written = await _write(database, seconds)
        await _until_sent(there, written)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for channel in channels.values():
            await channel.close()
        database.close()
        arrived = {arrival.key: arrival for arrival in reversed(there.arrivals)}
        return [(arrived[key].at_s - at_s) * 1000 for key, at_s in written.items()]


async def _write(database: Database, seconds: int) -> dict[str, float]:
    """The moment of each message, by its key."""
    written: dict[str, float] = {}
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
            written[row.key] = at_s
        await database.run(lambda session, rows=rows, now=now: outbox.write(session, rows, now))
    return written


async def _until_sent(there: Provider, written: dict[str, float]) -> None:
    deadline = time.monotonic() + 60
    while not written.keys() <= there.taken.keys():
        if time.monotonic() > deadline:
            raise ProgramFailed(f"{len(written.keys() - there.taken.keys())} messages did not come within a minute")
        await asyncio.sleep(0.05)
