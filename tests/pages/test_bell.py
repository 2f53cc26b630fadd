"""The bell: alerts that come to open tabs, are noted and notified once, counted, and read over all tabs and devices."""

from __future__ import annotations

import re
from itertools import pairwise

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlmodel import select

from flashcur.models import Account, Delivery, DeliveryStep
from flashcur.services.kit.clock import now_ms
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App
from tests.support.ledger import add_alert, add_delivery
from tests.support.people import enter, leave, visit
from tests.support.programs import wait_until

WITHIN_MS = 10_000
"""The hub looks each second; an engine that stored the alert tells it to at once."""

NOTIFICATIONS = """
  window.shown = [];
  window.tags = [];
  window.Notification = class {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, { body, tag }) { window.shown.push(`${title}: ${body}`); window.tags.push(tag); }
    close() {}
  };
"""


def put(app: App, address: str, title: str, *, to_browser: bool = False, minutes: float = 0.0, note: str = "") -> int:
    """Store an alert of the account with this address; the id of it."""
    at_ms = now_ms() - int(minutes * 60_000)
    with app.database() as database, database.session() as session:
        account_id = session.exec(select(Account.id).where(Account.email == address)).one()
        text, evidence = "Price 65,010 (at or above 65,000)", {"note": note}
        alert = add_alert(session, account_id, at_ms, title=title, text=text, evidence=evidence)
        if to_browser:
            add_delivery(session, alert, "browser", at_ms)
        return alert.id or 0


def bell(page: Page) -> Locator:
    return page.get_by_test_id("bell")


def notes(page: Page) -> Locator:
    return page.get_by_test_id("alert-notes").locator("li")


def shown(*pages: Page) -> list[str]:
    """Browser notifications of these tabs."""
    return [each for page in pages for each in page.evaluate("window.shown")]


def person(browser: Browser, app: App) -> tuple[BrowserContext, str]:
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    context.add_init_script(NOTIFICATIONS)
    return context, enter(context, app, "pro")


def test_an_alert_is_noted_in_each_tab_notified_by_one_and_read_over_all(browser: Browser, app: App) -> None:
    context, address = person(browser, app)
    put(app, address, "An old one", minutes=30)
    one, other = context.new_page(), context.new_page()
    visit(one, "/")
    visit(other, "/signals")
    for page in (one, other):
        expect(bell(page)).to_have_attribute("aria-label", "Alerts, 1 unread")
        expect(notes(page)).to_have_count(0)
    new = put(app, address, "BTCUSDT crossed above 65,000", to_browser=True)
    for page in (one, other):
        expect(notes(page)).to_have_text([re.compile("BTCUSDT crossed above 65,000")], timeout=WITHIN_MS)
        expect(bell(page)).to_have_attribute("aria-label", "Alerts, 2 unread")

    def status() -> str:
        with app.database() as database, database.session(readonly=True) as session:
            return session.exec(select(Delivery.status).where(Delivery.alert_id == new)).one()

    # The tab that showed it says so: the message has arrived, and the bell tells where it went.
    wait_until(lambda: status() == "delivered", "the acknowledgement", 20)
    assert shown(one, other) == ["BTCUSDT crossed above 65,000: Price 65,010 (at or above 65,000)"]
    with app.database() as database, database.session(readonly=True) as session:
        steps = session.exec(select(DeliveryStep.status).join(Delivery).where(Delivery.alert_id == new)).all()
    assert list(steps) == ["queued", "delivered"]
    # Dismissed in one tab it is gone from both, and still unread.
    notes(one).get_by_role("button", name="Dismiss").click()
    for page in (one, other):
        expect(notes(page)).to_have_count(0)
        expect(bell(page)).to_have_attribute("aria-label", "Alerts, 2 unread")
    # What stood open for a moment is read, in every tab.
    bell(other).click()
    entries = other.get_by_test_id("bell-list").locator("li")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("Browser notification delivered")
    for page in (one, other):
        expect(bell(page)).to_have_attribute("aria-label", "Alerts", timeout=WITHIN_MS)
    # A reload tells of nothing again.
    one.reload()
    expect(bell(one)).to_have_attribute("aria-label", "Alerts")
    expect(notes(one)).to_have_count(0)
    assert shown(one) == []
    leave(context)


def test_an_alert_that_is_opened_is_read_with_what_is_older_in_all_tabs(browser: Browser, app: App) -> None:
    context, address = person(browser, app)
    other, page = context.new_page(), context.new_page()
    visit(other, "/signals")
    visit(page, "/")

    def unread(label: str) -> None:
        for each in (page, other):
            expect(bell(each)).to_have_attribute("aria-label", label, timeout=WITHIN_MS)

    # From the toast.
    put(app, address, "The first")
    unread("Alerts, 1 unread")
    notes(page).get_by_role("link").click()
    expect(page.locator("[data-message] details")).to_have_attribute("open", "")
    unread("Alerts")
    # From the messages: what is newer stays unread.
    ids = [put(app, address, f"Number {number}") for number in range(3)]
    unread("Alerts, 3 unread")
    visit(page, "/alerts?tab=messages")
    page.locator(f'[data-message="a{ids[1]}"] summary').click()
    unread("Alerts, 1 unread")
    # From the list, before it has stood open for long.
    page.evaluate("setTimeout(() => document.querySelector(`#alerts-bell li a`).click())")
    unread("Alerts")
    leave(context)


def test_an_age_is_told_to_the_second(browser: Browser, app: App) -> None:
    context, address = person(browser, app)
    page = context.new_page()
    put(app, address, "BTCUSDT crossed above 65,000")
    visit(page, "/alerts?tab=messages")
    age = page.locator("[data-message] .ago")
    expect(age).to_have_text(re.compile(r"^(just now|\d+ s ago)$"))
    age.evaluate(
        """age => {
            window.told = [];
            new MutationObserver(() => window.told.push(age.textContent)).observe(
                age, { childList: true, characterData: true, subtree: true });
        }"""
    )
    wait_until(lambda: page.evaluate("window.told.length") > 5, "ages that change", 30)
    told = [int(text.split()[0]) for text in page.evaluate("window.told") if text.endswith(" s ago")]
    # None of them older than the one after it; a machine that is busy may leave one out.
    assert told == sorted(told)
    assert {number % 10 for number in told} - {0}
    assert 1 in [later - earlier for earlier, later in pairwise(sorted(set(told)))]
    leave(context)


def test_notes_lie_over_no_control_of_an_open_form_and_not_over_the_list(browser: Browser, app: App) -> None:
    for size in (DESKTOP, PHONE):
        context, address = person(browser, app)
        page = context.new_page()
        page.set_viewport_size(size)
        visit(page, "/alerts")
        page.locator(".rules-head a.button").click()
        form = page.locator(".rule-form")
        save = form.locator("button.primary")
        expect(save).to_be_visible()
        for number in range(3):
            put(app, address, f"Number {number}")
        expect(notes(page)).to_have_count(3, timeout=WITHIN_MS)
        controls = form.locator(
            "button:visible:enabled, input:visible:enabled, select:visible:enabled, summary:visible"
        )
        assert controls.count() > 5
        for control in controls.all():
            control.scroll_into_view_if_needed()
            # Nothing lies over it: the click would be refused.
            control.click(trial=True)
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("rule-sheet")).to_be_hidden()
        bell(page).click()
        entries = page.get_by_test_id("bell-list").locator("li a")
        expect(entries).to_have_count(3)
        for entry in entries.all():
            entry.click(trial=True)
        expect(notes(page).first).to_be_hidden()
        leave(context)


def test_a_browser_notification_is_shown_at_a_press(browser: Browser, app: App) -> None:
    context, _ = person(browser, app)
    page = context.new_page()
    visit(page, "/alerts?tab=channels")
    press = page.locator("#channel-browser").get_by_role("button", name="Show one here")
    for count in (1, 2):
        press.click()
        wait_until(lambda count=count: len(page.evaluate("window.shown")) == count, "the notification", 20)
    first, second = page.evaluate("window.tags")
    assert first != second
    assert page.evaluate("window.shown")[0] == "FlashCur: Your alerts will be shown like this."
    leave(context)


def test_what_came_while_a_tab_was_away_is_counted_and_what_waits_is_notified(browser: Browser, app: App) -> None:
    context, address = person(browser, app)
    page = context.new_page()
    visit(page, "/watchlists")
    expect(bell(page)).to_have_attribute("aria-label", "Alerts")
    page.goto("about:blank")
    put(app, address, "While it was away", to_browser=True)
    visit(page, "/watchlists")
    expect(bell(page)).to_have_attribute("aria-label", "Alerts, 1 unread")
    wait_until(lambda: bool(shown(page)), "the notification", 20)
    assert shown(page) == ["While it was away: Price 65,010 (at or above 65,000)"]
    leave(context)


def test_nobody_is_told_of_another_s_alerts(browser: Browser, app: App) -> None:
    (context, _), (elsewhere, address) = person(browser, app), person(browser, app)
    page, theirs = context.new_page(), elsewhere.new_page()
    visit(page, "/")
    visit(theirs, "/")
    put(app, address, "Not for you", to_browser=True)
    expect(notes(theirs)).to_have_count(1, timeout=WITHIN_MS)
    expect(bell(page)).to_have_attribute("aria-label", "Alerts")
    assert shown(page) == []
    for each in (context, elsewhere):
        leave(each)


def test_on_a_phone_the_list_is_a_sheet_and_moves_nothing(browser: Browser, app: App) -> None:
    context = browser.new_context(viewport=PHONE, base_url=app.url, has_touch=True)
    address = enter(context, app, "pro")
    page = context.new_page()
    visit(page, "/")
    put(app, address, "DOGEUSDT moved down 5.1 % within 15 min")
    expect(bell(page)).to_have_attribute("aria-label", "Alerts, 1 unread", timeout=WITHIN_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    bell(page).tap()
    sheet = page.get_by_test_id("bell-list")
    expect(sheet.get_by_text("DOGEUSDT moved down")).to_be_in_viewport()
    box = sheet.bounding_box()
    assert box is not None
    assert box["width"] == PHONE["width"]
    assert round(box["y"] + box["height"]) == PHONE["height"]
    leave(context)


def test_a_guest_has_no_bell(page: Page) -> None:
    visit(page, "/")
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    expect(bell(page)).to_have_count(0)


def test_the_rule_s_own_note_stands_wherever_its_alert_does(browser: Browser, app: App) -> None:
    context, address = person(browser, app)
    page = context.new_page()
    visit(page, "/alerts?tab=messages")
    expect(page.get_by_test_id("no-messages")).to_be_visible()
    noted = put(app, address, "BTCUSDT crossed above 65,000", to_browser=True, note="Sell <b>half</b>.")
    expect(notes(page)).to_contain_text("“Sell <b>half</b>.”", timeout=WITHIN_MS)
    wait_until(lambda: bool(shown(page)), "the notification", 20)
    assert shown(page) == ["BTCUSDT crossed above 65,000: Price 65,010 (at or above 65,000)\nSell <b>half</b>."]
    bell(page).click()
    expect(page.get_by_test_id("bell-list").locator("li")).to_contain_text("“Sell <b>half</b>.”")
    visit(page, f"/alerts?tab=messages&alert={noted}")
    expect(page.locator(".ledger .told")).to_contain_text("“Sell <b>half</b>.”")
    context.close()
