"""A running app, its exchange and a browser, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.support.app import App, Exchange, running_app, simulated_exchange
from tests.support.programs import require_program

# Without these Chromium calls out at every start.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the whole run: while it is open, Playwright keeps an event loop running, and other tests need their own.
    chromium = require_program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--no-first-run", *_QUIET]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with simulated_exchange() as exchange:
        yield exchange


@pytest.fixture(scope="module")
def audience() -> str:
    """The plan the app's visitors have; modules override it."""
    return "elite"


@pytest.fixture(scope="module")
def app(exchange: Exchange, audience: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app"), exchange, FLASHCUR_DEV_AUDIENCE=audience) as app:
        yield app


@pytest.fixture
def page(browser: Browser, app: App, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh tab at desktop size, or at the size a test is parametrised with; script errors fail the test."""
    size: ViewportSize = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=size, base_url=app.url)
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
