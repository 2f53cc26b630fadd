"""A page whose connection dies is live again soon after the network is, at any host name and however old it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute, expect

from flashcur.state.wire.broadcast import NOTHING_NEW
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import PORT, App
from tests.support.network import Network, network
from tests.support.people import leave, visit
from tests.support.programs import wait_until

WITHIN_S = 30
"""The promise is 7 s; on a machine with more to do anything is late. What is counted is exact."""

GIVEN_UP_TWICE = 3
"""Sockets of a page that has given up twice: its first, and two that led nowhere."""


@dataclass
class Sockets:
    """A page's sockets, in the order in which they were opened."""

    opened: list[WebSocket] = field(default_factory=list["WebSocket"])
    heard: dict[WebSocket, int] = field(default_factory=dict["WebSocket", int])
    """Messages that came over each."""
    closed_unheard: int = 0
    """Closed before anything came."""

    def watch(self, page: Page) -> None:
        page.on("websocket", self._add)

    def _add(self, socket: WebSocket) -> None:
        self.opened.append(socket)
        self.heard[socket] = 0
        socket.on("framereceived", lambda _: self._hear(socket))
        socket.on("close", self._close)

    def _hear(self, socket: WebSocket) -> None:
        self.heard[socket] += 1

    def _close(self, socket: WebSocket) -> None:
        self.closed_unheard += self.heard[socket] == 0


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as net:
        yield net


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture(params=["127.0.0.1", "localhost"])
def far(browser: Browser, app: App, net: Network, sockets: Sockets, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab whose way to the app can be lost; under two names, of which Engine.IO does not trust one to go offline."""
    context = browser.new_context(
        viewport=DESKTOP,
        base_url=f"http://{request.param}:{PORT}",
        proxy={"server": net.url, "bypass": "<-loopback>"},
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    sockets.watch(page)
    yield page
    net.restore()
    leave(context)


def expect_state(page: Page, state: str) -> None:
    status = page.get_by_test_id("feed-status")
    expect(status).to_have_attribute("data-state", state, timeout=WITHIN_S * 1000)


def expect_live(page: Page, number: int, sockets: Sockets) -> None:
    """That the page opens a socket, its `number`th, and is live by it."""
    expect_that(page, lambda: len(sockets.opened) >= number, f"socket {number}")
    socket = sockets.opened[number - 1]
    # The two protocols' greetings, the page's state, a frame.
    expect_that(page, lambda: sockets.heard[socket] >= 4, f"frames over socket {number}")
    expect_state(page, "live")


def expect_that(page: Page, there: Callable[[], bool], what: str) -> None:
    """Waits in the page, so that what happens in it is told meanwhile."""
    deadline = time.monotonic() + WITHIN_S
    while not there():
        assert time.monotonic() < deadline, f"expected {what} within {WITHIN_S} s"
        page.wait_for_timeout(20)


@pytest.mark.parametrize("path", ["/", "/pricing"])
def test_a_young_page_whose_connection_is_forgotten_makes_one_new_one(
    far: Page, net: Network, sockets: Sockets, path: str
) -> None:
    """The network is back before the page has noticed."""
    visit(far, path)
    net.lose()
    net.restore()
    expect_live(far, 2, sockets)
    assert len(sockets.opened) == 2
    assert sockets.closed_unheard == 0


def test_attempts_that_led_nowhere_do_not_hold_it_up(far: Page, net: Network, sockets: Sockets) -> None:
    visit(far, "/")
    net.lose()
    expect_that(far, lambda: len(sockets.opened) == GIVEN_UP_TWICE, "two attempts")
    expect_state(far, "offline")
    net.restore()
    expect_live(far, GIVEN_UP_TWICE + 1, sockets)


def test_a_server_that_is_gone_for_a_while(far: Page, net: Network, sockets: Sockets) -> None:
    visit(far, "/")
    net.refuse()
    expect_state(far, "offline")
    net.restore()
    expect_state(far, "live")


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_on_a_phone_nothing_moves_when_the_connection_is_lost(page: Page) -> None:
    visit(page, "/")
    expect_state(page, "live")
    top = "document.querySelector('.scroller').getBoundingClientRect().y"
    before = page.evaluate(top)
    page.context.set_offline(True)
    expect(page.get_by_test_id("feed-status")).to_contain_text(re.compile(r"\d\ds old"), timeout=WITHIN_S * 1000)
    assert page.evaluate(top) == before
    # A translator's words are long.
    page.evaluate("document.querySelector('.feed .word').textContent = 'Соединение потеряно, ждём'")
    assert page.evaluate(top) == before
    page.context.set_offline(False)
    expect_state(page, "live")


HIDE = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.hides ?? false })"
SHOW = "window.hides = false; document.dispatchEvent(new Event('visibilitychange'))"
BACK = "window.dispatchEvent(new Event('online'))"


@pytest.mark.parametrize("sign", [SHOW, BACK], ids=["seen", "online"])
def test_a_hidden_tab_waits_until_it_is_seen_or_the_network_says_that_it_is_back(
    far: Page, net: Network, sockets: Sockets, sign: str
) -> None:
    far.add_init_script(HIDE)
    visit(far, "/")
    far.evaluate("window.hides = true")
    net.lose()
    # Longer than the patience of a page that is seen.
    expect(far.get_by_test_id("feed-status")).to_contain_text(re.compile(r"([7-9]|\d\d)s old"), timeout=WITHIN_S * 1000)
    assert len(sockets.opened) == 1
    net.restore()
    far.evaluate(sign)
    expect_live(far, 2, sockets)
    assert len(sockets.opened) == 2
    assert sockets.closed_unheard == 0


def test_a_market_that_stands_still_is_no_dead_connection(page: Page) -> None:
    """The engine is gone, and another takes its place after some seconds: the server has nothing new to tell."""
    still = False
    opened: list[str] = []

    def carry(here: WebSocketRoute) -> None:
        opened.append(here.url)
        there = here.connect_to_server()
        # The server itself says this every two seconds where it has no frames (tests/state/wire/test_broadcast.py).
        there.on_message(lambda text: here.send(NOTHING_NEW.text if still and "feed_state" in str(text) else text))

    page.route_web_socket("**/_event/**", carry)
    visit(page, "/")
    still = True
    expect(page.get_by_test_id("feed-status")).to_contain_text(re.compile(r"(9|\d\d)s old"), timeout=WITHIN_S * 1000)
    still = False
    expect_state(page, "live")
    assert len(opened) == 1


ONCE = """
window.acts = { dispatched: [], intervals: new Map(), listeners: [] };
for (const target of [window, document]) {
    const { addEventListener, removeEventListener, dispatchEvent } = target;
    const known = (type, listener) => ([t, n, l]) => t === target && n === type && l === listener;
    target.addEventListener = (type, listener, ...rest) => {
        if (!acts.listeners.some(known(type, listener))) acts.listeners.push([target, type, listener]);
        return addEventListener.call(target, type, listener, ...rest);
    };
    target.removeEventListener = (type, listener, ...rest) => {
        acts.listeners = acts.listeners.filter(each => !known(type, listener)(each));
        return removeEventListener.call(target, type, listener, ...rest);
    };
    target.dispatchEvent = event => {
        acts.dispatched.push(event.type);
        return dispatchEvent.call(target, event);
    };
}
const { setInterval, clearInterval } = window;
window.setInterval = (act, ...rest) => {
    const id = setInterval(act, ...rest);
    acts.intervals.set(id, act);
    return id;
};
window.clearInterval = id => {
    acts.intervals.delete(id);
    clearInterval(id);
};
"""
TOLD = """() => {
    // What a library binds has no source of its own.
    const own = texts => texts.filter(text => !text.includes('[native code]')).sort();
    return {
        dispatched: acts.dispatched,
        intervals: own([...acts.intervals.values()].map(String)),
        listeners: own(acts.listeners.map(([target, type, listener]) =>
            `${target === window ? 'window' : 'document'} ${type} ${listener}`)),
    };
}"""


def test_what_is_page_wide_is_done_once_a_page(page: Page) -> None:
    """However many components follow it, and however often somebody goes from page to page and back."""
    page.add_init_script(ONCE)
    visit(page, "/pricing")
    told = page.evaluate(TOLD)
    for _ in range(3):
        for name in ("Sign in", "Pricing"):
            page.get_by_role("link", name=name, exact=True).first.click()
            page.wait_for_url(f"**/{'login' if name == 'Sign in' else 'pricing'}")
            expect_state(page, "live")
    page.get_by_role("link", name="FlashCur, to the markets").click()
    expect(page.locator("tbody.rows tr").first).to_be_visible()
    there = page.evaluate(TOLD)
    for found in (told, there):
        assert found["dispatched"] == ["eip6963:requestProvider"] * (found is there), "only wallets are asked for"
        for kind in ("intervals", "listeners"):
            assert found[kind] == sorted(set(found[kind])), kind
    page.get_by_role("link", name="Pricing", exact=True).first.click()
    page.wait_for_url("**/pricing")
    expect_state(page, "live")
    # Each module that has been loaded by then listens once.
    wait_until(lambda: set(page.evaluate(TOLD)["listeners"]) <= set(there["listeners"]), "the same listeners", 10)
