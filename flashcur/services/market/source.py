"""The market, from whichever exchange can serve: order of preference, fail-over, and the way back.

Every exchange has a task that waits until it is wanted (nothing serves, or something less wanted does), starts it
aside, and takes over only when it has contracts and a first snapshot, so that a switch leaves no hole. The simulated
exchange is the last of them in demo mode `auto` and the only one in `on`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Tick, Ticker
from flashcur.errors import VenueError, VenueUnavailable
from flashcur.services.market.candidate import Candidate, State
from flashcur.services.market.counters import FeedCounters
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.feeds import open_feed
from flashcur.services.market.venues import BINANCE, Stream, Venue, venue_by_id
from flashcur.services.market.waits import pause_of
from flashcur.services.simulator import SimulatorProcess
from flashcur.settings import Settings, VenueUrls

log = logging.getLogger(__name__)

DEMO_AFTER_S = 10.0
"""Nothing real has answered for this long: demo data is better than none."""
_HEAD_START_S = 3.0
"""How long a less wanted exchange waits for a more wanted one while nothing serves."""


class Sink(Protocol):
    """What receives the market. Called on the event loop; must not block."""

    def on_switch(self, venue: Venue, reason: str, demo: bool) -> None:
        """Another exchange serves from now on; its instruments and a whole snapshot of ticks follow at once."""
        ...

    def on_instruments(self, venue: Venue, instruments: list[Instrument]) -> None:
        """All contracts in trading state now; those missing are gone."""
        ...

    def on_tick(self, venue: Venue, tick: Tick) -> None:
        """One value of one contract."""
        ...

    def on_reject(self, venue: Venue, reject: Reject) -> None:
        """A raw value was refused."""
        ...


class Simulator(Protocol):
    """The simulated exchange as a process of its own."""

    @property
    def rest_url(self) -> str:
        """`http://host:port`, once it has started."""
        ...

    @property
    def ws_url(self) -> str:
        """`ws://host:port`, once it has started."""
        ...

    async def start(self) -> None:
        """Start it and wait until it listens. Raises VenueUnavailable when it does not."""
        ...

    async def wait(self) -> int:
        """Wait until the process ends; returns its exit status."""
        ...

    async def stop(self) -> None:
        """End the process; harmless when it is not running."""
        ...


FeedFactory = Callable[[Venue, VenueUrls, Callable[[Tick], None], Callable[[Reject], None]], Awaitable[VenueFeed]]


@dataclass(frozen=True, slots=True)
class VenueStatus:
    """One exchange at a moment, for /health and /metrics."""

    key: str
    """The ccxt id, or `demo`."""
    name: str
    demo: bool
    state: State
    reason: str
    """Why it does not serve, one line; empty while it does."""
    symbols: int
    """Contracts, while it serves; else 0."""
    last_message_age_s: float | None
    """Seconds since the last usable message of any stream; None before the first."""
    stream_ages_s: dict[Stream, float | None]
    """The same for each stream."""
    counters: FeedCounters
    waits_s: float | None = None
    """Seconds until requests are sent again, where it asked for a pause."""


class _Session:
    """Ticks of one feed: kept until the feed serves, then passed on until another one has taken over."""

    def __init__(self, candidate: Candidate, sink: Sink) -> None:
        self._venue = candidate.venue
        self._displaced = candidate.displaced
        self._sink = sink
        self._kept: dict[tuple[object, ...], Tick] | None = {}
        self._missing: set[type[Tick]] = {Ticker, Funding}
        self.streaming = asyncio.Event()
        """Set once prices and funding have come by stream."""

    def on_tick(self, tick: Tick) -> None:
        if self._kept is None:
            if not self._displaced.is_set():
                self._sink.on_tick(self._venue, tick)
            return
        self._kept[type(tick), tick.symbol, tick.open_ms if isinstance(tick, Candle) else 0] = tick
        self._missing.discard(type(tick))
        if not self._missing:
            self.streaming.set()

    def on_reject(self, reject: Reject) -> None:
        self._sink.on_reject(self._venue, reject)

    def activate(self, snapshot: Iterable[Tick]) -> None:
        """Pass on the snapshot and what has arrived since, then everything as it comes."""
        kept, self._kept = self._kept or {}, None
        for tick in (*snapshot, *kept.values()):
            self._sink.on_tick(self._venue, tick)


class MarketSource:
    """Serves one exchange's market to `sink`; `run` until cancelled."""

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        *,
        simulator: Callable[[], Simulator] | None = None,
        feed_factory: FeedFactory = open_feed,
        demo_after_s: float = DEMO_AFTER_S,
    ) -> None:
        """`simulator` makes the process that is started when demo data is needed; `feed_factory` is for tests.

        Raises ConfigError for an exchange that is not known.
        """
        symbols, seed = settings.demo_symbols, settings.demo_seed
        real = [] if settings.demo == "on" else [venue_by_id(name) for name in settings.exchanges]
        self._candidates = [
            Candidate(rank, venue, settings.venue_urls.get(venue.id, VenueUrls())) for rank, venue in enumerate(real)
        ]
        if settings.demo != "off":
            self._candidates.append(Candidate(len(real), BINANCE, VenueUrls(), demo=True))
        self._sink = sink
        self._simulator = simulator or (lambda: SimulatorProcess(symbols=symbols, seed=seed))
        self._feed_factory = feed_factory
        self._demo_after_s = demo_after_s
        self._current: Candidate | None = None
        self._ever_served = False
        self._alone_since = time.monotonic()
        self._changed = asyncio.Event()
        self._candle_symbols: frozenset[str] = frozenset()

    @property
    def venue(self) -> Venue | None:
        """The exchange that serves; None while there is none."""
        return self._current.venue if self._current else None

    @property
    def demo(self) -> bool:
        """True while the simulated exchange serves."""
        return self._current is not None and self._current.demo

    async def run(self) -> None:
        """Serve until cancelled; every failure of an exchange is handled here."""
        self._alone_since = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for candidate in self._candidates:
                tasks.create_task(self._pursue(candidate))

    async def refresh_instruments(self) -> None:
        """Ask for the contracts again and pass them on; streams follow. Raises VenueError."""
        candidate, feed = self._serving()
        instruments = await feed.instruments()
        if self._current is candidate:
            self._sink.on_instruments(candidate.venue, instruments)

    async def refresh_snapshot(self) -> None:
        """Ask for all prices and funding by REST and pass on what is newer. Raises VenueError."""
        candidate, feed = self._serving()
        for tick in await feed.snapshot():
            if self._current is candidate:
                self._sink.on_tick(candidate.venue, tick)

    def set_candle_symbols(self, symbols: Iterable[str]) -> None:
        """Which contracts have their candles streamed, also after a switch."""
        self._candle_symbols = frozenset(symbols)
        if self._current is not None and self._current.feed is not None:
            self._current.feed.set_candle_symbols(self._candle_symbols)

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        """The last `limit` hourly candles of the exchange that serves, oldest first.

        `patient`: other requests go first. Raises VenueError.
        """
        candidate, feed = self._serving()
        candles = await feed.candles(symbol, limit, patient=patient)
        self._still(candidate)
        return candles

    async def open_interest(self, symbol: str) -> OpenInterest:
        """Open contracts of one symbol on the exchange that serves. Raises VenueError."""
        candidate, feed = self._serving()
        answer = await feed.open_interest(symbol)
        self._still(candidate)
        return answer

    async def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]:
        """The last `limit` five-minute values of one symbol, oldest first. Raises VenueError."""
        candidate, feed = self._serving()
        history = await feed.open_interest_history(symbol, limit)
        self._still(candidate)
        return history

    async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]:
        """Open interest each five minutes from `first_ms` to `end_ms` (Unix ms), at most 200 values, oldest first;
        other requests go first.

        Raises VenueError.
        """
        candidate, feed = self._serving()
        past = await feed.past_interest(symbol, first_ms, end_ms)
        self._still(candidate)
        return past

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]:
        """The prices at the end of each of the last minutes: (Unix ms, USDT), oldest first; other requests go first.

        Raises VenueError.
        """
        candidate, feed = self._serving()
        prices = await feed.past_prices(symbol, minutes)
        self._still(candidate)
        return prices

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        """The closed candles of one minute from `first_ms` to `end_ms` (Unix ms), 1,000 at most; others go first.

        Raises VenueError.
        """
        candidate, feed = self._serving()
        candles = await feed.minutes(symbol, first_ms, end_ms)
        self._still(candidate)
        return candles

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Payment]:
        """Funding payments of one symbol from `since_ms` (Unix ms) on, oldest first; other requests go first.

        Raises VenueError.
        """
        candidate, feed = self._serving()
        payments = await feed.funding_payments(symbol, since_ms)
        self._still(candidate)
        return payments

    def status(self) -> list[VenueStatus]:
        """Every exchange in order of preference."""
        return [_status(candidate, time.time() * 1000) for candidate in self._candidates]

    def _serving(self) -> tuple[Candidate, VenueFeed]:
        if self._current is None or self._current.feed is None:
            raise VenueUnavailable("no exchange serves at the moment")
        return self._current, self._current.feed

    def _still(self, candidate: Candidate) -> None:
        # An answer of the exchange before must not mix with the data of the one that serves now.
        if self._current is not candidate:
            raise VenueUnavailable("another exchange has taken over since the request")

    async def _pursue(self, candidate: Candidate) -> None:
        while True:
            await self._wanted(candidate)
            candidate.connecting()
            try:
                # What was opened is closed after the others know that this exchange has stopped serving.
                async with AsyncExitStack() as cleanup:
                    await self._attempt(candidate, cleanup)
            except Exception:
                log.exception("%s: closing the feed failed", candidate.venue.name)

    async def _attempt(self, candidate: Candidate, cleanup: AsyncExitStack) -> None:
        try:
            await self._serve(candidate, cleanup)
            candidate.rests()
        except VenueError as error:
            self._failed(candidate, error)
        except Exception as error:
            log.exception("%s: the feed stopped", candidate.venue.name)
            self._failed(candidate, VenueUnavailable(f"{candidate.venue.name}: {error!r}", retry_after=30.0))
        finally:
            self._left(candidate)

    def _failed(self, candidate: Candidate, error: VenueError) -> None:
        before = candidate.reason
        other = self._current is not None and self._current is not candidate and not self._current.demo
        candidate.failed(error, alone=not other)
        if candidate.reason != before:
            # Told once: an exchange that stays away is asked again every few seconds.
            log.warning("%s is not used: %s", candidate.key, error)

    def _left(self, candidate: Candidate) -> None:
        if self._current is candidate:
            self._current = None
            # What its streams still deliver until they are closed is not the next one's.
            candidate.displaced.set()
            if not candidate.demo:
                # When it was demo data that ended, nothing real has answered for longer.
                self._alone_since = time.monotonic()
                for other in self._candidates:
                    other.left_alone()
        candidate.feed = None
        self._pulse()

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wanted(self, candidate: Candidate) -> None:
        while True:
            changed, wait_s = self._changed, self._wait_s(candidate)
            if wait_s is not None and wait_s <= 0:
                return
            try:
                async with asyncio.timeout(wait_s):
                    await changed.wait()
            except TimeoutError:
                continue

    def _wait_s(self, candidate: Candidate) -> float | None:
        """Seconds until the candidate is to be tried; None: not before something changes."""
        now = time.monotonic()
        if self._current is not None:
            return candidate.retry_at - now if self._current.rank > candidate.rank else None
        better = [other for other in self._candidates if other.rank < candidate.rank]
        hopeful = any(not other.tried and other.retry_at <= now for other in better)
        head_start_s = 0.0
        if candidate.demo and better and (hopeful or self._ever_served):
            head_start_s = self._demo_after_s
        elif hopeful:
            head_start_s = _HEAD_START_S
        return max(candidate.retry_at, self._alone_since + head_start_s) - now

    async def _serve(self, candidate: Candidate, cleanup: AsyncExitStack) -> None:
        """Start the candidate, take over, and stay until it fails (raises) or another one has taken over (returns)."""
        if not candidate.demo:
            await self._serve_from(candidate, candidate.urls, cleanup)
            return
        simulator = self._simulator()
        cleanup.push_async_callback(simulator.stop)
        await simulator.start()
        ended = asyncio.create_task(_ended(simulator))
        cleanup.push_async_callback(_cancel, ended)
        # Its streams would notice its end only by their own reconnects and silence.
        await _first(ended, self._serve_from(candidate, VenueUrls(simulator.rest_url, simulator.ws_url), cleanup))

    async def _serve_from(self, candidate: Candidate, urls: VenueUrls, cleanup: AsyncExitStack) -> None:
        session = _Session(candidate, self._sink)
        feed = await self._feed_factory(candidate.venue, urls, session.on_tick, session.on_reject)
        cleanup.push_async_callback(feed.close)
        candidate.opened(feed)
        instruments = await feed.instruments()
        running = asyncio.create_task(feed.run())
        cleanup.push_async_callback(_cancel, running)
        snapshot = await feed.snapshot()
        if self._current is not None:
            # Something serves well enough: proof first that this one streams as well.
            await _first(running, session.streaming.wait())
        if self._current is not None and self._current.rank < candidate.rank:
            return
        self._take_over(candidate, feed, session, instruments, snapshot)
        await _first(running, candidate.displaced.wait())

    def _take_over(
        self,
        candidate: Candidate,
        feed: VenueFeed,
        session: _Session,
        instruments: list[Instrument],
        snapshot: list[Tick],
    ) -> None:
        previous, self._current = self._current, candidate
        reason = self._switch_reason(candidate, previous)
        if previous is not None:
            previous.displaced.set()
        candidate.serves()
        self._ever_served = True
        for other in self._candidates:
            other.tried = False
        log.info("%s serves%s", candidate.key, f": {reason}" if reason else "")
        self._sink.on_switch(candidate.venue, reason, candidate.demo)
        self._sink.on_instruments(candidate.venue, instruments)
        session.activate(snapshot)
        feed.set_candle_symbols(self._candle_symbols)
        self._pulse()

    def _switch_reason(self, candidate: Candidate, previous: Candidate | None) -> str:
        if previous is not None:
            return f"{candidate.venue.name} answers again"
        better = [other.reason for other in self._candidates if other.rank < candidate.rank and other.reason]
        return "; ".join(better)


async def _ended(simulator: Simulator) -> None:
    raise VenueUnavailable(f"the simulated exchange ended with status {await simulator.wait()}")


async def _first(running: asyncio.Task[None], event: Coroutine[Any, Any, object]) -> None:
    """Wait for `event`, raising what it raises; raises what ended `running` before it."""
    waiting = asyncio.create_task(event)
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            raise VenueUnavailable("the streams ended without a reason")
        waiting.result()
    finally:
        await _cancel(waiting)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _status(candidate: Candidate, now_ms: float) -> VenueStatus:
    counters = candidate.counters
    feed = candidate.feed

    def age_s(at_ms: int | None) -> float | None:
        return None if at_ms is None else max(0.0, (now_ms - at_ms) / 1000)

    return VenueStatus(
        key=candidate.key,
        name=candidate.venue.name,
        demo=candidate.demo,
        state=candidate.state,
        reason=candidate.reason,
        symbols=len(feed.symbols) if feed is not None and candidate.state is State.LIVE else 0,
        last_message_age_s=age_s(counters.last_message_ms),
        stream_ages_s={stream: age_s(value.last_message_ms) for stream, value in counters.streams.items()},
        counters=counters,
        waits_s=None if candidate.demo else pause_of(candidate.venue.id, candidate.urls.rest).left_s or None,
    )
