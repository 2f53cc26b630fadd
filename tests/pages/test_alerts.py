"""Rules as people write them: from a row's bell to a rule that watches, and what the list says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlmodel import col, select

from flashcur.domain.rules.condition import INTEREST_WINDOWS_S, MOVE_WINDOWS_S, OnSignal, PriceCross, PriceMove
from flashcur.domain.rules.firing import WINDOW_WORDS
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.share import to_link
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import Account, InstrumentSet, RuleRecord
from flashcur.services.alerts import receipts, signals
from flashcur.services.kit.clock import to_ms, utc_now
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.records.instrument_sets import Contracts
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.alerts import alert
from tests.support.app import App
from tests.support.ledger import add_alert
from tests.support.people import PASSWORD, enter, leave, mailed_link, new_address, path_of, sign_up, visit
from tests.support.rules import add_rule
from tests.support.signals import signal
from tests.support.wallet import inject_wallet

SHARED = Definition((PriceMove("up", 7.0, 3_600),), Scope("all"), name="Runners")

_TYPE = """const type = async (input, text) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await Promise.resolve();
};"""
"""Writes into a field, and returns in the same turn of the page, once it is drawn."""


def sheet(page: Page) -> Locator:
    return page.get_by_test_id("rule-sheet")


def rules(page: Page) -> Locator:
    return page.locator(".rule-list > li")


def read_back(page: Page) -> Locator:
    return page.get_by_test_id("read-back")


def write(page: Page, contract: str, price: str) -> None:
    """Open the form and fill in a rule on a price."""
    page.get_by_role("link", name="New rule").click()
    sheet(page).get_by_label("Contract", exact=True).fill(contract)
    sheet(page).get_by_label("Price", exact=True).fill(price)


def save(page: Page) -> None:
    sheet(page).get_by_role("button", name="Save", exact=True).click()
    expect(sheet(page)).to_be_hidden()


def press_bell(page: Page, coin: str) -> None:
    """The bell in a contract's row of the table."""
    row = page.locator(f'tbody.rows tr[data-symbol="{coin}USDT"]')
    row.hover()
    row.get_by_role("button", name=f"New alert for {coin}").click()
    expect(sheet(page)).to_be_visible()


def test_a_form_that_a_row_s_bell_opened_leads_back_to_the_table(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    table = "/?sort=symbol&dir=asc"
    visit(page, table)
    scroller, listed = page.locator(".scroller"), page.locator("tbody.rows tr")
    expect(listed.nth(100)).to_be_attached()
    last = listed.last
    last.hover()
    top = scroller.evaluate("(e) => e.scrollTop")
    assert top > 1_000
    for close in (
        lambda: page.keyboard.press("Escape"),
        lambda: sheet(page).get_by_role("button", name="Close").click(),
    ):
        last.get_by_role("button", name="New alert for").click()
        expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("")
        close()
        expect(last).to_be_visible()
        assert path_of(page) == table
        expect(scroller).to_have_js_property("scrollTop", top)
    # Saved, it leads back as well, and what is said of that comes along.
    press_bell(page, "BTC")
    sheet(page).get_by_label("Price", exact=True).fill("900000")
    save(page)
    expect(last).to_be_attached()
    assert path_of(page) == table
    expect(page.locator(".notice-bar")).to_contain_text("The rule is watching now")
    # Nothing of it is left in the next form.
    press_bell(page, "BTC")
    expect(sheet(page).get_by_label("Contract", exact=True)).to_have_value("BTCUSDT")
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("")
    # Also after a reload it is known where the form was opened.
    page.reload()
    expect(sheet(page).get_by_label("Price", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(last).to_be_attached()
    assert path_of(page) == table
    visit(page, "/alerts")
    expect(rules(page)).to_have_count(1)
    # Begun on this page it stays here.
    write(page, "eth", "900001")
    save(page)
    expect(rules(page)).to_have_count(2)
    assert path_of(page) == "/alerts"


def test_a_form_that_a_signal_opened_leads_back_to_the_signal(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    at_ms = to_ms(utc_now())
    made = signal(at_ms, event_ms=at_ms, seen_ms=at_ms)
    with app.database() as database, database.session() as session:
        (stored,) = signals.store(session, [made], at_ms)
        shown = f"/signals?signal={stored.id}"
    visit(page, shown)
    evidence = page.get_by_role("dialog").filter(has_text="Why it fired")
    evidence.get_by_role("link", name="Alert me when this happens again").click()
    expect(read_back(page)).to_contain_text("Tell me when")
    assert path_of(page).startswith("/alerts?draft=")
    page.keyboard.press("Escape")
    expect(evidence).to_be_visible()
    assert path_of(page) == shown
    evidence.get_by_role("link", name="Alert me when this happens again").click()
    save(page)
    expect(evidence).to_be_visible()
    assert path_of(page) == shown
    expect(page.locator(".notice-bar")).to_contain_text("The rule is watching now")


def test_from_a_row_s_bell_to_a_rule_that_watches(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/")
    row = page.locator('tbody.rows tr[data-symbol="BTCUSDT"]')
    row.hover()
    row.get_by_role("button", name="New alert for BTC").click()
    expect(sheet(page)).to_be_visible()
    expect(sheet(page).get_by_label("Contract", exact=True)).to_have_value("BTCUSDT")
    expect(sheet(page).get_by_label("Contract", exact=True)).to_be_focused()
    # What is not filled in yet is no error yet.
    expect(sheet(page).locator('[aria-invalid="true"]')).to_have_count(0)
    sheet(page).get_by_label("Condition", exact=True).select_option("move")
    sheet(page).get_by_label("Percent").fill("5")
    sheet(page).get_by_role("button", name="Add a condition").click()
    sheet(page).get_by_label("And condition").select_option("volume")
    sheet(page).get_by_label("Times").fill("3")
    expect(read_back(page)).to_contain_text("Tell me when BTCUSDT rises or falls by 5 % or more within 15 minutes")
    expect(read_back(page)).to_contain_text("at least 3 times the previous hour’s volume")
    sheet(page).get_by_label("Browser notification").check()
    save(page)
    expect(page.locator(".notice-bar")).to_contain_text("The rule is watching now")
    visit(page, "/alerts")
    expect(rules(page)).to_have_count(1)
    expect(rules(page).first).to_contain_text("Tell me when BTCUSDT rises or falls by 5 %")
    expect(rules(page).first).to_contain_text("Has not fired yet.")
    expect(rules(page).first).to_contain_text(
        "Reaches you only in the app. Not by browser notification: none of your browsers allows notifications."
    )
    expect(page.locator(".rules-head")).to_contain_text("1 of 25 rules active on Pro")
    page.reload()
    expect(rules(page)).to_have_count(1)


def test_a_rule_is_edited_snoozed_paused_and_deleted(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    expect(page.get_by_text("You have no active rules yet")).to_be_visible()
    write(page, "eth", "9,000")
    save(page)
    rule = rules(page).first

    rule.get_by_role("link", name="Edit").click()
    expect(sheet(page).get_by_role("heading", name="Edit rule")).to_be_visible()
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("9,000")
    sheet(page).get_by_label("Name").fill("Nine thousand")
    save(page)
    expect(rule.get_by_role("heading")).to_have_text("Nine thousand")

    rule.get_by_role("button", name="Snooze").click()
    rule.get_by_role("button", name="For 8 h").click()
    expect(rule).to_contain_text("Snoozed until")
    rule.get_by_role("button", name="Wake").click()
    expect(rule).not_to_contain_text("Snoozed until")

    rule.get_by_role("button", name="Pause").click()
    expect(rules(page)).to_have_count(0)
    page.get_by_role("link", name="Paused").click()
    expect(rules(page).first).to_contain_text("Paused by you.")
    expect(rules(page).first).to_contain_text("Reaches nobody, because it is paused.")
    page.go_back()
    expect(rules(page)).to_have_count(0)
    page.go_forward()
    rules(page).first.get_by_role("button", name="Resume").click()
    expect(rules(page)).to_have_count(0)
    page.get_by_role("link", name="Active").click()
    expect(rules(page)).to_have_count(1)

    rules(page).first.get_by_role("button", name="Delete", exact=True).click()
    # White on black, or the other way round, as on every such button.
    delete = rules(page).first.get_by_role("button", name="Delete it")
    colours = delete.evaluate(
        "(e) => { const s = getComputedStyle(e), b = getComputedStyle(document.body);"
        " return [s.backgroundColor, s.color, b.color, b.backgroundColor]; }"
    )
    assert colours[:2] == colours[2:]
    rules(page).first.get_by_role("button", name="Keep it").click()
    rules(page).first.get_by_role("button", name="Delete", exact=True).click()
    rules(page).first.get_by_role("button", name="Delete it").click()
    expect(rules(page)).to_have_count(0)


def test_what_is_wrong_stands_beside_its_field(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts?rule=new")
    form = sheet(page)
    form.get_by_role("button", name="Save", exact=True).click()
    expect(form.get_by_text("Enter a number.")).to_be_visible()
    expect(form.get_by_text("Choose a contract.")).to_be_visible()
    # Where the keyboard is then: at the first that is wrong.
    expect(form.get_by_label("Contract", exact=True)).to_be_focused()
    form.get_by_label("Contract", exact=True).fill("nothing")
    expect(form.get_by_text("There is no contract “nothing” here")).to_be_visible()
    form.get_by_label("Contract", exact=True).fill("btc")
    expect(form.get_by_text("There is no contract")).to_have_count(0)
    price = form.get_by_label("Price", exact=True)
    for typed in ("0", "-5", "1e99", "much", "NaN"):
        price.fill(typed)
        expect(price).to_have_attribute("aria-invalid", "true")
        expect(form.locator(".condition-faults .error")).to_have_count(1)
    price.fill("100,000")
    expect(price).to_have_attribute("aria-invalid", "false")
    form.get_by_role("button", name="Add a condition").click()
    form.get_by_label("And condition").select_option("price")
    form.get_by_label("Side").last.select_option("below")
    form.get_by_label("Price", exact=True).last.fill("90000")
    expect(form.get_by_text("cannot be at or above 100,000 and at or below 90,000 at once")).to_be_visible()
    form.get_by_role("button", name="Save", exact=True).click()
    expect(form.get_by_role("alert").filter(has_text="Fix the marked fields")).to_be_visible()
    form.get_by_role("button", name="Remove this condition").last.click()
    expect(form.get_by_text("cannot be at or above")).to_have_count(0)
    save(page)
    expect(rules(page)).to_have_count(1)


def test_what_was_typed_is_kept_until_it_is_saved_or_begun_anew(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    write(page, "btc", "123456")
    expect(sheet(page).get_by_text("What you had begun")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    # Another form is another draft, also where the same is typed into it.
    visit(page, "/alerts?rule=new&symbol=ETHUSDT")
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("")
    visit(page, "/alerts")
    page.get_by_role("link", name="New rule").click()
    expect(sheet(page).get_by_text("We kept what you had begun.")).to_be_visible()
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value(re.compile("^123,?456$"))
    expect(read_back(page)).to_contain_text("BTCUSDT trades at or above 123,456 USDT")
    sheet(page).get_by_role("button", name="Start over").click()
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("")
    expect(sheet(page).get_by_text("What you had begun")).to_have_count(0)
    sheet(page).get_by_label("Contract", exact=True).fill("btc")
    sheet(page).get_by_label("Price", exact=True).fill("123457")
    save(page)
    page.get_by_role("link", name="New rule").click()
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("")


def test_a_channel_is_set_up_while_a_rule_is_written(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts")
    write(page, "btc", "123456")
    sheet(page).locator('[data-channel="webhook"]').get_by_role("link", name="Set it up").click()
    expect(page.locator("#channel-webhook")).to_be_in_viewport()
    expect(sheet(page)).to_be_hidden()
    page.get_by_role("link", name="Back to your rule").click()
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value(re.compile("^123,?456$"))
    expect(page.get_by_role("link", name="Back to your rule")).to_have_count(0)
    save(page)
    expect(page.locator(".notice-bar")).to_contain_text("The rule is watching now")


def test_a_form_that_the_table_opened_leads_back_to_it_from_wherever_it_was_left_for(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    table = "/?sort=symbol&dir=asc"
    for close in (lambda: page.keyboard.press("Escape"), lambda: save(page)):
        visit(page, table)
        press_bell(page, "BTC")
        sheet(page).get_by_label("Price", exact=True).fill("900000")
        sheet(page).locator('[data-channel="webhook"]').get_by_role("link", name="Set it up").click()
        page.get_by_role("link", name="Back to your rule").click()
        expect(sheet(page).get_by_label("Price", exact=True)).to_have_value(re.compile("^900,?000$"))
        close()
        expect(page.locator("tbody.rows tr").first).to_be_visible()
        assert path_of(page) == table
    expect(page.locator(".notice-bar")).to_contain_text("The rule is watching now")
    # It is over with that: the same form by its address stays where it is.
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    expect(sheet(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    assert path_of(page) == "/alerts"
    # So it is for a form that was left by the history.
    visit(page, table)
    press_bell(page, "BTC")
    expect(sheet(page)).to_be_visible()
    page.go_back()
    expect(page.locator("tbody.rows tr").first).to_be_visible()
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    expect(sheet(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    assert path_of(page) == "/alerts"


def test_a_guest_who_signs_in_for_a_row_s_form_is_led_back_to_the_table(page: Page, app: App, browser: Browser) -> None:
    elsewhere = browser.new_context(viewport=DESKTOP, base_url=app.url)
    address = enter(elsewhere, app, "free")
    leave(elsewhere)
    visit(page, "/")
    press_bell(page, "BTC")
    sheet(page).get_by_role("link", name="Sign in").click()
    page.get_by_label("Email address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(sheet(page).get_by_label("Price", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("tbody.rows tr").first).to_be_visible()
    assert path_of(page) == "/"


def test_one_wrong_field_leaves_the_rest_of_the_form_telling(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    form = sheet(page)
    # What is still to be filled in is a gap, and the price is told.
    expect(read_back(page)).to_contain_text("Tell me when BTCUSDT trades at or above … USDT")
    expect(form.locator(".present")).to_contain_text("USDT")
    form.get_by_label("Price", exact=True).fill("900000")
    preview = form.get_by_test_id("preview")
    # In its first minutes the exchange's past is still being read.
    expect(preview).to_have_attribute("data-state", re.compile("done|cannot"))
    past = preview.locator(".last-told > *").first.inner_text()
    form.get_by_role("button", name="Add a condition").click()
    form.get_by_label("Percent").fill("much")
    expect(read_back(page)).to_contain_text("trades at or above 900,000 USDT and rises or falls by … % or more")
    expect(form.locator('[data-condition="0"] .present')).to_contain_text("USDT")
    expect(preview).to_contain_text("Fix the marked field to see the past.")
    expect(preview).not_to_contain_text(past)
    form.get_by_role("button", name="Remove this condition").last.click()
    expect(preview).not_to_contain_text("Fix the marked field")
    expect(preview).to_have_attribute("data-state", re.compile("done|cannot"))


def test_a_form_that_is_changed_shows_no_past_of_the_rule_before(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    price, preview = sheet(page).get_by_label("Price", exact=True), sheet(page).get_by_test_id("preview")
    answered = re.compile("done|cannot")
    price.fill("900000")
    expect(preview).to_have_attribute("data-state", answered)
    expect(preview).to_have_attribute("aria-busy", "false")
    # Read in the turn of the change: nothing can have been asked by then, and nothing below has moved.
    before, after = price.evaluate(f"""async (input) => {{
        const preview = document.querySelector('[data-testid="preview"]');
        const look = () => ({{
            state: preview.dataset.state,
            busy: preview.ariaBusy,
            told: getComputedStyle(preview.querySelector(".last-told")).visibility,
            height: preview.getBoundingClientRect().height,
            text: preview.innerText,
        }});
        const before = look();
        {_TYPE}
        await type(input, "910000");
        return [before, look()];
    }}""")
    assert (after["state"], after["busy"], after["told"]) == ("working", "true", "hidden")
    assert "Looking at its past" in after["text"]
    assert after["height"] == before["height"]
    expect(preview).to_have_attribute("data-state", answered)
    expect(preview.locator(".last-told")).to_be_visible()
    # It may be cancelled before it is asked.
    price.evaluate(f"""async (input) => {{
        {_TYPE}
        await type(input, "920000");
        document.querySelector('[data-testid="preview"] .working button').click();
    }}""")
    expect(preview).to_contain_text("Cancelled.")
    # The sentence is said back after that, and asks for no past either.
    expect(read_back(page)).to_contain_text("920,000")
    expect(preview).to_contain_text("Cancelled.")
    preview.get_by_role("button", name="Try again").click()
    expect(preview).to_have_attribute("data-state", answered)


def test_over_the_plan_s_number_a_rule_is_kept_paused(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    for number in range(3):
        write(page, "btc", str(200_000 + number))
        save(page)
        expect(rules(page)).to_have_count(number + 1)
    # An active one keeps its place.
    rules(page).first.get_by_role("link", name="Edit").click()
    expect(sheet(page).get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(sheet(page)).not_to_contain_text("saved as paused")
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    page.get_by_role("link", name="New rule").click()
    foot = sheet(page).locator("footer")
    expect(foot).to_contain_text("3 of 3 active rules on Free. This one will be saved as paused.")
    expect(foot.get_by_role("link", name="Compare plans")).to_be_visible()
    expect(foot.get_by_role("button")).to_have_text(["Save as paused"])
    sheet(page).get_by_label("Contract", exact=True).fill("btc")
    sheet(page).get_by_label("Price", exact=True).fill("300000")
    # The keyboard saves it as the button does.
    page.keyboard.press("Enter")
    expect(sheet(page)).to_be_hidden()
    expect(page.locator(".notice-bar")).to_contain_text("Saved as paused.")
    page.get_by_role("link", name="Paused").click()
    expect(rules(page)).to_have_count(1)
    rules(page).first.get_by_role("button", name="Resume").click()
    expect(page.locator(".notice-bar")).to_contain_text("Free allows 3 active rules")


def test_a_rule_that_has_fired_is_edited_and_kept_paused(page: Page, app: App) -> None:
    address, now_ms = sign_up(page, app), to_ms(utc_now())
    written = Definition((PriceCross("above", 900_000.0),), Scope("symbol", "BTCUSDT"), mode="once")
    with app.database() as database, database.session() as session:
        owner = session.exec(select(Account.id).where(Account.email == address)).one()
        for _ in range(3):
            add_rule(session, owner, written, now_ms)
        add_rule(session, owner, written, now_ms, status="done", why="fired", fires=1, fired_ms=now_ms)
    visit(page, "/alerts?tab=done")
    rules(page).first.get_by_role("link", name="Edit").click()
    sheet(page).get_by_label("Price", exact=True).fill("910000")
    expect(sheet(page).locator("footer")).to_contain_text("3 of 3 active rules on Free.")
    sheet(page).get_by_role("button", name="Save as paused").click()
    expect(sheet(page)).to_be_hidden()
    expect(page.locator(".notice-bar")).to_contain_text("Saved as paused.")
    page.get_by_role("link", name="Paused").click()
    expect(rules(page)).to_have_count(1)
    expect(rules(page).first).to_contain_text("910,000 USDT")


def test_a_rule_says_what_its_plan_and_its_channels_lack(page: Page, app: App) -> None:
    """Complaint 26: a channel that is not set up, or not the plan's, says so before anybody counts on it."""
    sign_up(page, app)
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    form = sheet(page)
    email = form.locator('[data-channel="email"]')
    expect(email).to_contain_text("It comes with Pro")
    expect(email.get_by_role("checkbox")).to_be_disabled()
    expect(form.locator('[data-channel="telegram"]')).to_contain_text("It comes with Elite")
    lacks = form.get_by_text("Open interest comes with Pro.")
    form.get_by_label("Condition", exact=True).select_option("interest")
    expect(lacks).to_have_count(1)
    expect(form.locator(".present")).to_have_text("Open interest comes with Pro.")
    form.get_by_label("Condition", exact=True).select_option("signal")
    expect(lacks).to_have_count(0)
    form.get_by_label("Kind of signal").select_option("open_interest")
    expect(lacks).to_have_count(1)
    form.get_by_role("button", name="Save", exact=True).click()
    expect(form.locator(".condition-faults")).to_contain_text("Open interest comes with Pro")
    expect(form.locator("footer")).to_contain_text("Fix the marked fields first.")
    expect(lacks).to_have_count(1)
    form.get_by_label("Condition", exact=True).select_option("price")
    form.get_by_label("Price", exact=True).fill("500000")
    # The plan is not live: it says as of when.
    expect(form.locator(".present")).to_contain_text(re.compile(r"^At \d\d:\d\d UTC: "))
    save(page)
    expect(rules(page).first).to_contain_text("Reaches you only in the app.")


def test_the_form_says_of_each_window_what_is_measured_or_until_when_it_is_not_known(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    form = sheet(page)
    # A window of five minutes on is known soon once a rule looks at it.
    later = r"It will know by \d\d:\d\d UTC( tomorrow)?(, or soon after you save the rule)?\."
    for kind, what, windows_s in (
        ("move", "price", MOVE_WINDOWS_S),
        ("interest", "open interest", INTEREST_WINDOWS_S),
    ):
        form.get_by_label("Condition", exact=True).select_option(kind)
        form.get_by_label("Percent", exact=True).fill("900")
        for window_s in windows_s:
            form.get_by_label("Within", exact=True).select_option(str(window_s))
            words = WINDOW_WORDS[window_s]
            # What is said back and what is measured come together.
            expect(read_back(page)).to_contain_text(f"within {words},")
            unknown = rf"Not known yet: FlashCur has watched the {what} for less than {words}\. {later}"
            measured = r"Now [+-]?\d+\.\d\d %"
            # The past hours of open interest are read at the start.
            known = kind == "interest" and window_s >= 3_600
            said = re.compile(rf"^{measured}$" if known else rf"^({measured}|{unknown})$")
            expect(form.locator(".present")).to_have_text(said, timeout=60_000)


@pytest.fixture
def guest(browser: Browser, app: App) -> Iterator[Page]:
    """A tab of somebody without an account."""
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    yield context.new_page()
    leave(context)


def test_a_shared_rule_is_another_s_draft(page: Page, app: App, guest: Page) -> None:
    address = f"/alerts?draft={to_link(SHARED)}"
    sign_up(page, app)
    visit(page, address)
    expect(sheet(page).get_by_label("Name")).to_have_value("Runners")
    expect(read_back(page)).to_contain_text("any contract rises by 7 % or more within 1 hour")
    save(page)
    expect(rules(page)).to_have_count(1)

    visit(guest, address)
    expect(read_back(guest)).to_have_text(
        "Tell me when any contract rises by 7\u00a0% or more within 1 hour, at most once an hour per contract."
    )
    expect(sheet(guest)).to_contain_text("Watches: Every crypto contract that trades here")
    expect(sheet(guest)).to_contain_text("Sign in, and this rule opens as a draft of your own")
    # A stranger's own words are shown to nobody who has not asked for the rule as theirs.
    expect(sheet(guest)).not_to_contain_text("Runners")
    expect(sheet(guest).get_by_role("link", name="Sign in")).to_have_attribute(
        "href", f"/login?next={quote(address, safe='')}"
    )
    expect(sheet(guest).get_by_role("link", name="Create a free account")).to_have_attribute(
        "href", f"/register?next={quote(address, safe='')}"
    )
    made_up = [to_link(replace(SHARED, scope=Scope("symbol", said))) for said in ("win a prize", "PRIZE.COM/FREE")]
    for broken in ("1nonsense", to_link(SHARED)[:-9], *made_up):
        visit(guest, f"/alerts?draft={broken}")
        expect(sheet(guest).get_by_role("alert")).to_contain_text("This link is broken")
        expect(sheet(guest)).not_to_contain_text(re.compile("prize", re.I))
    # Without a shared rule nobody is told of one.
    visit(guest, "/alerts?rule=new&symbol=BTCUSDT")
    expect(sheet(guest)).to_contain_text("A rule of your own")
    enter(guest.context, app, "free")
    visit(guest, "/alerts?draft=1nonsense")
    expect(sheet(guest)).to_contain_text("This link is broken")


def test_who_registers_for_a_shared_rule_is_led_back_to_it(page: Page, app: App) -> None:
    shared, address = f"/alerts?draft={to_link(SHARED)}", new_address()
    visit(page, shared)
    sheet(page).get_by_role("link", name="Sign in").click()
    # Somebody who finds out there that they need an account, and has seen the other page before.
    page.get_by_role("link", name="Create an account").click()
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Email address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#register-sent")).to_be_visible()
    opened = page.context.new_page()
    visit(opened, mailed_link(app, address, "/confirm"))
    opened.get_by_role("button", name="Confirm my address").click()
    expect(sheet(opened).get_by_label("Name")).to_have_value("Runners")
    assert path_of(opened) == shared
    expect(read_back(opened)).to_contain_text("any contract rises by 7")
    save(opened)
    expect(rules(opened)).to_have_count(1)
    # The tab that waited for the mail leads there, too.
    page.bring_to_front()
    expect(page.get_by_role("link", name="Go on")).to_have_attribute("href", shared)


@pytest.mark.parametrize("way", ["email", "wallet"])
def test_who_signs_in_for_a_shared_rule_is_led_back_to_it(page: Page, app: App, browser: Browser, way: str) -> None:
    shared = f"/alerts?draft={to_link(SHARED)}"
    if way == "wallet":
        inject_wallet(page, f"0x{31:064x}")
    visit(page, shared)
    sheet(page).get_by_role("link", name="Sign in").click()
    if way == "wallet":
        page.get_by_role("button", name="Continue with Test Wallet").click()
    else:
        elsewhere = browser.new_context(viewport=DESKTOP, base_url=app.url)
        address = enter(elsewhere, app, "free")
        leave(elsewhere)
        page.get_by_label("Email address").fill(address)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
    expect(sheet(page).get_by_label("Name")).to_have_value("Runners")
    assert path_of(page) == shared


def test_a_rule_is_shared_and_duplicated(page: Page, app: App) -> None:
    sign_up(page, app)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, "/alerts")
    write(page, "sol", "999")
    sheet(page).get_by_label("Note in each message").fill("for me alone")
    save(page)
    rules(page).first.get_by_role("button", name="Share").click()
    expect(page.locator(".notice-bar")).to_contain_text("Copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{app.url}/alerts?draft=1")
    # A browser that lets nobody copy.
    page.evaluate(
        """() => {
            Object.defineProperty(navigator, 'clipboard', {value: undefined});
            document.execCommand = () => false;
        }"""
    )
    rules(page).first.get_by_role("button", name="Share").click()
    expect(page.locator(".notice-bar")).to_contain_text("open the link and copy its address")
    expect(page.locator(".notice-bar").get_by_role("link", name="Open it")).to_have_attribute(
        "href", link.removeprefix(app.url)
    )
    rules(page).first.get_by_role("link", name="Duplicate").click()
    expect(sheet(page).get_by_role("heading", name="New rule")).to_be_visible()
    expect(sheet(page).get_by_label("Note in each message")).to_have_value("for me alone")
    save(page)
    expect(rules(page)).to_have_count(2)
    visit(page, link.removeprefix(app.url))
    expect(sheet(page).get_by_label("Price", exact=True)).to_have_value("999")
    expect(sheet(page).get_by_label("Note in each message")).to_have_value("")


def test_somebody_else_s_rule_is_not_opened(page: Page, app: App, browser: Browser) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    write(page, "btc", "123456")
    save(page)
    rule_id = rules(page).first.get_attribute("data-rule-id")
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    enter(context, app, "elite")
    other = context.new_page()
    for query in (f"rule={rule_id}", f"rule=new&like={rule_id}"):
        visit(other, f"/alerts?{query}")
        expect(sheet(other)).to_contain_text("This rule no longer exists.")
    leave(context)


def test_what_a_preset_holds_can_be_saved_as_it_is(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/alerts")
    presets = page.get_by_test_id("presets").get_by_role("link")
    for number in range(presets.count()):
        presets.nth(number).click()
        expect(read_back(page)).to_contain_text("Tell me when any contract")
        save(page)
        expect(rules(page)).to_have_count(number + 1)


def test_another_tab_shows_what_was_changed_here(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    second = page.context.new_page()
    visit(second, "/alerts")
    write(page, "btc", "111111")
    save(page)
    expect(rules(second)).to_have_count(1)
    rules(second).first.get_by_role("button", name="Pause").click()
    expect(rules(page)).to_have_count(0)


def test_the_open_list_says_that_a_rule_has_fired(page: Page, app: App) -> None:
    address = sign_up(page, app)
    visit(page, "/alerts")
    write(page, "btc", "111111")
    save(page)
    expect(rules(page).first).to_contain_text("Has not fired yet.")
    # Once and again: the second comes while the list has just been told.
    for fires, said in ((1, "Fired once, last on"), (2, "Fired twice, last on")):
        now_ms = to_ms(utc_now())
        with app.database() as database, database.session() as session:
            owner = session.exec(select(Account.id).where(Account.email == address)).one()
            rule = session.exec(select(RuleRecord).where(RuleRecord.account_id == owner)).one()
            rule.fires, rule.fired_ms = fires, now_ms
            session.add(rule)
            add_alert(session, owner, now_ms, title="BTCUSDT rose", text="Price")
        expect(rules(page).first).to_contain_text(said)


def test_a_signal_s_own_rule(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    definition = Definition((OnSignal("volume_spike", direction="bullish"),), Scope("symbol", symbol="BTCUSDT"))
    visit(page, f"/alerts?draft={to_link(definition)}")
    expect(read_back(page)).to_contain_text("BTCUSDT has a bullish volume spike signal")
    sheet(page).get_by_label("Hold").select_option("60")
    expect(sheet(page).get_by_text("A signal lasts only a moment")).to_be_visible()


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=lambda size: str(size["width"]))
def test_by_keyboard_and_within_the_window(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/alerts")
    page.get_by_role("link", name="New rule").focus()
    page.keyboard.press("Enter")
    expect(sheet(page)).to_be_visible()
    assert path_of(page) == "/alerts?rule=new"
    sheet(page).get_by_label("Contract", exact=True).fill("btc")
    sheet(page).get_by_label("Condition", exact=True).select_option("signal")
    for _ in range(4):
        sheet(page).get_by_role("button", name="Add a condition").press("Enter")
    expect(sheet(page).locator(".conditions > li")).to_have_count(5)
    expect(sheet(page).get_by_role("button", name="Add a condition")).to_have_count(0)
    assert page.evaluate("document.querySelector('.rule-sheet').scrollWidth <= document.documentElement.clientWidth")
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/alerts/?$"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.get_by_role("link", name="New rule")).to_be_focused()


def test_where_only_the_browser_is_told_a_test_leads_to_one_that_it_shows(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/alerts")
    write(page, "btc", "765432")
    test = sheet(page).get_by_role("button", name="Save and send a test")
    # In the app alone there is nothing to be tested.
    expect(test).to_be_hidden()
    sheet(page).get_by_label("Browser notification").check()
    test.click()
    expect(sheet(page)).to_be_hidden()
    notice = page.locator(".notice-bar")
    expect(notice).to_contain_text("Browser notifications need no test message: you can show one under Channels.")
    expect(rules(page)).to_have_count(1)
    notice.get_by_role("link", name="See one").click()
    expect(page.locator("#channel-browser")).to_be_in_viewport()


def test_a_rule_that_fires_too_often_is_offered_a_threshold(page: Page, app: App) -> None:
    address = sign_up(page, app, plan="pro")
    now_ms = to_ms(utc_now())
    first_ms = (now_ms // HOUR_MS - 60) * HOUR_MS
    # The app's exchange has another name, and tells nothing of these hours.
    hours = [
        Candle("BTCUSDT", first_ms + at * HOUR_MS, 100, 112 if at % 4 == 0 else 105.2, 99, 100, 1.0, True, 0, 0)
        for at in range(24)
    ]
    with app.database() as database, database.session() as session:
        owner = session.exec(select(Account.id).where(Account.email == address)).one()
        written = Definition((PriceMove("up", 5.0, 900),), Scope("all"), name="Noisy")
        rule = add_rule(session, owner, written, first_ms, fires=24, fired_ms=now_ms)
        found = [
            alert(
                owner,
                each.open_ms + 10 * 60_000,
                key=f"often:{rule.id}:{each.open_ms}",
                rule_id=rule.id,
                exchange="bybit",
                price=105.0,
                evidence={"readings": [{"value": 5.0, "threshold": 5.0}]},
            )
            for each in hours
        ]
        session.add_all(receipts.chain(session, found))
        save_hours(session, "bybit", hours, demo=False)
    visit(page, "/alerts")
    offered = rules(page).first.locator(".suggestion")
    expect(offered).to_contain_text("Fired 24 times in 7 days, which is often.")
    expect(offered).to_contain_text("rises by 5.5 % or more within 15 minutes")
    expect(offered).to_contain_text("it would have fired 6 times at most.")
    offered.get_by_role("link", name="Use 5.5 %").click()
    expect(sheet(page).get_by_role("heading", name="Edit rule")).to_be_visible()
    expect(sheet(page).get_by_label("Percent")).to_have_value("5.5")
    expect(read_back(page)).to_contain_text("rises by 5.5 % or more within 15 minutes")
    # It is offered, not done: a form that is closed changes nothing.
    page.keyboard.press("Escape")
    expect(sheet(page)).to_be_hidden()
    expect(rules(page).first).to_contain_text("rises by 5 % or more")
    offered.get_by_role("link", name="Use 5.5 %").click()
    save(page)
    # What the rule fired before it was changed is no reason to change it again.
    expect(rules(page).first).to_contain_text("rises by 5.5 % or more")
    expect(offered).to_have_count(0)


@pytest.fixture
def one_new_contract(app: App) -> Iterator[None]:
    """The exchange says of ETHUSDT that it was listed just now; nothing newer is kept of it meanwhile."""

    def change(as_of_ms: Callable[[int], int], contracts: Callable[[Contracts], Contracts]) -> Contracts:
        with app.database() as database, database.session() as session:
            kept = session.exec(select(InstrumentSet).where(col(InstrumentSet.demo).is_(False))).one()
            before = kept.contracts
            kept.as_of_ms, kept.contracts = as_of_ms(kept.as_of_ms), contracts(before)
            session.add(kept)
        return before

    just_now, day_ms = to_ms(utc_now()), 24 * HOUR_MS
    before = change(
        lambda ms: ms + day_ms,
        lambda rows: [{**row, "listed_ms": just_now} if row["symbol"] == "ETHUSDT" else row for row in rows],
    )
    yield
    change(lambda ms: ms - day_ms, lambda _: before)


def test_a_rule_says_how_many_contracts_are_too_new(page: Page, app: App, one_new_contract: None) -> None:
    sign_up(page, app, plan="pro")
    definition = Definition((PriceMove("up", 50.0, 86_400),), Scope("all"))
    visit(page, f"/alerts?draft={to_link(definition)}")
    expect(read_back(page)).to_contain_text("any contract rises by 50 %")
    save(page)
    expect(rules(page).first).to_contain_text(re.compile(r"1 of \d+ contracts is too new to be judged"))


def test_the_other_parts_of_the_page(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/alerts?rule=new&symbol=BTCUSDT")
    parts = page.get_by_role("navigation", name="Parts of this page")
    page.keyboard.press("Escape")
    parts.get_by_role("link", name="Messages").click()
    expect(page.get_by_role("region", name="Messages")).to_be_visible()
    # A filter of the ledger is no rule to be edited.
    visit(page, "/alerts?tab=messages&rule=new")
    expect(page.get_by_role("region", name="Messages")).to_be_visible()
    expect(sheet(page)).to_be_hidden()
    parts.get_by_role("link", name="Channels").click()
    expect(page.get_by_test_id("channels")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("region", name="Messages")).to_be_visible()
