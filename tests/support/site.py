"""The HTTP routes of a web process without pages or an engine, and browsers that use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from sqlmodel import select
from starlette.applications import Starlette

from flashcur.domain.plans import PLAN_NAMES, PlanName
from flashcur.services.accounts.wiring import Accounts
from flashcur.services.bus.topics import LIVE_TOPIC, mark_topic
from flashcur.services.kit.clock import utc_now
from flashcur.services.notify.account_mail import token_id_of
from flashcur.services.notify.links import make_token
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.callbacks import CallbackRoutes
from flashcur.web.routes.files import ExportRoutes
from flashcur.web.routes.push import PushRoutes
from flashcur.web.routes.signals import SignalRoutes
from flashcur.web.routes.table import HttpRoutes
from flashcur.web.routes.telegram import TelegramRoutes
from tests.support.accounts import ADDRESS, PASSWORD, WHERE, add_account, add_session, mails_in, template_of
from tests.support.frames import market_frame
from tests.support.migrated import spare_migration
from tests.support.waiting import eventually

PAGE = WHERE.page


@dataclass
class Site:
    """One web process."""

    runtime: WebRuntime
    app: Any
    browsers: list[Browser] = field(default_factory=list["Browser"])

    @property
    def database(self) -> Database:
        assert self.runtime.database is not None
        return self.runtime.database

    @property
    def accounts(self) -> Accounts:
        assert self.runtime.accounts is not None
        return self.runtime.accounts

    @property
    def cookie_name(self) -> str:
        return self.runtime.visitors.cookies.session

    def browser(self, ip: str = "192.0.2.1") -> Browser:
        transport = httpx.ASGITransport(app=self.app, client=(ip, 1234))
        # Cookies for HTTPS only are sent over it.
        base = "https://site.test" if self.cookie_name.startswith("__Host-") else "http://site.test"
        browser = Browser(self, httpx.AsyncClient(transport=transport, base_url=base, timeout=30))
        self.browsers.append(browser)
        return browser

    def account(self, email: str | None = ADDRESS, *, plan: PlanName = "free") -> str:
        with self.database.session() as session:
            return add_account(session, email, utc_now(), plan=plan)

    def browser_of(self, account_id: str, ip: str = "192.0.2.1") -> Browser:
        """A browser that is signed in."""
        with self.database.session() as session:
            token, _ = add_session(session, account_id, utc_now())
        browser = self.browser(ip)
        browser.token = token
        return browser

    def one_of_each_plan(self) -> dict[str, Browser]:
        found = {plan: self.browser_of(self.account(f"{plan}@example.com", plan=plan)) for plan in PLAN_NAMES}
        return {"guest": self.browser(), **found}

    def link(self, template: str, recipient: str = ADDRESS) -> str:
        """The token in the newest mail of that kind."""
        with self.database.session(readonly=True) as session:
            mails = [mail for mail in mails_in(session) if (template_of(mail), mail.recipient) == (template, recipient)]
        return make_token(self.runtime.settings.secret_key, template, token_id_of(mails[-1].payload) or "")

    def mails(self) -> list[tuple[str, str]]:
        with self.database.session(readonly=True) as session:
            return [(template_of(mail), mail.recipient) for mail in mails_in(session)]

    def rows(self, table: Any) -> list[Any]:
        with self.database.session(readonly=True) as session:
            return list(session.exec(select(table)))

    def deliver(self, **options: Any) -> None:
        """A frame and its marks."""
        payload = market_frame(**options).encode()
        self.runtime.hub.receive(LIVE_TOPIC, payload)
        for audience in ("free", "pro"):
            self.runtime.hub.receive(mark_topic(audience), payload)


@dataclass
class Browser:
    """Keeps cookies and posts from the site's own pages."""

    site: Site
    client: httpx.AsyncClient

    @property
    def token(self) -> str | None:
        """The session's, as the browser keeps it."""
        return self.client.cookies.get(self.site.cookie_name)

    @token.setter
    def token(self, value: str) -> None:
        self.client.cookies.set(self.site.cookie_name, value, "site.test")

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """JSON from one of our pages."""
        return await self.client.post(path, json={} if body is None else body, headers={"Origin": PAGE} | headers)

    async def form(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """A plain form of one of our pages."""
        return await self.client.post(path, data=fields, headers={"Origin": PAGE} | headers)

    async def send(self, path: str, content: bytes, kind: str | None, **headers: str) -> httpx.Response:
        """Any bytes."""
        named = {"Content-Type": kind} if kind is not None else {}
        return await self.client.post(path, content=content, headers={"Origin": PAGE} | named | headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def sign_in(self, email: str = ADDRESS, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.post("/auth/sign-in", {"email": email, "password": password, **more})

    async def who(self) -> str | None:
        """The account the server sees behind this browser; None for a guest."""
        visitor = await self.site.runtime.visitors.identify(f"{self.site.cookie_name}={self.token}", anew=True)
        return None if visitor.account is None else visitor.account.id


@asynccontextmanager
async def running_site(settings: Settings, where: Addresses = WHERE) -> AsyncIterator[Site]:
    """A web process until the block ends.

    It waits for the database for longer than a visitor would: on a loaded machine they would be shown as guests.
    """
    spare_migration(settings)
    runtime = WebRuntime(replace(settings, engine="external"), MarketHub(), where)
    groups = (AuthRoutes, ExportRoutes, SignalRoutes, CallbackRoutes, TelegramRoutes, PushRoutes)
    routes = HttpRoutes(runtime, *(group(runtime) for group in groups))
    site = Site(runtime, routes.wrap(Starlette()))
    await runtime.start()
    patience = pytest.MonkeyPatch()
    patience.setattr("flashcur.web.visitors.PATIENCE_S", 20.0)
    try:
        await asyncio.wait_for(runtime.database_ready.wait(), 20)
        await eventually(lambda: "wallets" not in runtime._tasks.running, "what wallets need", 20)
        yield site
    finally:
        for browser in site.browsers:
            await browser.client.aclose()
        await runtime.stop()
        patience.undo()
