"""Subscriptions to web push that end by themselves: told some days before, once, and switched off once over."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session, col, select

from flashcur.models import Account, AlertRecord, Delivery
from flashcur.services.alerts import push_ends
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.alerts.push_ends import TOLD_BEFORE_MS, Tended
from flashcur.services.notify import destinations
from flashcur.services.storage.database import Database
from tests.support.alert_world import BASE, HOUR_MS, World, make_world
from tests.support.alerts import NOON_MS

DAY_MS = 24 * HOUR_MS
ENDS_MS = NOON_MS + 30 * DAY_MS


def world_with(
    database: Database, ends: Any, *, email: str = "ann@example.com", name: str = "Firefox on Linux"
) -> World:
    """An account with a browser that was connected at noon, and a phone number that says the same of its end."""
    world = make_world(database, connected={}, email=email)
    with database.session() as session:
        for channel, address in (("web-push", f"https://push.example/{email}"), ("sms", "+447700900123")):
            destinations.keep(
                session,
                world.account_id,
                channel,  # pyright: ignore[reportArgumentType]
                address,
                NOON_MS,
                name=name,
                details={"auth": "x"} if ends is None else {"auth": "x", "expires_ms": ends},
                confirmed=True,
            )
    return world


def tended(world: World, now_ms: int) -> Tended:
    """As the engine's job does it."""

    def deliver(session: Session, found: Any, at_ms: int) -> None:
        dispatch(session, found, world.channels, at_ms, BASE)

    with world.database.session(readonly=True) as session:
        due = push_ends.due_accounts(session, now_ms)
    done = [
        world.database.work(lambda session, each=each: push_ends.tend(session, each, now_ms, deliver)) for each in due
    ]
    return Tended(sum(each.told for each in done), sum(each.ended for each in done))


def notices(world: World) -> list[AlertRecord]:
    with world.database.session(readonly=True) as session:
        query = select(AlertRecord).where(AlertRecord.account_id == world.account_id, AlertRecord.kind == "notice")
        return list(session.exec(query.order_by(col(AlertRecord.id))))


def state(world: World, channel: str = "web-push") -> tuple[str, str]:
    row = world.destination(channel)
    return row.state, row.why


def test_the_owner_is_told_three_days_before_and_once(database: Database) -> None:
    """Complaint 25: warned before a push subscription expires."""
    world = world_with(database, str(ENDS_MS))
    assert tended(world, ENDS_MS - TOLD_BEFORE_MS - 1) == Tended()
    assert tended(world, ENDS_MS - TOLD_BEFORE_MS) == Tended(told=1)
    assert tended(world, ENDS_MS - HOUR_MS) == Tended()
    (notice,) = notices(world)
    assert notice.title.startswith("Web push in “Firefox on Linux” ends on 27 Dec 12:00")
    assert "turn web push off and on again" in notice.text
    assert state(world) == ("on", "")
    # In the app and by mail, as every notice.
    with database.session(readonly=True) as session:
        sent = session.exec(select(Delivery.channel).where(Delivery.alert_id == notice.id)).all()
    assert set(sent) == {"in-app", "email"}


def test_what_is_over_is_switched_off_with_its_reason_and_a_notice(database: Database) -> None:
    """Complaint 25: no dead push subscription is kept on."""
    world = world_with(database, str(ENDS_MS))
    assert tended(world, ENDS_MS - 1) == Tended(told=1)
    assert tended(world, ENDS_MS) == Tended(ended=1)
    why = state(world)
    assert why[0] == "off"
    assert why[1].startswith("The browser’s subscription ended on 27 Dec 12:00")
    assert why[1].endswith("turn web push off and on again under Channels.")
    # Of another channel these words say nothing.
    assert state(world, "sms") == ("on", "")
    assert tended(world, ENDS_MS + DAY_MS) == Tended()
    assert [each.title.partition(" ends on")[0] for each in notices(world)] == [
        "Web push in “Firefox on Linux”",
        "Web push in “Firefox on Linux” was switched off",
    ]


def test_a_browser_that_was_connected_anew_begins_anew(database: Database) -> None:
    world = world_with(database, str(ENDS_MS), name="")
    assert tended(world, ENDS_MS - DAY_MS) == Tended(told=1)
    row = world.destination("web-push")
    row.details = {**row.details, "expires_ms": str(ENDS_MS + 60 * DAY_MS)}
    world.update(row)
    assert tended(world, ENDS_MS) == Tended()
    assert tended(world, ENDS_MS + 58 * DAY_MS) == Tended(told=1)
    assert len({each.title for each in notices(world)}) == 2


def test_one_that_never_had_days_to_go_is_told_of_its_end_alone(database: Database) -> None:
    world = world_with(database, str(NOON_MS + 2 * DAY_MS))
    assert tended(world, NOON_MS + DAY_MS) == Tended()
    assert tended(world, NOON_MS + 2 * DAY_MS) == Tended(ended=1)


@pytest.mark.parametrize("ends", [None, "", "soon", "-5", "1e9", "٣"])
def test_what_has_no_end_that_can_be_read_stays_on(database: Database, ends: str | None) -> None:
    world = world_with(database, ends)
    assert tended(world, NOON_MS + 4_000 * DAY_MS) == Tended()
    assert state(world) == ("on", "")


def test_each_account_is_told_of_its_own(database: Database) -> None:
    worlds = [world_with(database, str(ENDS_MS + at * DAY_MS), email=f"{at}@example.com") for at in (0, 1)]
    assert tended(worlds[0], ENDS_MS) == Tended(told=1, ended=1)
    assert [len(notices(world)) for world in worlds] == [1, 1]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_an_account_that_somebody_changes_is_passed_by(database: Database) -> None:
    world = world_with(database, str(ENDS_MS))
    with database.session() as session:
        session.get(Account, world.account_id, with_for_update=True)
        assert tended(world, ENDS_MS) == Tended()
    assert tended(world, ENDS_MS) == Tended(ended=1)
