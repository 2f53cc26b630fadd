"""`/health`, `/metrics` and `/api/v1/markets`, in front of another application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from flashcur.domain.plans import PLAN_NAMES, Audience
from flashcur.engine.status import ChannelStatus, EngineStatus, FeedStatus, JobStatus
from flashcur.services.bus.topics import LIVE_TOPIC, mark_topic
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Secret, Settings
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime
from flashcur.web.routes.table import HttpRoutes
from flashcur.web.visitors import Visitor
from tests.support.accounts import WHERE, add_account, add_session
from tests.support.frames import NOW_MS, market_frame
from tests.support.waiting import eventually

TOKEN = "5e2c7f9a1b3d8046" * 3


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class Site:
    """A web process without an engine: frames and status come from the test."""

    def __init__(self, settings: Settings) -> None:
        self.clock = Clock()
        external = replace(settings, engine="external", operator_token=Secret(TOKEN))
        self.runtime = WebRuntime(external, MarketHub(), WHERE, clock=self.clock)
        self.routes = HttpRoutes(self.runtime)
        inner = Starlette(routes=[Route("/", lambda request: PlainTextResponse("the page"))])
        transport = httpx.ASGITransport(app=self.routes.wrap(inner))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self.cookies: dict[Audience, str] = {}

    def open_accounts(self) -> None:
        """One account of each plan."""
        database = self.runtime.database
        assert database is not None
        with database.session() as session:
            for plan in PLAN_NAMES:
                account_id = add_account(session, f"{plan}@example.com", utc_now(), plan=plan)
                token, _ = add_session(session, account_id, utc_now())
                self.cookies[plan] = f"{self.runtime.visitors.cookies.session}={token}"

    async def get(
        self, path: str, audience: Audience = "elite", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        cookie = {} if audience == "guest" else {"Cookie": self.cookies[audience]}
        return await self.client.get(path, headers=(headers or {}) | cookie)

    async def health(self) -> httpx.Response:
        """What the operator is told."""
        return await self.client.get("/health", headers={"Authorization": f"Bearer {TOKEN}"})

    async def rows(self, audience: Audience) -> list[dict[str, Any]]:
        return (await self.get("/api/v1/markets", audience)).json()["rows"]

    def deliver(self, **options: Any) -> None:
        frame = market_frame(**options)
        self.runtime.hub.receive(LIVE_TOPIC, frame.encode())
        for audience in ("free", "pro"):
            self.runtime.hub.receive(mark_topic(audience), frame.encode())


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    site = Site(settings)
    await site.runtime.start()
    await asyncio.wait_for(site.runtime.database_ready.wait(), 10)
    site.open_accounts()
    yield site
    await site.client.aclose()
    await site.runtime.stop()


async def test_other_paths_reach_the_page_with_security_headers(site: Site) -> None:
    answer = await site.get("/")
    assert answer.text == "the page"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_only_reading_is_allowed(site: Site) -> None:
    answer = await site.client.post("/api/v1/markets")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (await site.client.head("/api/v1/markets")).status_code == 503


async def test_markets_before_the_first_frame(site: Site) -> None:
    answer = await site.get("/api/v1/markets")
    assert answer.status_code == 503
    assert answer.json()["error"] == "no market data yet: the first frame has not arrived"
    assert answer.headers["Retry-After"] == "1"


async def test_markets_as_elite_sees_them(site: Site) -> None:
    site.deliver(demo=True)
    answer = await site.get("/api/v1/markets")
    body = answer.json()
    assert (body["exchange"], body["demo"], body["state"]) == ("binanceusdm", True, "live")
    assert body["as_of"] == "2026-09-21T14:13:20.000Z"
    assert len(body["rows"]) == 60
    assert body["rows"][1] == {
        "symbol": "COIN1USDT",
        "base": "COIN1",
        "asset_class": "crypto",
        "price": 101.0,
        "change_pct": -3.0,
        "volume_quote": 999e6,
        "ratio": 4.0,
        "funding_rate": 0.0001,
        "open_interest_usd": 101e6,
        "oi_change_1h_pct": None,
        "funding_interval_hours": 8,
        "next_funding_at": "2026-09-21T15:00:00.000Z",
        "spiking": True,
        "market_closed": False,
        "ages_s": {},
    }


@pytest.mark.parametrize(("audience", "rows", "open_interest"), [
    ("guest", 50, False), ("free", 50, False), ("pro", 60, True), ("elite", 60, True),
])  # fmt: skip
async def test_a_plan_gets_its_own_rows_and_fields(
    site: Site, audience: Audience, rows: int, open_interest: bool
) -> None:
    site.deliver()
    got = await site.rows(audience)
    assert len(got) == rows
    assert all(("open_interest_usd" in row) is open_interest for row in got)
    assert all(("oi_change_1h_pct" in row) is open_interest for row in got)


@pytest.mark.parametrize(("audience", "rest"), [("guest", 50), ("pro", 70), ("elite", 70)])
async def test_the_rest_is_answered_where_it_is_asked_for(site: Site, audience: Audience, rest: int) -> None:
    site.deliver(tradfi=70)
    crypto = await site.get("/api/v1/markets", audience)
    assert {row["asset_class"] for row in crypto.json()["rows"]} == {"crypto"}
    assert (await site.get("/api/v1/markets?assets=crypto", audience)).content == crypto.content
    tradfi = await site.get(
        "/api/v1/markets?assets=tradfi", audience, headers={"If-None-Match": crypto.headers["ETag"]}
    )
    rows = tradfi.json()["rows"]
    assert len(rows) == rest
    assert {row["asset_class"] for row in rows} == {"stock", "commodity"}
    wrong = await site.get("/api/v1/markets?assets=stocks", audience)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "assets: expected crypto or tradfi, was 'stocks'")


async def test_delayed_plans_get_the_last_mark(site: Site) -> None:
    site.deliver(now_ms=NOW_MS)
    site.runtime.hub.receive(LIVE_TOPIC, market_frame(2, now_ms=NOW_MS + 1000, price=200.0).encode())
    assert (await site.rows("elite"))[0]["price"] == 200.0
    assert (await site.rows("pro"))[0]["price"] == 100.0
    assert (await site.rows("guest"))[0]["price"] == 100.0


async def test_an_unchanged_frame_is_not_sent_again(site: Site) -> None:
    site.deliver()
    first = await site.get("/api/v1/markets")
    again = await site.get("/api/v1/markets", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await site.get("/api/v1/markets", "pro", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    assert "private" in other.headers["Cache-Control"]


def status(as_of_ms: int) -> EngineStatus:
    feed = FeedStatus("Binance USD-M", "blocked", "answered 451", False, 0, None, {"ticker": None}, 0, 2, 1)
    feeds = {"binanceusdm": feed}
    channels = {"email": ChannelStatus("failing", 5, 3, 2, 1, 0, 4, 61.5)}
    return EngineStatus(
        as_of_ms, 7, "host:1", "0.1.0", as_of_ms, 12, feeds, last_price_ms=as_of_ms - 2_000, channels=channels
    )


async def test_health_before_the_first_frame(site: Site) -> None:
    answer = await site.get("/health")
    body = answer.json()
    assert answer.status_code == 503
    assert (body["status"], body["problems"]) == ("unavailable", ["no frame yet"])
    assert (body["database"], body["redis"], body["engine"]["lease"]) == ("ok", "not configured", "none")


async def test_health_of_a_working_service(site: Site) -> None:
    site.deliver()
    await site.runtime.bus.publish("engine", 1, status(NOW_MS).encode())  # type: ignore[union-attr]
    site.clock.now_ms += 1500
    await asyncio.sleep(0)
    answer = await site.health()
    body = answer.json()
    assert (answer.status_code, body["status"], body["problems"]) == (200, "ok", [])
    assert body["engine"] == {
        "lease": "held",
        "last_frame_age_s": 1.5,
        "last_price_age_s": 3.5,
        "process": "host:1",
        "epoch": 7,
        "frames": 12,
        "failures": {},
    }
    assert body["feeds"]["binanceusdm"]["state"] == "blocked"
    assert body["feeds"]["binanceusdm"]["reason"] == "answered 451"
    assert body["exchange"] == {"id": "binanceusdm", "demo": False, "state": "live"}
    assert body["channels"]["email"] == {
        "state": "failing",
        "sent": 5,
        "failed": 3,
        "uncertain": 2,
        "dead": 1,
        "expired": 0,
        "waiting": 4,
        "oldest_age_s": 61.5,
    }


async def test_messages_that_nobody_takes_up_are_a_problem(site: Site) -> None:
    site.deliver()
    stalled = {"telegram": ChannelStatus("stalled", 0, 0, 0, 0, 0, 9, 900.0)}
    await site.runtime.bus.publish("engine", 1, replace(status(NOW_MS), channels=stalled).encode())  # type: ignore[union-attr]
    await eventually(lambda: site.runtime.engine_status is not None, "the engine's status")
    body = (await site.get("/health")).json()
    assert (body["status"], body["problems"]) == ("degraded", ["messages are not taken up: telegram"])
    assert body["channels"] == {"telegram": "stalled"}


async def test_the_public_is_told_in_words_and_nothing_that_names_a_machine(site: Site) -> None:
    said = 'connection to server at "10.1.2.3" failed: FATAL: password authentication failed for user "hunter"'
    site.deliver()
    feed = FeedStatus("Binance", "rate_limited", "banned IP(10.9.8.7)", False, 3, 1.5, {"ticker": 1.0}, 5, 2, 1, 60.0)
    jobs = {"prune": JobStatus("2026-01-01T00:00:00Z", None, False, "/srv/flashcur is full", 2, 1)}
    told = replace(status(NOW_MS), feeds={"binanceusdm": feed}, jobs=jobs, failures={"poll /srv": 2})
    await site.runtime.bus.publish("engine", 1, told.encode())  # type: ignore[union-attr]
    await eventually(lambda: site.runtime.engine_status is not None, "the engine's status")
    site.runtime.database_ready.clear()
    site.runtime.database_problem = said
    private = ("10.", "hunter", "host:1", "/srv", "prune", "IP(")
    public = await site.get("/health")
    assert [word for word in private if word in public.text] == []
    assert public.json() == {
        "status": "degraded",
        "problems": ["database"],
        "database": "down",
        "redis": "not configured",
        "engine": {"lease": "held", "last_frame_age_s": 0.0, "last_price_age_s": 2.0},
        "exchange": {"id": "binanceusdm", "demo": False, "state": "live"},
        "feeds": {
            "binanceusdm": {
                "name": "Binance",
                "state": "rate_limited",
                "demo": False,
                "symbols": 3,
                "last_message_age_s": 1.5,
                "waits_s": 60.0,
            }
        },
        "channels": {"email": "failing"},
        "signals": None,
        "rules": None,
        "baselines": None,
    }
    operators = await site.health()
    assert operators.status_code == public.status_code == 200
    assert [word for word in private if word not in operators.text] == []
    assert operators.json()["database"] == said


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], f"{TOKEN}0", "\xe9" * 48])
async def test_another_token_is_refused_and_tells_nothing(site: Site, token: str) -> None:
    answer = await site.client.get("/health", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
    assert (answer.status_code, "database" in answer.text) == (401, False)


async def test_without_a_token_in_the_settings_none_opens_anything(site: Site) -> None:
    site.runtime.settings = replace(site.runtime.settings, operator_token=None)
    for token in ("", "None", TOKEN):
        answer = await site.client.get("/health", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    # Another's sign-in, which a proxy in front passes on, is no token of ours.
    assert "process" not in (await site.get("/health", headers={"Authorization": "Basic YTpi"})).text


async def test_health_when_frames_stop(site: Site) -> None:
    site.deliver()
    await site.runtime.bus.publish("engine", 1, status(NOW_MS).encode())  # type: ignore[union-attr]
    site.clock.now_ms += 10_000
    assert (await site.get("/health")).status_code == 200
    site.clock.now_ms += 1_000
    answer = await site.get("/health")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the newest frame is 11 s old"]
    assert answer.json()["engine"]["lease"] == "expired"


async def test_a_database_that_hangs_does_not_hold_up_health(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deliver()
    hanging = asyncio.Event()
    asked = 0

    async def hang(self: Database, work: object, *, readonly: bool = False) -> object:
        nonlocal asked
        asked += 1
        return await hanging.wait()

    monkeypatch.setattr(Database, "run", hang)
    monkeypatch.setattr("flashcur.web.health.PROBE_TIMEOUT_S", 0.05)
    for _ in range(3):
        body = (await asyncio.wait_for(site.health(), 1)).json()
        assert (body["status"], body["database"]) == ("degraded", "no answer within 0.05 s")
        assert (await site.get("/health")).json()["database"] == "down"
    assert asked == 1
    hanging.set()
    monkeypatch.undo()
    assert (await site.get("/health")).json()["database"] == "ok"


async def test_metrics_are_prometheus_text(site: Site) -> None:
    site.deliver()
    await site.get("/api/v1/markets")
    await site.get("/health")
    answer = await site.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'flashcur_http_requests_total{route="/api/v1/markets",status="200"} 1.0' in answer.text
    assert "flashcur_frame_build_seconds_count" in answer.text
    assert 'flashcur_bus_messages_total{outcome="received"} 0.0' in answer.text


async def test_a_handler_that_fails_answers_500_and_is_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(visitor: Visitor) -> Audience:
        raise RuntimeError("broken")

    monkeypatch.setattr(site.runtime.visitors, "audience", broken)
    answer = await site.get("/api/v1/markets")
    assert (answer.status_code, "broken" in answer.text) == (500, False)
    assert "/api/v1/markets failed" in caplog.text
