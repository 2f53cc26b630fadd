"""How an account wants its alerts: quiet hours, a daily cap, whether urgent ones pass, and a mute.

What is held by them is planned anew with every change: it leaves at once where nothing holds it any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from sqlmodel import Session, col, select, update

from flashcur.domain.delivery.batching import WINDOW_MS
from flashcur.domain.delivery.planning import Wishes, silence
from flashcur.domain.delivery.quiet_hours import QuietHours
from flashcur.errors import Refusal
from flashcur.models import Account, AlertSettings, Delivery
from flashcur.services.accounts import sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.sessions import Caller
from flashcur.services.kit.clock import to_ms
from flashcur.services.kit.time_zones import zone_of

LEAST_CAP, MOST_CAP = 1, 1_000
"""Messages a day."""
LONGEST_MUTE_MS = 30 * 24 * 3_600_000

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


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


def save(session: Session, account: Account, fields: Mapping[str, object], now_ms: int) -> AlertSettings:
    """Keep what a form says, in the transaction of whoever locked the account; fields that are left out stay.

    `quiet`, `urgent_passes` (whether), `quiet_from`, `quiet_until` (`22:00`, by the account's clock), `daily_cap`.
    Raises Refusal, which names the field, and then nothing is kept.
    """
    row = session.get(AlertSettings, account.id) or AlertSettings(account_id=account.id)
    quiet, urgent_passes = (_whether(fields, name, getattr(row, name)) for name in ("quiet", "urgent_passes"))
    begin = _minute(fields, "quiet_from", row.quiet_from_min)
    until = _minute(fields, "quiet_until", row.quiet_until_min)
    if quiet and begin == until:
        raise Refusal("Quiet hours need an end that is not their beginning.", field="quiet_until")
    cap = _cap(fields, row.daily_cap)
    row.quiet, row.quiet_from_min, row.quiet_until_min = quiet, begin, until
    row.urgent_passes, row.daily_cap = urgent_passes, cap
    session.add(row)
    plan_anew(session, account, row, now_ms)
    return row


def mute(session: Session, account: Account, until_ms: int | None, now_ms: int) -> AlertSettings:
    """Have nothing leave until a moment (Unix ms), or end that (None); as `save`. What is held comes afterwards.

    Raises Refusal for a moment that is past, or more than 30 days away.
    """
    if until_ms is not None and not now_ms < until_ms <= now_ms + LONGEST_MUTE_MS:
        raise Refusal("Alerts can be muted for 30 days at most.", field="muted_until")
    row = session.get(AlertSettings, account.id) or AlertSettings(account_id=account.id)
    row.muted_until_ms = until_ms
    session.add(row)
    plan_anew(session, account, row, now_ms)
    return row


def clock_text(minute: int) -> str:
    """Minutes after midnight as the form shows them: `07:00`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


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


class AlertWishes:
    """An account's settings as their owner changes them: each act authorised, limited and told in one transaction.

    Every method raises what the function of its name raises, SignInNeeded when signed out, Throttled after too many
    changes, and Unavailable while the database is away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def save(self, caller: Caller, fields: Mapping[str, object]) -> AlertSettings:
        """Keep what the form says; see `save`."""
        return await self._change(caller, lambda session, account, now_ms: save(session, account, fields, now_ms))

    async def mute(self, caller: Caller, until_ms: int | None) -> AlertSettings:
        """Have nothing leave until a moment (Unix ms), or end that (None)."""
        return await self._change(caller, lambda session, account, now_ms: mute(session, account, until_ms, now_ms))

    async def _change(self, caller: Caller, work: Callable[[Session, Account, int], AlertSettings]) -> AlertSettings:
        now = self._context.clock()

        def authorised(session: Session) -> AlertSettings:
            account, _ = sessions.require(session, caller, now, locked=True)
            return work(session, account, to_ms(now))

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, authorised)


def _whether(fields: Mapping[str, object], name: str, now: bool) -> bool:
    value = fields.get(name, now)
    if not isinstance(value, bool):
        raise Refusal("Expected yes or no.", field=name)
    return value


def _minute(fields: Mapping[str, object], name: str, now: int) -> int:
    value = fields.get(name)
    if value is None:
        return now
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Refusal("Enter a time such as 22:00.", field=name)
    return int(found[1]) * 60 + int(found[2])


def _cap(fields: Mapping[str, object], now: int) -> int:
    value = fields.get("daily_cap", now)
    text = value.strip() if isinstance(value, str) else value
    number = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 9 else text
    if isinstance(number, bool) or not isinstance(number, int) or not LEAST_CAP <= number <= MOST_CAP:
        raise Refusal(f"Enter a whole number from {LEAST_CAP} to {MOST_CAP:,}.", field="daily_cap")
    return number
