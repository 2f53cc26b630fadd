"""What the control routes of local servers share: people and tests on this machine order faults by them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

_LOOPBACK: Final = ("127.0.0.1", "::1", "::ffff:127.0.0.1")

Handler = Callable[[web.Request], Awaitable[web.Response]]


def bad_order(text: str) -> web.Response:
    """The answer to an order that cannot be carried out."""
    return web.json_response({"error": text}, status=400)


def loopback_only(handler: Handler) -> Handler:
    """`handler` for callers on this machine; 403 for all others."""

    async def checked(request: web.Request) -> web.Response:
        if request.remote not in _LOOPBACK:
            return web.json_response({"error": "expected a caller on this machine"}, status=403)
        return await handler(request)

    return checked
