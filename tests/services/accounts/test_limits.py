"""Rate limits: GCRA exactly, for all processes together, on both kinds of database."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flashcur.errors import Throttled
from flashcur.models import RateLimit
from flashcur.services.accounts import limits
from flashcur.services.accounts.limits import LIMITS, Limit
from flashcur.services.storage.database import Database
from tests.support.accounts import NOON, Services

START_MS = int(NOON.timestamp() * 1000)
LIMIT = Limit("test", 4, 2.5, "tests")
_people = itertools.count()


def take(database: Database, at_ms: int, limit: Limit = LIMIT, who: str = "ann") -> float | None:
    """None when it was admitted, else the seconds to wait."""
    try:
        with database.session() as session:
            limits.take(session, limit, who, at_ms)
    except Throttled as refusal:
        return refusal.retry_after
    return None


def test_a_burst_and_then_one_at_a_time(database: Database) -> None:
    assert [take(database, START_MS) for _ in range(6)] == [None] * 4 + [2.5, 2.5]
    assert take(database, START_MS + 1000) == 1.5
    assert take(database, START_MS + 2499) == 1.0
    assert take(database, START_MS + 2500) is None
    assert take(database, START_MS + 2500) == 2.5
    # After a pause the whole burst is there again, and no more.
    later = START_MS + 1_000_000
    assert [take(database, later) for _ in range(5)] == [None] * 4 + [2.5]


def test_everybody_and_every_limit_has_an_own_allowance(database: Database) -> None:
    for who in ("ann", "bob", "", "\ud800", "a" * 5000):
        assert [take(database, START_MS, who=who) is None for _ in range(5)] == [True] * 4 + [False]
    assert take(database, START_MS, Limit("other", 1, 1, "others")) is None


def test_what_is_refused_costs_nothing(database: Database) -> None:
    for _ in range(4):
        take(database, START_MS)
    for _ in range(20):
        assert take(database, START_MS) == 2.5
    assert take(database, START_MS + 2500) is None


def test_a_clock_that_goes_back_gives_nothing(database: Database) -> None:
    assert [take(database, START_MS) is None for _ in range(4)] == [True] * 4
    assert take(database, START_MS - 60_000) == 62.5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 2.5, 90.0]),
    st.lists(st.integers(0, 5000), min_size=1, max_size=30),
)
def test_it_is_a_bucket_that_leaks(sqlite_database: Database, burst: int, every_s: float, pauses: list[int]) -> None:
    """The same as counting: `burst` tokens, one more each `every_s`."""
    limit, now, full, filled = Limit("test", burst, every_s, "tests"), START_MS, burst * every_s * 1000, START_MS
    left, who = full, str(next(_people))
    for pause in pauses:
        now += pause
        left, filled = min(full, left + now - filled), now
        wait = take(sqlite_database, now, limit, who)
        assert (wait is None) == (left >= every_s * 1000)
        if wait is None:
            left -= every_s * 1000
        else:
            assert wait == max(1.0, (every_s * 1000 - left) / 1000)


def test_at_once_no_more_than_the_burst_are_admitted(database: Database) -> None:
    together = threading.Barrier(12)

    def attempt(_: int) -> float | None:
        together.wait(30)
        return take(database, START_MS)

    with ThreadPoolExecutor(12) as threads:
        done = list(threads.map(attempt, range(12)))
    assert done.count(None) == 4
    assert {each for each in done if each is not None} == {2.5}


def test_forgiving_gives_the_whole_back(database: Database) -> None:
    for _ in range(4):
        take(database, START_MS)
    with database.session() as session:
        limits.forgive(session, LIMIT, "bob")
        limits.forgive(session, Limit("other", 4, 2.5, ""), "ann")
    assert take(database, START_MS) == 2.5
    with database.session() as session:
        limits.forgive(session, LIMIT, "ann")
    assert [take(database, START_MS) for _ in range(5)] == [None] * 4 + [2.5]


def test_pruning_forgives_nothing(services: Services) -> None:
    database = services.database
    for _ in range(4):
        take(database, START_MS)
    take(database, START_MS, who="bob")
    for at_ms, left in ((START_MS + 2500, 2), (START_MS + 2501, 1), (START_MS + 10_000, 1), (START_MS + 10_001, 0)):
        with database.session() as session:
            limits.prune(session, at_ms)
        assert len(services.rows(RateLimit)) == left


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_every_limit_can_be_taken_and_says_how_long(sqlite_database: Database, limit: Limit) -> None:
    for _ in range(limit.burst):
        assert take(sqlite_database, START_MS, limit) is None
    wait_s = take(sqlite_database, START_MS, limit)
    assert wait_s == max(1.0, limit.every_s)
    assert take(sqlite_database, START_MS + int(limit.every_s * 1000), limit) is None


def test_names_of_limits_differ() -> None:
    assert len({limit.name for limit in LIMITS}) == len(LIMITS) >= 13
