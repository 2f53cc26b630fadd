"""The payment sandbox on this event loop, the real stripe client to it, and a server that takes what it sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import stripe

from flashcur.services.billing.sandbox import stock
from flashcur.services.billing.sandbox.records import add_endpoint
from flashcur.services.billing.sandbox.server import StripeSandbox
from tests.support.vendor import Reply, Request, Vendor, serving

KEY = "sk_test_sandbox"
SECRET = "whsec_sandbox"
MONTH_S = 31 * 86_400
START_S = 1_790_000_000
"""Where the clock of a test's sandbox stands; the time that a webhook is signed with is the real one."""


class Webhook(Vendor):
    """Takes events, and keeps those that it said 200 to."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Request] = []

    def respond(self, request: Request) -> Reply:
        self.taken.append(request)
        return Reply()

    @property
    def kinds(self) -> list[str]:
        return [request.json["type"] for request in self.taken]


class Sandbox:
    """What a test does with a sandbox: ask it as our code does, order, and go through its pages as a person does."""

    def __init__(self, server: StripeSandbox, browser: aiohttp.ClientSession) -> None:
        self.server = server
        self.url = server.shop.base
        self.connections: list[stripe.AIOHTTPClient] = []
        self.browser = browser

    def client(self, key: str = KEY, *, version: str | None = None, retries: int = 0) -> stripe.StripeClient:
        """The real client. Each has its own connections, closed when the sandbox ends."""
        http = stripe.AIOHTTPClient()
        self.connections.append(http)
        return stripe.StripeClient(
            key,
            stripe_version=version,
            base_addresses={"api": self.url},
            max_network_retries=retries,
            http_client=http,
        )

    async def order(self, name: str, **arguments: Any) -> Any:
        """An order by the control routes, as another process gives it."""
        async with self.browser.post(f"{self.url}/_control/{name}", json=arguments) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told["result"]

    async def advance(self, seconds: int) -> None:
        await self.order("clock", advance_s=seconds)

    async def get(self, url: str) -> tuple[int, str]:
        async with self.browser.get(url, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, url: str, **fields: str) -> tuple[int, str]:
        """Send a form; the second is where it leads to, or the page where it leads nowhere."""
        async with self.browser.post(url, data=fields, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()

    async def pay(self, url: str, card: str = "4242424242424242", **fields: str) -> tuple[int, str]:
        """Press Pay on the paying page."""
        return await self.post(url, do="pay", card=card, **fields)


@asynccontextmanager
async def sandbox(
    *, seed: int = 1, state: Path | None = None, webhook: str = "", retries_s: tuple[float, ...] = (0.01, 0.01)
) -> AsyncIterator[Sandbox]:
    """A sandbox with the plans' prices on a free port until the block ends."""
    server = StripeSandbox(seed=seed, state=state, now=lambda: START_S, retries_s=retries_s)
    stock.fill(server.shop)
    if webhook:
        add_endpoint(server.shop, webhook, ["*"], None, SECRET)
    await server.start()
    async with aiohttp.ClientSession() as browser:
        made = Sandbox(server, browser)
        try:
            yield made
        finally:
            for http in made.connections:
                await http.close_async()
            await server.stop()


@asynccontextmanager
async def sandbox_with_webhook(**options: Any) -> AsyncIterator[tuple[Sandbox, Webhook]]:
    """A sandbox and a server that takes its events."""
    async with serving(Webhook()) as hook, sandbox(webhook=f"{hook.url}/webhooks/stripe", **options) as shop:
        yield shop, hook
