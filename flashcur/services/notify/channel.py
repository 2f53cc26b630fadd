"""What a channel is: it renders a message once, when its delivery is written down, and hands it over when it is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from flashcur.domain.delivery.message import Message
from flashcur.domain.plans import Channel as ChannelName
from flashcur.domain.plans import channel_in_text

Payload = Mapping[str, Any]
"""What is sent, as JSON: frozen in the delivery's row before the first attempt."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One delivery as its sender gets it."""

    delivery_id: int
    key: str
    """Idempotency key, the same in every attempt."""
    recipient: str
    """Address: number, chat id, URL, email address."""
    details: Payload
    """`Destination.details`; empty where there is no destination."""
    payload: Payload
    attempt: int
    """From 1."""
    expires_ms: int
    """Unix ms."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What a provider said of a message that it took."""

    provider_id: str = ""
    status: Literal["sent", "accepted", "delivered"] = "sent"
    """`accepted` where the provider goes on with it and says later what became of it; `delivered` where taking it is
    arriving."""
    recipient: str = ""
    """Where the destination is reached from now on, if that has changed (a group that became a supergroup)."""


def cannot_send(channel: ChannelName) -> str:
    """What is said of a channel that is not configured."""
    more = {"telegram": " messages", "discord": " messages", "slack": " messages", "webhook": "s"}.get(channel, "")
    return f"This site cannot send {channel_in_text(channel)}{more} yet."


class Channel(Protocol):
    """One way out. `render` is pure and needs no credentials; `send` talks to the provider."""

    name: str
    """As in `domain.plans`."""
    rate: float
    """Messages a second that the provider takes of us in all."""
    recipient_rate: float
    """Messages a second that it takes for one recipient."""
    own_servers: bool
    """Whether recipients are on servers of whoever chose them, so that one may hang while others answer."""
    useful_s: int
    """How long after its alert a message is worth sending, in seconds; then it expires."""

    @property
    def problem(self) -> str:
        """Why nothing can be sent by it, in words for a page; empty while it is configured."""
        ...

    def render(self, message: Message) -> Payload:
        """The message by the channel's own rules: escaped, cut, counted. Never raises for any text."""
        ...

    async def send(self, outgoing: Outgoing) -> Handed:
        """Hand it over, in some ten seconds at most. Raises DeliveryError and its kinds."""
        ...
