"""Pages whose texts a translator or an extension replaces, before they are alive and while they are used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from flashcur.domain.plans import Audience
from flashcur.models import Account
from flashcur.services.alerts import signals
from flashcur.services.kit.clock import now_ms
from flashcur.web.page.build import CLIENT
from tests.pages.conftest import DESKTOP, WITHIN_MS
from tests.support.accounts import PASSWORD
from tests.support.app import App
from tests.support.ledger import add_alert
from tests.support.people import enter, leave, new_address, visit
from tests.support.seeded_signals import UNLISTED, fill_signals

ROWS = "tbody.rows tr[data-symbol]"

COMMON = """
window.done = text => /\\S/.test(text) && !text.includes('»') ? text.replace(/\\S.*\\S|\\S/s, '«$&»') : text;
const skipped = 'script, style, textarea, title, noscript, [translate=no], .notranslate';
"""
GENTLE = (
    COMMON
    + """
// As Chrome does: the text in two elements in the place of each text node, also of those that come or change later.
const put = (node) => {
    const parent = node.parentElement;
    if (!parent || parent.closest(skipped) || parent.closest('font') || done(node.data) === node.data) return;
    if (parent.matches('option')) { node.data = done(node.data); return; }
    const [outer, inner] = [document.createElement('font'), document.createElement('font')];
    outer.style.verticalAlign = inner.style.verticalAlign = 'inherit';
    inner.textContent = done(node.data);
    outer.append(inner);
    node.replaceWith(outer);
};
const all = (root) => {
    if (root.nodeType === Node.TEXT_NODE) return put(root);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    nodes.forEach(put);
};
const begin = () => {
    all(document.body);
    new MutationObserver(changes => {
        for (const { type, target, addedNodes } of changes)
            if (type === 'characterData') put(target);
            else addedNodes.forEach(node => node.isConnected && all(node));
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
};
"""
)
CRUDE = (
    COMMON
    + """
// As extensions do that replace words: whatever holds nothing but texts gets one new text node, and so does each text
// beside elements; whether they should be left alone is not asked.
const rewrite = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
        const parent = node.parentElement;
        if (!parent || parent.closest('script, style, textarea, title') || done(node.data) === node.data) continue;
        if (!parent.children.length) parent.textContent = done(parent.textContent);
        else node.replaceWith(done(node.data));
    }
};
const begin = () => rewrite(document.body);
"""
)
"""Once: what changes later says what it is in its own words."""
CRUDE_AGAIN = CRUDE.replace(
    "rewrite(document.body);\n",
    "{ rewrite(document.body); setInterval(() => rewrite(document.body), 500); };\n",
)

DRAWN_ANEW = "Minified React error #418"
"""React says so where the page it takes over is not the one that was built: it draws all of it anew, and goes on."""

TRANSLATORS = {"gentle": GENTLE, "crude": CRUDE, "again and again": CRUDE_AGAIN}


def translated(*how: tuple[str, str]) -> pytest.MarkDecorator:
    """The test runs with each of these: a translator, and whether it comes before a page's scripts have started."""
    values = [(TRANSLATORS[name], moment == "early") for name, moment in how]
    return pytest.mark.parametrize(("translator", "early"), values, ids=["-".join(each) for each in how])


# Each translator and each moment, not every pair of them; the browser's own at both, since that is what people have.
usually = translated(("gentle", "early"), ("gentle", "late"), ("crude", "early"), ("again and again", "late"))


@pytest.fixture
def sent() -> list[str]:
    """What the page has told the server, in the order in which it did."""
    return []


@pytest.fixture
def tab(browser: Browser, app: App, translator: str, early: bool, sent: list[str]) -> Iterator[Page]:
    """A tab in which `open_` translates every page; no script of a page may have failed in the end."""
    script = f"window.translate = () => {{ {translator} begin(); }};"
    if early:
        script += "document.addEventListener('DOMContentLoaded', () => translate());"
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    page.add_init_script(script)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("websocket", lambda socket: socket.on("framesent", lambda told: sent.append(str(told))))
    yield page
    assert not stopped(page)
    leave(context)
    assert [error for error in errors if not (early and DRAWN_ANEW in error)] == []


def open_(page: Page, path: str, early: bool) -> None:
    visit(page, path)
    if not early:
        page.evaluate("translate()")
        expect(page.locator("body")).to_contain_text("»")


def stopped(page: Page) -> bool:
    return "This page stopped working" in (page.text_content("body") or "")


def routes() -> list[str]:
    """Every page that was built."""
    return sorted(f"/{file.parent.relative_to(CLIENT)}".replace("/.", "/") for file in CLIENT.rglob("index.html"))


def expect_changes(page: Page, selector: str) -> None:
    place = page.locator(selector).first
    expect(place).not_to_have_text(place.text_content() or "")


@pytest.mark.parametrize(
    ("translator", "early", "plan"),
    [
        (GENTLE, True, "guest"),
        (GENTLE, False, "elite"),
        (CRUDE, True, "elite"),
        (CRUDE, False, "guest"),
    ],
    ids=["gentle-early-guest", "gentle-late-elite", "crude-early-elite", "crude-late-guest"],
)
def test_every_page_goes_on(tab: Page, app: App, early: bool, plan: Audience) -> None:
    """Its numbers move; menus, the theme and the way to another page work."""
    if plan != "guest":
        enter(tab.context, app, plan)
    found = routes()
    assert {"/", "/register", "/account", "/legal/terms"} <= set(found)
    for route in [*found, "/nowhere"]:
        open_(tab, route, early)
        strip = tab.locator(".strip")
        first = strip.text_content() or ""
        if plan != "guest":
            # A guest's menu is for phones.
            tab.locator("#menu").evaluate("menu => menu.showPopover()")
            expect(tab.locator("#menu")).to_be_visible()
            tab.keyboard.press("Escape")
        tab.locator(".head > button.icon:not(.signals-button)").click()
        expect_changes(tab, '[data-testid="feed-status"] .clock')
        expect(strip).not_to_have_text(first)
        tab.get_by_role("link", name="FlashCur, to the markets").click()
        expect(tab.locator(ROWS).first, f"the table after {route}").to_be_visible()
        assert not stopped(tab), route


@translated(("gentle", "early"), ("again and again", "late"))
def test_a_connection_that_goes_and_comes(tab: Page, early: bool) -> None:
    open_(tab, "/pricing", early)
    status = tab.get_by_test_id("feed-status")
    for _ in range(2):
        tab.context.set_offline(True)
        expect(status).to_contain_text("Disconnected")
        expect(status.locator(".age")).to_contain_text("old")
        tab.context.set_offline(False)
        expect(status.locator(".word")).to_have_text(re.compile("^«?Live»?$"))
        expect_changes(tab, ".strip")


@usually
def test_the_table(tab: Page, early: bool, app: App, sent: list[str]) -> None:
    enter(tab.context, app, "elite")
    open_(tab, "/", early)
    expect_changes(tab, "tbody.rows")
    note = tab.locator(".note")
    (everything,) = re.findall(r"\d+", note.inner_text())
    tab.click('th[data-col="change"] button')
    expect(tab.locator('th[data-col="change"]')).to_have_attribute("aria-sort", "descending")
    tab.fill("#search", "1000")
    expect(note).to_contain_text(re.compile(r"\d»?\s*«?of»?\s"))
    tab.fill("#search", "SHIB1000")
    expect(tab.locator(".named-here")).to_contain_text("is called")
    tab.fill("#search", "no such thing")
    expect(tab.get_by_text("No contract matches these filters.")).to_be_visible()
    expect(note).to_contain_text(re.compile(r"^«?0»?"))
    tab.get_by_role("button", name="Show all contracts").click()
    expect(note).to_contain_text(re.compile(rf"^«?{everything}\b"))
    for name in ("Gainers", "Losers", "All"):
        tab.locator(".chips button").filter(has_text=re.compile(f"^«?{name}»?$")).click()
        expect(tab.locator(ROWS).first).to_be_visible()
    tab.locator('td[data-col="funding"][data-hint]').first.hover()
    expect_changes(tab, ".card")
    # In an order in which no row changes its place while a pointer is on its way.
    tab.click('th[data-col="symbol"] button')
    expect(tab.locator('thead th[data-col="symbol"]')).to_have_attribute("aria-sort", "ascending")
    tab.evaluate("document.addEventListener('click', ({ target }) => { window.clicked = target.outerHTML; }, true)")
    tab.locator("tbody.rows .star").first.click()
    tab.wait_for_timeout(500)
    # So that a click that led nowhere can be told from an answer that did not come.
    assert "watchlist_state.star" in "".join(sent), tab.evaluate("window.clicked")
    expect(tab.locator(".lists select")).to_be_visible()
    expect_changes(tab, "tbody.rows")


@usually
def test_a_guest_s_table_counts_down(tab: Page, early: bool) -> None:
    open_(tab, "/", early)
    expect(tab.locator(".note")).to_contain_text("next in")
    expect_changes(tab, ".note")


@usually
def test_registering_and_signing_in(tab: Page, early: bool) -> None:
    open_(tab, "/register", early)
    address = new_address()
    tab.fill("[name=email]", address)
    tab.fill("[name=password]", "short")
    count = tab.locator("form .count")
    expect(count).to_contain_text("7 to go.")
    send = tab.locator("form[data-form=register] button.primary")
    send.click()
    error = tab.locator("#register-password-error")
    expect(error).to_contain_text("characters")
    expect(count).to_have_text("")
    tab.fill("[name=password]", "password1234")
    send.click()
    expect(error).to_contain_text(re.compile("common|guess|known|easy"))
    tab.fill("[name=password]", PASSWORD)
    send.click()
    expect(tab.locator("#register-sent")).to_contain_text(address)
    expect(tab.locator("h1")).to_contain_text("Look into your mailbox")
    tab.locator("#register-sent button").click()
    expect(tab.locator("h1")).to_contain_text("Create a free account")

    open_(tab, "/login", early)
    tab.fill("[name=email]", address)
    for password in ("wrong and wrong", "and wrong again"):
        tab.fill("[name=password]", password)
        tab.locator("form[data-form=sign-in] button.primary").click()
        expect(tab.locator("form[data-form=sign-in]")).to_contain_text("not right")
    expect(tab.locator("form[data-form=sign-in] button.primary")).to_contain_text("Sign in")

    open_(tab, "/forgot", early)
    tab.fill("[name=email]", address)
    tab.locator("form[data-form=forgot] button.primary").click()
    expect(tab.locator("#forgot-sent")).to_contain_text(address)


@usually
def test_the_account_s_forms(tab: Page, app: App, early: bool) -> None:
    enter(tab.context, app, "elite")
    open_(tab, "/account", early)
    tab.get_by_text("Change the password").click()
    form = tab.locator("form[data-form=password]")
    for present, password, field in ((PASSWORD, "short", "new"), ("not mine", PASSWORD + " and more", "password")):
        form.locator("[name=password]").fill(present)
        form.locator("[name=new]").fill(password)
        form.locator("button.primary").click()
        expect(form.locator(f"#password-{field}-error")).not_to_have_text("")
    expect(form.locator("#password-new-error")).to_have_text("")
    tab.locator("#api button", has_text="Create a key").click()
    expect(tab.locator("#api .notice code")).to_have_text(re.compile(r"^\S{20,}$"))
    expect(tab.locator("#api pre")).not_to_contain_text("YOUR_KEY")
    tab.locator("#api .notice button").click()
    expect(tab.locator(".notice-bar")).to_contain_text(re.compile("Copied|did not allow"))
    tab.locator(".notice-bar button").click()
    expect(tab.locator(".notice-bar")).to_have_attribute("data-shown", "false")
    tab.select_option("#time-zone", "Asia/Tokyo")
    expect(tab.locator("#activity")).to_contain_text("API")


@usually
def test_the_watchlist_editor(tab: Page, app: App, early: bool) -> None:
    enter(tab.context, app, "pro")
    open_(tab, "/watchlists", early)
    lead = tab.locator(".watchlists .lead")
    for number, name in enumerate(("Majors", "Memes"), 1):
        tab.locator("#new [name=name]").fill(name)
        tab.locator("#new button").click()
        expect(tab.locator(".lists .list h2").filter(has_text=name)).to_be_visible()
        expect(lead).to_contain_text(re.compile(rf"^«?{number}»?"))
    majors = tab.locator(".lists .list").first
    majors.locator("[name=symbol]").fill("nothing of this name")
    majors.locator("form.add button").click()
    expect(majors.locator(".error")).not_to_have_text("")
    for number, symbol in enumerate(("BTC", "ETH"), 1):
        majors.locator("[name=symbol]").fill(symbol)
        majors.locator("form.add button").click()
        expect(majors.locator(".symbols li").filter(has_text=symbol)).to_be_visible()
        expect(majors.locator(".count")).to_contain_text(re.compile(rf"^«?{number} "))
    expect(majors.locator(".error")).to_have_text("")
    majors.locator(".menu.ask > button").first.click()
    majors.locator("form.form [name=name]").fill("Both")
    majors.locator("form.form button.primary").click()
    expect(majors.locator("h2")).to_have_text(re.compile("^«?Both»?$"))
    majors.locator(".symbols button").first.click()
    expect(majors.locator(".count")).to_contain_text(re.compile("^«?1 "))
    tab.locator("#import-text").fill("BTCUSDT\nNOSUCHTHING")
    tab.locator("form[data-form=import] button.primary").first.click()
    expect(tab.locator("#files .result")).not_to_have_text("")
    tab.locator("#import-text").fill("")
    tab.locator("form[data-form=import] button.primary").first.click()
    expect(tab.locator("#files .result .error")).to_be_visible()


def test_elements_that_an_extension_takes_away_or_wraps(page: Page) -> None:
    visit(page, "/register")
    page.evaluate(
        """() => {
            for (const each of document.querySelectorAll('.strip, .dot, .word, .entry .error')) each.remove();
            for (const each of document.querySelectorAll('.hint, .entry, .wallets, footer')) {
                const box = document.createElement('div');
                each.replaceWith(box);
                box.append(each);
            }
        }"""
    )
    page.fill("[name=email]", new_address())
    page.fill("[name=password]", "short")
    page.locator("form[data-form=register] button.primary").click()
    page.get_by_role("link", name="FlashCur, to the markets").click()
    expect(page.locator(ROWS).first).to_be_visible()
    assert not stopped(page)


@usually
def test_the_page_of_signals(tab: Page, app: App, early: bool) -> None:
    with app.database() as database, database.session() as session:
        fill_signals(session, now_ms(), count=60, coins=UNLISTED)
    enter(tab.context, app, "elite")
    open_(tab, "/signals?contract=SEEDLING", early)
    entries = tab.locator("[data-signal-id]")
    expect(entries).to_have_count(50)
    tab.locator(".signal-filters .chips button").nth(3).click()
    expect(entries).to_have_count(12)
    tab.locator(".signal-filters .chips button").nth(3).click()
    expect(entries).to_have_count(50)
    tab.locator(".more button").click()
    expect(entries).to_have_count(60)
    sheet = tab.get_by_test_id("signal-sheet")
    for number in (0, 1):
        entries.nth(number).locator("a").click()
        expect(sheet).to_have_attribute("data-signal", entries.nth(number).get_attribute("data-signal-id") or "")
        coin = entries.nth(number).locator(".coin").inner_text().strip("«»")
        expect(sheet.locator("h2")).to_contain_text(coin)
        sheet.locator(".close").click()
        expect(sheet).to_be_hidden()
    tab.locator(".narrow-by input").fill("nothing of this name")
    tab.keyboard.press("Enter")
    expect(tab.get_by_test_id("no-signals")).to_be_visible()
    tab.get_by_test_id("no-signals").locator("button").last.click()
    expect(entries.first).to_be_visible()
    with app.database() as database, database.session() as session:
        signals.prune(session, now_ms() + 60_000)


@usually
def test_the_form_of_a_rule(tab: Page, app: App, early: bool) -> None:
    enter(tab.context, app, "pro")
    open_(tab, "/alerts", early)
    tab.locator(".rules-head a.button").click()
    form = tab.locator(".rule-form")
    form.locator("button.primary").click()
    expect(form.locator(".condition-faults .error")).to_have_count(1)
    form.locator("#rule-scope-symbol").fill("btc")
    form.locator(".conditions .number").fill("100000")
    expect(form.locator(".read-back")).to_contain_text("BTCUSDT")
    expect(form.locator(".condition-faults .error")).to_have_count(0)
    for kind in ("move", "signal", "volume", "price", "funding"):
        form.locator('[data-condition="0"] select').first.select_option(kind)
        expect(form.locator('[data-condition="0"]')).to_have_attribute("data-kind", kind)
        expect(form.locator(".read-back")).to_contain_text("BTCUSDT")
    form.locator(".conditions + button, .conditions ~ button").click()
    expect(form.locator(".conditions > li")).to_have_count(2)
    form.locator(".conditions .drop").last.click()
    expect(form.locator(".conditions > li")).to_have_count(1)
    form.locator("button.primary").click()
    rules = tab.locator(".rule-list > li")
    expect(rules).to_have_count(1)
    rules.locator(".actions > button").first.click()
    expect(rules).to_have_count(0)
    tab.locator(".tabs a").nth(1).click()
    expect(rules).to_have_count(1)
    assert not stopped(tab)


@usually
def test_ages_go_on(tab: Page, app: App, early: bool) -> None:
    address = enter(tab.context, app, "elite")
    with app.database() as database, database.session() as session:
        account_id = session.exec(select(Account.id).where(Account.email == address)).one()
        add_alert(session, account_id, now_ms(), title="BTCUSDT crossed above 65,000")
    open_(tab, "/alerts?tab=messages", early)
    age = tab.locator("[data-message] .ago")
    expect(age).to_contain_text(" s ago")
    for _ in range(2):
        expect_changes(tab, "[data-message] .ago")
    # The list that has it is drawn anew beside it, and goes.
    tab.locator(".tabs a").first.click()
    expect(age).to_have_count(0)
    tab.go_back()
    expect(age).to_contain_text(re.compile(r"^«?\d+ (s|min) ago»?$"))
    assert not stopped(tab)
