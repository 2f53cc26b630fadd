"""The watchlists page, as people use it in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.conftest import PHONE
from tests.support.app import App
from tests.support.people import give_plan, path_of, sign_up, visit

FILE = "###Majors\nBINANCE:BTCUSDT.P,BINANCE:ETHUSDT.P\n###Alts\nBINANCE:SOLUSDT.P\nNASDAQ:AAPL\nBINANCE:GONEUSDT.P\n"


def create(page: Page, name: str) -> None:
    page.get_by_label("Name of the new list").fill(name)
    page.get_by_role("button", name="Create").dblclick()
    expect(card(page, name)).to_be_visible()


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def add(page: Page, name: str, symbol: str) -> None:
    field = card(page, name).get_by_label(f"Add a contract to {name}")
    field.fill(symbol)
    field.press("Enter")


def chips(page: Page, name: str) -> Locator:
    return card(page, name).locator(".symbols li")


def test_a_list_is_made_filled_renamed_and_deleted(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    expect(page.get_by_text("No list yet")).to_be_visible()
    create(page, "Majors")
    expect(page.locator(".lead")).to_have_text("1 of 1 list, 0 of 10 different contracts on Free.")
    for symbol in ("btc", "ETHUSDT", "BINANCE:SOLUSDT.P"):
        add(page, "Majors", symbol)
        expect(chips(page, "Majors")).to_have_count(("btc", "ETHUSDT", "BINANCE:SOLUSDT.P").index(symbol) + 1)
    expect(card(page, "Majors").get_by_label("Add a contract")).to_be_focused()
    assert [text.strip("×") for text in chips(page, "Majors").all_text_contents()] == ["BTC", "ETH", "SOL"]
    add(page, "Majors", "nothing")
    # What was refused stays to be mended, with what is wrong below it.
    field = card(page, "Majors").get_by_label("Add a contract")
    expect(card(page, "Majors").get_by_role("alert")).to_contain_text("There is no contract “nothing”")
    expect(field).to_have_value("nothing")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("b")
    expect(card(page, "Majors").get_by_role("alert")).to_be_empty()
    add(page, "Majors", "btc")
    expect(page.locator(".notice-bar")).to_contain_text("BTCUSDT is in this list already")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".notice-bar")).to_have_attribute("data-shown", "false")

    page.get_by_role("button", name="Remove ETH from Majors").click()
    expect(chips(page, "Majors")).to_have_count(2)
    card(page, "Majors").get_by_label("Rename Majors").click()
    card(page, "Majors").get_by_label("New name").fill("Big ones")
    card(page, "Majors").get_by_role("button", name="Rename", exact=True).click()
    expect(card(page, "Big ones")).to_be_visible()

    card(page, "Big ones").get_by_label("Delete Big ones").click()
    card(page, "Big ones").get_by_role("button", name="Keep it").click()
    card(page, "Big ones").get_by_label("Delete Big ones").click()
    card(page, "Big ones").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No list yet")).to_be_visible()


def test_a_coin_that_is_counted_otherwise_is_found_and_named(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    create(page, "Memes")
    add(page, "Memes", "SHIB1000")
    expect(page.locator(".notice-bar")).to_contain_text("SHIB1000 is called 1000SHIBUSDT here.")
    expect(chips(page, "Memes")).to_have_count(1)
    page.get_by_label("Or paste it").fill("BYBIT:PEPE1000USDT.P")
    page.get_by_role("button", name="Import").click()
    expect(page.locator(".result")).to_contain_text("1 contract added")
    expect(page.locator(".result")).to_contain_text("“BYBIT:PEPE1000USDT.P” is called 1000PEPEUSDT here")
    expect(chips(page, "Memes")).to_have_count(2)


def test_a_list_is_opened_in_the_markets(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    create(page, "Two")
    add(page, "Two", "btc")
    expect(chips(page, "Two")).to_have_count(1)
    add(page, "Two", "eth")
    expect(chips(page, "Two")).to_have_count(2)
    card(page, "Two").get_by_role("link", name="Open in the markets").click()
    expect(page.locator("tbody.rows tr[data-symbol]")).to_have_count(2)
    assert path_of(page).startswith("/?list=")


def test_lists_go_out_as_file_and_to_the_clipboard(page: Page, app: App) -> None:
    sign_up(page, app)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, "/watchlists")
    create(page, "Majors")
    add(page, "Majors", "btc")
    expect(chips(page, "Majors")).to_have_count(1)
    add(page, "Majors", "eth")
    expect(chips(page, "Majors")).to_have_count(2)
    with page.expect_download() as download:
        card(page, "Majors").get_by_role("link", name="Export").click()
    assert download.value.suggested_filename.startswith("flashcur_tradingview_")
    text = "###Majors\nBINANCE:BTCUSDT.P\nBINANCE:ETHUSDT.P\n"
    assert download.value.path().read_text() == text
    card(page, "Majors").get_by_role("button", name="Copy").click()
    expect(page.locator(".notice-bar")).to_contain_text("Copied 2 contracts")
    assert page.evaluate("navigator.clipboard.readText()") == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_tradingview_is_taken_in(page: Page, app: App, encoding: str) -> None:
    address = sign_up(page, app)
    give_plan(app, address, "pro")
    visit(page, "/watchlists")
    expect(page.locator(".lead")).to_contain_text("0 of 10 lists")
    page.get_by_label("File").set_input_files(
        {"name": "lists.txt", "mimeType": "text/plain", "buffer": FILE.encode(encoding)}
    )
    page.get_by_role("button", name="Import").click()
    result = page.locator(".result")
    expect(result).to_contain_text("3 contracts added, new: Majors, Alts.")
    expect(result).to_contain_text("“NASDAQ:AAPL” is not a USDT perpetual")
    expect(result).to_contain_text("Line 6: “BINANCE:GONEUSDT.P” is not traded here now")
    expect(chips(page, "Majors")).to_have_count(2)
    expect(chips(page, "Alts")).to_have_count(1)
    keep = page.get_by_role("button", name="Keep the symbol not traded here now")
    keep.click()
    expect(result).to_have_text("1 contract added.")
    expect(keep).to_have_count(0)
    expect(chips(page, "Alts")).to_have_count(2)
    # Once more, pasted and into one list.
    page.get_by_label("Or paste it").fill("BINANCE:BTCUSDT.P\nBINANCE:XRPUSDT.P")
    page.get_by_label("Into").select_option(label="Alts")
    page.get_by_role("button", name="Import").click()
    expect(result).to_contain_text("2 contracts added.")
    expect(chips(page, "Alts")).to_have_count(4)


def test_lists_change_their_order(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    for name in ("One", "Two", "Three"):
        create(page, name)
    names = page.locator(".list h2")
    page.get_by_role("button", name="Move up: Three").click()
    expect(names).to_have_text(["One", "Three", "Two"])
    page.get_by_role("button", name="Move down: One").click()
    expect(names).to_have_text(["Three", "One", "Two"])
    expect(page.get_by_role("button", name="Move up: Three")).to_be_disabled()
    expect(page.get_by_role("button", name="Move down: Two")).to_be_disabled()


def test_limits_of_free_are_explained(page: Page, app: App) -> None:
    address = sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    create(page, "Kept")
    create(page, "Frozen")
    add(page, "Frozen", "btc")
    expect(chips(page, "Frozen")).to_have_count(1)
    # A downgrade deletes nothing, and the open tab shows what it means.
    give_plan(app, address, "free")
    frozen = card(page, "Frozen")
    expect(frozen).to_contain_text("Read-only")
    banner = page.locator(".watchlists > .notice")
    expect(banner).to_contain_text("One list is read-only: Free has 1 watchlist; Pro has 10.")
    expect(banner.get_by_role("link", name="Compare plans")).to_have_attribute("href", "/pricing")
    expect(frozen.get_by_label("Add a contract")).to_have_count(0)
    expect(frozen.get_by_role("button", name="Remove")).to_have_count(0)
    expect(chips(page, "Frozen")).to_have_count(1)
    expect(page.locator("#new")).to_contain_text("Free has 1 watchlist; Pro has 10.")
    expect(page.get_by_label("Name of the new list")).to_have_count(0)

    page.get_by_label("Or paste it").fill("\n".join(f"BINANCE:TEST{n}USDT.P" for n in range(12)))
    page.get_by_label("Into").select_option(label="Kept")
    page.get_by_role("button", name="Import").click()
    expect(page.locator(".result")).to_contain_text("0 contracts added.")
    page.get_by_role("button", name="Keep the 12 symbols").click()
    expect(page.locator(".result")).to_contain_text("Free has room for 10 different symbols")
    expect(page.locator(".result").get_by_role("link", name="Compare plans")).to_be_visible()
    give_plan(app, address, "pro")
    expect(frozen.get_by_label("Add a contract")).to_be_visible()


def test_the_keyboard_stays_where_something_went(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    for name in ("One", "Two", "Three"):
        create(page, name)
    for count, symbol in enumerate(("btc", "eth"), 1):
        add(page, "One", symbol)
        expect(chips(page, "One")).to_have_count(count)
    page.get_by_role("button", name="Remove BTC from One").press("Enter")
    expect(page.get_by_role("button", name="Remove ETH from One")).to_be_focused()
    page.get_by_role("button", name="Remove ETH from One").press("Enter")
    expect(card(page, "One").get_by_label("Add a contract")).to_be_focused()

    page.get_by_label("Rename One").press("Enter")
    expect(card(page, "One").get_by_label("New name")).to_be_focused()
    page.keyboard.type("First")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Rename First")).to_be_focused()

    page.get_by_role("button", name="Move up: Two").press("Enter")
    expect(page.locator(".list h2")).to_have_text(["Two", "First", "Three"])
    expect(page.get_by_role("button", name="Move down: Two")).to_be_focused()

    page.get_by_label("Delete Two").press("Enter")
    card(page, "Two").get_by_role("button", name="Keep it").press("Enter")
    expect(page.get_by_label("Delete Two")).to_be_focused()
    page.get_by_label("Delete Two").press("Enter")
    card(page, "Two").get_by_role("button", name="Delete it").press("Enter")
    expect(card(page, "Two")).to_have_count(0)
    expect(page.get_by_role("heading", name="First")).to_be_focused()


def test_the_keyboard_is_never_left_on_what_deletes(page: Page, app: App) -> None:
    address = sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    name = page.get_by_label("Name of the new list")
    for each in ("One", "Two", "Three"):
        name.fill(each)
        name.press("Enter")
        expect(card(page, each)).to_be_visible()
        expect(name).to_have_value("")
        expect(name).to_be_focused()
    # What is refused stays to be mended.
    name.fill("two")
    name.press("Enter")
    expect(page.locator(".notice-bar")).to_have_attribute("data-shown", "true")
    expect(name).to_have_value("two")

    for gone, landing in (("Three", "New list"), ("One", "Two")):
        page.get_by_label(f"Delete {gone}").press("Enter")
        card(page, gone).get_by_role("button", name="Delete it").press("Enter")
        expect(card(page, gone)).to_have_count(0)
        expect(page.get_by_role("heading", name=landing)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(":popover-open")).to_have_count(0)

    name.fill("Four")
    name.press("Enter")
    expect(card(page, "Four")).to_be_visible()
    # The plan ends: what goes on is chosen, and the button that chose it is gone.
    give_plan(app, address, "free")
    card(page, "Four").get_by_role("button", name="Go on with this one").press("Enter")
    expect(page.locator(".list h2")).to_have_text(["Four", "Two"])
    expect(page.get_by_role("heading", name="Four")).to_be_focused()


def test_the_keyboard_stays_beside_the_field_that_the_last_list_took_away(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    name = page.get_by_label("Name of the new list")
    name.fill("Only")
    name.press("Enter")
    expect(name).to_have_count(0)
    expect(page.get_by_role("heading", name="New list")).to_be_focused()
    page.get_by_label("Delete Only").press("Enter")
    card(page, "Only").get_by_role("button", name="Delete it").press("Enter")
    expect(name).to_be_visible()
    expect(page.get_by_role("heading", name="New list")).to_be_focused()


def test_an_import_says_where_things_went_and_what_is_no_text(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    result, send = page.locator(".result"), page.get_by_role("button", name="Import")
    for content, words in (
        (b"", "The file is empty."),
        (b"BTC\0USDT", "This is not a text file."),
        ("###我的\nBTCUSDT".encode("gb18030"), "The encoding of this file cannot be told"),
        (b"BTCUSDT\n" * 800_000, "The file is too large"),
    ):
        page.get_by_label("File").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": content})
        expect(result).to_be_empty()
        send.click()
        expect(result).to_contain_text(words)
    page.get_by_label("File").set_input_files([])
    page.get_by_label("Or paste it").fill("BTCUSDT")
    send.click()
    expect(result).to_contain_text("new: Favourites")
    page.get_by_label("Or paste it").fill("\n".join(["ETHUSDT", *(f"NASDAQ:A{n}" for n in range(1_200))]))
    send.click()
    expect(result).to_contain_text("1 contract added into Favourites.")
    expect(result.locator("li")).to_have_count(201)
    expect(result).to_contain_text("and 1,000 more: 1,000 not a USDT perpetual")


def test_a_notice_goes_with_the_page_and_with_the_next_success(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    create(page, "Majors")
    bar = page.locator(".notice-bar")
    copy = card(page, "Majors").get_by_role("button", name="Copy")
    copy.click()
    expect(bar).to_contain_text("no contract to copy")
    page.get_by_role("link", name="Pricing").first.click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(bar).to_have_attribute("data-shown", "false")
    page.get_by_role("link", name="Watchlists").first.click()
    copy.click()
    expect(bar).to_contain_text("no contract to copy")
    add(page, "Majors", "btc")
    expect(bar).to_have_attribute("data-shown", "false")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_everything_can_be_hit_with_a_finger(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/watchlists")
    create(page, "Majors")
    add(page, "Majors", "btc")
    expect(chips(page, "Majors")).to_have_count(1)
    for path in ("/watchlists", "/account"):
        visit(page, path)
        expect(page.locator(".section").nth(2)).to_be_visible()
        expect(page.locator(".blank")).to_have_count(0)
        things = ".section :is(.button, input:not([type=radio]), select, summary), .symbols button"
        sizes = page.locator(f"main :is({things}):visible").evaluate_all(
            "found => found.map(each => [each.textContent || each.name, each.getBoundingClientRect().height])"
        )
        assert [name for name, height in sizes if height < 42] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
