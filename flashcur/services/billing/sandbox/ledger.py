"""All objects that the server knows, by id, with a file that they survive a restart in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from flashcur.services.billing.sandbox.refusals import missing

Obj = dict[str, Any]

NAMES: Final = {
    "cus_": "customer", "prod_": "product", "price_": "price", "cs_test_": "checkout session", "sub_": "subscription",
    "in_": "invoice", "evt_": "event", "re_": "refund", "du_": "dispute", "bps_": "billing portal session",
    "clock_": "test clock", "ch_": "charge", "pi_": "payment_intent", "pm_": "PaymentMethod",
    "inpay_": "invoice payment", "we_": "webhook endpoint", "promo_": "promotion code",
}  # fmt: skip
"""Prefix of an id to what Stripe calls such an object in an error."""
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Ledger:
    """Objects in the order in which they were made. Ids follow from `seed` and that order alone."""

    def __init__(self, seed: int = 1, path: Path | None = None) -> None:
        self.seed = seed
        self.offset_s = 0
        """How far the server's clock is ahead of the wall clock."""
        self.objects: dict[str, Obj] = {}
        self.made: dict[str, int] = {}
        self._path = path
        if path is not None and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.seed, self.offset_s = int(kept["seed"]), int(kept["offset_s"])
            self.objects, self.made = kept["objects"], kept["made"]

    def new_id(self, prefix: str, length: int = 24) -> str:
        """An id that the same calls with the same seed give again."""
        number = self.made[prefix] = self.made.get(prefix, 0) + 1
        digest = int.from_bytes(hashlib.sha512(f"{self.seed}:{prefix}:{number}".encode()).digest(), "big")
        digits = ""
        while len(digits) < length:
            digest, digit = divmod(digest, 62)
            digits += _DIGITS[digit]
        return prefix + digits

    def add(self, thing: Obj) -> Obj:
        """Keep a new object under its `id`."""
        self.objects[thing["id"]] = thing
        return thing

    def get(self, prefix: str, object_id: str, param: str = "id") -> Obj:
        """The object of that kind and id. Raises ApiRefusal."""
        found = self.objects.get(object_id)
        if found is None or not object_id.startswith(prefix):
            raise missing(NAMES[prefix], object_id, param)
        return found

    def all(self, prefix: str) -> Iterator[Obj]:
        """The objects of a kind, the oldest first."""
        return (thing for object_id, thing in list(self.objects.items()) if object_id.startswith(prefix))

    def save(self) -> None:
        """Write the file anew, whole or not at all."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"seed": self.seed, "offset_s": self.offset_s, "objects": self.objects, "made": self.made}
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(fresh, self._path)
