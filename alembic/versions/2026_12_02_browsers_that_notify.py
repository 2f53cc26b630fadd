"""browsers that notify"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_02_browsers_that_notify"
down_revision = "2026_12_02_next_path"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nothing is known of browsers that are signed in: their pages say it when they are open next.
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("notifies", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_column("notifies")
