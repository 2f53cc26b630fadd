"""Quiet hours, cap and mute as their owner saves them, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flashcur.errors import Refusal, SignInNeeded
from flashcur.models import AlertSettings
from flashcur.services.accounts import sessions
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import Person, Services

GOOD: dict[str, Any] = {"quiet": True, "from_": "22:30", "until": "07:00", "urgent_passes": False, "cap": "50"}


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    yield services
    services.close()


def kept(services: Services, person: Person) -> AlertSettings | None:
    with services.database.session(readonly=True) as session:
        return session.get(AlertSettings, person.account_id)


async def test_choices_are_kept_and_what_was_read_and_muted_stays(services: Services) -> None:
    person = services.person()
    await services.alert_choices.mute(person.caller, 8)
    await services.alert_choices.save(person.caller, **GOOD)
    row = kept(services, person)
    assert row is not None
    assert (row.quiet, row.quiet_from_min, row.quiet_until_min) == (True, 22 * 60 + 30, 7 * 60)
    assert (row.urgent_passes, row.daily_cap) == (False, 50)
    assert row.muted_until_ms == services.clock.ms + 8 * 3_600_000
    await services.alert_choices.mute(person.caller, 0)
    row = kept(services, person)
    assert row is not None
    assert row.muted_until_ms is None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("from", {"from_": "24:00"}),
        ("from", {"from_": ""}),
        ("from", {"from_": "٠٩:٠٠"}),
        ("until", {"until": "7:00"}),
        ("until", {"until": "22:30"}),
        ("cap", {"cap": "0"}),
        ("cap", {"cap": "1001"}),
        ("cap", {"cap": "-5"}),
        ("cap", {"cap": "٥"}),
        ("cap", {"cap": "ten"}),
    ],
)
async def test_what_cannot_be_is_refused_beside_its_field(
    field: str, changes: dict[str, Any], services: Services
) -> None:
    person = services.person()
    with pytest.raises(Refusal) as refused:
        await services.alert_choices.save(person.caller, **(GOOD | changes))
    assert refused.value.field == field
    assert kept(services, person) is None


async def test_a_mute_is_a_week_at_most_and_its_owner_s(services: Services) -> None:
    person = services.person()
    for hours in (-1, 169):
        with pytest.raises(Refusal, match="1 to 168 hours"):
            await services.alert_choices.mute(person.caller, hours)
    with services.database.session() as session:
        sessions.end_all(session, person.account_id)
    with pytest.raises(SignInNeeded):
        await services.alert_choices.mute(person.caller, 1)
