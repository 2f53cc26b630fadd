"""Payment: what Stripe last told of its customers, what an operator gave, and what is still to be looked at.

Times are Unix ms, amounts in the currency's smallest unit. The books outlive an account: `account_id` is then None.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table
from flashcur.models.signal_record import BigId


class BillingCustomer(Table, table=True):
    """A customer at Stripe. An account has one for test payments and one for live ones, not counting deleted ones."""

    __table_args__ = (
        Index(
            "uq_billing_customer_account_id_livemode",
            "account_id",
            "livemode",
            unique=True,
            sqlite_where=text("deleted_ms IS NULL"),
            postgresql_where=text("deleted_ms IS NULL"),
        ),
    )

    id: str = Field(primary_key=True, max_length=64)
    """`cus_…`"""
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="SET NULL", index=True, max_length=32
    )
    livemode: bool
    """Whether its payments are live ones; test and live records never mix."""
    created_ms: int = Field(sa_type=BigInteger)
    deleted_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When Stripe was found to have deleted it."""
    email: str = Field(default="", max_length=254)
    """What Stripe was last told; emptied with the account."""
    asked: int = Field(default=0, sa_type=BigInteger)
    """Number of the newest fetch of its truth that began."""
    applied: int = Field(default=0, sa_type=BigInteger)
    """Number of the fetch whose result stands in the rows; an older one is not written any more."""
    synced_ms: int | None = Field(default=None, sa_type=BigInteger)
    checkout_no: int = 0
    """Counts Checkouts that are over: part of the idempotency key of the next."""
    checkout_id: str = Field(default="", max_length=128)
    """The Checkout that is open; empty: none."""
    checkout_plan: str = Field(default="", max_length=16)
    checkout_period: str = Field(default="", max_length=8)
    checkout_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    closing: bool = False
    """Its account was deleted: what is still live is cancelled."""


class BillingSubscription(Table, table=True):
    """A subscription as Stripe last told it, whatever its status."""

    __table_args__ = (Index("ix_billing_subscription_status_id", "status", "id"),)

    id: str = Field(primary_key=True, max_length=64)
    """`sub_…`"""
    customer_id: str = Field(foreign_key="billing_customer.id", ondelete="CASCADE", index=True, max_length=64)
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="SET NULL", index=True, max_length=32
    )
    livemode: bool
    status: str = Field(max_length=24)
    """Stripe's word; what it gives is decided by `domain.billing.entitlement`."""
    item_id: str = Field(default="", max_length=64)
    price_id: str = Field(default="", max_length=64)
    """Says the plan, by the prices of the settings."""
    currency: str = Field(default="", max_length=3)
    unit_amount: int = Field(default=0, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    period_start_ms: int | None = Field(default=None, sa_type=BigInteger)
    period_end_ms: int | None = Field(default=None, sa_type=BigInteger)
    ends_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When it ends, where that is settled; None: it renews."""
    ended_ms: int | None = Field(default=None, sa_type=BigInteger)
    past_due_since_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When the first invoice that is still to be paid was finalised."""
    trial_end_ms: int | None = Field(default=None, sa_type=BigInteger)
    open_invoice_id: str = Field(default="", max_length=64)
    """The invoice that is to be paid; empty: none."""
    pending_update: bool = False
    """Whether a change of plan waits for its payment."""
    fetched_ms: int = Field(sa_type=BigInteger)


class BillingInvoice(Table, table=True):
    """An invoice as Stripe last told it."""

    __table_args__ = (Index("ix_billing_invoice_account_id_created_ms", "account_id", "created_ms"),)

    id: str = Field(primary_key=True, max_length=64)
    """`in_…`"""
    customer_id: str = Field(foreign_key="billing_customer.id", ondelete="CASCADE", index=True, max_length=64)
    account_id: str | None = Field(default=None, foreign_key="account.id", ondelete="SET NULL", max_length=32)
    subscription_id: str = Field(default="", max_length=64)
    """Empty: it is for no subscription."""
    number: str = Field(default="", max_length=40)
    """What people find it by."""
    status: str = Field(max_length=16)
    currency: str = Field(max_length=3)
    total: int = Field(sa_type=BigInteger)
    amount_paid: int = Field(default=0, sa_type=BigInteger)
    amount_remaining: int = Field(default=0, sa_type=BigInteger)
    refunded: int = Field(default=0, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    finalized_ms: int | None = Field(default=None, sa_type=BigInteger)
    paid_ms: int | None = Field(default=None, sa_type=BigInteger)
    period_end_ms: int | None = Field(default=None, sa_type=BigInteger)
    """End of the period that it pays."""


class BillingDispute(Table, table=True):
    """A charge that its payer disputes with the bank, or asks about."""

    id: str = Field(primary_key=True, max_length=64)
    charge_id: str = Field(max_length=64)
    customer_id: str | None = Field(default=None, max_length=64)
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="SET NULL", index=True, max_length=32
    )
    subscription_id: str = Field(default="", max_length=64)
    """Empty: the charge was for none."""
    status: str = Field(max_length=32)
    """Stripe's word; `warning_…` is an inquiry."""
    reason: str = Field(default="", max_length=64)
    currency: str = Field(max_length=3)
    amount: int = Field(sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    covers_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    """End of the period that the charge paid."""
    ticket: int = Field(default=0, sa_type=BigInteger)
    """Number of the fetch that told this, as `BillingCustomer.applied`."""


class BillingRefund(Table, table=True):
    """What of a charge was paid back."""

    charge_id: str = Field(primary_key=True, max_length=64)
    customer_id: str | None = Field(default=None, max_length=64)
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="SET NULL", index=True, max_length=32
    )
    invoice_id: str = Field(default="", max_length=64)
    currency: str = Field(max_length=3)
    amount: int = Field(sa_type=BigInteger)
    """Of the charge."""
    refunded: int = Field(sa_type=BigInteger)
    at_ms: int = Field(sa_type=BigInteger)
    ticket: int = Field(default=0, sa_type=BigInteger)
    """As `BillingDispute.ticket`."""


class BillingEvent(Table, table=True):
    """An event that Stripe sent, and what became of it. It waits here until the customer's truth was fetched."""

    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_billing_event_status_due_ms", "status", "due_ms"),
        Index("ix_billing_event_customer_id_id", "customer_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)  # pyright: ignore[reportArgumentType]
    source: str = Field(max_length=16)
    event_id: str = Field(max_length=200)
    """`evt_…`"""
    type: str = Field(max_length=80)
    api_version: str = Field(default="", max_length=40)
    livemode: bool
    object_id: str = Field(default="", max_length=128, index=True)
    """What it is about."""
    customer_id: str = Field(default="", max_length=64)
    created_ms: int = Field(sa_type=BigInteger)
    """By Stripe's clock."""
    received_ms: int = Field(sa_type=BigInteger)
    status: str = Field(default="new", max_length=10)
    """`new`, `done`, `ignored`, `refused` or `failed`."""
    fate: str = Field(default="", max_length=300)
    """What became of it, in words for the operator."""
    attempts: int = 0
    due_ms: int = Field(sa_type=BigInteger)
    """When it is to be tried next; while it is worked on, when its claim ends."""
    claim: str = Field(default="", max_length=32)
    """Who works on it; whose claim has ended marks nothing."""
    done_ms: int | None = Field(default=None, sa_type=BigInteger)


class BillingChange(Table, table=True):
    """A change of plan that was shown before it is confirmed; its id is the idempotency key of the change."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    subscription_id: str = Field(max_length=64)
    from_price: str = Field(max_length=64)
    """Where the subscription has another price by now, the change is not made."""
    to_price: str = Field(max_length=64)
    proration_ms: int = Field(sa_type=BigInteger)
    """Moment that both the shown and the charged amount are reckoned for; whole seconds."""
    due: int = Field(sa_type=BigInteger)
    credit: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    created_ms: int = Field(sa_type=BigInteger)
    used_ms: int | None = Field(default=None, sa_type=BigInteger)


class PlanGrant(Table, table=True):
    """A plan that an operator gave an account, beside what is paid for."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    plan: str = Field(max_length=16)
    from_ms: int = Field(sa_type=BigInteger)
    until_ms: int | None = Field(default=None, sa_type=BigInteger)
    """None: no end."""
    reason: str = Field(default="", max_length=300)
    created_ms: int = Field(sa_type=BigInteger)
    ended_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When it was taken back."""
