"""mail is delivered"""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_mail_is_delivered"
down_revision = "2026_11_30_rules_and_delivery"
branch_labels = None
depends_on = None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER_MS = 253_402_300_799_000
KEPT_TRYING_MS = 24 * 3_600_000
MS = timedelta(milliseconds=1)

MAIL = sa.table(
    "mail",
    sa.column("id", sa.Integer),
    sa.column("recipient", sa.String),
    sa.column("template", sa.String),
    sa.column("values", sa.JSON),
    sa.column("status", sa.String),
    sa.column("attempts", sa.Integer),
    sa.column("due_at", sa.DateTime(timezone=True)),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("sent_at", sa.DateTime(timezone=True)),
    sa.column("provider_id", sa.String),
    sa.column("problem", sa.String),
)
DELIVERY = sa.table(
    "delivery",
    sa.column("id", sa.BigInteger),
    sa.column("key", sa.String),
    sa.column("kind", sa.String),
    sa.column("channel", sa.String),
    sa.column("recipient", sa.String),
    sa.column("payload", sa.JSON),
    sa.column("urgent", sa.Boolean),
    sa.column("status", sa.String),
    sa.column("attempts", sa.Integer),
    sa.column("due_ms", sa.BigInteger),
    sa.column("claim", sa.String),
    sa.column("expires_ms", sa.BigInteger),
    sa.column("provider_id", sa.String),
    sa.column("problem", sa.String),
    sa.column("created_ms", sa.BigInteger),
    sa.column("handed_ms", sa.BigInteger),
    sa.column("done_ms", sa.BigInteger),
)
STEP = sa.table(
    "delivery_step",
    sa.column("delivery_id", sa.BigInteger),
    sa.column("status", sa.String),
    sa.column("at_ms", sa.BigInteger),
    sa.column("detail", sa.String),
)


def upgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_mail_recipient",
            ["recipient"],
            unique=False,
            sqlite_where=sa.text("kind = 'mail'"),
            postgresql_where=sa.text("kind = 'mail'"),
        )
    connection = op.get_bind()
    for mail in connection.execute(sa.select(MAIL).order_by(MAIL.c.id)).all():
        row = delivered(mail)
        connection.execute(sa.insert(DELIVERY).values(row))
        number = connection.execute(sa.select(DELIVERY.c.id).where(DELIVERY.c.key == row["key"])).scalar_one()
        at_ms = row["handed_ms"] or row["created_ms"]
        step = {"delivery_id": number, "status": row["status"], "at_ms": at_ms, "detail": row["problem"]}
        connection.execute(sa.insert(STEP).values(step))

    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mail_recipient"))
        batch_op.drop_index(batch_op.f("ix_mail_due_at"))
    op.drop_table("mail")


def downgrade() -> None:
    op.create_table(
        "mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("template", sa.String(32), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_id", sa.String(128), nullable=True),
        sa.Column("problem", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mail_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_mail_recipient"), ["recipient"], unique=False)

    connection = op.get_bind()
    mails = sa.select(DELIVERY).where(DELIVERY.c.kind == "mail").order_by(DELIVERY.c.id)
    for number, row in enumerate(connection.execute(mails).all(), 1):
        connection.execute(sa.insert(MAIL).values({"id": number, **queued(row)}))
        # SQLite keeps no foreign keys while it migrates.
        connection.execute(sa.delete(STEP).where(STEP.c.delivery_id == row.id))
    connection.execute(sa.delete(DELIVERY).where(DELIVERY.c.kind == "mail"))
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT setval('mail_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM mail), false)"))

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_mail_recipient")


def delivered(mail) -> dict:
    """The delivery that a mail becomes: its text, which was made when it was sent, is frozen."""
    created_ms = in_ms(mail.created_at)
    waits, status, problem, expires_ms = mail.status == "queued", mail.status, mail.problem, created_ms + KEPT_TRYING_MS
    payload = {"template": mail.template, "values": mail.values}
    if status != "sent":
        # The texts are the program's own and stand nowhere else. Where they have changed since too much for that, the
        # mail, of which there are a few seconds' worth, is given up and says so.
        try:
            from flashcur.services.notify.templates import render, useful_for

            text = render(mail.template, mail.values)
            payload |= {"subject": text.subject, "text": text.text, "html": text.html}
            expires_ms = created_ms + useful_for(mail.template, mail.values) // MS
        except (ImportError, TypeError, ValueError, KeyError) as error:
            status, problem = "dead", problem or f"it cannot be written any more: {error}"[:300]
    queued = waits and status == "queued"
    sent_ms = None if mail.sent_at is None else in_ms(mail.sent_at)
    return {
        "key": uuid.uuid4().hex,
        "kind": "mail",
        "channel": "email",
        "recipient": mail.recipient,
        "payload": payload,
        "urgent": False,
        "status": "retrying" if queued and mail.attempts else status,
        "attempts": mail.attempts,
        "due_ms": in_ms(mail.due_at) if queued else NEVER_MS,
        "claim": "",
        "expires_ms": expires_ms,
        "provider_id": mail.provider_id or "",
        "problem": problem,
        "created_ms": created_ms,
        "handed_ms": sent_ms,
        "done_ms": created_ms if status == "dead" else None,
    }


def queued(row) -> dict:
    """The mail that a delivery was."""
    if row.status in ("held", "queued", "sending", "retrying", "uncertain"):
        status = "queued"
    else:
        status = "sent" if row.status in ("sent", "accepted", "delivered") else "dead"
    return {
        "recipient": row.recipient,
        "template": row.payload["template"],
        "values": row.payload["values"],
        "status": status,
        "attempts": row.attempts,
        "due_at": EPOCH + min(row.due_ms, NEVER_MS) * MS,
        "created_at": EPOCH + row.created_ms * MS,
        "sent_at": None if row.handed_ms is None else EPOCH + row.handed_ms * MS,
        "provider_id": row.provider_id or None,
        "problem": row.problem,
    }


def in_ms(moment: datetime) -> int:
    """SQLite gives times back without their zone, which is UTC."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MS
