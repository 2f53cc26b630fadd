"""The worker of web push in a real browser: it registers under the page's policy, and shows what is pushed to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page

from tests.support.app import App

ALERT = {"title": "BTC crossed 65,000", "body": "Price 65,010", "tag": "t1", "url": "/alerts?alert=12", "urgent": True}


@pytest.fixture
def registered(page: Page, app: App) -> Iterator[tuple[CDPSession, str]]:
    """A page whose worker is ready: the browser's protocol, and what it calls the registration."""
    page.context.grant_permissions(["notifications"], origin=app.url)
    session = page.context.new_cdp_session(page)
    known: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda told: known.extend(told["registrations"]))
    session.send("ServiceWorker.enable")
    page.goto("/pricing")
    page.evaluate(
        "async () => { await navigator.serviceWorker.register('/sw.js'); await navigator.serviceWorker.ready }"
    )
    found = next(each["registrationId"] for each in known if each["scopeURL"] == f"{app.url}/")
    yield session, found
    page.evaluate("async () => (await navigator.serviceWorker.getRegistration()).unregister()")


def push(registered: tuple[CDPSession, str], app: App, data: str) -> None:
    session, registration = registered
    session.send("ServiceWorker.deliverPushMessage", {"origin": app.url, "registrationId": registration, "data": data})


def shown(page: Page, number: int) -> list[dict[str, Any]]:
    """The notifications that stand, once there are so many, or after ten seconds."""
    return page.evaluate(
        """async (number) => {
            const registration = await navigator.serviceWorker.ready;
            for (const begun = Date.now(); ; ) {
                const all = await registration.getNotifications();
                if (all.length >= number || Date.now() - begun > 10_000)
                    return all.map(({title, body, tag, data}) => ({title, body, tag, data}));
                await new Promise((resume) => setTimeout(resume, 20));
            }
        }""",
        number,
    )


def test_what_is_pushed_is_shown_and_a_second_time_takes_its_own_place(
    page: Page, app: App, registered: tuple[CDPSession, str]
) -> None:
    """Complaint 4: a message that is sent again is one notification."""
    for _ in range(3):
        for _ in range(2):
            push(registered, app, json.dumps(ALERT))
        push(registered, app, json.dumps({**ALERT, "tag": "t2", "title": "ETH"}))
        # Chromium may lose what its debugger pushes; a push service would bring it again.
        if len(told := shown(page, 2)) > 1:
            break
    assert sorted(told, key=lambda each: each["tag"]) == [
        {"title": "BTC crossed 65,000", "body": "Price 65,010", "tag": "t1", "data": {"url": "/alerts?alert=12"}},
        {"title": "ETH", "body": "Price 65,010", "tag": "t2", "data": {"url": "/alerts?alert=12"}},
    ]


@pytest.mark.parametrize("data", ["", "no JSON", "[]", "5", '{"title": 5, "url": {}}'])
def test_what_is_not_ours_is_shown_all_the_same(
    page: Page, app: App, registered: tuple[CDPSession, str], data: str
) -> None:
    """A browser takes the permission away from who is woken up and shows nothing."""
    for _ in range(3):
        push(registered, app, data)
        if told := shown(page, 1):
            break
    assert {(each["title"], each["body"], each["data"]["url"]) for each in told} == {("FlashCur", "", "")}


def test_no_page_goes_through_the_worker_and_nothing_is_kept(page: Page, registered: tuple[CDPSession, str]) -> None:
    page.goto("/")
    assert page.evaluate("async () => (await caches.keys()).length") == 0
    timing = page.evaluate("() => performance.getEntriesByType('navigation')[0].workerStart")
    assert timing == 0
