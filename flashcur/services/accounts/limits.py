"""Rate limits, kept in the database: all processes share them, and a restart forgives nothing.

GCRA keeps one time for each key; taking from it is one statement, so two processes cannot both take the last one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from flashcur.errors import Throttled
from flashcur.models import RateLimit
from flashcur.services.storage.pruning import delete_unlocked


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` at once, then one every `every_s` seconds."""

    name: str
    """Begins the keys of its rows, so it must be one limit's alone."""
    burst: int
    every_s: float
    what: str
    """What there was too much of, as the message says it."""


SIGN_IN_HERE = Limit("sign-in-here", 10, 90, "attempts to sign in to this account")
"""For an address and where it is tried from: nobody guesses a password, and a stranger elsewhere locks no owner out."""
SIGN_IN_ANYWHERE = Limit("sign-in-anywhere", 60, 30, "attempts to sign in to this account")
SIGN_IN_NETWORK = Limit("sign-in-network", 100, 3, "attempts to sign in from your network")
REGISTER_HERE = Limit("register-here", 3, 1200, "mails to this address")
REGISTER_ADDRESS = Limit("register-address", 12, 600, "mails to this address")
REGISTER_NETWORK = Limit("register-network", 20, 180, "registrations from your network")
RESET_ADDRESS = Limit("reset-address", 3, 1200, "mails to this address")
RESET_NETWORK = Limit("reset-network", 20, 180, "requests from your network")
LINK_NETWORK = Limit("link-network", 30, 10, "links opened from your network")
WALLET_NETWORK = Limit("wallet-network", 40, 3, "requests to sign in from your network")
PASSWORD_CHECK = Limit("password-check", 10, 90, "wrong passwords")
MAIL_ACCOUNT = Limit("mail-account", 5, 600, "mails for this account")
WRITE_ACCOUNT = Limit("write-account", 120, 0.5, "changes")
WRITE_NETWORK = Limit("write-network", 600, 0.1, "changes from your network")
CONNECT_ACCOUNT = Limit("connect-account", 20, 60, "attempts to connect a channel")
TEST_ACCOUNT = Limit("test-account", 10, 60, "test messages")
"""A test is a real message: to a phone it costs money."""
API_ACCOUNT = Limit("api-account", 60, 0.5, "requests to the API")
EXPORT_ACCOUNT = Limit("export-account", 30, 2, "files")
HASHING_ACCOUNT = Limit("hashing-account", 30, 20, "uses of this password")
"""For an account, or an address and where it is tried from. Hashing costs as much when the password is right: neither
this limit nor the one for a network is ever forgiven."""
HASHING_NETWORK = Limit("hashing-network", 120, 1, "passwords from your network")
SMS_CODE_ACCOUNT = Limit("sms-code-account", 3, 1200, "codes for this account")
SMS_CODE_NUMBER = Limit("sms-code-number", 3, 3600, "codes to this number")
SMS_CODE_NETWORK = Limit("sms-code-network", 5, 1800, "codes from your network")
SMS_CODE_COUNTRY = Limit("sms-code-country", 50, 1728, "codes to numbers of this country")
"""All accounts together: whoever is paid for messages to a country's numbers gains nothing by having us send them."""
SMS_ACCOUNT = Limit("sms-account", 50, 1728, "SMS for this account")
"""50 a day, and as many that were saved up."""
SMS_COUNTRY = Limit("sms-country", 1000, 86.4, "SMS to numbers of this country")

LIMITS = tuple(value for value in globals().values() if isinstance(value, Limit))

Wanted = tuple[Limit, str]
"""A limit, and whom it counts for."""


def take(session: Session, limit: Limit, who: str, now_ms: int) -> None:
    """Use one of `who`'s allowance.

    Raises Throttled when there is none left; its message and `retry_after` (seconds, at least 1) say how long to wait.
    What is rolled back with the transaction has not counted.
    """
    key = _key(limit, who)
    step_ms = round(limit.every_s * 1000)
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    arrival = col(RateLimit.arrival_ms)
    following = case((arrival > now_ms, arrival), else_=now_ms) + step_ms
    statement = (
        dialect.insert(RateLimit)
        .values(key=key, arrival_ms=now_ms + step_ms)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"arrival_ms": following},
            where=following - now_ms <= limit.burst * step_ms,
        )
        .returning(arrival)
    )
    if session.connection().execute(statement).scalar() is not None:
        return
    used = session.exec(select(RateLimit.arrival_ms).where(RateLimit.key == key)).first() or now_ms
    wait_s = max(1.0, (used + step_ms - limit.burst * step_ms - now_ms) / 1000)
    raise Throttled(f"Too many {limit.what}. Try again in {_duration(wait_s)}.", retry_after=wait_s)


def forgive(session: Session, limit: Limit, who: str) -> None:
    """Give `who` the whole allowance back."""
    session.exec(delete(RateLimit).where(col(RateLimit.key) == _key(limit, who)))


def in_order(wanted: Iterable[Wanted]) -> list[Wanted]:
    """The one order in which a transaction takes from several limits, or forgives them: that of `LIMITS`."""
    return sorted(wanted, key=lambda one: LIMITS.index(one[0]))


def prune(session: Session, now_ms: int) -> int:
    """Delete the rows of allowances that are whole again, but for those that are being taken from; how many."""
    return delete_unlocked(session, RateLimit, col(RateLimit.arrival_ms) < now_ms)


def _key(limit: Limit, who: str) -> str:
    return f"{limit.name}:{hashlib.sha256(who.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{round(whole / 60)} min"
