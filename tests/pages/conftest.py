"""A running app, its exchange and a browser, shared by all tests in here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from flashcur.domain.plans import Audience
from tests.support.app import App, Exchange, running_app, simulated_exchange
from tests.support.people import enter, leave
from tests.support.programs import require_program

# Without these Chromium calls out at every start.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

CONTRACTS = 200
"""That the exchange lists: as many as make a long page. How 500 feel is measured by `bench/page`."""

WITHIN_MS = 15_000
"""How long a page may take for anything: what has to come sooner is measured by tests that say so."""
expect.set_options(timeout=WITHIN_MS)


@pytest.fixture(scope="package")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    # Not for the whole run: while it is open, Playwright keeps an event loop running, and other tests need their own.
    chromium = require_program("chromium", "chromium")
    with sync_playwright() as playwright:
        watch = pytestconfig.getoption("--watch")
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", *_QUIET],
            headless=not watch,
            slow_mo=250 if watch else 0,
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def exchange() -> Iterator[Exchange]:
    with simulated_exchange(CONTRACTS) as exchange:
        yield exchange


@pytest.fixture(scope="package")
def app(exchange: Exchange) -> Iterator[App]:
    with running_app(exchange, FLASHCUR_DEV_AUDIENCE="guest") as app:
        yield app


@pytest.fixture(scope="module")
def audience() -> Audience:
    """Whose tab `page` is: a guest's, or that of a new account of a plan. Modules override it."""
    return "guest"


@pytest.fixture
def page(browser: Browser, app: App, audience: Audience, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh tab at desktop size, or at the size a test is parametrised with; script errors fail the test."""
    size: ViewportSize = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=size, base_url=app.url)
    if audience != "guest":
        enter(context, app, audience)
    traces = request.config.getoption("--traces")
    if traces:
        context.tracing.start(screenshots=True, snapshots=True)
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if traces:
        context.tracing.stop(path=Path(traces) / f"{request.node.name}.zip")
    leave(context)
    assert errors == []
