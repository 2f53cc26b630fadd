"""What is deleted of accounts when its time is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from flashcur.services.accounts import audit, changes, limits, mail_tokens, sessions
from flashcur.services.auth import challenges
from flashcur.services.notify import outbox
from flashcur.services.timeutil import to_ms

MAIL_KEPT = timedelta(days=30)
AUDIT_KEPT = timedelta(days=365)
CHANGES_KEPT = timedelta(hours=1)
"""Every process has read them within seconds."""
TOKENS_KEPT = timedelta(days=7)
"""How long a link can still say that it was used, or came too late."""


def prune_accounts(session: Session, now: datetime) -> str:
    """Delete what is over at `now`; one line that says how much."""
    counts = {
        "sessions": sessions.prune(session, now),
        "links": mail_tokens.prune(session, now - TOKENS_KEPT),
        "mails": outbox.prune(session, now - MAIL_KEPT),
        "events": audit.prune(session, now - AUDIT_KEPT),
    }
    changes.prune(session, now - CHANGES_KEPT)
    challenges.prune(session, now)
    limits.prune(session, to_ms(now))
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + " deleted"
