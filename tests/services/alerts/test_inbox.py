"""The newest alerts, the ledger page by page, and what an owner does with them, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import delete
from sqlmodel import col

from flashcur.domain.delivery.status import STATUSES
from flashcur.errors import SignInNeeded
from flashcur.models import AlertRecord, AlertSettings, Delivery
from flashcur.services.accounts import sessions
from flashcur.services.alerts import inbox
from flashcur.services.alerts.inbox import LedgerCursor, LedgerFilter
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import Services
from tests.support.ledger import add_alert, add_delivery

NOON_MS = 1_795_694_400_000


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    yield services
    services.close()


def keys(database: Database, account_id: str, wanted: LedgerFilter | None = None, limit: int = 25) -> list[str]:
    """Of all pages, one after another."""
    found: list[str] = []
    after: LedgerCursor | None = None
    while True:
        with database.session(readonly=True) as session:
            page = inbox.page(session, account_id, wanted or LedgerFilter(), after, limit)
        found += [entry.key for entry in page.entries]
        if page.next is None:
            return found
        after = LedgerCursor.parse(str(page.next))


def test_pages_hold_every_message_once_in_its_order_and_nobody_else_s(services: Services) -> None:
    one, other = services.person("one@example.com"), services.person("other@example.com")
    expected: list[tuple[int, bool, int]] = []
    with services.database.session() as session:
        for number in range(23):
            # Some of them at one moment, alerts and messages of no alert mixed.
            at_ms = NOON_MS + (number // 4) * 1000
            if number % 3:
                expected.append((at_ms, True, add_alert(session, one.account_id, at_ms).id or 0))
            else:
                test = add_delivery(session, None, "telegram", at_ms, one.account_id, kind="test")
                expected.append((at_ms, False, test.id or 0))
            add_alert(session, other.account_id, at_ms)
        # Mail of the account is no message of its rules.
        add_delivery(session, None, "email", NOON_MS, one.account_id, kind="mail")
    wanted = [f"{'a' if alert else 'd'}{id_}" for _, alert, id_ in sorted(expected, reverse=True)]
    for limit in (1, 2, 5, 22, 23, 24):
        assert keys(services.database, one.account_id, limit=limit) == wanted
    assert len(keys(services.database, other.account_id)) == 23


def test_a_message_shows_each_step_of_its_ways(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        alert = add_alert(session, person.account_id, NOON_MS)
        telegram = add_delivery(session, alert, "telegram", NOON_MS)
        add_delivery(session, alert, "email", NOON_MS)
        outbox.record(session, telegram, "retrying", NOON_MS + 900, "429 Too Many Requests")
        outbox.record(session, telegram, "delivered", NOON_MS + 5_000)
    with services.database.session(readonly=True) as session:
        [entry] = inbox.page(session, person.account_id, LedgerFilter()).entries
    steps = {way.delivery.channel: [(s.status, s.at_ms, s.detail) for s in way.steps] for way in entry.ways}
    assert steps == {
        "telegram": [
            ("queued", NOON_MS, ""),
            ("retrying", NOON_MS + 900, "429 Too Many Requests"),
            ("delivered", NOON_MS + 5_000, ""),
        ],
        "email": [("queued", NOON_MS, "")],
    }


def test_of_a_long_way_the_last_steps_are_read(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        alert = add_alert(session, person.account_id, NOON_MS)
        telegram, mail = (add_delivery(session, alert, channel, NOON_MS) for channel in ("telegram", "email"))
        for number in range(100):
            outbox.record(session, telegram, "retrying", NOON_MS + number)
        outbox.record(session, mail, "delivered", NOON_MS + 5_000)
    with services.database.session(readonly=True) as session:
        [entry] = inbox.page(session, person.account_id, LedgerFilter()).entries
    moments = {way.delivery.channel: [step.at_ms - NOON_MS for step in way.steps] for way in entry.ways}
    assert moments["telegram"] == list(range(100 - inbox.MOST_STEPS, 100))
    assert moments["email"][-1] == 5_000


def test_filters_find_what_has_such_a_delivery(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        plain = add_alert(session, person.account_id, NOON_MS)
        failed = add_alert(session, person.account_id, NOON_MS + 1)
        add_delivery(session, plain, "telegram", NOON_MS)
        add_delivery(session, failed, "sms", NOON_MS)
        outbox.give_up(session, add_delivery(session, failed, "telegram", NOON_MS), "blocked", NOON_MS)
        test = add_delivery(session, None, "sms", NOON_MS + 2, person.account_id, kind="test")
    found = {
        "telegram": keys(services.database, person.account_id, LedgerFilter(channel="telegram")),
        "sms": keys(services.database, person.account_id, LedgerFilter(channel="sms")),
        "dead": keys(services.database, person.account_id, LedgerFilter(status="dead")),
        # One delivery has to be both.
        "dead sms": keys(services.database, person.account_id, LedgerFilter(status="dead", channel="sms")),
        "alert": keys(services.database, person.account_id, LedgerFilter(alert_id=plain.id or 0)),
        "rule": keys(services.database, person.account_id, LedgerFilter(rule_id="0" * 32)),
    }
    assert found == {
        "telegram": [f"a{failed.id}", f"a{plain.id}"],
        "sms": [f"d{test.id}", f"a{failed.id}"],
        "dead": [f"a{failed.id}"],
        "dead sms": [],
        "alert": [f"a{plain.id}"],
        "rule": [],
    }


@pytest.mark.parametrize("value", ["", "x", "-1", "0" * 40, "1' OR 1", "⅓", "999999999999999999999"])
def test_an_address_that_is_not_understood_asks_for_all(value: str) -> None:
    params = {name: value for name in ("status", "channel", "rule", "alert")}
    assert LedgerFilter.parse(params) == LedgerFilter()
    assert LedgerCursor.parse(value) is None
    assert LedgerFilter.parse({"status": STATUSES[0], "channel": "sms"}) == LedgerFilter(STATUSES[0], "sms")


def test_a_summary_says_how_many_it_tells(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        held = [
            add_delivery(session, add_alert(session, person.account_id, NOON_MS + n), "sms", NOON_MS) for n in range(4)
        ]
        summary = add_delivery(session, None, "sms", NOON_MS + 60_000, person.account_id, kind="summary")
        for each in held:
            each.merged_into = summary.id
            outbox.record(session, each, "merged", NOON_MS + 60_000)
    with services.database.session(readonly=True) as session:
        newest = inbox.page(session, person.account_id, LedgerFilter()).entries[0]
    assert newest.key == f"d{summary.id}"
    assert newest.gathers == 4
    assert [alert.id for alert in newest.told] == sorted((each.alert_id or 0 for each in held), reverse=True)


def test_a_summary_tells_what_it_told_though_its_alerts_were_deleted(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        alerts = [add_alert(session, person.account_id, NOON_MS + n) for n in range(3)]
        held = [add_delivery(session, alert, "sms", NOON_MS) for alert in alerts]
        summary = add_delivery(session, None, "sms", NOON_MS + 60_000, person.account_id, kind="summary")
        for each in held:
            each.merged_into = summary.id
    for gone, left in ((alerts[:1], alerts[:0:-1]), (alerts[1:], [])):
        with services.database.session() as session:
            session.exec(delete(AlertRecord).where(col(AlertRecord.id).in_([alert.id for alert in gone])))
        with services.database.session(readonly=True) as session:
            entries = inbox.page(session, person.account_id, LedgerFilter()).entries
        (summed,) = [entry for entry in entries if entry.ways[0].delivery.kind == "summary"]
        assert (summed.gathers, [alert.id for alert in summed.told]) == (3, [alert.id for alert in left])


def test_of_each_summary_the_newest_alerts_are_listed(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_TOLD", 2)
    person, other = services.person("one@example.com"), services.person("other@example.com")
    expected: list[list[int]] = []
    with services.database.session() as session:
        for night, owner in enumerate((person, person, other)):
            alerts = [add_alert(session, owner.account_id, NOON_MS + n) for n in range(3)]
            held = [add_delivery(session, alert, "sms", NOON_MS) for alert in alerts]
            digest = add_delivery(session, None, "sms", NOON_MS + 60_000 + night, owner.account_id, kind="digest")
            for each in held:
                each.merged_into = digest.id
            expected.append([alert.id or 0 for alert in alerts[:0:-1]])
    with services.database.session(readonly=True) as session:
        entries = inbox.page(session, person.account_id, LedgerFilter()).entries
    told = [[alert.id for alert in entry.told] for entry in entries if entry.alert is None]
    assert told == [expected[1], expected[0]]
    assert [entry.gathers for entry in entries if entry.alert is None] == [3, 3]


def test_a_digest_is_one_message_with_all_its_places(services: Services) -> None:
    person, other = services.person("one@example.com"), services.person("other@example.com")
    night_ms = NOON_MS + 3_600_000
    with services.database.session() as session:
        alerts = [add_alert(session, person.account_id, NOON_MS + n) for n in range(3)]
        test = add_delivery(session, None, "sms", night_ms, person.account_id, kind="test")
        # What is urgent is told apart: one channel may have two.
        parts = (("telegram", alerts[:2]), ("telegram", alerts[2:]), ("email", alerts[1:]))
        digests: list[Delivery] = []
        for channel, told in parts:
            held = [add_delivery(session, alert, channel, NOON_MS) for alert in told]
            digest = add_delivery(session, None, channel, night_ms, person.account_id, kind="digest")
            digests.append(digest)
            for each in held:
                each.merged_into = digest.id
        add_delivery(session, None, "email", night_ms, other.account_id, kind="digest")
        summary = add_delivery(session, None, "email", night_ms, person.account_id, kind="summary")
        later = add_delivery(session, None, "email", night_ms + 1, person.account_id, kind="digest")
        outbox.give_up(session, digests[2], "unknown mailbox", night_ms)
    first = f"d{digests[0].id}"
    alone = [f"d{later.id}", f"d{summary.id}", first, f"d{test.id}"]
    for limit in (1, 2, 3, 25):
        assert keys(services.database, person.account_id, limit=limit)[:4] == alone
    for wanted in (LedgerFilter(status="dead"), LedgerFilter(channel="telegram", status="queued")):
        assert first in keys(services.database, person.account_id, wanted)
    assert first not in keys(services.database, person.account_id, LedgerFilter(channel="telegram", status="dead"))
    with services.database.session(readonly=True) as session:
        page = inbox.page(session, person.account_id, LedgerFilter(status="dead"))
        # Whichever of its deliveries moves, the whole is told anew.
        (moved,) = inbox.entries_of(session, person.account_id, [], [digests[1].id or 0])
    for entry in (page.entries[0], moved):
        assert (entry.key, entry.gathers) == (first, 3)
        assert [way.delivery.channel for way in entry.ways] == ["telegram", "telegram", "email"]
        assert [alert.id for alert in entry.told] == [alert.id for alert in alerts[::-1]]


def test_what_changed_is_read_anew_for_its_owner_only(services: Services) -> None:
    one, other = services.person("one@example.com"), services.person("other@example.com")
    with services.database.session() as session:
        alert = add_alert(session, one.account_id, NOON_MS)
        sent = add_delivery(session, alert, "sms", NOON_MS)
        test = add_delivery(session, None, "telegram", NOON_MS, one.account_id, kind="test")
    alert_ids, delivery_ids = [alert.id or 0], [sent.id or 0, test.id or 0]
    with services.database.session(readonly=True) as session:
        found = inbox.entries_of(session, one.account_id, [], delivery_ids)
        assert [entry.key for entry in found] == [f"a{alert.id}", f"d{test.id}"]
        assert inbox.entries_of(session, other.account_id, alert_ids, delivery_ids) == []


def test_of_test_messages_the_newest_of_each_place_is_shown_for_a_while(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        add_delivery(session, None, "sms", NOON_MS - inbox.TESTS_FOR_MS, person.account_id, kind="test")
        add_delivery(session, None, "telegram", NOON_MS - 60_000, person.account_id, kind="test")
        newest = add_delivery(session, None, "telegram", NOON_MS, person.account_id, kind="test")
    with services.database.session(readonly=True) as session:
        assert [way.delivery.id for way in inbox.tests(session, person.account_id, NOON_MS)] == [newest.id]


async def test_what_was_read_never_goes_back_nor_ahead_of_what_there_is(services: Services) -> None:
    person, stranger = services.person(), services.person("other@example.com")
    with services.database.session() as session:
        first, last = (add_alert(session, person.account_id, NOON_MS + n).id or 0 for n in range(2))
        foreign = add_alert(session, stranger.account_id, NOON_MS).id or 0

    def read() -> int:
        with services.database.session(readonly=True) as session:
            row = session.get(AlertSettings, person.account_id)
            return 0 if row is None else row.alerts_read

    await services.inbox.read(person.caller, last)
    await services.inbox.read(person.caller, first)
    assert read() == last
    await services.inbox.read(person.caller, foreign + 1_000)
    assert read() == last
    with services.database.session() as session:
        sessions.end_all(session, person.account_id)
    with pytest.raises(SignInNeeded):
        await services.inbox.read(person.caller, last)


async def test_a_notification_that_a_tab_showed_is_delivered_and_only_then(services: Services) -> None:
    person, stranger = services.person(), services.person("other@example.com")
    with services.database.session() as session:
        alert = add_alert(session, person.account_id, NOON_MS)
        waiting = add_delivery(session, alert, "browser", NOON_MS)
        late = add_delivery(session, add_alert(session, person.account_id, NOON_MS), "browser", NOON_MS)
        outbox.record(session, late, "expired", NOON_MS + 120_000, "You had no FlashCur tab open.")
        phone = add_delivery(session, alert, "telegram", NOON_MS)
    alert_id = alert.id or 0

    def status(delivery: Delivery) -> str:
        with services.database.session(readonly=True) as session:
            found = session.get(Delivery, delivery.id)
            return "" if found is None else found.status

    assert await services.inbox.acknowledge(stranger.caller, alert_id) == 0
    assert status(waiting) == "queued"
    assert await services.inbox.acknowledge(person.caller, alert_id) == 1
    # A second browser of the owner shows it, too.
    assert await services.inbox.acknowledge(person.caller, alert_id) == 0
    assert await services.inbox.acknowledge(person.caller, late.alert_id or 0) == 0
    assert (status(waiting), status(late), status(phone)) == ("delivered", "expired", "queued")
