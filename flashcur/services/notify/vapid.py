"""Who we are, for push services (VAPID, RFC 8292): a key pair, and a signed word for each service."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flashcur.services.kit.clock import now_ms
from flashcur.settings import Secret

LIFETIME_S = 12 * 3600
"""How long a signed word is valid; services take a day at most, and some dislike that much."""
REUSED_S = 6 * 3600
"""How long it is used: what is sent now is to be valid for hours whatever their clock says."""
KEPT = 64
"""Push services whose word is kept; there are about four."""


def public_key(private_key: Secret) -> str:
    """The public key of a private one, as browsers take it: 65 bytes as URL-safe Base64."""
    value = int.from_bytes(base64.urlsafe_b64decode(private_key.reveal() + "="))
    point = ec.derive_private_key(value, ec.SECP256R1()).public_key()
    return base64.urlsafe_b64encode(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()[:87]


class Vapid:
    """Makes the header that says who sends."""

    def __init__(self, private_key: Secret, subject: str, clock: Callable[[], int] = now_ms) -> None:
        """`subject`: whom the service may write to, `mailto:…` or `https://…`; `clock`: Unix ms."""
        # The library ships no types: Any here, and nothing else sees it.
        self._signer: Any = import_module("py_vapid").Vapid02.from_string(private_key.reveal())
        self._subject = subject
        self._clock = clock
        self._kept: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def authorization(self, endpoint: str) -> str:
        """The header `Authorization` for a subscription's address. Raises ValueError where that names no host."""
        parts = urlsplit(endpoint)
        audience = f"{parts.scheme}://{parts.netloc}"
        now_s = self._clock() // 1000
        made_s, header = self._kept.get(audience, (0, ""))
        # A clock that was set back makes a new one, too.
        if not 0 <= now_s - made_s < REUSED_S:
            claims = {"aud": audience, "exp": now_s + LIFETIME_S, "sub": self._subject}
            try:
                header = str(self._signer.sign(claims)["Authorization"])
            except import_module("py_vapid").VapidException as error:
                raise ValueError(f"expected the address of a push service, was one at {parts.hostname}") from error
            self._kept[audience] = (now_s, header)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return header
