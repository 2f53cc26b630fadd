"""what Stripe tells, what an operator grants, and the second factor"""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "2026_12_04_billing"
down_revision = "2026_12_03_places_that_pause"
branch_labels = None
depends_on = None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)

ACCOUNT = sa.table(
    "account",
    sa.column("id", sa.String),
    sa.column("plan", sa.String),
    sa.column("plan_source", sa.String),
    sa.column("plan_until", sa.DateTime(timezone=True)),
)
GRANT = sa.table(
    "plan_grant",
    sa.column("id", sa.String),
    sa.column("account_id", sa.String),
    sa.column("plan", sa.String),
    sa.column("from_ms", sa.BigInteger),
    sa.column("until_ms", sa.BigInteger),
    sa.column("reason", sa.String),
    sa.column("created_ms", sa.BigInteger),
)


def upgrade() -> None:
    op.create_table(
        "billing_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("api_version", sa.String(40), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("object_id", sa.String(128), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("fate", sa.String(300), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_event")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_billing_event_source_event_id")),
    )
    with op.batch_alter_table("billing_event", schema=None) as batch_op:
        batch_op.create_index("ix_billing_event_customer_id_id", ["customer_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_billing_event_object_id"), ["object_id"], unique=False)
        batch_op.create_index("ix_billing_event_status_due_ms", ["status", "due_ms"], unique=False)
    op.create_table(
        "billing_change",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("from_price", sa.String(64), nullable=False),
        sa.Column("to_price", sa.String(64), nullable=False),
        sa.Column("proration_ms", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_change_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_change")),
    )
    with op.batch_alter_table("billing_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_change_account_id"), ["account_id"], unique=False)
    op.create_table(
        "billing_customer",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("synced_ms", sa.BigInteger(), nullable=True),
        sa.Column("checkout_no", sa.Integer(), nullable=False),
        sa.Column("checkout_id", sa.String(128), nullable=False),
        sa.Column("checkout_plan", sa.String(16), nullable=False),
        sa.Column("checkout_period", sa.String(8), nullable=False),
        sa.Column("checkout_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("closing", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_customer_account_id_account"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_customer")),
    )
    with op.batch_alter_table("billing_customer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_customer_account_id"), ["account_id"], unique=False)
        batch_op.create_index(
            "uq_billing_customer_account_id_livemode",
            ["account_id", "livemode"],
            unique=True,
            sqlite_where=sa.text("deleted_ms IS NULL"),
            postgresql_where=sa.text("deleted_ms IS NULL"),
        )
    op.create_table(
        "billing_dispute",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=True),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("covers_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_dispute_account_id_account"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_dispute")),
    )
    with op.batch_alter_table("billing_dispute", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_dispute_account_id"), ["account_id"], unique=False)
    op.create_table(
        "billing_refund",
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=True),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_refund_account_id_account"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_billing_refund")),
    )
    with op.batch_alter_table("billing_refund", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_refund_account_id"), ["account_id"], unique=False)
    op.create_table(
        "operator_alarm",
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.Column("cleared_by", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_operator_alarm_account_id_account"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_operator_alarm")),
    )
    with op.batch_alter_table("operator_alarm", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operator_alarm_account_id"), ["account_id"], unique=False)
        batch_op.create_index("ix_operator_alarm_cleared_ms_last_ms", ["cleared_ms", "last_ms"], unique=False)
    op.create_table(
        "pending_sign_in",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_pending_sign_in_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_pending_sign_in")),
    )
    with op.batch_alter_table("pending_sign_in", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pending_sign_in_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pending_sign_in_expires_at"), ["expires_at"], unique=False)
    op.create_table(
        "plan_grant",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("plan", sa.String(16), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_plan_grant_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_grant")),
    )
    with op.batch_alter_table("plan_grant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_plan_grant_account_id"), ["account_id"], unique=False)
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_recovery_code_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("account_id", "code_hash", name=op.f("uq_recovery_code_account_id_code_hash")),
    )
    op.create_table(
        "second_factor",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.String(200), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_second_factor_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "billing_invoice",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("number", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("amount_paid", sa.BigInteger(), nullable=False),
        sa.Column("amount_remaining", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("finalized_ms", sa.BigInteger(), nullable=True),
        sa.Column("paid_ms", sa.BigInteger(), nullable=True),
        sa.Column("period_end_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_invoice_account_id_account"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["billing_customer.id"],
            name=op.f("fk_billing_invoice_customer_id_billing_customer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_invoice")),
    )
    with op.batch_alter_table("billing_invoice", schema=None) as batch_op:
        batch_op.create_index("ix_billing_invoice_account_id_created_ms", ["account_id", "created_ms"], unique=False)
        batch_op.create_index(batch_op.f("ix_billing_invoice_customer_id"), ["customer_id"], unique=False)
    op.create_table(
        "billing_subscription",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("price_id", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("unit_amount", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("period_start_ms", sa.BigInteger(), nullable=True),
        sa.Column("period_end_ms", sa.BigInteger(), nullable=True),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("past_due_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("trial_end_ms", sa.BigInteger(), nullable=True),
        sa.Column("open_invoice_id", sa.String(64), nullable=False),
        sa.Column("pending_update", sa.Boolean(), nullable=False),
        sa.Column("fetched_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_subscription_account_id_account"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["billing_customer.id"],
            name=op.f("fk_billing_subscription_customer_id_billing_customer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_subscription")),
    )
    with op.batch_alter_table("billing_subscription", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_subscription_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_billing_subscription_customer_id"), ["customer_id"], unique=False)
        batch_op.create_index("ix_billing_subscription_status_id", ["status", "id"], unique=False)
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("plan_after", sa.String(16), server_default="free", nullable=False))
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    # From here on a plan follows from what is on record, so what was given before has to be.
    connection = op.get_bind()
    now_ms = (datetime.now(UTC) - EPOCH) // MS
    given = sa.select(ACCOUNT).where(ACCOUNT.c.plan_source == "operator", ACCOUNT.c.plan != "free")
    for account in connection.execute(given).all():
        row = {
            "id": uuid.uuid4().hex,
            "account_id": account.id,
            "plan": account.plan,
            "from_ms": now_ms,
            "until_ms": None if account.plan_until is None else in_ms(account.plan_until),
            "reason": "given before grants were kept",
            "created_ms": now_ms,
        }
        connection.execute(sa.insert(GRANT).values(row))


def downgrade() -> None:
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_column("verified_at")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_column("plan_after")
    with op.batch_alter_table("billing_subscription", schema=None) as batch_op:
        batch_op.drop_index("ix_billing_subscription_status_id")
        batch_op.drop_index(batch_op.f("ix_billing_subscription_customer_id"))
        batch_op.drop_index(batch_op.f("ix_billing_subscription_account_id"))
    op.drop_table("billing_subscription")
    with op.batch_alter_table("billing_invoice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_billing_invoice_customer_id"))
        batch_op.drop_index("ix_billing_invoice_account_id_created_ms")
    op.drop_table("billing_invoice")
    op.drop_table("second_factor")
    op.drop_table("recovery_code")
    with op.batch_alter_table("plan_grant", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_plan_grant_account_id"))
    op.drop_table("plan_grant")
    with op.batch_alter_table("pending_sign_in", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pending_sign_in_expires_at"))
        batch_op.drop_index(batch_op.f("ix_pending_sign_in_account_id"))
    op.drop_table("pending_sign_in")
    with op.batch_alter_table("operator_alarm", schema=None) as batch_op:
        batch_op.drop_index("ix_operator_alarm_cleared_ms_last_ms")
        batch_op.drop_index(batch_op.f("ix_operator_alarm_account_id"))
    op.drop_table("operator_alarm")
    with op.batch_alter_table("billing_refund", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_billing_refund_account_id"))
    op.drop_table("billing_refund")
    with op.batch_alter_table("billing_dispute", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_billing_dispute_account_id"))
    op.drop_table("billing_dispute")
    with op.batch_alter_table("billing_customer", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_billing_customer_account_id_livemode",
            sqlite_where=sa.text("deleted_ms IS NULL"),
            postgresql_where=sa.text("deleted_ms IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_billing_customer_account_id"))
    op.drop_table("billing_customer")
    with op.batch_alter_table("billing_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_billing_change_account_id"))
    op.drop_table("billing_change")
    with op.batch_alter_table("billing_event", schema=None) as batch_op:
        batch_op.drop_index("ix_billing_event_status_due_ms")
        batch_op.drop_index(batch_op.f("ix_billing_event_object_id"))
        batch_op.drop_index("ix_billing_event_customer_id_id")
    op.drop_table("billing_event")


def in_ms(moment: datetime) -> int:
    """SQLite gives times back without their zone, which is UTC."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MS
