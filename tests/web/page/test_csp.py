"""The Content-Security-Policy that goes with the built pages."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.web.market_hub import MarketHub
from flashcur.web.page.build import polish
from flashcur.web.page.csp import MINIMAL, PagePolicy, content_security_policy, script_hashes
from flashcur.web.process import WebRuntime
from flashcur.web.routes.table import HttpRoutes

WHERE = Addresses("http://test", "http://test", ("http://test",))


def source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split(" ") for part in policy.split("; "))}


def write(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<!doctype html><html><body>{body}</body></html>", encoding="utf-8")
    return path


def test_inline_scripts_are_allowed_by_their_hash(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "<script>a < b && '&amp;' && \"×\"</script><script type='module'>import 'x'</script>")
    write(tmp_path, "deep/er/index.html", "<SCRIPT>c()</SCRIPT>\n<script>a < b && '&amp;' && \"×\"</script>")
    assert script_hashes(tmp_path) == sorted({source("a < b && '&amp;' && \"×\""), source("import 'x'"), source("c()")})


def test_only_what_a_browser_runs_is_allowed(tmp_path: Path) -> None:
    write(
        tmp_path,
        "index.html",
        '<script src="/x.js"></script><script type="application/json">{"a": 1}</script>'
        '<script type="text/plain">other()</script><!-- <script>comment()</script> --><p>text()</p>',
    )
    assert script_hashes(tmp_path) == []


def test_a_polished_page_s_module_is_allowed_as_it_is_started_later(tmp_path: Path) -> None:
    page = '<html><head></head><body><script type="module" async="">import "/a.js";</script></body></html>'
    (tmp_path / "index.html").write_text(polish(page, tmp_path))
    assert source('import "/a.js";') in script_hashes(tmp_path)
    assert len(script_hashes(tmp_path)) == 2


def test_line_ends_are_hashed_as_the_browser_reads_them(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"<script>a()\r\nb()\rc()</script>")
    assert script_hashes(tmp_path) == [source("a()\nb()\nc()")]


@pytest.mark.parametrize(("backend", "sources"), [
    ("https://flashcur.example", ["https://flashcur.example", "wss://flashcur.example"]),
    ("https://flashcur.example:8443/", ["https://flashcur.example:8443", "wss://flashcur.example:8443"]),
    ("http://localhost:8000",
     ["http://localhost:8000", "ws://localhost:8000", "http://127.0.0.1:8000", "ws://127.0.0.1:8000"]),
    ("http://localhost", ["http://localhost", "ws://localhost", "http://127.0.0.1", "ws://127.0.0.1"]),
])  # fmt: skip
def test_the_page_may_reach_its_backend_and_nobody_else(tmp_path: Path, backend: str, sources: list[str]) -> None:
    policy = directives(content_security_policy(tmp_path, backend))
    assert policy["connect-src"] == ["'self'", *sources]
    assert policy["form-action"] == ["'self'", *(origin for origin in sources if origin.startswith("http"))]


def test_everything_else_is_shut(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "<script>a()</script>")
    policy = directives(content_security_policy(tmp_path, "https://flashcur.example"))
    assert policy["script-src"] == ["'self'", source("a()")]
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert policy[name] == ["'none'"]
    # The worker that shows what is pushed, and no other.
    assert policy["worker-src"] == ["'self'"]
    assert [name for name, values in policy.items() if "'unsafe-inline'" in values] == ["style-src"]


def test_it_is_read_again_only_after_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = PagePolicy(tmp_path, "http://localhost:8000")
    assert policy() == MINIMAL
    index = write(tmp_path, "index.html", "<script>a()</script>")
    assert source("a()") in policy()
    made = policy()
    with monkeypatch.context() as patch:
        patch.setattr("flashcur.web.page.csp.content_security_policy", lambda *_: pytest.fail("read again"))
        assert policy() == made
    write(tmp_path, "index.html", "<script>b()</script>")
    os.utime(index, ns=(1, 1))
    assert source("b()") in policy()
    index.unlink()
    assert policy() == MINIMAL


@pytest.mark.parametrize(
    ("public_url", "hsts"), [(None, False), ("http://x.example", False), ("https://x.example", True)]
)
async def test_headers_of_pages_and_of_the_rest(settings: Settings, public_url: str | None, hsts: bool) -> None:
    async def conditional(request: object) -> Response:
        return Response(None, 304)

    async def own(request: object) -> Response:
        return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})

    inner = Starlette(
        routes=[
            Route("/page", lambda request: HTMLResponse("<p>")),
            Route("/text", lambda request: Response("x", media_type="text/plain")),
            Route("/again", conditional),
            Route("/own", own),
        ]
    )
    runtime = WebRuntime(replace(settings, engine="external", public_url=public_url), MarketHub(), WHERE)
    routes = HttpRoutes(runtime, page_policy=lambda: "the page's")
    transport = httpx.ASGITransport(app=routes.wrap(inner))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = {path: await client.get(path) for path in ("/page", "/text", "/again", "/own", "/nowhere")}
    policies = {path: answer.headers.get_list("content-security-policy") for path, answer in answers.items()}
    assert policies == {
        "/page": ["the page's"],
        "/text": [MINIMAL],
        # A browser that keeps a page takes over what comes with a 304: the page's own policy has to stay.
        "/again": [],
        "/own": ["default-src 'self'"],
        "/nowhere": [MINIMAL],
    }
    assert all(("strict-transport-security" in answer.headers) is hsts for answer in answers.values())
    assert all(answer.headers["x-frame-options"] == "DENY" for answer in answers.values())
