"""Alerts to deliveries: where each goes, what keeps it, and what the ledger says of it; on both kinds of database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select

from flashcur.domain.plans import CHANNELS
from flashcur.models import (
    AlertRecord,
    Delivery,
    LoginSession,
    RuleRecord,
    new_id,
)
from flashcur.services.accounts import limits
from flashcur.services.accounts.sessions import LIFETIME
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.alerts.receipts import chain, verify
from flashcur.services.kit.clock import from_ms, to_ms
from flashcur.services.notify import destinations, outbox
from flashcur.services.storage.database import Database
from tests.support.accounts import add_account, add_session
from tests.support.alert_world import BASE, HOUR_MS, World, make_world
from tests.support.alerts import NOON_MS, alert


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database)


def by_channel(rows: Sequence[Delivery]) -> dict[str, Delivery]:
    assert len({row.channel for row in rows}) == len(rows)
    return {row.channel: row for row in rows}


def test_an_alert_has_one_delivery_for_each_place_frozen_with_its_key(world: World) -> None:
    one = world.alert(urgent=True)
    rows = by_channel(world.tell(one))
    assert set(rows) == set(CHANNELS)
    assert rows["telegram"].recipient == "4711"
    assert rows["telegram"].destination_id == world.destination("telegram").id
    assert (rows["email"].recipient, rows["email"].destination_id) == ("ann@example.com", None)
    for name, row in rows.items():
        assert (row.alert_id, row.account_id, row.kind, row.urgent) == (one.id, world.account_id, "alert", True)
        assert row.status == ("delivered" if name == "in-app" else "queued")
        assert len(row.key) == 64
    assert len({row.key for row in rows.values()}) == len(rows)
    assert rows["sms"].payload["title"] == one.title
    assert rows["sms"].payload["link"] == f"{BASE}/alerts?tab=messages&alert={one.id}"
    assert rows["sms"].due_ms == one.stored_ms
    assert rows["sms"].expires_ms == one.event_ms + 3_600_000
    assert [channel.rendered for channel in world.channels.values()] == [1] * 7
    assert world.steps(rows["in-app"]) == [("delivered", "")]
    assert world.steps(rows["sms"]) == [("queued", "")]


def test_the_browser_shows_it_while_a_tab_is_open_or_says_that_none_was(world: World) -> None:
    row = by_channel(world.tell(world.alert()))["browser"]
    assert (row.status, row.problem) == ("queued", outbox.NO_TAB)
    assert row.expires_ms == NOON_MS + 120_000
    assert row.payload["title"] == "BTCUSDT crossed above 65,000"


def test_two_places_of_a_channel_get_it_each_under_a_key_of_its_own(world: World) -> None:
    with world.database.session() as session:
        destinations.keep(session, world.account_id, "telegram", "4712", 1, confirmed=True)
    rows = [row for row in world.tell(world.alert()) if row.channel == "telegram"]
    assert [row.recipient for row in rows] == ["4711", "4712"]
    assert rows[0].key != rows[1].key
    assert rows[0].payload == rows[1].payload
    assert world.channels["telegram"].rendered == 1


def test_a_rule_goes_by_its_own_channels_and_a_deleted_one_into_the_app(database: Database) -> None:
    world = make_world(database, ["in-app", "sms", "carrier-pigeon"])
    assert set(by_channel(world.tell(world.alert()))) == {"in-app", "sms"}
    assert set(by_channel(world.tell(world.alert(rule_id=None)))) == {"in-app"}


def test_another_accounts_rule_sends_nothing_to_its_places(world: World) -> None:
    with world.database.session() as session:
        other = add_account(session, "eve@example.com", from_ms(NOON_MS), plan="elite")
    rows = world.tell(alert(other, rule_id=world.rule_id))
    assert [(row.account_id, row.channel) for row in rows] == [(other, "in-app")]


def test_demo_data_stays_in_the_app(world: World) -> None:
    assert set(by_channel(world.tell(world.alert(demo=True)))) == {"in-app"}


def test_a_notice_goes_into_the_app_and_by_mail_whatever_the_plan(database: Database) -> None:
    world = make_world(database, plan="free")
    rows = by_channel(world.tell(world.alert(kind="notice", rule_id=None)))
    assert {name: row.kind for name, row in rows.items()} == {"in-app": "notice", "email": "notice"}
    world.change_account(email=None)
    (row,) = world.tell(world.alert(kind="notice", rule_id=None))
    assert (row.channel, world.steps(row)) == ("in-app", [("delivered", "")])


def test_what_was_missed_is_of_use_from_when_it_is_told(world: World) -> None:
    missed = world.alert(kind="missed", rule_id=None, evidence=of_rules(world.rule_id), stored_ms=NOON_MS + 9 * HOUR_MS)
    row = by_channel(world.tell(missed))["sms"]
    assert (row.status, row.expires_ms) == ("queued", NOON_MS + 10 * HOUR_MS)


def of_rules(*rule_ids: str) -> dict[str, Any]:
    return {"missed": [{"rule_id": each, "symbol": "BTCUSDT"} for each in rule_ids]}


def test_what_was_missed_goes_where_its_rules_go(world: World) -> None:
    with world.database.session() as session:
        silent = RuleRecord(account_id=world.account_id, channels=["in-app"], created_ms=0, changed_ms=0)
        session.add(silent)
        session.flush()
        silent_id = silent.id
    missed = world.alert(kind="missed", rule_id=None, evidence=of_rules(silent_id, world.rule_id))
    assert set(by_channel(world.tell(missed))) == set(CHANNELS)
    quiet = world.alert(kind="missed", rule_id=None, evidence=of_rules(silent_id, "none"))
    assert set(by_channel(world.tell(quiet))) == {"in-app"}


def not_sent(world: World) -> str:
    (row,) = [row for row in world.tell(world.alert()) if row.channel == "in-app"]
    ((_, detail),) = world.steps(row)
    return detail


def test_the_ledger_says_of_each_channel_why_nothing_was_sent_by_it(database: Database) -> None:
    """Complaint 26 (part): an ended plan, a place that is off or an address that is suppressed is no silent nothing."""
    world = make_world(database, ["in-app", "telegram"], plan="free")
    assert not_sent(world) == "Not sent by Telegram: it comes with Elite."
    world.change_account(plan="elite")
    assert not_sent(world) == ""
    world.change_account(plan_until=datetime(2026, 11, 1, tzinfo=UTC))
    assert not_sent(world) == "Not sent by Telegram: it comes with Elite."
    world.change_account(plan_until=None)
    world.channels["telegram"].problem = "This site cannot send Telegram messages yet."
    assert not_sent(world) == "Not sent by Telegram: this site cannot send Telegram messages yet."
    del world.channels["telegram"]
    assert not_sent(world) == "Not sent by Telegram: this site cannot send Telegram messages yet."


def test_nothing_is_written_for_browsers_that_show_nothing(database: Database) -> None:
    """It could only expire: neither a permission that was withdrawn nor a session that is over reaches anybody."""
    world = make_world(database, ["in-app", "browser"])
    assert set(by_channel(world.tell(world.alert()))) == {"in-app", "browser"}
    late = world.alert(NOON_MS + to_ms(from_ms(0) + LIFETIME))
    assert set(by_channel(world.tell(late))) == {"in-app"}
    with database.session() as session:
        login = session.exec(select(LoginSession)).one()
        login.notifies = False
        session.add(login)
    # By the account's other browsers nothing is known of this one.
    with database.session() as session:
        add_session(session, add_account(session, "eve@example.com", from_ms(NOON_MS)), from_ms(NOON_MS), notifies=True)
    assert not_sent(world) == "Not sent by browser notification: none of your browsers allows notifications."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "off", "why": "The bot was blocked."}, "“My phone” is switched off"),
        ({"state": "unconfirmed", "name": ""}, "it is not confirmed yet"),
    ],
)
def test_the_ledger_names_the_place_that_is_off(database: Database, changes: dict[str, str], said: str) -> None:
    """Complaint 26 (part)."""
    world = make_world(database, ["telegram"])
    row = world.destination("telegram")
    row.name = "My phone"
    for name, value in changes.items():
        setattr(row, name, value)
    world.update(row)
    assert not_sent(world) == f"Not sent by Telegram: {said}."


def test_nothing_is_sent_to_an_address_that_is_suppressed(database: Database) -> None:
    """Complaint 26 (part), and what 22 and 23 lead to."""
    world = make_world(database, ["sms", "email", "slack"], connected={"sms": "+447700900123"})
    with database.session() as session:
        destinations.suppress(session, "sms", "+447700900123", "stop", "", 0)
        destinations.suppress(session, "email", "ann@example.com", "bounce", "", 0)
    assert not_sent(world) == (
        "Not sent by email: mail to this address bounced; SMS: STOP was sent from this number; "
        "Slack: it is not connected yet."
    )


def test_what_is_too_late_for_its_channel_says_so_at_once(world: World) -> None:
    rows = by_channel(world.tell(world.alert(), at_ms=NOON_MS + HOUR_MS))
    assert {name: row.status for name, row in rows.items() if row.status != "expired"} == {"in-app": "delivered"}
    assert world.steps(rows["sms"]) == [("expired", "It would have arrived too late to be useful.")]


def test_from_the_fourth_in_a_minute_on_messages_are_held_and_say_so(world: World) -> None:
    """Complaint 6 (part): nothing stops silently; the ledger says that it is gathered, and nothing is lost."""
    told = [by_channel(world.tell(world.alert(NOON_MS + 1000 * number))) for number in range(6)]
    assert [rows["telegram"].status for rows in told] == ["queued"] * 3 + ["held"] * 3
    assert {rows["in-app"].status for rows in told} == {"delivered"}
    due = {rows["telegram"].due_ms for rows in told[3:]}
    assert due == {NOON_MS + 95 + 60_000}
    assert world.steps(told[3]["telegram"]) == [
        ("held", "More than three messages within a minute: it waits until 27 Nov 12:01 UTC.")
    ]
    # A minute later the first has left the window.
    late = by_channel(world.tell(world.alert(NOON_MS + 59_000), at_ms=NOON_MS + 60_096))
    assert late["telegram"].status == "held", "what waits takes along what comes"


def test_a_storm_in_one_transaction_is_held_as_well(world: World) -> None:
    rows = world.tell(*[world.alert(NOON_MS + number) for number in range(50)])
    assert [row.status for row in rows if row.channel == "sms"].count("held") == 47


def test_another_place_and_another_account_are_not_concerned(world: World) -> None:
    with world.database.session() as session:
        other = add_account(session, "bob@example.com", from_ms(NOON_MS), plan="elite")
        rule = RuleRecord(account_id=other, channels=["email"], created_ms=0, changed_ms=0)
        session.add(rule)
        session.flush()
        rule_id = rule.id
    world.tell(*[world.alert() for _ in range(10)])
    rows = by_channel(world.tell(alert(other, rule_id=rule_id)))
    assert rows["email"].status == "queued"


def test_over_the_cap_a_message_stands_in_the_app_and_one_notice_says_so(world: World) -> None:
    world.change(daily_cap=2)
    world.change_account(time_zone="Asia/Kathmandu")
    with world.database.session() as session:
        row = session.get_one(RuleRecord, world.rule_id)
        row.channels = ["in-app", "browser", "telegram", "sms"]
        session.add(row)
    first = by_channel(world.tell(world.alert()))
    assert first["telegram"].status == first["sms"].status == "queued"
    second = world.tell(world.alert(NOON_MS + 1000))
    told = {(row.kind, row.channel): row for row in second}
    assert {key: row.status for key, row in told.items()} == {
        ("alert", "in-app"): "delivered",
        ("alert", "browser"): "queued",
        ("alert", "sms"): "capped",
        ("alert", "telegram"): "capped",
        ("notice", "in-app"): "delivered",
        ("notice", "sms"): "queued",
    }
    assert world.steps(told["alert", "sms"]) == [
        ("capped", "You reached your daily cap of 2, so this is only in the app.")
    ]
    assert told["notice", "sms"].payload["title"] == "You reached your daily cap of 2 messages"
    assert told["notice", "sms"].payload["lines"][0].startswith("Until 28 Nov at 00:00:00 UTC+05:45")
    # Once a day.
    assert {row.kind for row in world.tell(world.alert(NOON_MS + 2000))} == {"alert"}
    # The next local day begins at 18:15 UTC.
    before = by_channel(world.tell(world.alert(), at_ms=to_ms(datetime(2026, 11, 27, 18, 14, 59, tzinfo=UTC))))
    assert before["telegram"].status == "expired"
    morning_ms = to_ms(datetime(2026, 11, 27, 18, 15, tzinfo=UTC))
    assert by_channel(world.tell(world.alert(morning_ms)))["telegram"].status == "queued"
    with world.database.session(readonly=True) as session:
        rows = [row.model_dump() for row in session.exec(select(AlertRecord).order_by(col(AlertRecord.id)))]
    assert [row["kind"] for row in rows].count("notice") == 1
    assert verify(rows).broken is None


def test_in_quiet_hours_messages_are_held_until_their_end(world: World) -> None:
    """11:00 to 13:00 UTC is 13:00 to 15:00 in Kyiv, which is quiet there."""
    world.change(quiet=True, quiet_from_min=13 * 60, quiet_until_min=15 * 60)
    world.change_account(time_zone="Europe/Kyiv")
    rows = by_channel(world.tell(world.alert()))
    assert {name for name, row in rows.items() if row.status == "held"} == set(CHANNELS) - {"in-app"}
    end_ms = to_ms(datetime(2026, 11, 27, 13, 0, tzinfo=UTC))
    assert {row.due_ms for row in rows.values() if row.status == "held"} == {end_ms}
    assert world.steps(rows["sms"]) == [("held", "Your quiet hours: it waits until 27 Nov 15:00 EET.")]
    assert rows["sms"].expires_ms == end_ms + 3_600_000


def test_urgent_ones_pass_quiet_hours_where_their_owner_wants_it_and_no_mute(world: World) -> None:
    world.change(quiet=True, quiet_from_min=0, quiet_until_min=23 * 60)
    assert by_channel(world.tell(world.alert(urgent=True)))["sms"].status == "queued"
    world.change(urgent_passes=False)
    assert by_channel(world.tell(world.alert(urgent=True)))["sms"].status == "held"
    world.change(quiet=False, urgent_passes=True, muted_until_ms=NOON_MS + HOUR_MS)
    muted = by_channel(world.tell(world.alert(urgent=True)))["sms"]
    assert (muted.status, muted.due_ms) == ("held", NOON_MS + HOUR_MS)
    assert world.steps(muted) == [("held", "You muted your alerts: it waits until 27 Nov 13:00 UTC.")]
    assert by_channel(world.tell(world.alert(NOON_MS + HOUR_MS)))["in-app"].status == "delivered"


def test_a_notice_waits_for_the_morning_but_for_no_summary(world: World) -> None:
    notices = [world.alert(kind="notice", rule_id=None) for _ in range(5)]
    assert {row.status for row in world.tell(*notices) if row.channel == "email"} == {"queued"}
    world.change(quiet=True, quiet_from_min=0, quiet_until_min=23 * 60)
    rows = by_channel(world.tell(world.alert(kind="notice", rule_id=None)))
    assert rows["email"].status == "held"


def test_an_account_that_was_deleted_meanwhile_gets_nothing(world: World) -> None:
    gone = alert(new_id())
    with world.database.session() as session:
        assert chain(session, [gone]) == []
        assert dispatch(session, [gone], world.channels, NOON_MS, BASE) == []


def test_an_account_gets_so_many_sms_a_day_and_the_ledger_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Complaint 20: a cap a day for each account, and for each country; other channels are not concerned."""
    monkeypatch.setattr(limits, "SMS_ACCOUNT", limits.Limit("sms-account", 1, 86_400, "SMS for this account"))
    first, second = (by_channel(world.tell(world.alert())) for _ in range(2))
    assert (first["sms"].status, second["sms"].status) == ("queued", "capped")
    ((status, detail),) = world.steps(second["sms"])
    assert (status, "Too many text messages today" in detail) == ("capped", True)
    assert second["telegram"].status == "queued"
