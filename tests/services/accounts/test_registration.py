"""Registering, signing in, a forgotten password: what differs is written into mail, nothing into an answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import unicodedata

import pytest
from argon2 import PasswordHasher
from sqlalchemy.exc import IntegrityError

from flashcur.errors import Conflict, DatabaseError, Refusal, SignInNeeded, Throttled, Unavailable
from flashcur.models import Account, AuditEvent, LoginSession, MailToken
from flashcur.services.accounts import limits, sessions
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.registration import TAKEN
from flashcur.services.notify.links import make_token
from flashcur.services.storage.database import Database
from tests.support.accounts import (
    ADDRESS,
    BROWSER,
    ELSEWHERE,
    HOME,
    OTHER_PASSWORD,
    PASSWORD,
    Services,
)


async def refused(work: object, kind: type[Refusal] = Refusal) -> tuple[type[Refusal], str, str]:
    """Kind, message and field of a refusal."""
    with pytest.raises(kind) as caught:
        await work  # type: ignore[misc]
    return type(caught.value), str(caught.value), caught.value.field


async def registered(services: Services, email: str = ADDRESS, password: str = PASSWORD) -> str:
    await services.registration.register(email, password, HOME)
    token, _ = await services.registration.confirm(services.link("register", email), HOME)
    return token


async def test_an_account_is_made_by_the_link_in_the_mail(services: Services) -> None:
    assert await services.registration.register(" Ann@Example.COM ", PASSWORD, HOME) == ADDRESS
    assert services.rows(Account) == []
    assert services.mails() == ["register"]
    token, _ = await services.registration.confirm(services.link("register"), HOME)
    (account,) = services.rows(Account)
    assert (account.email, account.plan) == (ADDRESS, "free")
    assert services.is_signed_in(token)
    again = await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    assert services.is_signed_in(again)


async def test_nothing_in_the_database_opens_a_link_or_a_session(services: Services) -> None:
    """Neither the link, nor the token of a session, nor a password can be read there."""
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    link = services.link("register")
    token, _ = await services.registration.confirm(link, HOME)
    await services.registration.forgot(ADDRESS, HOME)
    everything = services.contents()
    for secret in (link, link[32:], services.link("reset")[32:], token, PASSWORD):
        assert secret not in everything
    assert hashlib.sha256(token.encode()).hexdigest() in everything


async def test_a_link_works_for_a_day_and_once(services: Services) -> None:
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    first = services.link("register")
    services.clock.forward(hours=24)
    assert "24 hours" in (await refused(services.registration.confirm(first, HOME)))[1]
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    second = services.link("register")
    services.clock.forward(hours=24, seconds=-1)
    await services.registration.confirm(second, HOME)
    assert "used already" in (await refused(services.registration.confirm(second, HOME)))[1]
    assert len(services.rows(Account)) == 1


async def test_of_one_link_opened_many_times_at_once_one_signs_in(services: Services) -> None:
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    link = services.link("register")
    done = await asyncio.gather(*(services.registration.confirm(link, HOME) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, tuple) for each in done) == 1
    assert all(isinstance(each, tuple | Refusal) for each in done)
    assert len(services.rows(Account)) == len(services.rows(LoginSession)) == 1


async def test_links_that_we_did_not_make_are_refused(services: Services) -> None:
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    good = services.link("register")
    secret, row = services.settings.secret_key, good[:32]
    forged = [
        "",
        row,
        row + "0" * 32,
        good[:-1],
        good + "0",
        good.upper(),
        f" {good}",
        f"{good}\n",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        "f" * 32 + good[32:],
        "0" * 64,
        "٠" * 64,
        "\0" * 64,
        "\ud800" * 64,
        "x" * 5000,
        make_token(secret, "reset", row),
        make_token(secret, "change-new", row),
        make_token(type(secret)("another key" * 4), "register", row),
    ]
    for token in forged:
        _, message, field = await refused(services.registration.confirm(token, HOME))
        assert ("not complete" in message, field) == (True, "token")
    # Another purpose's link, and one that is rightly made for another purpose than its row's.
    for token in (good, make_token(secret, "reset", row)):
        await refused(services.registration.reset(token, PASSWORD, HOME))
    for token in (good, make_token(secret, "change-new", row), make_token(secret, "change-old", row)):
        await refused(services.profile.confirm_address(token, HOME))
    assert services.rows(Account) == []
    await services.registration.confirm(good, HOME)


async def test_of_two_registrations_the_opened_one_counts(services: Services) -> None:
    """A stranger who registers my address first does not get my account, nor does their password stay in it."""
    await services.registration.register(ADDRESS, OTHER_PASSWORD, ELSEWHERE)
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    await services.registration.confirm(services.link("register"), HOME)
    kind, message, _ = await refused(services.registration.confirm(services.link("register", number=0), HOME))
    assert (kind, message) == (Conflict, TAKEN)
    assert len(services.rows(Account)) == len(services.rows(LoginSession)) == 1
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    await refused(services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME), SignInNeeded)


async def test_two_links_of_one_address_opened_at_once_make_one_account(services: Services) -> None:
    passwords = (PASSWORD, OTHER_PASSWORD)
    for password in passwords:
        await services.registration.register(ADDRESS, password, HOME)
    links = [services.link("register", number=number) for number in (0, 1)]
    done = await asyncio.gather(*(services.registration.confirm(x, HOME) for x in links), return_exceptions=True)
    assert [type(each) for each in done if not isinstance(each, tuple)] == [Conflict]
    assert len(services.rows(Account)) == len(services.rows(LoginSession)) == 1
    winner = passwords[[isinstance(each, tuple) for each in done].index(True)]
    await services.registration.sign_in(ADDRESS, winner, HOME)


async def test_a_confirmed_registration_keeps_no_password_with_its_link(services: Services) -> None:
    await registered(services)
    assert [token.password_hash for token in services.rows(MailToken)] == [None]


async def test_registering_answers_alike_whether_or_not_the_address_is_known(services: Services) -> None:
    services.person(ADDRESS)
    known = await services.registration.register(ADDRESS, PASSWORD, HOME), services.hasher.calls[:]
    services.hasher.calls.clear()
    unknown = await services.registration.register("bob@example.com", PASSWORD, HOME), services.hasher.calls[:]
    assert (known, unknown) == ((ADDRESS, ["hash"]), ("bob@example.com", ["hash"]))
    assert services.mails() == ["already-registered", "register"]
    assert len(services.rows(Account)) == 1


async def test_asking_for_a_reset_answers_alike(services: Services) -> None:
    services.person(ADDRESS)
    known = await services.registration.forgot(ADDRESS, HOME), services.hasher.calls[:]
    unknown = await services.registration.forgot("bob@example.com", HOME), services.hasher.calls[:]
    assert (known, unknown) == ((ADDRESS, []), ("bob@example.com", []))
    assert services.mails() == ["reset"]


@pytest.mark.parametrize("what", ["register", "forgot"])
async def test_limits_do_not_tell_who_has_an_account(services: Services, what: str) -> None:
    services.person(ADDRESS)

    async def ask(email: str) -> None:
        if what == "register":
            await services.registration.register(email, PASSWORD, HOME)
        else:
            await services.registration.forgot(email, HOME)

    said = {}
    for email in (ADDRESS, "bob@example.com"):
        for _ in range(3):
            await ask(email)
        said[email] = (await refused(ask(email), Throttled))[1:]
    assert said[ADDRESS] == said["bob@example.com"]
    # Too many mails to one address do not keep others from registering.
    await ask("eve@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "x" * 201,
        "password1234",
        "aaaaaaaaaaaa",
        "123456789012",
        "ann@example.com",
        "flashcur1234",
        "ａ" * 11,
    ],
)
async def test_poor_passwords_are_refused(services: Services, password: str) -> None:
    assert (await refused(services.registration.register(ADDRESS, password, HOME)))[2] == "password"
    assert services.mails() == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "ann",
        "ann@",
        "@example.com",
        "a b@example.com",
        "ann@exa mple.com",
        "ann@-.com",
        "a" * 300 + "@b.c",
        "ann@example.com\nBcc: bob@example.com",
        "ann\0@example.com",
        "\ud800@example.com",
        "ann@[127.0.0.1]",
    ],
)
async def test_what_is_no_address_is_refused(services: Services, email: str) -> None:
    assert (await refused(services.registration.register(email, PASSWORD, HOME)))[2] == "email"


async def test_signing_in_does_not_tell_whether_the_address_or_the_password_is_wrong(services: Services) -> None:
    services.person(ADDRESS)
    services.person("wallet@example.com", password=None)
    said = set()
    for email in (ADDRESS, "bob@example.com", "wallet@example.com"):
        services.hasher.calls.clear()
        said.add(await refused(services.registration.sign_in(email, OTHER_PASSWORD, HOME)))
        assert services.hasher.calls == ["verify"]
    assert len(said) == 1
    assert said.pop()[0] is SignInNeeded


async def attempts(services: Services, number: int, client: Client = HOME, email: str = ADDRESS) -> None:
    for _ in range(number):
        await refused(services.registration.sign_in(email, OTHER_PASSWORD, client), SignInNeeded)


async def test_ten_wrong_passwords_lock_this_network_out_and_no_other(services: Services) -> None:
    services.person(ADDRESS)
    await attempts(services, 10)
    with pytest.raises(Throttled) as caught:
        await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    assert caught.value.retry_after == 90
    assert "90 s" in str(caught.value) or "2 min" in str(caught.value)
    await services.registration.sign_in(ADDRESS, PASSWORD, ELSEWHERE)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), Throttled)
    services.clock.forward(seconds=89.999)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), Throttled)
    services.clock.forward(seconds=0.001)
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)


async def test_a_lockout_looks_the_same_for_an_address_without_an_account(services: Services) -> None:
    services.person(ADDRESS)
    said = []
    for email in (ADDRESS, "bob@example.com"):
        await attempts(services, 10, email=email)
        with pytest.raises(Throttled) as caught:
            await services.registration.sign_in(email, PASSWORD, HOME)
        said.append((str(caught.value), caught.value.retry_after, caught.value.field))
    assert said[0] == said[1]


async def test_a_lockout_is_shared_by_processes_and_outlives_them(services: Services, other_process: Services) -> None:
    services.person(ADDRESS)
    await attempts(services, 5)
    await attempts(other_process, 5)
    for process in (services, other_process):
        await refused(process.registration.sign_in(ADDRESS, PASSWORD, HOME), Throttled)
    started_later = Services(services.settings, services.database, services.clock)
    await refused(started_later.registration.sign_in(ADDRESS, PASSWORD, HOME), Throttled)
    started_later.close()


async def test_attempts_at_once_are_not_more_than_ten(services: Services, other_process: Services) -> None:
    services.person(ADDRESS)
    done = await asyncio.gather(
        *(process.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME) for process in (services, other_process) * 9),
        return_exceptions=True,
    )
    kinds = [type(each) for each in done]
    assert (kinds.count(SignInNeeded), kinds.count(Throttled)) == (10, 8)


async def test_a_lockout_is_told_the_owner_once(services: Services) -> None:
    services.person(ADDRESS)
    await attempts(services, 10)
    for _ in range(3):
        await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), Throttled)
    kinds = [event.kind for event in services.rows(AuditEvent)]
    assert (kinds.count("sign-in-failed"), kinds.count("locked")) == (10, 1)


async def test_signing_in_forgives_what_went_before(services: Services) -> None:
    services.person(ADDRESS)
    for _ in range(3):
        await attempts(services, 9)
        await services.registration.sign_in(ADDRESS, PASSWORD, HOME)


async def test_a_reset_unlocks(services: Services) -> None:
    services.person(ADDRESS)
    await attempts(services, 10)
    await services.registration.forgot(ADDRESS, HOME)
    await services.registration.reset(services.link("reset"), OTHER_PASSWORD, HOME)
    await services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME)


async def test_many_networks_together_are_limited_too(services: Services) -> None:
    services.person(ADDRESS)
    for number in range(6):
        await attempts(services, 10, Client(f"192.0.2.{number}", ""))
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, Client("192.0.2.99", "")), Throttled)


async def test_an_ipv6_customer_is_one_network(services: Services) -> None:
    services.person(ADDRESS)
    for number in range(10):
        await attempts(services, 1, Client(f"2001:db8:1:2::{number}", ""))
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, Client("2001:db8:1:2:ffff::1", "")), Throttled)
    await services.registration.sign_in(ADDRESS, PASSWORD, Client("2001:db8:1:3::1", ""))


async def test_one_password_typed_on_two_keyboards_is_one(services: Services) -> None:
    composed = "Ångström überfährt Ölwände"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    await registered(services, password=composed)
    await services.registration.sign_in(ADDRESS, decomposed, HOME)
    await services.registration.sign_in(ADDRESS, composed.replace(" ", "\N{NO-BREAK SPACE}"), HOME)


async def test_a_password_counts_to_its_last_character(services: Services) -> None:
    longest = ("nine odd rivers under glass " * 8)[:200]
    await registered(services, password=longest)
    await services.registration.sign_in(ADDRESS, longest, HOME)
    for wrong in (longest[:-1], longest + "x", longest * 5):
        await refused(services.registration.sign_in(ADDRESS, wrong, HOME), SignInNeeded)


async def test_a_password_that_cannot_be_is_wrong_and_nothing_else(services: Services) -> None:
    services.person(ADDRESS)
    for wrong in ("", "\0", "\ud800", "ﷺ" * 1000):
        await refused(services.registration.sign_in(ADDRESS, wrong, HOME), SignInNeeded)


async def test_an_outdated_hash_is_made_anew(services: Services) -> None:
    person = services.person(ADDRESS)
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    with services.database.session() as session:
        session.get_one(Account, person.account_id).password_hash = weak
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    renewed = services.account(person.account_id).password_hash
    assert renewed is not None
    assert "m=19456,t=2,p=1" in renewed
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    assert services.account(person.account_id).password_hash == renewed


async def test_a_password_changed_while_it_is_checked_does_not_sign_in(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = services.person(ADDRESS)
    before = services.session_ids(person.account_id)
    verify = services.hasher.verify

    async def slow(known: str | None, password: str, *, whose: str) -> bool:
        right = await verify(known, password, whose=whose)
        with services.database.session() as session:
            session.get_one(Account, person.account_id).password_hash = "another"
        return right

    monkeypatch.setattr(services.hasher, "verify", slow)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), SignInNeeded)
    assert services.session_ids(person.account_id) == before


async def test_a_reset_link_works_for_an_hour_and_once(services: Services) -> None:
    services.person(ADDRESS)
    await services.registration.forgot(ADDRESS, HOME)
    late = services.link("reset")
    services.clock.forward(minutes=60)
    assert "60 minutes" in (await refused(services.registration.reset(late, OTHER_PASSWORD, HOME)))[1]
    await services.registration.forgot(ADDRESS, HOME)
    link = services.link("reset")
    services.clock.forward(minutes=59, seconds=59)
    token, _ = await services.registration.reset(link, OTHER_PASSWORD, HOME)
    assert services.is_signed_in(token)
    assert "used already" in (await refused(services.registration.reset(link, PASSWORD, HOME)))[1]
    await services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME)


async def test_a_poor_password_does_not_use_a_reset_link_up(services: Services) -> None:
    services.person(ADDRESS)
    await services.registration.forgot(ADDRESS, HOME)
    for poor in ("short", "password1234"):
        await refused(services.registration.reset(services.link("reset"), poor, HOME))
    await services.registration.reset(services.link("reset"), OTHER_PASSWORD, HOME)


async def test_a_reset_ends_sessions_and_changes_of_address(services: Services) -> None:
    thief = services.person(ADDRESS)
    await services.profile.change_address(thief.caller, "thief@example.com", PASSWORD)
    await services.registration.forgot(ADDRESS, HOME)
    token, _ = await services.registration.reset(services.link("reset"), OTHER_PASSWORD, HOME)
    assert not services.is_signed_in(thief.token)
    assert services.is_signed_in(token)
    for link in (services.link("change-new", "thief@example.com"), services.link("change-old")):
        await refused(services.profile.confirm_address(link, HOME))
    assert services.account(thief.account_id).email == ADDRESS
    await refused(services.profile.set_theme(thief.caller, "dark"), SignInNeeded)
    assert services.mails(ADDRESS)[-1] == "password-changed"


async def test_of_one_reset_link_used_many_times_at_once_one_counts(services: Services) -> None:
    person = services.person(ADDRESS)
    await services.registration.forgot(ADDRESS, HOME)
    link = services.link("reset")
    done = await asyncio.gather(
        *(services.registration.reset(link, OTHER_PASSWORD, HOME) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, tuple) for each in done) == 1
    assert len(services.session_ids(person.account_id)) == 1


async def test_a_reset_link_to_an_address_that_is_no_longer_the_account_s_is_refused(services: Services) -> None:
    person = services.person(ADDRESS)
    await services.registration.forgot(ADDRESS, HOME)
    with services.database.session() as session:
        session.get_one(Account, person.account_id).email = "new@example.com"
    await refused(services.registration.reset(services.link("reset"), OTHER_PASSWORD, HOME))
    assert services.is_signed_in(person.token)


async def test_a_reset_and_an_act_of_the_thief_at_once(services: Services) -> None:
    """Whoever waits for the account's lock while its sessions end acts no more."""
    if services.database.is_sqlite:
        pytest.skip("a writing transaction is alone there")
    thief = services.person(ADDRESS)
    reached, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end_sessions() -> None:
        with services.database.session() as session:
            session.get_one(Account, thief.account_id, with_for_update=True)
            sessions.end_all(session, thief.account_id)
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

    ending = asyncio.create_task(asyncio.to_thread(end_sessions))
    await reached.wait()
    acting = asyncio.create_task(services.profile.set_theme(thief.caller, "dark"))
    await waits_for_a_lock(services.database)
    go_on.set()
    await ending
    await refused(acting, SignInNeeded)
    assert services.account(thief.account_id).theme == "system"


async def waits_for_a_lock(database: Database) -> None:
    """Return once a connection of this database waits for another one's lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(500):
        with database.engine.connect() as connection:
            if connection.exec_driver_sql(query).scalar_one():
                return
        await asyncio.sleep(0.01)
    raise AssertionError("expected a connection to wait for a lock")


async def test_while_the_database_is_away_it_is_said_so(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Database, "run", away)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), Unavailable)
    await refused(services.registration.register(ADDRESS, PASSWORD, HOME), Unavailable)


async def test_what_collides_is_a_conflict(services: Services) -> None:
    def twice(session: object) -> None:
        raise IntegrityError("", None, Exception())

    await refused(services.context.run(twice), Conflict)


async def test_addresses_of_clients_are_not_kept_by_limits(services: Services) -> None:
    with services.database.session() as session:
        limits.take(session, limits.REGISTER_ADDRESS, ADDRESS, services.clock.ms)
    assert ADDRESS not in services.contents()


async def test_a_link_from_a_stranger_s_registration_needs_the_stranger_s_password(services: Services) -> None:
    """Whoever registers somebody else's address must not find their own password on the account that comes of it."""
    await services.registration.register(ADDRESS, OTHER_PASSWORD, ELSEWHERE, "stranger" * 8)
    link = services.link("register")
    for password, field in (("", "password"), (PASSWORD, "password")):
        assert (await refused(services.registration.confirm(link, HOME, BROWSER, password)))[2] == field
    assert services.rows(Account) == []
    # The owner's own registration is not used up by the stranger's, and their link needs only a click.
    for _ in range(2):
        await services.registration.register(ADDRESS, OTHER_PASSWORD, ELSEWHERE, "stranger" * 8)
    await services.registration.register(ADDRESS, PASSWORD, HOME, BROWSER)
    await services.registration.confirm(services.link("register"), HOME, BROWSER)
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    await refused(services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME))


async def test_another_browser_confirms_with_the_password(services: Services) -> None:
    await services.registration.register(ADDRESS, PASSWORD, HOME, BROWSER)
    token, _ = await services.registration.confirm(services.link("register"), ELSEWHERE, "phone" * 8, PASSWORD)
    assert services.is_signed_in(token)


async def test_one_reset_makes_the_other_links_worthless(services: Services) -> None:
    services.person(ADDRESS)
    await services.registration.forgot(ADDRESS, HOME)
    first = services.link("reset")
    await services.registration.forgot(ADDRESS, HOME)
    second = services.link("reset")
    assert first != second
    await services.registration.reset(second, OTHER_PASSWORD, HOME)
    await refused(services.registration.reset(first, PASSWORD, HOME))
    await services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME)


async def test_strangers_do_not_lock_the_owner_out_where_he_has_been(services: Services) -> None:
    services.person(ADDRESS)
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)
    for network in range(7):
        for _ in range(10):
            with contextlib.suppress(Refusal):
                await services.registration.sign_in(ADDRESS, OTHER_PASSWORD, Client(f"203.0.113.{network}", ""))
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, Client("203.0.113.99", "")), Throttled)
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)


async def test_a_password_made_to_take_long_holds_up_nobody(services: Services) -> None:
    """zxcvbn's time explodes with letters that stand for others; it must neither run on the event loop nor for long."""
    worst = "a4@b8c({[<e3g69i1!|l1|7o0s$5t+7x%z2" * 2
    gaps, stop = [], asyncio.Event()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while not stop.is_set():
            await asyncio.sleep(0.005)
            gaps.append(loop.time() - before)
            before = loop.time()

    watching = asyncio.create_task(watch())
    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(services.registration.register(f"a{n}@example.com", worst, HOME) for n in range(3)))
    took_s = asyncio.get_running_loop().time() - started
    stop.set()
    await watching
    assert took_s < 4
    assert max(gaps) < 0.5


@pytest.mark.parametrize(
    "password", ["flashcur2026!", "Ann.example1234", "passwordpassword", "123456789012345678901234"]
)
async def test_what_an_attacker_tries_first_is_refused(services: Services, password: str) -> None:
    await refused(services.registration.register(ADDRESS, password, HOME))


async def test_a_domain_that_is_not_ascii_is_one_address_in_either_spelling(services: Services) -> None:
    kept = "ann@xn--bcher-kva.de"
    assert await services.registration.register("Ann@BÜCHER.de", PASSWORD, HOME) == kept
    token, _ = await services.registration.confirm(services.link("register", kept), HOME, BROWSER, PASSWORD)
    assert services.is_signed_in(token)
    assert [account.email for account in services.rows(Account)] == [kept]
    for typed in ("ann@bücher.de", "ann@XN--BCHER-KVA.de"):
        assert services.is_signed_in(await services.registration.sign_in(typed, PASSWORD, HOME))
        assert await services.registration.forgot(typed, HOME) == kept
        await services.registration.register(typed, PASSWORD, HOME)
    assert services.mails(kept) == ["register", "reset", "already-registered", "reset", "already-registered"]


async def test_an_address_that_mail_cannot_be_sent_to_is_refused_wherever_mail_would_be(services: Services) -> None:
    for work in (
        services.registration.register("ünal@example.com", PASSWORD, HOME),
        services.registration.forgot("ünal@example.com", HOME),
    ):
        kind, said, field = await refused(work)
        assert (kind, field, "“ü” stands before the @" in said) == (Refusal, "email", True)
    assert services.mails() == []
    # One from before can still be signed in to.
    services.person("ünal@example.com")
    assert services.is_signed_in(await services.registration.sign_in("Ünal@example.com", PASSWORD, HOME))
