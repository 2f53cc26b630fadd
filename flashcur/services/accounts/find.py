"""An account, as an operator names it."""

from __future__ import annotations

from sqlmodel import Session, select

from flashcur.errors import NotFound
from flashcur.models import Account, Wallet
from flashcur.services.accounts import sessions
from flashcur.services.auth.challenges import checksummed
from flashcur.settings.idn import ascii_address


def find(session: Session, who: str) -> Account:
    """The account of an email address or a linked wallet's, locked. Raises NotFound."""
    account_id = session.exec(select(Account.id).where(Account.email == _address(who))).first()
    if account_id is None and who.strip().startswith("0x"):
        wallet = session.get(Wallet, checksummed(who.strip()))
        account_id = None if wallet is None else wallet.account_id
    account = None if account_id is None else sessions.lock(session, account_id)
    if account is None:
        raise NotFound(f"There is no account of {who!r}: expected its email address or a linked wallet's address.")
    return account


def _address(who: str) -> str:
    """In the form that is kept, whichever the operator writes; what is no address is no account's either."""
    try:
        return ascii_address(who.strip().lower())
    except ValueError:
        return who.strip().lower()
