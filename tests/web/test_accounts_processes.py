"""Accounts in several processes: one PostgreSQL database, one Redis, two web processes and the operator's command.

Both web processes live in this test's event loop; each has its own connections, visitors, hasher and clock, and they
know of each other only through the servers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select
from starlette.applications import Starlette

from flashcur.domain.plans import Audience, PlanName
from flashcur.domain.watchlists import frozen
from flashcur.models import Account, AuditEvent, LoginSession, MailToken, RateLimit, Watchlist, WatchlistItem
from flashcur.services.accounts import changes, limits, mail_tokens, sessions, wiring
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web import process as web_module
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.table import HttpRoutes
from flashcur.web.visitors import Visitor
from tests.support.accounts import ADDRESS, ELSEWHERE, HOME, PASSWORD, WHERE, Services, add_account, add_session
from tests.support.programs import PostgresServer
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
WRONG_PASSWORD = "none of these words"
REQUEST = {"email": ADDRESS, "password": PASSWORD}


@dataclass
class Person:
    """An account, and one of its sessions."""

    account_id: str
    session_id: str
    token: str

    @property
    def cookie(self) -> str:
        return f"flashcur_session={self.token}"

    @property
    def caller(self) -> Caller:
        return Caller(self.account_id, self.session_id, HOME)


@dataclass
class Process:
    """One web process."""

    runtime: WebRuntime
    told: list[tuple[Visitor, Visitor]] = field(default_factory=list[tuple[Visitor, Visitor]])

    def __post_init__(self) -> None:
        self.runtime.visitors.listen(lambda before, now: self.told.append((before, now)))
        routes = HttpRoutes(self.runtime, AuthRoutes(self.runtime))
        transport = httpx.ASGITransport(app=routes.wrap(Starlette()), client=("192.0.2.1", 1))
        self._client = httpx.AsyncClient(transport=transport, base_url=WHERE.page)

    @property
    def accounts(self) -> Accounts:
        assert self.runtime.accounts is not None
        return self.runtime.accounts

    @property
    def database(self) -> Database:
        assert self.runtime.database is not None
        return self.runtime.database

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """As a browser without cookies."""
        self._client.cookies.clear()
        return await self._client.post(path, json=fields, headers={"Origin": WHERE.page})

    async def person(self, email: str = ADDRESS, plan: PlanName = "free") -> Person:
        def work(session: Session) -> Person:
            account_id = add_account(session, email, utc_now(), plan=plan)
            token, session_id = add_session(session, account_id, utc_now())
            return Person(account_id, session_id, token)

        return await self.database.run(work)

    async def device(self, person: Person) -> Person:
        """Another session of an account."""
        token, session_id = await self.database.run(lambda session: add_session(session, person.account_id, utc_now()))
        return Person(person.account_id, session_id, token)

    async def identify(self, person: Person) -> Visitor:
        return await self.runtime.visitors.identify(person.cookie)

    def known(self, person: Person) -> Visitor:
        return self.runtime.visitors.known(self.runtime.visitors.key_of(person.cookie))

    def audience(self, person: Person) -> Audience:
        return self.runtime.visitors.audience(self.known(person))

    def frozen(self, person: Person) -> int:
        """How many of their watchlists their pages show as read-only."""
        visitor = self.known(person)
        assert visitor.account is not None
        return len(frozen(visitor.account.lists, self.runtime.visitors.plan(visitor)))

    async def close(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def process(settings: Settings, *, skew_s: float = 0) -> AsyncIterator[Process]:
    """A web process on a machine whose clock is `skew_s` seconds ahead."""

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=skew_s)

    with pytest.MonkeyPatch.context() as patch:
        if skew_s:
            patch.setattr(web_module, "utc_now", clock)
            patch.setattr(wiring, "utc_now", clock)
        runtime = WebRuntime(settings, MarketHub(), WHERE)
        await runtime.start()
        try:
            await asyncio.wait_for(runtime.database_ready.wait(), 15)
        except TimeoutError:
            await runtime.stop()
            raise
    one = Process(runtime)
    try:
        yield one
    finally:
        await one.close()
        await runtime.stop()


@pytest.fixture
def web_environ(environ: dict[str, str], postgres_url: str, redis_url: str) -> dict[str, str]:
    return {**environ, "DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "FLASHCUR_ENGINE": "external"}


@pytest.fixture
async def two(web_environ: dict[str, str]) -> AsyncIterator[tuple[Process, Process]]:
    settings = Settings.load(web_environ)
    async with process(settings) as first, process(settings) as second:
        yield first, second


async def command(environ: dict[str, str], *words: str) -> str:
    """`python -m flashcur.accounts`; what it says."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flashcur.accounts", *words),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, errors.decode()
    return said.decode()


async def together(*works: Awaitable[httpx.Response]) -> list[httpx.Response]:
    return list(await asyncio.gather(*works))


async def test_a_lockout_counted_in_one_process_binds_the_other(two: tuple[Process, Process]) -> None:
    first, second = two
    await first.person()
    wrong = {**REQUEST, "password": WRONG_PASSWORD}
    for _ in range(limits.SIGN_IN_HERE.burst):
        assert (await first.post("/auth/sign-in", **wrong)).status_code == 401
    answer = await second.post("/auth/sign-in", **REQUEST)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.json()["error"]
    assert int(answer.headers["Retry-After"]) <= limits.SIGN_IN_HERE.every_s
    assert "set-cookie" not in answer.headers
    # Its owner, who is elsewhere, comes in by either.
    assert await second.accounts.registration.sign_in(ADDRESS, PASSWORD, ELSEWHERE)


async def test_two_processes_at_once_let_no_more_guesses_through_than_one(two: tuple[Process, Process]) -> None:
    await two[0].person()
    wrong = {**REQUEST, "password": WRONG_PASSWORD}
    most = limits.SIGN_IN_HERE.burst
    answers = await together(*(each.post("/auth/sign-in", **wrong) for each in two for _ in range(most)))
    assert sorted(answer.status_code for answer in answers) == [401] * most + [429] * most


async def test_a_session_ended_in_one_process_makes_a_guest_in_the_other(two: tuple[Process, Process]) -> None:
    first, second = two
    person = await first.person()
    device = await first.device(person)
    for each in two:
        assert (await each.identify(person)).account is not None
        assert (await each.identify(device)).account is not None
    begun_s = time.monotonic()
    await first.accounts.profile.end_session(device.caller, person.session_id)
    await eventually(lambda: second.known(person).account is None, "a guest", 2)
    assert time.monotonic() - begun_s < 1
    gone = [now for before, now in second.told if before.session_id == person.session_id]
    # The change may be told once more in between, but the last word is that they are a guest.
    assert (gone[-1].account, gone[-1].session_id) == (None, "")
    assert second.known(device).account is not None
    assert (await second.identify(person)).account is None


async def test_a_new_sign_in_over_the_limit_ends_the_oldest_everywhere(two: tuple[Process, Process]) -> None:
    first, second = two
    oldest = await first.person()
    newer = await first.device(oldest)
    await second.identify(oldest)
    await second.identify(newer)
    answer = await first.post("/auth/sign-in", **REQUEST)
    assert answer.status_code == 200
    await eventually(lambda: second.known(oldest).account is None, "the oldest ended", 1)
    assert second.known(newer).account is not None


async def test_a_plan_of_the_operator_is_seen_by_all(two: tuple[Process, Process], web_environ: dict[str, str]) -> None:
    first, second = two
    people = [await first.person(plan="elite")]
    people += [await first.device(people[0]) for _ in range(3)]
    newest = people[-1]
    lists = [await first.accounts.watchlists.create(newest.caller, title) for title in ("One", "Two", "Three")]
    for list_id in lists:
        await first.accounts.watchlists.add(newest.caller, list_id, "BTCUSDT")
    for each in two:
        for person in people:
            await each.identify(person)
        await eventually(lambda each=each: each.frozen(newest) == 0, "lists that can be changed", 2)

    def shows(audience: Audience, locked: int, devices: int) -> Callable[[], bool]:
        def everywhere() -> bool:
            return all(
                [each.known(person).account is not None for person in people] == [n >= 4 - devices for n in range(4)]
                and each.audience(newest) == audience
                and each.frozen(newest) == locked
                for each in two
            )

        return everywhere

    said = await command(web_environ, "plan", ADDRESS, "free")
    await eventually(shows("free", 2, 2), "Free in both processes", 2)
    assert "watchlists 3, with 3 entries" in said
    assert await rows(first.database) == {"lists": 3, "entries": 3, "sessions": 2}
    await command(web_environ, "plan", ADDRESS, "elite", "--days", "1")
    # The sessions that ended stay ended.
    await eventually(shows("elite", 0, 2), "Elite in both processes", 2)
    assert await rows(first.database) == {"lists": 3, "entries": 3, "sessions": 2}
    assert await second.accounts.watchlists.add(newest.caller, lists[2], "ETHUSDT")
    await command(web_environ, "sign-out", ADDRESS)
    await eventually(lambda: all(each.known(newest).account is None for each in two), "guests in both processes", 2)


async def rows(database: Database) -> dict[str, int]:
    tables = {"lists": Watchlist, "entries": WatchlistItem, "sessions": LoginSession}
    return await database.run(
        lambda session: {name: len(session.exec(select(table)).all()) for name, table in tables.items()},
        readonly=True,
    )


class Hold:
    """A sign-in that stops at a moment until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, one: Process, moment: str) -> None:
        self._reached = asyncio.Event()
        self._go_on = threading.Event()
        loop, verify, tell = asyncio.get_running_loop(), one.accounts.hasher.verify, changes.tell

        def stop() -> None:
            loop.call_soon_threadsafe(self._reached.set)
            assert self._go_on.wait(20)

        async def slowly(known: str | None, password: str, *, whose: str) -> bool:
            right = await verify(known, password, whose=whose)
            await asyncio.to_thread(stop)
            return right

        def tell_slowly(session: Session, account_id: str, now: datetime) -> None:
            stop()
            tell(session, account_id, now)

        if moment == "hashing":
            monkeypatch.setattr(one.accounts.hasher, "verify", slowly)
        else:
            # The last thing of the transaction: the session has been written.
            monkeypatch.setattr(changes, "tell", tell_slowly)

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), 10)

    def go_on(self) -> None:
        self._go_on.set()


@pytest.mark.parametrize("moment", ["hashing", "committing"])
async def test_the_database_goes_away_during_a_sign_in(
    web_environ: dict[str, str], own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    settings = Settings.load({**web_environ, "DATABASE_URL": own_postgres.create_database("accounts")})
    async with process(settings) as first, process(settings) as second:
        known = await first.person("known@example.com", "elite")
        came = await first.person("came@example.com", "pro")
        await first.person()
        await first.identify(known)
        hold = Hold(monkeypatch, first, moment)
        signing_in = asyncio.create_task(first.post("/auth/sign-in", **REQUEST))
        await hold.reached()
        await asyncio.to_thread(own_postgres.stop)
        hold.go_on()
        for answer in (await signing_in, await second.post("/auth/sign-in", **REQUEST)):
            assert answer.status_code == 503
            assert "nothing was changed" in answer.json()["error"]
            assert "set-cookie" not in answer.headers
        # Who was known is known; who comes now is unsure, and gets no more than a guest does.
        assert first.audience(known) == "elite"
        visitor = await first.identify(came)
        assert (visitor.unsure, first.audience(came)) == (True, "guest")
        assert (await second.identify(known)).unsure
        assert first.told == []

        await asyncio.to_thread(own_postgres.start)
        answer = await first.post("/auth/sign-in", **REQUEST)
        assert answer.status_code == 200, answer.text
        assert "flashcur_session=" in answer.headers["set-cookie"]
        # By themselves, without coming again: they are told.
        await eventually(lambda: first.audience(came) == "pro", "who came meanwhile", 5)
        await eventually(lambda: second.audience(known) == "elite", "the other process's", 5)
        assert [(before.unsure, now.session_id) for before, now in first.told] == [(True, came.session_id)]
        assert first.audience(known) == "elite"
        # What was begun before left nothing behind but the attempt that it counted, which was forgiven, and its hash.
        assert await first.database.run(_of_ann, readonly=True) == {"sessions": 2, "events": ["signed-in"], "limits": 3}
        # Following goes on as before.
        await second.accounts.profile.sign_out(known.caller)
        await eventually(lambda: first.known(known).account is None, "a change after the outage", 5)


def _of_ann(session: Session) -> dict[str, object]:
    """Sessions (one she had), what was noted, and the limits of all: attempts from her network, and hashes."""
    account_id = session.exec(select(Account.id).where(Account.email == ADDRESS)).one()
    return {
        "sessions": len(session.exec(select(LoginSession).where(LoginSession.account_id == account_id)).all()),
        "events": list(session.exec(select(AuditEvent.kind).where(AuditEvent.account_id == account_id)).all()),
        "limits": len(session.exec(select(RateLimit.key)).all()),
    }


async def test_two_processes_open_a_registration_s_link_at_once(
    two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = two
    use, both = mail_tokens.use, threading.Barrier(2)

    def use_together(*arguments: Any) -> MailToken:
        both.wait(10)
        return use(*arguments)

    monkeypatch.setattr(mail_tokens, "use", use_together)
    services = Services(first.runtime.settings, first.database)
    try:
        for number in range(5):
            address = f"new{number}@example.com"
            assert (await first.post("/auth/register", email=address, password=PASSWORD)).status_code == 200
            token = services.link("register", address)
            # Both transactions have begun before either uses the link.
            answers = await together(*(each.post("/auth/confirm", token=token, password=PASSWORD) for each in two))
            answers.sort(key=lambda answer: answer.status_code)
            assert [answer.status_code for answer in answers] == [200, 400]
            assert "used already" in answers[1].json()["error"]
            assert ["set-cookie" in answer.headers for answer in answers] == [True, False]
            owners = [account.id for account in services.rows(Account) if account.email == address]
            assert len(owners) == 1
            assert len(services.session_ids(owners[0])) == 1
        assert all(link.used_at and link.password_hash is None for link in services.rows(MailToken))
    finally:
        services.close()


@pytest.mark.parametrize("skew_s", [20, -20, 45, -45])
async def test_clocks_that_differ_hide_no_change(web_environ: dict[str, str], skew_s: float) -> None:
    settings = Settings.load(web_environ)
    async with AsyncExitStack() as stack:
        right = await stack.enter_async_context(process(settings))
        skewed = await stack.enter_async_context(process(settings, skew_s=skew_s))
        assert abs((skewed.accounts.context.clock() - utc_now()).total_seconds() - skew_s) < 1
        person = await right.person(plan="elite")
        device = await right.device(person)
        for each in (right, skewed):
            await each.identify(person)
            await each.identify(device)
        for number, (changer, reader) in enumerate(((right, skewed), (skewed, right)) * 2):
            zone = f"Etc/GMT+{number + 1}"
            begun_s = time.monotonic()
            await changer.accounts.profile.set_time_zone(person.caller, zone)
            await eventually(lambda reader=reader, zone=zone: zone_of(reader, person) == zone, "the change", 2)
            assert time.monotonic() - begun_s < 1
        # The command runs by the right clock, a sign-out in the skewed process by its own.
        await command(web_environ, "plan", ADDRESS, "pro")
        await eventually(lambda: {right.audience(person), skewed.audience(person)} == {"pro"}, "Pro", 2)
        await skewed.accounts.profile.sign_out(device.caller)
        await eventually(lambda: right.known(device).account is None, "a guest", 1)
        # Sessions begun by one clock hold by the other.
        answer = await skewed.post("/auth/sign-in", **REQUEST)
        token = answer.cookies["flashcur_session"]
        begun = await right.runtime.visitors.identify(f"flashcur_session={token}")
        assert begun.key == sessions.hash_token(token)
        assert begun.account is not None


def zone_of(process: Process, person: Person) -> str:
    account = process.known(person).account
    return "" if account is None else account.time_zone
