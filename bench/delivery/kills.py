"""A delivery worker that is killed again and again while it has messages to send: none is lost, and what came twice
came under one key, which its ledger tells.

Each worker is a process of its own, forked from one that has everything loaded, and ended by SIGKILL. The provider
lives on and remembers every key.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select

from bench.delivery.provider import Provider, ProviderChannel, provider
from flashcur.engine.delivery import DeliveryWorker
from flashcur.models import Delivery, DeliveryStep
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

CHANNELS = ("telegram", "slack", "webhook", "email")
SPEED = 10
"""So many times as fast as time goes by the workers' clock: pauses and leases are over soon."""
LEASE_MS, SEND_TIMEOUT_S = 4_000 * SPEED, 3.0
"""Ms of that clock, and real seconds."""
DELAY_S = 0.03
"""What the provider takes for an answer."""
WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Found:
    """What kills did."""

    kills: int
    messages: int
    lost: list[str]
    """Keys that never came, or whose delivery does not say that they did."""
    doubled: int
    """Messages that the provider took more than once, under the same key."""
    unanswered: int
    """Of these, those that the provider itself left without an answer."""
    untold: list[str]
    """Keys that came twice although the ledger says nothing of an attempt whose end is unknown."""
    changed: list[str]
    """Keys under which more than one text came."""
    seconds: float


def killed(
    environ: Mapping[str, str], *, messages: int, kills: int, forgets: float, chance: random.Random, workers: int = 1
) -> Found:
    """Send `messages` with `workers` at a time, one of which is killed, `kills` times in all.

    `forgets`: share of the messages that the provider takes without an answer. The database of `environ` is migrated.
    """
    settings = Settings.load(environ)
    database = Database(settings)
    began = time.monotonic()
    try:
        with provider() as there:
            there.delay_s, there.forgets = DELAY_S, forgets
            began_ms = now_ms()
            keys = _write(database, messages, began_ms)
            done = _kill(environ, database, there, messages, kills, chance, workers, began_ms)
            return _compare(database, there, keys, done, time.monotonic() - began)
    finally:
        database.close()


def _write(database: Database, messages: int, now: int) -> list[str]:
    rows = [
        Delivery(
            key=f"{random.getrandbits(128):032x}",
            kind="alert",
            channel=CHANNELS[number % len(CHANNELS)],
            recipient=f"recipient {number}",
            payload={"text": f"message {number}"},
            due_ms=now,
            expires_ms=now + 24 * 3_600_000 * SPEED,
            created_ms=now,
        )
        for number in range(messages)
    ]
    keys = [row.key for row in rows]
    with database.session() as session:
        outbox.write(session, rows, now)
    return keys


def _kill(
    environ: Mapping[str, str],
    database: Database,
    there: Provider,
    messages: int,
    kills: int,
    chance: random.Random,
    workers: int,
    began_ms: int,
) -> int:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    until = time.monotonic() + WITHIN_S

    def start() -> Any:
        process = context.Process(target=_serve, args=(dict(environ), there.url, began_ms), daemon=True)
        process.start()
        return process

    alive = [start() for _ in range(workers)]
    done = 0
    try:
        while time.monotonic() < until and (done < kills or _unsent(database)):
            if done >= kills:
                time.sleep(0.1)
                continue
            # A share of what is left, so that the last kill still finds something to do.
            left = messages - len(there.taken)
            goal = len(there.arrivals) + chance.uniform(0, 1.5 * max(1, left) / (kills - done + 1))
            patience = time.monotonic() + 2 * LEASE_MS / SPEED / 1000
            while len(there.arrivals) < goal and time.monotonic() < patience:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, DELAY_S))
            victim = chance.randrange(workers)
            alive[victim].kill()
            alive[victim].join()
            if alive[victim].exitcode != -9:
                raise RuntimeError(f"a worker ended with {alive[victim].exitcode}")
            alive[victim] = start()
            done += 1
    finally:
        for process in alive:
            process.kill()
            process.join()
    return done


def _unsent(database: Database) -> int:
    with database.session(readonly=True) as session:
        query = select(func.count()).select_from(Delivery).where(col(Delivery.status) != "accepted")
        return session.exec(query).one()


def _compare(database: Database, there: Provider, keys: list[str], kills: int, seconds: float) -> Found:
    with database.session(readonly=True) as session:
        rows = {row.key: row for row in session.exec(select(Delivery))}
        unknown = Counter(
            session.exec(select(DeliveryStep.delivery_id).where(DeliveryStep.status == "uncertain")).all()
        )
    texts: dict[str, set[bytes]] = {}
    for arrival in there.arrivals:
        texts.setdefault(arrival.key, set()).add(arrival.body)
    doubled = [key for key in keys if there.taken[key] > 1]
    return Found(
        kills=kills,
        messages=len(keys),
        lost=[key for key in keys if not there.taken[key] or rows[key].status != "accepted"],
        doubled=len(doubled),
        unanswered=sum(bool(there.silent[key]) for key in doubled),
        untold=[key for key in doubled if unknown[rows[key].id or 0] < there.taken[key] - 1],
        changed=[key for key, found in texts.items() if len(found) > 1],
        seconds=seconds,
    )


def _serve(environ: Mapping[str, str], url: str, began_ms: int) -> None:
    logging.getLogger("flashcur").setLevel(logging.ERROR)
    asyncio.run(_work(environ, url, began_ms))


async def _work(environ: Mapping[str, str], url: str, began_ms: int) -> None:
    settings = Settings.load(environ)
    channels = {name: ProviderChannel(url, name, timeout_s=SEND_TIMEOUT_S) for name in CHANNELS}
    worker = DeliveryWorker(
        Database(settings),
        channels,
        settings.secret_key,
        lambda: began_ms + SPEED * (now_ms() - began_ms),
        deliver=lambda *_: None,
        every_s=0.05,
        lease_ms=LEASE_MS,
        send_timeout_s=SEND_TIMEOUT_S,
    )
    await worker.run()
