"""What waited is asked again when its turn has come: silence, its place and the plan may have changed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select

from flashcur.errors import DeliveryError
from flashcur.models import Delivery
from flashcur.services.alerts import leaving
from flashcur.services.alerts.gathering import Gathered, gather
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import outbox
from flashcur.services.notify.outbox import Claimed
from flashcur.services.storage.database import Database
from tests.support.alert_world import BASE, HOUR_MS, World, make_world
from tests.support.alerts import NOON_MS
from tests.support.deliveries import stored

LATER_MS = NOON_MS + 60_000
"""When the second attempt may begin."""


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database, ("in-app", "telegram"))


def claimed(world: World, now_ms: int) -> list[Claimed]:
    """As the worker claims."""
    room = dict.fromkeys(world.channels, 10)
    ask = leaving.asking(world.channels)
    return world.database.work(lambda session: outbox.claim_due(session, now_ms, room, ask=ask))


def retrying(world: World, **alert: Any) -> int:
    """The id of an alert's message that failed once and waits for its second attempt."""
    world.tell(world.alert(**alert))
    (first,) = claimed(world, NOON_MS + 1_000)
    assert first.stop == ""
    key, claim = first.delivery.key, first.delivery.claim
    world.database.work(lambda session: outbox.mark_failed(session, key, claim, DeliveryError("away"), NOON_MS + 1_000))
    return first.delivery.id or 0


@pytest.mark.parametrize("why", ["muted", "quiet"])
def test_what_is_tried_again_keeps_a_silence_that_began_meanwhile(world: World, why: str) -> None:
    """Complaint 11 (part): nothing within quiet hours, a second attempt neither."""
    waiting = retrying(world)
    end_ms = to_ms(datetime(2026, 11, 27, 20, 0, tzinfo=UTC))
    if why == "muted":
        world.change(muted_until_ms=end_ms)
    else:
        world.change(quiet=True, quiet_from_min=12 * 60, quiet_until_min=20 * 60)
    assert claimed(world, LATER_MS) == []
    row = stored(world.database, waiting)
    assert (row.status, row.attempts, row.due_ms, row.expires_ms) == ("held", 1, end_ms, end_ms + HOUR_MS)
    reason = {"muted": "You muted your alerts", "quiet": "Your quiet hours"}[why]
    assert world.steps(row)[-1] == ("held", f"{reason}: it waits until 27 Nov 20:00 UTC.")
    assert claimed(world, end_ms) == [], "what is held is gathered"


def test_what_is_urgent_passes_quiet_hours_and_no_mute(world: World) -> None:
    waiting = retrying(world, urgent=True)
    world.change(quiet=True, quiet_from_min=12 * 60, quiet_until_min=20 * 60, urgent_passes=True)
    (passes,) = claimed(world, LATER_MS)
    assert (passes.delivery.id, passes.stop) == (waiting, "")
    world.change(muted_until_ms=NOON_MS + 3 * HOUR_MS)
    # Its sender has died.
    assert claimed(world, LATER_MS + outbox.LEASE_MS) == []
    assert stored(world.database, waiting).status == "held"


@pytest.mark.parametrize("what", ["removed", "plan"])
def test_a_place_that_is_no_longer_the_owner_s_gets_nothing(world: World, what: str) -> None:
    waiting = retrying(world)
    if what == "plan":
        world.change_account(plan="free")
    else:
        with world.database.session() as session:
            session.delete(session.merge(world.destination("telegram")))
    (found,) = claimed(world, LATER_MS)
    said = {"removed": "This destination was removed.", "plan": "Your plan no longer includes it."}
    assert (found.delivery.id, found.stop) == (waiting, said[what])


@pytest.mark.parametrize("kind", ["test", "mail"])
def test_what_somebody_waits_for_now_leaves_in_silence(world: World, kind: str) -> None:
    world.change(muted_until_ms=NOON_MS + HOUR_MS)
    row = Delivery(
        key="k",
        account_id=world.account_id,
        kind=kind,
        channel="email",
        recipient="ann@example.com",
        due_ms=NOON_MS,
        expires_ms=NOON_MS + HOUR_MS,
        created_ms=NOON_MS,
    )
    world.database.work(lambda session: outbox.write(session, [row], NOON_MS))
    (found,) = claimed(world, NOON_MS)
    assert (found.delivery.key, found.stop) == ("k", "")


def test_a_summary_that_a_silence_held_leaves_afterwards_as_it_was(world: World) -> None:
    world.tell(*[world.alert(NOON_MS + number) for number in range(8)])
    gathered = world.database.work(
        lambda session: gather(session, world.account_id, world.channels, LATER_MS + 200, BASE)
    )
    assert gathered == Gathered(1, 5)
    until_ms = NOON_MS + 3 * HOUR_MS
    world.change(muted_until_ms=until_ms)
    # One at a time for a recipient.
    for _ in range(4):
        assert claimed(world, LATER_MS + 200) == []
    gathered = world.database.work(lambda session: gather(session, world.account_id, world.channels, until_ms, BASE))
    assert gathered == Gathered(1, 4)
    with world.database.session(readonly=True) as session:
        rows = list(session.exec(select(Delivery).where(col(Delivery.kind).in_(["summary", "digest"]))))
    assert [(row.kind, [status for status, _ in world.steps(row)]) for row in rows] == [
        ("summary", ["queued", "held", "queued"]),
        ("digest", ["queued"]),
    ]
