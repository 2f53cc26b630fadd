"""A page of signals with what became of each, and what to ask instead of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlmodel import Session

from flashcur.domain.plans import PLANS, Audience
from flashcur.domain.signals.filters import SignalFilter
from flashcur.models import SignalRecord
from flashcur.services.alerts.signal_list import how_complete, read_list, why_nothing
from flashcur.services.alerts.signals import store
from flashcur.services.storage.database import Database
from tests.support.seeded_signals import Filled
from tests.support.signals import NOON_MS, signal

ELITE = PLANS["elite"]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


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
def test_the_database_and_the_filter_agree_page_by_page(wanted: SignalFilter, filled: Filled) -> None:
    found: list[int | None] = []
    after = None
    while True:
        page = read_list(filled.session, ELITE, wanted, demo=False, now_ms=NOON_MS, after=after)
        found += [record.id for record, _ in page.entries]
        if page.next is None:
            break
        after = page.next
    assert found == [record.id for record in reversed(filled.stored) if wanted.matches(record, NOON_MS)]


def test_each_comes_with_what_followed(filled: Filled) -> None:
    wanted = SignalFilter(last_day=date(2026, 11, 21))
    for record, outcome in read_list(filled.session, ELITE, wanted, demo=False, now_ms=NOON_MS).entries:
        assert outcome is not None
        assert outcome.signal_id == record.id
        assert outcome.change_24h is not None


def test_instead_of_nothing_it_says_which_filter_to_leave_out(filled: Filled) -> None:
    wanted = SignalFilter(detectors=("listing",), severity=3, contract="BTC")
    without = dict(read_list(filled.session, ELITE, wanted, demo=False, now_ms=NOON_MS).without)
    assert without == {
        "kind": SignalFilter(severity=3, contract="BTC"),
        "severity": SignalFilter(detectors=("listing",), contract="BTC"),
    }
    everything = SignalFilter(
        ("listing",), "bullish", 3, "long_build_up", "BTC", "hour", date(2026, 1, 1), None, "1", frozenset()
    )
    assert read_list(filled.session, ELITE, everything, demo=False, now_ms=NOON_MS).without == ()


def test_what_a_plan_hides_is_not_said_not_to_be(session: Session) -> None:
    def why(plan: Audience, wanted: SignalFilter | None = None) -> tuple[str, str | None]:
        now_ms = NOON_MS + 60_000
        cause, by = why_nothing(session, PLANS[plan], wanted or SignalFilter(), demo=False, now_ms=now_ms)
        return cause, by and by.audience

    assert why("guest") == ("none", None)
    # Stored after the last mark.
    store(session, [signal(0, minutes=-0.5)], NOON_MS + 30_000)
    assert why("guest") == why("free") == ("delay", "elite")
    interest = SignalFilter(detectors=("open_interest",))
    assert why("free", interest) == ("none", None)
    store(session, [signal(1, minutes=60, detector="open_interest", kind="OI_SURGE")], NOON_MS - 3_600_000)
    assert why("free", interest) == ("open_interest", "pro")
    store(session, [signal(2, base="OLD", minutes=600)], NOON_MS - 36_000_000)
    store(session, [signal(10 + n, minutes=30 + n) for n in range(10)], NOON_MS - 60_000)
    assert why("free", SignalFilter(contract="OLD")) == ("history", "pro")
    assert why("free", SignalFilter(contract="NONE")) == ("none", None)


def test_how_complete_it_is_follows_what_is_asked_for(filled: Filled) -> None:
    stored = filled.stored[::-1]

    def told(wanted: SignalFilter, shown: list[SignalRecord]) -> int:
        found = how_complete(filled.session, wanted, shown, "binanceusdm", demo=False, now_ms=NOON_MS)
        return found.stale_ms

    # The ledger has 90 s for each of 8 contracts on each of two days.
    assert told(SignalFilter(), stored[:5]) == 8 * 90_000
    assert told(SignalFilter(since="week"), stored[:5]) == 2 * 8 * 90_000
    assert told(SignalFilter(last_day=date(2026, 11, 20)), stored[-5:]) == 0
    assert told(SignalFilter(), []) == 8 * 90_000
    # Of the contracts that are asked for, under whatever name the exchange has them.
    assert told(SignalFilter(since="week", contract="pepe"), []) == 2 * 90_000
    assert told(SignalFilter(symbols=frozenset({"BTCUSDT", "PEPEUSDT", "NOSUCHUSDT"})), []) == 2 * 90_000
