"""The dashboard in a real browser, against a simulated exchange that says what it has sent."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from flashcur.domain.plans import Audience
from flashcur.services.simulator import sessions, universe_data
from flashcur.web.page.first_paint import ROWS as ROWS_AHEAD
from tests.pages.conftest import CONTRACTS, DESKTOP, PHONE
from tests.support.app import App, Exchange
from tests.support.people import enter, leave
from tests.support.programs import require_program, wait_until
from tests.support.shifts import shift, watch_shifts

ROWS = "tbody.rows tr[data-symbol]"
LEAST = "[aria-label='Minimum 24h volume']"
ASSETS = "[aria-label='Assets']"
TRADFI = {f"{base}USDT" for base, *_ in universe_data.TRADFI}


@pytest.fixture(scope="module")
def audience() -> Audience:
    return "elite"


def open_dashboard(page: Page, query: str = "") -> None:
    page.goto(f"/{query}")
    page.wait_for_selector('[data-testid="feed-status"][data-state="live"]')


def cells(page: Page, column: str) -> dict[str, str]:
    """Every contract's text in a column."""
    return page.evaluate(
        """column => Object.fromEntries([...document.querySelectorAll('tbody.rows tr[data-symbol]')].map(
            row => [row.dataset.symbol, row.querySelector(`[data-col="${column}"]`).textContent]))""",
        column,
    )


def column(page: Page, name: str) -> list[str]:
    return list(cells(page, name).values())


def amount(text: str) -> float:
    number = text.strip("$×% +").rstrip("KMBT")
    return float(number) * {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text.rstrip(" %")[-1], 1)


def wrong_prices(page: Page, exchange: Exchange, symbols: list[str]) -> list[str]:
    """Contracts whose shown price is none of the last few that the exchange sent."""
    shown = cells(page, "price")
    wrong = []
    for symbol in symbols:
        sent = {float(entry["price"]) for entry in exchange.sent(symbol)}
        if float(shown[symbol]) not in sent:
            wrong.append(f"{symbol}: shown {shown[symbol]}, sent {sorted(sent)}")
    return wrong


def test_shows_every_contract_with_what_the_exchange_sent(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    assert page.locator(ROWS).count() >= CONTRACTS - 5
    symbols = list(cells(page, "price"))[::25]
    # The very first values come over REST, which the exchange's record of what it streamed does not hold.
    wait_until(lambda: wrong_prices(page, exchange, symbols) == [], "the exchange's prices", 10)
    for _ in range(3):
        assert wrong_prices(page, exchange, symbols) == []
        clock = page.locator('[data-testid="feed-status"] .clock')
        expect(clock).not_to_have_text(clock.text_content() or "", timeout=3000)
    shown = cells(page, "change")
    for symbol in symbols:
        sent = {round(float(entry["change"]), 2) for entry in exchange.sent(symbol)}
        assert float(shown[symbol].removesuffix(" %")) in sent


def test_prices_move_every_second(page: Page) -> None:
    open_dashboard(page)
    seen = {tuple(column(page, "price"))}
    for _ in range(3):
        beat = page.locator('[data-testid="feed-status"] .clock').text_content()
        expect(page.locator('[data-testid="feed-status"] .clock')).not_to_have_text(beat or "", timeout=3000)
        seen.add(tuple(column(page, "price")))
    assert len(seen) >= 3


def test_no_cell_goes_blank_and_all_is_right_within_5_s_of_a_reconnect(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    page.evaluate(
        """() => {
            window.blanks = 0; window.least = Infinity;
            const look = () => {
                const rows = document.querySelectorAll('tbody.rows tr[data-symbol]');
                window.least = Math.min(window.least, rows.length);
                for (const row of rows)
                    for (const name of ['price', 'change', 'volume', 'funding']) {
                        const cell = row.querySelector(`[data-col="${name}"]`);
                        if (!/[0-9]/.test(cell?.textContent ?? '')) window.blanks++;
                    }
            };
            const all = {subtree: true, childList: true, characterData: true};
            new MutationObserver(look).observe(document.querySelector('table'), all);
        }"""
    )
    symbols = list(cells(page, "price"))[::25]
    page.context.set_offline(True)
    status = page.locator('[data-testid="feed-status"]')
    expect(status).to_have_attribute("data-state", "offline", timeout=10_000)
    expect(status).to_contain_text(re.compile(r"Disconnected.*\d+s old"))
    # Every price says how old it is, as soon as that is more than its allowance.
    expect(page.locator(f'{ROWS} td[data-col="price"][data-age]').first).to_be_attached(timeout=10_000)
    assert page.locator(f'{ROWS} td[data-col="price"]:not([data-age])').count() == 0
    page.context.set_offline(False)
    back = time.monotonic()
    expect(status).to_have_attribute("data-state", "live", timeout=5000)
    wait_until(
        lambda: wrong_prices(page, exchange, symbols) == [], "the exchange's prices", 5 - (time.monotonic() - back)
    )
    assert page.evaluate("window.blanks") == 0
    assert page.evaluate("window.least") >= CONTRACTS - 5


@pytest.mark.parametrize("name", ["price", "change", "volume", "ratio", "funding", "oi", "oi1h"])
def test_sorts_by_every_number(page: Page, name: str) -> None:
    open_dashboard(page)
    page.click('th[data-col="symbol"] button')
    page.click(f'th[data-col="{name}"] button')
    expect(page.locator(f'th[data-col="{name}"]')).to_have_attribute("aria-sort", "descending")
    values = [amount(text) for text in column(page, name) if text != "–"]
    assert values == sorted(values, reverse=True)
    page.click(f'th[data-col="{name}"] button')
    expect(page.locator(f'th[data-col="{name}"]')).to_have_attribute("aria-sort", "ascending")
    texts = column(page, name)
    values = [amount(text) for text in texts if text != "–"]
    assert values == sorted(values)
    # What is missing stands last, whichever way.
    assert all(text == "–" for text in texts[len(values) :])


def test_sorts_by_symbol_and_volume_is_the_default(page: Page) -> None:
    open_dashboard(page)
    volumes = [amount(text) for text in column(page, "volume")]
    assert volumes == sorted(volumes, reverse=True)
    page.click('th[data-col="symbol"] button')
    bases = column(page, "symbol")
    assert bases == sorted(bases)


def test_search_finds_and_says_when_nothing_matches(page: Page) -> None:
    open_dashboard(page)
    page.keyboard.press("/")
    page.keyboard.type("pepe")
    expect(page.locator(ROWS).first).to_be_visible()
    assert all("PEPE" in symbol for symbol in cells(page, "symbol"))
    page.fill("#search", "no such thing")
    expect(page.get_by_text("No contract matches these filters.")).to_be_visible()
    page.get_by_role("button", name="Show all contracts").click()
    assert page.locator(ROWS).count() >= CONTRACTS - 5


def test_filters(page: Page) -> None:
    open_dashboard(page)
    page.get_by_role("button", name="Gainers").click()
    assert all(text.startswith("+") for text in column(page, "change"))
    page.get_by_role("button", name="Losers").click()
    assert all(text.startswith("-") for text in column(page, "change"))
    page.get_by_role("button", name="All", exact=True).click()
    page.select_option(LEAST, "100M")
    volumes = [amount(text) for text in column(page, "volume")]
    assert volumes
    assert min(volumes) >= 1e8


def test_the_count_says_how_many_of_all_are_shown(page: Page) -> None:
    open_dashboard(page)
    note = page.locator(".note")
    expect(note).to_have_text(re.compile(r"^\d{3} contracts$"))
    everything = note.text_content()
    # A search looks through what is no crypto, too.
    searched = f"{int((everything or '').split()[0]) + len(TRADFI)} contracts"
    page.fill("#search", "1000")
    expect(note).to_have_text(f"{page.locator(ROWS).count()} of {searched}")
    page.fill("#search", "no such thing")
    expect(note).to_have_text(f"0 of {searched}")
    page.fill("#search", "")
    expect(note).to_have_text(everything or "")
    page.select_option(LEAST, "500M")
    expect(note).to_have_text(re.compile(rf"^\d+ of {everything}$"))


def test_stocks_and_commodities_are_behind_a_choice(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    assert not TRADFI & set(cells(page, "symbol"))
    assert "XAU" not in (page.locator(".strip").text_content() or "")
    page.select_option(ASSETS, "tradfi")
    assert set(cells(page, "symbol")) == TRADFI
    assert "assets=tradfi" in page.url
    expect(page.locator(".note")).to_have_text(f"{len(TRADFI)} contracts")
    marks = {symbol: text.removeprefix(symbol.removesuffix("USDT")) for symbol, text in cells(page, "symbol").items()}
    assert marks["OPENAIUSDT"] == "Stock"
    assert {mark.removesuffix(", closed") for mark in marks.values()} == {"Stock", "Commodity"}
    page.reload()
    page.wait_for_selector(ROWS)
    expect(page.locator(ASSETS)).to_have_value("tradfi")
    assert set(cells(page, "symbol")) == TRADFI
    page.select_option(LEAST, "500M")
    assert set(cells(page, "symbol")) <= {"XAUUSDT"}
    page.fill("#search", "no such thing")
    page.get_by_role("button", name="Show all contracts").click()
    assert "assets" not in page.url
    assert page.locator(ROWS).count() >= CONTRACTS - 5


def test_what_is_closed_says_so_and_is_not_old(page: Page) -> None:
    """Of the markets of the simulated exchange one or another is closed at any hour but a few."""
    open_dashboard(page, "?assets=tradfi")
    # The hours come with the second look at the contracts.
    closed = page.locator(f"{ROWS} small", has_text=", closed")
    resting = {
        f"{base}USDT"
        for base, market, *_ in universe_data.TRADFI
        if sessions.rests(market, int(time.time()) // 3600) and sessions.rests(market, int(time.time() + 120) // 3600)
    }
    if not resting:
        pytest.skip("no market is closed at this hour")
    expect(closed.first).to_be_visible(timeout=40_000)
    shown = {row for row, text in cells(page, "symbol").items() if text.endswith(", closed")}
    assert shown >= resting
    old = page.evaluate(
        """symbols => symbols.flatMap(symbol =>
            [...document.querySelectorAll(`tr[data-symbol="${symbol}"] td[data-age]`)].map(
                cell => [symbol, cell.dataset.col, cell.dataset.age]))""",
        sorted(resting),
    )
    assert [entry for entry in old if entry[1] in ("price", "change", "volume", "funding", "ratio")] == []


def test_who_searches_finds_a_stock_and_sees_that_it_is_one(page: Page) -> None:
    open_dashboard(page)
    page.fill("#search", "aapl")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(f"{ROWS} small")).to_have_text(re.compile(r"^Stock(, closed)?$"))
    expect(page.locator(ASSETS)).to_have_value("crypto")


@pytest.mark.parametrize(
    "page",
    [{"width": width, "height": 800} for width in (360, 390, 760, 800, 921, 1024, 1101, 1280)],
    indirect=True,
    ids=lambda size: str(size["width"]),
)
def test_marks_fit_beside_the_names(page: Page) -> None:
    open_dashboard(page, "?assets=tradfi")
    outside = page.evaluate(
        """() => [...document.querySelectorAll('tbody.rows th')].flatMap(cell => {
            const mark = cell.querySelector('small'), name = document.createRange();
            const outer = cell.getBoundingClientRect();
            if (!mark.textContent.endsWith('closed')) mark.textContent += ', closed';
            name.selectNodeContents([...cell.childNodes].find(each => each.nodeType === 3));
            return [name, mark].map(each => each.getBoundingClientRect()).filter(inner =>
                inner.left < outer.left || inner.right > outer.right + .5
                || inner.top < outer.top - .5 || inner.bottom > outer.bottom + .5).map(() => cell.textContent) })"""
    )
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")


def test_spiking_now_shows_the_contract_that_spikes(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    exchange.order("volume_spike", symbol="ADAUSDT", ratio=6.0)
    page.get_by_role("button", name="Spiking now").click()
    expect(page.locator('tr[data-symbol="ADAUSDT"]')).to_be_attached(timeout=20_000)
    assert all(amount(text) >= 3 for text in column(page, "ratio"))


def test_view_lives_in_the_url(page: Page) -> None:
    open_dashboard(page)
    page.click('th[data-col="change"] button')
    page.fill("#search", "1000")
    page.select_option(LEAST, "1M")
    page.get_by_role("button", name="Losers").click()
    assert re.search(r"\?(?=.*q=1000)(?=.*sort=change)(?=.*min=1M)(?=.*show=losers)", page.url)
    before = set(cells(page, "symbol"))
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector('[data-testid="feed-status"][data-state="live"]')
    expect(other.locator("#search")).to_have_value("1000")
    expect(other.locator('th[data-col="change"]')).to_have_attribute("aria-sort", "descending")
    assert len(before ^ set(cells(other, "symbol"))) <= 1 + len(before) // 4


@pytest.mark.parametrize(
    "query", ["?sort=nonsense&dir=up&show=1&min=abc", "?q=%3Cscript%3E&min=-5", "?min=1e999", "?sort=&q=" + "x" * 5000]
)
def test_a_broken_link_shows_the_table_all_the_same(page: Page, query: str) -> None:
    open_dashboard(page, query)
    page.fill("#search", "")
    expect(page.locator(ROWS).first).to_be_visible()


@pytest.mark.parametrize("page", [DESKTOP], indirect=True)
def test_desktop_has_20_rows_and_every_column_above_the_fold(page: Page) -> None:
    open_dashboard(page)
    assert rows_above_the_fold(page) >= 20
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('thead th')].map(h => h.getBoundingClientRect().right))"
    )
    assert right <= DESKTOP["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
    assert cut_cells(page) == []


@pytest.mark.parametrize("page", [DESKTOP, {"width": 1000, "height": 800}], indirect=True)
def test_nothing_scrolls_sideways_for_a_pixel(page: Page) -> None:
    open_dashboard(page)
    for name in ("volume", "oi1h"):
        expect(page.locator(f'th[data-col="{name}"]')).to_be_visible()
        assert page.evaluate(SIDEWAYS) == 0
        # An arrow takes no more room in one heading than in another.
        page.click('th[data-col="oi1h"] button')


def test_the_first_column_stays_wherever_the_table_scrolls_sideways(browser: Browser, app: App) -> None:
    """With scrollbars that take room, as most desktops have them."""
    visible = browser.browser_type.launch(
        executable_path=require_program("chromium", "chromium"),
        args=["--no-sandbox", "--disable-gpu"],
        ignore_default_args=["--hide-scrollbars"],
    )
    context = visible.new_context(viewport=DESKTOP, base_url=app.url)
    enter(context, app, "elite")
    page = context.new_page()
    open_dashboard(page)
    sticky = "getComputedStyle(document.querySelector('th[data-col=symbol]')).position === 'sticky'"
    lost = []
    for width in range(840, 1001, 4):
        page.set_viewport_size({"width": width, "height": 800})
        over = page.evaluate(SIDEWAYS)
        if over > 0 and not page.evaluate(sticky):
            lost.append((width, over))
    leave(context)
    visible.close()
    assert lost == []


@pytest.mark.parametrize("page", [PHONE, {"width": 360, "height": 740}], indirect=True)
def test_phone_has_the_four_main_columns_without_scrolling(page: Page) -> None:
    open_dashboard(page)
    assert rows_above_the_fold(page) >= 12
    width = page.evaluate("innerWidth")
    for name in ("symbol", "price", "change", "volume"):
        box = page.locator(f'{ROWS} [data-col="{name}"]').first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("touch", [True, False], ids=["touch", "pointer"])
@pytest.mark.parametrize("width", [390, 360])
def test_long_names_are_not_cut_off_on_a_phone(browser: Browser, app: App, width: int, touch: bool) -> None:
    """Nor where a mark says that their contract has just fired."""
    context = browser.new_context(
        viewport={"width": width, "height": 780}, base_url=app.url, has_touch=touch, is_mobile=touch
    )
    page = context.new_page()
    open_dashboard(page)
    page.evaluate(
        """() => {
            const mark = document.createElement('i');
            mark.className = 'fired bullish';
            document.querySelector('tbody.rows th').append(mark);
        }"""
    )
    outside = """name => {
        const cell = document.querySelector('tbody.rows th');
        const text = [...cell.childNodes].find(each => each.nodeType === 3), before = text.data;
        text.data = name;
        const range = document.createRange();
        range.selectNodeContents(text);
        const [inner, outer] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
        text.data = before;
        return Math.max(inner.right - outer.right, outer.top - inner.top, inner.bottom - outer.bottom);
    }"""
    for name in ("1000PEPE", "1000FLOKI", "1MBABYDOGE", "1000000MOG", "1000000CHEEMS", "1000000BABYDOGE"):
        assert page.evaluate(outside, name) <= 0.5, name
    leave(context)


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True)
def test_a_coin_is_found_under_the_number_that_another_exchange_counts(page: Page) -> None:
    open_dashboard(page)
    page.locator("#search").fill("shib1000")
    expect(page.locator(f"{ROWS}")).to_have_count(1)
    expect(page.locator(f'{ROWS}[data-symbol="1000SHIBUSDT"]')).to_be_visible()
    expect(page.locator(".named-here")).to_have_text("shib1000 is called 1000SHIB here")
    expect(page.locator(".named-here")).to_be_visible()
    page.locator("#search").fill("shib")
    expect(page.locator(f'{ROWS}[data-symbol="1000SHIBUSDT"]')).to_be_visible()
    expect(page.locator(".named-here")).to_be_empty()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_first_column_and_header_stay_while_scrolling(page: Page) -> None:
    open_dashboard(page)
    page.evaluate("document.querySelector('.scroller').scrollTo(300, 2000)")
    first = page.locator('thead th[data-col="symbol"]').bounding_box()
    scroller = page.locator(".scroller").bounding_box()
    assert first is not None
    assert scroller is not None
    assert abs(first["x"]) < 1
    assert abs(first["y"] - scroller["y"]) < 1
    expect(page.locator('th[data-col="oi"]')).to_be_in_viewport()


def test_values_that_update_do_not_move_their_column(page: Page) -> None:
    open_dashboard(page)
    lefts = "[...document.querySelectorAll('thead th')].map(h => h.getBoundingClientRect().left)"
    before = page.evaluate(lefts)
    clock = page.locator('[data-testid="feed-status"] .clock')
    for _ in range(2):
        expect(clock).not_to_have_text(clock.text_content() or "", timeout=3000)
    assert page.evaluate(lefts) == before


def test_funding_card_tells_interval_year_and_countdown(page: Page) -> None:
    open_dashboard(page)
    page.hover(f'{ROWS} td[data-col="funding"] >> nth=0')
    card = page.get_by_role("tooltip")
    expect(card).to_contain_text(re.compile(r"Interval\s*[1248] h"))
    expect(card).to_contain_text(re.compile(r"A year\s*[+-]?\d+\.\d %"))
    expect(card).to_contain_text(re.compile(r"Next in\s*(\d+:)?\d+:\d\d"))
    page.mouse.move(5, 5)
    expect(card).to_have_count(0)


def test_a_value_that_stops_coming_says_how_old_it_is(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    for target in ("ticker", "ticker_rest"):
        exchange.order("garbage", symbol="LTCUSDT", variety="nan", target=target, count=None)
    try:
        price = page.locator('tr[data-symbol="LTCUSDT"] td[data-col="price"]')
        expect(price).to_have_attribute("data-age", re.compile(r"\d+s"), timeout=20_000)
        assert re.fullmatch(r"\d+\.\d+", price.text_content() or "")
        other = page.locator('tr[data-symbol="BTCUSDT"] td[data-col="price"]')
        assert other.get_attribute("data-age") is None
    finally:
        exchange.order("clear")
    expect(price).not_to_have_attribute("data-age", re.compile("."), timeout=20_000)


def test_contracts_come_and_go_without_a_reload(page: Page, exchange: Exchange) -> None:
    open_dashboard(page)
    listed = exchange.order("list_new", base="FLASHTEST")["symbol"]
    row = page.locator(f'tr[data-symbol="{listed}"]')
    expect(row).to_be_attached(timeout=90_000)
    expect(row).to_have_class(re.compile(r"\bfresh\b"))
    exchange.order("delist", symbol=listed, settling_s=1)
    expect(page.locator(f'tr[data-symbol="{listed}"]')).to_have_count(0, timeout=90_000)


def test_screen_reader_gets_a_table_and_no_chatter(page: Page) -> None:
    open_dashboard(page)
    assert page.get_by_role("table", name="USDT perpetual futures").count() == 1
    assert page.get_by_role("columnheader").count() == 8
    assert page.get_by_role("rowheader").count() >= CONTRACTS - 5
    assert page.locator(".scroller [aria-live], .scroller [role=status], .scroller [role=alert]").count() == 0
    assert page.locator('[data-testid="feed-status"] [role=status]').text_content() == "Live"


def test_theme_switches_and_is_kept(page: Page) -> None:
    open_dashboard(page)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("body")).not_to_have_css("background-color", before)
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    expect(page.locator("body")).to_have_css("background-color", after)


def test_first_paint_has_real_prices_and_the_scripts_change_nothing(page: Page, app: App) -> None:
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    first = page.evaluate(ROW_MARKUP, "tbody.ghost")
    page.unroute("**/*.js")
    open_dashboard(page)
    live = page.evaluate(ROW_MARKUP, "tbody.rows")
    assert len(first) == ROWS_AHEAD
    assert [row["shape"] for row in first[:20]] == [row["shape"] for row in live[:20]]
    assert len({row["symbol"] for row in first[:20]} ^ {row["symbol"] for row in live[:20]}) <= 4


def test_a_page_whose_scripts_do_not_start_does_not_say_that_it_is_live(page: Page) -> None:
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    status = page.get_by_test_id("feed-status")
    assert "Live" not in status.inner_text()
    shown = "getComputedStyle(document.querySelector('#first-status'), '::before').maxWidth"
    assert page.evaluate(shown) == "0px"
    wait_until(lambda: page.evaluate(shown) == "none", "“Not connected”", 15)


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True)
def test_nothing_shifts_while_loading(page: Page) -> None:
    watch_shifts(page)
    open_dashboard(page)
    size, shifts = shift(page)
    # Digits that change in a right-aligned cell count as some 0.00001.
    assert size < 0.0005, shifts


def test_nothing_is_painted_before_the_first_prices_are_there(browser: Browser, app: App) -> None:
    html = httpx.get(app.url).text
    head, rows = html[: html.index('<tr role="row" class')], html[html.index('<tr role="row" class') :]
    with served_in_parts(head, rows, pause_s=0.6) as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        assert page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") > 500


def test_the_style_comes_with_the_page_and_is_not_fetched_again(page: Page) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    open_dashboard(page)
    page.wait_for_load_state("networkidle")
    assert [url for url in fetched if url.endswith(".js")]
    assert not [url for url in fetched if url.endswith(".css")]


def test_an_address_that_does_not_exist_says_so(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="There is no page at this address")).to_be_visible()
    page.get_by_role("link", name="Go to the markets").click()
    expect(page.locator(ROWS).first).to_be_visible()


@contextmanager
def served_in_parts(*parts: str, pause_s: float) -> Iterator[str]:
    """The address of a page whose parts come `pause_s` seconds after one another."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here = self.path == "/"
            self.send_response(200 if here else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            for number, part in enumerate(parts if here else ()):
                if number:
                    time.sleep(pause_s)
                self.wfile.write(part.encode())
                self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: requests are no news."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


SIDEWAYS = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('.scroller'))"

ROW_MARKUP = """place => [...document.querySelectorAll(`${place} tr[data-symbol]`)].map(row => ({
    symbol: row.dataset.symbol,
    shape: [...row.children].map(cell =>
        [cell.tagName, cell.getAttribute('role'), cell.dataset.col,
         cell.querySelectorAll(':scope > :not(.fired)').length]),
}))"""


def rows_above_the_fold(page: Page) -> int:
    return page.evaluate(
        """() => [...document.querySelectorAll('tbody.rows tr[data-symbol]')].filter(row => {
            const box = row.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight }).length"""
    )


def cut_cells(page: Page) -> list[str]:
    """Texts of visible cells that do not fit their cell."""
    return page.evaluate(
        """() => [...document.querySelectorAll('tbody.rows tr[data-symbol]')].slice(0, 30)
            .flatMap(row => [...row.children])
            .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
    )
