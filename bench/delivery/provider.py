"""A provider on this machine that takes messages over HTTP and counts the keys under which they came, and channels
that hand messages to it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from flashcur.domain.delivery.message import Message
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.channel import Handed, Outgoing, Payload

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Reply:
    """What is answered instead of taking a message."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    taken: bool = False
    """Take the message and close the connection without a word."""


@dataclass(frozen=True)
class Arrival:
    """A message as it came."""

    key: str
    channel: str
    recipient: str
    body: bytes
    at_s: float
    """`time.monotonic()`, which is the same in all processes of a machine."""


@dataclass(frozen=True)
class Taking:
    """A message that was taken."""

    worker: int
    """Process that handed it over."""
    answered: bool


@dataclass
class Provider:
    """Takes whatever comes, unless it is scripted."""

    url: str = ""
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    """Everything that came, taken or not."""
    taken: Counter[str] = field(default_factory=Counter[str])
    """How often each key was taken."""
    takings: dict[str, list[Taking]] = field(default_factory=dict[str, list[Taking]])
    """From whom each key was taken, in order, and whether that was said."""
    script: dict[str, deque[Reply]] = field(default_factory=dict[str, deque[Reply]])
    """What the next messages for a recipient are answered."""
    down: bool = False
    """Everything is answered 503."""
    hangs: set[str] = field(default_factory=set[str])
    """Channels that never answer."""
    delay_s: float = 0.0
    forgets: float = 0.0
    """Share of messages that are taken and not answered, by their keys."""

    def say(self, recipient: str, *replies: Reply) -> None:
        self.script.setdefault(recipient, deque()).extend(replies)

    def keys(self, recipient: str) -> list[str]:
        return [arrival.key for arrival in self.arrivals if arrival.recipient == recipient]

    def recipients(self) -> list[str]:
        return [arrival.recipient for arrival in self.arrivals]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        at_s = time.monotonic()
        body = await request.read()
        channel, key, recipient = (request.headers[name] for name in ("X-Channel", "X-Key", "X-Recipient"))
        self.arrivals.append(Arrival(key, channel, recipient, body, at_s))
        replies = self.script.get(recipient)
        reply = Reply(503) if self.down else replies.popleft() if replies else Reply()
        if channel in self.hangs:
            await asyncio.Event().wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if reply.status != 200:
            return web.Response(status=reply.status, headers=reply.headers, text="scripted")
        again = self.taken[key]
        self.taken[key] += 1
        silent = reply.taken or (not again and self.forgets > 0 and int(key[:4], 16) / 0x10000 < self.forgets)
        worker = int(request.headers.get("X-Worker", 0))
        self.takings.setdefault(key, []).append(Taking(worker, not silent))
        # Whoever handed it over may be gone already.
        if silent and request.transport is not None:
            request.transport.abort()
        return web.json_response({"id": f"p-{key[:8]}"})


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a thread of its own."""
    found = Provider()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/", found.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        return runner

    thread = threading.Thread(target=loop.run_forever, name="provider")
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)

    async def stop() -> None:
        await runner.cleanup()
        # Those that hang would do so for ever.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class ProviderChannel:
    """Hands messages to a `Provider`; see `flashcur.services.notify.channel.Channel`."""

    problem = ""

    def __init__(
        self,
        url: str,
        name: str = "telegram",
        *,
        rate: float = 1000.0,
        recipient_rate: float = 1000.0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name, self.rate, self.recipient_rate = name, rate, recipient_rate
        self.own_servers = False
        self.useful_s = 3600
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    def render(self, message: Message) -> Payload:
        return {"text": message.title}

    async def send(self, outgoing: Outgoing) -> Handed:
        if self._session is None:
            # A connection each: one that is kept says nothing of where a message got lost.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        headers = {
            "X-Channel": self.name,
            "X-Key": outgoing.key,
            "X-Recipient": outgoing.recipient,
            "X-Worker": str(os.getpid()),
        }
        try:
            async with self._session.post(
                self._url, json=dict(outgoing.payload), headers=headers, timeout=self._timeout
            ) as answer:
                return self._read(answer, await answer.json() if answer.status == 200 else {})
        except aiohttp.ClientConnectorError as error:
            raise DeliveryError(f"it cannot be reached: {error}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(f"no answer: {type(error).__name__}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _read(self, answer: aiohttp.ClientResponse, said: Mapping[str, Any]) -> Handed:
        match answer.status:
            case 200:
                return Handed(said["id"], "accepted")
            case 429:
                wait_s = float(answer.headers["Retry-After"])
                raise TryAgainLater("slow down", wait_s=wait_s, whole_channel="X-Whole-Channel" in answer.headers)
            case 410:
                raise Gone("Forbidden: bot was blocked by the user")
            case status if 400 <= status < 500:
                raise Refused(f"refused: {status}")
            case status:
                raise DeliveryError(f"answered {status}")
