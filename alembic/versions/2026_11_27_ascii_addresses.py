"""addresses in ASCII"""

import idna
import sqlalchemy as sa
from alembic import op

revision = "2026_11_27_ascii_addresses"
down_revision = "2026_11_25_accounts"
branch_labels = None
depends_on = None

COLUMNS = (("account", "email"), ("mail_token", "email"), ("mail", "recipient"))
"""Every column that holds an address."""


def upgrade() -> None:
    # Who finds out whether mail to an account died asks by the address.
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mail_recipient"), ["recipient"], unique=False)

    respell(lambda host: host if host.isascii() else idna.encode(host, uts46=True).decode())


def downgrade() -> None:
    respell(lambda host: idna.decode(host) if "xn--" in host else host)

    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mail_recipient"))


def respell(spell) -> None:
    """Give each address's domain another spelling; one that has none stays as it is.

    So does an account's whose other spelling is another account's already: the migration must not end there, and mail
    to the domain that is not ASCII never arrived.
    """
    connection = op.get_bind()
    for name, column in COLUMNS:
        address = sa.column(column, sa.String)
        table = sa.table(name, address)
        known = set(connection.execute(sa.select(address).where(address.is_not(None)).distinct()).scalars())
        for old in sorted(known):
            local, at, host = old.rpartition("@")
            try:
                new = f"{local}{at}{spell(host)}"
            except idna.IDNAError:
                continue
            if new != old and len(new) <= 254 and not (name == "account" and new in known):
                connection.execute(sa.update(table).where(address == old).values({column: new}))
                known.add(new)
