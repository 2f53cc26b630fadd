"""What is held becomes one message for each place, once, whoever dies meanwhile; on both kinds of database."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from flashcur.domain.delivery.batching import MOST_A_MINUTE
from flashcur.models import AlertRecord, AlertSettings, Delivery, DeliveryStep
from flashcur.services.accounts import limits
from flashcur.services.alerts.gathering import Gathered, due_accounts, gather
from flashcur.services.alerts.inbox import acknowledge
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import destinations
from flashcur.services.storage.database import Database
from tests.support.alert_world import BASE, HOUR_MS, World, make_world
from tests.support.alerts import NOON_MS

MINUTE_MS = 60_000
CHANNELS = ("in-app", "telegram", "email")


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database, CHANNELS)


def gathered(world: World, at_ms: int) -> Gathered:
    """As the job does it, but for one account."""
    return world.database.work(lambda session: gather(session, world.account_id, world.channels, at_ms, BASE))


def rows(world: World, channel: str = "telegram") -> list[Delivery]:
    with world.database.session(readonly=True) as session:
        query = select(Delivery).where(Delivery.channel == channel).order_by(col(Delivery.id))
        return list(session.exec(query))


def due_now(world: World, at_ms: int) -> list[str]:
    with world.database.session(readonly=True) as session:
        return due_accounts(session, at_ms)


def test_a_storm_becomes_one_summary_with_count_and_names(world: World) -> None:
    """Complaint 6: twenty alerts in a minute are three messages and one that tells of the seventeen others."""
    world.tell(*[world.alert(NOON_MS + number, symbol=f"COIN{number % 5}USDT") for number in range(20)])
    assert due_now(world, NOON_MS + MINUTE_MS) == []
    assert gathered(world, NOON_MS + MINUTE_MS) == Gathered()
    end_ms = NOON_MS + 19 + 95 + MINUTE_MS
    assert due_now(world, end_ms) == [world.account_id]
    assert gathered(world, end_ms) == Gathered(2, 34)
    found = rows(world)
    assert Counter(row.status for row in found) == {"queued": 4, "merged": 17}
    summary = found[-1]
    assert (summary.kind, summary.alert_id, summary.recipient) == ("summary", None, "4711")
    assert summary.payload["title"] == (
        "17 more alerts within a minute: COIN3USDT 4, COIN4USDT 4, COIN0USDT 3 and 2 other contracts"
    )
    assert (len(summary.payload["lines"]), summary.payload["more"]) == (10, 7)
    assert (summary.due_ms, summary.expires_ms) == (end_ms, end_ms + HOUR_MS)
    merged = [row for row in found if row.status == "merged"]
    assert {row.merged_into for row in merged} == {summary.id}
    assert [status for status, _ in world.steps(merged[0])] == ["held", "merged"]
    assert world.steps(merged[0])[-1][1] == "Told in a summary of 17."
    assert gathered(world, end_ms + 1000) == Gathered(), "nothing is told twice"


def test_one_alone_goes_as_it_was_frozen(world: World) -> None:
    told = world.tell(*[world.alert(NOON_MS + number) for number in range(MOST_A_MINUTE + 1)])
    (waiting,) = [row for row in told if row.channel == "telegram" and row.status == "held"]
    end_ms = waiting.due_ms
    assert gathered(world, end_ms) == Gathered(2, 2)
    (sent,) = [row for row in rows(world) if row.id == waiting.id]
    assert (sent.status, sent.payload, sent.key) == ("queued", waiting.payload, waiting.key)
    assert (sent.due_ms, sent.expires_ms, sent.problem) == (end_ms, end_ms + HOUR_MS, "")
    assert len(rows(world)) == MOST_A_MINUTE + 1


def test_one_alone_goes_to_where_its_place_is_by_then(world: World) -> None:
    """A chat that moved, and an account with another address, which has a destination by now."""
    world.tell(*[world.alert(NOON_MS + number) for number in range(MOST_A_MINUTE + 1)])
    with world.database.session() as session:
        chat = session.merge(world.destination("telegram"))
        destinations.move(session, chat, "-100500")
        own = destinations.keep(session, world.account_id, "email", "", NOON_MS, confirmed=True)
        session.flush()
        own_id = own.id
    world.change_account(email="new@example.com")
    assert gathered(world, NOON_MS + MINUTE_MS + 200) == Gathered(2, 2)
    assert (rows(world)[-1].status, rows(world)[-1].recipient) == ("queued", "-100500")
    mail = rows(world, "email")[-1]
    assert (mail.status, mail.recipient, mail.destination_id) == ("queued", "new@example.com", own_id)


def night(world: World, **more: Any) -> int:
    """Quiet hours that began at noon, UTC; returns when they end."""
    world.change(quiet=True, quiet_from_min=12 * 60, quiet_until_min=20 * 60, **more)
    return to_ms(datetime(2026, 11, 27, 20, 0, tzinfo=UTC))


def test_after_a_night_one_digest_tells_it_all(world: World) -> None:
    """Complaint 11 (part): one digest on a date, and nothing within the quiet hours."""
    end_ms = night(world)
    for hour in range(5):
        world.tell(world.alert(NOON_MS + hour * HOUR_MS, title=f"BTCUSDT crossed above 65,{hour}00"))
    assert {row.status for row in rows(world)} == {"held"}
    assert gathered(world, end_ms - 1) == Gathered()
    assert gathered(world, end_ms) == Gathered(2, 10)
    digest = rows(world)[-1]
    assert (digest.kind, digest.status) == ("digest", "queued")
    assert digest.payload["title"] == "5 alerts since 27 Nov 12:00 UTC: BTCUSDT"
    assert digest.payload["lines"][0] == "16:00:01 BTCUSDT crossed above 65,400"
    assert due_now(world, end_ms + 24 * HOUR_MS) == []


@pytest.mark.parametrize("quiet", [True, False], ids=["night", "storm"])
def test_tabs_gather_for_themselves_and_show_nothing_before_its_time(database: Database, quiet: bool) -> None:
    world = make_world(database, ["in-app", "browser"])
    end_ms = night(world) if quiet else NOON_MS + 2 * MINUTE_MS
    world.tell(*[world.alert(NOON_MS + number) for number in range(MOST_A_MINUTE + 2)])
    held = [row for row in rows(world, "browser") if row.status == "held"]
    assert len(held) == (MOST_A_MINUTE + 2 if quiet else 2)

    def shown(row: Delivery) -> int:
        return database.work(lambda session: acknowledge(session, world.account_id, row.alert_id or 0, end_ms + 1))

    # A page that is told so shows none of them in a quiet hour.
    assert shown(held[0]) == 0
    assert gathered(world, end_ms) == Gathered(1, len(held))
    after = rows(world, "browser")
    assert len(after) == MOST_A_MINUTE + 2
    assert {row.status for row in after} == {"queued"}
    assert {row.due_ms for row in after if row.id in {each.id for each in held}} == {end_ms}
    assert [shown(row) for row in after] == [1] * len(after)


def test_what_the_last_minute_of_a_night_held_is_no_more_than_itself(world: World) -> None:
    """Quiet hours that end at once: nothing had come before, and nothing is told as if it had."""
    end_ms = night(world)
    world.tell(*[world.alert(end_ms - MINUTE_MS + number) for number in range(5)])
    assert gathered(world, end_ms) == Gathered(2, 10)
    assert rows(world)[-1].payload["title"] == "5 alerts within a minute: BTCUSDT"


def test_a_single_alert_of_a_night_is_a_digest_as_well(world: World) -> None:
    end_ms = night(world)
    world.tell(world.alert())
    assert gathered(world, end_ms) == Gathered(2, 2)
    assert rows(world)[-1].payload["title"] == "1 alert since 27 Nov 12:00 UTC: BTCUSDT"


def test_urgent_ones_do_not_wait_for_the_morning_with_the_rest(world: World) -> None:
    """Held in a storm just before the night begins."""
    begin_ms = to_ms(datetime(2026, 11, 27, 11, 59, 50, tzinfo=UTC))
    for number in range(8):
        world.tell(world.alert(begin_ms + number, urgent=number % 2 == 0))
    end_ms = night(world)
    assert gathered(world, begin_ms + MINUTE_MS + 200) == Gathered(2, 4)
    held = [row for row in rows(world) if row.status == "held"]
    assert {(row.urgent, row.due_ms) for row in held} == {(False, end_ms)}
    assert [status for status, _ in world.steps(held[0])] == ["held", "held"]
    assert gathered(world, end_ms) == Gathered(2, 6)
    assert Counter(row.kind for row in rows(world) if row.status == "queued") == {"alert": 3, "summary": 1, "digest": 1}


def use_up_the_cap(world: World) -> None:
    world.change(daily_cap=1)
    with world.database.session() as session:
        session.add(
            Delivery(
                key="x",
                account_id=world.account_id,
                kind="alert",
                channel="sms",
                status="sent",
                due_ms=0,
                expires_ms=0,
                created_ms=NOON_MS,
                handed_ms=NOON_MS,
            )
        )


def test_a_summary_over_the_cap_says_so(world: World) -> None:
    world.tell(*[world.alert(NOON_MS + number) for number in range(5)])
    use_up_the_cap(world)
    assert gathered(world, NOON_MS + MINUTE_MS + 200) == Gathered()
    held = rows(world)[-1]
    assert (held.status, world.steps(held)[-1][1]) == (
        "capped",
        "You reached your daily cap of 1, so this is only in the app.",
    )
    assert Counter((row.kind, row.status) for row in rows(world, "email")) == {
        ("alert", "queued"): 3,
        ("alert", "capped"): 2,
        ("notice", "queued"): 1,
    }
    assert [row.kind for row in rows(world, "in-app")] == ["alert"] * 5 + ["notice"]


def test_the_digest_of_a_night_passes_the_cap(world: World) -> None:
    end_ms = night(world)
    world.tell(world.alert(), world.alert())
    use_up_the_cap(world)
    assert gathered(world, end_ms) == Gathered(2, 4)
    for channel in ("telegram", "email"):
        assert [(row.kind, row.status) for row in rows(world, channel)] == [
            ("alert", "merged"),
            ("alert", "merged"),
            ("digest", "queued"),
        ]


@pytest.mark.parametrize("number", [4, 6])
def test_what_is_gathered_counts_towards_the_cap_of_sms(
    database: Database, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Complaint 20 (part): the one that was held alone, and the summary of several."""
    monkeypatch.setattr(limits, "SMS_ACCOUNT", limits.Limit("sms-account", 4, 86_400, "SMS for this account"))
    world = make_world(database, ("in-app", "sms"))
    world.tell(*[world.alert(NOON_MS + each) for each in range(number)])
    assert gathered(world, NOON_MS + MINUTE_MS + 200).messages == 1
    later_ms = NOON_MS + 10 * MINUTE_MS
    (over, *_) = world.tell(world.alert(later_ms))[1:]
    assert over.status == "capped", "the gathered one was the fourth"
    # What is held is not counted before it is gathered.
    world.change(muted_until_ms=later_ms + MINUTE_MS)
    world.tell(*[world.alert(later_ms + each) for each in range(number - 3)])
    assert gathered(world, later_ms + MINUTE_MS) == Gathered()
    last = rows(world, "sms")[-1]
    assert last.status == "capped"
    assert "Too many text messages today" in world.steps(last)[-1][1]


@pytest.mark.parametrize("urgent", [True, False])
def test_a_held_notice_is_never_capped_nor_is_what_is_urgent(world: World, urgent: bool) -> None:
    """The notice of the cap itself may be among what a short mute held."""
    world.change(muted_until_ms=NOON_MS + MINUTE_MS)
    world.tell(world.alert(urgent=urgent), world.alert(kind="notice", rule_id=None))
    use_up_the_cap(world)
    gathered(world, NOON_MS + MINUTE_MS)
    status = "merged" if urgent else "capped"
    assert [row.status for row in rows(world, "email") if row.kind == "alert"] == [status]
    notices = [row.status for row in rows(world, "email") if row.kind == "notice"]
    assert notices[0] in ("merged", "queued")
    assert "capped" not in notices


@pytest.mark.parametrize("what", ["switched off", "removed", "plan"])
def test_where_the_place_is_gone_the_ledger_says_so(world: World, what: str) -> None:
    """Complaint 26 (part)."""
    end_ms = night(world)
    world.tell(world.alert())
    if what == "plan":
        world.change_account(plan="free")
    else:
        with world.database.session() as session:
            row = session.merge(world.destination("telegram"))
            if what == "removed":
                session.delete(row)
            else:
                row.state, row.why = "off", "You switched it off."
    gathered(world, end_ms)
    (row,) = rows(world)
    assert row.status == "dead"
    said = {
        "switched off": "Not sent: it is switched off.",
        "removed": "Not sent: it is not connected yet.",
        "plan": "Not sent: it comes with Elite.",
    }
    assert world.steps(row)[-1] == ("dead", said[what])


def test_what_tells_of_a_deleted_alert_ends(world: World) -> None:
    end_ms = night(world)
    world.tell(world.alert(), world.alert(title="stays"))
    with world.database.session() as session:
        gone = session.exec(select(AlertRecord).where(AlertRecord.title != "stays")).one()
        session.delete(gone)
    assert gathered(world, end_ms) == Gathered(2, 2)
    assert Counter(row.status for row in rows(world)) == {"expired": 1, "merged": 1, "queued": 1}


def test_two_engines_tell_it_once(database: Database) -> None:
    world = make_world(database, CHANNELS)
    end_ms = night(world)
    world.tell(*[world.alert() for _ in range(6)])
    start = threading.Barrier(4)
    found: list[Gathered] = []

    def run() -> None:
        start.wait()
        found.append(gathered(world, end_ms))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=lambda each: each.told) == [Gathered()] * 3 + [Gathered(2, 12)]
    assert Counter(row.status for row in rows(world)) == {"merged": 6, "queued": 1}


class _Killed(Exception):
    """The process ends here."""


def _snapshot(world: World) -> tuple[Sequence[Any], ...]:
    with world.database.session(readonly=True) as session:
        deliveries = session.exec(select(Delivery).order_by(col(Delivery.id))).all()
        steps = session.exec(select(DeliveryStep).order_by(col(DeliveryStep.id))).all()
        return [row.model_dump() for row in deliveries], [row.model_dump() for row in steps]


def test_who_dies_at_any_statement_has_changed_nothing(database: Database) -> None:
    """Five statements of one gathering, chosen by chance, are each the last one that is done."""
    world = make_world(database, CHANNELS)
    end_ms = night(world)
    world.tell(*[world.alert(symbol=f"COIN{number}USDT") for number in range(6)])
    before = _snapshot(world)
    counter = itertools.count()
    last = [10**9]

    def count(*_: object) -> None:
        if next(counter) >= last[0]:
            raise _Killed

    event.listen(database.engine, "before_cursor_execute", count)
    with database.session() as session:
        gather(session, world.account_id, world.channels, end_ms, BASE)
        session.flush()
        session.rollback()
    number = next(counter)
    assert number > 8
    for point in random.Random(6).sample(range(1, number), 5):
        counter = itertools.count()
        last[0] = point
        with pytest.raises(_Killed):
            gathered(world, end_ms)
        last[0] = 10**9
        assert _snapshot(world) == before
    assert gathered(world, end_ms) == Gathered(2, 12)
    assert Counter(row.status for row in rows(world)) == {"merged": 6, "queued": 1}


def test_settings_that_change_overnight_bring_it_at_once(world: World) -> None:
    night(world)
    world.tell(world.alert())
    with world.database.session() as session:
        settings = session.get_one(AlertSettings, world.account_id)
        settings.quiet = False
        session.add(settings)
        row = session.exec(select(Delivery).where(Delivery.channel == "telegram")).one()
        row.due_ms = NOON_MS + HOUR_MS
        session.add(row)
    assert gathered(world, NOON_MS + HOUR_MS) == Gathered(1, 1)


def test_what_is_held_by_a_clock_that_was_set_back_is_planned_anew(world: World) -> None:
    """A storm's summary leaves at once; what a silence holds waits for its end, and is not planned all the time."""
    world.tell(*[world.alert(NOON_MS + number) for number in range(5)])
    back_ms = NOON_MS - 40 * 24 * HOUR_MS
    world.change(muted_until_ms=back_ms + HOUR_MS)
    assert due_now(world, back_ms) == [world.account_id]
    assert gathered(world, back_ms) == Gathered()
    assert {row.due_ms for row in rows(world) if row.status == "held"} == {back_ms + HOUR_MS}
    assert due_now(world, back_ms + 1_000) == []
    assert gathered(world, back_ms + HOUR_MS) == Gathered(2, 4)
