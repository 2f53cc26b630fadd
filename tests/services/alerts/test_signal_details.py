"""All there is to one signal, as each plan may see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session

from flashcur.domain.plans import PLANS
from flashcur.domain.signals.signal import Origin
from flashcur.models import SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.alerts.signal_details import Details, Hidden, read_details
from flashcur.services.storage.database import Database
from tests.support.seeded_signals import Filled
from tests.support.signals import MINUTE_MS, NOON_MS, REAL, signal

NOW_MS = NOON_MS


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


def of_kind(records: list[SignalRecord], detector: str, at: int = -1) -> int:
    found = [record.id for record in records if record.detector == detector][at]
    assert found is not None
    return found


def test_every_kind_is_told_with_its_picture_and_what_followed(filled: Filled) -> None:
    session, records = filled.session, filled.stored
    charts = {"volume_spike": "Volume", "adaptive_spike": "Volume", "open_interest": "Price", "listing": "Price"}
    for detector, begins in {**charts, "funding": "Funding"}.items():
        # An old one, of which everything is known.
        found = read_details(session, PLANS["elite"], of_kind(records, detector, 3), demo=False, now_ms=NOW_MS)
        assert isinstance(found, Details)
        assert found.signal.detector == detector
        assert found.picture is not None
        assert found.picture.caption.startswith(begins)
        assert found.outcome is not None
        assert found.outcome.change_24h is not None
        horizons = [group.horizon_h for group in found.of_its_kind]
        assert horizons == ([] if detector == "listing" else [1, 4, 24])


def test_a_fresh_signal_has_a_picture_without_room_for_hours_to_come(filled: Filled) -> None:
    session, records = filled.session, filled.stored
    found = read_details(session, PLANS["elite"], of_kind(records, "volume_spike"), demo=False, now_ms=NOW_MS)
    assert isinstance(found, Details)
    assert found.picture is not None
    assert found.picture.end_ms <= NOW_MS + 3_600_000
    assert found.picture.marked


def test_what_a_plan_does_not_show_is_said_with_the_plan_that_does(session: Session) -> None:
    old = [signal(n, minutes=400 - n) for n in range(60)]
    fresh = [signal(100, minutes=2)]
    interest = [signal(101, minutes=399.5, detector="open_interest", kind="OI_SURGE")]
    ids = [
        record.id or 0 for each in (*old, *fresh, *interest) for record in signals.store(session, [each], each.seen_ms)
    ]
    oldest, newest, surge = ids[0], ids[60], ids[61]

    def told(plan: str, signal_id: int, now_ms: int = NOW_MS - MINUTE_MS) -> object:
        return read_details(session, PLANS[plan], signal_id, demo=False, now_ms=now_ms)  # type: ignore[index]

    assert told("free", oldest) == Hidden("looks back over the newest 10 signals", PLANS["elite"])
    assert told("free", ids[20]) == Hidden("looks back over the newest 10 signals", PLANS["pro"])
    assert told("guest", surge) == Hidden("shows no signals of open interest", PLANS["elite"])
    assert told("pro", surge) == Hidden("looks back over the newest 50 signals", PLANS["elite"])
    assert told("free", newest) == Hidden("shows signals every 15 minutes, this one in 1 min", PLANS["elite"])
    assert told("pro", newest) == Hidden("shows signals every 5 minutes, this one in 1 min", PLANS["elite"])
    assert isinstance(told("elite", newest), Details)
    assert isinstance(told("pro", newest, NOW_MS), Details)
    assert told("elite", 99_999) is None


def test_real_and_demo_signals_never_meet(session: Session) -> None:
    (record,) = signals.store(session, [signal(origin=Origin(REAL.exchange, demo=True), minutes=60)], NOW_MS)
    assert record.id is not None
    assert read_details(session, PLANS["elite"], record.id, demo=False, now_ms=NOW_MS) is None
    assert isinstance(read_details(session, PLANS["elite"], record.id, demo=True, now_ms=NOW_MS), Details)
