"""Messages that are about to leave, asked once more.

A message waits for its turn or for another attempt. Meanwhile a mute or a night may have begun, its place may have been
removed, or the plan may have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from flashcur.domain.delivery.planning import silence
from flashcur.models import Account, Delivery
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.alerts.alert_settings import read_wishes
from flashcur.services.alerts.dispatch import COUNTED_KINDS, why_held
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify.channel import Channel
from flashcur.services.notify.outbox import Ask, Later

REMOVED = "This destination was removed."
NOT_IN_PLAN = "Your plan no longer includes it."


def asking(channels: Mapping[str, Channel]) -> Ask:
    """What `outbox.claim_due` asks; `channels`: those of this server by name.

    Silence, places and plans are asked again, the cap and the number a minute are not: the message was counted when it
    was planned. Mail of accounts and the code of a number leave whatever their owner wishes, tests in silence too, and
    notices whatever the plan.
    """

    def ask(session: Session, rows: Sequence[Delivery], now_ms: int) -> dict[int, Later | str]:
        ids = {row.account_id for row in rows if row.account_id is not None and row.kind != "mail"}
        if not ids:
            return {}
        accounts = {each.id: each for each in session.exec(select(Account).where(col(Account.id).in_(ids)))}
        wishes = read_wishes(session, list(accounts.values()))
        found: dict[int, Later | str] = {}
        for row in rows:
            account = accounts.get(row.account_id or "")
            # What has come to be of no use is left to its sender, who says that.
            if account is None or row.id is None or row.kind == "mail" or row.expires_ms <= now_ms:
                continue
            if row.destination_id is None and row.channel != "email":
                found[row.id] = REMOVED
            elif row.kind != "notice" and row.channel not in plan_of(account, from_ms(now_ms)).channels:
                found[row.id] = NOT_IN_PLAN
            elif _keeps_silence(row) and (hold := silence(wishes[account.id], now_ms, urgent=row.urgent)):
                useful_ms = 1000 * channels[row.channel].useful_s
                zone = wishes[account.id].zone
                found[row.id] = Later(hold.until_ms, hold.until_ms + useful_ms, why_held(hold, zone))
        return found

    return ask


def _keeps_silence(row: Delivery) -> bool:
    """As when it was planned: alerts and notices among them do, what somebody waits for at this moment does not."""
    return row.kind in COUNTED_KINDS or (row.kind == "notice" and row.alert_id is not None)
