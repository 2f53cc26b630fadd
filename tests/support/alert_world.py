"""An account with a rule and every channel, for tests of where its alerts go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from flashcur.domain.plans import CHANNELS, Channel, PlanName
from flashcur.models import Account, AlertRecord, AlertSettings, Delivery, DeliveryStep, Destination, RuleRecord
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.alerts.receipts import chain
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import destinations
from flashcur.services.storage.database import Database
from tests.support.accounts import add_account, add_session
from tests.support.alerts import NOON_MS, alert
from tests.support.recorded_channel import RecordedChannel, all_channels

BASE = "https://flashcur.example"
HOUR_MS = 3_600_000
ADDRESSES: dict[Channel, str] = {
    "web-push": "https://push.example/1",
    "sms": "+447700900123",
    "telegram": "4711",
    "discord": "https://discord.example/1",
    "slack": "https://slack.example/1",
    "webhook": "https://hooks.example/1",
}


@dataclass
class World:
    """An account with a rule, and the channels of the server."""

    database: Database
    account_id: str = ""
    rule_id: str = ""
    channels: dict[str, RecordedChannel] = field(default_factory=all_channels)

    def tell(self, *alerts: AlertRecord, at_ms: int | None = None) -> list[Delivery]:
        """Store alerts as an engine does, at the time that the last of them says."""

        def work(session: Session) -> list[Delivery]:
            new = chain(session, alerts)
            session.add_all(new)
            session.flush()
            return dispatch(session, new, self.channels, at_ms or alerts[-1].stored_ms, BASE)

        return self.database.work(work)

    def alert(self, event_ms: int = NOON_MS, **changes: Any) -> AlertRecord:
        return alert(self.account_id, event_ms, **({"rule_id": self.rule_id} | changes))

    def change(self, **settings: Any) -> None:
        with self.database.session() as session:
            row = session.get(AlertSettings, self.account_id) or AlertSettings(account_id=self.account_id)
            for name, value in settings.items():
                setattr(row, name, value)
            session.add(row)

    def change_account(self, **fields: Any) -> None:
        with self.database.session() as session:
            row = session.get_one(Account, self.account_id)
            for name, value in fields.items():
                setattr(row, name, value)
            session.add(row)

    def steps(self, delivery: Delivery) -> list[tuple[str, str]]:
        """(status, detail) of a delivery's ledger."""
        with self.database.session(readonly=True) as session:
            query = select(DeliveryStep).where(DeliveryStep.delivery_id == delivery.id).order_by(col(DeliveryStep.id))
            return [(step.status, step.detail) for step in session.exec(query)]

    def destination(self, channel: str) -> Destination:
        with self.database.session(readonly=True) as session:
            return session.exec(select(Destination).where(Destination.channel == channel)).one()

    def update(self, row: Destination) -> None:
        with self.database.session() as session:
            session.add(row)


def make_world(
    database: Database,
    channels: Sequence[str] = CHANNELS,
    *,
    plan: PlanName = "elite",
    connected: Mapping[Channel, str] = ADDRESSES,
    email: str = "ann@example.com",
) -> World:
    world = World(database)
    with database.session() as session:
        world.account_id = add_account(session, email, from_ms(NOON_MS), plan=plan)
        add_session(session, world.account_id, from_ms(NOON_MS), notifies=True)
        rule = RuleRecord(account_id=world.account_id, channels=list(channels), created_ms=0, changed_ms=0)
        session.add(rule)
        for channel, address in connected.items():
            destinations.keep(session, world.account_id, channel, address, 0, confirmed=True)
        session.flush()
        world.rule_id = rule.id
    return world
