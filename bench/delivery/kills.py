"""Delivery workers that are killed again and again while they have messages to send, and a database that goes away
meanwhile: no message is lost, and what came twice came under one key, which its ledger tells.

Each worker is a process of its own, forked from one that has everything loaded, and ended by SIGKILL. The provider
lives on and remembers every key.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, func, select

from bench.delivery.provider import Provider, ProviderChannel, provider
from flashcur.engine.delivery import DeliveryWorker
from flashcur.errors import DatabaseError
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
RATE = 30.0
"""Messages a second of each channel: so few are on their way at a time that a kill leaves others to be sent at once."""
WITHIN_S = 600.0
BACK_WITHIN_S = 60.0
"""The database may be away for so long."""

Outage = Callable[[], object]
"""Has the database go away, whatever is under way, and come back."""


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
    needless: list[str]
    """Keys that came again although the provider had answered a worker that lived on."""
    untold: list[str]
    """Keys that came twice although the ledger says nothing of an attempt whose end is unknown."""
    changed: list[str]
    """Keys under which more than one text came."""
    outages: int
    seconds: float


@dataclass(slots=True)
class _Done:
    kills: int = 0
    outages: int = 0
    killed: set[int] = field(default_factory=set[int])
    """The processes."""


def killed(
    environ: Mapping[str, str],
    *,
    messages: int,
    kills: int,
    forgets: float,
    chance: random.Random,
    workers: int = 1,
    outages: Sequence[Outage] = (),
) -> Found:
    """Send `messages` with `workers` at a time, one of which is killed, `kills` times in all, and with `outages` of the
    database at moments of their own.

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
            done = _Done()
            with _going_away(there, messages, outages, chance, done) as is_over:
                _kill(environ, database, there, messages, kills, chance, workers, began_ms, done, is_over)
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


@contextmanager
def _going_away(
    there: Provider, messages: int, outages: Sequence[Outage], chance: random.Random, done: _Done
) -> Iterator[Callable[[], bool]]:
    """Have the outages happen beside the kills, each when a random number of messages have come; gives what says
    whether all are over."""
    goals = sorted(chance.uniform(0.05, 0.9) * messages for _ in outages)
    stopped = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for goal, outage in zip(goals, outages, strict=True):
                while len(there.taken) < goal:
                    if stopped.wait(0.002):
                        return
                outage()
                done.outages += 1
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="outages")
    thread.start()
    try:
        yield lambda: not thread.is_alive()
    finally:
        stopped.set()
        thread.join()
    if failures:
        raise failures[0]


def _kill(
    environ: Mapping[str, str],
    database: Database,
    there: Provider,
    messages: int,
    kills: int,
    chance: random.Random,
    workers: int,
    began_ms: int,
    done: _Done,
    is_over: Callable[[], bool],
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    until = time.monotonic() + WITHIN_S

    def start() -> Any:
        process = context.Process(target=_serve, args=(dict(environ), there.url, began_ms), daemon=True)
        process.start()
        return process

    alive = [start() for _ in range(workers)]
    try:
        while time.monotonic() < until and (done.kills < kills or not is_over() or _unsent(database)):
            if done.kills >= kills:
                time.sleep(0.1)
                continue
            # A share of what is left, so that the last kill still finds something to do.
            left = messages - len(there.taken)
            goal = len(there.arrivals) + chance.uniform(0, 1.5 * max(1, left) / (kills - done.kills + 1))
            patience = time.monotonic() + 2 * LEASE_MS / SPEED / 1000
            while len(there.arrivals) < goal and time.monotonic() < patience:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, DELAY_S))
            victim = chance.randrange(workers)
            done.killed.add(alive[victim].pid)
            alive[victim].kill()
            alive[victim].join()
            if alive[victim].exitcode != -9:
                raise RuntimeError(f"a worker ended with {alive[victim].exitcode}")
            alive[victim] = start()
            done.kills += 1
    finally:
        for process in alive:
            process.kill()
            process.join()


def _unsent(database: Database) -> int:
    """How many messages have not been taken and noted yet, once the database can be asked."""
    query = select(func.count()).select_from(Delivery).where(col(Delivery.status) != "accepted")
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            with database.session(readonly=True) as session:
                return session.exec(query).one()
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _compare(database: Database, there: Provider, keys: list[str], done: _Done, seconds: float) -> Found:
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
        kills=done.kills,
        messages=len(keys),
        lost=[key for key in keys if not there.taken[key] or rows[key].status != "accepted"],
        doubled=len(doubled),
        unanswered=sum(not all(each.answered for each in there.takings[key]) for key in doubled),
        needless=[
            key
            for key in doubled
            if any(each.answered and each.worker not in done.killed for each in there.takings[key][:-1])
        ],
        untold=[key for key in doubled if unknown[rows[key].id or 0] < there.taken[key] - 1],
        changed=[key for key, found in texts.items() if len(found) > 1],
        outages=done.outages,
        seconds=seconds,
    )


def _serve(environ: Mapping[str, str], url: str, began_ms: int) -> None:
    logging.getLogger("flashcur").setLevel(logging.ERROR)
    asyncio.run(_work(environ, url, began_ms))


async def _work(environ: Mapping[str, str], url: str, began_ms: int) -> None:
    settings = Settings.load(environ)
    channels = {name: ProviderChannel(url, name, rate=RATE, timeout_s=SEND_TIMEOUT_S) for name in CHANNELS}
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
