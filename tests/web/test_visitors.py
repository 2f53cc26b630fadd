"""Who looks at the page: known by their cookie, told of changes, unsure while the database is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from flashcur.errors import DatabaseError
from flashcur.models import Account, LoginSession
from flashcur.services.accounts import sessions
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web import visitors as module
from flashcur.web.cookies import Cookies
from flashcur.web.visitors import GUEST, Visitor, Visitors
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, Person, Services
from tests.support.waiting import eventually


@dataclass
class Entrance:
    """The visitors of one process, and what they were told."""

    visitors: Visitors
    database: Database
    told: list[tuple[Visitor, Visitor]] = field(default_factory=list[tuple[Visitor, Visitor]])

    def cookie(self, person: Person) -> str:
        return f"other=1; {self.visitors.cookies.session}={person.token}"

    async def identify(self, person: Person, *, anew: bool = False) -> Visitor:
        return await self.visitors.identify(self.cookie(person), anew=anew)

    def known(self, person: Person) -> Visitor:
        return self.visitors.known(self.visitors.key_of(self.cookie(person)))

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.visitors.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def told_of(self, number: int, within_s: float = 20) -> Visitor:
        """What it became, once that many were told; and no more than that."""
        await eventually(lambda: len(self.told) >= number, f"{number} that are told", within_s)
        assert len(self.told) == number
        return self.told[-1][1]


class Outage:
    """A database that is away while `away` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = True
        self.asked = 0
        run = Database.run
        outage = self

        async def sometimes(self: Database, work: Callable[[Any], Any], *, readonly: bool = False) -> Any:
            outage.asked += 1
            if outage.away:
                raise DatabaseError("away", retry_after=1)
            return await run(self, work, readonly=readonly)

        monkeypatch.setattr(Database, "run", sometimes)


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    yield services
    services.close()


@pytest.fixture
def entrance(services: Services, monkeypatch: pytest.MonkeyPatch) -> Entrance:
    # How long a busy machine takes to connect to a new database is no matter of these tests.
    monkeypatch.setattr(module, "PATIENCE_S", 20)
    visitors = Visitors(services.settings, Cookies(secure=False), services.clock)
    visitors.open(services.database)
    entrance = Entrance(visitors, services.database)
    visitors.listen(lambda before, now: entrance.told.append((before, now)))
    return entrance


async def test_a_cookie_is_its_account(services: Services, entrance: Entrance) -> None:
    person = services.person(plan="pro")
    assert entrance.known(person) is GUEST
    visitor = await entrance.identify(person)
    assert visitor.account is not None
    assert (visitor.account.id, visitor.session_id) == (person.account_id, person.caller.session_id)
    assert entrance.visitors.audience(visitor) == "pro"
    assert entrance.known(person) is visitor
    assert await entrance.identify(person) is visitor
    assert person.token not in repr(visitor)


@pytest.mark.parametrize(
    "cookies", ["", "flashcur_session=", "flashcur_session=short", f"flashcur_session={'A' * 43}x", "x" * 20_000,
                f"xflashcur_session={'A' * 43}", f"flashcur_session={'ä' * 43}", f'flashcur_session="{"A" * 43}"']
)  # fmt: skip
async def test_what_is_no_cookie_of_ours_is_a_guest_without_a_question(
    entrance: Entrance, cookies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(monkeypatch)
    assert await entrance.visitors.identify(cookies) is GUEST
    assert entrance.visitors.known(entrance.visitors.key_of(cookies)) is GUEST
    assert outage.asked == 0


async def test_a_made_up_cookie_is_a_guest(services: Services, entrance: Entrance) -> None:
    visitor = await entrance.visitors.identify(f"flashcur_session={'A' * 43}")
    assert (visitor.account, visitor.unsure) == (None, False)
    assert entrance.visitors.audience(visitor) == "guest"
    assert entrance.told == []


async def test_guests_may_be_given_a_plan_in_development(services: Services) -> None:
    settings = replace(services.settings, dev_audience="elite")
    visitors = Visitors(settings, Cookies(secure=False), services.clock)
    assert visitors.audience(GUEST) == "elite"
    assert visitors.audience(Visitor("key", unsure=True)) == "guest"


async def test_before_the_database_is_open_nobody_is_sure(services: Services) -> None:
    person = services.person()
    visitors = Visitors(services.settings, Cookies(secure=False), services.clock)
    assert (await visitors.identify(f"flashcur_session={person.token}")).unsure


async def test_a_change_in_this_process_shows_at_once(services: Services, entrance: Entrance) -> None:
    person = services.person()
    await entrance.identify(person)
    async with entrance.following():
        await services.profile.set_theme(person.caller, "dark")
        entrance.visitors.poke()
        now = await entrance.told_of(1)
    assert now.account is not None
    assert now.account.theme == "dark"
    assert entrance.known(person) is now
    assert entrance.told[0][0].key == now.key


async def test_a_change_by_another_process_shows_within_a_second(
    services: Services, entrance: Entrance, settings: Settings, database_url: str
) -> None:
    environ = {
        "FLASHCUR_DATA_DIR": str(settings.data_dir),
        "FLASHCUR_SECRET_KEY": settings.secret_key.reveal(),
        "DATABASE_URL": database_url,
    }
    other = Services(settings, Database(Settings.load(environ)), services.clock)
    person, bystander = services.person(), services.person("bob@example.com")
    await entrance.identify(person)
    await entrance.identify(bystander)
    async with entrance.following():
        begun_s = time.monotonic()
        other.give(person.account_id, "elite")
        now = await entrance.told_of(1)
        assert time.monotonic() - begun_s < 1
        assert entrance.visitors.audience(now) == "elite"
        other.give(person.account_id, "free")
        assert entrance.visitors.audience(await entrance.told_of(2)) == "free"
    other.close()
    other.database.close()


async def test_a_plan_that_ends_by_time_is_noticed(services: Services, entrance: Entrance) -> None:
    person = services.person()
    services.give(person.account_id, "elite", services.clock() + timedelta(hours=1))
    visitor = await entrance.identify(person)
    assert entrance.visitors.audience(visitor) == "elite"
    async with entrance.following():
        # What was told before it was first read may be told once more.
        await settled(entrance)
        entrance.told.clear()
        services.clock.forward(minutes=59, seconds=59)
        await settled(entrance)
        assert entrance.told == []
        services.clock.forward(seconds=1)
        entrance.visitors.poke()
        now = await entrance.told_of(1)
        assert entrance.visitors.audience(now) == "free"
        await settled(entrance)
        assert len(entrance.told) == 1


async def settled(entrance: Entrance, rounds: int = 2) -> None:
    """Return after some more looks at the database."""
    for _ in range(rounds):
        entrance.visitors.poke()
        await eventually(lambda: not entrance.visitors._news.is_set(), "another look")


async def test_a_session_that_ends_elsewhere_makes_a_guest_once(services: Services, entrance: Entrance) -> None:
    person = services.person()
    stays = services.sign_in(person.account_id)
    await entrance.identify(person)
    await entrance.identify(stays)
    async with entrance.following():
        await services.profile.end_session(stays.caller, person.caller.session_id)
        await eventually(lambda: len(entrance.told) >= 2, "both devices told")
        await settled(entrance)
    gone = [now for before, now in entrance.told if before.session_id == person.caller.session_id]
    assert [(now.account, now.session_id) for now in gone] == [(None, "")]
    assert gone[0].key == sessions.hash_token(person.token)
    assert entrance.known(person) is GUEST
    assert entrance.known(stays).account is not None


async def test_a_tab_is_told_also_when_a_request_learns_it_first(services: Services, entrance: Entrance) -> None:
    """A request of the browser asks the database anew: it must not swallow what the open tabs have to be told."""
    person = services.person(plan="elite")
    await entrance.identify(person)
    await services.profile.sign_out(person.caller)
    assert (await entrance.identify(person, anew=True)).account is None
    async with entrance.following():
        now = await entrance.told_of(1)
        await settled(entrance)
    assert (now.account, len(entrance.told)) == (None, 1)


async def test_a_session_s_time_ends(services: Services, entrance: Entrance) -> None:
    person = services.person()
    await entrance.identify(person)
    async with entrance.following():
        services.clock.forward(days=30)
        assert (await entrance.told_of(1)).account is None
    assert (await entrance.identify(person)).account is None


async def test_a_password_change_and_a_deletion_are_seen(services: Services, entrance: Entrance) -> None:
    person = services.person()
    other = services.sign_in(person.account_id)
    await entrance.identify(other)
    async with entrance.following():
        await services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD)
        assert (await entrance.told_of(1)).account is None
        await entrance.identify(person)
        await services.profile.delete(person.caller, OTHER_PASSWORD, "DELETE")
        assert (await entrance.told_of(2)).account is None
    assert entrance.known(person) is GUEST


async def test_while_the_database_is_away_nobody_is_sure_and_later_he_is_told(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person(plan="elite")
    outage = Outage(monkeypatch)
    visitor = await entrance.identify(person)
    assert (visitor.unsure, visitor.account) == (True, None)
    assert entrance.known(person).unsure
    assert entrance.visitors.audience(visitor) == "guest"
    async with entrance.following():
        await eventually(lambda: outage.asked >= 2, "another question")
        assert entrance.told == []
        outage.away = False
        now = await entrance.told_of(1)
        await settled(entrance)
    assert entrance.visitors.audience(now) == "elite"
    assert entrance.told == [(Visitor(now.key, unsure=True), now)]


async def test_an_unsure_one_is_told_also_when_a_request_learns_it_first(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person()
    outage = Outage(monkeypatch)
    await entrance.identify(person)
    outage.away = False
    now = await entrance.identify(person, anew=True)
    assert entrance.told == [(Visitor(now.key, unsure=True), now)]
    async with entrance.following():
        await settled(entrance)
    assert len(entrance.told) == 1


async def test_who_is_known_stays_known_while_the_database_is_away(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person(plan="pro")
    await entrance.identify(person)
    outage = Outage(monkeypatch)
    visitor = await entrance.identify(person, anew=True)
    assert entrance.visitors.audience(visitor) == "pro"
    async with entrance.following():
        await eventually(lambda: outage.asked >= 2, "a look that failed")
        outage.away = False
        services.give(person.account_id, "elite")
        now = await entrance.told_of(1)
    assert entrance.visitors.audience(now) == "elite"


async def test_a_database_that_hangs_is_not_waited_for(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person()
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Database, "run", hang)
    assert (await asyncio.wait_for(entrance.identify(person), 2)).unsure


async def test_a_change_while_he_is_first_read_is_not_missed(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is committed and seen by the follower after the database was read, before the answer is kept."""
    person, watched = services.person(), services.person("bob@example.com")
    await entrance.identify(watched)
    run, read, go_on = Database.run, asyncio.Event(), asyncio.Event()
    slow_once = [True]

    async def slow(self: Database, work: Callable[[Any], Any], *, readonly: bool = False) -> Any:
        result = await run(self, work, readonly=readonly)
        if slow_once and isinstance(result, tuple):
            slow_once.clear()
            read.set()
            await go_on.wait()
        return result

    monkeypatch.setattr(Database, "run", slow)
    reading = asyncio.create_task(entrance.identify(person))
    await read.wait()
    services.give(person.account_id, "elite")
    services.give(watched.account_id, "pro")
    async with entrance.following():
        await entrance.told_of(1)
        go_on.set()
        assert entrance.visitors.audience(await reading) == "elite"
    assert entrance.visitors.audience(entrance.known(person)) == "elite"


async def test_the_time_of_last_use_is_kept_now_and_then(services: Services, entrance: Entrance) -> None:
    person = services.person()
    for minutes, seen in ((10, 0), (1, 11), (5, 11)):
        services.clock.forward(minutes=minutes)
        await entrance.identify(person, anew=True)
        (login,) = services.rows(LoginSession)
        assert login.seen_at - login.created_at == timedelta(minutes=seen)


async def test_not_being_able_to_write_makes_nobody_unsure(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person(plan="pro")
    services.clock.forward(hours=1)
    run = Database.run

    async def readonly_only(self: Database, work: Callable[[Any], Any], *, readonly: bool = False) -> Any:
        if not readonly:
            raise DatabaseError("locked")
        return await run(self, work, readonly=readonly)

    monkeypatch.setattr(Database, "run", readonly_only)
    assert entrance.visitors.audience(await entrance.identify(person)) == "pro"
    assert not entrance.known(person).unsure


async def test_the_longest_unused_give_way(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CAPACITY", 2)
    people = [services.person(f"{number}@example.com") for number in range(3)]
    for person in people[:2]:
        await entrance.identify(person)
    await entrance.identify(people[0])
    await entrance.identify(people[2])
    assert [entrance.known(person).account is not None for person in people] == [True, False, True]
    outage = Outage(monkeypatch)
    for letter in "ABC":
        await entrance.visitors.identify(f"flashcur_session={letter * 43}")
    known = entrance.visitors
    unsure = [known.known(known.key_of(f"flashcur_session={letter * 43}")).unsure for letter in "ABC"]
    assert (unsure, outage.away) == ([False, True, True], True)


async def test_administrators_are_those_that_are_configured(services: Services) -> None:
    settings = replace(services.settings, admin_emails=("ann@example.com",))
    visitors = Visitors(settings, Cookies(secure=False), services.clock)
    visitors.open(services.database)
    ann, bob = services.person(), services.person("bob@example.com")
    found = [await visitors.identify(f"flashcur_session={person.token}") for person in (ann, bob)]
    assert [visitor.admin for visitor in found] == [True, False]
    with services.database.session() as session:
        session.get_one(Account, ann.account_id).email = "eve@example.com"
    assert not (await visitors.identify(f"flashcur_session={ann.token}", anew=True)).admin


async def test_who_is_gone_is_forgotten_and_whose_tab_is_open_is_not(services: Services, entrance: Entrance) -> None:
    gone, here, back = (services.person(f"{number}@example.com") for number in range(3))
    for person in (gone, here, back):
        await entrance.identify(person)
    key = sessions.hash_token(here.token)
    entrance.visitors.ask_presence(lambda visitor: visitor == key)
    async with entrance.following():
        services.clock.forward(minutes=5)
        await entrance.identify(back)
        services.clock.forward(minutes=4)
        await settled(entrance)
        assert all(entrance.known(person).account for person in (gone, here, back))
        services.clock.forward(minutes=2)
        await settled(entrance)
        assert [entrance.known(person).account is not None for person in (gone, here, back)] == [False, True, True]
        services.clock.forward(minutes=60)
        await settled(entrance)
        assert [entrance.known(person).account is not None for person in (gone, here, back)] == [False, True, False]
        # Whoever was forgotten comes back as anybody does; who stayed is told of changes.
        assert (await entrance.identify(gone)).account is not None
        entrance.told.clear()
        services.give(here.account_id, "elite")
        entrance.visitors.poke()
        await entrance.told_of(1)


async def test_a_change_that_could_not_be_read_is_read_later(
    services: Services, entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person()
    await entrance.identify(person)
    async with entrance.following():
        await settled(entrance)
        entrance.told.clear()
        refresh, failed = Visitors._refresh, asyncio.Event()

        async def fail_once(self: Visitors, accounts: Any) -> None:
            if not failed.is_set():
                failed.set()
                raise DatabaseError("away", retry_after=1)
            await refresh(self, accounts)

        monkeypatch.setattr(Visitors, "_refresh", fail_once)
        services.give(person.account_id, "elite")
        await failed.wait()
        assert entrance.visitors.audience(await entrance.told_of(1)) == "elite"
