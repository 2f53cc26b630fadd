"""One interface to the live market of any venue: instruments, a first snapshot, supervised streams, REST requests."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from flashcur.domain.assets import AssetClass
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Instrument, OpenInterest, Reject, Tick
from flashcur.errors import VenueError, VenueUnavailable
from flashcur.services.market.connection import Channel, Wire
from flashcur.services.market.counters import FeedCounters
from flashcur.services.market.sequence import Sequencer
from flashcur.services.market.stream_group import StreamGroup
from flashcur.services.market.venue_clock import VenueClock
from flashcur.services.market.venues import Stream, Venue

if TYPE_CHECKING:
    # At run time this module would import ccxt.
    from flashcur.services.market.ccxt_client import Transport


log = logging.getLogger(__name__)

T = TypeVar("T")


class VenueFeed(ABC):
    """The market of one venue. `instruments` comes first, then `snapshot` and `run` in any order.

    Ticks and rejects are handed over synchronously, on the event loop, as they arrive; a tick is never older than the
    one handed over before it. All methods may raise VenueError.
    """

    wire: ClassVar[Wire]

    def __init__(
        self,
        venue: Venue,
        transport: Transport,
        on_tick: Callable[[Tick], None],
        on_reject: Callable[[Reject], None],
    ) -> None:
        self.venue = venue
        self.counters = FeedCounters()
        self.symbols: frozenset[str] = frozenset()
        """Contracts of the last `instruments` answer."""
        self.clock = VenueClock()
        self._transport = transport
        self._on_tick = on_tick
        self._on_reject = on_reject
        self._sequencer = Sequencer()
        self._candle_symbols: frozenset[str] = frozenset()
        self._unknown: set[str] = set()
        self._groups = {stream: StreamGroup(self._channel(stream, take)) for stream, take in self._takers().items()}

    @property
    def skew_ms(self) -> int:
        """How far the venue's clock is ahead of ours."""
        return self.clock.skew_ms

    async def instruments(self) -> list[Instrument]:
        """Ask for the USDT-quoted linear perpetuals in trading state. Raises VenueError.

        Streams follow: new contracts join, gone ones leave.
        """
        listed = self._usable(await self._fetch_instruments())
        if not listed:
            raise VenueUnavailable(f"{self.venue.name}: expected contracts in trading state, was none")
        self.symbols = frozenset(instrument.symbol for instrument in listed)
        self._tell_unknown(instrument.symbol for instrument in listed if instrument.asset_class is AssetClass.OTHER)
        self._sequencer.keep_only(set(self.symbols))
        self._subscribe()
        return listed

    async def snapshot(self) -> list[Tick]:
        """The newest values of every contract by REST: tickers, funding, and open interest where it comes with them.

        Raises VenueError.
        """
        parsed = await self._fetch_snapshot()
        ticks: list[Tick] = []
        for entry in parsed:
            if isinstance(entry, Reject):
                if entry.symbol is None or entry.symbol in self.symbols:
                    self._reject(entry)
            elif entry.symbol in self.symbols and self._sequencer.refuse(entry) is None:
                ticks.append(entry)
        return ticks

    async def run(self) -> None:
        """Open the streams and keep them up until cancelled.

        Raises VenueBlocked or VenueRateLimited when the venue refuses connections, VenueSilent or VenueUnavailable when
        a stream stays without data through its restarts.
        """
        if not self.symbols:
            await self.instruments()
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in self._groups.values():
                    tasks.create_task(group.run())
        except BaseExceptionGroup as group:
            raise _first_error(group) from group

    def set_candle_symbols(self, symbols: Iterable[str]) -> None:
        """Which contracts have their hourly candles streamed; unknown ones are left out until they are listed."""
        self._candle_symbols = frozenset(symbols)
        self._groups[Stream.CANDLE].set_topics(map(self._candle_topic, self._candle_symbols & self.symbols))

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        """The last `limit` (up to 1,000) hourly candles, oldest first, the last one usually still open.

        `patient`: other requests go first. Raises VenueError.
        """
        return self._usable(await self._fetch_candles(symbol, limit, patient))

    async def open_interest(self, symbol: str) -> OpenInterest:
        """Open contracts of one symbol. Raises VenueError, also when the answer cannot be used."""
        parsed = await self._fetch_open_interest(symbol)
        if isinstance(parsed, Reject):
            self._reject(parsed)
            raise VenueUnavailable(f"{self.venue.name}: open interest of {symbol}: {parsed.detail}")
        return parsed

    async def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]:
        """The last `limit` values of one symbol in steps of five minutes, oldest first. Raises VenueError."""
        history = self._usable(await self._fetch_open_interest_history(symbol, limit))
        return sorted(history, key=lambda value: value.event_ms)

    async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]:
        """Open interest of one symbol in steps of five minutes from `first_ms` to `end_ms` (Unix ms), oldest first.

        At most 200 values; fewer where the exchange does not have them. Other requests go first. Raises VenueError.
        """
        limit = -(-(end_ms - first_ms) // 300_000)
        past = self._usable(await self._fetch_open_interest_history(symbol, limit, first_ms))
        return sorted(
            (value for value in past if first_ms <= value.event_ms < end_ms), key=lambda value: value.event_ms
        )

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]:
        """The prices at the end of each of the last minutes: (Unix ms, USDT), oldest first; other requests go first.

        Of the last `minutes` (up to 99) the one in progress has none. Raises VenueError.
        """
        past = self._usable(await self._fetch_minutes(symbol, minutes))
        return [(candle.event_ms, candle.close) for candle in past if candle.closed]

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        """The closed candles of one minute from `first_ms` to `end_ms` (Unix ms, full minutes), oldest first.

        At most 1,000 of them; fewer where the exchange does not have them. Other requests go first. Raises VenueError.
        """
        past = self._usable(await self._fetch_minutes(symbol, (end_ms - first_ms) // 60_000, first_ms))
        return [candle for candle in past if candle.closed and first_ms <= candle.open_ms < end_ms]

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Payment]:
        """Funding payments of one symbol from `since_ms` (Unix ms) on, oldest first; other requests go first.

        At most `Venue.payments_a_request`: the exchange decides whether the oldest or the newest. Raises VenueError.
        """
        payments = self._usable(await self._fetch_payments(symbol, since_ms))
        return sorted(
            (payment for payment in payments if payment.paid_ms >= since_ms), key=lambda payment: payment.paid_ms
        )

    async def close(self) -> None:
        """Close every connection. The feed cannot be used again."""
        await self._transport.close()

    def _tell_unknown(self, symbols: Iterable[str]) -> None:
        """Say once of each contract that what it is on has a word that no table here has."""
        unknown = sorted(set(symbols) - self._unknown)
        if unknown:
            self._unknown.update(unknown)
            log.warning("%s: on something unknown, so not shown as crypto: %s", self.venue.name, ", ".join(unknown))

    def _subscribe(self) -> None:
        for stream, group in self._groups.items():
            if stream is not Stream.CANDLE:
                group.set_topics(self._topics(stream))
        self.set_candle_symbols(self._candle_symbols)

    def _channel(self, stream: Stream, take: Callable[[object, int], int]) -> Channel:
        return Channel(
            venue=self.venue,
            stream=stream,
            transport=self._transport,
            wire=self.wire,
            url=lambda number: self._url(stream, number),
            take=take,
            connected=lambda: self._connected(stream),
            reject=self._reject,
            counters=self.counters.streams[stream],
        )

    def _connected(self, stream: Stream) -> None:  # noqa: B027  (most venues keep nothing by connection)
        """A connection of `stream` was opened."""

    def _hand_over(self, stream: Stream, parsed: Tick | Reject) -> bool:
        """Pass a parsed value on; True when it was news."""
        if isinstance(parsed, Reject):
            self._reject(parsed)
            return False
        if parsed.symbol not in self.symbols:
            return False
        refused = self._sequencer.refuse(parsed)
        if refused is not None:
            self._reject(Reject(stream, refused, parsed.symbol, f"event {parsed.event_ms}"))
            return False
        self.counters.streams[stream].ticks += 1
        self._on_tick(parsed)
        return True

    def _usable(self, parsed: Iterable[T | Reject]) -> list[T]:
        """What could be parsed of an answer; the rest is counted."""
        found: list[T] = []
        for entry in parsed:
            if isinstance(entry, Reject):
                self._reject(entry)
            else:
                found.append(entry)
        return found

    def _reject(self, reject: Reject) -> None:
        self.counters.count(reject)
        self._on_reject(reject)

    def _learn_clock(self, answer: object, key: str, asked_ms: int) -> None:
        """Set `clock` by the server time in an answer that has just come; asked for at `asked_ms` of `steady_ms`."""
        venue_ms = cast("dict[str, object]", answer).get(key) if isinstance(answer, dict) else None
        if isinstance(venue_ms, int) and venue_ms > 0:
            self.clock.learn(venue_ms, asked_ms)

    @abstractmethod
    def _takers(self) -> dict[Stream, Callable[[object, int], int]]:
        """What takes the messages of each stream of the venue."""

    @abstractmethod
    def _topics(self, stream: Stream) -> list[str]:
        """Topics of a stream other than candles, for the current symbols."""

    @abstractmethod
    def _candle_topic(self, symbol: str) -> str: ...

    @abstractmethod
    def _url(self, stream: Stream, number: int) -> str: ...

    @abstractmethod
    def _fetch_instruments(self) -> Awaitable[list[Instrument | Reject]]: ...

    @abstractmethod
    def _fetch_snapshot(self) -> Awaitable[list[Tick | Reject]]: ...

    @abstractmethod
    def _fetch_candles(self, symbol: str, limit: int, patient: bool) -> Awaitable[list[Candle | Reject]]: ...

    @abstractmethod
    def _fetch_minutes(
        self, symbol: str, limit: int, first_ms: int | None = None
    ) -> Awaitable[list[Candle | Reject]]: ...

    @abstractmethod
    def _fetch_open_interest(self, symbol: str) -> Awaitable[OpenInterest | Reject]: ...

    @abstractmethod
    def _fetch_open_interest_history(
        self, symbol: str, limit: int, first_ms: int | None = None
    ) -> Awaitable[list[OpenInterest | Reject]]: ...

    @abstractmethod
    def _fetch_payments(self, symbol: str, since_ms: int) -> Awaitable[list[Payment | Reject]]: ...


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The VenueError in a group of failed tasks, or whatever else is first."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, VenueError)), leaves[0])
