"""What a way out for mail does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flashcur.services.notify.templates import Rendered

KEY_ARG = "delivery"
"""Under this name a mail's key stands in what the provider says of it."""


class MailSender(Protocol):
    """Hands mail over, to a provider or to a file; many at a time."""

    async def send(
        self, recipient: str, rendered: Rendered, *, headers: Mapping[str, str] | None = None, key: str = ""
    ) -> str:
        """Hand one mail over; returns the provider's id of it, in some ten seconds at most.

        `headers`: more of them, each one line of ASCII. `key`: names the message in what the provider says of it later.

        Raises DeliveryError and its kinds.
        """
        ...
