"""places that asked us to wait"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_03_places_that_pause"
down_revision = "2026_12_02_browsers_that_notify"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "place_pause",
        sa.Column("channel", sa.String(length=12), nullable=False),
        sa.Column("recipient", sa.String(length=2000), nullable=False),
        sa.Column("said_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "recipient", name=op.f("pk_place_pause")),
    )


def downgrade() -> None:
    op.drop_table("place_pause")
