"""a registration leads on to where it was begun from"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_02_next_path"
down_revision = "2026_12_01_mail_is_delivered"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("mail_token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("next_path", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("mail_token", schema=None) as batch_op:
        batch_op.drop_column("next_path")
