"""No answer is made of the name that a request came by, and pages are served where they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from reflex.utils.precompressed_staticfiles import PrecompressedStaticFiles
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.web.market_hub import MarketHub
from flashcur.web.page.public_address import PublicAddress
from flashcur.web.process import WebRuntime
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.table import HttpRoutes
from tests.support.programs import free_port
from tests.support.waiting import eventually

PUBLIC = "https://flashcur.example"
WHERE = Addresses(PUBLIC, PUBLIC, (PUBLIC,))
PAGES = ("login", "reset", "legal/terms")
HOSTS = (
    "flashcur.example",
    "evil.example",
    "evil.example:81",
    "evil.example/x?y=",
    "user@evil.example",
    "[::1",
    "a b",
    "",
    None,
)


def told(host: str | None) -> bytes:
    """The headers of a request to that host; None: without one."""
    lines = [] if host is None else [f"Host: {host}", f"X-Forwarded-Host: {host}", f"Forwarded: host={host}"]
    return "\r\n".join([*lines, "X-Forwarded-Proto: http", "X-Forwarded-Port: 81", "Connection: close"]).encode()


class Server:
    """The routes in front of pages as Reflex serves them, behind a real uvicorn."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, path: str, host: str | None, method: str = "GET", body: bytes = b"") -> tuple[int, str, bytes]:
        """(status, `Location`, the whole answer)"""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        # Without a host it is the older protocol, which wants none.
        version = "1.0" if host is None else "1.1"
        kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/{version}\r\n{kind}".encode() + told(host) + b"\r\n\r\n" + body)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        located = [line.partition(":")[2].strip() for line in head if line.lower().startswith("location:")]
        return int(head[0].split()[1]), located[0] if located else "", answer


def pages(client: Path) -> Starlette:
    """Reflex's own way to serve them, and routes with a slash too many or too few."""
    for page in PAGES:
        (client / page).mkdir(parents=True)
        (client / page / "index.html").write_text(f"<p>page {page}</p>")
    (client / "index.html").write_text("<p>page</p>")
    (client / "asset.js").write_text("script")

    def says(request: Request) -> Response:
        return PlainTextResponse(f"{request.url} {request.url_for('ping')}")

    return Starlette(
        routes=[
            Mount(
                "/folder", routes=[Route("/with/", says, name="ping"), Route("/without", says)], name="folder"
            ),
            Route("/ping", says, name="ping"),
            Mount("/", PrecompressedStaticFiles(directory=client, html=True)),
        ]
    )  # fmt: skip


@pytest.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[Server]:
    runtime = WebRuntime(replace(settings, engine="external", public_url=PUBLIC), MarketHub(), WHERE)
    client = tmp_path / "client"
    inner = HttpRoutes(runtime, AuthRoutes(runtime)).wrap(pages(client))
    port = free_port()
    app = PublicAddress(inner, WHERE.backend, client)
    config = uvicorn.Config(
        app, "127.0.0.1", port, http="httptools", proxy_headers=False, lifespan="off", log_level="critical"
    )
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    await eventually(lambda: running.started, "the server")
    yield Server(port)
    running.should_exit = True
    await task


@pytest.mark.parametrize("host", HOSTS)
async def test_a_page_is_served_at_its_path_with_and_without_a_slash(server: Server, host: str | None) -> None:
    for page in PAGES:
        for path in (f"/{page}", f"/{page}/", f"/{page}?token=abc&x=//evil.example", f"//{page}", f"/x/../{page}"):
            status, location, answer = await server.ask(path, host)
            assert (status, location) == (200, ""), path
            assert f"page {page}</p>".encode() in answer
            assert b"evil" not in answer
        assert (await server.ask(f"/{page}", host, "HEAD"))[:2] == (200, "")


@pytest.mark.parametrize("host", HOSTS)
async def test_every_location_is_a_path_or_the_public_address(server: Server, host: str | None) -> None:
    located: list[str] = []
    for path in (
        "/folder",
        "/folder/with",
        "/folder/without/",
        "/ping/",
        "//ping/",
        "/legal",
        "/nowhere",
        "/asset.js/",
    ):
        status, location, answer = await server.ask(path, host)
        assert status < 500
        assert b"evil" not in answer
        located += [location] if location else []
    assert located, "expected a redirect of a library"
    # A form that no browser's page sends: what is wrong is told by a redirect.
    status, location, _ = await server.ask("/auth/sign-in", host, "POST", b"email=a&password=b")
    assert status == 303
    assert [each for each in (*located, location) if not each.startswith(f"{PUBLIC}/")] == []


@pytest.mark.parametrize("host", HOSTS)
async def test_what_a_library_takes_for_our_address_is_the_public_one(server: Server, host: str | None) -> None:
    status, _, answer = await server.ask("/ping?a=1", host)
    assert status == 200
    assert answer.endswith(f"{PUBLIC}/ping?a=1 {PUBLIC}/ping".encode())


async def test_a_route_that_fails_says_so_whatever_it_was_called(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("flashcur.web.routes.table.api_json", None)
    monkeypatch.setattr("flashcur.web.routes.table.api_caller", None)
    status, _, answer = await server.ask("/api/v1/markets", "[::1")
    assert (status, b"it has been logged" in answer) == (500, True)
    assert "/api/v1/markets failed" in caplog.text


async def test_files_and_what_is_nowhere_are_left_alone(server: Server) -> None:
    assert (await server.ask("/asset.js", "x"))[0] == 200
    assert (await server.ask("/login/nowhere", "x"))[0] == 404
    assert (await server.ask("/asset.js/index.html", "x"))[0] == 404


async def test_pages_that_are_built_later_are_found(tmp_path: Path) -> None:
    seen: list[str] = []

    async def app(scope: dict[str, str], receive: object, send: object) -> None:
        seen.append(scope["path"])

    address = PublicAddress(app, PUBLIC, tmp_path)  # type: ignore[arg-type]
    request = {"type": "http", "path": "/login", "headers": []}
    await address(request, None, None)  # type: ignore[arg-type]
    (tmp_path / "login").mkdir()
    (tmp_path / "login" / "index.html").touch()
    await address(request, None, None)  # type: ignore[arg-type]
    assert seen == ["/login", "/login/"]
    assert request["path"] == "/login"
