"""`/signals` and the sheet of one signal, as a reader goes through them, and as each plan sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from flashcur.domain.plans import Audience
from flashcur.models import SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.kit.clock import now_ms
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App
from tests.support.people import enter, leave, path_of, visit
from tests.support.programs import wait_until
from tests.support.seeded_signals import UNLISTED, fill_signals
from tests.support.signals import signal

ENTRIES = '[data-testid="signals"] [data-signal-id]'
SHEET = '[data-testid="signal-sheet"]'
WITHIN_MS = 20_000
"""A process reads what others stored every five seconds at least."""


@pytest.fixture(scope="module")
def audience() -> Audience:
    return "elite"


@pytest.fixture(scope="module")
def stored(app: App) -> Iterator[list[SignalRecord]]:
    """300 signals of all kinds, the oldest first."""
    with app.database() as database:
        with database.session() as session:
            records = fill_signals(session, now_ms(), coins=UNLISTED)
        yield records
        with database.session() as session:
            signals.prune(session, now_ms() + 3_600_000)


def ids(page: Page) -> list[str]:
    return [entry.get_attribute("data-signal-id") or "" for entry in page.locator(ENTRIES).all()]


def store(app: App, number: int, direction: str, base: str = "SEEDLING") -> None:
    at_ms = now_ms()
    times = {"event_ms": at_ms - 40, "seen_ms": at_ms - 20}
    made = signal(number, base=base, key=f"arrived:{number}:{at_ms}", direction=direction, **times)
    with app.database() as database, database.session() as session:
        assert signals.store(session, [made], at_ms)


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_a_reader_filters_shares_opens_and_goes_on(page: Page, app: App, stored: list[SignalRecord]) -> None:
    # Those that are there: the engine finds others, of other coins, while this reads.
    visit(page, "/signals?contract=seedling")
    entries = page.locator(ENTRIES)
    expect(entries).to_have_count(50)
    assert ids(page)[0] == str(stored[-1].id)
    expect(page.get_by_test_id("completeness")).to_contain_text("% complete")

    # Filters are in the address, which shows the same to whoever opens it, and going back takes one off.
    page.get_by_role("button", name="Extreme funding").click()
    page.get_by_label("Severity").select_option("2")
    expect(page).to_have_url(re.compile(r"/signals/?\?kind=funding&severity=2&contract=seedling$"))
    expect(entries.filter(has_text="Noticeable")).to_have_count(0)
    strong = [str(each.id) for each in reversed(stored) if each.detector == "funding" and each.severity > 1]
    expect(entries).to_have_count(min(50, len(strong)))
    assert ids(page) == strong[:50]
    page.reload()
    expect(entries).to_have_count(min(50, len(strong)))
    assert ids(page) == strong[:50]
    expect(page.get_by_role("button", name="Extreme funding")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(entries.filter(has_text="Noticeable")).not_to_have_count(0)
    page.go_back()
    expect(entries).to_have_count(50)
    assert path_of(page) == "/signals?contract=seedling"
    page.go_forward()
    expect(page.get_by_role("button", name="Extreme funding")).to_have_attribute("aria-pressed", "true")
    expect(entries.first).to_have_attribute("data-signal-id", strong[0])

    # One signal in a sheet: in the address, closed by Escape, left by going back, opened anew by a reload.
    opened = entries.first
    wanted = opened.get_attribute("data-signal-id")
    opened.locator("a").click()
    sheet = page.locator(SHEET)
    expect(sheet).to_be_visible()
    expect(sheet).to_have_attribute("data-signal", wanted or "")
    expect(sheet.get_by_role("img")).to_have_attribute("aria-label", re.compile("payments between"))
    for title in ("Why it fired", "What followed", "How it came here"):
        expect(sheet.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(sheet).to_contain_text("Binance USD-M sent the value")
    expect(sheet.get_by_role("link", name="Chart at TradingView")).to_have_attribute(
        "href", re.compile("^https://www.tradingview.com/chart/")
    )
    expect(page).to_have_url(re.compile(rf"signal={wanted}$"))
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?kind=funding&contract=seedling$"))
    expect(opened.locator("a")).to_be_focused()
    page.go_forward()
    expect(sheet).to_be_visible()
    page.reload()
    expect(sheet).to_have_attribute("data-signal", wanted or "")
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?kind=funding&contract=seedling$"))

    # More of the same, below what is there.
    before = ids(page)
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    after = ids(page)
    assert after[: len(before)] == before
    assert after == [str(each.id) for each in reversed(stored) if each.detector == "funding"]


def test_what_arrives_waits_above_until_it_is_asked_for(page: Page, app: App, stored: list[SignalRecord]) -> None:
    visit(page, "/signals?direction=bearish&contract=seedling")
    expect(page.locator(ENTRIES)).to_have_count(50)
    before = ids(page)
    store(app, 1, direction="bearish")
    store(app, 2, direction="bullish")
    store(app, 3, direction="bearish")
    new = page.locator(".arrived button")
    expect(new).to_have_text("2 new", timeout=WITHIN_MS)
    assert ids(page) == before
    new.click()
    expect(new).to_have_count(0)
    expect(page.locator(ENTRIES).first).not_to_have_attribute("data-signal-id", before[0])
    assert ids(page)[2:] == before[:48]
    expect(page.locator(ENTRIES).first.locator("a")).to_be_focused()


def test_what_is_wrong_or_finds_nothing_is_said_with_what_helps(page: Page, stored: list[SignalRecord]) -> None:
    visit(page, "/signals?direction=up&from=2026-02-30&severity=3&contract=NOSUCHCOIN")
    said = page.locator(".said")
    expect(said).to_contain_text("Direction in the address was not understood")
    expect(said).to_contain_text("First day in the address was not understood")
    nothing = page.get_by_test_id("no-signals")
    expect(nothing).to_contain_text("No signal fits all of these filters.")
    nothing.get_by_role("button", name="of other contracts").click()
    expect(page.locator(ENTRIES).first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?severity=3$"))
    expect(said).not_to_contain_text("not understood")
    page.get_by_label("Contract or coin").fill("1000seedling")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Contract or coin")).to_be_focused()
    expect(page.locator(ENTRIES).first).to_contain_text("SEEDLING")
    expect(page).to_have_url(re.compile(r"severity=3&contract=1000seedling$"))
    page.get_by_label("Time").select_option("days")
    expect(page.get_by_label("From")).to_be_visible()
    expect(page).to_have_url(re.compile(r"from=\d{4}-\d\d-\d\d$"))
    visit(page, "/signals?signal=999999999")
    expect(page.locator(SHEET)).to_contain_text("There is no such signal, or no longer.")


def test_why_a_contract_has_no_signal_now(page: Page) -> None:
    def told() -> bool:
        visit(page, "/signals?contract=btc")
        folded = page.get_by_test_id("distances")
        expect(folded.locator("summary")).to_contain_text("How far BTCUSDT is from firing now")
        folded.locator("summary").click()
        return folded.locator("li").count() > 0

    # The engine says it every ten seconds, from its beginning on.
    wait_until(told, "distances", 30)
    expect(page.get_by_test_id("distances").locator("li").first).to_contain_text(
        re.compile(r"Volume spike: .*× of 3\.00×")
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_below_the_list_is_not_pushed_down_by_it(width: int, page: Page, stored: list[SignalRecord]) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((all) => all.getEntries().forEach((each) => "
        "{ window.moved += each.hadRecentInput ? 0 : each.value; })).observe({ type: 'layout-shift', buffered: true })"
    )
    visit(page, "/signals")
    expect(page.locator(ENTRIES).first).to_be_visible()
    expect(page.get_by_test_id("statistics")).to_have_attribute("data-there", "true")
    assert page.evaluate("window.moved") < 0.05


def test_statistics_say_what_they_are_worth(page: Page, stored: list[SignalRecord]) -> None:
    visit(page, "/signals")
    table = page.get_by_test_id("statistics")
    rows = table.locator("tbody tr:visible")
    first = rows.first.inner_text()
    assert re.search(r"\d\.\d\d times as often as without a signal; 95 % interval \d\.\d\d to \d\.\d\d: ", first), first
    table.get_by_label("24 h later").check()
    expect(rows.first).to_have_attribute("data-horizon", "24")
    expect(table).to_contain_text("does not predict the future")


@pytest.mark.parametrize(("plan", "most"), [("guest", 10), ("free", 10), ("pro", 50)])
def test_a_plan_sees_what_is_its(
    plan: Audience, most: int, browser: Browser, app: App, stored: list[SignalRecord]
) -> None:
    """Its history, its mark and its kinds: on the page, and in the sheet by the address."""
    with app.database() as database, database.session() as session:
        # Newer than all that the engine finds, and stored before the last mark of every plan.
        ahead = signal(0, key=f"ahead:{plan}", detector="open_interest", kind="OI_SURGE", event_ms=now_ms() + 60_000)
        (record,) = signals.store(session, [ahead], now_ms() - 20 * 60_000)
        surge = record.id
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    if plan != "guest":
        enter(context, app, plan)
    page = context.new_page()
    visit(page, "/signals")
    expect(page.locator(ENTRIES)).to_have_count(most)
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    expect(page.locator(".plan-limits")).to_contain_text(f"the newest {most} signals")
    first = page.locator(f'{ENTRIES}[data-signal-id="{surge}"]')
    expect(first).to_have_count(int(plan == "pro"))
    page.goto(f"/signals?signal={surge}")
    sheet = page.locator(SHEET)
    if plan == "pro":
        expect(sheet).to_contain_text("Open interest surge")
    else:
        expect(sheet).to_contain_text("shows no signals of open interest")
        expect(sheet.get_by_role("link", name="Compare plans")).to_be_visible()
    page.goto(f"/signals?signal={stored[0].id}")
    expect(sheet).to_contain_text(f"looks back over the newest {most} signals. Elite shows it now.")
    leave(context)
