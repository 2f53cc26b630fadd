"""Who is known: found by account, by time and by last use, without looking at all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from flashcur.web.acquaintances import KEPT_FOR, Acquaintances
from tests.support.accounts import NOON


@dataclass(frozen=True)
class Somebody:
    key: str
    account_id: str
    ends_at: datetime | None = None


def known(*people: Somebody) -> Acquaintances[Somebody]:
    acquaintances: Acquaintances[Somebody] = Acquaintances()
    for person in people:
        acquaintances.keep(person, NOON)
    return acquaintances


def later(**span: float) -> datetime:
    return NOON + timedelta(**span)


def test_found_by_key_and_by_account() -> None:
    ann, phone, bob = Somebody("1", "ann"), Somebody("2", "ann"), Somebody("3", "bob")
    people = known(ann, phone, bob)
    assert (people.get("2"), people.get("4"), len(people)) == (phone, None, 3)
    assert people.of_accounts({"ann"}) == [ann, phone]
    assert people.of_accounts({"eve"}) == []
    people.forget("1")
    people.forget("1")
    assert people.of_accounts(["ann", "bob"]) == [phone, bob]
    # A cookie whose session is another account's by now.
    people.keep(Somebody("2", "bob"), NOON)
    assert people.of_accounts({"ann"}) == []
    assert {person.key for person in people.of_accounts({"bob"})} == {"2", "3"}


def test_each_end_is_told_once_and_only_if_it_still_holds() -> None:
    people = known(Somebody("1", "ann", later(hours=1)), Somebody("2", "bob", later(hours=2)), Somebody("3", "eve"))
    assert people.ended(later(minutes=59)) == set()
    assert people.ended(later(hours=1)) == {"ann"}
    assert people.ended(later(hours=1)) == set()
    people.keep(Somebody("2", "bob", later(hours=5)), NOON)
    people.keep(Somebody("3", "eve", later(hours=3)), NOON)
    people.forget("3")
    assert people.ended(later(hours=4)) == set()
    assert people.ended(later(hours=5)) == {"bob"}


def test_ends_of_those_who_have_gone_take_no_room() -> None:
    people = known()
    for number in range(5_000):
        people.keep(Somebody(str(number), "ann", later(days=30, seconds=number)), NOON)
        people.forget(str(number))
    for minute in range(5_000):
        people.keep(Somebody("1", "ann", later(days=30, minutes=minute)), NOON)
    assert len(people._ends) < 500
    assert people.ended(later(days=60)) == {"ann"}


def test_the_longest_unused_is_forgotten_first() -> None:
    people = known(*(Somebody(key, "ann") for key in "123"))
    people.use("1", later(seconds=1))
    # Being read anew is no use.
    people.keep(Somebody("2", "ann"), later(seconds=2))
    people.forget_longest_unused()
    assert [people.get(key) is not None for key in "123"] == [True, False, True]


def test_who_is_gone_is_forgotten() -> None:
    people = known(*(Somebody(key, "ann") for key in "123"))
    people.use("3", later(minutes=5))
    people.forget_gone(NOON + KEPT_FOR - timedelta(seconds=1), lambda key: False)
    assert len(people) == 3
    people.forget_gone(NOON + KEPT_FOR, lambda key: key == "1")
    assert [people.get(key) is not None for key in "123"] == [True, False, True]
    people.forget_gone(NOON + 2 * KEPT_FOR, lambda key: False)
    assert len(people) == 0
    assert people.of_accounts({"ann"}) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda people: people.of_accounts({"account 7"}),
        lambda people: people.ended(later(hours=1)),
        lambda people: people.forget_gone(later(minutes=1), lambda key: False),
        lambda people: people.keep(Somebody("7", "account 7", later(days=30)), NOON),
    ],
)
def test_it_takes_no_longer_with_many(act: Callable[[Acquaintances[Somebody]], object]) -> None:
    people = known(*(Somebody(str(n), f"account {n}", later(days=30, seconds=n)) for n in range(50_000)))
    act(people)

    def once() -> float:
        started = time.perf_counter()
        act(people)
        return time.perf_counter() - started

    # One look at each of them takes some milliseconds.
    assert min(once() for _ in range(5)) < 0.0005
