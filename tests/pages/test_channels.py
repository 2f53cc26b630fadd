"""Channels and messages on `/alerts`: what is connected, tested, looked up and chosen, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlmodel import select

from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.models import Account, Destination, RuleRecord
from flashcur.services.accounts import changes, sessions
from flashcur.services.kit.clock import now_ms, utc_now
from flashcur.services.notify import destinations, outbox
from tests.pages.conftest import PHONE
from tests.support.app import App
from tests.support.ledger import add_alert, add_delivery
from tests.support.people import sign_up, visit

WITHIN_MS = 20_000
URL = "https://hooks.example.com/secret-path"


def card(page: Page, channel: str) -> Locator:
    return page.locator(f'.channels [data-channel="{channel}"]').first


def account_of(app: App, address: str) -> str:
    with app.database() as database, database.session(readonly=True) as session:
        return session.exec(select(Account.id).where(Account.email == address)).one()


def test_a_webhook_is_connected_tested_and_looked_up(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts?tab=channels")
    hook = card(page, "webhook")
    expect(hook.locator(".state")).to_have_text("Not connected yet.")
    hook.get_by_text("Connect a webhook").click()
    # What cannot be one is refused beside its field.
    hook.get_by_label("Address").fill("https://user:pw@hooks.example.com/")
    hook.get_by_role("button", name="Connect").click()
    expect(hook.locator(".error:not(:empty)")).to_be_visible()
    hook.get_by_label("Address").fill(URL)
    hook.get_by_label(re.compile("^Name")).fill("My desk")
    hook.get_by_role("button", name="Connect").click()
    expect(hook.locator(".state")).to_have_text("To My desk.", timeout=WITHIN_MS)
    secret = hook.locator("code").inner_text()
    assert secret.startswith("whsec_")
    # Said beside the button that it speaks of; the form is out of the way.
    expect(hook.locator(".places > li")).to_contain_text("Connected. Send a test")
    done, shown = (hook.locator(".notice.done").nth(n).bounding_box() for n in range(2))
    assert done
    assert shown
    assert done["y"] + done["height"] + 8 <= shown["y"]
    expect(hook.locator("details[open]")).to_have_count(0)
    # The field was emptied; the address is nowhere on the page.
    assert "secret-path" not in page.content()
    hook.get_by_role("button", name="Send a test to My desk").click()
    # It is a message like any other: its way is shown here, and stands in the ledger.
    expect(hook.get_by_test_id("way")).to_contain_text("Queued", timeout=WITHIN_MS)
    page.get_by_role("link", name="Messages", exact=True).click()
    first = page.get_by_test_id("messages").locator("> li").first
    expect(first).to_contain_text("Test message")
    first.locator("summary").click()
    expect(first.get_by_test_id("way")).to_contain_text("My desk")
    # The secret was shown that once.
    visit(page, "/alerts?tab=channels")
    expect(card(page, "webhook").locator(".state")).to_have_text("To My desk.")
    expect(card(page, "webhook").locator("code")).to_have_count(0)


def connect_webhook(page: Page, name: str) -> None:
    hook = card(page, "webhook")
    hook.get_by_text("Connect a webhook").click()
    hook.get_by_label("Address").fill(URL + name)
    hook.locator("#webhook-name").fill(name)
    hook.get_by_role("button", name="Connect").click()
    expect(hook.locator("code")).to_be_visible(timeout=WITHIN_MS)
    expect(hook.get_by_text("Connected. Send a test")).to_be_visible()


def test_what_was_said_of_a_channel_goes_when_it_is_done_with_or_its_tab_left(page: Page, app: App) -> None:
    sign_up(page, app, plan="elite")
    visit(page, "/alerts?tab=channels")
    hook = card(page, "webhook")
    connect_webhook(page, "Desk")
    # One button is for both, the secret and what became of the form.
    hook.get_by_role("button", name="Done").click()
    expect(hook.locator("code")).to_have_count(0)
    expect(hook.locator(".notice")).to_have_count(0)
    # The next one is shown all the same, and goes with the tab.
    connect_webhook(page, "Phone")
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.get_by_test_id("channels")).to_have_count(0)
    page.get_by_role("link", name="Channels", exact=True).click()
    expect(hook.locator(".state")).to_contain_text("Phone")
    expect(hook.locator("code")).to_have_count(0)
    expect(hook.locator(".notice")).to_have_count(0)
    # A place without a secret has the button beside what is said.
    slack = card(page, "slack")
    slack.get_by_text("Connect a webhook").click()
    slack.get_by_label("Address").fill("https://hooks.slack.com/services/T0AB1234/B0ACB0X1/secretsecretsecretsecret")
    slack.get_by_role("button", name="Connect").click()
    expect(slack.get_by_text("Connected. Send a test")).to_be_visible(timeout=WITHIN_MS)
    slack.get_by_role("button", name="Done").click()
    expect(slack.locator(".notice")).to_have_count(0)


def test_a_message_that_moves_is_updated_where_it_is_shown(page: Page, app: App) -> None:
    account_id = account_of(app, sign_up(page, app, plan="elite"))
    with app.database() as database, database.session() as session:
        alert = add_alert(session, account_id, now_ms(), title="SOLUSDT crossed above 200")
        delivery = add_delivery(session, alert, "sms", now_ms(), due_ms=now_ms() + 10**9, status="held")
    visit(page, "/alerts?tab=messages")
    entry = page.locator(f'[data-message="a{alert.id}"]')
    entry.locator("summary").click()
    expect(entry.get_by_test_id("way")).to_have_attribute("data-status", "held")
    with app.database() as database, database.session() as session:
        outbox.give_up(session, session.merge(delivery), "Twilio answered 400: 21211 Invalid 'To' number", now_ms())
    expect(entry.get_by_test_id("way")).to_have_attribute("data-status", "dead", timeout=WITHIN_MS)
    # It stays open, with the provider's words and what to do.
    expect(entry.get_by_text("21211")).to_be_visible()
    expect(entry.get_by_text("Send a test under Channels")).to_be_visible()
    # One that is new stands before it without a reload; filters find it by what became of it.
    with app.database() as database, database.session() as session:
        later = add_alert(session, account_id, now_ms(), title="ETHUSDT moved up 5.2 % within 15 min")
    page.mouse.move(0, 0)
    expect(page.locator(f'[data-message="a{later.id}"]')).to_be_visible(timeout=WITHIN_MS)
    page.get_by_label("Status").select_option("dead")
    expect(page.locator("[data-message]")).to_have_count(1)
    page.get_by_label("Channel").select_option("email")
    expect(page.get_by_test_id("no-messages")).to_have_text("No messages match these filters.")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("[data-message]")).to_have_count(2)
    # A link to one opens it.
    visit(page, f"/alerts?tab=messages&alert={later.id}")
    expect(page.locator("[data-message]")).to_have_count(1)
    expect(page.locator("[data-message] details")).to_have_attribute("open", "")


def test_a_digest_lists_its_alerts_and_each_opens(page: Page, app: App) -> None:
    account_id = account_of(app, sign_up(page, app, plan="elite"))
    with app.database() as database, database.session() as session:
        alerts = [
            add_alert(session, account_id, now_ms() + n, title=f"{base}USDT crossed above 65,000")
            for n, base in enumerate(("BTC", "ETH", "SOL"))
        ]
        held = [add_delivery(session, alert, "telegram", now_ms()) for alert in alerts]
        digest = add_delivery(session, None, "telegram", now_ms() + 9, account_id, kind="digest", status="delivered")
        for each in held:
            each.merged_into = digest.id
            outbox.record(session, each, "merged", now_ms(), "Told in a digest of 3.")
    visit(page, "/alerts?tab=messages")
    entry = page.locator(f'[data-message="d{digest.id}"]')
    expect(entry).to_contain_text("Digest of your quiet hours")
    entry.locator("summary").click()
    titles = entry.locator(".tells a")
    expect(titles).to_have_text([f"{base}USDT crossed above 65,000" for base in ("SOL", "ETH", "BTC")])
    titles.nth(1).click()
    expect(page.locator("[data-message]")).to_have_count(1)
    expect(page.locator(f'[data-message="a{alerts[1].id}"] details')).to_have_attribute("open", "")
    page.go_back()
    expect(page.locator("[data-message]")).to_have_count(4)


def test_a_provider_s_words_about_a_place_stand_once_on_its_card(page: Page, app: App) -> None:
    account_id = account_of(app, sign_up(page, app, plan="elite"))
    words = "404: Unknown Webhook"
    with app.database() as database, database.session() as session:
        address = f"https://discord.com/api/webhooks/123456789012345/{account_id}"
        desk = destinations.keep(session, account_id, "discord", address, now_ms(), name="Desk", confirmed=True)
        session.flush()
        test = add_delivery(session, None, "discord", now_ms(), account_id, kind="test", destination_id=desk.id)
        outbox.give_up(session, test, words, now_ms())
    visit(page, "/alerts?tab=channels")
    discord = card(page, "discord")
    expect(discord.get_by_test_id("way")).to_contain_text(words)
    expect(discord.get_by_text(words)).to_have_count(1)
    with app.database() as database, database.session() as session:
        destinations.switch_off(session, session.get_one(Destination, desk.id), words)
        changes.tell(session, account_id, utc_now())
    visit(page, "/alerts?tab=channels")
    expect(discord.locator(".state")).to_have_text("Switched off.")
    expect(discord.locator(".place .why")).to_have_text(words)
    expect(discord.get_by_test_id("way")).to_contain_text("Failed")
    expect(discord.get_by_text(words)).to_have_count(1)


def test_a_browser_s_card_says_until_when_its_subscription_is(page: Page, app: App) -> None:
    account_id = account_of(app, sign_up(page, app, plan="elite"))
    ends = {"Firefox on Linux": {"expires_ms": "4102444800000"}, "Chrome on Linux": {}}
    with app.database() as database, database.session() as session:
        for name, details in ends.items():
            address = f"https://push.example/{account_id}/{name}"
            destinations.keep(
                session, account_id, "web-push", address, now_ms(), name=name, details=details, confirmed=True
            )
    visit(page, "/alerts?tab=channels")
    places = card(page, "web-push").locator(".places > li")
    expect(places.filter(has_text="Firefox")).to_contain_text("until 1 Jan 2100")
    expect(places.filter(has_text="Chrome")).not_to_contain_text("until")


def test_browser_notifications_reach_who_allows_them_in_some_browser(page: Page, app: App) -> None:
    account_id = account_of(app, sign_up(page, app, plan="free"))
    with app.database() as database, database.session() as session:
        rule = RuleRecord(
            account_id=account_id,
            definition=Definition((PriceCross("above", 65_000.0),), Scope("symbol", "BTCUSDT")).to_json(),
            channels=["in-app", "browser"],
            created_ms=now_ms(),
            changed_ms=now_ms(),
        )
        session.add(rule)
    visit(page, "/alerts?tab=channels")
    state = card(page, "browser").locator(".state")
    expect(state).to_have_text("None of your browsers allows notifications.")
    expect(state).to_have_attribute("data-ok", "false")
    expect(card(page, "browser").get_by_role("button", name="Allow them in this browser")).to_be_visible()
    reach = page.locator(".reach")
    page.locator(".tabs").get_by_role("link", name=re.compile("^Active")).click()
    expect(reach).to_contain_text("Not by browser notification: none of your browsers allows notifications.")
    # The open page notices that it is allowed, as by the button or in the browser's settings, and that it no longer is.
    page.context.grant_permissions(["notifications"])
    expect(reach).to_contain_text("Reaches you by browser notification, and in the app.")
    page.get_by_role("link", name="Channels", exact=True).click()
    expect(state).to_have_text("To Firefox on Linux, while a page of FlashCur is open there.")
    expect(card(page, "browser")).to_contain_text("This browser shows them.")
    page.context.clear_permissions()
    expect(state).to_have_text("None of your browsers allows notifications.")
    # Signing out ends it as well.
    page.context.grant_permissions(["notifications"])
    expect(state).to_have_attribute("data-ok", "true")
    with app.database() as database, database.session() as session:
        assert sessions.notifying(session, [account_id], utc_now()) == {account_id}
        sessions.end_all(session, account_id)
        assert sessions.notifying(session, [account_id], utc_now()) == set()


def test_what_a_plan_lacks_says_which_has_it(page: Page, app: App) -> None:
    sign_up(page, app, plan="free")
    visit(page, "/alerts?tab=channels")
    telegram = card(page, "telegram")
    expect(telegram.locator(".state")).to_contain_text("Telegram comes with Elite.")
    expect(telegram.get_by_role("link", name="Compare plans")).to_have_attribute("href", "/pricing")
    expect(telegram.get_by_role("button")).to_have_count(0)
    expect(card(page, "in-app").locator(".state")).to_have_attribute("data-ok", "true")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_quiet_hours_are_saved_on_a_phone(page: Page, app: App) -> None:
    sign_up(page, app, plan="pro")
    visit(page, "/alerts?tab=channels")
    expect(page.locator(".tabs a[aria-current=page]")).to_be_in_viewport(ratio=0.9)
    hours = page.locator("#hours")
    wide = [hours.get_by_label(label).bounding_box() for label in ("From", "Until")]
    hours.get_by_text("Hold messages during quiet hours").click()
    hours.get_by_label("From").fill("23:00")
    hours.get_by_label("Until").fill("23:00")
    hours.get_by_role("button", name="Save").click()
    expect(hours.locator(".error:not(:empty)")).to_contain_text("must differ from")
    # What is said of one stretches neither.
    now = [hours.get_by_label(label).bounding_box() for label in ("From", "Until")]
    assert [each and each["width"] for each in now] == [each and each["width"] for each in wide]
    hours.get_by_label("Until").fill("06:30")
    hours.get_by_role("button", name="Save").click()
    expect(hours.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(hours.get_by_label("From")).to_have_value("23:00")
    expect(hours.get_by_label("Hold messages")).to_be_checked()
    page.locator("#mute").get_by_role("button", name="8 hours").click()
    expect(page.locator("#mute")).to_contain_text("Muted until")
    expect(page.locator(".muted-line")).to_contain_text("alerts appear only in the app")
    page.locator("#mute").get_by_role("button", name="Unmute").click()
    expect(page.locator("#mute").get_by_role("button", name="8 hours")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
