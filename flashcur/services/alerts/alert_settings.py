"""How an account wants its alerts: quiet hours, a daily cap, whether urgent ones pass, and a mute.

What is held by them is planned anew with every change: it leaves at once where nothing holds it any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlmodel import Session, col, select, update

from flashcur.domain.delivery.batching import WINDOW_MS
from flashcur.domain.delivery.planning import Wishes, silence
from flashcur.domain.delivery.quiet_hours import QuietHours
from flashcur.errors import Refusal
from flashcur.models import Account, AlertSettings, Delivery
from flashcur.services.kit.time_zones import zone_of

LONGEST_MUTE_MS = 30 * 24 * 3_600_000


def read(session: Session, account_id: str) -> AlertSettings:
    """The account's settings, or the defaults, which are not stored."""
    return session.get(AlertSettings, account_id) or AlertSettings(account_id=account_id)


def wishes_of(account: Account, settings: AlertSettings | None) -> Wishes:
    """The same as messages are planned by; None: the defaults. A time zone that there is no longer is UTC."""
    own = settings or AlertSettings(account_id=account.id)
    return Wishes(
        zone_of(account.time_zone),
        QuietHours(own.quiet_from_min, own.quiet_until_min) if own.quiet else None,
        own.urgent_passes,
        own.daily_cap,
        own.muted_until_ms or 0,
    )


def read_wishes(session: Session, accounts: Collection[Account]) -> dict[str, Wishes]:
    """Of each account, by its id."""
    ids = [account.id for account in accounts]
    rows: Iterable[AlertSettings] = session.exec(select(AlertSettings).where(col(AlertSettings.account_id).in_(ids)))
    stored = {row.account_id: row for row in rows}
    return {account.id: wishes_of(account, stored.get(account.id)) for account in accounts}


def mute(session: Session, account: Account, until_ms: int | None, now_ms: int) -> AlertSettings:
    """Have nothing leave until a moment (Unix ms), or end that (None), in the transaction of whoever locked the
    account. What is held comes afterwards.

    Raises Refusal for a moment that is past, or more than 30 days away.
    """
    if until_ms is not None and not now_ms < until_ms <= now_ms + LONGEST_MUTE_MS:
        raise Refusal("Alerts can be muted for 30 days at most.", field="muted_until")
    row = session.get(AlertSettings, account.id) or AlertSettings(account_id=account.id)
    row.muted_until_ms = until_ms
    session.add(row)
    plan_anew(session, account, row, now_ms)
    return row


def plan_anew(session: Session, account: Account, row: AlertSettings | None, now_ms: int) -> None:
    """Have what silence held be due when silence ends by these settings (None: the defaults) and the account's time
    zone; now, where nothing holds it any more."""
    wishes = wishes_of(account, row)
    for urgent in (False, True):
        hold = silence(wishes, now_ms, urgent=urgent)
        session.exec(
            update(Delivery)
            .where(
                col(Delivery.account_id) == account.id,
                col(Delivery.status) == "held",
                col(Delivery.urgent).is_(urgent),
                # What is gathered within the minute is left to that.
                col(Delivery.due_ms) > now_ms + WINDOW_MS,
            )
            .values(due_ms=now_ms if hold is None else hold.until_ms)
        )
