"""What becomes of a delivery: its statuses, in the words of its owner's ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal[
    "held",
    "queued",
    "sending",
    "retrying",
    "uncertain",
    "sent",
    "accepted",
    "delivered",
    "bounced",
    "expired",
    "dead",
    "merged",
    "capped",
]
STATUSES: tuple[Status, ...] = get_args(Status)

DUE: tuple[Status, ...] = ("queued", "sending", "retrying", "uncertain")
"""What a worker takes when its time has come: new ones, those to be tried again, and those whose sender died."""
WAITING: tuple[Status, ...] = ("queued", "retrying", "uncertain")
"""Of these, those that nobody is sending."""
FINAL: tuple[Status, ...] = ("delivered", "bounced", "expired", "dead", "merged", "capped")
"""Nothing follows these but what a provider still says (`bounced` after `delivered`), or an operator does."""


@dataclass(frozen=True, slots=True)
class StatusWords:
    """How a status is told."""

    title: str
    meaning: str


WORDS: dict[Status, StatusWords] = {
    "held": StatusWords("Held", "Waiting for your quiet hours to end, or to be sent together with others."),
    "queued": StatusWords("Queued", "Waiting for its turn."),
    "sending": StatusWords("Sending", "On its way to the provider."),
    "retrying": StatusWords("Retrying", "The last attempt failed. We try again."),
    "uncertain": StatusWords(
        "Uncertain", "The provider did not answer, so it may have arrived. We try again under the same key."
    ),
    "sent": StatusWords("Sent", "Handed to the provider."),
    "accepted": StatusWords("Accepted", "The provider accepted it."),
    "delivered": StatusWords("Delivered", "It arrived."),
    "bounced": StatusWords("Bounced", "The provider accepted it, but could not deliver it."),
    "expired": StatusWords("Expired", "It would have arrived too late to be useful."),
    "dead": StatusWords("Failed", "It could not be delivered."),
    "merged": StatusWords("Gathered", "Sent as part of a summary or digest."),
    "capped": StatusWords("Over the cap", "You reached your daily cap, so this is only in the app."),
}
