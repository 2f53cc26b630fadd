"""A page of signals with what became of each, and what to ask instead of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlmodel import Session

from flashcur.domain.plans import PLANS
from flashcur.domain.signals.filters import SignalFilter
from flashcur.models import SignalRecord
from flashcur.services.alerts.signal_list import how_complete, read_list
from flashcur.services.storage.database import Database
from tests.support.seeded_signals import fill_signals
from tests.support.signals import NOON_MS

ELITE = PLANS["elite"]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


@pytest.fixture
def stored(session: Session) -> list[SignalRecord]:
    """The newest first."""
    return fill_signals(session, NOON_MS)[::-1]


WANTED = [
    SignalFilter(),
    SignalFilter(detectors=("funding", "listing")),
    SignalFilter(direction="bearish", severity=2),
    SignalFilter(quadrant="short_covering"),
    SignalFilter(contract="pepe"),
    SignalFilter(contract="NOSUCHCOIN"),
    SignalFilter(symbols=frozenset({"BTCUSDT", "ETHUSDT"}), severity=3),
    SignalFilter(symbols=frozenset()),
    SignalFilter(since="hour"),
    SignalFilter(since="day", direction="bullish"),
    SignalFilter(first_day=date(2026, 11, 22), last_day=date(2026, 11, 22)),
]


# Numbered: a set is written in another order by each process.
@pytest.mark.parametrize("wanted", WANTED, ids=range(len(WANTED)))
def test_the_database_and_the_filter_agree_page_by_page(
    wanted: SignalFilter, session: Session, stored: list[SignalRecord]
) -> None:
    found: list[int | None] = []
    after = None
    while True:
        page = read_list(session, ELITE, wanted, demo=False, now_ms=NOON_MS, after=after)
        found += [record.id for record, _ in page.entries]
        if page.next is None:
            break
        after = page.next
    assert found == [record.id for record in stored if wanted.matches(record, NOON_MS)]


def test_each_comes_with_what_followed(session: Session, stored: list[SignalRecord]) -> None:
    wanted = SignalFilter(last_day=date(2026, 11, 21))
    for record, outcome in read_list(session, ELITE, wanted, demo=False, now_ms=NOON_MS).entries:
        assert outcome is not None
        assert outcome.signal_id == record.id
        assert outcome.change_24h is not None


def test_instead_of_nothing_it_says_which_filter_to_leave_out(session: Session, stored: list[SignalRecord]) -> None:
    wanted = SignalFilter(detectors=("listing",), severity=3, contract="BTC")
    without = dict(read_list(session, ELITE, wanted, demo=False, now_ms=NOON_MS).without)
    assert without == {
        "kind": SignalFilter(severity=3, contract="BTC"),
        "severity": SignalFilter(detectors=("listing",), contract="BTC"),
    }
    everything = SignalFilter(
        ("listing",), "bullish", 3, "long_build_up", "BTC", "hour", date(2026, 1, 1), None, "1", frozenset()
    )
    assert read_list(session, ELITE, everything, demo=False, now_ms=NOON_MS).without == ()


def test_how_complete_it_is_follows_what_is_asked_for(session: Session, stored: list[SignalRecord]) -> None:
    def told(wanted: SignalFilter, shown: list[SignalRecord]) -> int:
        found = how_complete(session, wanted, shown, "binanceusdm", demo=False, now_ms=NOON_MS)
        return found.stale_ms

    # The ledger has 90 s for each of 8 contracts on each of two days.
    assert told(SignalFilter(), stored[:5]) == 8 * 90_000
    assert told(SignalFilter(since="week"), stored[:5]) == 2 * 8 * 90_000
    assert told(SignalFilter(last_day=date(2026, 11, 20)), stored[-5:]) == 0
    assert told(SignalFilter(), []) == 8 * 90_000
