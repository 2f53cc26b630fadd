"""Events on their way: signed, sent, tried again, and disturbed as ordered."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import json
import logging
import random
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from flashcur.services.billing.sandbox.ledger import Ledger, Obj
from flashcur.services.billing.sandbox.rendering import CURRENT, OLD, render

log = logging.getLogger(__name__)

RETRIES_S: Final = (1.0, 5.0, 25.0)
"""Seconds after an attempt that was not answered with 2xx; after the last the event is given up."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_KEPT: Final = 10_000


@dataclass
class Disturbance:
    """What is done wrong with the events that are sent from now on."""

    hold: bool = False
    """Nothing is sent until `release`."""
    twice: bool = False
    drop: int = 0
    """So many of the next are never sent."""
    delay_ms: int = 0
    api_version: str = ""
    livemode: bool = False
    secret: str = ""
    """Signed with this one instead of the endpoint's."""
    thin: bool = False
    """Sent in the form of `v2.core.event`, which names the object without its content."""
    t_offset_s: int = 0
    """Added to the time that is signed."""


@dataclass(frozen=True)
class Attempt:
    """One delivery and how it was answered; `status` 0 where nobody did."""

    event: str
    kind: str
    url: str
    number: int
    status: int


class Deliveries:
    """Sends each event to each endpoint, in order, one at a time for each endpoint; what failed comes behind."""

    def __init__(self, ledger: Ledger, retries_s: tuple[float, ...] = RETRIES_S) -> None:
        self._ledger = ledger
        self._retries_s = retries_s
        self.wrong = Disturbance()
        self.held: list[tuple[str, str]] = []
        """Event and endpoint of what is held back."""
        self.attempts: deque[Attempt] = deque(maxlen=_KEPT)
        self._queues: dict[str, asyncio.Queue[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._client = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False)

    async def stop(self) -> None:
        """Give up what is on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def announce(self, event: Obj) -> None:
        """Send a new event to every endpoint that asked for its type."""
        for endpoint in self._ledger.all("we_"):
            wanted = endpoint["enabled_events"]
            if endpoint["status"] != "enabled" or not ("*" in wanted or event["type"] in wanted):
                continue
            if self.wrong.drop > 0:
                self.wrong.drop -= 1
                continue
            for _ in range(2 if self.wrong.twice else 1):
                if self.wrong.hold:
                    self.held.append((event["id"], endpoint["id"]))
                else:
                    self._queue(event["id"], endpoint["id"])

    def release(self, *, shuffle_seed: int | None = None) -> int:
        """Send what was held back, in a random order that follows from the seed if there is one; says how much."""
        waiting, self.held = self.held, []
        self.wrong = dataclasses.replace(self.wrong, hold=False)
        if shuffle_seed is not None:
            random.Random(shuffle_seed).shuffle(waiting)
        for event_id, endpoint_id in waiting:
            self._queue(event_id, endpoint_id)
        return len(waiting)

    def deliver(self, event_id: str) -> int:
        """Send a known event again to every endpoint; says to how many. Raises ApiRefusal."""
        self._ledger.get("evt_", event_id)
        endpoints = [endpoint["id"] for endpoint in self._ledger.all("we_")]
        for endpoint_id in endpoints:
            self._queue(event_id, endpoint_id)
        return len(endpoints)

    def body(self, event: Obj, endpoint: Obj) -> bytes:
        """What is sent of an event."""
        version = self.wrong.api_version or endpoint["api_version"] or CURRENT
        if self.wrong.thin:
            related = event["data"]["object"]
            thin: dict[str, Any] = {
                "id": event["id"], "object": "v2.core.event", "type": f"v1.{event['type']}", "created": "",
                "livemode": False, "reason": None,
                "related_object": {"id": related["id"], "type": related["object"], "url": ""},
            }  # fmt: skip
            return json.dumps(thin).encode()
        made = render(self._ledger, event, OLD if version == OLD else CURRENT)
        made |= {"api_version": version, "livemode": self.wrong.livemode, "pending_webhooks": 1}
        return json.dumps(made).encode()

    def signature(self, body: bytes, endpoint: Obj) -> str:
        """The header `Stripe-Signature`: a v1 for each secret, two while one is replaced by another."""
        at = int(time.time()) + self.wrong.t_offset_s
        secrets = [self.wrong.secret] if self.wrong.secret else endpoint["_secrets"]
        return ",".join([f"t={at}", *(f"v1={sign(secret, at, body)}" for secret in secrets)])

    def _queue(self, event_id: str, endpoint_id: str) -> None:
        queue = self._queues.get(endpoint_id)
        if queue is None:
            queue = self._queues[endpoint_id] = asyncio.Queue()
            self._spawn(self._work(endpoint_id, queue))
        queue.put_nowait(event_id)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, endpoint_id: str, queue: asyncio.Queue[str]) -> None:
        while True:
            event_id = await queue.get()
            if self.wrong.delay_ms:
                await asyncio.sleep(self.wrong.delay_ms / 1000)
            if not await self._send(event_id, endpoint_id, 1):
                self._spawn(self._again(event_id, endpoint_id))

    async def _again(self, event_id: str, endpoint_id: str) -> None:
        for number, wait_s in enumerate(self._retries_s, 2):
            await asyncio.sleep(wait_s)
            if await self._send(event_id, endpoint_id, number):
                return
        log.warning("gave event %s up", event_id)

    async def _send(self, event_id: str, endpoint_id: str, number: int) -> bool:
        event, endpoint = self._ledger.objects.get(event_id), self._ledger.objects.get(endpoint_id)
        if event is None or endpoint is None:
            return True
        assert self._client is not None
        body = self.body(event, endpoint)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (sandbox)",
            "Stripe-Signature": self.signature(body, endpoint),
        }
        status = 0
        try:
            async with self._client.post(endpoint["url"], data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("event %s was not taken: %s", event_id, error)
        self.attempts.append(Attempt(event_id, event["type"], endpoint["url"], number, status))
        return 200 <= status < 300


def sign(secret: str, at: int, body: bytes) -> str:
    """The code of a body that is sent at `at`, Unix s."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
