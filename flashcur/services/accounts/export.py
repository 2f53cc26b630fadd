"""All that is kept about an account, for its owner. No hash that opens anything, token or secret address is in it.

What messages said is not repeated for each place: it stands with the alerts. These come with their chain, so that
`python -m flashcur.receipts verify` can follow it.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from flashcur.models import Account, AlertRecord, AlertSettings, Delivery, DeliveryStep, LoginSession
from flashcur.services.accounts import api_keys, audit, wallets, watchlists
from flashcur.services.alerts import rules
from flashcur.services.billing import grants
from flashcur.services.notify import destinations
from flashcur.services.storage.columns import columns_of, rows_of

_OWN = {
    "id",
    "email",
    "password_changed_at",
    "plan",
    "plan_source",
    "plan_until",
    "plan_after",
    "theme",
    "time_zone",
    "table_view",
    "signals_read",
    "created_at",
}
"""What of the account's row is exported; named one by one, so that no secret slips in."""
_DESTINATION = {"id", "channel", "name", "state", "why", "created_ms", "confirmed_ms", "used_ms"}
_OPEN_ADDRESSES = ("sms", "telegram")
"""Channels whose addresses are no secret: whoever knows a webhook's can write to it."""
_DELIVERY = (
    "id",
    "key",
    "alert_id",
    "kind",
    "channel",
    "destination_id",
    "status",
    "merged_into",
    "attempts",
    "provider_id",
    "problem",
    "created_ms",
    "expires_ms",
    "handed_ms",
    "done_ms",
)


def document(session: Session, account: Account) -> dict[str, Any]:
    """For JSON but for its times, some of which are datetimes; lists are in the order in which things were made."""
    logins = session.exec(select(LoginSession).where(LoginSession.account_id == account.id)).all()
    settings = session.get(AlertSettings, account.id) or AlertSettings(account_id=account.id)
    return {
        "account": {
            **account.model_dump(include=_OWN),
            "has_password": account.password_hash is not None,
        },
        "plan_grants": [
            grant.model_dump(include={"plan", "from_ms", "until_ms", "created_ms", "ended_ms"})
            for grant in grants.of_account(session, account.id)
        ],
        "wallets": [
            wallet.model_dump(include={"address", "chain_id", "linked_at", "used_at"})
            for wallet in wallets.of_account(session, account.id)
        ],
        "api_keys": [
            {"ends_in": key.hint, "created_at": key.created_at, "used_at": key.used_at}
            for key in api_keys.of_account(session, account.id)
        ],
        "sessions": [
            login.model_dump(include={"created_at", "seen_at", "expires_at", "method", "ip", "user_agent", "notifies"})
            for login in logins
        ],
        "watchlists": [
            {"name": each.name, "symbols": list(each.symbols)} for each in watchlists.lists(session, account.id)
        ],
        "rules": [
            rule.model_dump(exclude={"account_id", "position", "version"}) for rule in rules.rules(session, account.id)
        ],
        "alert_settings": settings.model_dump(exclude={"account_id"}),
        "destinations": [
            row.model_dump(include=_DESTINATION | ({"address"} if row.channel in _OPEN_ADDRESSES else set[str]()))
            for row in destinations.of_account(session, account.id)
        ],
        "alerts": _rows(session, AlertRecord, tuple(AlertRecord.model_fields), account.id),
        "deliveries": _deliveries(session, account.id),
        "events": [
            event.model_dump(include={"at", "kind", "actor", "detail", "ip", "user_agent"})
            for event in audit.recent(session, account.id, 10_000)
        ],
    }


def _deliveries(session: Session, account_id: str) -> list[dict[str, Any]]:
    """Each with its ledger."""
    steps: dict[int, list[dict[str, Any]]] = {}
    query = columns_of(DeliveryStep.delivery_id, DeliveryStep.status, DeliveryStep.at_ms, DeliveryStep.detail)
    own = query.where(col(DeliveryStep.delivery_id) == Delivery.id, Delivery.account_id == account_id)
    for delivery_id, status, at_ms, detail in rows_of(session, own.order_by(DeliveryStep.id)):
        steps.setdefault(delivery_id, []).append({"status": status, "at_ms": at_ms, "detail": detail})
    rows = _rows(session, Delivery, _DELIVERY, account_id)
    return [row | {"steps": steps.get(row["id"], [])} for row in rows]


def _rows(
    session: Session, table: type[AlertRecord] | type[Delivery], names: tuple[str, ...], account_id: str
) -> list[dict[str, Any]]:
    """By columns: an account may have tens of thousands."""
    query = columns_of(*(getattr(table, name) for name in names)).where(table.account_id == account_id)
    return [dict(zip(names, row, strict=True)) for row in rows_of(session, query.order_by(table.id))]
