"""The channels of an account: whom they reach and why not, and what their owner does, on both kinds of database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlmodel import select

from flashcur.domain.plans import CHANNELS, PLANS, Audience, Channel
from flashcur.errors import Conflict, NotFound, PlanNeeded, Refusal, Throttled, Unavailable
from flashcur.models import Account, AuditEvent, Delivery, Destination, new_id
from flashcur.services.accounts import channels, limits
from flashcur.services.accounts.channels import Channels, Reach, clean_name
from flashcur.services.accounts.sessions import Caller
from flashcur.services.notify import destinations, telegram_links
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.sms import filled_in
from flashcur.services.notify.telegram import TelegramApi, TelegramChannel
from flashcur.services.notify.telegram_links import Chat
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import ADDRESS, Person, Services
from tests.support.ledger import PlainChannel, destination_of
from tests.support.telegram import TOKEN, TelegramServer
from tests.support.vendor import HTML, serving

URL = "https://hooks.example.com/in/secret-token-1234"


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    senders = {name: PlainChannel(name) for name in CHANNELS if name not in ("in-app", "browser")}
    services = Services(settings, database, senders=senders)
    yield services
    services.close()


def reach(services: Services, person: Person, plan: Audience = "elite", *browsers: str) -> dict[Channel, Reach]:
    with services.database.session(readonly=True) as session:
        account = session.get(Account, person.account_id)
        assert account is not None
        known = channels.places(session, account)
        return channels.reach(PLANS[plan], account.email, known, browsers, services.channels.senders)


def why_off(services: Services, person: Person, channel: Channel) -> list[str]:
    """What the places of a channel say of why they are off."""
    with services.database.session(readonly=True) as session:
        known = channels.places(session, session.get_one(Account, person.account_id))
        return [place.why for place in known if place.channel == channel]


def put(services: Services, person: Person, channel: Channel, address: str = URL, **other: object) -> str:
    """A place as the engine or a route connects it; its id."""
    with services.database.session() as session:
        place = destinations.keep(
            session, person.account_id, channel, address, services.clock.ms, **{"confirmed": True, **other}
        )  # type: ignore[arg-type]
        session.flush()
        return place.id


def test_each_channel_says_whether_it_reaches_its_owner_and_why_not(services: Services) -> None:
    """Complaint 26: a bound channel, an ended plan, an address that refuses: never silently nothing."""
    person = services.person(plan="elite")
    said = reach(services, person)
    assert said["in-app"].ok
    # No browser is known to show anything.
    assert said["browser"] == Reach(
        False, "None of your browsers allows notifications.", "/alerts?tab=channels", "Allow them"
    )
    assert reach(services, person, "free", "Chrome on Linux")["browser"] == Reach(
        True, "To Chrome on Linux, while a page of FlashCur is open there."
    )
    assert reach(services, person, "elite", "Chrome on Linux", "Safari on macOS")["browser"] == Reach(
        True, "To Chrome on Linux and Safari on macOS, while a page of FlashCur is open in one of them."
    )
    assert said["telegram"] == Reach(False, "Not connected yet.", "/alerts?tab=channels", "Connect it")
    # A plan that has ended.
    assert reach(services, person, "pro")["telegram"] == Reach(
        False, "Telegram comes with Elite.", "/pricing", "Compare plans"
    )
    assert not any(each.ok for each in reach(services, person, "guest").values())
    # A server that cannot send by it.
    services.channels.senders["sms"].problem = "This site cannot send SMS yet."  # type: ignore[index]
    assert reach(services, person)["sms"] == Reach(False, "This site cannot send SMS yet.")
    # Connected, not confirmed, switched off by us with the reason, and on.
    place = put(services, person, "discord", confirmed=False)
    assert reach(services, person)["discord"].text == "Not confirmed yet."
    put(services, person, "discord")
    assert reach(services, person)["discord"].ok
    with services.database.session() as session:
        found = session.get(Destination, place)
        assert found is not None
        destinations.switch_off(session, found, "Discord says that this webhook was deleted.")
    # Why is said once, with the place.
    assert reach(services, person)["discord"].text == "Switched off."
    assert why_off(services, person, "discord") == ["Discord says that this webhook was deleted."]
    put(services, person, "discord", URL + "5", name="Desk")
    assert reach(services, person)["discord"] == Reach(True, "To Desk.")
    # An address that bounced.
    assert reach(services, person)["email"] == Reach(True, f"To {ADDRESS}.")
    with services.database.session() as session:
        destinations.suppress(session, "email", ADDRESS, "bounce", "550 no such mailbox", services.clock.ms)
    refused = reach(services, person)["email"]
    assert not refused.ok
    assert refused.text == "Switched off."
    assert why_off(services, person, "email") == ["Your mailbox rejected our last message."]
    # No address any more.
    walletless = services.person(None, password=None, plan="elite")
    assert reach(services, walletless)["email"].link == "/account#sign-in"


def test_what_pages_show_of_a_place_opens_nothing(services: Services) -> None:
    person = services.person(plan="elite")
    for channel, address in (
        ("webhook", URL),
        ("discord", "https://discord.com/api/webhooks/123456789012345/" + "abcdef-secret" * 5),
        ("slack", "https://hooks.slack.com/services/T0AB1234/B0ACB0X1/secretsecretsecretsecret"),
        ("sms", "+447700900123"),
        ("telegram", "-1001234567890"),
        ("web-push", "https://push.example.net/wpush/v2/secret"),
    ):
        put(services, person, channel, address)  # type: ignore[arg-type]
    with services.database.session(readonly=True) as session:
        account = session.get(Account, person.account_id)
        assert account is not None
        shown = channels.places(session, account)
    assert [place.hint for place in shown] == [
        ADDRESS,
        "a browser",
        "+44 …0123",
        "a group",
        "discord.com … 2345",
        "hooks.slack.com … B0X1",
        "hooks.example.com",
    ]
    assert "secret" not in repr(shown)
    assert "900" not in repr(shown)


async def test_the_account_s_own_address_is_a_place_that_can_be_switched_off_and_not_removed(
    services: Services,
) -> None:
    person, other = services.person(plan="pro"), services.person("other@example.com", plan="pro")
    for each in (person, other):
        assert reach(services, each, "pro")["email"].ok
        await services.channels.switch_off(each.caller, "email")
        assert reach(services, each, "pro")["email"].text == "Switched off."
    place = put(services, person, "email", "")
    with services.database.session() as session:
        found = session.get(Destination, place)
        assert found is not None
        destinations.switch_off(session, found, "You unsubscribed.")
        destinations.suppress(session, "email", ADDRESS, "unsubscribe", "", services.clock.ms)
    # By either name.
    await services.channels.switch_on(person.caller, "email")
    await services.channels.switch_off(person.caller, place)
    await services.channels.switch_on(person.caller, place)
    assert reach(services, person, "pro")["email"] == Reach(True, f"To {ADDRESS}.")
    for name in ("email", place):
        with pytest.raises(Conflict, match="Switch it off instead"):
            await services.channels.remove(person.caller, name)
    services.channels.senders["email"].problem = "No mail can be sent from this server."  # type: ignore[index]
    with pytest.raises(Unavailable, match="No mail can be sent"):
        await services.channels.test(person.caller, "email")


async def test_a_test_goes_to_an_address_without_a_row(services: Services) -> None:
    person = services.person(plan="pro")
    sent = await services.channels.test(person.caller, "email")
    with services.database.session(readonly=True) as session:
        delivery = session.get(Delivery, sent)
    assert delivery is not None
    assert (delivery.recipient, delivery.destination_id) == (ADDRESS, None)
    with pytest.raises(NotFound):
        await services.channels.test(services.person(None, password=None, plan="pro").caller, "email")


DISCORD = "https://discord.com/api/webhooks/123456789012345678/" + "aB3-_x" * 11


async def test_a_webhook_is_connected_by_its_address_and_its_secret_told_once(services: Services) -> None:
    person = services.person(plan="elite")
    hook = await services.channels.connect_url(person.caller, "webhook", f" {URL} ", "Desk")
    assert hook.secret.startswith("whsec_")
    assert reach(services, person)["webhook"] == Reach(True, "To Desk.")
    # The same address again is the same place with the same secret; another secret is asked for.
    again = await services.channels.connect_url(person.caller, "webhook", URL, "")
    assert again == hook
    other = await services.channels.new_secret(person.caller, hook.place_id)
    assert other.startswith("whsec_")
    assert other != hook.secret
    chat = await services.channels.connect_url(person.caller, "discord", DISCORD, "")
    assert chat.secret == ""
    assert reach(services, person)["discord"] == Reach(True, "To Discord.")
    with pytest.raises(Conflict, match="Only a webhook"):
        await services.channels.new_secret(person.caller, chat.place_id)
    with services.database.session(readonly=True) as session:
        kept = [repr(row) for row in session.exec(select(Destination)).all()]
        told = [event.detail for event in session.exec(select(AuditEvent)).all()]
    # Neither the row nor the audit log holds a secret of ours, nor the log an address.
    assert not any(secret[6:] in row for secret in (hook.secret, other) for row in kept)
    assert "Webhook: Desk" in told
    assert not any("secret-token" in each or "aB3" in each for each in told)


@pytest.mark.parametrize(
    ("channel", "url", "field"),
    [
        ("discord", "https://evil.example/api/webhooks/1/x", "url"),
        ("slack", "https://discord.com/api/webhooks/1/x", "url"),
        ("webhook", "http://127.0.0.1/", "url"),
        ("webhook", "javascript:alert(1)", "url"),
        ("webhook", "", "url"),
        ("sms", URL, "channel"),
        ("email", URL, "channel"),
        ("nonsense", URL, "channel"),
    ],
)
async def test_what_cannot_be_a_webhook_is_refused_beside_its_field(
    channel: str, url: str, field: str, services: Services
) -> None:
    person = services.person(plan="elite")
    with pytest.raises(Refusal) as refused:
        await services.channels.connect_url(person.caller, channel, url, "")
    assert refused.value.field == field


async def test_an_account_has_a_few_places_of_a_channel_each_with_a_name_of_its_own(services: Services) -> None:
    person = services.person(plan="elite")
    for number in range(channels.MOST_PLACES):
        await services.channels.connect_url(person.caller, "webhook", f"{URL}/{number}", "")
        services.clock.forward(seconds=1)
    assert reach(services, person)["webhook"].text == "To Webhook, Webhook 2, Webhook 3, Webhook 4 and Webhook 5."
    with pytest.raises(Conflict, match="room for 5 destinations"):
        await services.channels.connect_url(person.caller, "webhook", f"{URL}/more", "")
    await services.channels.connect_url(person.caller, "webhook", f"{URL}/1", "Known")
    with pytest.raises(PlanNeeded):
        await services.channels.connect_url(services.person("p@example.com", plan="pro").caller, "webhook", URL, "")


ACTS: dict[str, Callable[[Channels, Caller, str], Awaitable[object]]] = {
    "rename": lambda acts, caller, place: acts.rename(caller, place, "Mine"),
    "remove": lambda acts, caller, place: acts.remove(caller, place),
    "switch_on": lambda acts, caller, place: acts.switch_on(caller, place),
    "switch_off": lambda acts, caller, place: acts.switch_off(caller, place),
    "new_secret": lambda acts, caller, place: acts.new_secret(caller, place),
    "test": lambda acts, caller, place: acts.test(caller, place),
}


@pytest.mark.parametrize("act", ACTS)
async def test_nobody_touches_another_s_place(act: str, services: Services) -> None:
    owner, stranger = services.person(plan="elite"), services.person("stranger@example.com", plan="elite")
    place = (await services.channels.connect_url(owner.caller, "webhook", URL, "")).place_id

    def row() -> str:
        with services.database.session(readonly=True) as session:
            return repr(session.get(Destination, place)) + repr(session.exec(select(Delivery)).all())

    before = row()
    for named in (place, new_id(), "", "'; --", "⅓" * 30):
        with pytest.raises(NotFound):
            await ACTS[act](services.channels, stranger.caller, named)
    assert row() == before
    await ACTS[act](services.channels, owner.caller, place)
    assert row() != before or act == "switch_on"


async def test_a_place_is_named_switched_and_removed(services: Services) -> None:
    person = services.person(plan="elite")
    place = put(services, person, "webhook")
    await services.channels.rename(person.caller, place, "  My\u202e\n desk ")
    assert reach(services, person)["webhook"] == Reach(True, "To My desk.")
    for name, problem in (("", "Enter a name"), (" \n", "Enter a name"), ("x" * 41, "40 characters")):
        with pytest.raises(Refusal, match=problem) as refused:
            await services.channels.rename(person.caller, place, name)
        assert refused.value.field == "name"
    await services.channels.switch_off(person.caller, place)
    assert reach(services, person)["webhook"].text == "Switched off."
    with pytest.raises(Conflict, match="You switched it off"):
        await services.channels.test(person.caller, place)
    await services.channels.switch_on(person.caller, place)
    assert reach(services, person)["webhook"].ok
    await services.channels.remove(person.caller, place)
    assert reach(services, person)["webhook"].text == "Not connected yet."


async def test_a_subscription_that_is_over_is_not_switched_on(services: Services) -> None:
    person = services.person(plan="elite")
    place = put(services, person, "web-push", "https://push.example.net/wpush/v2/secret")
    with services.database.session() as session:
        row = session.get_one(Destination, place)
        row.details = {"expires_ms": str(services.clock.ms)}
        destinations.switch_off(session, row, "The browser’s subscription ended.")
    with pytest.raises(Conflict, match="no longer subscribed"):
        await services.channels.switch_on(person.caller, place)
    with services.database.session() as session:
        session.get_one(Destination, place).details = {"expires_ms": str(services.clock.ms + 1)}
    await services.channels.switch_on(person.caller, place)
    with services.database.session(readonly=True) as session:
        account = session.get_one(Account, person.account_id)
        shown = [each for each in channels.places(session, account) if each.id == place]
    assert [(each.on, each.ends_ms) for each in shown] == [(True, services.clock.ms + 1)]


async def test_what_was_never_confirmed_or_said_stop_is_not_switched_on(services: Services) -> None:
    person = services.person(plan="elite")
    number = put(services, person, "sms", "+447700900123", confirmed=False)
    with pytest.raises(Conflict, match="not confirmed"):
        await services.channels.switch_on(person.caller, number)
    put(services, person, "sms", "+447700900123")
    with services.database.session() as session:
        destinations.suppress(session, "sms", "+447700900123", "stop", "STOP", services.clock.ms)
    assert reach(services, person)["sms"].text == "Switched off."
    assert "Text START" in why_off(services, person, "sms")[0]
    with pytest.raises(Conflict, match="Text START"):
        await services.channels.switch_on(person.caller, number)


async def test_a_test_message_is_a_real_delivery_with_what_is_sent_in_it(services: Services) -> None:
    person = services.person(plan="elite")
    place = put(services, person, "webhook")
    put(services, person, "telegram", "4711")
    put(services, person, "sms", "+447700900123", confirmed=False)
    sent = await services.channels.test(person.caller, place)
    with services.database.session(readonly=True) as session:
        delivery = session.get(Delivery, sent)
    assert delivery is not None
    assert (delivery.kind, delivery.status, delivery.recipient) == ("test", "queued", URL)
    assert delivery.payload["title"] == "Test message from FlashCur"
    # Of several channels each place that is on gets one.
    both = await services.channels.test_all(person.caller, ["webhook", "telegram", "sms", "in-app", "nonsense"])
    assert len(both) == 2
    with pytest.raises(Conflict, match="None of these channels"):
        await services.channels.test_all(person.caller, ["sms"])
    with services.database.session(readonly=True) as session:
        assert destination_of(session, person.account_id, "telegram").used_ms is None


async def test_tests_of_a_rule_go_to_an_address_without_a_row(services: Services) -> None:
    person = services.person(plan="elite")
    put(services, person, "webhook")
    sent = await services.channels.test_all(person.caller, ["email", "webhook"])
    with services.database.session(readonly=True) as session:
        found = {
            (each.channel, each.recipient) for each in session.exec(select(Delivery).where(Delivery.kind == "test"))
        }
    assert (len(sent), found) == (2, {("email", ADDRESS), ("webhook", URL)})


async def test_a_channel_that_cannot_be_tested_keeps_no_other_from_it(services: Services) -> None:
    """Neither where this server has lost a channel, nor where the plan has."""
    person = services.person(plan="elite")
    put(services, person, "telegram", "4711")
    put(services, person, "webhook")
    services.channels.senders["telegram"].problem = "This site cannot send Telegram messages yet."  # type: ignore[index]
    assert len(await services.channels.test_all(person.caller, ["telegram", "webhook"])) == 1
    with pytest.raises(Unavailable, match="cannot send Telegram"):
        await services.channels.test_all(person.caller, ["telegram"])
    poorer = services.person("bob@example.com", plan="pro")
    put(services, poorer, "telegram", "4712")
    assert len(await services.channels.test_all(poorer.caller, ["telegram", "email"])) == 1


async def test_tests_by_sms_count_towards_its_cap(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 20 (part)."""
    monkeypatch.setattr(limits, "SMS_ACCOUNT", limits.Limit("sms-account", 1, 86_400, "SMS for this account"))
    person = services.person(plan="elite")
    place = put(services, person, "sms", "+447700900123")
    await services.channels.test(person.caller, place)
    with pytest.raises(Conflict, match="Too many text messages today"):
        await services.channels.test(person.caller, place)


async def test_test_messages_are_limited(services: Services) -> None:
    person = services.person(plan="elite")
    place = put(services, person, "webhook")
    for _ in range(10):
        await services.channels.test(person.caller, place)
    with pytest.raises(Throttled, match="Too many test messages"):
        await services.channels.test(person.caller, place)
    services.clock.forward(minutes=1)
    await services.channels.test(person.caller, place)


async def test_a_plan_that_lacks_the_channel_tests_nothing(services: Services) -> None:
    person = services.person(plan="pro")
    place = put(services, person, "webhook")
    with pytest.raises(PlanNeeded, match="comes with Elite"):
        await services.channels.test(person.caller, place)
    with pytest.raises(PlanNeeded, match="comes with Elite"):
        await services.channels.switch_on(person.caller, place)


def test_names_are_one_line() -> None:
    assert clean_name("a\x00b\u2028c") == "a b c"


async def test_a_chat_is_connected_by_a_link_that_the_bot_is_sent(services: Services, environ: dict[str, str]) -> None:
    person = services.person(plan="elite")
    with pytest.raises(Unavailable, match="cannot send Telegram"):
        await services.channels.begin_telegram(person.caller)
    dialler = Dialler(allow_private=True)
    async with serving(TelegramServer()) as telegram:
        settings = Settings.load({**environ, "TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE": telegram.url})
        services.channels.senders["telegram"] = TelegramChannel(TelegramApi(settings, dialler))  # type: ignore[index]
        link = await services.channels.begin_telegram(person.caller)
        assert link.url.startswith("https://t.me/")
        assert reach(services, person)["telegram"].text == "Not confirmed yet."
        # What the poller does with `/start CODE`.
        with services.database.session() as session:
            code = link.url.partition("start=")[2]
            chat = Chat(4711, "private", "Ann", 4711)
            telegram_links.finish_link(session, services.settings.secret_key, code, chat, services.clock.ms)
        assert reach(services, person)["telegram"] == Reach(True, "To Ann.")
        with pytest.raises(PlanNeeded):
            await services.channels.begin_telegram(services.person("p@example.com", plan="pro").caller)
    async with serving(TelegramServer()) as telegram:
        telegram.script.append(HTML)
        settings = Settings.load({**environ, "TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE": telegram.url})
        services.channels.senders["telegram"] = TelegramChannel(TelegramApi(settings, dialler))  # type: ignore[index]
        with pytest.raises(Unavailable, match="Telegram is not answering"):
            await services.channels.begin_telegram(person.caller)
    await dialler.close()


async def test_a_number_is_connected_by_the_code_that_it_was_sent(services: Services) -> None:
    person, stranger = services.person(plan="elite"), services.person("other@example.com", plan="elite")
    with pytest.raises(Refusal) as refused:
        await services.channels.begin_sms(person.caller, "12")
    assert refused.value.field == "number"
    number = await services.channels.begin_sms(person.caller, "+44 7400 123456")
    assert reach(services, person)["sms"].text == "Not confirmed yet."
    with services.database.session(readonly=True) as session:
        sent = session.exec(select(Delivery).where(Delivery.channel == "sms")).one()
    code = filled_in(sent.payload, services.settings.secret_key).split()[1]
    for caller, typed in ((person.caller, "000000"), (stranger.caller, code), (person.caller, "")):
        with pytest.raises(Refusal) as refused:
            await services.channels.confirm_sms(caller, number, typed)
        assert refused.value.field == "code"
    await services.channels.confirm_sms(person.caller, number, code)
    assert reach(services, person)["sms"].ok
    with pytest.raises(PlanNeeded):
        await services.channels.begin_sms(services.person("p@example.com", plan="pro").caller, "+44 7400 123456")
