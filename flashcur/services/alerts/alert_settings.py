"""How an account wants its alerts: quiet hours, a daily cap, whether urgent ones pass, and a mute."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlmodel import Session, col, select

from flashcur.domain.delivery.planning import Wishes
from flashcur.domain.delivery.quiet_hours import QuietHours
from flashcur.models import Account, AlertSettings
from flashcur.services.kit.time_zones import zone_of


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
