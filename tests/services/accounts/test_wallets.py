"""Accounts by wallet, with real keys: one address is one account, each text works once and in one browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flashcur.errors import Conflict, NotFound, Refusal, SignInNeeded, Throttled, Unavailable
from flashcur.models import Account, LoginSession, Wallet, WalletChallenge
from flashcur.services.accounts.sessions import hash_token
from flashcur.services.accounts.wallets import MOST_WALLETS, Signed
from flashcur.settings import CHAINS
from tests.support.accounts import (
    BASE,
    BROWSER,
    ELSEWHERE,
    HOME,
    KeyWallet,
    Person,
    Services,
    key_wallet,
    wallet_person,
    wallet_sign_in,
    wallets_of,
)


async def refused(work: Any, kind: type[Refusal] = Refusal) -> Refusal:
    with pytest.raises(kind) as caught:
        await work
    return caught.value


async def challenge(services: Services, wallet: KeyWallet, *, chain_id: int = 1, browser: str = BROWSER) -> Any:
    return await services.wallets.challenge(BASE, "sign-in", wallet.address, chain_id, browser, HOME, None)


async def link(services: Services, person: Person, wallet: KeyWallet) -> str:
    asked = await services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, person.caller)
    return await services.wallets.link(wallet.sign(asked), BROWSER, person.caller)


async def test_an_unknown_wallet_gets_an_account(services: Services) -> None:
    token = await wallet_sign_in(services, key_wallet())
    assert services.is_signed_in(token)
    (account,), (wallet,), (login,) = services.rows(Account), services.rows(Wallet), services.rows(LoginSession)
    assert (account.email, account.password_hash, account.plan) == (None, None, "free")
    assert (wallet.address, wallet.account_id, wallet.chain_id) == (key_wallet().address, account.id, 1)
    assert (login.method, login.token_hash) == ("wallet", hash_token(token))
    assert token not in services.contents()


async def test_one_address_is_one_account_on_every_chain(services: Services) -> None:
    for chain in CHAINS:
        await wallet_sign_in(services, key_wallet(), chain_id=chain)
    assert len(services.rows(Account)) == len(services.rows(Wallet)) == 1
    assert services.rows(Wallet)[0].chain_id == list(CHAINS)[-1]
    await wallet_sign_in(services, key_wallet(2))
    assert len(services.rows(Account)) == 2


async def test_an_address_is_the_same_however_it_is_written(services: Services) -> None:
    wallet = key_wallet()
    for address in (wallet.address.lower(), "0x" + wallet.address[2:].upper(), wallet.address):
        asked = await services.wallets.challenge(BASE, "sign-in", address, 1, BROWSER, HOME, None)
        signed = Signed(asked.nonce, address, 1, wallet.signature(asked.text))
        await services.wallets.sign_in(signed, BROWSER, HOME)
    assert [row.address for row in services.rows(Wallet)] == [wallet.address]
    assert len(services.rows(Account)) == 1


async def test_a_first_sign_in_in_two_tabs_at_once_makes_one_account(
    services: Services, other_process: Services
) -> None:
    for number in range(1, 5):
        wallet = key_wallet(number)
        tabs = [await challenge(services, wallet) for _ in range(2)]
        tokens = await asyncio.gather(
            *(
                process.wallets.sign_in(wallet.sign(asked), BROWSER, HOME)
                for process, asked in zip((services, other_process), tabs, strict=True)
            )
        )
        assert all(services.is_signed_in(token) for token in tokens)
        assert len(services.rows(Account)) == len(services.rows(Wallet)) == number


async def test_a_signature_works_once(services: Services) -> None:
    asked = await challenge(services, key_wallet())
    signed = key_wallet().sign(asked)
    done = await asyncio.gather(
        *(services.wallets.sign_in(signed, BROWSER, HOME) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, str) for each in done) == 1
    assert all(isinstance(each, str | Refusal) for each in done)
    assert "used already" in str(await refused(services.wallets.sign_in(signed, BROWSER, HOME)))


@pytest.mark.parametrize("signature", ["", "0x", "0x" + "00" * 65, "0x" + "ff" * 65, "nothing", "0x" + "12" * 5000,
                                       "\ud800", "\0"])  # fmt: skip
async def test_a_wrong_signature_uses_the_text_up(services: Services, signature: str) -> None:
    wallet = key_wallet()
    asked = await challenge(services, wallet)
    wrong = await refused(services.wallets.sign_in(Signed(asked.nonce, wallet.address, 1, signature), BROWSER, HOME))
    assert wrong.field == "signature"
    assert "used already" in str(await refused(services.wallets.sign_in(wallet.sign(asked), BROWSER, HOME)))
    assert services.rows(Account) == services.rows(LoginSession) == []


async def test_another_wallet_s_signature_is_wrong(services: Services) -> None:
    wallet, thief = key_wallet(), key_wallet(2)
    asked = await challenge(services, wallet)
    forged = Signed(asked.nonce, wallet.address, 1, thief.signature(asked.text))
    await refused(services.wallets.sign_in(forged, BROWSER, HOME))
    asked = await challenge(services, wallet)
    await refused(services.wallets.sign_in(thief.sign(asked), BROWSER, HOME))
    altered = Signed((await challenge(services, wallet)).nonce, wallet.address, 1, wallet.signature("another text"))
    await refused(services.wallets.sign_in(altered, BROWSER, HOME))
    assert services.rows(Account) == []


async def test_another_browser_is_refused_and_does_not_use_the_text_up(services: Services) -> None:
    """A thief of a signature has no cookie of ours, and cannot spoil it either."""
    wallet = key_wallet()
    asked = await challenge(services, wallet)
    for browser in ("c" * 64, ""):
        await refused(services.wallets.sign_in(wallet.sign(asked), browser, ELSEWHERE))
    assert services.rows(WalletChallenge)[0].used_at is None
    await services.wallets.sign_in(wallet.sign(asked), BROWSER, HOME)


async def test_a_text_is_of_one_purpose(services: Services) -> None:
    person, wallet = services.person(), key_wallet()
    to_sign_in = await challenge(services, wallet)
    await refused(services.wallets.link(wallet.sign(to_sign_in), BROWSER, person.caller))
    to_link = await services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, person.caller)
    await refused(services.wallets.sign_in(wallet.sign(to_link), BROWSER, HOME))
    assert services.rows(Wallet) == []
    await services.wallets.link(wallet.sign(to_link), BROWSER, person.caller)
    assert wallets_of(services, person.account_id) == {wallet.address}


async def test_a_text_is_too_old_after_five_minutes(services: Services) -> None:
    wallet = key_wallet()
    asked = await challenge(services, wallet)
    services.clock.forward(minutes=5)
    assert "5 minutes" in str(await refused(services.wallets.sign_in(wallet.sign(asked), BROWSER, HOME)))


@pytest.mark.parametrize(
    ("purpose", "address", "chain_id"),
    [
        ("confirm", "", 1),
        ("", "", 1),
        ("sign-in", "0x1", 1),
        ("sign-in", "\0", 1),
        ("sign-in", "", 5),
        ("sign-in", "", 0),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(
    services: Services, purpose: str, address: str, chain_id: int
) -> None:
    address = address or key_wallet().address
    await refused(services.wallets.challenge(BASE, purpose, address, chain_id, BROWSER, HOME, None))
    assert services.rows(WalletChallenge) == []


async def test_requests_of_a_network_are_limited(services: Services) -> None:
    for _ in range(40):
        await challenge(services, key_wallet())
    await refused(challenge(services, key_wallet()), Throttled)
    await services.wallets.challenge(BASE, "sign-in", key_wallet().address, 1, BROWSER, ELSEWHERE, None)
    services.clock.forward(seconds=3)
    await challenge(services, key_wallet())


async def test_a_wallet_is_linked_to_one_account_only(services: Services) -> None:
    ann, bob, wallet = services.person(), services.person("bob@example.com"), key_wallet()
    assert await link(services, ann, wallet) == wallet.address
    assert "already" in str(await refused(link(services, ann, wallet), Conflict))
    assert "another account" in str(await refused(link(services, bob, wallet), Conflict))
    assert (wallets_of(services, ann.account_id), wallets_of(services, bob.account_id)) == ({wallet.address}, set())
    token = await wallet_sign_in(services, wallet)
    assert hash_token(token) in {x.token_hash for x in services.rows(LoginSession) if x.account_id == ann.account_id}


async def test_two_accounts_linking_one_wallet_at_once(services: Services) -> None:
    people, wallet = [services.person(), services.person("bob@example.com")], key_wallet()
    done = await asyncio.gather(*(link(services, person, wallet) for person in people), return_exceptions=True)
    assert [type(each) for each in done if not isinstance(each, str)] == [Conflict]
    assert len(services.rows(Wallet)) == 1


async def test_linking_needs_a_session(services: Services) -> None:
    person, wallet = services.person(), key_wallet()
    await refused(services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, None), SignInNeeded)
    asked = await services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, person.caller)
    await services.profile.sign_out(person.caller)
    await refused(services.wallets.link(wallet.sign(asked), BROWSER, person.caller), SignInNeeded)
    await refused(
        services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, person.caller), SignInNeeded
    )
    assert services.rows(Wallet) == []


async def test_a_text_to_link_belongs_to_its_account(services: Services) -> None:
    ann, bob, wallet = services.person(), services.person("bob@example.com"), key_wallet()
    asked = await services.wallets.challenge(BASE, "link", wallet.address, 1, BROWSER, HOME, ann.caller)
    await refused(services.wallets.link(wallet.sign(asked), BROWSER, bob.caller))
    assert services.rows(Wallet) == []


async def test_the_last_way_in_stays(services: Services) -> None:
    first, second = key_wallet(), key_wallet(2)
    person = await wallet_person(services, first)
    await refused(services.wallets.unlink(first.address, person.caller), Conflict)
    await link(services, person, second)
    await services.wallets.unlink(first.address, person.caller)
    await refused(services.wallets.unlink(second.address, person.caller), Conflict)
    assert wallets_of(services, person.account_id) == {second.address}
    with_address = services.person()
    await link(services, with_address, key_wallet(3))
    await services.wallets.unlink(key_wallet(3).address, with_address.caller)
    assert wallets_of(services, with_address.account_id) == set()


async def test_two_unlinked_at_once_leave_one(services: Services) -> None:
    first, second = key_wallet(), key_wallet(2)
    person = await wallet_person(services, first)
    await link(services, person, second)
    done = await asyncio.gather(
        *(services.wallets.unlink(wallet.address, person.caller) for wallet in (first, second)), return_exceptions=True
    )
    assert [type(each) for each in done].count(Conflict) == 1
    assert len(wallets_of(services, person.account_id)) == 1


async def test_another_s_wallet_is_not_unlinked(services: Services) -> None:
    ann, bob = services.person(), services.person("bob@example.com")
    await link(services, ann, key_wallet())
    for address in (key_wallet().address, key_wallet(2).address, "", "\0", "x" * 500):
        await refused(services.wallets.unlink(address, bob.caller), NotFound)
    assert wallets_of(services, ann.account_id) == {key_wallet().address}


async def test_signing_in_while_the_wallet_is_unlinked_is_an_account_of_its_own(services: Services) -> None:
    """Whichever comes first: nobody gets an error, and the session is of an account that has the wallet."""
    person = services.person(plan="elite")
    for number in range(1, 5):
        wallet = key_wallet(number)
        await link(services, person, wallet)
        asked = await challenge(services, wallet)
        token, gone = await asyncio.gather(
            services.wallets.sign_in(wallet.sign(asked), BROWSER, HOME),
            services.wallets.unlink(wallet.address, person.caller),
            return_exceptions=True,
        )
        assert isinstance(token, str), token
        assert gone is None or isinstance(gone, Unavailable), gone
        assert services.is_signed_in(token)


async def test_signing_in_again_in_one_browser_ends_no_other_device(services: Services) -> None:
    wallet = key_wallet()
    phone = await wallet_sign_in(services, wallet)
    former = await wallet_sign_in(services, wallet)
    services.clock.forward(minutes=1)
    asked = await challenge(services, wallet)
    token = await services.wallets.sign_in(wallet.sign(asked), BROWSER, HOME, hash_token(former))
    assert [services.is_signed_in(each) for each in (phone, former, token)] == [True, False, True]


async def test_a_key_does_not_move_the_chain_that_a_contract_wallet_is_held_to(services: Services) -> None:
    """One address can have both: a contract that was deployed at it, and a key that signs for it (EIP-7702)."""
    await wallet_sign_in(services, key_wallet())
    with services.database.session() as session:
        session.get_one(Wallet, key_wallet().address).contract = True
    await wallet_sign_in(services, key_wallet(), chain_id=10)
    (wallet,) = services.rows(Wallet)
    assert (wallet.contract, wallet.chain_id) == (True, 1)


async def test_an_account_has_so_many_wallets_and_no_more(services: Services) -> None:
    person = await wallet_person(services, key_wallet())
    with services.database.session() as session:
        now = services.clock()
        for number in range(3, MOST_WALLETS + 1):
            address = f"0x{number:040x}"
            wallet = Wallet(account_id=person.account_id, address=address, chain_id=1, linked_at=now, used_at=now)
            session.add(wallet)
    await link(services, person, key_wallet(2))
    said = await refused(link(services, person, key_wallet(3)), Conflict)
    assert str(said).startswith("An account has at most 20 wallets")
    assert len(wallets_of(services, person.account_id)) == MOST_WALLETS
