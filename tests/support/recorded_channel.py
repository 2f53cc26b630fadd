"""A channel of tests that renders a message as it is told, and sends nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flashcur.domain.delivery.message import Message
from flashcur.services.notify.channel import Handed, Outgoing


@dataclass
class RecordedChannel:
    """See `services.notify.channel.Channel`."""

    name: str
    problem: str = ""
    rate: float = 10.0
    recipient_rate: float = 1.0
    own_servers: bool = False
    useful_s: int = 3_600
    rendered: int = 0

    def render(self, message: Message) -> dict[str, Any]:
        """All of the message, as JSON has it."""
        self.rendered += 1
        return {**asdict(message), "lines": list(message.lines)}

    async def send(self, outgoing: Outgoing) -> Handed:
        """Never asked of it."""
        raise AssertionError(f"expected nothing to be sent, was {outgoing}")


def all_channels() -> dict[str, RecordedChannel]:
    """Every channel that a server can have."""
    names = ("email", "web-push", "sms", "telegram", "discord", "slack", "webhook")
    return {name: RecordedChannel(name) for name in names}
