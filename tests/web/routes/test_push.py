"""Web push turned on and off by a browser: kept with whoever is signed in, and with nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from flashcur.models import Destination
from flashcur.services.accounts.push_subscriptions import MOST_BROWSERS
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify import destinations
from flashcur.services.notify.vapid import public_key
from flashcur.settings import Settings, WebPushSettings
from tests.support.push_service import PushBrowser
from tests.support.site import Site, running_site

ENDPOINT = "https://push.example/send/abc"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
KEYS = PushBrowser().keys


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings) as site:
        yield site


def asked(endpoint: str = ENDPOINT, **more: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, "keys": KEYS, "expirationTime": None, **more}


async def test_a_browser_is_kept_with_its_keys_and_name(site: Site) -> None:
    browsers = site.one_of_each_plan()
    answer = await browsers["pro"].post("/api/v1/push", asked(), **{"User-Agent": FIREFOX})
    assert (answer.status_code, answer.json()["name"]) == (200, "Firefox on Linux")
    (place,) = site.rows(Destination)
    assert (place.channel, place.address, place.state, place.name) == ("web-push", ENDPOINT, "on", "Firefox on Linux")
    key = site.runtime.settings.web_push.private_key
    assert key is not None
    assert place.details == {**KEYS, "key": public_key(key)}
    assert (await site.browser().get("/api/v1/push/key")).json()["key"] == public_key(key)
    # The same again, as after a reload, is the same browser.
    await browsers["pro"].post("/api/v1/push", asked(expirationTime=1_900_000_000_000), **{"User-Agent": FIREFOX})
    (place,) = site.rows(Destination)
    assert place.details["expires_ms"] == "1900000000000"


async def test_a_plan_without_web_push_is_told_which_has_it(site: Site) -> None:
    browsers = site.one_of_each_plan()
    answer = await browsers["free"].post("/api/v1/push", asked())
    assert (answer.status_code, answer.json()["error"]) == (403, "Web push comes with Pro.")
    assert (await browsers["guest"].post("/api/v1/push", asked())).status_code == 401
    assert (await browsers["guest"].post("/api/v1/push/off", asked())).status_code == 401
    assert site.rows(Destination) == []


async def test_other_sites_turn_nothing_on_or_off(site: Site) -> None:
    pro = site.one_of_each_plan()["pro"]
    for path in ("/api/v1/push", "/api/v1/push/off"):
        answer = await pro.post(path, asked(), Origin="https://evil.example")
        assert answer.status_code == 403
    assert site.rows(Destination) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "http://push.example/a"}, "endpoint"),
        ({"endpoint": "https://127.0.0.1/a"}, "endpoint"),
        ({"endpoint": "https://push.example:25/a"}, "endpoint"),
        ({"endpoint": "https://a:b@push.example/a"}, "endpoint"),
        ({"endpoint": "https://push.example/" + "a" * 1000}, "endpoint"),
        ({"endpoint": 5}, "endpoint"),
        ({"keys": None}, "keys"),
        ({"keys": []}, "keys"),
        ({"keys": {"p256dh": "B" * 87, "auth": KEYS["auth"]}}, "keys"),
        ({"keys": {**KEYS, "auth": "YQ"}}, "keys"),
        ({"keys": {**KEYS, "auth": "!" * 22}}, "keys"),
        ({"keys": {**KEYS, "p256dh": 7}}, "p256dh"),
    ],
)
async def test_what_is_no_subscription_is_refused(site: Site, wrong: dict[str, Any], field: str) -> None:
    pro = site.one_of_each_plan()["pro"]
    answer = await pro.post("/api/v1/push", {**asked(), **wrong})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert site.rows(Destination) == []


@pytest.mark.parametrize("ends", ["soon", True, -1, 1e300, [], {}])
async def test_an_odd_end_is_none(site: Site, ends: Any) -> None:
    pro = site.one_of_each_plan()["pro"]
    assert (await pro.post("/api/v1/push", asked(expirationTime=ends))).status_code == 200
    (place,) = site.rows(Destination)
    assert place.details.get("expires_ms") in (None, "1")


async def test_a_new_address_takes_the_place_of_the_former(site: Site) -> None:
    """Complaint 25: what the push service renewed, and what has ended, is not kept beside it."""
    pro = site.one_of_each_plan()["pro"]
    await pro.post("/api/v1/push", asked())
    await pro.post("/api/v1/push", asked("https://push.example/new", former=ENDPOINT))
    assert [each.address for each in site.rows(Destination)] == ["https://push.example/new"]
    with site.database.session() as session:
        (place,) = destinations.of_account(session, site.rows(Destination)[0].account_id, "web-push")
        destinations.switch_off(session, place, "The browser is no longer subscribed.")
    await pro.post("/api/v1/push", asked("https://push.example/third"))
    assert [(each.address, each.state) for each in site.rows(Destination)] == [("https://push.example/third", "on")]


async def test_who_signs_in_at_the_same_browser_takes_it_over(site: Site) -> None:
    """Nobody is shown what is another account's because they used the same browser before."""
    browsers = site.one_of_each_plan()
    await browsers["pro"].post("/api/v1/push", asked())
    await browsers["elite"].post("/api/v1/push", asked())
    (place,) = site.rows(Destination)
    assert place.account_id == await browsers["elite"].who()


async def test_off_is_off_and_of_one_s_own_only(site: Site) -> None:
    browsers = site.one_of_each_plan()
    await browsers["pro"].post("/api/v1/push", asked())
    other = await browsers["elite"].post("/api/v1/push/off", {"endpoint": ENDPOINT})
    assert (other.status_code, other.json()["removed"]) == (200, False)
    assert len(site.rows(Destination)) == 1
    own = await browsers["pro"].post("/api/v1/push/off", {"endpoint": ENDPOINT})
    assert own.json()["removed"] is True
    assert site.rows(Destination) == []


async def test_an_account_has_so_many_browsers_and_no_more(site: Site) -> None:
    pro = site.one_of_each_plan()["pro"]
    account_id = await pro.who()
    assert account_id is not None
    with site.database.session() as session:
        for number in range(MOST_BROWSERS):
            destinations.keep(
                session, account_id, "web-push", f"https://push.example/{number}", now_ms(), name=str(number),
                confirmed=True,
            )  # fmt: skip
    answer = await pro.post("/api/v1/push", asked())
    assert (answer.status_code, "10 browsers" in answer.json()["error"]) == (409, True)
    # One that is known may say the same again.
    assert (await pro.post("/api/v1/push", asked("https://push.example/3"))).status_code == 200


async def test_without_a_key_there_is_no_web_push(settings: Settings) -> None:
    without = replace(settings, web_push=WebPushSettings(None, "mailto:post@flashcur.example"))
    async with running_site(without) as site:
        assert (await site.browser().get("/api/v1/push/key")).json()["key"] == ""
        answer = await site.one_of_each_plan()["pro"].post("/api/v1/push", asked())
        assert (answer.status_code, "cannot send web push" in answer.json()["error"]) == (503, True)


async def test_the_worker_may_ask_our_routes_and_nothing_else(site: Site) -> None:
    policy = (await site.browser().get("/sw.js")).headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; connect-src 'self'"
