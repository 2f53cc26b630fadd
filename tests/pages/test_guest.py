"""What a visitor without an account sees, and what never reaches their browser."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.support.app import App
from tests.support.shifts import shift, watch_shifts

ROWS = "tbody.rows tr[data-symbol]"


def test_guest_sees_the_largest_fifty_at_the_last_mark(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector('[data-testid="feed-status"][data-state="live"]')
    expect(page.locator(ROWS)).to_have_count(50)
    assert page.locator('[data-col="oi"]').count() == 0
    assert page.locator('[data-col="oi1h"]').count() == 0
    expect(page.locator(".note")).to_contain_text("next in")


def test_columns_stand_where_they_will_stay(page: Page) -> None:
    """The page is built with the columns of open interest; a plan without them must not see the others move."""
    watch_shifts(page)
    lefts = """place => [...document.querySelectorAll(place)].map(cell => cell.getBoundingClientRect())
        .filter(box => box.width > 0).map(box => Math.round(box.left))"""
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    heads = page.evaluate(lefts, "thead th")
    cells = page.evaluate(lefts, "tbody.ghost tr:first-child > *")
    page.unroute("**/*.js")
    page.goto("/")
    page.wait_for_selector(ROWS)
    assert heads == cells == page.evaluate(lefts, "thead th")
    size, shifts = shift(page)
    assert size < 0.001, shifts


def test_every_answer_has_the_security_headers(page: Page, app: App) -> None:
    for path in ("/", "/nowhere", "/health", "/api/v1/markets", "/?q=btc"):
        headers = page.request.get(app.url + path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"], path


@pytest.mark.parametrize("host", ["evil.example", "[::1", ""])
def test_every_page_is_served_where_it_is_asked_for_under_any_name(app: App, host: str) -> None:
    for path in ("/login", "/pricing?a=1", "/reset", "/legal/terms", "/account/", "//register"):
        connection = HTTPConnection(urlsplit(app.url).netloc, timeout=10)
        connection.request("GET", path, headers={"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Location")) == (200, None), path
        assert b"evil" not in answer.read()
        connection.close()


def test_strip_is_live_while_the_table_stands_still(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector(ROWS)
    table = page.locator("tbody.rows").text_content()
    strip = page.locator(".strip")
    expect(strip).not_to_have_text(strip.text_content() or "")
    expect(strip).not_to_have_text(strip.text_content() or "")
    assert page.locator("tbody.rows").text_content() == table


def test_what_a_guest_may_not_see_is_never_sent(page: Page, app: App) -> None:
    received: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: received.append(str(payload)))

    page.on("websocket", listen)
    page.goto("/")
    page.wait_for_selector(ROWS)
    strip = page.locator(".strip")
    for _ in range(3):
        expect(strip).not_to_have_text(strip.text_content() or "")
    status, body = app.get("/api/v1/markets")
    assert status == 200
    allowed = {row["symbol"] for row in body["rows"]}
    assert len(allowed) == 50
    _, rest = app.get("/api/v1/markets?assets=tradfi")
    allowed |= {row["symbol"] for row in rest["rows"]}
    assert not any("open_interest_usd" in row for row in body["rows"])
    everything = "".join(received) + page.content()
    assert len(received) >= 3
    assert '"oi_rx_state_": "' not in everything.replace('""', "")
    assert "Open interest surge" not in everything
    # Signals are of any contract.
    table = re.sub(
        r'signals_state":\s*\{[^}]*\}|<aside.*?</aside>|<i class="fired.*?>', "", everything, flags=re.DOTALL
    )
    symbols = {match for match in re.findall(r"[A-Z0-9]{2,}USDT\b", table)}
    assert symbols - allowed == set()
