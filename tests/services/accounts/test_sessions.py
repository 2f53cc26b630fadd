"""Sessions: the hash only, as many as the plan has, for thirty days."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from flashcur.domain.plans import PlanName
from flashcur.models import Account, AuditEvent, LoginSession
from flashcur.services.accounts import sessions
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import LIFETIME, TOKEN_CHARACTERS
from tests.support.accounts import ADDRESS, HOME, NOON, PASSWORD, Person, Services


def signed_in(services: Services, *people: Person) -> list[bool]:
    return [services.is_signed_in(person.token) for person in people]


def test_the_database_keeps_the_hash_only(services: Services) -> None:
    person = services.person()
    assert len(person.token) == TOKEN_CHARACTERS
    assert person.token not in services.contents()
    (login,) = services.rows(LoginSession)
    assert login.token_hash == hashlib.sha256(person.token.encode()).hexdigest()
    assert len({sessions.new_token() for _ in range(100)}) == 100


@pytest.mark.parametrize(("plan", "most"), [("free", 2), ("pro", 5), ("elite", 10)])
def test_one_more_than_the_plan_has_ends_the_oldest(services: Services, plan: PlanName, most: int) -> None:
    other = services.person("bob@example.com")
    people = [services.person(plan=plan)]
    for _ in range(most):
        services.clock.forward(minutes=1)
        people.append(services.sign_in(people[0].account_id))
    assert signed_in(services, *people) == [False] + [True] * most
    assert services.is_signed_in(other.token)


def test_of_sessions_begun_at_one_moment_the_new_one_stays(services: Services) -> None:
    person = services.person()
    for _ in range(20):
        newest = services.sign_in(person.account_id)
        assert services.is_signed_in(newest.token)
        assert len(services.session_ids(person.account_id)) == 2 or newest is person


async def test_many_sign_ins_at_once_stay_within_the_plan(services: Services, other_process: Services) -> None:
    person = services.person()
    # Of sessions begun at the same microsecond the id, a random one, decides which is the oldest.
    services.clock.forward(minutes=1)
    tokens = await asyncio.gather(
        *(process.registration.sign_in(ADDRESS, PASSWORD, HOME) for process in (services, other_process) * 4)
    )
    assert len(services.session_ids(person.account_id)) == 2
    assert sum(services.is_signed_in(token) for token in tokens) == 2


async def test_signing_in_again_in_one_browser_ends_no_other_device(services: Services) -> None:
    phone = services.person()
    services.clock.forward(minutes=1)
    former = services.sign_in(phone.account_id)
    services.clock.forward(minutes=1)
    stranger = services.person("bob@example.com")
    token = await services.registration.sign_in(ADDRESS, PASSWORD, HOME, sessions.hash_token(former.token))
    assert [*signed_in(services, phone, former), services.is_signed_in(token)] == [True, False, True]
    # The session of another account is not this account's to end.
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME, sessions.hash_token(stranger.token))
    assert services.is_signed_in(stranger.token)


def test_a_downgrade_ends_the_oldest(services: Services) -> None:
    people = [services.person(plan="elite")]
    for _ in range(6):
        services.clock.forward(minutes=1)
        people.append(services.sign_in(people[0].account_id))
    services.give(people[0].account_id, "pro")
    assert signed_in(services, *people) == [False] * 2 + [True] * 5
    services.give(people[0].account_id, "free")
    assert signed_in(services, *people) == [False] * 5 + [True] * 2
    services.give(people[0].account_id, "elite")
    assert signed_in(services, *people) == [False] * 5 + [True] * 2
    details = [event.detail for event in services.rows(AuditEvent)]
    assert details == ["elite to pro", "pro to free", "free to elite"]
    assert services.counts()["account_change"] == 3


def test_a_session_ends_after_thirty_days(services: Services) -> None:
    person = services.person()
    services.clock.forward(days=30, seconds=-1)
    assert services.is_signed_in(person.token)
    services.clock.forward(seconds=1)
    assert not services.is_signed_in(person.token)
    with services.database.session() as session:
        assert sessions.prune(session, NOON + LIFETIME - timedelta(seconds=1)) == 0
        assert sessions.prune(session, services.clock()) == 1


def test_a_made_up_token_is_nobody_s(services: Services) -> None:
    person = services.person()
    (login,) = services.rows(LoginSession)
    for token in ("", login.token_hash, login.id, person.token[:-1], person.token.swapcase(), "A" * TOKEN_CHARACTERS):
        assert not services.is_signed_in(token)


@pytest.mark.parametrize(
    ("plan", "until_s", "now"),
    [("pro", None, "pro"), ("pro", 1, "pro"), ("pro", 0, "free"), ("elite", -1, "free"), ("free", 1, "free")],
)
def test_a_plan_lasts_until_its_end(plan: str, until_s: int | None, now: str) -> None:
    until = None if until_s is None else NOON + timedelta(seconds=until_s)
    account = Account(plan=plan, plan_until=until, created_at=NOON)
    assert plan_of(account, NOON).audience == now


@pytest.mark.parametrize("plan", ["guest", "", "platinum", "Elite"])
def test_a_plan_that_does_not_exist_is_free(plan: str) -> None:
    assert plan_of(Account(plan=plan, created_at=NOON), NOON).audience == "free"


def test_a_plan_that_does_not_exist_is_not_given(services: Services) -> None:
    person = services.person()
    with pytest.raises(KeyError):
        services.give(person.account_id, "platinum")  # type: ignore[arg-type]
    assert services.account(person.account_id).plan == "free"
