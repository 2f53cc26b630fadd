"""A web process's side: it follows the bus, and runs the engine too unless another process does.

Reflex starts it in every worker (`lifespan`). Nothing is opened before that, because workers fork after import, and
nothing it starts can keep the page from being served.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Protocol

from flashcur.domain.plans import Audience
from flashcur.engine.engine import Engine
from flashcur.engine.status import ENGINE_TOPIC, EngineStatus
from flashcur.errors import DatabaseError
from flashcur.services.accounts.channels import Senders
from flashcur.services.accounts.wiring import Accounts
from flashcur.services.bus import Bus, make_bus
from flashcur.services.bus.topics import ALERTS_TOPIC, DISTANCES_TOPIC, LIVE_TOPIC, SIGNALS_TOPIC, TOPICS
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import now_ms, utc_now
from flashcur.services.kit.metrics import BROADCASTS, SKIPPED_FRAMES, SOCKETS, Metrics
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.lease import make_lease
from flashcur.services.notify.channels import make_channels
from flashcur.services.notify.dialling import Dialler
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.web.alert_hub import AlertHub
from flashcur.web.cookies import make_cookies
from flashcur.web.distances import Distances
from flashcur.web.market_hub import MarketHub
from flashcur.web.signal_hub import SignalHub
from flashcur.web.visitors import Visitors

logger = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 4.5
_DATABASE_PATIENCE_S = 5.0

EngineFactory = Callable[..., Engine]


class BroadcastCounters(Protocol):
    """What the broadcaster counts."""

    @property
    def messages(self) -> int:
        """Messages written to sockets."""
        ...

    @property
    def skipped(self) -> int:
        """Frames that a socket which did not drain never got."""
        ...

    @property
    def viewers(self) -> Mapping[Audience, int]:
        """Sockets that show the table, by audience."""
        ...


class WebRuntime:
    """What a web worker has besides pages: the hub, health and figures, and the embedded engine."""

    def __init__(
        self,
        settings: Settings,
        hub: MarketHub,
        where: Addresses,
        *,
        engine: EngineFactory = Engine,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`where`: the addresses of this process's pages and routes."""
        self.settings = settings
        self.hub = hub
        self.where = where
        self.visitors = Visitors(settings, make_cookies(settings, where), utc_now)
        self.accounts: Accounts | None = None
        """None until the database is ready."""
        self.metrics = Metrics()
        self.clock = clock
        self.signals = SignalHub(hub, clock)
        self.alerts = AlertHub(clock)
        self.distances = Distances()
        # Telegram is asked for its bot's name from here.
        self._dialler = Dialler(allow_private=settings.allow_private_webhooks)
        self.senders: Senders = make_channels(settings, self._dialler)
        """The channels that messages leave by. Here they render; the engine sends."""
        self.bus: Bus | None = None
        self.database: Database | None = None
        self.database_ready = asyncio.Event()
        self.database_problem = ""
        """Why the database is not ready, one line."""
        self.engine_status: EngineStatus | None = None
        """What the active engine last said; may be of one that has gone."""
        self._make_engine = engine
        self._attended: dict[str, Callable[[], Awaitable[None]]] = {}
        # Longer than the engine takes to end its own tasks.
        self._tasks = Supervisor(cancel_again_s=3.0)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """`start`, then `stop`: for Reflex's `App.register_lifespan_task`."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        """Open what is needed and start following; returns at once. Raises nothing that heals by itself."""
        self.bus = make_bus(self.settings)
        self.database = Database(self.settings)
        self.metrics.watch_bus(self.bus.counters)
        for topic in TOPICS:
            self._tasks.start(f"follow {topic}", lambda topic=topic: self._follow(topic, self._receive))
        self._tasks.start("follow engine", lambda: self._follow(ENGINE_TOPIC, self._note_status))
        self._tasks.start(f"follow {SIGNALS_TOPIC}", lambda: self._follow(SIGNALS_TOPIC, self.signals.receive))
        self._tasks.start(f"follow {ALERTS_TOPIC}", lambda: self._follow(ALERTS_TOPIC, self.alerts.receive))
        self._tasks.start(f"follow {DISTANCES_TOPIC}", lambda: self._follow(DISTANCES_TOPIC, self.distances.receive))
        self._tasks.start("database", self._prepare_database)
        self._tasks.start("signals", self._follow_signals)
        self._tasks.start("alerts", self._follow_alerts)
        self._tasks.start("visitors", self._follow_visitors)
        for name, work in self._attended.items():
            self._tasks.start(name, work)
        if self.settings.engine == "embedded":
            self._tasks.start("engine", self._run_engine)

    async def stop(self) -> None:
        """End everything within five seconds."""
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self._tasks.stop()
                await self._dialler.close()
                if self.bus is not None:
                    await self.bus.close()
        except TimeoutError:
            logger.error("the runtime did not stop within %g s", _STOP_TIMEOUT_S)
        if self.accounts is not None:
            self.accounts.close()
        if self.database is not None:
            # Closing waits for running work, and a server that hangs must not hold up the end.
            await asyncio.to_thread(self.database.close)

    def attend(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, too, from `start` to `stop`, and again whenever it raises."""
        self._attended[name] = work

    def watch_broadcast(self, counters: BroadcastCounters) -> None:
        """Show what is written to sockets in `/metrics`."""
        self.metrics.watch(SOCKETS, lambda: {(audience,): number for audience, number in counters.viewers.items()})
        self.metrics.watch(BROADCASTS, lambda: {(): counters.messages})
        self.metrics.watch(SKIPPED_FRAMES, lambda: {(): counters.skipped})

    @property
    def failures(self) -> dict[str, int]:
        """Tasks of this process that failed and were started again, with how often."""
        return dict(self._tasks.failures)

    async def _follow(self, topic: str, receive: Callable[[str, bytes], None]) -> None:
        bus = self.bus
        assert bus is not None
        async with bus.subscribe(topic) as messages:
            async for message in messages:
                receive(topic, message.payload)

    async def _follow_visitors(self) -> None:
        await self.database_ready.wait()
        await self.visitors.run()

    async def _follow_signals(self) -> None:
        await self.database_ready.wait()
        assert self.database is not None
        await self.signals.run(self.database)

    async def _follow_alerts(self) -> None:
        await self.database_ready.wait()
        assert self.database is not None
        await self.alerts.run(self.database)

    def _receive(self, topic: str, payload: bytes) -> None:
        started_s = perf_counter()
        self.hub.receive(topic, payload)
        if topic == LIVE_TOPIC:
            self.metrics.broadcast.observe(perf_counter() - started_s)

    def _note_status(self, topic: str, payload: bytes) -> None:
        try:
            self.engine_status = EngineStatus.decode(payload)
        except ValueError as error:
            logger.error("dropped a message on %s: %s", topic, error)

    async def _prepare_database(self) -> None:
        """Migrate or check, as the environment says; again while the database is away."""
        database = self.database
        assert database is not None
        backoff = Backoff(first_s=0.5, cap_s=5.0)
        while True:
            try:
                await asyncio.to_thread(database.prepare)
            except DatabaseError as error:
                self.database_problem = str(error)
                if not backoff.failures:
                    logger.error("%s", error)
                await asyncio.sleep(backoff.next_s())
                continue
            # Not before: a database without tables would fail whoever comes with a cookie.
            self.visitors.open(database)
            self.accounts = Accounts(self.settings, self.where, database, self.visitors.poke, self.senders)
            self.database_ready.set()
            await self.accounts.warm()
            return

    async def _run_engine(self) -> None:
        bus, database = self.bus, self.database
        assert bus is not None
        assert database is not None
        engine = self._make_engine(
            self.settings, bus=bus, database=database, lease=make_lease(self.settings), metrics=self.metrics
        )
        # The marks of before are in the database; but prices do not wait for a server for long. A SQLite file is not
        # away, it is missing or of another version: in production only the operator may create or change it.
        operators_own = self.settings.is_prod and database.is_sqlite
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if operators_own else _DATABASE_PATIENCE_S):
                await self.database_ready.wait()
        await engine.run()
