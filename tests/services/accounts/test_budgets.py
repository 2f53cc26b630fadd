"""What acts cost: charged before the work, for account and network, whatever becomes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from flashcur.errors import Refusal, Throttled
from flashcur.models import RateLimit
from flashcur.services.accounts import limits
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.passwords import Hasher
from flashcur.services.kit import time_zones as module
from flashcur.services.kit.time_zones import is_time_zone
from tests.support.accounts import ADDRESS, ELSEWHERE, HOME, PASSWORD, QuickHasher, Services


async def outcome(act: Awaitable[Any]) -> str:
    try:
        await act
    except Throttled:
        return "throttled"
    except Refusal:
        return "refused"
    return "done"


@pytest.fixture
def quick(services: Services) -> Services:
    """The services with passwords that take no time."""
    return Services(services.settings, services.database, services.clock, hasher=QuickHasher())


async def test_right_passwords_are_counted_too(quick: Services) -> None:
    person = quick.person()
    most = limits.HASHING_ACCOUNT.burst
    acts = [await outcome(quick.profile.change_address(person.caller, "new@", PASSWORD)) for _ in range(3)]
    assert acts == ["refused"] * 3
    change = [await outcome(quick.profile.change_password(person.caller, PASSWORD, PASSWORD)) for _ in range(most)]
    # Each hashes twice: the present password and the new one.
    assert change == ["done"] * (most // 2) + ["throttled"] * (most - most // 2)
    # Not even another session's right password, from elsewhere.
    other = quick.sign_in(person.account_id, client=ELSEWHERE)
    assert await outcome(quick.profile.delete(other.caller, PASSWORD, "DELETE")) == "throttled"


async def test_signing_in_rightly_again_and_again_is_throttled(quick: Services) -> None:
    quick.person()
    most = limits.HASHING_ACCOUNT.burst
    done = [await outcome(quick.registration.sign_in(ADDRESS, PASSWORD, HOME)) for _ in range(most + 2)]
    assert done == ["done"] * most + ["throttled"] * 2
    # The owner is not locked out of other places.
    assert await outcome(quick.registration.sign_in(ADDRESS, PASSWORD, ELSEWHERE)) == "done"


async def test_a_network_s_passwords_are_counted_whoever_they_are_for(quick: Services) -> None:
    most = limits.HASHING_NETWORK.burst
    with quick.database.session() as session:
        for _ in range(most - 1):
            limits.take(session, limits.HASHING_NETWORK, HOME.network, quick.clock.ms)
    assert await outcome(quick.registration.register("bob@example.com", PASSWORD, HOME)) == "done"
    assert await outcome(quick.registration.register("eve@example.com", PASSWORD, HOME)) == "throttled"
    assert await outcome(quick.registration.sign_in(ADDRESS, PASSWORD, HOME)) == "throttled"
    assert await outcome(quick.registration.register("eve@example.com", PASSWORD, ELSEWHERE)) == "done"


async def test_refused_changes_are_charged(quick: Services) -> None:
    person = quick.person()
    most = limits.WRITE_ACCOUNT.burst
    acts = [await outcome(quick.profile.end_session(person.caller, "no such session")) for _ in range(most + 1)]
    assert acts == ["refused"] * most + ["throttled"]
    assert await outcome(quick.profile.set_theme(person.caller, "dark")) == "throttled"
    assert await outcome(quick.lists.create(person.caller, "Mine")) == "throttled"


async def test_changes_are_counted_for_the_network_over_its_accounts(quick: Services) -> None:
    people = [quick.person(f"{number}@example.com") for number in range(2)]
    with quick.database.session() as session:
        for _ in range(limits.WRITE_NETWORK.burst - 1):
            limits.take(session, limits.WRITE_NETWORK, HOME.network, quick.clock.ms)
    done = [await outcome(quick.lists.create(person.caller, "Mine")) for person in people]
    assert done == ["done", "throttled"]
    elsewhere = replace(people[1].caller, client=Client("198.51.100.9", ""))
    assert await outcome(quick.lists.create(elsewhere, "Mine")) == "done"


async def test_a_charge_is_all_or_nothing_and_keeps_no_address(quick: Services) -> None:
    with quick.database.session() as session:
        for _ in range(limits.WRITE_NETWORK.burst):
            limits.take(session, limits.WRITE_NETWORK, HOME.network, quick.clock.ms)
    person = quick.person()
    assert await outcome(quick.lists.create(person.caller, "Mine")) == "throttled"
    rows = quick.rows(RateLimit)
    assert [row.key.partition(":")[0] for row in rows] == ["write-network"]
    assert HOME.ip not in rows[0].key


class SlowHasher(Hasher):
    """Hashes while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Semaphore(0)

    def _matches(self, known: str, password: str) -> bool:
        self.go_on.acquire()
        return True


async def test_one_account_has_one_place_in_the_queue() -> None:
    hasher, done = SlowHasher(), []

    async def verify(whose: str) -> None:
        await hasher.verify("known", "password", whose=whose)
        done.append(whose)

    tasks = [asyncio.create_task(verify("ann")) for _ in range(20)]
    await asyncio.sleep(0.05)
    tasks.append(asyncio.create_task(verify("bob")))
    await asyncio.sleep(0.05)
    for _ in range(21):
        hasher.go_on.release()
    await asyncio.gather(*tasks)
    assert done.index("bob") <= 1
    assert len(hasher._turns) == 0
    hasher.close()


async def test_time_zones_are_read_once_and_not_by_the_event_loop(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def walk() -> set[str]:
        threads.append(threading.get_ident())
        return {"UTC", "Europe/Berlin"}

    monkeypatch.setattr(module, "available_timezones", walk)
    module.time_zones.cache_clear()
    try:
        person = services.person()
        await services.profile.set_time_zone(person.caller, "Europe/Berlin")
        assert await outcome(services.profile.set_time_zone(person.caller, "Europe/Nowhere")) == "refused"
        assert not await is_time_zone("../../etc/passwd")
        assert len(threads) == 1
        assert threading.get_ident() not in threads
    finally:
        module.time_zones.cache_clear()
