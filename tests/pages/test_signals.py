"""The signals beside the table: live arrival, what is unread on which device, the closed panel, the phone's sheet, and
what rings. The engine may find signals of its own meanwhile, so nothing here counts all of them."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from flashcur.services.alerts import signals
from flashcur.services.kit.clock import now_ms
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App
from tests.support.people import enter, leave, sign_up, visit
from tests.support.programs import wait_until
from tests.support.signals import signal

WITHIN_MS = 20_000
"""The hub reads the database every five seconds; only an engine tells it to at once."""
QUARTER_MS = 900_000
_numbers = itertools.count(1)

COUNT_RINGS = """
  window.rings = 0;
  window.shown = [];
  const { start } = OscillatorNode.prototype;
  OscillatorNode.prototype.start = function (...when) { window.rings++; return start.apply(this, when); };
  window.Notification = class {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, { body }) { window.shown.push(`${title} ${body}`); }
    close() {}
  };
"""


def put(app: App, *bases: str, minutes: float = 0.0, **other: object) -> list[str]:
    """Store a signal of each contract; their ids."""
    at_ms = now_ms() - int(minutes * 60_000)
    made = [
        replace(signal(next(_numbers), base=base, **other), event_ms=at_ms, seen_ms=at_ms + 40)  # type: ignore[arg-type]
        for base in bases
    ]
    with app.database() as database, database.session() as session:
        return [str(record.id) for record in signals.store(session, made, at_ms + 80)]


def entry(page: Page, id_: str) -> Locator:
    return page.locator(f'[data-testid="signals"] > [data-signal-id="{id_}"]')


def bell(page: Page) -> Locator:
    return page.locator("#signals-button")


def panel(page: Page) -> Locator:
    return page.get_by_test_id("signals-panel")


def first_ids(page: Page, number: int) -> list[str]:
    entries = page.locator('[data-testid="signals"] > li')
    ids: list[str] = entries.evaluate_all("entries => entries.map(each => each.dataset.signalId)")
    return ids[:number]


def test_new_signals_stand_beside_the_table_without_moving_what_is_read(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    put(app, *(["XRP"] * 12), minutes=30)
    visit(page, "/")
    old, *_ = put(app, "ETH", minutes=3, text="ETH hourly volume $9.00B (3.10× prev) — VOLUME SPIKE", severity=3)
    expect(entry(page, old)).to_contain_text("Extreme", timeout=WITHIN_MS)
    expect(entry(page, old)).to_contain_text("Bullish")
    expect(entry(page, old).locator(".ago")).to_contain_text("min ago")
    expect(entry(page, old).get_by_role("link", name="ETH at TradingView, a new tab")).to_have_attribute(
        "href", "https://www.tradingview.com/chart/?symbol=BINANCE%3AETHUSDT.P"
    )
    # The row of the contract says so, in words as well.
    row = page.locator('tbody.rows tr[data-symbol="ETHUSDT"]')
    expect(row.get_by_role("img", name="Volume spike, bullish")).to_be_visible()
    # Under the pointer nothing moves: what comes waits above.
    entry(page, old).hover()
    expect(entry(page, old).locator(".exact")).to_contain_text("UTC")
    before = first_ids(page, 5)
    new = put(app, "SOL", "BTC", direction="bearish")
    waiting = panel(page).get_by_role("button", name=re.compile(r"^\d+ new$"))
    expect(waiting).to_be_visible(timeout=WITHIN_MS)
    assert first_ids(page, 5) == before
    waiting.click()
    for id_ in new:
        expect(entry(page, id_)).to_be_in_viewport()
    expect(waiting).to_have_count(0)
    # An entry opens the signal, and its evidence.
    entry(page, new[0]).get_by_role("link").first.click()
    expect(page.get_by_test_id("signal-sheet")).to_contain_text("Why it fired")


def test_what_is_read_on_one_device_is_read_on_all_and_a_closed_panel_stays_closed(
    page: Page, app: App, browser: Browser
) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/")
    panel(page).get_by_role("button", name="Close signals").click()
    expect(panel(page)).to_be_hidden()
    page.reload()
    expect(page.locator('[data-testid="feed-status"][data-state="live"]')).to_be_visible()
    expect(panel(page)).to_be_hidden()
    expect(bell(page)).to_have_attribute("aria-expanded", "false")
    put(app, "SOL", "BTC")
    unread = re.compile(r"Signals, \d+ unread")
    expect(bell(page)).to_have_attribute("aria-label", unread, timeout=WITHIN_MS)
    expect(page).to_have_title(re.compile(r"^\(\d+\) FlashCur"))
    # Another device of the same account, where the panel is open.
    other = browser.new_context(viewport=DESKTOP, base_url=app.url, storage_state=page.context.storage_state())
    elsewhere = other.new_page()
    elsewhere.add_init_script("localStorage.removeItem('flashcur_signals')")
    visit(elsewhere, "/")
    expect(panel(elsewhere)).to_be_visible()
    expect(bell(page)).to_have_attribute("aria-label", "Signals", timeout=WITHIN_MS)
    expect(page).to_have_title(re.compile(r"^FlashCur"))
    # So are those that the page of all signals shows.
    visit(elsewhere, "/watchlists")
    put(app, "ETH")
    expect(bell(page)).to_have_attribute("aria-label", unread, timeout=WITHIN_MS)
    visit(elsewhere, "/signals")
    expect(bell(page)).to_have_attribute("aria-label", "Signals", timeout=WITHIN_MS)
    leave(other)
    bell(page).click()
    expect(panel(page)).to_be_visible()
    page.reload()
    expect(panel(page)).to_be_visible()


def test_one_tab_rings_and_never_for_what_is_old(browser: Browser, app: App) -> None:
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    context.add_init_script(COUNT_RINGS)
    enter(context, app, "elite")
    put(app, "XRP")
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        visit(page, "/")
        page.locator("h1").dispatch_event("click")
    menu = re.compile("Sound and notifications")
    panel(first).get_by_role("button", name=menu).click()
    for name in ("Sound", "Browser notification"):
        panel(first).get_by_role("button", name=name, exact=True).click()
        expect(panel(first).get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    # The choice is the browser's; a click lets the other tab sound, too.
    expect(panel(second).get_by_role("button", name=re.compile("notifications, on"))).to_be_visible()
    second.locator("#search").click()
    begun = [page.evaluate("[window.rings, window.shown.length]") for page in (first, second)]
    (new,) = put(app, "BTC")
    for page in (first, second):
        expect(entry(page, new)).to_be_visible(timeout=WITHIN_MS)
    wait_until(lambda: first.evaluate("window.rings") > begun[0][0], "the first tab's sound")
    # Another one may have rung before.
    shown = "window.shown.slice(1).some(each => /BTC|new signals/.test(each))"
    # The right to notify may come a moment after the one to sound: then the next signal is the first that is shown.
    asked = time.monotonic()

    def notified() -> bool:
        nonlocal asked
        if time.monotonic() > asked + 6:
            put(app, "BTC")
            asked = time.monotonic()
        return first.evaluate(shown)

    wait_until(notified, "the first tab's notification")
    assert second.evaluate("[window.rings, window.shown.length]") == begun[1] == [0, 0]
    # The tab that owned them is gone: the other one has them, and begins with what is new.
    first.close()
    second.reload()
    expect(entry(second, new)).to_be_visible()
    second.locator("#search").click()
    assert second.evaluate("[window.rings, window.shown.length]") == [0, 0]
    put(app, "SOL")
    wait_until(lambda: second.evaluate("window.rings > 0 && window.shown.length > 0"), "the second tab's", 20)
    leave(context)


def test_a_count_of_two_digits_leaves_the_next_word_of_the_head_alone(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    put(app, *["SOL"] * 12)
    visit(page, "/watchlists")
    count = page.locator(".pages .count")
    expect(count).to_have_text(re.compile(r"^\d\d+$"), timeout=WITHIN_MS)
    ends = page.evaluate("document.querySelector('.pages .count').getBoundingClientRect().right")
    begins = page.evaluate(
        """() => { const range = document.createRange();
            range.selectNodeContents(document.querySelector('.pages a[href="/alerts"]'));
            return range.getBoundingClientRect().left }"""
    )
    assert ends + 3 <= begins


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_on_a_phone_the_mark_of_what_fired_stands_in_its_line(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    put(app, "BTC")
    visit(page, "/")
    cell = page.locator('tr[data-symbol="BTCUSDT"] th')
    mark = cell.locator(".fired")
    expect(mark).to_be_visible(timeout=WITHIN_MS)
    middles = [box["y"] + box["height"] / 2 for box in (cell.bounding_box(), mark.bounding_box()) if box]
    assert len(middles) == 2
    assert abs(middles[0] - middles[1]) <= 2


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_opens_a_sheet_and_a_guest_is_told_what_the_plan_leaves_out(page: Page, app: App) -> None:
    # A second before the mark: Free sees its newest ten, and this market has signals of its own.
    minutes = (now_ms() % QUARTER_MS + 1_000) / 60_000
    (shown,) = put(app, "BTC", minutes=minutes)
    (hidden,) = put(app, "BTC", minutes=minutes, detector="open_interest", kind="OI_SURGE")
    (later,) = put(app, "BTC")
    visit(page, "/")
    expect(bell(page)).to_have_attribute("aria-label", re.compile(r"Signals, \d+ unread"), timeout=WITHIN_MS)
    expect(panel(page)).to_be_hidden()
    bell(page).click()
    expect(entry(page, shown)).to_be_visible()
    expect(panel(page)).to_contain_text("Open interest signals come with Pro.")
    expect(panel(page)).to_contain_text(re.compile(r"next signals appear in \d+:\d\d"))
    for id_ in (hidden, later):
        expect(entry(page, id_)).to_have_count(0)
    expect(bell(page)).to_have_attribute("aria-label", "Signals")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(bell(page)).to_be_focused()
    # Read in this browser, also after a reload.
    visit(page, "/")
    expect(panel(page)).to_be_hidden()
    expect(bell(page)).to_have_attribute("aria-label", "Signals")


def test_a_browser_that_blocks_notifications_is_told_what_to_do(page: Page) -> None:
    page.add_init_script(
        "window.Notification = class { static permission = 'denied'; static requestPermission = async () => 'denied' }"
    )
    visit(page, "/")
    panel(page).get_by_role("button", name=re.compile("Sound and notifications")).click()
    panel(page).get_by_role("button", name="Browser notification").click()
    expect(panel(page)).to_contain_text("Allow them in the site settings")
    expect(panel(page).get_by_role("button", name="Browser notification")).to_have_attribute("aria-pressed", "false")
