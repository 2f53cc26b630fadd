"""From the outbox to the provider: every message once, whatever fails in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bench.delivery.kills import killed
from bench.delivery.provider import Provider, ProviderChannel, Reply, provider
from flashcur.engine.delivery import AT_ONCE, MOST_AT_ONCE, SEND_TIMEOUT_S, DeliveryWorker
from flashcur.errors import DatabaseError, DeliveryError, Refused, Unanswered
from flashcur.models import AccountChange, AlertRecord, AuditEvent, Delivery, Destination
from flashcur.services.accounts import mail_tokens, undelivered
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.notify import destinations, enqueue, outbox
from flashcur.services.notify.channel import Channel, Handed, Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.email import EmailChannel
from flashcur.services.notify.outbox import LEASE_MS
from flashcur.services.notify.webhook import WebhookChannel, new_details
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account
from tests.support.deliveries import HOUR, NOW, all_stored, claim, delivery, ledger, put, statuses, stored, way
from tests.support.programs import PostgresServer
from tests.support.running import running_engine
from tests.support.sendgrid import API_KEY, SendGridServer, sendgrid_server
from tests.support.sendgrid import Reply as MailReply
from tests.support.vendor import Reply as Answered
from tests.support.vendor import Request, Vendor, serving
from tests.support.waiting import eventually

BASE = "https://flashcur.example"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with sendgrid_server() as server:
        yield server


@pytest.fixture
def environ(environ: dict[str, str], sendgrid: SendGridServer) -> dict[str, str]:
    return {
        **environ,
        "SENDGRID_API_KEY": API_KEY,
        "SENDGRID_API_BASE": sendgrid.url,
        "FLASHCUR_FROM_EMAIL": "mail@flashcur.example",
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


def worker_of(
    database: Database, settings: Settings, clock: Callable[[], int], channels: Mapping[str, Channel], **more: Any
) -> DeliveryWorker:
    """A worker whose notices go where they would in the engine."""

    def deliver(session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        dispatch(session, found, channels, now_ms, BASE)

    return DeliveryWorker(database, channels, settings.secret_key, clock, deliver=deliver, **more)


@contextlib.asynccontextmanager
async def running(
    database: Database, settings: Settings, clock: Callable[[], int], *channels: Channel, **more: float
) -> AsyncIterator[DeliveryWorker]:
    dialler = Dialler()
    known = {channel.name: channel for channel in channels} or {"email": EmailChannel(settings, dialler)}
    worker = worker_of(database, settings, clock, known, every_s=0.05, **more)
    async with Supervisor() as tasks:
        tasks.start("delivery", worker.run)
        yield worker
        assert tasks.failures["delivery"] == 0
    await dialler.close()
    for channel in channels:
        if isinstance(channel, ProviderChannel):
            await channel.close()


async def looked(database: Database) -> None:
    """Return after the worker has looked into the outbox twice more: what the first look found is taken by then."""
    done = 0
    run = database.run

    async def counted(work: Callable[..., object], *, readonly: bool = False) -> object:
        nonlocal done
        found = await run(work, readonly=readonly)
        done += readonly
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "run", counted)
        await eventually(lambda: done >= 2, "a look into the outbox")


async def test_messages_are_handed_over_and_the_ledger_says_when(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "7", NOW, details={}, confirmed=True)
        place.failures, place.failing_since_ms = 3, NOW - 1
    (first,) = put(database, delivery("7", key="k1", account_id=ann, destination_id=place.id))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].sent == 1, "the first message")
        put(database, delivery("7", key="k2"), delivery("8", key="k3"))
        await eventually(lambda: worker.reports["telegram"].sent == 3, "the others")
    assert sorted(there.taken) == ["k1", "k2", "k3"]
    assert set(there.taken.values()) == {1}
    row = stored(database, first)
    assert (row.status, row.attempts, row.problem, row.handed_ms) == ("accepted", 1, "", NOW)
    assert (row.provider_id, row.claim) == ("p-k1", "")
    assert way(database, first) == ["queued", "accepted"]
    assert json.loads(there.arrivals[0].body) == {"text": "to 7"}
    with database.session(readonly=True) as session:
        place = session.get_one(Destination, place.id)
        assert (place.failures, place.failing_since_ms, place.used_ms) == (0, None, NOW)


async def test_the_account_s_own_address_says_when_the_last_message_went_there(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """It is a destination from its first message on, and the same one for the next."""
    with database.session() as session:
        ann, bob = (add_account(session, f"{name}@example.com", from_ms(NOW - HOUR)) for name in ("ann", "bob"))
    settings_of = {"channel": "email", "account_id": ann}
    mail = [delivery("ann@example.com", key=key, **settings_of) for key in ("k1", "k2")]
    mail.append(delivery("bob@example.com", "email", key="k3", kind="mail"))

    def places() -> list[tuple[str, int, int | None]]:
        with database.session(readonly=True) as session:
            return [(each.account_id, each.created_ms, each.used_ms) for each in session.exec(select(Destination))]

    async with running(database, settings, clock, ProviderChannel(there.url, name="email")) as worker:
        put(database, mail[0])
        await eventually(lambda: places() == [(ann, NOW - HOUR, NOW)], "the account's own address")
        clock.ms += 1_000
        put(database, *mail[1:])
        await eventually(lambda: worker.reports["email"].sent == 3, "the others")
        await eventually(lambda: places() == [(ann, NOW - HOUR, NOW + 1_000)], "the second message")
    assert bob not in {account_id for account_id, _, _ in places()}


async def test_what_this_process_writes_leaves_at_once(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    channel = ProviderChannel(there.url)
    worker = worker_of(sqlite_database, settings, clock, {"telegram": channel}, every_s=3600)
    async with Supervisor() as tasks:
        tasks.start("delivery", worker.run)
        await looked_once(sqlite_database)
        await asyncio.to_thread(put, sqlite_database, delivery())
        await eventually(lambda: worker.reports["telegram"].sent == 1, "the message")
    await channel.close()


async def looked_once(database: Database) -> None:
    """Return when the worker waits: with nothing to do it would look again in an hour."""
    await eventually(lambda: bool(outbox._listeners), "a worker that listens")  # pyright: ignore[reportPrivateUsage]
    await database.run(lambda session: outbox.due_channels(session, NOW), readonly=True)


async def test_two_workers_send_each_message_once(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    put(database, *(delivery(f"chat {number}") for number in range(60)))
    async with (
        running(database, settings, clock, ProviderChannel(there.url)) as one,
        running(database, settings, clock, ProviderChannel(there.url)) as two,
    ):
        await eventually(lambda: one.reports["telegram"].sent + two.reports["telegram"].sent == 60, "all messages", 20)
    assert len(there.taken) == len(there.arrivals) == 60


async def test_a_channel_that_hangs_delays_no_other(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 24: one channel that hangs delays no other."""
    there.hangs = {"webhook"}
    put(database, *(delivery(f"hook {n}", "webhook", urgent=True, due_ms=NOW - 10) for n in range(2 * AT_ONCE)))
    channels = [ProviderChannel(there.url, name) for name in ("telegram", "slack")]
    channels.append(ProviderChannel(there.url, "webhook", rate=AT_ONCE))
    async with running(database, settings, clock, *channels) as worker:
        await eventually(lambda: there.recipients().count("hook 0") == 1, "the channel that hangs")
        put(database, *(delivery(f"chat {n}", name) for n in range(40) for name in ("telegram", "slack")))
        reports = worker.reports
        # All of them while not one of the others has come back.
        await eventually(lambda: reports["telegram"].sent == reports["slack"].sent == 40, "the others")
        assert (reports["webhook"].sent, reports["webhook"].failed) == (0, 0)
    hooks = [row.status for row in all_stored(database) if row.channel == "webhook"]
    # Those that were on their way when the worker stopped may have arrived, whether it was noted in time or not.
    assert hooks.count("uncertain") + hooks.count("sending") == hooks.count("queued") == AT_ONCE


async def test_fifty_webhooks_that_hang_delay_no_other(database: Database, settings: Settings, clock: Clock) -> None:
    """Complaint 24: servers of others that never answer take no room from one that does."""
    async with contextlib.AsyncExitStack() as stack:
        dialler = Dialler(allow_private=True)
        stack.push_async_callback(dialler.close)
        channel = WebhookChannel(settings, dialler)
        servers = [await stack.enter_async_context(serving(Silent())) for _ in range(50)]
        healthy = await stack.enter_async_context(serving(Vendor()))
        assert channel.rate <= len(servers)
        put(database, *(a_webhook_s(database, f"{number}", each.url) for number, each in enumerate(servers)))
        async with running(database, settings, clock, channel) as worker:
            await eventually(lambda: all(each.requests for each in servers), "the requests to those that hang")
            put(database, a_webhook_s(database, "healthy", healthy.url))
            await eventually(lambda: worker.reports["webhook"].sent == 1, "the message to the one that answers")
            # Not one of the others has been given up by then.
            assert worker.reports["webhook"].failed == 0
        assert len(healthy.requests) == 1


class Silent(Vendor):
    """Takes every request, and answers none."""

    def respond(self, request: Request) -> Answered:
        return Answered(fault="silent")


def a_webhook_s(database: Database, name: str, url: str) -> Delivery:
    """A message for the webhook of an account of its own."""
    with database.session() as session:
        owner = add_account(session, f"{name}@example.com", from_ms(NOW))
        place = destinations.keep(session, owner, "webhook", url, NOW, details=new_details(), confirmed=True)
        payload = {"body": "{}"}
        return delivery(url, "webhook", payload=payload, account_id=owner, destination_id=place.id)


async def test_places_that_hung_are_asked_a_few_at_a_time_until_they_answer(
    database: Database, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.engine.hanging.HANGS_S", 0.0)
    answers = asyncio.Event()
    asked: list[str] = []

    class Servers(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            asked.append(outgoing.recipient)
            if outgoing.attempt == 1 and outgoing.recipient != "healthy":
                raise Unanswered("no answer")
            await answers.wait()
            return Handed()

    channel = Servers("", "webhook")
    channel.own_servers, channel.rate = True, 40.0
    put(database, *(delivery(f"{number}", "webhook", due_ms=NOW - 1) for number in range(60)))
    async with running(database, settings, clock, channel) as worker:
        await eventually(lambda: worker.reports["webhook"].uncertain == 60, "the first attempts")
        asked.clear()
        clock.ms += 10_000
        await eventually(lambda: len(asked) == 10, "a quarter of them")
        await looked(database)
        assert len(asked) == 10
        put(database, delivery("healthy", "webhook", now_ms=clock.ms), now_ms=clock.ms)
        await eventually(lambda: "healthy" in asked, "one that never hung")
        assert len(asked) == 11
        monkeypatch.setattr("flashcur.engine.hanging.HANGS_S", 60.0)
        answers.set()
        await eventually(lambda: worker.reports["webhook"].sent == 61, "all of them")


async def test_a_channel_that_takes_much_comes_to_its_rate_though_its_provider_is_slow(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there.hangs = {"web-push", "telegram"}
    put(sqlite_database, *(delivery(f"{n}", name) for n in range(150) for name in ("web-push", "telegram")))
    rates = {"web-push": 100.0, "telegram": 1000.0}
    channels = [ProviderChannel(there.url, name, rate=rate, timeout_s=60) for name, rate in rates.items()]
    async with running(sqlite_database, settings, clock, *channels) as worker:
        # As many as leave within a second, and not without bound, however often it looks.
        await eventually(lambda: worker.sending == 100 + MOST_AT_ONCE, "the messages", 10)
        await asyncio.sleep(0.3)
        assert worker.sending == 100 + MOST_AT_ONCE


async def test_addresses_of_one_account_that_hang_hold_up_nobody_else(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 24: nor does one account's address delay another's."""
    with sqlite_database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        bob = add_account(session, "bob@example.com", from_ms(NOW))
    there.say("slow", *[Reply(taken=True)] * 99)
    there.delay_s = 0.2
    put(sqlite_database, *(delivery(f"ann {n}", account_id=ann, due_ms=NOW - 1) for n in range(100)))
    put(sqlite_database, delivery("bob's", account_id=bob))
    async with running(sqlite_database, settings, clock, ProviderChannel(there.url)):
        await eventually(lambda: "bob's" in there.recipients(), "bob's message")
    assert there.recipients().index("bob's") <= 4


async def test_a_provider_that_is_away_for_ten_minutes_loses_nothing(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 2: with the provider off for 10 minutes every message is sent within one pause after it is back."""
    ids = put(database, *(delivery(f"chat {number}", key=f"key {number}") for number in range(10)))
    there.down = True
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        while clock.ms < NOW + 600_000:
            await eventually(lambda: not worker.sending, "the attempts to end")
            clock.ms = min(row.due_ms for row in all_stored(database))
            before = len(there.arrivals)
            await eventually(lambda before=before: len(there.arrivals) > before, "another attempt")
        await eventually(lambda: not worker.sending, "the attempts to end")
        there.down = False
        back = clock.ms
        while "retrying" in statuses(database):
            await eventually(lambda: not worker.sending, "the attempts to end")
            clock.ms = max(clock.ms, min(row.due_ms for row in all_stored(database) if row.status == "retrying"))
            await looked(database)
        await eventually(lambda: worker.reports["telegram"].sent == 10, "all messages")
    assert set(there.taken.values()) == {1}
    # The longest pause that could have begun while it was away, of what was left of an hour.
    assert max(row.handed_ms or 0 for row in all_stored(database)) - back <= 1_500_000
    for number, each in enumerate(ids):
        assert set(there.keys(f"chat {number}")) == {f"key {number}"}
        assert way(database, each)[0] == "queued"
        assert way(database, each)[-1] == "accepted"
        assert set(way(database, each)[1:-1]) == {"retrying"}


async def test_every_attempt_is_the_same_to_the_byte_under_the_same_key(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 4: text and key are frozen before the first attempt, and uncertain is a status that is shown."""
    (only,) = put(database, delivery("7", payload={"text": "Price 65,010 <b>&", "nested": {"b": 1, "a": [2, None]}}))
    there.say("7", Reply(taken=True), Reply(503), Reply(429, {"Retry-After": "1"}))
    async with running(database, settings, clock, ProviderChannel(there.url)):
        for attempts in range(1, 5):
            await eventually(lambda attempts=attempts: len(there.arrivals) == attempts, "an attempt")
            if attempts < 4:
                await eventually(
                    lambda attempts=attempts: len(way(database, only)) == attempts + 1, "what became of it"
                )
                clock.ms = stored(database, only).due_ms
        await eventually(lambda: stored(database, only).status == "accepted", "the message")
    assert len({(arrival.key, arrival.body) for arrival in there.arrivals}) == 1
    assert way(database, only) == ["queued", "uncertain", "retrying", "retrying", "accepted"]
    assert stored(database, only).attempts == 3


async def test_account_mail_is_frozen_but_for_the_code_of_its_link(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Complaint 4: mail is rendered when it is queued, not when it is sent."""
    with database.session() as session:
        enqueue(session, "a@example.com", "reset", {"base": BASE, "token_id": "0f" * 16}, from_ms(NOW))
    # Another version, with other words.
    monkeypatch.setattr("flashcur.services.notify.templates.TEMPLATES", {})
    sendgrid.script += [MailReply(503), MailReply(503)]
    bodies: list[str] = []
    answer = sendgrid.answer

    def watched(path: str, headers: dict[str, str], body: bytes) -> MailReply:
        bodies.append(json.dumps(json.loads(body), sort_keys=True))
        return answer(path, headers, body)

    monkeypatch.setattr(sendgrid, "answer", watched)
    async with running(database, settings, clock) as worker:
        for failures in (1, 2):
            await eventually(lambda failures=failures: worker.reports["email"].failed == failures, "a failure")
            clock.ms = all_stored(database)[0].due_ms
        await eventually(lambda: worker.reports["email"].sent == 1, "the mail")
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    (mail,) = sendgrid.mails
    token = mail["content"][0]["value"].split("#token=")[1].split()[0]
    assert (len(token), token[:32]) == (64, "0f" * 16)
    (row,) = all_stored(database)
    assert row.kind == "mail"
    # Neither the row nor its ledger holds the code.
    assert token[32:] not in repr(row) + repr(ledger(database, row.id or 0))


async def test_being_told_to_wait_holds_that_chat_alone_and_spends_no_attempt(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 12: a 429 waits as told, spends no attempt and holds only that chat."""
    first, second = put(database, delivery("a", key="a1"), delivery("a", key="a2"))
    put(database, delivery("b"))
    there.say("a", Reply(429, {"Retry-After": "1"}))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: stored(database, first).status == "retrying", "the wait")
        await eventually(lambda: "b" in there.recipients(), "the other chat")
        assert (stored(database, first).attempts, stored(database, first).due_ms) == (0, NOW + 1000)
        assert (stored(database, second).status, stored(database, second).due_ms) == ("queued", NOW + 1000)
        clock.ms += 1000
        await eventually(lambda: worker.reports["telegram"].sent == 3, "all of them")
    assert there.keys("a") == ["a1", "a1", "a2"]
    assert worker.reports["telegram"].state == "ok"


async def test_a_whole_channel_waits_where_its_provider_says_so(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    put(database, delivery("a"))
    there.say("a", Reply(429, {"Retry-After": "30", "X-Whole-Channel": "1"}))
    channels = [ProviderChannel(there.url, name) for name in ("telegram", "slack")]
    async with running(database, settings, clock, *channels) as worker:
        await eventually(lambda: worker.reports["telegram"].failed == 1, "the wait")
        put(database, delivery("b"), delivery("c", "slack"))
        await eventually(lambda: worker.reports["slack"].sent == 1, "the other channel")
        await looked(database)
        assert worker.reports["telegram"].state == "held"
    assert there.recipients() == ["a", "c"]


@pytest.mark.parametrize("whole", [False, True])
async def test_a_start_forgets_no_wait(
    database: Database, settings: Settings, clock: Clock, there: Provider, whole: bool
) -> None:
    """Complaint 12: neither the next worker nor another one asks before the time that the provider said."""
    put(database, delivery("a"))
    there.say("a", Reply(429, {"Retry-After": "30"} | ({"X-Whole-Channel": "1"} if whole else {})))
    async with running(database, settings, clock, ProviderChannel(there.url)):
        await eventually(lambda: statuses(database) == ["retrying"], "the wait")
    put(database, delivery("a"), delivery("b"))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await looked(database)
        if not whole:
            await eventually(lambda: worker.reports["telegram"].sent == 1, "the other chat")
        assert worker.reports["telegram"].state == ("held" if whole else "ok")
        assert there.recipients() == (["a"] if whole else ["a", "b"])
        clock.ms += 30_000
        await eventually(lambda: worker.reports["telegram"].sent == 3, "all of them")


async def test_a_wait_of_hours_is_told_by_another_way(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """Complaint 12: told to wait for more than ten minutes, the owner learns of it elsewhere."""
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
    put(database, delivery("a", account_id=ann))
    there.say("a", Reply(429, {"Retry-After": "10072"}))
    async with running(database, settings, clock, ProviderChannel(there.url)):
        await eventually(lambda: statuses(database) == ["expired"], "the end")
    (notice,) = notices(database)
    assert notice.title.startswith("Telegram takes no messages until ")
    assert there.recipients() == ["a"]


def notices(database: Database) -> list[AlertRecord]:
    with database.session(readonly=True) as session:
        return list(session.exec(select(AlertRecord).where(AlertRecord.kind == "notice")))


async def test_a_place_that_is_gone_is_switched_off_and_its_owner_is_told(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "7", NOW, name="Phone", confirmed=True)
    more = {"account_id": ann, "destination_id": place.id}
    first, second = put(database, delivery("7", **more), delivery("7", **more))
    there.say("7", Reply(410))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].dead == 2, "both given up")
    # Nothing is tried there again, and nothing is said twice.
    assert there.recipients() == ["7"]
    assert stored(database, first).problem == "Forbidden: bot was blocked by the user"
    assert stored(database, second).problem.startswith("It was switched off meanwhile")
    with database.session(readonly=True) as session:
        place = session.get_one(Destination, place.id)
        assert (place.state, place.why) == ("off", "Forbidden: bot was blocked by the user")
        assert {change.account_id for change in session.exec(select(AccountChange))} == {ann}
    (notice,) = notices(database)
    assert notice.title == "Telegram (“Phone”) was switched off"
    assert "Forbidden: bot was blocked by the user" in notice.text


def failing_place(database: Database, failures: int) -> dict[str, str]:
    """A chat where so many messages have failed since yesterday: what a delivery there says of it."""
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "7", NOW, confirmed=True)
        place.failures, place.failing_since_ms = failures, NOW - 25 * HOUR
        return {"account_id": ann, "destination_id": place.id}


async def test_a_place_that_fails_for_a_day_is_switched_off(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there_it_fails = failing_place(sqlite_database, 3)
    put(sqlite_database, delivery("7", **there_it_fails), delivery("7", **there_it_fails))
    there.say("7", Reply(400), Reply(400))
    async with running(sqlite_database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].dead == 2, "both given up")
    with sqlite_database.session(readonly=True) as session:
        assert session.get_one(Destination, there_it_fails["destination_id"]).state == "off"
    assert [notice.title for notice in notices(sqlite_database)] == ["Telegram was switched off"]


async def test_a_place_that_lets_nothing_through_for_a_day_is_switched_off(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    """It spends no attempt of a message to be told to wait until it is of no use; it is a failure all the same."""
    there_it_fails = failing_place(sqlite_database, 4)
    put(sqlite_database, delivery("7", **there_it_fails))
    there.say("7", Reply(429, {"Retry-After": "10072"}))
    async with running(sqlite_database, settings, clock, ProviderChannel(there.url)):
        await eventually(lambda: statuses(sqlite_database) == ["expired"], "the end")
    with sqlite_database.session(readonly=True) as session:
        assert session.get_one(Destination, there_it_fails["destination_id"]).state == "off"
    assert "Telegram was switched off" in [notice.title for notice in notices(sqlite_database)]


async def test_a_group_that_moved_is_reached_where_it_is_now(
    sqlite_database: Database, settings: Settings, clock: Clock
) -> None:
    class Moved(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            return Handed("m1", recipient="-1007")

    with sqlite_database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "-7", NOW, confirmed=True)
    put(sqlite_database, delivery("-7", account_id=ann, destination_id=place.id))
    async with running(sqlite_database, settings, clock, Moved("")) as worker:
        await eventually(lambda: worker.reports["telegram"].sent == 1, "the message")
    with sqlite_database.session(readonly=True) as session:
        assert [each.id for each in destinations.at_address(session, "telegram", "-1007")] == [place.id]
        assert not destinations.at_address(session, "telegram", "-7")


async def test_what_was_left_by_a_worker_that_died_is_sent_under_the_same_key(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    (only,) = put(database, delivery(key="k"))
    assert len(claim(database)) == 1
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        clock.ms += LEASE_MS - 1
        await looked(database)
        assert there.arrivals == []
        clock.ms += 1
        await eventually(lambda: worker.reports["telegram"].sent == 1, "the message")
    assert (dict(there.taken), way(database, only)) == ({"k": 1}, ["queued", "uncertain", "accepted"])


@pytest.mark.parametrize("refused", [False, True])
async def test_what_becomes_of_a_deleted_message_is_not_noted_of_one_that_has_its_id(
    database: Database, settings: Settings, clock: Clock, there: Provider, refused: bool
) -> None:
    """SQLite gives the id of a deleted account's message to the next one, which may be somebody else's."""
    there.delay_s = 0.5
    there.say("a", Reply(410 if refused else 200))
    (only,) = put(database, delivery("a", key="of ann"))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: "a" in there.recipients(), "the message is on its way")
        with database.session() as session:
            session.delete(session.get_one(Delivery, only))
        put(database, delivery("b", key="of bob", id=only, due_ms=NOW + HOUR // 2))
        await eventually(lambda: worker.sending == 0, "what became of it")
        assert (stored(database, only).key, way(database, only)) == ("of bob", ["queued"])
        clock.ms += HOUR // 2
        await eventually(lambda: stored(database, only).status == "accepted", "the other one")
    assert there.recipients() == ["a", "b"]


async def test_a_worker_that_slept_past_its_lease_sends_nothing(
    database: Database, settings: Settings, clock: Clock, there: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Complaint 3: two senders, one paused past its lease: exactly one send."""
    put(database, delivery(key="k"))
    asleep, woken = asyncio.Event(), asyncio.Event()
    slow = worker_of(database, settings, clock, {"telegram": ProviderChannel(there.url)}, every_s=0.05)
    deliver = slow._deliver  # pyright: ignore[reportPrivateUsage]

    async def paused(*arguments: object) -> None:
        asleep.set()
        await woken.wait()
        await deliver(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(slow, "_deliver", paused)
    async with Supervisor() as tasks:
        tasks.start("delivery", slow.run)
        await eventually(asleep.is_set, "the claim of the one that is paused")
        clock.ms += LEASE_MS
        with monkeypatch.context() as patch:
            patch.setattr("flashcur.engine.delivery._steady_s", _later)
            async with running(database, settings, clock, ProviderChannel(there.url)) as quick:
                await eventually(lambda: quick.reports["telegram"].sent == 1, "the message")
            woken.set()
            await eventually(lambda: not slow.sending, "the one that was paused")
    assert dict(there.taken) == {"k": 1}
    assert statuses(database) == ["accepted"]


async def test_a_send_that_takes_longer_than_a_claim_is_not_taken_up_by_another(
    database: Database, settings: Settings, clock: Clock
) -> None:
    """Complaint 3: who lives renews its claims, however long its provider takes."""
    lease_ms, asked, answers = 1_500, list[str](), asyncio.Event()

    class Slow(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            asked.append(outgoing.key)
            await answers.wait()
            return Handed("m1", "accepted")

    (only,) = put(database, delivery(key="k"))
    async with running(database, settings, clock, Slow(""), lease_ms=lease_ms) as holder:
        await eventually(lambda: asked == ["k"], "the request")
        async with running(database, settings, clock, Slow(""), lease_ms=lease_ms) as other:
            while clock.ms <= NOW + 2 * lease_ms:
                clock.ms += 1_000
                # The clock stands until then: a second more, and the claim would be over.
                await eventually(lambda: stored(database, only).due_ms == clock.ms + lease_ms, "its renewal")
                await looked(database)
            answers.set()
            await eventually(lambda: holder.reports["telegram"].sent == 1, "the answer")
            assert other.reports["telegram"].sent == 0
    assert (asked, way(database, only)) == (["k"], ["queued", "accepted"])


async def test_what_a_worker_that_slept_was_sending_keeps_its_key(
    database: Database, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Complaint 3: nobody knows whether it arrived, so it comes again, under its key; and a failure that the one that
    slept learns of is nothing any more."""
    asked, answers = list[str](), asyncio.Event()

    class Failing(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            asked.append(outgoing.key)
            await answers.wait()
            raise Refused("no such chat")

    class Quick(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            asked.append(outgoing.key)
            return Handed("m1", "accepted")

    (only,) = put(database, delivery(key="k"))
    async with running(database, settings, clock, Failing("")) as slept:

        async def asleep() -> None:
            pass

        monkeypatch.setattr(slept, "_renew", asleep)
        await eventually(lambda: asked == ["k"], "the request")
        clock.ms += LEASE_MS
        async with running(database, settings, clock, Quick("")) as quick:
            await eventually(lambda: quick.reports["telegram"].sent == 1, "the message")
        answers.set()
        await eventually(lambda: not slept.sending, "the one that slept")
        assert slept.reports["telegram"].dead == 0
    assert (asked, way(database, only)) == (["k", "k"], ["queued", "uncertain", "accepted"])


def _later() -> float:
    """The steady clock, after the lease."""
    return asyncio.get_running_loop().time() + 2 * LEASE_MS / 1000


async def test_the_database_goes_away_in_the_middle_of_it(
    environ: dict[str, str], clock: Clock, there: Provider, own_postgres: PostgresServer
) -> None:
    settings = Settings.load({**environ, "DATABASE_URL": own_postgres.create_database("away")})
    database = Database(settings)
    database.migrate()
    there.delay_s = 0.3
    put(database, *(delivery(f"chat {number}") for number in range(20)))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: len(there.arrivals) == 20, "the messages")
        # Between the hand-over and the note.
        await asyncio.to_thread(own_postgres.stop)
        await eventually(lambda: len(there.taken) == 20, "their hand-over")
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: worker.reports["telegram"].sent == 20, "the notes", 20)
        await asyncio.to_thread(own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)
        await asyncio.to_thread(put, database, delivery("after"))
        await eventually(lambda: worker.reports["telegram"].sent == 21, "the next message", 30)
    assert set(there.taken.values()) == {1}
    assert set(statuses(database)) == {"accepted"}
    await asyncio.to_thread(database.close)


async def test_what_another_worker_could_not_note_while_the_database_was_away_is_left_to_it(
    environ: dict[str, str],
    clock: Clock,
    there: Provider,
    own_postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings.load({**environ, "DATABASE_URL": own_postgres.create_database("away")})
    database, others = Database(settings), Database(settings)
    database.migrate()
    there.delay_s = 0.3
    (only,) = put(database, delivery(key="k"))
    back = asyncio.Event()
    async with running(database, settings, clock, ProviderChannel(there.url)) as holder:
        note = holder._note_some  # pyright: ignore[reportPrivateUsage]

        async def later() -> None:
            if not back.is_set():
                raise DatabaseError("away")
            await note()

        # Before anything is handed over.
        monkeypatch.setattr(holder, "_note_some", later)
        await eventually(lambda: len(there.arrivals) == 1, "the message")
        async with running(others, settings, clock, ProviderChannel(there.url)) as other:
            await looked(others)
            await asyncio.to_thread(own_postgres.restart)
            await eventually(lambda: len(there.taken) == 1, "its hand-over")
            clock.ms += LEASE_MS
            # The other one finds the database again before the one that has something to note.
            await looked(others)
            assert way(database, only) == ["queued"]
            back.set()
            await eventually(lambda: holder.reports["telegram"].sent == 1, "the note", 20)
            assert other.reports["telegram"].sent == 0
    assert (dict(there.taken), way(database, only)) == ({"k": 1}, ["queued", "accepted"])
    for each in (database, others):
        await asyncio.to_thread(each.close)


async def test_a_clock_that_is_set_back_stops_nothing(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there.say("a", Reply(503))
    put(database, delivery("a"))
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].failed == 1, "a failure")
        put(database, delivery("b"))
        clock.ms -= 6 * HOUR
        put(database, delivery("c", now_ms=clock.ms), now_ms=clock.ms)
        await eventually(lambda: worker.reports["telegram"].sent == 3, "those of both times, and the one that failed")
    assert set(there.taken.values()) == {1}


async def test_an_outage_is_told_once_and_names_no_address(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flashcur.engine.delivery")

    class Telling(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            if there.down:
                raise DeliveryError(f"{outgoing.recipient} cannot be reached")
            return await super().send(outgoing)

    there.down = True
    put(sqlite_database, *(delivery(f"https://secret/{number}") for number in range(5)))
    async with running(sqlite_database, settings, clock, Telling(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].failed == 5, "failures")
        assert worker.reports["telegram"].state == "failing"
        there.down = False
        clock.ms += 10_000
        await eventually(lambda: worker.reports["telegram"].sent == 5, "the messages")
    assert caplog.text.count("is tried again") == 1
    assert caplog.text.count("are sent again") == 1
    assert "secret" not in caplog.text


async def test_a_defect_of_a_channel_puts_the_message_off(
    sqlite_database: Database, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ProviderChannel):
        async def send(self, outgoing: Outgoing) -> Handed:
            raise RuntimeError("broken")

    (only,) = put(sqlite_database, delivery())
    async with running(sqlite_database, settings, clock, Broken("")) as worker:
        await eventually(lambda: worker.reports["telegram"].failed == 1, "a failure")
    assert (stored(sqlite_database, only).status, stored(sqlite_database, only).problem) == (
        "retrying",
        "RuntimeError: broken",
    )
    assert "could not be sent" in caplog.text


async def test_a_channel_that_never_returns_is_left_in_time(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there.hangs = {"telegram"}
    (only,) = put(sqlite_database, delivery())
    async with running(sqlite_database, settings, clock, ProviderChannel(there.url), send_timeout_s=0.2) as worker:
        await eventually(lambda: worker.reports["telegram"].uncertain == 1, "its end")
    assert stored(sqlite_database, only).problem == "no answer within 0.2 s"


async def test_what_waits_for_a_channel_that_is_not_configured_expires(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    channel = ProviderChannel(there.url)
    channel.problem = "TELEGRAM_BOT_TOKEN is not set"
    (only,) = put(database, delivery())
    async with running(database, settings, clock, channel) as worker:
        assert worker.reports["telegram"].state == "not configured"
        assert await worker.tend() == "1 messages wait, 0 expired"
        clock.ms += HOUR
        assert await worker.tend() == "0 messages wait, 1 expired"
    assert (stored(database, only).status, there.arrivals) == ("expired", [])


async def test_what_is_due_and_not_taken_up_is_said(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    put(sqlite_database, delivery())
    channel = ProviderChannel(there.url)
    worker = worker_of(sqlite_database, settings, clock, {"telegram": channel})
    clock.ms += 301_000
    for _ in range(2):
        assert await worker.tend() == "1 messages wait, 0 expired, stalled: telegram"
    assert caplog.text.count("was not taken up") == 1
    assert worker.reports["telegram"].oldest_age_s == 301


async def test_a_worker_that_stops_finishes_what_it_has_begun(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there.delay_s = 0.2
    put(sqlite_database, delivery())
    async with running(sqlite_database, settings, clock, ProviderChannel(there.url)):
        await eventually(lambda: len(there.arrivals) == 1, "the request")
    assert statuses(sqlite_database) == ["accepted"]


async def test_a_provider_that_hangs_does_not_keep_the_worker_from_stopping(
    sqlite_database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    there.hangs = {"telegram"}
    put(sqlite_database, delivery())
    # Before the provider's own time is over.
    async with asyncio.timeout(SEND_TIMEOUT_S - 5):
        async with running(sqlite_database, settings, clock, ProviderChannel(there.url)):
            await eventually(lambda: len(there.arrivals) == 1, "the request")
    (row,) = all_stored(sqlite_database)
    assert row.status in ("uncertain", "sending")
    # Whoever comes next sends it again, under the same key.
    assert claim(sqlite_database, NOW + LEASE_MS)[0].delivery.key == row.key


async def test_demo_data_leaves_no_machine(
    database: Database, settings: Settings, clock: Clock, there: Provider
) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        alert = AlertRecord(
            key="d", account_id=ann, title="t", text="", demo=True, event_ms=1, seen_ms=1, stored_ms=1, hash="h"
        )
        session.add(alert)
        session.flush()
        outbox.write(session, [delivery(account_id=ann, alert_id=alert.id)], NOW)
    async with running(database, settings, clock, ProviderChannel(there.url)) as worker:
        await eventually(lambda: worker.reports["telegram"].dead == 1, "its end")
    assert (there.arrivals, all_stored(database)[0].problem) == ([], outbox.SIMULATED)


@pytest.mark.parametrize("forgets", [0.0, 0.3])
def test_a_worker_that_is_killed_at_any_moment_loses_nothing(
    database_url: str, environ: dict[str, str], forgets: float
) -> None:
    """Complaints 2 and 3: killed five times (bench/delivery does it 200 times)."""
    found = killed(
        {**environ, "DATABASE_URL": database_url}, messages=150, kills=5, forgets=forgets, chance=random.Random()
    )
    assert found.kills == 5
    assert found.lost == []
    # What came twice came under one key, and its ledger says that its end was not known.
    assert (found.untold, found.changed) == ([], [])
    assert found.unanswered <= found.doubled
    assert bool(found.unanswered) is bool(forgets)


def test_two_workers_that_are_killed_while_the_database_restarts_lose_nothing(
    environ: dict[str, str], own_postgres: PostgresServer
) -> None:
    """Complaints 2 and 3: the database goes away twice as well (bench/kills has a standby take its place)."""
    environ = {**environ, "DATABASE_URL": own_postgres.create_database("kills")}
    database = Database(Settings.load(environ))
    database.migrate()
    database.close()
    found = killed(
        environ,
        messages=200,
        kills=3,
        forgets=0.1,
        chance=random.Random(),
        workers=2,
        outages=[own_postgres.restart] * 2,
    )
    assert (found.kills, found.outages) == (3, 2)
    assert found.lost == []
    assert (found.needless, found.untold, found.changed) == ([], [], [])
    assert 0 < found.unanswered <= found.doubled


async def test_mail_that_is_given_up_is_told_to_its_owner(
    database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    now = from_ms(NOW)
    with database.session() as session:
        account_id = add_account(session, "ann@example.com", now)
        token = mail_tokens.make(session, "change-new", "new@example.com", now, account_id=account_id)
        enqueue(session, "new@example.com", "change-new", {"base": BASE, "token_id": token.id}, now)
        enqueue(session, "ann@example.com", "password-changed", {"base": BASE}, now)
        enqueue(session, "nobody@example.com", "password-changed", {"base": BASE}, now)
    sendgrid.script += [MailReply(400)] * 3
    async with running(database, settings, clock) as worker:
        await eventually(lambda: worker.reports["email"].dead == 3, "three mails given up")
        with database.session(readonly=True) as session:
            events = session.exec(select(AuditEvent)).all()
            assert {event.account_id for event in events} == {account_id}
            assert sorted(event.detail for event in events) == ["to an…@example.com", "to ne…@example.com"]
            assert {(event.kind, event.actor) for event in events} == {("mail-failed", "system")}
            # The pages that show the account read it anew.
            assert [change.account_id for change in session.exec(select(AccountChange))] == [account_id] * 2
        assert undelivered_to(database, account_id, NOW) == ["ann@example.com", "new@example.com"]
        # A mail that comes through is the end of it.
        with database.session() as session:
            enqueue(session, "ann@example.com", "password-changed", {"base": BASE}, now)
        await eventually(lambda: worker.reports["email"].sent == 1, "the next mail")
        assert undelivered_to(database, account_id, NOW) == ["new@example.com"]
        assert undelivered_to(database, account_id, NOW + 25 * HOUR) == []


def undelivered_to(database: Database, account_id: str, now_ms: int) -> list[str]:
    from flashcur.models import Account

    with database.session(readonly=True) as session:
        account = session.get_one(Account, account_id)
        return [each.recipient for each in undelivered.of_account(session, account, from_ms(now_ms))]


async def test_a_mail_whose_link_is_no_longer_valid_is_not_sent(
    sqlite_database: Database, settings: Settings, clock: Clock, sendgrid: SendGridServer
) -> None:
    with sqlite_database.session() as session:
        enqueue(session, "a@example.com", "reset", {"base": BASE, "token_id": "0" * 32}, from_ms(NOW))
        enqueue(session, "b@example.com", "changed", {"base": BASE}, from_ms(NOW))
    clock.ms += HOUR
    async with running(sqlite_database, settings, clock) as worker:
        await eventually(lambda: worker.reports["email"].sent == 1, "the other mail")
        await eventually(lambda: worker.reports["email"].expired == 1, "the end of the first")
    assert sendgrid.recipients == ["b@example.com"]
    assert statuses(sqlite_database) == ["expired", "accepted"]


async def test_the_engine_sends_mail_counts_it_and_forgets_it(
    live_settings: Settings, sqlite_database: Database, exchange: SimulatedExchange, sendgrid: SendGridServer
) -> None:
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(lambda: running.engine.office is not None, "an office")
        now_ms = running.office.status().as_of_ms
        with sqlite_database.session() as session:
            enqueue(session, "a@example.com", "changed", {"base": BASE}, from_ms(now_ms))
        old = now_ms - 31 * 24 * HOUR
        put(sqlite_database, delivery("b@example.com", "email", kind="mail", status="sent"), now_ms=old)
        kept = put(sqlite_database, delivery("7", status="sent"), now_ms=old)
        await eventually(lambda: running.office.delivery.reports["email"].sent == 1, "the mail")
        rendered = running.engine._metrics.render().decode()
        assert 'flashcur_deliveries_total{channel="email",outcome="sent"} 1.0' in rendered
        assert 'flashcur_deliveries_waiting{channel="email"} ' in rendered
        assert running.office.status().channels["email"].sent == 1
        # It runs once when the engine begins, which may be now.
        reports = {report.name: report for report in running.office.jobs.reports}
        first = reports["prune"], reports["prune accounts"], reports["deliveries"]
        await eventually(lambda: all(each.runs > 0 and not each.running for each in first), "the first pruning")
        await running.office.jobs.run("prune accounts")
        await running.office.jobs.run("deliveries")
        assert reports["deliveries"].ok
        with sqlite_database.session(readonly=True) as session:
            left = session.exec(select(Delivery).order_by(col(Delivery.created_ms)))
            assert [(row.id if row.id in kept else row.recipient) for row in left] == [*kept, "a@example.com"]


async def test_a_mail_setting_that_is_wrong_does_not_stop_the_market(
    live_environ: dict[str, str], sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flashcur.engine.delivery")
    settings = Settings.load({**live_environ, "SENDGRID_API_KEY": "SG.two words"})
    async with running_engine(settings, sqlite_database) as running:
        await eventually(lambda: bool(running.frames), "a frame", 20)
        assert running.office.delivery.reports["email"].state == "not configured"
    assert "SENDGRID_API_KEY: expected" in caplog.text
    assert "two words" not in caplog.text
