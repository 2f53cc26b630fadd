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
FINAL: tuple[Status, ...] = ("delivered", "bounced", "expired", "dead", "merged", "capped")
"""Nothing follows these but what a provider still says (`bounced` after `delivered`), or an operator does."""


@dataclass(frozen=True, slots=True)
class StatusWords:
    """How a status is told."""

    title: str
    meaning: str


WORDS: dict[Status, StatusWords] = {
    "held": StatusWords("Held", "Waits for the end of your quiet hours, or to be gathered with others."),
    "queued": StatusWords("Queued", "Waits for its turn."),
    "sending": StatusWords("Sending", "Is being handed over."),
    "retrying": StatusWords("Retrying", "The last attempt failed; it is tried again."),
    "uncertain": StatusWords("Uncertain", "The provider gave no answer; it is tried again under the same key."),
    "sent": StatusWords("Sent", "Handed over."),
    "accepted": StatusWords("Accepted", "The provider has taken it."),
    "delivered": StatusWords("Delivered", "It arrived."),
    "bounced": StatusWords("Bounced", "The provider took it and could not deliver it."),
    "expired": StatusWords("Expired", "It would have come too late to be of use."),
    "dead": StatusWords("Failed", "It was given up."),
    "merged": StatusWords("Gathered", "Told in a summary or a digest."),
    "capped": StatusWords("Over the cap", "Your daily cap was reached; it stands in the app."),
}
