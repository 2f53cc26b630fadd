"""signals, live"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_29_signals_live"
down_revision = "2026_11_28_signals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "funding_payment",
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("paid_ms", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "demo", "symbol", "paid_ms", name=op.f("pk_funding_payment")),
    )
    op.create_table(
        "instrument_set",
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("contracts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "demo", name=op.f("pk_instrument_set")),
    )
    op.create_table(
        "signal_episode",
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("detector", sa.String(24), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("part", sa.String(8), nullable=False),
        sa.Column("inside", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "demo", "detector", "symbol", "part", name=op.f("pk_signal_episode")),
    )
    op.create_table(
        "signal_statistics",
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("computed_ms", sa.BigInteger(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "demo", name=op.f("pk_signal_statistics")),
    )
    op.create_table(
        "silence_day",
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
        sa.Column("switch", sa.Integer(), nullable=False),
        sa.Column("no_baseline", sa.Integer(), nullable=False),
        sa.Column("engine_away", sa.Integer(), nullable=False),
        sa.Column("not_begun", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "demo", "day", "symbol", name=op.f("pk_silence_day")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("signals_read", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("signal_outcome", schema=None) as batch_op:
        batch_op.add_column(sa.Column("highest_1h", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("lowest_1h", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("price", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("by_hours", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("signal_outcome", schema=None) as batch_op:
        for name in ("by_hours", "price", "lowest_1h", "highest_1h"):
            batch_op.drop_column(name)
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_column("signals_read")
    op.drop_table("silence_day")
    op.drop_table("signal_statistics")
    op.drop_table("signal_episode")
    op.drop_table("instrument_set")
    op.drop_table("funding_payment")
