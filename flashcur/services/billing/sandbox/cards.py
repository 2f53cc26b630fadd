"""Cards that pay and cards that do not: the numbers, and the ids, that Stripe's own test mode takes."""

from __future__ import annotations

from typing import Final, NamedTuple


class Card(NamedTuple):
    """What a card does when it is charged."""

    last4: str
    brand: str = "visa"
    decline: str = ""
    """Decline code of every charge; "" where it pays."""
    later: bool = False
    """Only charges after the first are declined."""
    asks: bool = False
    """The first charge waits until its owner has confirmed it (3-D Secure)."""
    disputed: str = ""
    """Status of the dispute that a charge leads to: `needs_response`, or `warning_needs_response` for an inquiry."""


CARDS: Final = {
    "4242424242424242": Card("4242"),
    "5555555555554444": Card("4444", "mastercard"),
    "4000000000000002": Card("0002", decline="generic_decline"),
    "4000000000009995": Card("9995", decline="insufficient_funds"),
    "4000000000000341": Card("0341", decline="generic_decline", later=True),
    "4000000000003220": Card("3220", asks=True),
    "4000000000000259": Card("0259", disputed="needs_response"),
    "4000000000001976": Card("1976", disputed="warning_needs_response"),
}
"""By number."""

TOKENS: Final = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_createDispute": "4000000000000259",
    "pm_card_createDisputeInquiry": "4000000000001976",
}
"""Ids of payment methods that stand for a number, in requests alone."""

DECLINES: Final = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}
"""Decline code to what its owner is told."""
