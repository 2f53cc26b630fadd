"""Deliveries: one row for each message and place it goes to, and each step of its way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table
from flashcur.models.signal_record import BigId


class Destination(Table, table=True):
    """A place of an account that messages go to: a chat, a number, an address on the web, a browser."""

    __table_args__ = (UniqueConstraint("account_id", "channel", "address_key"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    channel: str = Field(max_length=12)
    """Name in `domain.plans`; never `in-app` or `browser`, which every account has."""
    name: str = Field(default="", max_length=80)
    """What its owner knows it by; shown instead of the address."""
    address: str = Field(default="", max_length=2000)
    """Number in E.164, chat id, URL or push endpoint; empty for `email`: the account's own address."""
    address_key: str = Field(max_length=64, index=True)
    """SHA-256, hex, of the channel and the address: finds it by what a provider says."""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """What the channel keeps of it: a browser's keys, the version of a signing secret."""
    state: str = Field(default="on", max_length=12)
    """`unconfirmed`, `on` or `off`."""
    why: str = Field(default="", max_length=200)
    """Why it is off, in words for its owner."""
    failures: int = 0
    """Messages in a row that could not be delivered."""
    failing_since_ms: int | None = Field(default=None, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    confirmed_ms: int | None = Field(default=None, sa_type=BigInteger)
    used_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When a message was last handed over, Unix ms."""


class Delivery(Table, table=True):
    """One message on its way to one place. What is sent is frozen when the row is written."""

    __table_args__ = (
        Index("ix_delivery_status_due_ms", "status", "due_ms"),
        Index("ix_delivery_account_id_id", "account_id", "id"),
        Index("ix_delivery_channel_provider_id", "channel", "provider_id"),
        # Who finds out whether mail to an account died asks by the address.
        Index(
            "ix_delivery_mail_recipient",
            "recipient",
            sqlite_where=text("kind = 'mail'"),
            postgresql_where=text("kind = 'mail'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)  # pyright: ignore[reportArgumentType]
    key: str = Field(max_length=64, unique=True)
    """Idempotency key, told to providers that know such a thing; the same in every attempt."""
    account_id: str | None = Field(default=None, foreign_key="account.id", ondelete="CASCADE", max_length=32)
    """None for mail of accounts, which is found by its recipient: who is to get it may have no account yet, or no
    longer."""
    alert_id: int | None = Field(
        default=None,
        foreign_key="alert.id",
        ondelete="SET NULL",
        index=True,
        sa_type=BigId,  # pyright: ignore[reportArgumentType]
    )
    kind: str = Field(max_length=12)
    """`alert`, `summary` (many at once), `digest` (what quiet hours held), `notice`, `test`, or `mail` (of an
    account)."""
    channel: str = Field(max_length=12)
    destination_id: str | None = Field(
        default=None, foreign_key="destination.id", ondelete="SET NULL", index=True, max_length=32
    )
    recipient: str = Field(default="", max_length=2000)
    """Address when it was written: what is done with it does not follow later changes."""
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """What the channel's sender sends, rendered; links that open an account hold a blank in place of their code."""
    urgent: bool = False
    status: str = Field(default="queued", max_length=12)
    """See `domain.delivery.status`."""
    merged_into: int | None = Field(default=None, sa_type=BigInteger)
    """The summary or digest that tells it instead."""
    attempts: int = 0
    """Attempts that count: waiting as a provider told us to is none."""
    due_ms: int = Field(sa_type=BigInteger)
    """When it is to be tried (or gathered) next; while it is being sent, when its claim ends. Unix ms."""
    claim: str = Field(default="", max_length=32)
    """Who is sending it; a sender whose claim has ended marks nothing."""
    expires_ms: int = Field(sa_type=BigInteger)
    """From then on it is of no use, Unix ms."""
    provider_id: str = Field(default="", max_length=128)
    """What the provider calls it; empty until it was handed over."""
    problem: str = Field(default="", max_length=300)
    """Why the last attempt failed, in the provider's words."""
    created_ms: int = Field(sa_type=BigInteger, index=True)
    handed_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When the first byte of the attempt that was taken left us, Unix ms."""
    done_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When its status became final, Unix ms."""


class DeliveryStep(Table, table=True):
    """A step of a delivery's way: its ledger. Written with the change of status that it tells."""

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)  # pyright: ignore[reportArgumentType]
    delivery_id: int = Field(
        foreign_key="delivery.id",
        ondelete="CASCADE",
        index=True,
        sa_type=BigId,  # pyright: ignore[reportArgumentType]
    )
    status: str = Field(max_length=12)
    at_ms: int = Field(sa_type=BigInteger)
    detail: str = Field(default="", max_length=300)


class PlacePause(Table, table=True):
    """A place, or a whole channel, that asked us to wait. Kept until that is over."""

    channel: str = Field(primary_key=True, max_length=12)
    recipient: str = Field(primary_key=True, max_length=2000)
    """As `Delivery.recipient`; empty where the whole channel waits."""
    said_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)


class ProviderEvent(Table, table=True):
    """A call-back of a provider that was taken in: the same one changes nothing when it comes again."""

    source: str = Field(primary_key=True, max_length=16)
    """`sendgrid`, `twilio`, `telegram`, …"""
    event_id: str = Field(primary_key=True, max_length=200)
    at_ms: int = Field(sa_type=BigInteger, index=True)


class Suppression(Table, table=True):
    """An address that nothing is sent to any more: it bounced for good, complained, unsubscribed or said STOP."""

    channel: str = Field(primary_key=True, max_length=12)
    address_key: str = Field(primary_key=True, max_length=64)
    """As `Destination.address_key`."""
    reason: str = Field(max_length=16)
    """`bounce`, `complaint`, `unsubscribe` or `stop`."""
    detail: str = Field(default="", max_length=300)
    at_ms: int = Field(sa_type=BigInteger)
