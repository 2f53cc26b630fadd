"""Posting to servers on the web, also to addresses that people gave us: guarded, bounded, and never redirected.

An address is checked at the moment of dialling: the very one that the socket is about to connect to. So neither a
name that leads elsewhere the second time it is asked for, nor another spelling, leads into our own network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from flashcur import __version__
from flashcur.domain.delivery.web_address import is_public, read_web_address
from flashcur.errors import DeliveryError, Refused, Unanswered

TIMEOUT_S = 10.0
"""From looking the name up to the end of the answer."""
MAX_ANSWER = 65_536
"""Bytes of an answer that are read; the rest is left."""
KEEP_ALIVE_S = 4.0
"""A connection that was idle for longer is not used again: many servers close theirs after five seconds, and a message
written just then has no answer."""
NAMES_FOR_S = 30
"""How long a looked-up name is remembered; what is dialled is checked each time."""
LOOKUP_S = 5.0
"""A name that cannot be looked up for longer is given up, together with its wait for a thread."""
THREADS = 64
"""Names looked up at a time for one purpose: those that hang must hold up no other thread of the process."""
USER_AGENT = f"FlashCur/{__version__}"

VENDORS = "vendors"
"""The purpose of all calls to the fixed names of providers: a handful, so none of them ever waits for a thread."""

Lookup = Callable[[str, int, int], Sequence[tuple[int, str]]]
"""Host, port and family (0: any) to (family, IP address) of each; blocks. Raises OSError where there is none."""

_INSIDE = "the name leads to an address that is not on the public internet"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """In any case: names are found however they are written."""
    body: bytes
    """The first `MAX_ANSWER` bytes at most, and less where the rest did not come in time."""


class Forbidden(OSError):
    """The address must not be dialled."""


class SlowName(OSError):
    """The name was not looked up in time."""


@dataclass(slots=True)
class _Progress:
    """How far a request came."""

    written: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)


class Dialler:
    """Posts from one process. Belongs to the event loop in which it is first used; `close` it there."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        lookup: Lookup | None = None,
        timeout_s: float = TIMEOUT_S,
        lookup_s: float = LOOKUP_S,
    ) -> None:
        """`allow_private`: development, where servers on this machine are called, without TLS too; `timeout_s`: of
        requests that have none of their own; `lookup_s`: of a name's look-up, within that."""
        self._allow_private = allow_private
        self._lookup = lookup or _look_up
        self._timeout_s = timeout_s
        self._lookup_s = lookup_s
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float | None = None,
        trusted: bool = False,
        purpose: str = "",
    ) -> Answer:
        """Post `body` and return the answer, whatever its status; redirects are not followed.

        `trusted`: the host is ours or the operator's choice (a provider's own address, an `…_API_BASE`), not a
        user's; it is not checked, and shares no connection with those that are. `purpose`: who calls users' addresses,
        a channel's name; each has connections and look-ups of its own.

        Raises Refused for an address that must not be called, DeliveryError where nothing was sent, and Unanswered
        where something was and no answer came.
        """
        if trusted:
            target = URL(url, encoded=True)
        else:
            try:
                target = URL(read_web_address(url, private=self._allow_private).url, encoded=True)
            except ValueError as error:
                raise Refused(f"The address cannot be called: expected {error}") from None
        host = target.host or ""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        progress = _Progress()
        try:
            async with asyncio.timeout(timeout_s):
                session = self._session(VENDORS if trusted else purpose, trusted or self._allow_private)
                await _exchange(session, target, headers, body, progress)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # TimeoutError is an OSError. With the status the server has said what matters; the rest are its words.
            if not progress.status:
                raise _problem(error, host, timeout_s, written=progress.written) from error
        return Answer(progress.status, progress.headers, bytes(progress.body))

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _session(self, purpose: str, unguarded: bool) -> aiohttp.ClientSession:
        session = self._sessions.get((purpose, unguarded))
        if session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_written)
            session = self._sessions[purpose, unguarded] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    resolver=_Names(self._lookup, self._lookup_s),
                    ttl_dns_cache=NAMES_FOR_S,
                    keepalive_timeout=KEEP_ALIVE_S,
                    socket_factory=None if unguarded else guarded_socket,
                ),
                # Time is measured from outside, and no server keeps anything here.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[trace],
            )
        return session


async def _exchange(
    session: aiohttp.ClientSession, target: URL, headers: Mapping[str, str], body: bytes, progress: _Progress
) -> None:
    async with session.post(
        target,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
        data=body,
        allow_redirects=False,
        trace_request_ctx=progress,
    ) as response:
        progress.headers = response.headers
        progress.status = response.status
        async for chunk in response.content.iter_any():
            progress.body += chunk[: MAX_ANSWER - len(progress.body)]
            if len(progress.body) >= MAX_ANSWER:
                break


def guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for what `getaddrinfo` told of an address that is about to be dialled.

    Raises Forbidden where that is not on the public internet.
    """
    family, kind, protocol, _, target = address
    if not is_public(str(target[0])):
        raise Forbidden(_INSIDE)
    return socket.socket(family, kind, protocol)


class _Names(AbstractResolver):
    """Looks names up in threads of its own, each name once at a time, and waits for none longer than `timeout_s`."""

    def __init__(self, lookup: Lookup, timeout_s: float) -> None:
        self._lookup = lookup
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._running: dict[str, asyncio.Future[Sequence[tuple[int, str]]]] = {}
        self._wanted_s: dict[str, float] = {}
        """By names that are being looked up: until when somebody waits (monotonic)."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self._wanted_s[host] = monotonic() + self._timeout_s
        running = self._running.get(host)
        if running is None:
            # The port does not matter to a name: nobody gets a thread for each of them.
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, self._look_up, host, family)
            self._running[host] = running
            running.add_done_callback(lambda done: self._done(host, done))
        try:
            async with asyncio.timeout(self._timeout_s):
                # Others may wait for the same one, and a thread cannot be called back.
                found = await asyncio.shield(running)
        except TimeoutError:
            raise SlowName(f"not looked up within {self._timeout_s:g} s") from None
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=flags)
            for kind, address in found
        ]

    def _look_up(self, host: str, family: int) -> Sequence[tuple[int, str]]:
        # Whoever wanted it has given up while it waited for a thread: those behind it are not to wait for it, too.
        if monotonic() > self._wanted_s.get(host, 0):
            raise SlowName("nobody waits for it any more")
        return self._lookup(host, 0, family)

    def _done(self, host: str, done: asyncio.Future[Sequence[tuple[int, str]]]) -> None:
        self._running.pop(host, None)
        self._wanted_s.pop(host, None)
        if not done.cancelled():
            # Nobody may be there to take it any more.
            done.exception()

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> Sequence[tuple[int, str]]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(kind, str(address[0])) for kind, _, _, _, address in found]


async def _note_written(session: object, context: Any, told: object) -> None:
    context.trace_request_ctx.written = True


def _problem(error: Exception, host: str, timeout_s: float, *, written: bool) -> DeliveryError:
    """What is said of a request without an answer; never the address itself, whose path may be secret."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Forbidden):
        return Refused(f"{host}: {_INSIDE}")
    if written:
        how = f"within {timeout_s:g} s" if isinstance(error, TimeoutError) else "and closed the connection"
        return Unanswered(f"{host} did not answer {how}")
    if isinstance(error, TimeoutError):
        return DeliveryError(f"{host} could not be reached within {timeout_s:g} s")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        if isinstance(error.os_error, SlowName):
            return DeliveryError(f"{host}: the name could not be looked up in time")
        return DeliveryError(f"{host}: there is no such name, or it cannot be looked up")
    if isinstance(error, aiohttp.ClientSSLError):
        return DeliveryError(f"{host}: its certificate is not valid, or it does not speak TLS")
    if isinstance(error, aiohttp.ClientConnectorError):
        return DeliveryError(f"{host} could not be reached: {error.os_error.strerror or 'no connection'}")
    return DeliveryError(f"{host} could not be reached: {type(error).__name__}")
