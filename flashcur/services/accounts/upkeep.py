"""What happens to accounts on schedule: plans end, and what is no longer needed is deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from flashcur.domain.billing.prices import PriceTable
from flashcur.models import Account
from flashcur.services.accounts import audit, changes, limits, mail_tokens, sessions
from flashcur.services.auth import challenges
from flashcur.services.billing import plans
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import outbox, provider_events, telegram_links

MAIL_KEPT = timedelta(days=30)
MESSAGES_KEPT = timedelta(days=90)
"""Deliveries of alerts, with their ledgers."""
AUDIT_KEPT = timedelta(days=365)
STRANGERS_KEPT = timedelta(days=30)
"""Attempts that concerned no account: long enough to see an attack."""
CHANGES_KEPT = timedelta(hours=1)
"""Every process has read them within seconds."""
TOKENS_KEPT = timedelta(days=7)
"""How long a link can still say that it was used, or came too late."""


def end_plans(session: Session, prices: PriceTable, now: datetime) -> str:
    """Where a plan's time is over at `now`, give the account what its records say; one line that says how many.

    What the plan allowed ended at that moment anyway; this ends sessions over the limit, and writes it down.
    """
    over = session.exec(select(Account).where(col(Account.plan_until) <= now).with_for_update(skip_locked=True)).all()
    for account in over:
        plans.reconsider(session, account, prices, now)
    return f"{len(over)} plans ended"


def prune_accounts(session: Session, now: datetime) -> str:
    """Delete what has been over for as long as it is kept; one line that says how much."""
    counts = {
        "sessions": sessions.prune(session, now),
        "links": mail_tokens.prune(session, now - TOKENS_KEPT),
        "messages": outbox.prune(session, to_ms(now - MESSAGES_KEPT), to_ms(now - MAIL_KEPT)),
        "chat links": telegram_links.prune(session, to_ms(now - TOKENS_KEPT)),
        "events": audit.prune(session, now - AUDIT_KEPT, now - STRANGERS_KEPT),
    }
    changes.prune(session, now - CHANGES_KEPT)
    challenges.prune(session, now)
    limits.prune(session, to_ms(now))
    provider_events.prune(session, to_ms(now - provider_events.KEPT))
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + " deleted"
