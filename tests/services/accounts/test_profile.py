"""What an owner does with their account: address, password, sessions, data, its end."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest

from flashcur.errors import Conflict, NotFound, Refusal, SignInNeeded, Throttled
from flashcur.models import Account, AuditEvent, Delivery, LoginSession, MailToken, Wallet
from flashcur.services.accounts import sessions
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts import signals
from flashcur.services.billing import grants
from flashcur.services.kit.clock import to_ms
from tests.support.accounts import (
    ADDRESS,
    BASE,
    ELSEWHERE,
    HOME,
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    Services,
    key_wallet,
    template_of,
    wallet_person,
    wallet_sign_in,
)
from tests.support.signals import NOON_MS, signal

NEW = "new@example.com"
LEFT = ("audit_event", "delivery", "delivery_step", "mail_token")
"""Tables in which a deletion leaves something: that there was one, and that it was told."""


async def refused(work: Any, kind: type[Refusal] = Refusal) -> Refusal:
    with pytest.raises(kind) as caught:
        await work
    return caught.value


# Change of address


async def links(services: Services, person: Person, address: str = NEW) -> dict[str, str]:
    """Ask for a change; its two links by where they went."""
    assert await services.profile.change_address(person.caller, address, PASSWORD) == address
    return {"new": services.link("change-new", address), "old": services.link("change-old")}


@pytest.mark.parametrize("order", ["new old", "old new"])
async def test_an_address_changes_once_both_ends_agree(services: Services, order: str) -> None:
    person = services.person()
    found = await links(services, person)
    first, second = order.split()
    assert await services.profile.confirm_address(found[first], ELSEWHERE) is False
    assert services.account(person.account_id).email == ADDRESS
    assert "used already" in str(await refused(services.profile.confirm_address(found[first], ELSEWHERE)))
    assert await services.profile.confirm_address(found[second], ELSEWHERE) is True
    assert services.account(person.account_id).email == NEW
    assert services.mails(ADDRESS) == ["change-old", "changed"]
    assert services.is_signed_in(person.token)
    await services.registration.sign_in(NEW, PASSWORD, HOME)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), SignInNeeded)


async def test_both_links_opened_at_once_change_the_address_once(services: Services, other_process: Services) -> None:
    for number in range(5):
        person = services.person(f"ann{number}@example.com")
        await services.profile.change_address(person.caller, f"new{number}@example.com", PASSWORD)
        done = await asyncio.gather(
            services.profile.confirm_address(services.link("change-new", f"new{number}@example.com"), HOME),
            other_process.profile.confirm_address(services.link("change-old", f"ann{number}@example.com"), HOME),
        )
        assert sorted(done) == [False, True]
        assert services.account(person.account_id).email == f"new{number}@example.com"


async def test_an_address_that_is_taken_is_answered_like_a_free_one(services: Services) -> None:
    services.person("bob@example.com")
    person = services.person()
    told = []
    for address in ("bob@example.com", "free@example.com"):
        services.hasher.calls.clear()
        told.append((await services.profile.change_address(person.caller, address, PASSWORD) == address,
                     services.hasher.calls[:]))  # fmt: skip
        assert await services.profile.confirm_address(services.link("change-old"), HOME) is False
    assert told[0] == told[1]
    assert services.mails("bob@example.com") == ["change-taken"]
    assert services.mails("free@example.com") == ["change-new"]


async def test_an_address_taken_in_between_stays_its_owner_s(services: Services) -> None:
    person = services.person()
    found = await links(services, person)
    services.person(NEW)
    assert await services.profile.confirm_address(found["new"], HOME) is False
    await refused(services.profile.confirm_address(found["old"], HOME), Conflict)
    assert services.account(person.account_id).email == ADDRESS
    assert len(services.rows(Account)) == 2


async def test_an_address_registered_at_the_same_moment_has_one_account(services: Services) -> None:
    person = services.person()
    found = await links(services, person)
    await services.profile.confirm_address(found["old"], HOME)
    await services.registration.register(NEW, OTHER_PASSWORD, HOME)
    done = await asyncio.gather(
        services.profile.confirm_address(found["new"], HOME),
        services.registration.confirm(services.link("register", NEW), HOME),
        return_exceptions=True,
    )
    assert [type(each) for each in done].count(Conflict) == 1
    assert [account.email for account in services.rows(Account)].count(NEW) == 1


async def test_only_the_newest_change_counts(services: Services) -> None:
    person = services.person()
    first = await links(services, person, "first@example.com")
    second = await links(services, person, "second@example.com")
    for link in first.values():
        await refused(services.profile.confirm_address(link, HOME))
    assert await services.profile.confirm_address(second["old"], HOME) is False
    assert await services.profile.confirm_address(second["new"], HOME) is True
    assert services.account(person.account_id).email == "second@example.com"


async def test_links_of_a_change_work_for_a_day(services: Services) -> None:
    person = services.person()
    found = await links(services, person)
    await services.profile.confirm_address(found["old"], HOME)
    services.clock.forward(hours=24)
    assert "24 hours" in str(await refused(services.profile.confirm_address(found["new"], HOME)))
    assert services.account(person.account_id).email == ADDRESS


async def test_a_wallet_s_account_gets_an_address_by_its_link_alone(services: Services) -> None:
    person = await wallet_person(services, key_wallet())
    await services.profile.change_address(person.caller, NEW, "")
    assert services.mails() == ["change-new"]
    assert await services.profile.confirm_address(services.link("change-new", NEW), HOME) is True
    assert services.account(person.account_id).email == NEW
    await refused(services.registration.sign_in(NEW, PASSWORD, HOME), SignInNeeded)
    await services.profile.change_password(person.caller, "", PASSWORD)
    await services.registration.sign_in(NEW, PASSWORD, HOME)


async def test_a_change_of_address_needs_the_password(services: Services) -> None:
    person = services.person()
    assert (await refused(services.profile.change_address(person.caller, NEW, OTHER_PASSWORD))).field == "password"
    assert (await refused(services.profile.change_address(person.caller, ADDRESS.upper(), PASSWORD))).field == "email"
    assert services.mails() == []


async def test_wrong_passwords_of_an_owner_are_limited(services: Services) -> None:
    person = services.person()
    for _ in range(10):
        await refused(services.profile.change_address(person.caller, NEW, OTHER_PASSWORD))
    await refused(services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD), Throttled)
    services.clock.forward(seconds=90)
    await services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD)


async def test_mails_of_one_account_are_limited(services: Services) -> None:
    person = services.person()
    for number in range(5):
        await services.profile.change_address(person.caller, f"new{number}@example.com", PASSWORD)
    await refused(services.profile.change_address(person.caller, "more@example.com", PASSWORD), Throttled)
    assert services.mails("more@example.com") == []


# Password


async def test_a_new_password_ends_other_sessions_and_open_links(services: Services) -> None:
    person = services.person()
    other = services.sign_in(person.account_id)
    found = await links(services, person)
    await services.registration.forgot(ADDRESS, HOME)
    await services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD)
    assert (services.is_signed_in(person.token), services.is_signed_in(other.token)) == (True, False)
    for link in found.values():
        await refused(services.profile.confirm_address(link, HOME))
    await refused(services.registration.reset(services.link("reset"), PASSWORD, HOME))
    await services.registration.sign_in(ADDRESS, OTHER_PASSWORD, HOME)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), SignInNeeded)
    assert services.mails(ADDRESS)[-1] == "password-changed"


async def test_a_new_password_needs_the_present_one_and_has_to_be_good(services: Services) -> None:
    person = services.person()
    wrong = await refused(services.profile.change_password(person.caller, OTHER_PASSWORD, OTHER_PASSWORD))
    assert wrong.field == "password"
    poor = await refused(services.profile.change_password(person.caller, PASSWORD, "password1234"))
    assert poor.field == "new"
    await services.registration.sign_in(ADDRESS, PASSWORD, HOME)


async def test_without_a_password_the_session_has_to_be_fresh(services: Services) -> None:
    person = await wallet_person(services, key_wallet())
    assert "email address first" in str(await refused(services.profile.change_password(person.caller, "", PASSWORD)))
    services.clock.forward(minutes=15)
    await services.profile.change_address(person.caller, NEW, "")
    services.clock.forward(seconds=1)
    for work in (
        services.profile.change_address(person.caller, "other@example.com", ""),
        services.profile.change_password(person.caller, "", PASSWORD),
        services.profile.delete(person.caller, "", "DELETE"),
    ):
        await refused(work, SignInNeeded)
    assert services.mails("other@example.com") == []
    assert services.rows(Account) != []


async def test_two_changes_of_password_at_once_leave_one_of_them(services: Services) -> None:
    person = services.person()
    other = services.sign_in(person.account_id)
    new = ("eleven quiet spoons at noon", "purple engines never sing")
    done = await asyncio.gather(
        *(
            services.profile.change_password(each.caller, PASSWORD, password)
            for each, password in zip((person, other), new, strict=True)
        ),
        return_exceptions=True,
    )
    assert sum(each is None for each in done) == 1
    await services.registration.sign_in(ADDRESS, new[done.index(None)], HOME)


# Sessions


async def test_an_owner_ends_his_sessions_and_nobody_else_s(services: Services) -> None:
    ann, bob = services.person(), services.person("bob@example.com")
    other = services.sign_in(ann.account_id)
    before = services.counts()
    for session_id in (bob.caller.session_id, "", "0" * 32, "x" * 64, bob.token, bob.account_id):
        await refused(services.profile.end_session(ann.caller, session_id), NotFound)
    assert services.counts() == before
    assert services.is_signed_in(bob.token)
    await services.profile.end_session(ann.caller, other.caller.session_id)
    assert (services.is_signed_in(ann.token), services.is_signed_in(other.token)) == (True, False)
    await refused(services.profile.end_session(ann.caller, other.caller.session_id), NotFound)


async def test_a_caller_with_another_s_session_is_nobody(services: Services) -> None:
    ann, bob = services.person(), services.person("bob@example.com")
    mixed = Caller(ann.account_id, bob.caller.session_id, HOME)
    for work in (
        services.profile.set_theme(mixed, "dark"),
        services.profile.end_other_sessions(mixed),
        services.profile.export(mixed),
        services.profile.change_address(mixed, NEW, PASSWORD),
        services.lists.create(mixed, "mine"),
    ):
        await refused(work, SignInNeeded)
    await refused(services.profile.sign_out(mixed), NotFound)
    assert len(services.rows(LoginSession)) == 2


async def test_a_browser_s_permission_is_kept_with_its_session_and_goes_with_it(services: Services) -> None:
    ann = services.person(plan="pro")
    other = services.sign_in(ann.account_id)

    def notifying() -> set[str]:
        with services.database.session(readonly=True) as session:
            return sessions.notifying(session, [ann.account_id, "none"], services.clock())

    assert notifying() == set()
    await services.profile.set_notifies(ann.caller, True)
    await services.profile.set_notifies(other.caller, True)
    assert notifying() == {ann.account_id}
    await services.profile.set_notifies(other.caller, False)
    assert notifying() == {ann.account_id}
    await services.profile.sign_out(ann.caller)
    assert notifying() == set()
    with pytest.raises(SignInNeeded):
        await services.profile.set_notifies(ann.caller, True)


async def test_all_other_sessions_end(services: Services) -> None:
    ann, bob = services.person(plan="pro"), services.person("bob@example.com")
    others = [services.sign_in(ann.account_id) for _ in range(3)]
    assert await services.profile.end_other_sessions(ann.caller) == 3
    assert [services.is_signed_in(each.token) for each in (ann, bob, *others)] == [True, True, False, False, False]


async def test_signing_out_twice_at_once_is_no_error(services: Services) -> None:
    person = services.person()
    done = await asyncio.gather(*(services.profile.sign_out(person.caller) for _ in range(4)), return_exceptions=True)
    assert all(each is None or isinstance(each, NotFound) for each in done), done
    assert None in done
    assert services.rows(LoginSession) == []


async def test_a_signed_out_caller_does_nothing_any_more(services: Services) -> None:
    person = services.person()
    await services.profile.sign_out(person.caller)
    for work in (
        services.profile.set_theme(person.caller, "dark"),
        services.profile.set_time_zone(person.caller, "Europe/Berlin"),
        services.profile.end_other_sessions(person.caller),
        services.profile.export(person.caller),
        services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD),
        services.profile.delete(person.caller, PASSWORD, "DELETE"),
        services.lists.create(person.caller, "mine"),
    ):
        await refused(work, SignInNeeded)
    assert services.account(person.account_id).theme == "system"


# Preferences


async def test_preferences_are_kept(services: Services) -> None:
    person = services.person()
    await services.profile.set_theme(person.caller, "dark")
    await services.profile.set_time_zone(person.caller, "Asia/Kolkata")
    account = services.account(person.account_id)
    assert (account.theme, account.time_zone) == ("dark", "Asia/Kolkata")
    for work in (
        services.profile.set_theme(person.caller, "neon"),
        services.profile.set_time_zone(person.caller, "../../etc/passwd"),
        services.profile.set_time_zone(person.caller, ""),
    ):
        await refused(work)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=btc&sort=price",
        "q=" + "%E5%B8%81" * 40,
        "list=" + "a" * 400,
        "min=" + "0" * 390,
        "q=%00",
        "q=" + "%F0%9F%98%80" * 31,
        "sort=;drop&&&==",
        "list=%00",
    ],
)
async def test_a_table_s_view_is_kept_whatever_is_in_it(services: Services, query: str) -> None:
    person = services.person()
    await services.profile.set_table_view(person.caller, query)
    kept = services.account(person.account_id).table_view
    await services.profile.set_table_view(person.caller, kept)
    assert services.account(person.account_id).table_view == kept


async def test_a_view_that_cannot_be_kept_whole_is_refused(services: Services) -> None:
    """Typed characters grow ninefold in an address."""
    person = services.person()
    await services.profile.set_table_view(person.caller, "q=btc")
    await refused(services.profile.set_table_view(person.caller, "q=" + "币" * 40 + "&min=" + "0" * 200))
    assert services.account(person.account_id).table_view == "q=btc"


async def test_writes_of_an_account_are_limited(services: Services) -> None:
    person = services.person()
    for _ in range(120):
        await services.profile.set_theme(person.caller, "dark")
    await refused(services.profile.set_theme(person.caller, "light"), Throttled)
    services.clock.forward(seconds=0.5)
    await services.profile.set_theme(person.caller, "light")


# Data and deletion


async def full_account(services: Services) -> Person:
    """One with something in every table."""
    person = services.person(plan="elite")
    services.sign_in(person.account_id)
    challenge = await services.wallets.challenge(BASE, "link", key_wallet().address, 1, "b" * 64, HOME, person.caller)
    await services.wallets.link(key_wallet().sign(challenge), "b" * 64, person.caller)
    await services.wallets.challenge(BASE, "link", key_wallet(2).address, 1, "b" * 64, HOME, person.caller)
    list_id = await services.lists.create(person.caller, "Mine")
    await services.lists.add(person.caller, list_id, "BTCUSDT")
    await services.registration.register(ADDRESS, PASSWORD, HOME)
    await services.registration.forgot(ADDRESS, HOME)
    await services.profile.change_address(person.caller, NEW, PASSWORD)
    await refused(services.registration.sign_in(ADDRESS, OTHER_PASSWORD, ELSEWHERE))
    return person


async def test_an_owner_gets_all_his_data_and_no_secret(services: Services) -> None:
    person = await full_account(services)
    services.person("bob@example.com")
    document = await services.profile.export(person.caller)
    shown = orjson.dumps(document).decode()
    assert ADDRESS in shown
    assert key_wallet().address in shown
    assert document["watchlists"] == [{"name": "Mine", "symbols": ["BTCUSDT"]}]
    assert len(document["sessions"]) == 2
    assert document["events"][0]["kind"] == "data-exported"
    assert "bob@" not in shown
    assert "argon2" not in shown
    assert not re.search(r"[0-9a-f]{64}", shown), "a hash"
    for login in services.rows(LoginSession):
        assert login.token_hash not in shown
        assert login.id not in shown
    for token in services.rows(MailToken):
        assert token.id not in shown


async def test_exports_are_limited(services: Services) -> None:
    person = services.person()
    for _ in range(30):
        await services.profile.charge_files(person.account_id)
    await refused(services.profile.charge_files(person.account_id), Throttled)


async def test_the_export_tells_what_was_granted_and_not_why(services: Services) -> None:
    person, now = services.person(), services.clock()
    with services.database.session() as session:
        grants.grant(session, person.account_id, "pro", None, now, reason="between us")
    document = await services.profile.export(person.caller)
    moment = to_ms(now)
    granted = {"plan": "pro", "from_ms": moment, "until_ms": None, "created_ms": moment, "ended_ms": None}
    assert document["plan_grants"] == [granted]
    assert document["account"]["plan_after"] == "free"


async def test_a_deletion_leaves_nothing_behind(services: Services) -> None:
    bob = services.person("bob@example.com")
    kept = services.counts()
    # An account that came by a registration's link, whose password is with that link.
    await services.registration.register("eve@example.com", PASSWORD, HOME)
    person = await full_account(services)
    before = services.account(person.account_id)
    await refused(services.profile.delete(person.caller, OTHER_PASSWORD, "DELETE"))
    await refused(services.profile.delete(person.caller, PASSWORD, "delete"))
    await services.profile.delete(person.caller, PASSWORD, " DELETE ")
    after = services.counts()
    assert {name: number for name, number in after.items() if name not in LEFT} == {
        **kept,
        "account_change": after["account_change"],
    }
    assert services.mails(ADDRESS) == ["account-deleted"]
    assert {token.email for token in services.rows(MailToken)} == {"eve@example.com"}
    for event in services.rows(AuditEvent):
        if event.account_id == person.account_id:
            assert (event.ip, event.user_agent, event.detail) == ("", "", "")
    everything = services.contents().replace(f"'{ADDRESS}', {{'subject': 'Your FlashCur account was deleted'", "")
    assert ADDRESS not in everything
    assert key_wallet().address not in everything
    assert before.password_hash is not None
    assert not services.is_signed_in(person.token)
    assert services.is_signed_in(bob.token)
    await refused(services.profile.set_theme(person.caller, "dark"), SignInNeeded)
    await refused(services.registration.sign_in(ADDRESS, PASSWORD, HOME), SignInNeeded)


async def test_a_deleted_account_s_wallet_begins_a_new_one(services: Services) -> None:
    person = await wallet_person(services, key_wallet())
    await services.profile.delete(person.caller, "", "DELETE")
    assert services.rows(Wallet) == []
    assert services.mails() == []
    token = await wallet_sign_in(services, key_wallet())
    assert services.is_signed_in(token)
    assert services.rows(Account)[0].id != person.account_id


async def test_every_change_is_told(services: Services) -> None:
    person = services.person()
    told = services.told
    for number, work in enumerate(
        (
            services.profile.set_theme(person.caller, "dark"),
            services.profile.change_password(person.caller, PASSWORD, OTHER_PASSWORD),
            services.profile.end_other_sessions(person.caller),
            services.profile.delete(person.caller, OTHER_PASSWORD, "DELETE"),
        ),
        1,
    ):
        await work
        assert services.told == told + number
    assert services.counts()["account_change"] == 4


async def test_a_new_address_is_kept_in_ascii_and_named_in_unicode(services: Services) -> None:
    person = services.person()
    kept = "ann@xn--bcher-kva.de"
    assert await services.profile.change_address(person.caller, "ann@Bücher.de", PASSWORD) == kept
    assert "change-new" in services.mails(kept)
    (asked,) = [mail for mail in services.rows(Delivery) if template_of(mail) == "change-old"]
    assert "is to become ann@bücher.de." in asked.payload["text"]
    refusal = await refused(services.profile.change_address(person.caller, "ünal@example.com", PASSWORD))
    assert (refusal.field, "“ü” stands before the @" in str(refusal)) == ("email", True)


async def test_what_was_read_never_goes_back_nor_ahead_of_what_is_stored(services: Services) -> None:
    person = services.person()
    with services.database.session() as session:
        signals.store(session, [signal(1), signal(2), signal(3)], NOON_MS)
    for asked, kept in ((2, 2), (1, 2), (0, 2), (10**9, 3)):
        await services.profile.read_signals(person.caller, asked)
        assert services.account(person.account_id).signals_read == kept
