"""Signing in and out over HTTP: cookies, who may post, and that every answer is the same for everybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from flashcur.domain.rules.share import MOST_LINK
from flashcur.errors import DatabaseError
from flashcur.models import Account, Delivery, LoginSession, MailToken, Wallet
from flashcur.services.accounts.sessions import hash_token
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.web.cookies import MARK
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.base import MAX_BODY, safe_path
from flashcur.web.routes.files import ExportRoutes
from tests.support.accounts import ADDRESS, HOME, OTHER_PASSWORD, PASSWORD, KeyWallet, key_wallet
from tests.support.site import PAGE, Browser, Site, running_site

POSTS = [route.path for group in (AuthRoutes, ExportRoutes) for route in group.ROUTES if route.method == "POST"]
PLACES = {"/": "/", "": "/", "/account": "/account", "/markets/BTCUSDT?x=1#y": "/markets/BTCUSDT?x=1#y",
          "/%0d%0aSet-Cookie:x": "/%0d%0aSet-Cookie:x", "//evil.example": "/", "///evil.example": "/",
          "/\\evil.example": "/", "\\\\evil.example": "/", "https:evil.example": "/", "https://evil.example": "/",
          "javascript:alert(1)": "/", "evil.example": "/", " /account": "/", "\t//evil.example": "/",
          "/\t/evil.example": "/", "/\n/evil.example": "/", "/\r\nSet-Cookie: a=b": "/", "/ünïcode": "/",
          "/\u2028": "/", "/" + "a" * 2_500: "/", "@evil.example": "/", ".evil.example": "/",
          "/.//evil.example": "/", "/..//evil.example": "/", "/a/../..//evil.example": "/",
          "/auth/sign-out": "/", "/api/v1/markets": "/", "/authors": "/authors"}  # fmt: skip


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings) as site:
        yield site


def cookies(answer: httpx.Response) -> dict[str, Any]:
    """The cookies that an answer sets, with their attributes."""
    jar = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        jar.load(header)
    return dict(jar)


def shape(answer: httpx.Response, *addresses: str) -> tuple[object, ...]:
    """All of an answer that a stranger can compare, without the address that they named themselves."""
    text = answer.text
    for address in addresses:
        text = text.replace(address, "…")
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
    # Chance, drawn anew for each.
    headers["set-cookie"] = re.sub(r"(flashcur_browser=)[\w-]+", r"\1…", headers.get("set-cookie", ""))
    return answer.status_code, text, tuple(sorted(headers.items()))


async def test_from_registration_to_deletion_of_the_session(site: Site) -> None:
    browser = site.browser()
    answer = await browser.post("/auth/register", {"email": " Ann@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "next": "/register?sent=1", "sent": ADDRESS})
    assert set(cookies(answer)) == {"flashcur_browser"}
    answer = await browser.post("/auth/confirm", {"token": site.link("register")})
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "next": "/?welcome=1"})
    assert await browser.who() is not None
    token = browser.token
    assert token is not None
    assert token not in answer.text
    answer = await browser.post("/auth/sign-out")
    assert answer.json() == {"ok": True, "next": "/"}
    assert browser.token is None
    assert site.rows(LoginSession) == []
    browser.token = token
    assert await browser.who() is None


async def test_cookies_of_a_session(site: Site) -> None:
    site.account()
    answer = await site.browser().sign_in()
    session, mark = (cookies(answer)[name] for name in (site.cookie_name, MARK))
    assert (session["httponly"], session["samesite"], session["path"], session["domain"]) == (True, "lax", "/", "")
    assert (session["secure"], session["max-age"]) == ("", str(30 * 86_400))
    assert (mark["httponly"], mark["samesite"], mark["path"]) == ("", "lax", "/")
    assert len(mark.value) == 16
    assert mark.value not in session.value
    assert answer.headers["Cache-Control"] == "no-store"


async def test_cookies_of_production_are_for_https_and_this_host_only(environ: dict[str, str]) -> None:
    strict = {"FLASHCUR_ENV": "prod", "FLASHCUR_SECRET_KEY": "b81f0e3d5c7a9264" * 4}
    prod = Settings.load({**environ, **strict, "FLASHCUR_PUBLIC_URL": "https://flashcur.example"})
    database = Database(prod)
    await asyncio.to_thread(database.migrate)
    database.close()
    where = Addresses(PAGE, PAGE, (PAGE,))
    async with running_site(prod, where) as site:
        site.account()
        answer = await site.browser().sign_in()
        asked = await site.browser().post(
            "/auth/wallet/challenge", {"address": key_wallet().address, "chain_id": 1, "purpose": "sign-in"}
        )
        for header in (*answer.headers.get_list("set-cookie"), *asked.headers.get_list("set-cookie")):
            name = header.split("=")[0]
            assert "; Secure" in header
            assert "Domain" not in header
            assert name == MARK or (name.startswith("__Host-") and "; HttpOnly" in header and "Path=/;" in header)
        assert set(cookies(answer)) == {"__Host-flashcur_session", MARK}
        # A neighbouring subdomain can set the other name.
        browser = site.browser()
        browser.client.cookies.set("flashcur_session", cookies(answer)["__Host-flashcur_session"].value)
        assert (await browser.get("/export/account.json")).status_code == 401


async def test_a_chosen_cookie_never_becomes_a_session(site: Site) -> None:
    site.account()
    browser, chosen = site.browser(), "A" * 43
    answer = await browser.client.post(
        "/auth/sign-in",
        json={"email": ADDRESS, "password": PASSWORD},
        headers={"Origin": PAGE, "Cookie": f"{site.cookie_name}={chosen}"},
    )
    token = cookies(answer)[site.cookie_name].value
    assert token != chosen
    assert [login.token_hash for login in site.rows(LoginSession)] == [hash_token(token)]


async def test_an_account_is_deleted_with_its_cookie(site: Site) -> None:
    site.account()
    browser, other = site.browser(), site.browser()
    await browser.sign_in()
    await other.sign_in()
    answer = await site.browser().post("/auth/delete-account", {"password": PASSWORD, "word": "DELETE"})
    assert answer.status_code == 401
    for fields, wrong in (
        ({"password": PASSWORD, "word": "delete"}, "word"),
        ({"password": "x", "word": "DELETE"}, "password"),
    ):
        answer = await browser.post("/auth/delete-account", fields)
        assert (answer.status_code, answer.json()["field"]) == (400, wrong)
    assert await browser.who() is not None
    answer = await browser.post("/auth/delete-account", {"password": PASSWORD, "word": "DELETE"})
    assert answer.json() == {"ok": True, "next": "/login?done=deleted"}
    assert (browser.token, await other.who()) == (None, None)
    assert site.rows(Account) == site.rows(LoginSession) == []


async def test_signing_in_again_ends_the_browser_s_former_session(site: Site) -> None:
    ann, bob = site.account(), site.account("bob@example.com")
    browser = site.browser_of(ann)
    former = browser.token
    assert former is not None
    await browser.sign_in("bob@example.com")
    assert await browser.who() == bob
    assert [login.account_id for login in site.rows(LoginSession)] == [bob]
    second = browser.token
    await browser.sign_in("bob@example.com")
    assert browser.token != second
    assert len(site.rows(LoginSession)) == 1


async def test_signing_in_again_leaves_the_other_device(site: Site) -> None:
    """Free has two sessions: the phone's must not give way to the same computer's second."""
    account = site.account()
    phone, computer = site.browser_of(account), site.browser_of(account)
    for _ in range(3):
        assert (await computer.sign_in()).status_code == 200
    assert (await phone.who(), await computer.who()) == (account, account)


async def test_a_sign_in_that_fails_leaves_the_session(site: Site) -> None:
    account = site.account()
    browser = site.browser_of(account)
    token = browser.token
    answer = await browser.sign_in(password=OTHER_PASSWORD)
    assert (answer.status_code, answer.json()["field"], cookies(answer)) == (401, "password", {})
    assert (browser.token, await browser.who()) == (token, account)


@pytest.mark.parametrize("path", ["/auth/register", "/auth/forgot"])
async def test_answers_do_not_tell_who_has_an_account(site: Site, path: str) -> None:
    site.account("known@example.com")
    for form in (False, True):
        shapes = []
        for address in ("known@example.com", "other@example.com"):
            browser, fields = site.browser(), {"email": address, "password": PASSWORD}
            answer = await (browser.form if form else browser.post)(path, fields)
            shapes.append(shape(answer, address))
        assert shapes[0] == shapes[1]


async def test_sign_in_does_not_tell_either(site: Site) -> None:
    site.account("known@example.com")
    for form in (False, True):
        shapes = []
        for address in ("known@example.com", "other@example.com"):
            browser, fields = site.browser(), {"email": address, "password": OTHER_PASSWORD}
            answers = [await (browser.form if form else browser.post)("/auth/sign-in", fields) for _ in range(6)]
            shapes.append([shape(answer, address) for answer in answers])
        assert shapes[0] == shapes[1]
        # Within the form's round the lockout begins, for both alike.
        assert [row[0] for row in shapes[0]] == ([303] * 6 if form else [401] * 6)


async def test_a_lockout_says_how_long(site: Site) -> None:
    site.account()
    for _ in range(10):
        assert (await site.browser().sign_in(password=OTHER_PASSWORD)).status_code == 401
    answer = await site.browser().sign_in()
    assert answer.status_code == 429
    wait_s, exact_s = int(answer.headers["Retry-After"]), answer.json()["retry_after"]
    assert 80 < exact_s <= wait_s <= 90
    assert (await site.browser("198.51.100.1").sign_in()).status_code == 200


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://localhost:3000.evil"},
     {"Origin": "http://localhost:30000"}, {"Origin": "https://localhost:3000"}, {"Origin": "HTTP://LOCALHOST:3000"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "nonsense"},
     {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}],
)  # fmt: skip
async def test_only_our_pages_may_post(site: Site, path: str, headers: dict[str, str]) -> None:
    account = site.account()
    browser = site.browser_of(account)
    body = {"email": ADDRESS, "password": PASSWORD, "token": "0" * 64, "text": "BTCUSDT"}
    for answer in (
        await browser.client.post(path, json=body, headers=headers),
        await browser.client.post(path, data=body, headers=headers),
    ):
        assert answer.status_code == 403
        assert cookies(answer) == {}
        assert answer.headers["Cache-Control"] == "no-store"
    assert await browser.who() == account
    assert site.mails() == []


async def test_what_is_no_browser_may_post(site: Site) -> None:
    site.account()
    answer = await site.browser().client.post("/auth/sign-in", json={"email": ADDRESS, "password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", POSTS)
async def test_other_methods_are_refused(site: Site, path: str) -> None:
    client = site.browser().client
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await client.request(method, path, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", None),
        (b"{}", "text/plain"),
        (b"{}", "multipart/form-data; boundary=x"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 5000, "application/json"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "application/json"),
        (b'{"email":"\\ud800@example.com","password":"x"}', "application/json"),
        (b'{"email":"\\u0000","password":"\\u0000"}', "application/json"),
        (b'{"email":NaN}', "application/json"),
        (b'{"email":1e999}', "application/json"),
        (b'{"email":["ann@example.com"],"password":{"$ne":""}}', "application/json"),
        (b'{"email":"' + b"a" * 2000 + b'","password":"x"}', "application/json"),
        (b"email=%00&password=%00", "application/x-www-form-urlencoded"),
        (b"\xff=\xff", "application/x-www-form-urlencoded"),
        (b"a&" * 100, "application/x-www-form-urlencoded"),
        (b"email=%ED%A0%80&password=x", "application/x-www-form-urlencoded"),
        (b"x" * (MAX_BODY + 1), "application/json"),
        (b"x" * 1_000_000, "application/json"),
    ],
)
async def test_bodies_that_no_page_sends(site: Site, content: bytes, kind: str | None) -> None:
    for path in POSTS:
        answer = await site.browser().send(path, content, kind, Accept="application/json")
        assert answer.status_code in ((400, 401) if path != "/auth/sign-out" else (200, 400)), (path, answer.text)
        assert site.rows(Account) == site.rows(LoginSession) == site.mails() == []
        if answer.status_code != 200:
            assert set(answer.json()) <= {"error", "field", "why", "link", "link_text"}
            assert cookies(answer) == {}


async def test_a_body_of_just_the_largest_size_is_read(site: Site) -> None:
    site.account()
    body = b'{"email":"ann@example.com","password":"' + PASSWORD.encode() + b'","more":"'
    body += b"x" * (MAX_BODY - len(body) - 2) + b'"}'
    assert (await site.browser().send("/auth/sign-in", body, "application/json")).status_code == 200
    assert (await site.browser().send("/auth/sign-in", body + b" ", "application/json")).status_code == 400


async def test_a_form_signs_in_and_goes_back_to_the_page(site: Site) -> None:
    site.account()
    browser = site.browser()
    answer = await browser.form("/auth/sign-in", {"email": ADDRESS, "password": PASSWORD, "next": "/account?tab=1"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}/account?tab=1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert await browser.who() is not None
    answer = await browser.form("/auth/sign-out", {"next": ""})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}/")
    assert browser.token is None


@pytest.mark.parametrize(
    ("path", "fields", "location"),
    [
        ("/auth/sign-in", {"email": ADDRESS, "password": "wrong"}, "/login?problem=wrong"),
        ("/auth/sign-in", {"email": "nonsense", "password": "x"}, "/login?problem=invalid"),
        ("/auth/register", {"email": ADDRESS, "password": "short"}, "/register?problem=invalid"),
        ("/auth/register", {"email": ADDRESS, "password": PASSWORD}, "/register?sent=1"),
        ("/auth/forgot", {"email": ADDRESS}, "/forgot?sent=1"),
        ("/auth/confirm", {"token": "<script>"}, "/confirm?problem=invalid"),
        ("/auth/reset", {"token": "0", "password": PASSWORD}, "/reset?problem=invalid"),
        ("/auth/confirm-change", {"token": ""}, "/confirm-change?problem=invalid"),
    ],
)
async def test_a_form_s_answer_is_a_page(site: Site, path: str, fields: dict[str, str], location: str) -> None:
    answer = await site.browser().form(path, fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE + location)
    assert set(cookies(answer)) <= {"flashcur_browser"}


@pytest.mark.parametrize(("wanted", "target"), PLACES.items())
async def test_nobody_is_sent_to_another_site(site: Site, wanted: str, target: str) -> None:
    assert safe_path(wanted) == target
    site.account()
    for path in ("/auth/sign-in", "/auth/sign-out"):
        fields = {"email": ADDRESS, "password": PASSWORD, "next": wanted}
        answer = await site.browser().form(path, fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE + target)
        assert (await site.browser().post(path, fields)).json()["next"] == target


@pytest.mark.parametrize(("wanted", "target"), PLACES.items())
async def test_the_mailed_link_of_a_registration_leads_on_to_a_path_of_ours_alone(
    site: Site, wanted: str, target: str
) -> None:
    fields = {"email": ADDRESS, "password": PASSWORD, "next": wanted}
    browser = site.browser()
    answer = await browser.post("/auth/register", fields)
    assert answer.status_code == 200
    expected = "/?welcome=1" if target == "/" else target
    answer = await browser.post("/auth/confirm", {"token": site.link("register")})
    assert answer.json() == {"ok": True, "next": expected}


async def test_what_was_stored_is_looked_at_again(site: Site) -> None:
    browser = site.browser()
    await browser.post("/auth/register", {"email": ADDRESS, "password": PASSWORD, "next": "/alerts"})
    with site.database.session() as session:
        for link in session.exec(select(MailToken)):
            link.next_path = "//evil.example"
            session.add(link)
    answer = await browser.post("/auth/confirm", {"token": site.link("register")})
    assert answer.json() == {"ok": True, "next": "/?welcome=1"}


async def test_the_longest_link_of_a_shared_rule_is_led_on_to(site: Site) -> None:
    wanted = f"/alerts?draft={'1' * MOST_LINK}"
    browser = site.browser()
    await browser.post("/auth/register", {"email": ADDRESS, "password": PASSWORD, "next": wanted})
    answer = await browser.post("/auth/confirm", {"token": site.link("register")})
    assert answer.json()["next"] == wanted
    answer = await browser.post("/auth/sign-in", {"email": ADDRESS, "password": PASSWORD, "next": wanted})
    assert answer.json()["next"] == wanted


async def test_a_form_without_a_script_still_leads_on_after_what_was_wrong(site: Site) -> None:
    wanted = "/alerts?draft=1abc"
    for path, page in (("/auth/register", "/register"), ("/auth/sign-in", "/login")):
        answer = await site.browser().form(path, {"email": "", "password": "", "next": wanted})
        location = answer.headers["Location"]
        assert location.startswith(f"{PAGE}{page}?problem=")
        assert location.endswith("&next=%2Falerts%3Fdraft%3D1abc")
        answer = await site.browser().form(path, {"email": "", "password": "", "next": "//evil.example"})
        assert "next" not in answer.headers["Location"]
    fields = {"email": ADDRESS, "password": PASSWORD, "next": wanted}
    answer = await site.browser().form("/auth/register", fields)
    assert answer.headers["Location"] == f"{PAGE}/register?sent=1&next=%2Falerts%3Fdraft%3D1abc"


@pytest.mark.parametrize("wanted", [["/"], 1, {"a": "b"}, None, True])
async def test_a_place_of_another_type_is_refused(site: Site, wanted: object) -> None:
    site.account()
    body = {"email": ADDRESS, "password": PASSWORD, "next": wanted}
    answer = await site.browser().post("/auth/sign-in", body)
    assert (answer.status_code, answer.json()["field"]) == (400, "next")
    assert site.rows(LoginSession) == []


async def test_a_reset_over_http_signs_this_browser_in_and_all_others_out(site: Site) -> None:
    account = site.account()
    thief, owner = site.browser_of(account), site.browser()
    await owner.post("/auth/forgot", {"email": ADDRESS})
    answer = await owner.post("/auth/reset", {"token": site.link("reset"), "password": OTHER_PASSWORD})
    assert (answer.status_code, answer.json()["next"]) == (200, "/account?done=reset")
    assert (await owner.who(), await thief.who()) == (account, None)


@pytest.mark.parametrize(
    ("wanted", "target"), [("/alerts?draft=1abc", "/alerts?draft=1abc"), ("//evil.example", "/account?done=reset")]
)
async def test_a_reset_leads_on_to_where_it_was_asked_for_from(site: Site, wanted: str, target: str) -> None:
    site.account()
    browser = site.browser()
    answer = await browser.form("/auth/forgot", {"email": ADDRESS, "next": "/alerts?draft=1abc"})
    assert answer.headers["Location"] == f"{PAGE}/forgot?sent=1&next=%2Falerts%3Fdraft%3D1abc"
    with site.database.session() as session:
        for link in session.exec(select(MailToken)):
            assert link.next_path == "/alerts?draft=1abc"
            # What is stored is looked at again.
            link.next_path = wanted
            session.add(link)
    answer = await browser.post("/auth/reset", {"token": site.link("reset"), "password": OTHER_PASSWORD})
    assert answer.json()["next"] == target


async def test_who_has_an_account_already_is_led_on_by_the_mail_that_says_so(site: Site) -> None:
    site.account()
    fields = {"email": ADDRESS, "password": OTHER_PASSWORD, "next": "/alerts?draft=1abc"}
    await site.browser().post("/auth/register", fields)
    with site.database.session(readonly=True) as session:
        texts = [str(mail.payload["text"]) for mail in session.exec(select(Delivery).where(Delivery.kind == "mail"))]
    assert any("/login?next=%2Falerts%3Fdraft%3D1abc\n" in each for each in texts)


async def test_a_change_of_address_over_http(site: Site) -> None:
    account = site.account()
    browser = site.browser_of(account)
    visitor = await site.runtime.visitors.identify(f"{site.cookie_name}={browser.token}")
    caller = visitor.caller(HOME)
    assert caller is not None
    await site.accounts.profile.change_address(caller, "new@example.com", PASSWORD)
    # Whoever has the links may open them, signed in or not; it puts no session into their browser.
    first = await site.browser().post("/auth/confirm-change", {"token": site.link("change-old")})
    second = await site.browser().post("/auth/confirm-change", {"token": site.link("change-new", "new@example.com")})
    assert [(answer.json()["sent"], cookies(answer)) for answer in (first, second)] == [("half", {}), ("changed", {})]


@pytest.mark.parametrize("path", POSTS)
async def test_while_the_database_is_away_it_is_said_and_no_cookie_is_touched(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = site.browser_of(site.account())

    async def away(*_: object, **__: object) -> None:
        raise DatabaseError("away: secret details")

    monkeypatch.setattr(Database, "run", away)
    monkeypatch.setattr("flashcur.services.notify.links.read_token", lambda *_: "0" * 32)
    browser.client.cookies.set(site.runtime.visitors.cookies.browser, "B" * 43)
    body = {"email": ADDRESS, "password": PASSWORD, "token": "0" * 64, "text": "BTCUSDT", "purpose": "sign-in"}
    body |= {"address": key_wallet().address, "chain_id": "1", "nonce": "a" * 24, "signature": "0x00"}
    answer = await browser.post(path, body)
    assert answer.status_code == 503, answer.text
    assert "try again" in answer.json()["error"].lower()
    assert "secret" not in answer.text
    assert answer.headers["Retry-After"] == "5"
    assert cookies(answer) == {}
    form = await browser.form(path, body)
    assert (form.status_code, cookies(form)) in [(303, {}), (503, {})]
    if form.status_code == 303:
        assert form.headers["Location"].endswith("?problem=unavailable")


async def wallet_answer(browser: Browser, wallet: KeyWallet, purpose: str = "sign-in") -> httpx.Response:
    """The whole way of a wallet over HTTP; the last answer."""
    about = {"address": wallet.address, "chain_id": 1, "purpose": purpose}
    asked = await browser.post("/auth/wallet/challenge", about)
    if asked.status_code != 200:
        return asked
    nonce, words = asked.json()["nonce"], asked.json()["text"]
    assert words.startswith("localhost:3000 wants you to sign in with your Ethereum account:\n")
    return await browser.post(
        "/auth/wallet/verify", {**about, "nonce": nonce, "signature": wallet.signature(words), "next": "/account"}
    )


async def test_a_wallet_signs_in(site: Site) -> None:
    browser = site.browser()
    answer = await wallet_answer(browser, key_wallet())
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "next": "/account"})
    account = await browser.who()
    assert account is not None
    again = site.browser()
    await wallet_answer(again, key_wallet())
    assert await again.who() == account


async def test_a_wallet_s_text_is_bound_to_its_browser(site: Site) -> None:
    victim, thief, wallet = site.browser(), site.browser(), key_wallet()
    about = {"address": wallet.address, "chain_id": 1, "purpose": "sign-in"}
    asked = (await victim.post("/auth/wallet/challenge", about)).json()
    body = {**about, "nonce": asked["nonce"], "signature": wallet.signature(asked["text"])}
    assert (await thief.post("/auth/wallet/verify", body)).status_code == 400
    await thief.post("/auth/wallet/challenge", about)
    refused = await thief.post("/auth/wallet/verify", body)
    assert (refused.status_code, refused.json()["field"]) == (400, "nonce")
    assert site.rows(Account) == []
    assert (await victim.post("/auth/wallet/verify", body)).status_code == 200
    assert (await victim.post("/auth/wallet/verify", body)).status_code == 400


async def test_a_wallet_is_linked_to_who_is_signed_in(site: Site) -> None:
    account = site.account()
    assert (await wallet_answer(site.browser(), key_wallet(), "link")).status_code == 401
    browser = site.browser_of(account)
    answer = await wallet_answer(browser, key_wallet(), "link")
    assert answer.json() == {
        "ok": True,
        "next": "/account",
        "address": key_wallet().address,
        "said": "The wallet is linked: you can sign in with it from now on.",
    }
    assert cookies(answer) == {}
    other = site.browser_of(site.account("bob@example.com"))
    assert (await wallet_answer(other, key_wallet(), "link")).status_code == 409
    assert [wallet.account_id for wallet in site.rows(Wallet)] == [account]


async def test_a_form_from_the_other_name_of_this_machine_goes_back_there(settings: Settings) -> None:
    origins = (PAGE, "http://127.0.0.1:3000")
    async with running_site(settings, Addresses(PAGE, PAGE, origins)) as site:
        site.account()
        for origin in origins:
            answer = await site.browser().form("/auth/sign-in", {"email": ADDRESS, "password": PASSWORD}, Origin=origin)
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{origin}/")


async def test_two_tabs_signing_out_at_once_are_both_out(site: Site) -> None:
    browser = site.browser_of(site.account())
    answers = await asyncio.gather(*(browser.post("/auth/sign-out") for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert site.rows(LoginSession) == []


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()).filter(lambda c: not "\ud800" <= c <= "\udfff"), max_size=60)
    | st.sampled_from([ADDRESS, PASSWORD, "sign-in", "link", "0x" + "a" * 40, 1, "1", "0" * 64, "a" * 24, "x" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
NAMES = ("email", "password", "token", "next", "address", "chain_id", "purpose", "nonce", "signature", "text", "list")


@pytest.mark.parametrize("path", POSTS)
async def test_no_body_breaks_a_route_or_makes_an_account(site: Site, path: str) -> None:
    """Whatever JSON comes, the answer is a refusal in words, and nobody is signed in."""
    account = site.account("somebody@example.com")
    site.deliver()
    loop = asyncio.get_running_loop()

    async def attempt(body: dict[str, Any], number: int) -> None:
        browsers = [site.browser(f"10.0.{number // 250}.{number % 250}")]
        if path == "/import/watchlists":
            browsers.append(site.browser_of(account))
        for browser in browsers:
            browser.client.cookies.set(site.runtime.visitors.cookies.browser, "B" * 43)
            answer = await browser.post(path, body)
            assert answer.status_code < 500, (body, answer.text)
            assert site.cookie_name not in cookies(answer) or path == "/auth/sign-out"
            await browser.client.aclose()

    numbers = iter(range(100_000))

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
    def fuzz(body: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(attempt(body, next(numbers)), loop).result(30)

    await asyncio.to_thread(fuzz)
    assert len(site.rows(Account)) == 1
    assert {login.account_id for login in site.rows(LoginSession)} <= {account}
    assert all(token.account_id is None for token in site.rows(MailToken))
