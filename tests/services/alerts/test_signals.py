"""Signals in the database, of both kinds: once each, found by any filter, cut to the plan."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flashcur.domain.plans import PLANS, PlanName
from flashcur.domain.signals.aftermath import known_from_ms
from flashcur.domain.signals.filters import SignalFilter
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.models import SignalOutcome
from flashcur.services.alerts import signals
from flashcur.services.alerts.signals import Cursor
from flashcur.services.storage.database import Database
from tests.support.signals import DEMO, MINUTE_MS, NOON_MS, signal

ELITE = PLANS["elite"]


def store(database: Database, *found: Signal, stored_ms: int = NOON_MS) -> list[int]:
    with database.session() as session:
        return [record.id or 0 for record in signals.store(session, found, stored_ms)]


def shown(
    database: Database,
    plan: str = "elite",
    wanted: SignalFilter | None = None,
    now_ms: int = NOON_MS,
    *,
    demo: bool = False,
) -> list[str]:
    with database.session(readonly=True) as session:
        page = signals.search(session, PLANS[plan], wanted or SignalFilter(), demo=demo, now_ms=now_ms, limit=200)  # pyright: ignore[reportArgumentType]
    return [record.key for record in page.signals]


def test_a_signal_comes_back_as_it_was(database: Database) -> None:
    whole = signal(base="1000PEPE", quadrant="short_covering", detector="open_interest", kind="OI_SURGE")
    store(database, whole, stored_ms=NOON_MS + 7)
    with database.session(readonly=True) as session:
        (record,) = signals.newest(session, limit=5)
    assert signals.signal_of(record) == whole
    assert (record.coin, record.stored_ms) == ("PEPE", NOON_MS + 7)


def test_a_signal_is_stored_once(database: Database) -> None:
    assert len(store(database, signal(1), signal(2), signal(1))) == 2
    # Again, by another engine, later and with other numbers: the first one stands.
    assert store(database, signal(1, price=1.0), signal(3), stored_ms=NOON_MS + 1) != []
    with database.session(readonly=True) as session:
        assert signals.count(session) == 3
        first = signals.newest(session, limit=10)[0]
        assert (first.price, first.stored_ms) == (61_234.5, NOON_MS)
        # Each has an outcome that is waited for.
        assert session.get(SignalOutcome, first.id).due_ms == known_from_ms(NOON_MS, 1)  # pyright: ignore[reportOptionalMemberAccess]


def test_what_is_stored_once_more_returns_nothing(database: Database) -> None:
    store(database, signal(1))
    assert store(database, signal(1)) == []
    assert store(database) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["a", "b", "c", "d"]),
        ({"kind": "open_interest"}, ["b"]),
        ({"kind": "open_interest,funding"}, ["b", "c"]),
        ({"severity": "2"}, ["b", "d"]),
        ({"severity": "3"}, ["d"]),
        ({"direction": "bearish"}, ["c"]),
        ({"quadrant": "long_build_up"}, ["b"]),
        ({"quadrant": "long_build_up", "kind": "funding"}, []),
        ({"contract": "pepe"}, ["d"]),
        ({"contract": "PEPE1000USDT"}, ["d"]),
        ({"since": "hour"}, ["a", "b"]),
        ({"to": "2026-11-22"}, ["d"]),
        ({"from": "2026-11-23"}, ["a", "b", "c"]),
    ],
)
def test_what_is_wanted_is_found(database: Database, query: dict[str, str], expected: list[str]) -> None:
    store(
        database,
        signal(key="a"),
        signal(key="b", minutes=10, detector="open_interest", kind="OI_SURGE", severity=2, quadrant="long_build_up"),
        signal(key="c", minutes=90, detector="funding", kind="FUNDING_EXTREME", direction="bearish"),
        signal(key="d", minutes=60 * 24, base="1000PEPE", severity=3),
    )
    assert shown(database, wanted=SignalFilter.parse(query, strict=True)) == expected


def test_a_watchlist_names_contracts_of_any_exchange(database: Database) -> None:
    store(database, signal(key="a"), signal(key="b", base="1000PEPE"), signal(key="c", base="ETH"))
    listed = frozenset({"PEPE1000USDT", "ETHUSDT"})
    assert sorted(shown(database, wanted=SignalFilter(symbols=listed))) == ["b", "c"]
    assert shown(database, wanted=SignalFilter(symbols=frozenset())) == []


def test_pages_hold_each_signal_once_while_new_ones_come(database: Database) -> None:
    # Many of one moment, so that the time alone does not order them.
    store(database, *(signal(i, minutes=i // 10) for i in range(35)))
    seen: list[SignalOrder] = []
    after: Cursor | None = None
    while True:
        with database.session(readonly=True) as session:
            page = signals.search(session, ELITE, SignalFilter(), demo=False, now_ms=NOON_MS, after=after, limit=8)
        seen += [(record.event_ms, record.id or 0) for record in page.signals]
        store(database, signal(100 + len(seen), minutes=-1))
        if page.next is None:
            break
        after = Cursor.parse(str(page.next))
    assert len(seen) == len(set(seen)) == 35
    assert all(now > then for now, then in pairwise(seen))


SignalOrder = tuple[int, int]


@pytest.mark.parametrize("text", ["", "-", "1", "1-", "-1", "1-x", "1-2-3", "٣-٣", "9" * 20 + "-1", "1 -2"])
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert Cursor.parse(text) is None


def test_a_plan_sees_what_it_may_and_when_it_may(database: Database) -> None:
    surge = signal(key="surge", detector="open_interest", kind="OI_SURGE")
    store(database, surge, *(signal(i, minutes=i + 1) for i in range(60)), stored_ms=NOON_MS - 1)
    fresh = signal(key="fresh", minutes=-1)
    store(database, fresh, stored_ms=NOON_MS + MINUTE_MS)
    now_ms = NOON_MS + MINUTE_MS
    assert shown(database, "elite", now_ms=now_ms)[:2] == ["fresh", "surge"]
    assert len(shown(database, "elite", now_ms=now_ms)) == 62
    # Not before the next five minutes; the last 50, open interest among them.
    assert shown(database, "pro", now_ms=now_ms)[0] == "surge"
    assert len(shown(database, "pro", now_ms=now_ms)) == 50
    assert shown(database, "pro", now_ms=NOON_MS + 5 * MINUTE_MS)[0] == "fresh"
    for plan in ("free", "guest"):
        keys = shown(database, plan, now_ms=NOON_MS + 14 * MINUTE_MS)
        assert len(keys) == 10
        assert keys[0] == "BTC:0:1"
        assert shown(database, plan, now_ms=NOON_MS + 15 * MINUTE_MS)[0] == "fresh"


def test_a_filter_finds_nothing_beyond_the_history_of_a_plan(database: Database) -> None:
    store(
        database,
        signal(key="old", base="OLD", minutes=500),
        *(signal(i, minutes=i) for i in range(60)),
        stored_ms=NOON_MS - 1,
    )
    wanted = SignalFilter(contract="OLD")
    assert shown(database, "elite", wanted) == ["old"]
    assert shown(database, "pro", wanted) == []


def test_what_came_later_is_counted_as_far_as_it_is_seen(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = store(database, signal(), signal(1, base="ETH"), signal(2, minutes=-5), signal(3, minutes=90))

    def count(plan: PlanName = "elite", last_id: int = first, **wanted: str) -> int:
        with database.session(readonly=True) as session:
            asked = SignalFilter.parse(wanted)
            return signals.count_newer(session, PLANS[plan], asked, demo=False, now_ms=NOON_MS + 1, last_id=last_id)

    assert (count(), count(last_id=0), count(last_id=first + 3)) == (3, 4, 0)
    # By when it was written, not by when it happened.
    assert (count(contract="BTC"), count(contract="BTC", since="hour")) == (2, 1)
    assert count("free") == 3
    monkeypatch.setattr(signals, "MOST_COUNTED", 2)
    assert count(last_id=0) == 2


def test_one_signal_is_found_by_those_who_may_see_it(database: Database) -> None:
    (surge,) = store(database, signal(detector="open_interest", kind="OI_SURGE"), stored_ms=NOON_MS)
    (demo,) = store(database, signal(origin=DEMO, key="demo"), stored_ms=NOON_MS)

    def found(plan: str, signal_id: int, now_ms: int, *, demo: bool = False) -> bool:
        with database.session(readonly=True) as session:
            return signals.find(session, PLANS[plan], signal_id, demo=demo, now_ms=now_ms) is not None  # pyright: ignore[reportArgumentType]

    assert found("elite", surge, NOON_MS)
    assert found("pro", surge, NOON_MS)
    assert not found("pro", surge, NOON_MS - 1)
    assert not found("free", surge, NOON_MS + 60 * MINUTE_MS)
    assert not found("elite", demo, NOON_MS)
    assert found("elite", demo, NOON_MS, demo=True)
    assert not found("elite", demo + 1, NOON_MS)


def test_a_number_is_never_given_anew(database: Database) -> None:
    """Whoever reads on after the last one it knows misses nothing, though that one may be purged."""
    first, last = store(database, signal(key="first", origin=DEMO), signal(key="last", origin=DEMO))
    with database.session() as session:
        assert signals.purge_demo(session) == 1
    (next_one,) = store(database, signal(key="real"))
    assert first < last < next_one
    with database.session() as session:
        assert signals.purge_demo(session) == 1
        assert [record.key for record in signals.after_id(session, last)] == ["real"]


def test_demo_signals_are_forgotten_and_old_ones_pruned_with_their_outcomes(database: Database) -> None:
    kept, *_ = store(database, signal(key="new"), signal(key="demo", origin=DEMO), signal(key="old", minutes=10))
    with database.session() as session:
        assert signals.purge_demo(session) == 1
        assert signals.prune(session, NOON_MS - MINUTE_MS) == 1
    with database.session(readonly=True) as session:
        assert [record.id for record in signals.newest(session, limit=9)] == [kept]
        assert session.get(SignalOutcome, kept) is not None
        assert session.get(SignalOutcome, kept + 1) is None


def test_readers_go_on_from_the_last_one_they_know(database: Database) -> None:
    first, second = store(database, signal(key="a", minutes=-5), signal(key="b", minutes=60))
    with database.session(readonly=True) as session:
        assert [record.key for record in signals.after_id(session, first)] == ["b"]
        assert signals.after_id(session, second) == []
        assert [record.key for record in signals.newest(session, limit=1)] == ["b"]


def test_a_new_engine_goes_on_from_the_signals_of_its_own_exchange(database: Database) -> None:
    store(
        database,
        signal(key="late", minutes=5),
        signal(key="early", minutes=50),
        signal(key="yesterday", minutes=1500),
        signal(key="bybit", origin=Origin("bybit")),
        signal(key="demo", origin=DEMO),
    )
    with database.session(readonly=True) as session:
        recent = signals.since(session, "binanceusdm", demo=False, first_ms=NOON_MS - 60 * MINUTE_MS)
    assert [record.key for record in recent] == ["early", "late"]
