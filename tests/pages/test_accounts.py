"""Registering, signing in and out, by email and by wallet, and the account page, as people do it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from flashcur.errors import SignInAgain
from flashcur.services.alerts import endings
from flashcur.services.kit.clock import to_ms, utc_now
from flashcur.services.notify import enqueue, outbox
from tests.pages.conftest import DESKTOP, PHONE
from tests.support.app import App
from tests.support.people import PASSWORD, grow_old, leave, mailed_link, new_address, path_of, register, sign_up, visit
from tests.support.wallet import inject_wallet

OTHER_PASSWORD = "seven green ladders outside"
WRONG = "The address or the password is not right"


@contextmanager
def another_browser(browser: Browser, app: App) -> Iterator[Page]:
    """A device of its own: nothing is shared with the page of the test."""
    context = browser.new_context(viewport=DESKTOP, base_url=app.url)
    page = context.new_page()
    page.set_default_timeout(15_000)
    try:
        yield page
    finally:
        leave(context)


def fill_sign_in(page: Page, address: str, password: str) -> None:
    page.get_by_label("Email address").fill(address)
    page.get_by_label("Password", exact=True).fill(password)
    page.locator("form").get_by_role("button", name="Sign in").click()


def sign_in(page: Page, address: str, password: str = PASSWORD) -> None:
    visit(page, "/login")
    fill_sign_in(page, address, password)
    expect(page.locator(".avatar")).to_be_visible()


def test_registration_leads_by_mail_into_an_account(page: Page, app: App) -> None:
    address = new_address()
    visit(page, "/register")
    page.get_by_label("Email address").fill(address)
    page.get_by_label("Password", exact=True).fill("horse")
    expect(page.locator("#register-password-hint")).to_contain_text("7 to go")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#register-password-error")).to_contain_text("at least 12 characters")
    expect(page.get_by_label("Email address")).to_have_value(address)
    expect(page.get_by_label("Password", exact=True)).to_be_focused()

    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    sent = page.locator("#register-sent")
    expect(sent).to_contain_text(f"We have sent a link to {address}")
    expect(sent).to_contain_text(str(app.log.parent / "data" / "mail"))
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_label("Email address")).to_have_value(address)

    # Opening the link does nothing yet: programs that check mail open every link.
    visit(page, mailed_link(app, address, "/confirm"))
    expect(page.get_by_role("button", name="Confirm my address")).to_be_visible()
    assert "token" not in page.url
    assert not page.locator(".avatar").is_visible()
    page.reload()
    page.get_by_role("button", name="Confirm my address").click()
    expect(page.locator(".notice-bar")).to_contain_text("Welcome")
    expect(page.locator(".avatar")).to_have_text("P")
    assert path_of(page) == "/"

    visit(page, "/login")
    expect(page.get_by_text(f"You are signed in as {address}")).to_be_visible()


def test_in_another_browser_a_registration_asks_for_its_password(page: Page, app: App, browser: Browser) -> None:
    address = new_address()
    visit(page, "/register")
    page.get_by_label("Email address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    link = mailed_link(app, address, "/confirm")
    with another_browser(browser, app) as elsewhere:
        visit(elsewhere, link)
        field, error = elsewhere.get_by_label("Password", exact=True), elsewhere.locator("#confirm-password-error")
        button = elsewhere.get_by_role("button", name="Confirm my address")
        expect(field).to_be_hidden()
        button.click()
        expect(error).to_contain_text("you registered in another browser")
        expect(field).to_be_focused()
        expect(field).to_have_js_property("required", True)
        field.fill("not this one, surely")
        button.click()
        expect(error).to_contain_text("not the password that was chosen")
        expect(field).to_have_value("not this one, surely")
        field.fill(PASSWORD)
        button.click()
        expect(elsewhere.locator(".avatar")).to_be_visible()
    # The link is used up: what can be done stands there, the form is gone.
    visit(page, link)
    page.get_by_role("button", name="Confirm my address").click()
    expect(page.locator("form .notice.error")).to_contain_text("was used already")
    expect(page.get_by_role("button", name="Confirm my address")).to_be_hidden()
    main = page.get_by_role("main")
    expect(main.get_by_role("link", name="Sign in")).to_have_attribute("href", "/login")
    expect(main.get_by_role("link", name="Register again")).to_have_attribute("href", "/register")


def test_who_is_signed_in_can_sign_in_again(page: Page, app: App) -> None:
    address = sign_up(page, app)
    link, link_text = SignInAgain.way_out
    refusal = {
        "error": "To do this, sign in again first: it is more than 15 minutes since you did.",
        "link": link,
        "link_text": link_text,
    }
    inject_wallet(page, f"0x{15:064x}")
    page.route("**/auth/wallet/challenge", lambda route: route.fulfill(status=403, json=refusal))
    visit(page, "/account")
    expect(page.locator("#api")).to_contain_text("Elite has an API")
    page.get_by_role("button", name="Link Test Wallet").click()
    page.locator("#wallets").get_by_role("link", name="Sign in again").click()
    fill_sign_in(page, address, PASSWORD)
    expect(page.locator("#sign-in")).to_contain_text(address)
    assert path_of(page) == "/account"


def test_a_key_stays_in_sight_when_the_next_one_is_refused(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/account")
    create = page.get_by_role("button", name="Create a key")
    create.click()
    shown = page.locator("#api .notice.done code")
    key = shown.inner_text()
    expect(page.locator("#api pre")).to_have_text(f'curl -H "Authorization: Bearer {key}" {app.url}/api/v1/markets')
    grow_old(app)
    create.click()
    expect(page.locator("#api").get_by_role("link", name="Sign in again")).to_be_visible()
    expect(shown).to_have_text(key)


def test_a_wallet_account_takes_an_address_by_one_link(page: Page, app: App) -> None:
    inject_wallet(page, f"0x{16:064x}")
    visit(page, "/login?next=/account")
    page.get_by_role("button", name="Continue with Test Wallet").click()
    address = new_address()
    page.get_by_text("Add an email address").click()
    form = page.locator('form[data-form="address"]')
    form.get_by_label("New address").fill(address)
    form.get_by_role("button", name="Send the link").click()
    expect(page.locator("#sign-in .notice.done")).to_contain_text("We have sent a link to it")
    opened = page.context.new_page()
    visit(opened, mailed_link(app, address, "/confirm-change"))
    expect(opened.locator(".lead")).to_contain_text("One click")
    opened.get_by_role("button", name="Confirm the change").click()
    expect(opened.locator("#confirm-change-sent")).to_contain_text("set a password")
    expect(page.locator("#sign-in")).to_contain_text(address)
    expect(page.locator("#sign-in .notice.done")).to_have_count(0)
    opened.close()


def test_the_token_of_a_link_is_told_to_nobody_but_the_route_that_opens_it(page: Page, app: App) -> None:
    address = new_address()
    assert page.request.post("/auth/register", data={"email": address, "password": PASSWORD}).ok
    link = mailed_link(app, address, "/confirm")
    token = link.partition("=")[2]
    told: list[str] = []
    page.on("request", lambda request: told.append(f"{request.url} {request.headers}"))
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: told.append(str(payload))))
    visit(page, link)
    # By itself no line of a log has it, and no referrer; nor do events, which carry the page's address.
    assert len(told) > 3
    assert [line for line in told if token in line] == []
    page.get_by_role("button", name="Confirm my address").click()
    expect(page.locator(".avatar")).to_be_visible()
    assert [line for line in told if token in line] == []


def test_a_link_that_was_cut_short_says_so(page: Page) -> None:
    for path in ("/confirm", "/reset", "/confirm-change"):
        visit(page, path)
        expect(page.locator(".notice.warning")).to_contain_text("needs the link of our mail")
    # The first as in older mails; to the others the browser would go without loading the page.
    for number, path in enumerate(("/confirm?token=0", "/confirm#token=1", "/confirm#token=2")):
        page.goto(path)
        expect(page.locator('input[name="token"]')).to_have_value(str(number))
        assert page.url.endswith("/confirm")
        page.get_by_role("button", name="Confirm my address").click()
        expect(page.locator(".notice.error")).not_to_be_empty()


def test_a_wrong_password_is_told_and_the_address_stays(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
    visit(page, "/login")
    fill_sign_in(page, address, "not this one, surely")
    expect(page.locator("#sign-in-password-error")).to_contain_text(WRONG)
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Email address")).to_have_value(address)
    assert path_of(page) == "/login"
    fill_sign_in(page, address, PASSWORD)
    expect(page.locator(".avatar")).to_be_visible()


def test_signing_in_works_before_the_script_has_started(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/login")
    fill_sign_in(page, address, "not this one, surely")
    page.wait_for_url("**/login?problem=wrong")
    fill_sign_in(page, address, PASSWORD)
    page.wait_for_url(app.url + "/")
    page.unroute("**/*.js")
    page.reload()
    expect(page.locator(".avatar")).to_be_visible()


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/pricing", "/pricing"),
        ("/?show=gainers", "/?show=gainers"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/login", "/"),
    ],
)
def test_next_leads_within_this_site_only(page: Page, wanted: str, reached: str) -> None:
    # By wallet: it needs neither mail nor a password.
    inject_wallet(page, f"0x{7:064x}")
    page.goto(f"/login?next={wanted}")
    page.get_by_role("button", name="Continue with Test Wallet").click()
    expect(page.locator(".avatar")).to_be_visible()
    assert page.url.startswith(("http://127.0.0.1", "http://localhost"))
    assert path_of(page) == reached


def test_next_is_honoured_by_the_form(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
    visit(page, "/watchlists")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    fill_sign_in(page, address, PASSWORD)
    expect(page.get_by_role("heading", name="New list")).to_be_visible()
    assert path_of(page) == "/watchlists"


def test_every_tab_follows_a_sign_in_and_a_sign_out(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
    other = page.context.new_page()
    visit(other, "/account")
    expect(other.get_by_text("Sign in to see your account")).to_be_visible()
    sign_in(page, address)
    expect(other.locator("#plan")).to_be_visible()
    expect(other.locator("#sign-in")).to_contain_text(address)
    page.get_by_role("button", name="Menu of your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".sign-in")).to_be_visible()
    expect(other.get_by_text("Sign in to see your account")).to_be_visible()
    expect(other.locator('[data-testid="feed-status"]')).to_have_attribute("data-state", "live")


def test_a_forgotten_password_is_replaced(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
        visit(elsewhere, "/account")
        expect(elsewhere.locator("#plan")).to_be_visible()
        visit(page, "/forgot")
        page.get_by_label("Email address").fill(address)
        page.get_by_role("button", name="Send me a link").click()
        expect(page.locator("#forgot-sent")).to_contain_text(f"If {address} has an account")
        visit(page, mailed_link(app, address, "/reset"))
        assert "token" not in page.url
        page.get_by_label("New password", exact=True).fill(OTHER_PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        expect(page.locator("#sign-in")).to_contain_text(address)
        assert path_of(page) == "/account?done=reset"
        expect(page.locator("main > .notice.done")).to_have_text("Your password is set. Other devices are signed out.")
        # Other devices are signed out, and their open tabs know.
        expect(elsewhere.get_by_text("Sign in to see your account")).to_be_visible()
        sign_in(elsewhere, address, OTHER_PASSWORD)


def test_an_address_changes_once_both_links_are_opened(page: Page, app: App) -> None:
    old, new = sign_up(page, app), new_address()
    visit(page, "/account")
    page.get_by_text("Change the address").click()
    form = page.locator('form[data-form="address"]')
    form.get_by_label("New address").fill(new)
    form.get_by_label("Your present password").fill("not this one, surely")
    form.get_by_role("button", name="Send the links").click()
    expect(page.locator("#address-password-error")).to_have_text("That is not your password.")
    form.get_by_label("Your present password").fill(PASSWORD)
    expect(form.get_by_label("New address")).to_have_value(new)
    page.locator("#address-password").press("Enter")
    expect(page.locator("#sign-in .notice.done")).to_contain_text("a link to each address")
    expect(form.get_by_label("New address")).to_have_value("")
    visit(page, mailed_link(app, old, "/confirm-change"))
    page.get_by_role("button", name="Confirm the change").click()
    expect(page.locator("#confirm-change-sent")).to_contain_text("one of two links")
    visit(page, mailed_link(app, new, "/confirm-change"))
    page.get_by_role("button", name="Confirm the change").click()
    expect(page.locator("#confirm-change-sent")).to_contain_text("Your address is changed")
    visit(page, "/account")
    expect(page.locator("#sign-in")).to_contain_text(new)


@pytest.mark.parametrize("page", [PHONE], indirect=True)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_wallet_signs_in_with_two_clicks(page: Page, legacy: bool) -> None:
    wallet = inject_wallet(page, f"0x{11:064x}", announce=not legacy, legacy=legacy)
    visit(page, "/login")
    name = "Browser wallet" if legacy else "Test Wallet"
    button = page.get_by_role("button", name=f"Continue with {name}")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    button.click()
    expect(page.locator(".avatar")).to_be_visible()
    assert wallet.texts[0].startswith("127.0.0.1") or wallet.texts[0].startswith("localhost")
    visit(page, "/account")
    expect(page.locator("#wallets li")).to_contain_text(wallet.address[:6])


def test_without_a_wallet_the_page_says_what_to_do(page: Page) -> None:
    visit(page, "/login")
    expect(page.locator(".wallets")).to_contain_text("No wallet in this browser")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy this page’s address").click()
    expect(page.locator(".notice-bar")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


@pytest.mark.parametrize("path", ["/confirm", "/confirm-change", "/reset"])
def test_a_link_s_form_cannot_be_sent_before_its_code_is_in_it(page: Page, path: str) -> None:
    page.route("**/*.js", lambda route: route.abort())
    page.goto(f"{path}#token=any")
    button = page.locator("form[data-form] button.primary")
    expect(button).to_be_disabled()
    page.unroute("**/*.js")
    page.reload()
    expect(button).to_be_enabled()


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True)
def test_declined_in_the_wallet_and_cancelled_on_the_page(page: Page) -> None:
    wallet = inject_wallet(page, f"0x{12:064x}")
    visit(page, "/login")
    button = page.get_by_role("button", name="Continue with Test Wallet")
    email = page.get_by_label("Email address")
    before = email.bounding_box()
    wallet.hang.add("personal_sign")
    button.click()
    expect(button).to_contain_text("Confirm in your wallet")
    assert email.bounding_box() == before, "nothing may move while the wallet asks"
    page.get_by_role("button", name="Cancel").click()
    expect(button).not_to_contain_text("Confirm in your wallet")
    wallet.hang.clear()
    wallet.release(page)
    wallet.reject.add("personal_sign")
    button.click()
    expect(page.get_by_role("main").get_by_role("alert").filter(has_text="You declined")).to_be_visible()
    assert path_of(page) == "/login"
    wallet.reject.clear()
    button.click()
    expect(page.locator(".avatar")).to_be_visible()


def test_wallets_are_linked_and_unlinked_but_never_the_last_way_in(page: Page) -> None:
    inject_wallet(page, f"0x{13:064x}", name="First")
    second = inject_wallet(page, f"0x{14:064x}", name="Second")
    visit(page, "/login?next=/account")
    page.get_by_role("button", name="Continue with First").click()
    rows = page.locator("#wallets .items > li")
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button", name="Unlink 0x").click()
    page.get_by_role("button", name="Unlink it").click()
    expect(page.locator(".notice-bar.bad")).to_contain_text("only way into your account")

    page.get_by_role("button", name="Link Second").click()
    expect(rows).to_have_count(2)
    expect(page.locator(".notice-bar")).to_contain_text("The wallet is linked")
    row = rows.filter(has_text=second.address[-4:])
    row.get_by_role("button", name="Unlink 0x").click()
    row.get_by_role("button", name="Unlink it").click()
    expect(rows).to_have_count(1)
    expect(page.locator(".notice-bar")).to_contain_text("The wallet is unlinked")


def test_a_device_that_is_signed_out_from_afar_becomes_a_guest(page: Page, app: App, browser: Browser) -> None:
    with another_browser(browser, app) as elsewhere:
        address = sign_up(elsewhere, app)
        visit(elsewhere, "/account")
        expect(elsewhere.locator("#devices .items > li")).to_have_count(1)
        elsewhere.evaluate("window.stayed = true")
        sign_in(page, address)
        visit(page, "/account")
        rows = page.locator("#devices .items > li")
        expect(rows).to_have_count(2)
        expect(elsewhere.locator("#devices .items > li")).to_have_count(2)
        expect(page.locator('#devices li[data-current="true"]')).to_contain_text("This device")
        page.locator('#devices li[data-current="false"]').get_by_role("button", name="Sign out").click()
        expect(elsewhere.get_by_text("Sign in to see your account")).to_be_visible(timeout=2_000)
        assert elsewhere.evaluate("window.stayed"), "without a reload"
        expect(rows).to_have_count(1)
        expect(page.locator("#activity")).to_contain_text("Session ended")


def test_theme_and_time_zone_belong_to_the_account(page: Page, app: App, browser: Browser) -> None:
    address = sign_up(page, app)
    visit(page, "/account")
    page.get_by_role("radio", name="Light").check(force=True)
    expect(page.locator("html.light")).to_be_attached()
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    with another_browser(browser, app) as elsewhere:
        sign_in(elsewhere, address)
        expect(elsewhere.locator("html.light")).to_be_attached()
        visit(elsewhere, "/account")
        expect(elsewhere.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
        # The header's button changes it too, here and there.
        elsewhere.get_by_role("button", name="Switch between light and dark").click()
        expect(page.locator("html.dark")).to_be_attached()
        expect(page.get_by_role("radio", name="Dark")).to_be_checked()


def test_an_account_is_deleted_and_its_tabs_are_guests(page: Page, app: App) -> None:
    address = register(page, app)
    other = page.context.new_page()
    visit(other, "/watchlists")
    expect(other.get_by_role("heading", name="New list")).to_be_visible()
    visit(page, "/account")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all of it").click()
    assert address in download.value.path().read_text()
    page.get_by_text("Delete the account").click()
    form = page.locator('form[data-form="delete"]')
    form.get_by_label("Your present password").fill(PASSWORD)
    form.get_by_label("Type DELETE").fill("delete")
    form.get_by_role("button", name="Delete my account").click()
    expect(page.locator("#delete-word-error")).to_contain_text("in capitals")
    form.get_by_label("Type DELETE").fill("DELETE")
    form.get_by_role("button", name="Delete my account").click()
    # It is said on the page that the visitor is taken to.
    page.wait_for_url("**/login?done=deleted")
    expect(page.locator(".notice.done")).to_contain_text("is deleted")
    assert path_of(page) == "/login?done=deleted"
    assert [cookie.get("name") for cookie in page.context.cookies()] == ["flashcur_browser"]
    expect(other.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    fill_sign_in(page, address, PASSWORD)
    expect(page.locator("#sign-in-password-error")).to_contain_text(WRONG)
    other.close()


def test_mail_that_was_given_up_is_told_where_it_can_be_mended(page: Page, app: App) -> None:
    address, now = sign_up(page, app), utc_now()
    visit(page, "/account")
    warning = page.locator("#sign-in .notice.warning")
    expect(page.locator("#sign-in")).to_contain_text(address)
    expect(warning).to_have_count(0)
    with app.database() as database, database.session() as session:
        mail = enqueue(session, address, "password-changed", {"base": app.url}, now)
        outbox.give_up(session, mail, "no such mailbox", to_ms(now))
        endings.settle(session, mail, None, to_ms(now), lambda *_: None)
    # Without a reload.
    expect(warning).to_contain_text(f"to {address} could not be delivered, and we have given it up")
    expect(page.get_by_text("Mail not delivered")).to_be_visible()


def test_a_domain_that_is_not_ascii_is_shown_as_it_is_written(page: Page, app: App) -> None:
    sign_up(page, app)
    visit(page, "/account")
    page.get_by_text("Change the address").click()
    form = page.locator('form[data-form="address"]')
    form.get_by_label("New address").fill("person@bücher.de")
    form.get_by_label("Your present password").fill(PASSWORD)
    form.get_by_role("button", name="Send the links").click()
    expect(page.locator("#sign-in .notice.done")).to_contain_text("a link to each address")
    assert mailed_link(app, "person@xn--bcher-kva.de", "/confirm-change")
