"""The audit log: what was done to accounts, by whom, from where."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import update
from sqlmodel import Session, col, select

from flashcur.models import AuditEvent
from flashcur.services.accounts.client import NOBODY, Client
from flashcur.services.storage.pruning import delete_unlocked

Kind = Literal[
    "registered",
    "confirmed",
    "signed-in",
    "sign-in-failed",
    "locked",
    "signed-out",
    "session-ended",
    "reset-asked",
    "password-reset",
    "password-changed",
    "address-change-asked",
    "address-changed",
    "wallet-linked",
    "wallet-unlinked",
    "plan-changed",
    "api-key-created",
    "api-key-deleted",
    "channel-connected",
    "channel-removed",
    "data-exported",
    "mail-failed",
    "deleted",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Actor = Literal["owner", "operator", "system", "nobody"]
"""Who did it; `nobody` is a visitor who is not signed in."""


def record(
    session: Session,
    kind: Kind,
    account_id: str | None,
    now: datetime,
    client: Client = NOBODY,
    *,
    actor: Actor = "owner",
    detail: str = "",
) -> None:
    """Write one event in the transaction of what it tells; `detail` is cut to 300 characters."""
    session.add(
        AuditEvent(
            at=now,
            account_id=account_id,
            actor=actor,
            kind=kind,
            detail=detail[:300],
            ip=client.ip,
            user_agent=client.user_agent,
        )
    )


def recent(session: Session, account_id: str, limit: int = 20) -> list[AuditEvent]:
    """An account's newest events, at most `limit`, the newest first."""
    newest = select(AuditEvent).where(AuditEvent.account_id == account_id).order_by(col(AuditEvent.id).desc())
    return list(session.exec(newest.limit(limit)))


def anonymise(session: Session, account_id: str) -> None:
    """Forget where an account's events came from, and their details."""
    session.exec(
        update(AuditEvent).where(col(AuditEvent.account_id) == account_id).values(ip="", user_agent="", detail="")
    )


def prune(session: Session, before: datetime, strangers_before: datetime) -> int:
    """Delete events older than `before`, and those that belong to no account older than `strangers_before`.

    Returns how many of the former there were.
    """
    nobody = col(AuditEvent.account_id).is_(None), col(AuditEvent.at) < strangers_before
    delete_unlocked(session, AuditEvent, *nobody)
    return delete_unlocked(session, AuditEvent, col(AuditEvent.at) < before)
