"""ccxt's exchange classes, changed to hand over raw messages. The only module that imports ccxt: import it in a thread.

ccxt's own path from a message to a value parses every field into its unified form, overwrites one ticker entry from
two streams, and keeps only what somebody awaits. Here `handle_message` passes each decoded message on as it came. ccxt
still does addresses, requests, rate limits, sockets and pings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from string import punctuation
from typing import Any, cast
from urllib.parse import quote, urlsplit

from aiohttp import WSMsgType

from flashcur.errors import VenueError, VenueRateLimited, VenueUnavailable
from flashcur.services.kit.clock import now_ms
from flashcur.services.market.http_errors import venue_error
from flashcur.services.market.venues import Venue
from flashcur.services.market.waits import (
    BYBIT_LIMITED,
    PATIENT_SHARE,
    Pause,
    pause_of,
    spent_minute_s,
    stated_wait_s,
)

log = logging.getLogger(__name__)

# ccxt ships no types: its classes are Any here, and nothing else of the package sees them.
_client: Any = import_module("ccxt.async_support.base.ws.client")
_BaseError: type[Exception] = import_module("ccxt.base.errors").BaseError
_decode: Callable[[str], object] = _client.json_parser.loads
"""orjson's when it is installed."""

OnMessage = Callable[[object, int], bool]
"""Takes a decoded message and our clock in ms; False hands it to ccxt (pongs)."""

_CONNECTED_ENDS = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})
_CLOSE_PATIENCE_S = 1.0
_LOOK_S = 0.05
"""How often a patient request looks whether the way is clear."""
_PATIENCE_S = 3.0
"""After so long it stands in line with the others: a few get through while an exchange is asked for everything."""


class RawClient(_client.Client):
    """ccxt's socket with one receiving task instead of one a message, and a decoder that survives garbage."""

    on_message: OnMessage | None = None
    retired = False
    receiver: asyncio.Task[None] | None = None

    def receive_loop(self) -> None:
        """Called by ccxt once it has connected: start the receiving task."""
        self.receiver = asyncio.get_running_loop().create_task(self._receive_all())

    async def _receive_all(self) -> None:
        last: WSMsgType | None = None
        try:
            while not self.retired:
                frame = await self.connection.receive()
                if frame.type is WSMsgType.TEXT:
                    self._take(frame.data)
                    continue
                self.handle_message(frame)
                last = frame.type
                if frame.type in _CONNECTED_ENDS:
                    break
        except Exception as error:
            self.on_error(error)
            return
        if self.retired:
            await self.close()
        elif self.error is None and last is not WSMsgType.CLOSE:
            self.on_close(1006)

    def _take(self, text: str) -> None:
        try:
            message = _decode(text)
        except ValueError:
            message = text
        try:
            self.on_message_callback(self, message)
        except Exception:
            # One message that a consumer cannot take must not end the stream.
            log.exception("a message from %s could not be handled", self.url)


def _raw_class(base: Any, venue: Venue, pause: Pause, patience: Pause) -> Any:
    class RawExchange(base):
        """The ccxt class of one venue, raw."""

        def client(self, url: str) -> RawClient:
            self.open()
            if url not in self.clients:
                options = {
                    **self.streaming,
                    "log": self.log,
                    "ping": getattr(self, "ping", None),
                    "verbose": self.verbose,
                    "throttle": _client_throttle(self),
                    "asyncio_loop": self.asyncio_loop,
                    **self.options.get("ws", {}),
                }
                self.clients[url] = RawClient(
                    url, self.handle_message, self.on_error, self.on_close, self.on_connected, options
                )
            return self.clients[url]

        def handle_message(self, client: RawClient, message: object) -> None:
            if client.retired:
                return
            take = client.on_message
            if (take is None or not take(message, now_ms())) and isinstance(message, dict):
                base.handle_message(self, client, message)

        def handle_errors(
            self, code: int, reason: str, url: str, method: str, headers: Any, body: Any, response: Any, *sent: Any
        ) -> None:
            error = venue_error(venue.name, code, headers, body if isinstance(body, str) else str(reason))
            error = error or _limited_within(venue, headers, response)
            if error is not None:
                raise error
            spent_s = spent_minute_s(headers, venue.weight_a_minute)
            if spent_s is not None:
                pause.begin(spent_s, asked=True, handshakes=False)
            scarce_s = spent_minute_s(headers, venue.weight_a_minute, share=PATIENT_SHARE)
            if scarce_s is not None:
                patience.begin(scarce_s, asked=True, handshakes=False)
            base.handle_errors(self, code, reason, url, method, headers, body, response, *sent)

        async def fetch(self, url: str, *request: Any, **options: Any) -> Any:
            # ccxt leaves symbols with Chinese characters as they are in Bybit's queries; HTTP wants them quoted.
            ascii_url = url if url.isascii() else quote(url, safe=punctuation)
            return await base.fetch(self, ascii_url, *request, **options)

        def ws_dial_delay(self, url: str) -> float:
            # The connections have their own back-off, with jitter.
            return 0.0

    return RawExchange


def _limited_within(venue: Venue, headers: Any, answer: Any) -> VenueError | None:
    """Bybit refuses in an answer of status 200, by its `retCode`."""
    if not isinstance(answer, dict) or cast("dict[str, object]", answer).get("retCode") not in BYBIT_LIMITED:
        return None
    said = cast("dict[str, object]", answer)
    text = f"{venue.name} answered {said['retCode']}: {str(said.get('retMsg', ''))[:200]}"
    wait_s = stated_wait_s(headers, text)
    return VenueRateLimited(text, retry_after=wait_s, asked=wait_s is not None)


def _client_throttle(exchange: Any) -> Any:
    return import_module("ccxt.async_support.base.throttler").Throttler(exchange.tokenBucket, exchange.asyncio_loop)


class Socket:
    """One open connection."""

    def __init__(self, client: Any, closed: asyncio.Future[Any], retire: Callable[[Any], None], venue: Venue) -> None:
        self._client = client
        self._retire = retire
        self._venue = venue
        self.closed = closed
        """Done when the connection has ended, whatever the reason."""

    async def send(self, message: Mapping[str, object]) -> None:
        """Send a JSON message. Raises VenueUnavailable when the connection has gone."""
        try:
            await self._client.send(message)
        except Exception as error:
            raise VenueUnavailable(f"{self._venue.name}: cannot send on a closed connection: {error}") from error

    def close_reason(self) -> VenueError:
        """Why the connection ended; ask once `closed` is done."""
        if self.closed.cancelled():
            return VenueUnavailable(f"{self._venue.name}: the connection was closed")
        return translate(self._venue, self.closed.exception())

    def retire(self) -> None:
        """Take no more messages from it and close it in the background."""
        self._retire(self._client)


class Transport:
    """REST requests and sockets of one venue, with our errors. Built in a thread, used on one event loop."""

    def __init__(self, venue: Venue, rest_url: str | None, ws_url: str | None) -> None:
        base: Any = getattr(import_module(f"ccxt.pro.{venue.id}"), venue.id)
        self.venue = venue
        self.pause = pause_of(venue.id, rest_url)
        self._patience = Pause()
        self._exchange: Any = _raw_class(base, venue, self.pause, self._patience)(
            {
                "enableRateLimit": True,
                "rateLimit": venue.request_interval_ms,
                # Waiting requests look at the bucket every `delay` seconds; ccxt's 1 ms would cost some 3 % of a core.
                "tokenBucket": {"delay": 0.02, "capacity": venue.request_burst, "tokens": venue.request_burst},
                # Inflating costs more than the bytes it saves.
                "options": {"ws": {"compress": 0}},
            }
        )
        # ccxt's default is one dict shared by all exchanges, and closing one of them would close the others' sockets.
        self._exchange.clients = {}
        api = self._exchange.urls["api"]
        self._exchange.urls["api"] = _rebased(_rebased(api, rest_url, "http"), ws_url, "ws")
        self._closing: set[asyncio.Task[Any]] = set()

    @property
    def exchange(self) -> Any:
        """The ccxt instance, for its address helpers."""
        return self._exchange

    async def get(self, endpoint: str, params: Mapping[str, object] | None = None, *, patient: bool = False) -> object:
        """The decoded answer of one of ccxt's implicit endpoints (`fapiPublicGetExchangeInfo`).

        A `patient` request is sent when no other waits for its turn, or after a few seconds, and only while the
        exchange has weight to spare.
        After a refusal nothing is sent until the wait it states has passed; VenueRateLimited says how long that is.
        Raises another VenueError for any other failure.
        """
        if patient:
            await self._way_is_clear()
        self._rest()
        try:
            answer: object = await getattr(self._exchange, endpoint)(dict(params or {}))
        except VenueError as error:
            self._note(error)
            raise
        except Exception as error:
            raise translate(self.venue, error) from error
        if not isinstance(answer, dict | list):
            raise VenueUnavailable(f"{self.venue.name}: expected JSON from {endpoint}, was {str(answer)[:80]!r}")
        return cast(object, answer)

    async def open(self, url: str, on_message: OnMessage) -> Socket:
        """A connected socket; raises VenueBlocked, VenueRateLimited or VenueUnavailable."""
        if self.pause.handshakes:
            self._rest()
        closed: asyncio.Future[Any] = self._exchange.watch_multiple(url, ["closed"])
        client = self._exchange.client(url)
        client.on_message = on_message
        socket = Socket(client, closed, self._retire, self.venue)
        try:
            await asyncio.wait({closed, client.connected}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            socket.retire()
            raise
        if closed.done():
            reason = socket.close_reason()
            socket.retire()
            self._note(reason)
            raise reason
        return socket

    async def _way_is_clear(self) -> None:
        """Return when no request waits for its turn; the caller's takes it without another pause in between."""
        until = time.monotonic() + _PATIENCE_S
        waiting = self._exchange.throttler.queue
        while self._patience.left_s > 0 or (waiting and time.monotonic() < until):  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(_LOOK_S)

    def _rest(self) -> None:
        wait_s, cause = self.pause.left_s, self.pause.cause
        if wait_s > 0 and cause is not None and not isinstance(cause, VenueRateLimited):
            # It is as it was: an exchange that is down, or closed to this address, does not become a busy one.
            raise type(cause)(str(cause), retry_after=wait_s, asked=self.pause.asked)
        if wait_s > 0:
            why = "asked to wait" if self.pause.asked else "limits requests and is left alone for"
            message = f"{self.venue.name} {why} {wait_s:.0f} s more"
            raise VenueRateLimited(message, retry_after=wait_s, asked=self.pause.asked, shut_out=self.pause.handshakes)

    def _note(self, error: VenueError) -> None:
        limited = isinstance(error, VenueRateLimited)
        if limited or error.asked:
            shut_out = limited and error.shut_out
            self.pause.begin(error.retry_after or 0.0, asked=error.asked, handshakes=shut_out, cause=error)

    def _retire(self, client: Any) -> None:
        client.retired = True
        if self._exchange.clients.get(client.url) is client:
            del self._exchange.clients[client.url]
        self._in_background(client.close())

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._closing.add(task)
        task.add_done_callback(_closed_quietly)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every connection; a server that does not answer the close is not waited for."""
        for client in list(self._exchange.clients.values()):
            self._retire(client)
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=_CLOSE_PATIENCE_S)
            for task in late:
                task.cancel()
        await self._exchange.close()


def _closed_quietly(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def translate(venue: Venue, error: BaseException | None) -> VenueError:
    """What ccxt or aiohttp raised (None: the connection just ended), as one of our errors."""
    if isinstance(error, VenueError):
        return error
    # ccxt wraps what aiohttp raised; a refused handshake carries the HTTP status.
    cause = error.args[0] if isinstance(error, _BaseError) and error.args else error
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        headers = cast("Mapping[str, str] | None", getattr(cause, "headers", None))
        refused = venue_error(venue.name, status, headers, "the WebSocket handshake was refused")
        if refused is not None:
            return refused
        return VenueUnavailable(f"{venue.name}: expected a WebSocket handshake, was HTTP {status}")
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"RateLimitExceeded", "DDoSProtection"}:
        return VenueRateLimited(f"{venue.name}: {' '.join(str(error).split())[:200]}")
    words = " ".join(str(cause).split())[:200] or type(cause).__name__
    if names & {"BadRequest", "BadSymbol"}:
        return VenueError(f"{venue.name}: {words}")
    if isinstance(error, BaseException) and error.__cause__ is not None and "NetworkError" in names:
        # ccxt says which address it asked; why that failed is in what it wrapped.
        words = f"cannot be reached: {' '.join(str(error.__cause__).split())[:200] or type(error.__cause__).__name__}"
    return VenueUnavailable(f"{venue.name}: {words}")


def _rebased(urls: Any, base: str | None, scheme: str) -> Any:
    """`urls` with scheme, host and port of every `scheme` address replaced by `base`, paths kept."""
    if base is None:
        return urls
    if isinstance(urls, dict):
        table = cast("dict[str, Any]", urls)
        return {name: _rebased(value, base, scheme) for name, value in table.items()}
    if not isinstance(urls, str) or not urls.startswith((f"{scheme}://", f"{scheme}s://")):
        return urls
    path = urlsplit(urls).path
    root = base.rstrip("/")
    # The address may be given with the /ws that Binance's path ends in.
    return root if path == "/ws" and root.endswith("/ws") else root + path
