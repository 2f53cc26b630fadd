"""Accounts by wallet: signing in, linking, unlinking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from flashcur.errors import Conflict, NotFound, Refusal, SignInNeeded
from flashcur.models import Account, Wallet, WalletChallenge
from flashcur.services.accounts import audit, changes, limits, sessions
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller
from flashcur.services.auth import challenges
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.services.notify import enqueue
from flashcur.settings import CHAINS

STATEMENTS = {
    "sign-in": "Sign in to FlashCur. This costs nothing and allows nothing else.",
    "link": "Link this wallet to your FlashCur account. This costs nothing and allows nothing else.",
}
PURPOSES = tuple(STATEMENTS)
MOST_WALLETS = 20
"""Wallets of one account."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a browser sends after the wallet has signed."""

    nonce: str
    """Of the challenge."""
    address: str
    """`0x` and 40 hex digits, in any case."""
    chain_id: int
    """EIP-155 id of the chain the wallet is on."""
    signature: str
    """`0x` and hex digits."""


class WalletAccounts:
    """What is done with a wallet.

    Every method raises Refusal for what the person can mend, and Unavailable while the database, or the chain that is
    asked about a contract wallet, is away.
    """

    def __init__(self, context: Context, checker: SignatureChecker) -> None:
        self._context = context
        self._checker = checker

    async def challenge(
        self,
        origin: str,
        purpose: str,
        address: str,
        chain_id: int,
        browser_hash: str,
        client: Client,
        caller: Caller | None,
    ) -> WalletChallenge:
        """A text to sign, valid for `challenges.LIFETIME`, in `text` of the row.

        `origin` is that of the page, one of ours; `purpose` is one of `PURPOSES`; to link, `caller` is needed
        (SignInNeeded). Raises Throttled after too many from one network.
        """
        if purpose not in STATEMENTS:
            raise Refusal(f"expected a purpose ({', '.join(PURPOSES)}), was {purpose[:20]!r}", field="purpose")
        now = self._context.clock()
        await self._charge(client)

        def work(session: Session) -> WalletChallenge:
            account_id = None
            if purpose == "link":
                account_id = _required(caller, session, self._context)[0].id
            return challenges.issue(
                session,
                origin=origin,
                statement=STATEMENTS[purpose],
                address=address,
                chain_id=chain_id,
                purpose=purpose,
                account_id=account_id,
                browser_hash=browser_hash,
                now=now,
            )

        return await self._context.run(work)

    async def sign_in(self, signed: Signed, browser_hash: str, client: Client, former: str = "") -> str:
        """A new session's token for a wallet's signature; an address that is not known yet gets an account.

        See `sessions.start` for `former`. Raises Throttled after too many from one network.
        """
        address, contract = await self._verified(signed, "sign-in", browser_hash, client, None)
        now = self._context.clock()

        def work(session: Session) -> str:
            known = session.get(Wallet, address)
            account = None if known is None else sessions.lock(session, known.account_id)
            # Read again after the lock: it may have been unlinked, or linked to another account, meanwhile.
            wallet = session.get(Wallet, address, populate_existing=True)
            if known is not None and (account is None or wallet is None or wallet.account_id != account.id):
                raise Conflict("This wallet was unlinked, or its account deleted, at this moment: sign in again.")
            if account is None or wallet is None:
                account = Account(created_at=now)
                session.add(account)
                session.flush()
                wallet = _wallet(address, account.id, signed.chain_id, contract, now)
                audit.record(session, "registered", account.id, now, client, detail=f"wallet {_short(address)}")
            if contract and not (wallet.contract and wallet.chain_id == signed.chain_id):
                # Whoever controls the contract of this address there need not be who linked it.
                where = CHAINS.get(wallet.chain_id, str(wallet.chain_id))
                raise Refusal(f"This contract wallet signs in on {where}: switch your wallet to that network.")
            wallet.used_at = now
            if not wallet.contract:
                # A contract's chain stays: a key that signs for the same address says nothing about it.
                wallet.chain_id = signed.chain_id
            session.add(wallet)
            audit.record(session, "signed-in", account.id, now, client, detail=f"wallet {_short(address)}")
            most = plan_of(account, now).sessions
            token, _ = sessions.start(session, account, most, "wallet", client, now, former=former)
            changes.tell(session, account.id, now)
            return token

        try:
            token = await self._context.run(work)
        except Conflict:
            # The same wallet signed in for the first time in two tabs at once: by now its account exists. Or it was
            # unlinked at this moment: by now it belongs to nobody.
            token = await self._context.run(work)
        self._context.told()
        return token

    async def link(self, signed: Signed, browser_hash: str, caller: Caller) -> str:
        """Link a wallet to the caller's account. Returns its address in checksum case (EIP-55).

        Raises SignInAgain unless the session is fresh, Conflict for a wallet that is linked to an account already.
        """
        address, contract = await self._verified(signed, "link", browser_hash, caller.client, caller)
        now = self._context.clock()

        def work(session: Session) -> None:
            account, login = sessions.require(session, caller, now, locked=True)
            sessions.require_fresh(login, now)
            known = session.get(Wallet, address)
            if known is not None and known.account_id == account.id:
                raise Conflict(f"{_short(address)} is linked to this account already.")
            if known is not None:
                raise Conflict(
                    f"{_short(address)} signs in to another account. Unlink it there first, or delete that account."
                )
            if len(of_account(session, account.id)) >= MOST_WALLETS:
                raise Conflict(f"An account has at most {MOST_WALLETS} wallets: unlink one that you no longer use.")
            session.add(_wallet(address, account.id, signed.chain_id, contract, now))
            audit.record(session, "wallet-linked", account.id, now, caller.client, detail=_short(address))
            if account.email is not None:
                enqueue(session, account.email, "way-in-added", {"base": self._context.base}, now)

        await self._context.change(caller.account_id, work)
        return address

    async def unlink(self, address: str, caller: Caller) -> None:
        """Take a wallet off the caller's account.

        Raises SignInAgain unless the session is fresh, NotFound for a wallet that is not the account's, Conflict for
        the last way in.
        """
        now = self._context.clock()
        await self._context.charge_write(caller)

        def work(session: Session) -> None:
            account, login = sessions.require(session, caller, now, locked=True)
            sessions.require_fresh(login, now)
            wallets = of_account(session, account.id)
            wallet = next((wallet for wallet in wallets if wallet.address == address), None)
            if wallet is None:
                raise NotFound("That wallet is not linked to this account.")
            if len(wallets) == 1 and account.email is None:
                raise Conflict(
                    "This wallet is the only way into your account. Add an email address or another wallet first."
                )
            session.delete(wallet)
            audit.record(session, "wallet-unlinked", account.id, now, caller.client, detail=_short(address))

        await self._context.change(caller.account_id, work)

    async def _charge(self, client: Client) -> None:
        await self._context.charge((limits.WALLET_NETWORK, client.network))

    async def _verified(
        self, signed: Signed, purpose: str, browser_hash: str, client: Client, caller: Caller | None
    ) -> tuple[str, bool]:
        """(the address that signed, whether its contract did). The challenge is used up before that, so that nobody
        tries two signatures on one text."""
        now = self._context.clock()
        await self._charge(client)

        def work(session: Session) -> WalletChallenge | Refusal:
            try:
                return challenges.claim(
                    session,
                    nonce=signed.nonce,
                    address=signed.address,
                    chain_id=signed.chain_id,
                    purpose=purpose,
                    account_id=None if caller is None else caller.account_id,
                    browser_hash=browser_hash,
                    now=now,
                )
            except Refusal as refusal:
                # Returned, so that the text stays used up: an exception would roll that back.
                return refusal

        claimed = await self._context.run(work)
        if isinstance(claimed, Refusal):
            raise claimed
        contract = await self._checker.verify(claimed.text, claimed.address, claimed.chain_id, signed.signature)
        return claimed.address, contract


def of_account(session: Session, account_id: str) -> list[Wallet]:
    """An account's wallets, the first linked first."""
    return list(session.exec(select(Wallet).where(Wallet.account_id == account_id).order_by(col(Wallet.linked_at))))


def _required(caller: Caller | None, session: Session, context: Context) -> tuple[Account, object]:
    if caller is None:
        raise SignInNeeded("Sign in before you link a wallet.")
    return sessions.require(session, caller, context.clock())


def _wallet(address: str, account_id: str, chain_id: int, contract: bool, now: datetime) -> Wallet:
    return Wallet(
        address=address, account_id=account_id, chain_id=chain_id, contract=contract, linked_at=now, used_at=now
    )


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"
