"""Files out and in, as the plan allows and as the page shows it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from sqlmodel import Session

from flashcur.domain.plans import PLANS
from flashcur.domain.view import View, select
from flashcur.errors import DatabaseError
from flashcur.models import Watchlist, WatchlistItem
from flashcur.services.accounts import watchlists
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web.routes.base import MAX_UPLOAD
from tests.support.frames import market_frame
from tests.support.site import PAGE, Browser, Site, running_site

EXPORTS = ("/export/markets.txt", "/export/markets.csv", "/export/markets.json", "/export/watchlists.txt",
           "/export/account.json")  # fmt: skip


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings) as site:
        site.deliver()
        yield site


def make_list(site: Site, account_id: str, name: str, symbols: list[str]) -> str:
    """A list of an Elite account; the plan may be changed afterwards."""
    now = utc_now()

    def work(session: Session) -> str:
        made = watchlists.create(session, account_id, PLANS["elite"], name, now)
        for symbol in symbols:
            watchlists.add(session, account_id, PLANS["elite"], made.id, symbol)
        return made.id

    with site.database.session() as session:
        return work(session)


def symbols_of(answer: httpx.Response) -> list[str]:
    """The contracts of a file, in order."""
    kind = answer.headers["Content-Type"]
    if kind.startswith("application/json"):
        return [row["symbol"] for row in answer.json()["data"]]
    if kind.startswith("text/csv"):
        return [row["symbol"] for row in csv.DictReader(io.StringIO(answer.text))]
    return [line.removeprefix("BINANCE:").removesuffix(".P") for line in answer.text.splitlines() if line[0] != "#"]


@pytest.mark.parametrize("path", EXPORTS)
async def test_guests_export_nothing(site: Site, path: str) -> None:
    for cookie in (None, "A" * 43):
        browser = site.browser()
        if cookie:
            browser.token = cookie
        answer = await browser.get(path)
        assert (answer.status_code, "Sign in" in answer.json()["error"]) == (401, True)
    assert (await site.browser().post("/import/watchlists", {"text": "BTCUSDT"})).status_code == 401


@pytest.mark.parametrize("audience", ["elite", "pro"])
async def test_a_developer_s_plan_for_guests_exports_nothing_either(settings: Settings, audience: str) -> None:
    async with running_site(replace(settings, dev_audience=audience)) as site:
        site.deliver()
        assert (await site.browser().get("/export/markets.csv")).status_code == 401


async def test_plans_export_what_they_have(site: Site) -> None:
    browsers = site.one_of_each_plan()
    for kind in ("txt", "csv", "json"):
        for plan, rows in (("free", 50), ("pro", 60), ("elite", 60)):
            answer = await browsers[plan].get(f"/export/markets.{kind}")
            if plan == "free" and kind != "txt":
                assert answer.status_code == 403
                assert "Pro" in answer.json()["error"]
                assert "COIN" not in answer.text
            else:
                assert answer.status_code == 200
                assert symbols_of(answer) == [f"COIN{number}USDT" for number in range(rows)]


async def test_an_export_shows_what_is_shown(site: Site) -> None:
    """A delayed plan's file is of its mark's frame, without a newer price."""
    browsers = site.one_of_each_plan()
    site.runtime.hub.receive(LIVE_TOPIC, market_frame(2, price=500.0).encode())
    prices = {plan: (await browsers[plan].get("/export/markets.json")).json()["data"][0]["price"]
              for plan in ("pro", "elite")}  # fmt: skip
    assert prices == {"pro": 100.0, "elite": 500.0}
    assert "open_interest_usd" in (await browsers["pro"].get("/export/markets.csv")).text.splitlines()[0]


@pytest.mark.parametrize(
    "query",
    ["", "sort=price&dir=asc", "sort=symbol&dir=desc", "show=losers", "show=spiking", "q=coin1", "min=980M",
     "sort=funding&dir=asc&show=gainers&q=2", "sort=nonsense&dir=sideways&show=me&min=x", "q=%00%ff", "q=" + "x" * 500,
     "sort=change&sort=price", "list="],
)  # fmt: skip
async def test_an_export_has_the_page_s_order_and_filter(site: Site, query: str) -> None:
    browser = site.one_of_each_plan()["pro"]
    frame = site.runtime.hub.table("pro")
    assert frame is not None
    params = httpx.QueryParams(query)
    wanted = [frame.values("symbol")[i] for i in select(frame, View.parse({k: params.get_list(k)[-1] for k in params}))]
    for kind in ("txt", "csv", "json"):
        answer = await browser.get(f"/export/markets.{kind}?{query}")
        assert (answer.status_code, symbols_of(answer)) == (200, wanted)


async def test_free_gets_the_first_fifty_of_its_own_order(site: Site) -> None:
    browser = site.one_of_each_plan()["free"]
    found = symbols_of(await browser.get("/export/markets.txt?sort=volume&dir=asc"))
    # Its table is the fifty largest, and the file is that table.
    assert found == [f"COIN{number}USDT" for number in range(49, -1, -1)]


@pytest.mark.parametrize(
    ("kind", "media", "name"),
    [("txt", "text/plain; charset=utf-8", "tradingview"), ("csv", "text/csv; charset=utf-8", "markets"),
     ("json", "application/json", "markets")],
)  # fmt: skip
async def test_files_are_named_and_not_kept(site: Site, kind: str, media: str, name: str) -> None:
    answer = await site.one_of_each_plan()["elite"].get(f"/export/markets.{kind}")
    assert answer.headers["Content-Type"] == media
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    named = rf'attachment; filename="flashcur_{name}_\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d\.{kind}"'
    assert re.fullmatch(named, answer.headers["Content-Disposition"])


async def test_lists_of_others_are_not_there(site: Site) -> None:
    ann, bob = site.account(plan="elite"), site.account("bob@example.com", plan="elite")
    mine, theirs = (make_list(site, account, "List", ["COIN3USDT", "COIN1USDT"]) for account in (ann, bob))
    browser = site.browser_of(ann)
    for path in ("/export/markets.txt", "/export/markets.csv", "/export/markets.json", "/export/watchlists.txt"):
        for wrong in (theirs, "0" * 32, "x", "%00", "%ED%A0%80", mine.upper() + "x"):
            answer = await browser.get(f"{path}?list={wrong}")
            assert (answer.status_code, answer.json()["field"]) == (404, "list"), (path, wrong)
        assert set(symbols_of(await browser.get(f"{path}?list={mine}"))) == {"COIN1USDT", "COIN3USDT"}
    answer = await browser.post("/import/watchlists", {"text": "COIN2USDT", "list": theirs})
    assert answer.status_code == 404
    assert len(site.rows(WatchlistItem)) == 4


async def test_watchlists_are_exported_with_their_names(site: Site) -> None:
    account = site.account(plan="pro")
    make_list(site, account, "Majors, and more", ["COIN1USDT", "COIN2USDT"])
    make_list(site, account, "币安", ["COIN1USDT"])
    answer = await site.browser_of(account).get("/export/watchlists.txt")
    assert answer.text.splitlines() == [
        "###Majors， and more", "BINANCE:COIN1USDT.P", "BINANCE:COIN2USDT.P", "###币安", "BINANCE:COIN1USDT.P",
    ]  # fmt: skip


async def test_free_exports_fifty_rows_of_lists_from_better_days(site: Site) -> None:
    account = site.account()
    make_list(site, account, "A", [f"COIN{number}USDT" for number in range(30)])
    make_list(site, account, "B", [f"COIN{number}USDT" for number in range(30, 60)])
    found = symbols_of(await site.browser_of(account).get("/export/watchlists.txt"))
    assert found == [f"COIN{number}USDT" for number in range(50)]


async def test_an_account_s_data(site: Site) -> None:
    account = site.account()
    browser = site.browser_of(account)
    answer = await browser.get("/export/account.json")
    document = orjson.loads(answer.content)
    assert document["account"]["id"] == account
    assert "flashcur_account_" in answer.headers["Content-Disposition"]
    assert "argon2" not in answer.text
    assert browser.token is not None
    assert browser.token not in answer.text
    assert (await browser.get("/export/account.json", **{"Sec-Fetch-Site": "cross-site"})).status_code == 400


async def taken_in(browser: Browser, text: str, **more: str) -> dict[str, Any]:
    answer = await browser.post("/import/watchlists", {"text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_file_is_taken_in(site: Site) -> None:
    account = site.account(plan="pro")
    browser = site.browser_of(account)
    result = await taken_in(browser, "###Mine\nBINANCE:COIN1USDT.P,BINANCE:COIN2USDT.P\nBINANCE:NOSUCHUSDT.P\n")
    assert (result["created"], result["added"]) == (["Mine"], 2)
    assert result["said"] == "2 contracts added, new: Mine."
    assert result["notes"] == ["Line 3: “BINANCE:NOSUCHUSDT.P” is not traded here now"]
    again = await taken_in(browser, (await browser.get("/export/watchlists.txt")).text)
    assert (again["created"], again["added"], again["already"]) == ([], 0, 2)
    assert again["said"] == "0 contracts added, 2 there already."


async def test_nothing_becomes_a_contract_unless_its_owner_says_so(site: Site) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    text = "###Mine\nCOIN1USDT，COIN2USDT、COIN3USDT\nпродамUSDT\n###Old\nGONEUSDT\nALSOGONEUSDT\n"
    result = await taken_in(browser, text)
    assert (result["created"], result["added"], result["keep"]) == (
        ["Mine"],
        3,
        "Keep the 3 symbols not traded here now",
    )
    assert {each.symbol for each in site.rows(WatchlistItem)} == {"COIN1USDT", "COIN2USDT", "COIN3USDT"}
    assert result["notes"][0] == "Line 3: “продамUSDT” is not traded here now"
    # The button sends back what was left out.
    kept = await taken_in(browser, result["unknown"], list=result["list"], keep="yes")
    assert (kept["created"], kept["added"], kept["notes"], kept["unknown"]) == (["Old"], 3, [], "")
    lists = (await browser.get("/export/watchlists.txt")).text.split("###")[1:]
    assert [each.split("\n")[0] for each in lists] == ["Mine", "Old"]
    assert "GONEUSDT" in lists[1]


async def test_each_entry_that_was_not_taken_is_named_with_its_line(site: Site) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    lines = [f"NASDAQ:A{number}" for number in range(199)] + ["GONEUSDT"] * 3 + ["COIN1USDT"] + ["BTC/USDC"] * 2
    notes = (await taken_in(browser, "\n".join(lines)))["notes"]
    assert notes[:199] == [f"Line {number + 1}: “NASDAQ:A{number}” is not a USDT perpetual" for number in range(199)]
    assert notes[199:] == [
        "Line 200: “GONEUSDT” is not traded here now",
        "and 4 more: 2 not traded here now, 2 not a USDT perpetual",
    ]


async def upload(browser: Browser, content: bytes | None, **fields: str) -> dict[str, Any]:
    """As a page's form sends it: where no file was chosen, with one that has neither a name nor content."""
    name = "" if content is None else "lists.txt"
    parts = [f'name="file"; filename="{name}"\r\nContent-Type: text/plain'.encode() + b"\r\n\r\n" + (content or b"")]
    parts += [f'name="{key}"\r\n\r\n{text}'.encode() for key, text in fields.items()]
    body = b"".join(b"--xXx\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--xXx--\r\n"
    kind = "multipart/form-data; boundary=xXx"
    headers = {"Origin": PAGE, "Accept": "application/json", "Content-Type": kind}
    answer = await browser.client.post("/import/watchlists", content=body, headers=headers)
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
async def test_a_file_is_read_however_it_was_written(site: Site, encoding: str) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    content = "###Größte\r\nBINANCE:COIN1USDT.P\r\n".encode(encoding)
    if encoding.endswith("-be"):
        content = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}[encoding] + content
    result = await upload(browser, content, text="BINANCE:COIN2USDT.P", list="")
    assert (result["created"], result["added"]) == (["Größte"], 1)


async def test_a_form_without_a_file_takes_what_was_pasted(site: Site) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    result = await upload(browser, None, text="COIN1USDT\r\nNASDAQ:AAPL", list="")
    assert (result["sent"], result["said"]) == ("imported", "1 contract added, new: Favourites.")
    assert result["notes"] == ["Line 2: “NASDAQ:AAPL” is not a USDT perpetual"]
    result = await upload(browser, None, text="COIN2USDT\nCOIN2USDT", list="")
    assert result["said"] == "1 contract added into Favourites."
    assert result["notes"] == ["1 entry appeared twice"]


async def test_what_stands_below_no_header_goes_into_the_first_list_by_its_name(site: Site) -> None:
    account = site.account(plan="pro")
    browser, other = site.browser_of(account), make_list(site, account, "Memes", ["COIN1USDT"])
    assert (await taken_in(browser, "COIN2USDT"))["said"] == "1 contract added into Memes."
    assert (await taken_in(browser, "COIN3USDT\n###New\nCOIN3USDT"))[
        "said"
    ] == "2 contracts added into Memes, new: New."
    assert (await taken_in(browser, "COIN4USDT", list=other))["said"] == "1 contract added."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"COIN1\0USDT", "This is not a text file."),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xe2\x8b", "This is not a text file."),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "This is not a text file."),
        ("###Größte\nCOIN1USDT".encode("cp1252"), "encoding of this file cannot be told: save it as UTF-8"),
        ("###我的\nCOIN1USDT".encode("gb18030"), "encoding of this file cannot be told"),
        ("###お気に入り\nCOIN1USDT".encode("shift_jis"), "encoding of this file cannot be told"),
        ("###моё\nCOIN1USDT".encode("cp1251"), "encoding of this file cannot be told"),
        ("COIN1USDT\nCOIN2USDT".encode("utf-16-le"), "encoding of this file cannot be told"),
        (codecs.BOM_UTF8 + b"COIN1USDT\xff", "encoding of this file cannot be told"),
        (codecs.BOM_UTF16_LE + b"C\0O\0\0\xd8", "encoding of this file cannot be told"),
        (b"x" * 512_001, "The file is too large: expected at most 512 kB."),
        (b"x" * (MAX_UPLOAD + 1), "The file is too large: expected at most 512 kB."),
        (None, "Choose a file"),
    ],
)
async def test_what_is_no_file_of_contracts_is_refused(site: Site, content: bytes | None, words: str) -> None:
    result = await upload(site.browser_of(site.account(plan="pro")), content, text=" ")
    assert (result["status"], words in result["error"]) == (400, True)


async def test_a_broken_form_is_refused(site: Site) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        for body in (b"", b"--b\r\n\r\nx\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"):
            answer = await browser.send("/import/watchlists", body, kind)
            assert answer.status_code == 400, (kind, body)


async def test_a_list_for_the_clipboard_says_what_it_is(site: Site) -> None:
    browser = site.browser_of(site.account())
    await taken_in(browser, "COIN1USDT COIN2USDT")
    answer = await browser.get("/export/watchlists.txt", Accept="application/json")
    assert answer.json()["text"].split() == ["###Favourites", "BINANCE:COIN1USDT.P", "BINANCE:COIN2USDT.P"]
    assert answer.json()["said"] == "Copied 2 contracts: paste them into TradingView or anywhere else."
    answer = await browser.get("/export/markets.txt?q=nothing", Accept="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "There is no contract to copy.")
    answer = await site.browser().get("/export/markets.txt", Accept="application/json")
    assert (answer.json()["link"], answer.json()["link_text"]) == ("/login", "Sign in")


async def test_an_import_stays_within_the_plan(site: Site) -> None:
    browser = site.browser_of(site.account())
    text = "".join(f"###List {number}\n" + "\n".join(f"BINANCE:COIN{number * 20 + i}USDT.P" for i in range(20)) + "\n"
                   for number in range(2))  # fmt: skip
    result = await taken_in(browser, text)
    assert (len(result["created"]), result["added"], result["left_out"]) == (1, 10, 30)
    assert "10" in result["message"]
    assert (len(site.rows(Watchlist)), len(site.rows(WatchlistItem))) == (1, 10)


async def test_files_that_are_too_large_or_no_text_are_refused(site: Site) -> None:
    browser = site.browser_of(site.account(plan="elite"))
    for text in ("x" * 512_001, "x" * (MAX_UPLOAD + 1), "COIN1USDT\0", '{"data": ['):
        answer = await browser.post("/import/watchlists", {"text": text})
        assert answer.status_code == 400, text[:20]
    for body in ({"text": ["COIN1USDT"]}, {"text": 1}, {"text": "COIN1USDT", "list": 1}, []):
        answer = await browser.client.post("/import/watchlists", json=body, headers={"Origin": "http://localhost:3000"})
        assert answer.status_code == 400
    assert site.rows(Watchlist) == []


async def test_a_file_of_the_largest_size_is_taken(site: Site) -> None:
    browser = site.browser_of(site.account(plan="elite"))
    text = "COIN1USDT\n" + "\n" * 501_990
    assert (await taken_in(browser, text))["added"] == 1


async def test_before_the_first_frame_it_is_said_so(settings: Settings) -> None:
    async with running_site(settings) as site:
        browser = site.browser_of(site.account(plan="elite"))
        for path in EXPORTS[:4]:
            answer = await browser.get(path)
            assert (answer.status_code, "no market data" in answer.json()["error"]) == (503, True)
        assert (await browser.post("/import/watchlists", {"text": "COIN1USDT"})).status_code == 503
        assert (await browser.get("/export/account.json")).status_code == 200


@pytest.mark.parametrize("path", EXPORTS)
async def test_while_the_database_is_away_nobody_is_told_to_sign_in(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = site.browser_of(site.account(plan="elite"))

    async def away(*_: object, **__: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Database, "run", away)
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "try again" in answer.json()["error"]


async def test_a_session_that_has_ended_exports_nothing(site: Site) -> None:
    account = site.account(plan="elite")
    browser = site.browser_of(account)
    assert (await browser.get("/export/markets.csv")).status_code == 200
    token = browser.token
    assert token is not None
    await browser.post("/auth/sign-out")
    browser.token = token
    for path in EXPORTS:
        assert (await browser.get(path)).status_code == 401


async def test_files_are_limited_and_what_is_refused_counts(site: Site) -> None:
    browser = site.browser_of(site.account(plan="pro"))
    statuses = [(await browser.get("/export/markets.csv?list=nosuch")).status_code for _ in range(20)]
    statuses += [(await browser.get("/export/markets.csv")).status_code for _ in range(20)]
    assert statuses[:20] == [404] * 20
    assert 429 in statuses
    answer = await browser.get("/export/watchlists.txt")
    assert (answer.status_code, "files" in answer.json()["error"]) == (429, True)
