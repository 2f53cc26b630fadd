"""Keys for the API: made once, shown once, kept as a hash."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from flashcur.domain.plans import Plan, least_plan
from flashcur.errors import Conflict, NotFound, PlanNeeded, SignInNeeded
from flashcur.models import Account, ApiKey
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import TOKEN_CHARACTERS, hash_token, new_token

MOST = 3
"""Keys of one account."""
PREFIX = "flashcur_"
"""By it people, and programs that look for leaked secrets, recognise a key."""
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}")


def create(session: Session, account: Account, now: datetime) -> str:
    """A new key: `flashcur_` and 43 characters, of which only a hash is kept.

    Raises PlanNeeded where the plan has no API, Conflict when the account has `MOST` already.
    """
    require_plan(plan_of(account, now))
    if len(of_account(session, account.id)) >= MOST:
        raise Conflict(f"An account has at most {MOST} keys: delete one first.")
    key = PREFIX + new_token()
    session.add(ApiKey(account_id=account.id, key_hash=hash_token(key), hint=key[-4:], created_at=now))
    return key


def delete(session: Session, account_id: str, key_id: str) -> None:
    """Delete a key by its row's id. Raises NotFound, for another account's key as well."""
    key = session.get(ApiKey, key_id)
    if key is None or key.account_id != account_id:
        raise NotFound("That key is deleted already.")
    session.delete(key)


def of_account(session: Session, account_id: str) -> list[ApiKey]:
    """An account's keys, the oldest first."""
    return list(session.exec(select(ApiKey).where(ApiKey.account_id == account_id).order_by(col(ApiKey.created_at))))


def find(session: Session, text: str) -> tuple[ApiKey, Account]:
    """The row of the key `text`, and its account. Raises SignInNeeded for a wrong one."""
    owner = select(ApiKey, Account).join(Account, col(ApiKey.account_id) == Account.id)
    found = session.exec(owner.where(ApiKey.key_hash == hash_token(text))).first() if _FORM.fullmatch(text) else None
    if found is None:
        raise SignInNeeded("This is not a valid API key.")
    return found[0], found[1]


def touch(session: Session, key: ApiKey, now: datetime) -> None:
    """Note that a key was used."""
    session.exec(update(ApiKey).where(col(ApiKey.id) == key.id).values(used_at=now))


def require_plan(plan: Plan) -> None:
    """Raise PlanNeeded, which names the cheapest plan that has it, where `plan` has no API."""
    if not plan.api:
        raise PlanNeeded(f"{plan.title} has no API: {least_plan('api').title} has.")
