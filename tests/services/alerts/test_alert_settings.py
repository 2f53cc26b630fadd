"""How an account wants its alerts: what a form may say, and what becomes of what is held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import select

from flashcur.domain.delivery.planning import Wishes
from flashcur.domain.delivery.quiet_hours import QuietHours
from flashcur.errors import Refusal, SignInNeeded
from flashcur.models import Account, AlertSettings, Delivery
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts.alert_settings import (
    LONGEST_MUTE_MS,
    AlertWishes,
    clock_text,
    mute,
    read,
    read_wishes,
    save,
    wishes_of,
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


def saved(database: Database, owner: str, **fields: object) -> AlertSettings:
    with database.session() as session:
        return save(session, session.get_one(Account, owner), fields, NOON_MS)


def stored(database: Database, owner: str) -> AlertSettings:
    with database.session(readonly=True) as session:
        return read(session, owner)


def test_without_a_row_all_is_as_in_the_defaults(database: Database, owner: str) -> None:
    row = stored(database, owner)
    assert (row.quiet, row.quiet_from_min, row.quiet_until_min, row.daily_cap) == (False, 1320, 420, 200)
    with database.session(readonly=True) as session:
        assert session.exec(select(AlertSettings)).all() == []
        assert read_wishes(session, [session.get_one(Account, owner)]) == {owner: Wishes(zone_of("UTC"))}


def test_what_the_form_says_is_kept_and_what_it_leaves_out_stays(database: Database, owner: str) -> None:
    saved(database, owner, quiet=True, quiet_from="23:30", quiet_until=" 6:05 ", urgent_passes=False, daily_cap="50")
    row = saved(database, owner, daily_cap=60)
    assert stored(database, owner) == row
    assert (row.quiet, row.quiet_from_min, row.quiet_until_min) == (True, 1410, 365)
    assert (row.urgent_passes, row.daily_cap) == (False, 60)
    assert (clock_text(row.quiet_from_min), clock_text(row.quiet_until_min)) == ("23:30", "06:05")
    with database.session(readonly=True) as session:
        account = session.get_one(Account, owner)
        assert wishes_of(account, row) == Wishes(zone_of("UTC"), QuietHours(1410, 365), False, 60)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("quiet", "yes", "Expected yes or no."),
        ("urgent_passes", 1, "Expected yes or no."),
        ("quiet_from", "24:00", "Enter a time such as 22:00."),
        ("quiet_from", "7", "Enter a time such as 22:00."),
        ("quiet_until", "07:60", "Enter a time such as 22:00."),
        ("quiet_until", 420, "Enter a time such as 22:00."),
        ("quiet_until", "22:00", "Quiet hours need an end that is not their beginning."),
        ("daily_cap", "", "Enter a whole number from 1 to 1,000."),
        ("daily_cap", "0", "Enter a whole number from 1 to 1,000."),
        ("daily_cap", 1_001, "Enter a whole number from 1 to 1,000."),
        ("daily_cap", "٣", "Enter a whole number from 1 to 1,000."),
        ("daily_cap", "9" * 5_000, "Enter a whole number from 1 to 1,000."),
        ("daily_cap", 2.5, "Enter a whole number from 1 to 1,000."),
        ("daily_cap", True, "Enter a whole number from 1 to 1,000."),
        ("daily_cap", None, "Enter a whole number from 1 to 1,000."),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    sqlite_database: Database, field: str, value: object, said: str
) -> None:
    with sqlite_database.session() as session:
        owner = add_account(session, "ann@example.com", NOON)
    with pytest.raises(Refusal, match=said) as refused:
        saved(sqlite_database, owner, **({"quiet": True, "quiet_from": "22:00"} | {field: value}))
    assert refused.value.field == field
    assert stored(sqlite_database, owner).quiet is False


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


def test_what_is_held_follows_the_settings(database: Database, owner: str) -> None:
    evening = NOON_MS + 5 * HOUR_MS
    plain, urgent = held(owner, evening), held(owner, evening, urgent=True)
    soon = held(owner, NOON_MS + 30_000)
    keys = plain.key, urgent.key, soon.key
    with database.session() as session:
        session.add_all([plain, urgent, soon])

    def known() -> tuple[int, ...]:
        found = due(database)
        return tuple(found[key] for key in keys)

    saved(database, owner, quiet=True, quiet_from="09:00", quiet_until="20:00", urgent_passes=False)
    assert known() == (8, 8, 0)
    saved(database, owner, urgent_passes=True)
    assert known() == (8, 0, 0)
    with database.session() as session:
        account = session.get_one(Account, owner)
        mute(session, account, NOON_MS + 3 * HOUR_MS, NOON_MS)
    assert known() == (3, 0, 0)
    with database.session() as session:
        mute(session, session.get_one(Account, owner), None, NOON_MS)
    assert known() == (8, 0, 0)
    saved(database, owner, quiet=False)
    assert known() == (0, 0, 0)


@pytest.mark.parametrize("until_ms", [NOON_MS, NOON_MS - 1, NOON_MS + LONGEST_MUTE_MS + 1])
def test_a_mute_ends_within_a_month(sqlite_database: Database, until_ms: int) -> None:
    with sqlite_database.session() as session:
        account = session.get_one(Account, add_account(session, "ann@example.com", NOON))
        with pytest.raises(Refusal, match="30 days at most"):
            mute(session, account, until_ms, NOON_MS)


async def test_only_the_owner_changes_them_and_the_pages_are_told(database: Database, services: Services) -> None:
    wishes = AlertWishes(services.context)
    with database.session() as session:
        owner, other = (add_account(session, f"{name}@example.com", NOON) for name in ("ann", "eve"))
        _, login = add_session(session, owner, NOON)
    caller = Caller(owner, login, HOME)
    assert (await wishes.save(caller, {"daily_cap": "7"})).daily_cap == 7
    assert (await wishes.mute(caller, NOON_MS + HOUR_MS)).muted_until_ms == NOON_MS + HOUR_MS
    with pytest.raises(SignInNeeded):
        await wishes.save(Caller(other, login, HOME), {"daily_cap": "8"})
    assert stored(database, owner).daily_cap == 7
    assert stored(database, other).daily_cap == 200


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
