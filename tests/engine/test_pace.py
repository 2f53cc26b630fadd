"""How fast messages leave for one place, by the real channel and the real worker."""

from __future__ import annotations

import time

from flashcur.engine.delivery import DeliveryWorker
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.notify.channel import Handed, Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.slack import SlackChannel
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.deliveries import NOW, delivery, put, statuses
from tests.support.messages import ALERT
from tests.support.slack import WEBHOOK, SlackServer
from tests.support.vendor import serving
from tests.support.waiting import eventually


class Timed(SlackChannel):
    """Notes when each message leaves."""

    def __init__(self, settings: Settings, dialler: Dialler) -> None:
        super().__init__(settings, dialler, lambda: NOW)
        self.left_s: list[float] = []

    async def send(self, outgoing: Outgoing) -> Handed:
        self.left_s.append(time.monotonic())
        return await super().send(outgoing)


async def test_a_webhook_of_slack_gets_one_message_a_second(sqlite_database: Database, environ: dict[str, str]) -> None:
    """Complaint 18: Slack takes one message a second, and shuts out who sends more."""
    async with serving(SlackServer()) as server:
        settings, dialler = Settings.load({**environ, "SLACK_API_BASE": server.url}), Dialler()
        slack = Timed(settings, dialler)
        payload = dict(slack.render(ALERT))
        put(sqlite_database, *(delivery(WEBHOOK, "slack", key=f"k{number}", payload=payload) for number in range(3)))
        worker = DeliveryWorker(
            sqlite_database,
            {"slack": slack},
            settings.secret_key,
            lambda: NOW,
            deliver=lambda session, found, now_ms: None,
            every_s=0.05,
        )
        async with Supervisor() as tasks:
            tasks.start("delivery", worker.run)
            await eventually(lambda: statuses(sqlite_database) == ["delivered"] * 3, "all three", 20)
        await dialler.close()
        assert len(server.messages) == 3
        # A second lies between their claims; how long after its claim the first leaves is the machine's.
        assert slack.left_s[2] - slack.left_s[0] > 1
