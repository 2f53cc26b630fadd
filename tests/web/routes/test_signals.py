"""`/api/v1/signals` for each plan, with every filter, page by page; and what describes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from sqlmodel import Session

from flashcur.domain.plans import PLANS
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.signal import Signal
from flashcur.errors import DatabaseError
from flashcur.models import Account, SignalOutcome, SignalRecord
from flashcur.services.accounts import api_keys, watchlists
from flashcur.services.alerts import signals
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web.api.openapi import api_routes
from flashcur.web.routes.table import ALL_ROUTES
from tests.support.schema import mismatches
from tests.support.signals import DEMO, MINUTE_MS, NOON_MS, signal
from tests.support.site import Browser, Site, running_site
from tests.support.waiting import eventually

PATH = "/api/v1/signals"
STORED_MS = NOON_MS + 120


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings) as site:
        site.runtime.clock = lambda: NOON_MS + MINUTE_MS
        site.deliver()
        yield site


def store(site: Site, *found: Signal, stored_ms: int = STORED_MS) -> list[int]:
    with site.database.session() as session:
        return [record.id or 0 for record in signals.store(session, found, stored_ms)]


async def shown(browser: Browser, **params: str) -> list[str]:
    answer = await browser.get(f"{PATH}?{urlencode(params)}")
    assert answer.status_code == 200, answer.text
    return [each["key"] for each in answer.json()["signals"]]


def key_of(site: Site, account_id: str) -> dict[str, str]:
    def work(session: Session) -> str:
        account = session.get(Account, account_id)
        assert account is not None
        return api_keys.create(session, account, utc_now())

    return {"Authorization": f"Bearer {site.database.work(work)}"}


async def test_a_signal_tells_all_that_is_known_of_it(site: Site) -> None:
    measures = (Measure("volume", 10.5e9, "usd"), Measure("least_multiple", 3.0, "multiple", "threshold"))
    whole = replace(signal(quadrant="short_covering"), evidence=Evidence("volume_spike/1", measures, "volume", 9e9))
    (signal_id,) = store(site, whole)
    with site.database.session() as session:
        outcome = session.get(SignalOutcome, signal_id)
        assert outcome is not None
        outcome.change_1h, outcome.highest = -1.5, 0.25
    elite = site.browser_of(site.account(plan="elite"))
    one = await elite.get(f"{PATH}/{signal_id}")
    assert one.json() == {
        "exchange": "binanceusdm",
        "demo": False,
        "as_of": "2026-11-23T12:01:00.000Z",
        "signal": {
            "id": signal_id,
            "key": "BTC:0:0.0",
            "detector": "volume_spike",
            "kind": "SPIKE",
            "exchange": "binanceusdm",
            "demo": False,
            "symbol": "BTCUSDT",
            "base": "BTC",
            "severity": 1,
            "direction": "bullish",
            "quadrant": "short_covering",
            "text": "BTC hourly volume $10.50B (3.50× prev) — VOLUME SPIKE",
            "price": 61234.5,
            "period_at": "2026-11-23T12:00:00.000Z",
            "period_s": 3600,
            "evidence": {
                "rule_version": "volume_spike/1",
                "measures": [
                    {
                        "name": "volume",
                        "label": "Volume this hour",
                        "value": 10.5e9,
                        "unit": "usd",
                        "role": "input",
                        "text": "$10.50B",
                    },
                    {
                        "name": "least_multiple",
                        "label": "Fires from",
                        "value": 3.0,
                        "unit": "multiple",
                        "role": "threshold",
                        "text": "3.00×",
                    },
                ],
                "chart": "volume",
                "line": 9e9,
            },
            "receipt": {
                "event_at": "2026-11-23T12:00:00.000Z",
                "seen_at": "2026-11-23T12:00:00.040Z",
                "stored_at": "2026-11-23T12:00:00.120Z",
                "seen_after_ms": 40,
                "stored_after_ms": 80,
            },
            "outcome": {
                "change_1h_pct": -1.5,
                "change_4h_pct": None,
                "change_24h_pct": None,
                "highest_pct": 0.25,
                "lowest_pct": None,
                "by_hours": False,
            },
        },
    }
    many = (await elite.get(PATH)).json()
    assert many == {
        **{k: v for k, v in one.json().items() if k != "signal"},
        "signals": [one.json()["signal"]],
        "next": None,
    }


async def test_pages_follow_each_other_and_hold_each_signal_once(site: Site) -> None:
    store(site, *(signal(number, minutes=number) for number in range(7)))
    elite = site.browser_of(site.account(plan="elite"))
    seen: list[str] = []
    params = {"limit": "3"}
    while True:
        body = (await elite.get(f"{PATH}?{urlencode(params)}")).json()
        seen += [each["key"] for each in body["signals"]]
        if body["next"] is None:
            break
        store(site, signal(99, minutes=-len(seen)))
        params["cursor"] = body["next"]
    assert seen == [f"BTC:{number}:{number}" for number in range(7)]


async def test_filters_mean_what_they_mean_on_the_page(site: Site) -> None:
    surge = signal(key="surge", detector="open_interest", kind="OI_SURGE", quadrant="long_build_up", severity=3)
    store(site, surge, signal(key="pepe", base="1000PEPE", minutes=5), signal(key="old", minutes=60 * 30))
    elite = site.browser_of(site.account(plan="elite"))
    assert await shown(elite) == ["surge", "pepe", "old"]
    assert await shown(elite, kind="open_interest,funding", severity="2", quadrant="long_build_up") == ["surge"]
    assert await shown(elite, contract="pepe", since="hour", direction="bullish") == ["pepe"]
    assert await shown(elite, to="2026-11-22") == ["old"]


@pytest.mark.parametrize(
    ("query", "problem", "field"),
    [
        ("severity=9", "severity: expected 1, 2 or 3, was '9'", "severity"),
        ("since=ever", "since: expected hour, day, week or month, was 'ever'", "since"),
        ("from=2026-13-01", "from: expected a day as YYYY-MM-DD, was '2026-13-01'", "from"),
        ("limit=0", "limit: expected a whole number from 1 to 200, was '0'", "limit"),
        ("limit=201", "limit: expected a whole number from 1 to 200, was '201'", "limit"),
        ("limit=٣", "limit: expected a whole number from 1 to 200, was '٣'", "limit"),
        ("cursor=7", "cursor: expected `next` of the page before, was '7'", "cursor"),
        ("contract=\0", r"contract: expected a symbol or a coin, was '\x00'", "contract"),
        (f"contract={'x' * 41}", f"contract: expected at most 40 characters, was {'x' * 41!r}", "contract"),
        ("list=a-b", "list: expected the id of a watchlist, was 'a-b'", "list"),
        ("limit=1&limit=2", "limit: expected once, came 2 times", "limit"),
    ],
)
async def test_what_is_wrong_is_named(site: Site, query: str, problem: str, field: str) -> None:
    answer = await site.browser().get(f"{PATH}?{quote(query, safe='=&-')}")
    assert (answer.status_code, answer.json()) == (400, {"error": problem, "field": field})


async def test_a_parameter_that_is_unknown_is_named(site: Site) -> None:
    answer = await site.browser().get(f"{PATH}?severty=2&kind=funding&symbol=BTC")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("limit, cursor, was 'severty', 'symbol'")
    (signal_id,) = store(site, signal())
    answer = await site.browser().get(f"{PATH}/{signal_id}?x=1")
    assert (answer.status_code, answer.json()["error"]) == (400, "expected no parameters, was 'x'")


async def test_a_plan_sees_what_it_may_and_when_it_may(site: Site) -> None:
    surge = signal(key="surge", detector="open_interest", kind="OI_SURGE", minutes=1)
    first, *_ = store(site, surge, *(signal(number, minutes=2 + number) for number in range(60)), stored_ms=NOON_MS)
    (fresh,) = store(site, signal(key="fresh"), stored_ms=NOON_MS + 500)
    browsers = site.one_of_each_plan()
    for plan, count, newest in (
        ("guest", 10, "BTC:0:2"),
        ("free", 10, "BTC:0:2"),
        ("pro", 50, "surge"),
        ("elite", 62, "fresh"),
    ):
        keys = await shown(browsers[plan], limit="200")
        assert (len(keys), keys[0]) == (count, newest), plan
        one = await browsers[plan].get(f"{PATH}/{fresh}")
        assert one.status_code == (200 if plan == "elite" else 404), plan
        assert (await browsers[plan].get(f"{PATH}/{first}")).status_code == (200 if plan in ("pro", "elite") else 404)
    as_of = {plan: (await browser.get(PATH)).json()["as_of"] for plan, browser in browsers.items()}
    assert as_of == {plan: f"2026-11-23T12:0{int(plan == 'elite')}:00.000Z" for plan in browsers}
    site.runtime.clock = lambda: NOON_MS + 5 * MINUTE_MS
    assert (await shown(browsers["pro"]))[0] == "fresh"


@pytest.mark.parametrize("wrong", ["0", "999", "x", "1.0", "-1", "9" * 30, "٣", "1/2", "{id}"])
async def test_what_is_no_signal_is_not_found(site: Site, wrong: str) -> None:
    store(site, signal())
    answer = await site.browser_of(site.account(plan="elite")).get(f"{PATH}/{quote(wrong)}")
    assert answer.status_code == 404


async def test_real_and_demo_signals_never_stand_side_by_side(site: Site) -> None:
    real, demo = store(site, signal(key="real"), signal(key="demo", origin=DEMO))
    elite = site.browser_of(site.account(plan="elite"))
    assert await shown(elite) == ["real"]
    assert (await elite.get(f"{PATH}/{demo}")).status_code == 404
    site.deliver(demo=True)
    body = (await elite.get(PATH)).json()
    assert (body["demo"], [each["key"] for each in body["signals"]]) == (True, ["demo"])
    assert (await elite.get(f"{PATH}/{real}")).status_code == 404


async def test_a_program_comes_with_its_account_s_key(site: Site) -> None:
    store(site, signal(key="surge", detector="open_interest", kind="OI_SURGE"))
    account_id = site.account(plan="elite")
    key, program = key_of(site, account_id), site.browser()
    answer = await program.get(PATH, **key)
    assert [each["key"] for each in answer.json()["signals"]] == ["surge"]
    assert (await program.get(PATH, Authorization="Bearer flashcur_x")).status_code == 401
    with site.database.session() as session:
        account = session.get(Account, account_id)
        assert account is not None
        account.plan = "pro"
    assert (await program.get(PATH, **key)).status_code == 403


async def test_requests_with_a_key_are_limited(site: Site) -> None:
    key, program = key_of(site, site.account(plan="elite")), site.browser()
    for _ in range(200):
        answer = await program.get(f"{PATH}?limit=1", **key)
        if answer.status_code != 200:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_watchlist_is_its_owner_s_alone(site: Site) -> None:
    store(site, signal(key="btc"), signal(key="eth", base="ETH"))
    mine, others = site.account(plan="elite"), site.account("other@example.com", plan="elite")

    def make(session: Session) -> str:
        made = watchlists.create(session, mine, PLANS["elite"], "Mine", utc_now())
        watchlists.add(session, mine, PLANS["elite"], made.id, "ETHUSDT")
        return made.id

    list_id = site.database.work(make)
    assert await shown(site.browser_of(mine), list=list_id) == ["eth"]
    program = await site.browser().get(f"{PATH}?list={list_id}", **key_of(site, mine))
    assert [each["key"] for each in program.json()["signals"]] == ["eth"]
    gone = await site.browser_of(others).get(f"{PATH}?list={list_id}")
    assert (gone.status_code, gone.json()["field"]) == (404, "list")
    assert (await site.browser_of(mine).get(f"{PATH}?list=abc")).status_code == 404
    assert (await site.browser().get(f"{PATH}?list={list_id}")).status_code == 401


async def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    (signal_id,) = store(site, signal())
    elite = site.browser_of(site.account(plan="elite"))
    for path in (PATH, f"{PATH}/{signal_id}", "/api/v1/openapi.json"):
        first = await elite.get(path)
        site.runtime.clock = lambda: NOON_MS + 2 * MINUTE_MS
        known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
        again = await elite.get(path, **known)
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["Vary"] == "Cookie, Authorization"
        assert "private" in again.headers["Cache-Control"]
    tag = {"If-None-Match": (await elite.get(PATH)).headers["ETag"]}
    assert (await elite.get(f"{PATH}?severity=2", **tag)).status_code == 200
    store(site, signal(1, minutes=-1))
    assert (await elite.get(PATH, **tag)).status_code == 200


async def test_without_frames_or_a_database_there_is_no_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_site(settings) as site:
        answer = await site.browser().get(PATH)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        site.deliver()

        async def away(self: Database, work: object, *, readonly: bool = False) -> object:
            raise DatabaseError("the server at 10.1.2.3 is away")

        monkeypatch.setattr(Database, "run", away)
        answer = await site.browser().get(PATH)
        assert (answer.status_code, answer.headers["Retry-After"], "10.1" in answer.text) == (503, "5", False)


async def test_without_a_key_a_network_may_not_ask_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("flashcur.web.routes.signals.time.monotonic", lambda: now)
    (signal_id,) = store(site, signal())
    guest = site.browser()
    codes = [(await guest.get(PATH)).status_code for _ in range(62)]
    assert codes == [200] * 60 + [429] * 2
    answer = await guest.get(f"{PATH}/{signal_id}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.json()["error"] == "Too many requests without a key from your network: wait a moment."
    # Sessions count with their network, programs and other networks by themselves.
    account_id = site.account(plan="elite")
    assert (await site.browser_of(account_id).get(PATH)).status_code == 429
    assert (await site.browser().get(PATH, **key_of(site, account_id))).status_code == 200
    assert (await site.browser("192.0.2.2").get(PATH)).status_code == 200
    now += 1
    assert [(await guest.get(PATH)).status_code for _ in range(3)] == [200, 200, 429]


async def test_accounts_do_not_wait_behind_guests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    store(site, signal())
    held, asked = asyncio.Event(), 0
    run = Database.run

    async def slow_for_guests(self: Database, work: Any, *, readonly: bool = False) -> Any:
        nonlocal asked
        if asyncio.current_task() in waiting:
            asked += 1
            await held.wait()
        return await run(self, work, readonly=readonly)

    monkeypatch.setattr(Database, "run", slow_for_guests)
    guest, program = site.browser(), site.browser()
    key = key_of(site, site.account(plan="elite"))
    waiting: set[asyncio.Task[Any] | None] = set()
    waiting |= {asyncio.create_task(guest.get(PATH)) for _ in range(20)}
    await eventually(lambda: asked > 0, "a guest's question")
    assert (await program.get(PATH, **key)).status_code == 200
    assert asked == 1
    held.set()
    answers = await asyncio.gather(*(each for each in waiting if each is not None))
    assert {answer.status_code for answer in answers} == {200}


async def test_evidence_of_another_version_hides_no_signal(site: Site) -> None:
    (signal_id,) = store(site, signal())
    with site.database.session() as session:
        record = session.get(SignalRecord, signal_id)
        assert record is not None
        record.evidence = {"rule_version": "later/9"}
    body = (await site.browser_of(site.account(plan="elite")).get(PATH)).json()
    assert body["signals"][0]["evidence"] is None


async def test_real_answers_are_what_the_document_says(site: Site) -> None:
    document = (await site.browser().get("/api/v1/openapi.json")).json()
    site.deliver(tradfi=5)
    (signal_id, *_) = store(
        site,
        signal(),
        signal(1, price=None, quadrant="long_build_up", kind="LISTED", detector="listing", direction="none", span_ms=0),
    )
    elite = site.browser_of(site.account(plan="elite"))
    asked = {
        "/api/v1/markets": ["", "?assets=tradfi"],
        "/api/v1/signals": ["", "?limit=1"],
        "/api/v1/signals/{id}": [""],
    }
    assert asked.keys() == document["paths"].keys() == {route.path for route in api_routes(ALL_ROUTES)}
    for path, queries in asked.items():
        operation = document["paths"][path]["get"]
        content = operation["responses"]["200"]["content"]["application/json"]
        schema = content["schema"]
        assert list(mismatches(content["example"], schema, document)) == []
        for query in queries:
            for who in (elite, site.browser()):
                answer = await who.get(path.replace("{id}", str(signal_id)) + query)
                if answer.status_code == 200:
                    assert list(mismatches(answer.json(), schema, document)) == []
    refused = [
        await site.browser().get(f"{PATH}?severity=9"),
        await site.browser().get(f"{PATH}?list=abc"),
        await elite.get(f"{PATH}/999"),
    ]
    for answer in refused:
        stated = document["paths"][PATH]["get"]["responses"][str(answer.status_code)]
        schema = stated["content"]["application/json"]["schema"]
        assert list(mismatches(answer.json(), schema, document)) == []


async def test_the_examples_of_the_document_are_understood(site: Site) -> None:
    document: dict[str, Any] = (await site.browser().get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    elite = site.browser_of(site.account(plan="elite"))
    ids: set[str] = set()
    for path, operations in document["paths"].items():
        operation = operations["get"]
        ids.add(operation["operationId"])
        assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == set(
            part[1:-1] for part in path.split("/") if part.startswith("{")
        )
        for each in operation["parameters"]:
            example = each["example"]
            assert list(mismatches(example, each["schema"], document)) == []
            if each["in"] == "query" and each["name"] != "list":
                text = ",".join(example) if isinstance(example, list) else str(example)
                answer = await elite.get(f"{path}?{urlencode({each['name']: text})}")
                assert answer.status_code == 200, answer.text
    assert len(ids) == len(document["paths"])
