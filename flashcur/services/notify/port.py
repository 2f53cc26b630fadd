"""What a way out for mail does."""

from __future__ import annotations

from typing import Protocol

from flashcur.services.notify.templates import Rendered


class MailSender(Protocol):
    """Hands mail over, to a provider or to a file. May be called from several threads at a time."""

    def send(self, recipient: str, rendered: Rendered) -> str:
        """Hand one mail over; returns the provider's id of it. Blocks, for seconds at most.

        Raises MailError; its `retry_after` (seconds) says when a retry makes sense, None that there is no use in it.
        """
        ...
