"""The shop that the server is: its objects, its clocks, and the events that tell what happens to them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Literal

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.cards import CARDS, TOKENS
from flashcur.services.billing.sandbox.deliveries import Deliveries
from flashcur.services.billing.sandbox.ledger import Ledger, Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, missing

Ending = Literal["canceled", "unpaid", "past_due"]


def wall_clock_s() -> int:
    """Unix seconds."""
    return int(time.time())


class Shop:
    """What every act needs. `base` is the address of its pages, once it is known."""

    def __init__(self, ledger: Ledger, deliveries: Deliveries, clock: Callable[[], int] = wall_clock_s) -> None:
        self.ledger = ledger
        self.deliveries = deliveries
        self.base = ""
        self.dunning_end: Ending = "canceled"
        """What becomes of a subscription whose last attempt failed."""
        self.key: str | None = None
        """Idempotency key of the request that is being answered, for its events."""
        self._clock = clock
        self._at: int | None = None

    def clock_s(self) -> int:
        """The server's clock, Unix s."""
        return self._clock() + self.ledger.offset_s

    def now(self, customer_id: str | None = None) -> int:
        """The time for a customer: his test clock's, where he has one."""
        if self._at is not None:
            return self._at
        customer = self.ledger.objects.get(customer_id or "")
        clock: str | None = customer.get("test_clock") if customer else None
        return int(self.ledger.objects[clock]["frozen_time"]) if clock else self.clock_s()

    def at(self, moment: int | None) -> None:
        """Take `moment` for now until it is taken back with None: what was due then happens then."""
        self._at = moment

    def tell(self, kind: str, thing: Obj, before: Obj | None = None) -> None:
        """Record an event about `thing` as it is now, and send it."""
        owner = thing["id"] if thing["object"] == "customer" else thing.get("customer")
        event_id = self.ledger.new_id("evt_")
        event = objects.event(event_id, self.now(owner), kind, copy.deepcopy(thing), before, self.key)
        self.deliveries.announce(self.ledger.add(event))

    def keep_card(self, number: str, customer_id: str | None) -> Obj:
        """A payment method of a card number. Raises ApiRefusal for one that is no test card."""
        card = CARDS.get(number)
        if card is None:
            raise ApiRefusal(
                "Your card number is incorrect. Use a test card such as 4242 4242 4242 4242.",
                status=402, kind="card_error", code="incorrect_number", param="number",
            )  # fmt: skip
        method_id = self.ledger.new_id("pm_")
        return self.ledger.add(objects.payment_method(method_id, self.now(customer_id), number, card, customer_id))

    def method(self, named: str, customer_id: str | None) -> Obj:
        """A payment method by its id, or a new one by a name such as `pm_card_visa`. Raises ApiRefusal."""
        if named in TOKENS:
            return self.keep_card(TOKENS[named], customer_id)
        found = self.ledger.get("pm_", named, "payment_method")
        if customer_id is not None and found["customer"] not in (None, customer_id):
            raise missing("PaymentMethod", named, "payment_method")
        return found

    def customer(self, customer_id: str) -> Obj:
        """A customer who was not deleted. Raises ApiRefusal."""
        found = self.ledger.get("cus_", customer_id, "customer")
        if found.get("deleted"):
            raise missing("customer", customer_id, "customer")
        return found

    def subscriptions(self, customer_id: str | None = None) -> list[Obj]:
        """Subscriptions, of one customer or of all, the oldest first."""
        return [sub for sub in self.ledger.all("sub_") if customer_id in (None, sub["customer"])]
