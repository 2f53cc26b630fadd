"""A push service (RFC 8030) and a browser that subscribed to it: what comes is checked and decrypted as they would."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flashcur.services.notify.vapid import public_key
from flashcur.settings import Settings
from tests.support.vendor import Reply, Request, Vendor

http_ece: Any = import_module("http_ece")
py_vapid: Any = import_module("py_vapid")


def url_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class PushBrowser:
    """The keys of one subscription."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = b"0123456789abcdef"

    @property
    def keys(self) -> dict[str, str]:
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": url_base64(point), "auth": url_base64(self.auth)}

    def details(self, settings: Settings) -> dict[str, str]:
        """As `Destination.details` holds them."""
        assert settings.web_push.private_key is not None
        return {**self.keys, "key": public_key(settings.web_push.private_key)}

    def read(self, body: bytes) -> dict[str, Any]:
        """What a message says. Raises what `http_ece` raises for one that is not for this browser."""
        plain = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        return json.loads(plain)


class PushService(Vendor):
    """Takes messages for subscriptions below `/push/`."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Request] = []

    def respond(self, request: Request) -> Reply:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not request.path.startswith("/push/"):
            return Reply(404)
        if not headers.get("ttl", "").isdigit():
            return Reply(400, {}, b"TTL is required")
        if headers.get("urgency") not in ("very-low", "low", "normal", "high"):
            return Reply(400, {}, b"Urgency")
        topic = headers.get("topic", "")
        if len(topic) > 32 or not topic.replace("-", "").replace("_", "").isalnum():
            return Reply(400, {}, b"Topic")
        if headers.get("content-encoding") != "aes128gcm":
            return Reply(400, {}, b"Content-Encoding")
        if len(request.body) > 4096:
            return Reply(413)
        if not py_vapid.Vapid02.verify(headers.get("authorization", "")):
            return Reply(403, {}, b'{"reason":"BadJwtToken"}')
        self.taken.append(request)
        return Reply(201, {"Location": f"{self.url}/message/{len(self.taken)}"})


def claims_of(request: Request) -> dict[str, Any]:
    """What the signed word of a message says."""
    header = next(value for name, value in request.headers.items() if name.lower() == "authorization")
    body = header.removeprefix("vapid t=").split(",")[0].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
