"""One order of locks: what each service locks in which order, and every pair of services at once on PostgreSQL."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import itertools
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from flashcur import accounts
from flashcur.domain.plans import PLANS, Channel
from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.watchlists import ImportPlan
from flashcur.errors import Refusal, Refused, Unavailable
from flashcur.models import Account, AlertRecord, ApiKey, Delivery, Wallet, WalletChallenge, new_id
from flashcur.services.accounts import api_keys, audit, mail_tokens, sessions, watchlists
from flashcur.services.accounts.channels import Channels
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.entitlement import plan_of, set_plan
from flashcur.services.accounts.profile import Profile
from flashcur.services.accounts.registration import Registration
from flashcur.services.accounts.upkeep import end_plans, prune_accounts
from flashcur.services.accounts.wallets import Signed, WalletAccounts
from flashcur.services.accounts.watchlists import Watchlists
from flashcur.services.alerts import alerts, endings, push_ends, receipts, rules
from flashcur.services.alerts.alert_choices import AlertChoices
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.alerts.gathering import gather
from flashcur.services.alerts.rules import Rules, Written
from flashcur.services.auth import challenges
from flashcur.services.notify import destinations, enqueue, outbox, sendgrid_events, stops, twilio_events
from flashcur.services.notify.channel import Handed
from flashcur.services.notify.links import make_token
from flashcur.services.notify.port import KEY_ARG
from flashcur.services.notify.telegram_chat import TelegramChat
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import (
    BASE,
    BROWSER,
    NOON,
    PASSWORD,
    KeyWallet,
    QuickHasher,
    Services,
    add_account,
    add_session,
    key_wallet,
)
from tests.support.alerts import alert
from tests.support.billing import NO_PRICES
from tests.support.deliveries import delivery
from tests.support.recorded_channel import all_channels

CHANNELS = all_channels()
RULE = Written(Definition((PriceCross("above", 65_000.0),), Scope("symbol", symbol="BTCUSDT")), ("telegram",))
AT_ONCE = 4
"""Pairs that run beside each other, each on an account of its own."""
SLOWED_S = 0.001
"""What every statement of a pair takes longer, so that the two are always in each other's way."""

_numbers = itertools.count(1)


@dataclass
class Scene:
    """An account with one of everything, for two acts that are to meet on it."""

    email: str
    client: Client
    wallet: KeyWallet
    new_wallet: KeyWallet
    account_id: str = ""
    session_id: str = ""
    other_session_id: str = ""
    list_id: str = ""
    key: str = ""
    key_id: str = ""
    rule_id: str = ""
    chat_id: int = 0
    phone: str = ""
    places: dict[str, str] = field(default_factory=dict)
    mail_key: str = ""
    sms_key: str = ""
    links: dict[str, str] = field(default_factory=dict)
    signed: dict[str, Signed] = field(default_factory=dict)

    @property
    def caller(self) -> sessions.Caller:
        return sessions.Caller(self.account_id, self.session_id, self.client)


def make_scene(services: Services) -> Scene:
    number = next(_numbers)
    scene = Scene(
        f"person{number}@example.com",
        Client(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "curl"),
        key_wallet(2 * number),
        key_wallet(2 * number + 1),
    )
    secret, now = services.settings.secret_key, services.clock()
    with services.database.session() as session:
        scene.account_id = add_account(session, scene.email, now, plan="elite")
        _, scene.other_session_id = add_session(session, scene.account_id, now, client=scene.client)
        _, scene.session_id = add_session(session, scene.account_id, now, client=scene.client)
        account = session.get_one(Account, scene.account_id)
        # Over since a moment: what ends plans has something to do, and the session's own plan is Free.
        account.plan_until = now + timedelta(minutes=1)
        audit.record(session, "signed-in", account.id, now, scene.client)
        session.add(Wallet(address=scene.wallet.address, account_id=account.id, chain_id=1, linked_at=now, used_at=now))
        scene.list_id = watchlists.create(session, account.id, plan_of(account, now), "Mine", now).id
        scene.key = api_keys.create(session, account, now)
        session.flush()
        scene.key_id = session.exec(select(ApiKey.id).where(ApiKey.account_id == account.id)).one()
        pair = new_id()
        for purpose, email, more in (
            ("reset", scene.email, {"account_id": account.id}),
            ("change-new", f"new-{scene.email}", {"account_id": account.id, "pair": pair}),
            ("change-old", scene.email, {"account_id": account.id, "pair": pair}),
            ("register", f"other-{scene.email}", {"password_hash": "hashed", "browser_hash": BROWSER}),
        ):
            token = mail_tokens.make(session, purpose, email, now, **more)
            session.flush()
            scene.links[purpose] = make_token(secret, purpose, token.id)
        enqueue(session, scene.email, "password-changed", {"base": BASE}, now)
        _add_alerts(session, scene, number, services.clock.ms)
        for name, wallet in (("sign-in", scene.wallet), ("link", scene.new_wallet)):
            scene.signed[name] = wallet.sign(_challenge(session, name, wallet, account.id))
    return scene


def _add_alerts(session: Session, scene: Scene, number: int, now_ms: int) -> None:
    """A rule, places, what was sent there and what is held."""
    scene.rule_id = rules.create(session, scene.account_id, PLANS["elite"], RULE, now_ms, paused=False).id
    scene.chat_id, scene.phone = number, f"+4474{number:08d}"
    connected: tuple[tuple[Channel, str, dict[str, Any]], ...] = (
        ("sms", scene.phone, {}),
        ("telegram", str(scene.chat_id), {"user_id": number, "kind": "private"}),
        ("web-push", f"https://push.example/{number}", {"expires_ms": str(now_ms)}),
        ("slack", f"https://hooks.slack.com/services/T01ABCDEF/B02ABCDEF/{number:024}", {}),
    )
    for channel, address, details in connected:
        place = destinations.keep(session, scene.account_id, channel, address, now_ms, details=details, confirmed=True)
        session.flush()
        scene.places[channel] = place.id
    owned = {"account_id": scene.account_id, "kind": "test"}
    mail = delivery(scene.email, "email", **owned, status="accepted")
    sms = delivery(scene.phone, "sms", **owned, status="accepted", destination_id=scene.places["sms"])
    outbox.write(session, [mail, sms], now_ms)
    scene.mail_key, scene.sms_key = mail.key, sms.key
    held = alert(scene.account_id, now_ms, rule_id=scene.rule_id, key=f"held {number}")
    session.add_all(receipts.chain(session, [held]))
    session.flush()
    waits = delivery(str(scene.chat_id), "telegram", account_id=scene.account_id, kind="alert", status="held")
    waits.alert_id, waits.destination_id = held.id, scene.places["telegram"]
    outbox.write(session, [waits], now_ms)


def _challenge(session: Session, purpose: str, wallet: KeyWallet, account_id: str) -> WalletChallenge:
    return challenges.issue(
        session,
        origin=BASE,
        statement="Sign in.",
        address=wallet.address,
        chain_id=1,
        purpose=purpose,
        account_id=account_id if purpose == "link" else None,
        browser_hash=BROWSER,
        now=NOON,
    )


Act = Callable[[Services, Scene], Awaitable[Any]]


async def _operator(services: Services, scene: Scene) -> None:
    """As `flashcur.accounts` does it."""

    def work(session: Session) -> None:
        account = sessions.lock(session, scene.account_id)
        if account is not None:
            set_plan(session, account, "pro", services.clock(), source="operator", actor="operator")
            sessions.end_all(session, account.id)

    await services.context.run(work)


async def _operator_for_all(services: Services, scene: Scene) -> None:
    options = argparse.Namespace(all=True)
    await services.context.run(lambda session: accounts._sign_out(session, options, services.settings))


async def _mailer(services: Services, scene: Scene) -> None:
    now = services.clock.ms
    for each in await services.context.run(lambda session: outbox.claim_due(session, now, {"email": 10})):
        mail = each.delivery
        await services.context.run(
            lambda session, mail=mail: outbox.mark_handed(session, mail.key, mail.claim, Handed("x"), now, now)
        )


async def _mailer_in_vain(services: Services, scene: Scene) -> None:
    now = services.clock.ms

    def give_up(session: Session, mail: Delivery) -> None:
        endings.lock_owner(session, mail)
        error = Refused("no such mailbox")
        row = outbox.mark_failed(session, mail.key, mail.claim, error, now)
        if row is not None:
            endings.settle(session, row, error, now, lambda *_: None)

    for each in await services.context.run(lambda session: outbox.claim_due(session, now, {"email": 10})):
        await services.context.run(lambda session, mail=each.delivery: give_up(session, mail))


def _deliver(session: Session, alerts: Sequence[AlertRecord], now_ms: int) -> None:
    dispatch(session, alerts, CHANNELS, now_ms, BASE)


async def _alerts(services: Services, scene: Scene) -> None:
    """As the engine stores what rules found."""
    now_ms = services.clock.ms
    found = [alert(scene.account_id, now_ms, rule_id=scene.rule_id, key=f"found {scene.account_id}")]
    await services.context.run(lambda session: alerts.store(session, found, _deliver, now_ms))


async def _gathering(services: Services, scene: Scene) -> None:
    now_ms = services.clock.ms
    await services.context.run(lambda session: gather(session, scene.account_id, CHANNELS, now_ms, BASE))


async def _bounce(services: Services, scene: Scene) -> None:
    said = {"event": "bounce", "sg_event_id": scene.mail_key, KEY_ARG: scene.mail_key, "reason": "no such mailbox"}
    now_ms = services.clock.ms
    # Of two that say the same one is new (`tests/services/notify/test_provider_events.py`).
    await services.context.run(lambda session: sendgrid_events.take_in(session, said, now_ms, _deliver))


async def _sms_status(services: Services, scene: Scene) -> None:
    fields = {"MessageSid": f"SM{scene.phone}", "MessageStatus": "undelivered", "ErrorCode": "30005"}
    now_ms = services.clock.ms
    await services.context.run(
        lambda session: twilio_events.take_status(session, scene.sms_key, fields, now_ms, _deliver)
    )


async def _stop(services: Services, scene: Scene) -> None:
    fields = {"From": scene.phone, "MessageSid": f"SM{scene.phone}", "Body": "STOP"}
    now_ms = services.clock.ms
    await services.context.run(lambda session: twilio_events.take_answer(session, fields, now_ms, BASE, _deliver))


async def _push_ends(services: Services, scene: Scene) -> None:
    now_ms = services.clock.ms
    await services.context.run(lambda session: push_ends.tend(session, scene.account_id, now_ms, _deliver))


async def _telegram(services: Services, scene: Scene) -> None:
    chat = {"id": scene.chat_id, "type": "private"}
    update = {"update_id": scene.chat_id, "message": {"chat": chat, "from": {"id": scene.chat_id}, "text": "/mute 1h"}}
    chats, now_ms = TelegramChat(services.settings.secret_key, BASE), services.clock.ms
    await services.context.run(lambda session: chats.answer(session, update, now_ms))


async def _unsubscribe(services: Services, scene: Scene) -> None:
    now_ms = services.clock.ms
    await services.context.run(
        lambda session: stops.stop_mail(session, scene.account_id, stops.UNSUBSCRIBED, now_ms, None)
    )


def _job(work: Callable[..., str]) -> Act:
    async def act(services: Services, scene: Scene) -> None:
        # Late enough for everything to be over, sessions and limits included.
        now = services.clock() + timedelta(days=400)
        await services.context.run(lambda session: work(session, now))

    return act


ACTS: dict[str, Act] = {
    "Registration.register": lambda s, x: s.registration.register(x.email, PASSWORD, x.client, BROWSER),
    "Registration.confirm": lambda s, x: s.registration.confirm(x.links["register"], x.client, BROWSER),
    "Registration.sign_in": lambda s, x: s.registration.sign_in(x.email, PASSWORD, x.client),
    "Registration.forgot": lambda s, x: s.registration.forgot(x.email, x.client),
    "Registration.reset": lambda s, x: s.registration.reset(x.links["reset"], PASSWORD, x.client),
    "WalletAccounts.challenge": lambda s, x: s.wallets.challenge(
        BASE, "link", x.wallet.address, 1, BROWSER, x.client, x.caller
    ),
    "WalletAccounts.sign_in": lambda s, x: s.wallets.sign_in(x.signed["sign-in"], BROWSER, x.client),
    "WalletAccounts.link": lambda s, x: s.wallets.link(x.signed["link"], BROWSER, x.caller),
    "WalletAccounts.unlink": lambda s, x: s.wallets.unlink(x.wallet.address, x.caller),
    "Profile.sign_out": lambda s, x: s.profile.sign_out(x.caller),
    "Profile.end_session": lambda s, x: s.profile.end_session(x.caller, x.other_session_id),
    "Profile.end_other_sessions": lambda s, x: s.profile.end_other_sessions(x.caller),
    "Profile.set_theme": lambda s, x: s.profile.set_theme(x.caller, "dark"),
    "Profile.change_password": lambda s, x: s.profile.change_password(x.caller, PASSWORD, PASSWORD),
    "Profile.change_address": lambda s, x: s.profile.change_address(x.caller, f"next-{x.email}", PASSWORD),
    "Profile.confirm_address": lambda s, x: _both_links(s, x),
    "Profile.delete": lambda s, x: s.profile.delete(x.caller, PASSWORD, "DELETE"),
    "Profile.create_api_key": lambda s, x: s.profile.create_api_key(x.caller),
    "Profile.use_api_key": lambda s, x: s.profile.use_api_key(x.key),
    "Profile.delete_api_key": lambda s, x: s.profile.delete_api_key(x.caller, x.key_id),
    "Profile.charge_files": lambda s, x: s.profile.charge_files(x.account_id),
    "Profile.export": lambda s, x: s.profile.export(x.caller),
    "Watchlists.toggle": lambda s, x: s.lists.toggle(x.caller, x.list_id, "BTCUSDT"),
    "Watchlists.delete": lambda s, x: s.lists.delete(x.caller, x.list_id),
    "Watchlists.take_in": lambda s, x: s.lists.take_in(
        x.caller, ImportPlan(((None, ("BTCUSDT", "ETHUSDT")),), (), (), 0), ""
    ),
    "Rules.create": lambda s, x: Rules(s.context).create(x.caller, RULE),
    "Rules.delete": lambda s, x: Rules(s.context).delete(x.caller, x.rule_id),
    "AlertChoices.mute": lambda s, x: s.alert_choices.mute(x.caller, 1),
    "Channels.connect_url": lambda s, x: s.channels.connect_url(
        x.caller, "slack", f"https://hooks.slack.com/services/T01ABCDEF/B01ABCDEF/{x.chat_id:024}", ""
    ),
    "Channels.remove": lambda s, x: s.channels.remove(x.caller, x.places["slack"]),
    "Channels.switch_on": lambda s, x: s.channels.switch_on(x.caller, x.places["sms"]),
    "Channels.test": lambda s, x: s.channels.test(x.caller, x.places["slack"]),
    "alerts": _alerts,
    "gathering": _gathering,
    "bounce": _bounce,
    "status of an SMS": _sms_status,
    "STOP": _stop,
    "push subscriptions": _push_ends,
    "Telegram": _telegram,
    "unsubscribe": _unsubscribe,
    "end plans": _job(lambda session, now: end_plans(session, NO_PRICES, now)),
    "prune accounts": _job(prune_accounts),
    "operator": _operator,
    "operator, for all": _operator_for_all,
    "mailer": _mailer,
    "mailer, in vain": _mailer_in_vain,
}
"""Everything that works on accounts, as one call."""
ALIKE = {
    "Profile.set_time_zone": "Profile.set_theme",
    "Profile.set_table_view": "Profile.set_theme",
    "Profile.read_signals": "Profile.set_theme",
    "Profile.set_notifies": "Profile.set_theme",
    "Watchlists.add": "Watchlists.toggle",
    "Watchlists.remove": "Watchlists.toggle",
    "Watchlists.create": "Watchlists.take_in",
    "Watchlists.rename": "Watchlists.toggle",
    "Watchlists.move": "Watchlists.toggle",
    "Rules.edit": "Rules.create",
    "Rules.pause": "Rules.create",
    "Rules.resume": "Rules.create",
    "Rules.snooze": "Rules.create",
    "Rules.expiry": "Rules.create",
    "AlertChoices.save": "AlertChoices.mute",
    "Channels.new_secret": "Channels.connect_url",
    "Channels.begin_telegram": "Channels.connect_url",
    "Channels.begin_sms": "Channels.connect_url",
    "Channels.confirm_sms": "Channels.switch_on",
    "Channels.rename": "Channels.switch_on",
    "Channels.switch_off": "Channels.switch_on",
    "Channels.test_all": "Channels.test",
}
"""What locks the same as another act: it is not tried with every other again."""


async def _both_links(services: Services, scene: Scene) -> None:
    await services.profile.confirm_address(scene.links["change-old"], scene.client)
    await services.profile.confirm_address(scene.links["change-new"], scene.client)


async def outcome(act: Awaitable[Any]) -> Refusal | None:
    try:
        await act
    except Refusal as refusal:
        return refusal
    return None


@pytest.fixture
def two(settings: Settings, request: pytest.FixtureRequest) -> Iterator[tuple[Services, Services]]:
    """Two processes on one PostgreSQL that tells of a deadlock at once."""
    server, name = request.getfixturevalue("shared_postgres"), f"locks_{new_id()}"
    url = server.create_database(name, template=request.getfixturevalue("migrated_template"))
    server._execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '20ms'")
    environ = {"FLASHCUR_DATA_DIR": str(settings.data_dir), "FLASHCUR_SECRET_KEY": settings.secret_key.reveal()}
    made: list[Services] = []
    for _ in range(2):
        database = Database(Settings.load({**environ, "DATABASE_URL": url}))
        made.append(Services(settings, database, hasher=QuickHasher(), senders=dict(CHANNELS)))
    yield made[0], made[1]
    for services in made:
        services.close()
        services.database.close()
    server.drop_database(name)


def test_every_service_is_among_the_acts() -> None:
    public = {
        f"{group.__name__}.{name}"
        for group in (Registration, WalletAccounts, Profile, Watchlists, Rules, AlertChoices, Channels)
        for name, _ in inspect.getmembers(group, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert public == {name for name in (*ACTS, *ALIKE) if "." in name}


@pytest.mark.parametrize("first", ACTS)
async def test_every_pair_at_once(two: tuple[Services, Services], first: str, caplog: pytest.LogCaptureFixture) -> None:
    names = list(ACTS)
    pairs = [(first, second) for second in names[names.index(first) :]]
    here, there = two
    scenes = [make_scene(here) for _ in pairs]
    for services in two:
        event.listen(services.database.engine, "after_cursor_execute", lambda *_: time.sleep(SLOWED_S))
    free = asyncio.Semaphore(AT_ONCE)

    async def meet(pair: tuple[str, str], scene: Scene) -> list[str]:
        async with free:
            found = await asyncio.gather(outcome(ACTS[pair[0]](here, scene)), outcome(ACTS[pair[1]](there, scene)))
        return [f"{' + '.join(pair)}: {each}" for each in found if isinstance(each, Unavailable)]

    with caplog.at_level(logging.WARNING):
        failed = list(itertools.chain(*await asyncio.gather(*map(meet, pairs, scenes))))
    assert failed == []
    assert [record.getMessage() for record in caplog.records if "begun again" in record.getMessage()] == []


_LOCKS = re.compile(r'(?:UPDATE|DELETE FROM)\s+"?(\w+)|SELECT .*?\sFROM (\w+).* FOR (?:NO KEY )?UPDATE', re.S)


def locks_of(services: Services) -> list[list[str]]:
    """Fills with the tables, in order, whose rows each transaction locks, as far as it waits for them."""
    found: list[list[str]] = []
    current = threading.local()

    def begin(*_: object) -> None:
        current.tables = []
        found.append(current.tables)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        match = None if "SKIP LOCKED" in statement else _LOCKS.match(statement)
        if match is not None:
            current.tables.append(match[1] or match[2])
        elif "ON CONFLICT" in statement and "rate_limit" in statement:
            current.tables.append("rate_limit")

    event.listen(services.database.engine, "begin", begin)
    event.listen(services.database.engine, "before_cursor_execute", note)
    return found


WITHOUT_ACCOUNT = {
    # The link, and then an account that it has made itself, which nobody else sees yet.
    "Registration.confirm": {"mail_token", "account", "login_session"},
    "Profile.use_api_key": {"api_key"},
    # It has locked its account first, and did not wait for that.
    "push subscriptions": {"destination", "account"},
    "mailer": {"delivery"},
    "mailer, in vain": {"delivery"},
    "WalletAccounts.sign_in": {"wallet_challenge"},
    "WalletAccounts.link": {"wallet_challenge"},
}
"""Transactions that need not lock an account first: they lock one row only, or what nobody else sees."""


@pytest.mark.parametrize("name", ACTS)
async def test_the_account_comes_first_and_limits_are_alone(two: tuple[Services, Services], name: str) -> None:
    services = two[0]
    scene = make_scene(services)
    found = locks_of(services)
    refusal = await outcome(ACTS[name](services, scene))
    assert refusal is None or name == "Registration.register"
    for tables in found:
        distinct = set(tables)
        if "rate_limit" in distinct:
            assert distinct == {"rate_limit"}
        elif distinct and distinct != WITHOUT_ACCOUNT.get(name):
            assert tables[0] == "account", tables
