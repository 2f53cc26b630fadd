"""Where menus open, in browsers that place them beside their button and in those that cannot."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App
from tests.support.people import sign_up, visit

MARGIN = 8

# What `@supports not (position-area: bottom)` says, applied; and what it is about taken away. In a browser without it
# the property and its value are unknown, so nothing else may depend on them.
WITHOUT_ANCHORS = """() => {
    const sheets = [...document.styleSheets];
    const fallbacks = sheets.flatMap(sheet => [...sheet.cssRules])
        .filter(rule => rule instanceof CSSSupportsRule && rule.conditionText.includes('position-area'))
        .flatMap(rule => [...rule.cssRules]).map(rule => rule.cssText);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('.menu.menu.menu > div { position-area: none !important }' + fallbacks.join(''));
    document.adoptedStyleSheets = [sheet];
    return fallbacks.length;
}"""


def opened(page: Page, opener: Locator) -> dict[str, float]:
    """The edges of the menu that a button opens, all of it within the window."""
    opener.click()
    menu = page.locator(":popover-open")
    expect(menu).to_have_count(1)
    box = menu.bounding_box()
    assert box is not None
    edges = {
        "left": box["x"],
        "top": box["y"],
        "right": box["x"] + box["width"],
        "bottom": box["y"] + box["height"],
        "width": box["width"],
    }
    assert edges["left"] >= MARGIN
    assert edges["top"] >= MARGIN
    assert edges["right"] <= page.evaluate("innerWidth") - MARGIN
    assert edges["bottom"] <= page.evaluate("innerHeight") - MARGIN
    page.keyboard.press("Escape")
    return edges


def bottom_of(locator: Locator) -> float:
    box = locator.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


WIDTHS: list[ViewportSize] = [DESKTOP, {"width": 1000, "height": 700}, {"width": 780, "height": 900}, PHONE]


@pytest.mark.parametrize("page", WIDTHS, indirect=True, ids=lambda size: str(size["width"]))
def test_a_guest_s_export_menu_is_a_paragraph_with_a_margin(page: Page) -> None:
    visit(page, "/")
    opener = page.get_by_role("button", name="Export")
    menu = opened(page, opener)
    assert menu["width"] <= 320
    button = opener.bounding_box()
    assert button is not None
    # It hangs from the button, by one corner or the other.
    assert min(abs(menu["left"] - button["x"]), abs(menu["right"] - button["x"] - button["width"])) <= MARGIN


@pytest.mark.parametrize("page", WIDTHS, indirect=True, ids=lambda size: str(size["width"]))
def test_without_anchors_the_menus_of_bars_hang_below_them_at_the_right(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/")
    assert page.evaluate(WITHOUT_ANCHORS) > 0
    for opener in (page.locator(".corner .menu > button"), page.get_by_role("button", name="Export")):
        under = bottom_of(opener)
        menu = opened(page, opener)
        assert under <= menu["top"] <= under + 60
        assert menu["right"] >= page.evaluate("innerWidth") - 24


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_without_anchors_a_question_is_asked_in_the_window_s_middle_or_at_the_thumb(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/watchlists")
    page.get_by_label("Name of the new list").fill("Majors")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("region", name="Majors", exact=True)).to_be_visible()
    assert page.evaluate(WITHOUT_ANCHORS) > 0
    question = opened(page, page.get_by_label("Delete Majors"))
    middle = (question["left"] + question["right"]) / 2
    assert abs(middle - page.evaluate("innerWidth") / 2) < 2
    assert question["top"] > 200
