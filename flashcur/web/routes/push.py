"""Where a browser turns Web Push on and off: what it has subscribed to is kept with the account that is signed in."""

from __future__ import annotations

from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from flashcur.errors import SignInNeeded, Unavailable
from flashcur.services.accounts.push_subscriptions import MOST_ADDRESS, PushSubscriptions, read_subscription
from flashcur.services.accounts.sessions import Caller
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import (
    Foreign,
    Route,
    RouteGroup,
    client_of_request,
    cookie_header,
    from_our_pages,
    json_answer,
    read_fields,
    text,
)


class PushRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime

    async def subscribe(self, request: Request) -> Response:
        """Web push to this browser (`endpoint`, `keys`, `expirationTime` as its subscription says; `former`: an address
        that this one replaces)."""
        subscriptions, caller, fields = await self._asked(request)
        subscription = read_subscription(fields, private=self._runtime.settings.allow_private_webhooks)
        former = text(fields, "former", MOST_ADDRESS)
        return json_answer({"ok": True, "name": await subscriptions.subscribe(caller, subscription, former)})

    async def unsubscribe(self, request: Request) -> Response:
        """No more web push to this browser (`endpoint`)."""
        subscriptions, caller, fields = await self._asked(request)
        return json_answer(
            {"ok": True, "removed": await subscriptions.unsubscribe(caller, text(fields, "endpoint", MOST_ADDRESS))}
        )

    async def key(self, request: Request) -> Response:
        """JSON: the public key that browsers subscribe to web push with (`key`); empty where it is not configured."""
        return json_answer({"ok": True, "key": self._subscriptions.key})

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("GET", "/api/v1/push/key", key),
        Route("POST", "/api/v1/push", subscribe, "account"),
        Route("POST", "/api/v1/push/off", unsubscribe, "account"),
    )

    @property
    def _subscriptions(self) -> PushSubscriptions:
        accounts = self._runtime.accounts
        if accounts is None:
            raise Unavailable("FlashCur is still starting: try again in a moment.")
        return accounts.push

    async def _asked(self, request: Request) -> tuple[PushSubscriptions, Caller, dict[str, Any]]:
        """The service, who asks, and what they send. Raises Foreign, SignInNeeded and Unavailable."""
        if not from_our_pages(request, self._runtime.where.allowed_origins):
            raise Foreign
        visitor = await self._runtime.visitors.identify(cookie_header(request.scope), anew=True)
        if visitor.unsure:
            raise Unavailable("Accounts cannot be reached at this moment: try again in a few seconds.")
        caller = visitor.caller(client_of_request(request, self._runtime.settings.proxy_hops))
        if caller is None:
            raise SignInNeeded("Sign in to get web push.")
        return self._subscriptions, caller, await read_fields(request)
