"""`/api`: what programs may ask and what they are answered, drawn from the code."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from flashcur.web.api.openapi import api_routes
from flashcur.web.api.schema import OBJECTS
from flashcur.web.routes.table import ALL_ROUTES
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App


@pytest.mark.parametrize("page", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)
def test_the_page_names_all_that_can_be_asked_and_its_examples_work(page: Page, app: App) -> None:
    page.goto("/pricing")
    page.get_by_role("contentinfo").get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("API")
    for route in api_routes(ALL_ROUTES):
        section = page.locator(f"#{route.answers.lower()}")
        expect(section.locator(".address")).to_have_text(f"GET {route.path}")
        for each in route.parameters:
            expect(section.locator("dt").get_by_text(each.name, exact=True)).to_be_visible()
    for name in OBJECTS.keys() - {"Error"}:
        expect(page.locator(f"#object-{name.lower()}")).to_have_text(name)
    examples = page.get_by_role("region", name="Request").all_text_contents()
    asked = [found[1] for text in examples if (found := re.search(r'"?https?://[^/]+(/[^" ]+)"?$', text))]
    assert len(asked) == len(examples) == 4
    # The one that names a signal finds none here.
    assert [app.get(path)[0] for path in asked] == [200, 200, 200, 404]
    link = page.get_by_role("link", name="OpenAPI document").get_attribute("href")
    assert app.get(f"/{(link or '').split('/', 3)[-1]}" if (link or "").startswith("http") else link or "")[0] == 200
    # Nothing is wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
