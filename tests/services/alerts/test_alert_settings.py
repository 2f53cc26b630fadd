"""How an account wants its alerts: what a form may say, and what becomes of what is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import select

from flashcur.domain.delivery.planning import Wishes
from flashcur.errors import Refusal
from flashcur.models import Account, AlertSettings, Delivery
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts.alert_settings import (
    LONGEST_MUTE_MS,
    mute,
    read,
    read_wishes,
)
from flashcur.services.kit.clock import to_ms
from flashcur.services.kit.time_zones import zone_of
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import HOME, NOON, Services, add_account, add_session

HOUR_MS = 3_600_000
NOON_MS = to_ms(NOON)


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    made = Services(settings, database)
    yield made
    made.close()


@pytest.fixture
def owner(database: Database) -> str:
    with database.session() as session:
        return add_account(session, "ann@example.com", NOON)


def stored(database: Database, owner: str) -> AlertSettings:
    with database.session(readonly=True) as session:
        return read(session, owner)


def test_without_a_row_all_is_as_in_the_defaults(database: Database, owner: str) -> None:
    row = stored(database, owner)
    assert (row.quiet, row.quiet_from_min, row.quiet_until_min, row.daily_cap) == (False, 1320, 420, 200)
    with database.session(readonly=True) as session:
        assert session.exec(select(AlertSettings)).all() == []
        assert read_wishes(session, [session.get_one(Account, owner)]) == {owner: Wishes(zone_of("UTC"))}


def held(account_id: str, due_ms: int, *, urgent: bool = False) -> Delivery:
    return Delivery(
        key=f"{due_ms}{urgent}",
        account_id=account_id,
        kind="alert",
        channel="sms",
        status="held",
        urgent=urgent,
        due_ms=due_ms,
        expires_ms=due_ms + HOUR_MS,
        created_ms=NOON_MS,
    )


def due(database: Database) -> dict[str, int]:
    """Hours from noon until each held message is due, by its key."""
    with database.session(readonly=True) as session:
        return {row.key: (row.due_ms - NOON_MS) // HOUR_MS for row in session.exec(select(Delivery))}


async def test_what_is_held_follows_what_its_owner_chooses(services: Services) -> None:
    person = services.person()
    evening = NOON_MS + 5 * HOUR_MS
    plain, urgent = held(person.account_id, evening), held(person.account_id, evening, urgent=True)
    soon = held(person.account_id, NOON_MS + 30_000)
    keys = plain.key, urgent.key, soon.key
    with services.database.session() as session:
        session.add_all([plain, urgent, soon])

    async def chosen(**changes: Any) -> tuple[int, ...]:
        form = {"quiet": True, "from_": "09:00", "until": "20:00", "urgent_passes": True, "cap": "200"} | changes
        await services.alert_choices.save(person.caller, **form)
        found = due(services.database)
        return tuple(found[key] for key in keys)

    assert await chosen(urgent_passes=False) == (8, 8, 0)
    assert await chosen() == (8, 0, 0)
    await services.alert_choices.mute(person.caller, 30)
    assert due(services.database)[plain.key] == 30
    await services.alert_choices.mute(person.caller, 0)
    assert due(services.database)[plain.key] == 8
    assert await chosen(quiet=False) == (0, 0, 0)


@pytest.mark.parametrize("until_ms", [NOON_MS, NOON_MS - 1, NOON_MS + LONGEST_MUTE_MS + 1])
def test_a_mute_ends_within_a_month(sqlite_database: Database, until_ms: int) -> None:
    with sqlite_database.session() as session:
        account = session.get_one(Account, add_account(session, "ann@example.com", NOON))
        with pytest.raises(Refusal, match="30 days at most"):
            mute(session, account, until_ms, NOON_MS)


def test_a_mute_and_its_end(database: Database, owner: str) -> None:
    with database.session() as session:
        account = session.get_one(Account, owner)
        assert mute(session, account, NOON_MS + HOUR_MS, NOON_MS).muted_until_ms == NOON_MS + HOUR_MS
        session.add(held(owner, NOON_MS + HOUR_MS))
        session.flush()
        mute(session, account, None, NOON_MS)
    assert list(due(database).values()) == [0]
    assert stored(database, owner).muted_until_ms is None


async def test_quiet_hours_follow_the_time_zone(database: Database, services: Services) -> None:
    with database.session() as session:
        owner = add_account(session, "ann@example.com", NOON)
        _, login = add_session(session, owner, NOON)
        session.add(AlertSettings(account_id=owner, quiet=True, quiet_from_min=540, quiet_until_min=1200))
        session.add(held(owner, NOON_MS + 8 * HOUR_MS))
    await services.profile.set_time_zone(Caller(owner, login, HOME), "Europe/Kyiv")
    assert set(due(database).values()) == {6}
    await services.profile.set_time_zone(Caller(owner, login, HOME), "Pacific/Auckland")
    assert set(due(database).values()) == {0}
