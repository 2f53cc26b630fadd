"""HTTP routes for people and tests in other processes: move the clock, order faults. Loopback only."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from aiohttp import web

from flashcur.services.billing.sandbox import due
from flashcur.services.billing.sandbox.billing_cycle import dispute, set_status
from flashcur.services.billing.sandbox.deliveries import Deliveries, Disturbance
from flashcur.services.billing.sandbox.faults import Fault
from flashcur.services.billing.sandbox.invoices import settle
from flashcur.services.billing.sandbox.ledger import Ledger
from flashcur.services.billing.sandbox.records import add_endpoint
from flashcur.services.billing.sandbox.refusals import ApiRefusal
from flashcur.services.billing.sandbox.shop import Ending, Shop
from flashcur.services.kit.control_routes import bad_order, loopback_only


class Controlled(Protocol):
    """What the routes order of a sandbox; see `StripeSandbox` there."""

    shop: Shop
    ledger: Ledger
    deliveries: Deliveries
    faults: list[Fault]
    most_requests: int
    each_s: float

    def save(self) -> None: ...


class Orders:
    """What can be ordered: `POST /_control/<name>` with a JSON object of arguments calls the method."""

    def __init__(self, sandbox: Controlled) -> None:
        self._sandbox = sandbox

    def clock(self, *, advance_s: int = 0, to: int = 0) -> dict[str, int]:
        """Move the server's clock on; all that falls due meanwhile happens. Raises ValueError for a step back."""
        shop = self._sandbox.shop
        now = shop.clock_s()
        step = to - now if to else advance_s
        if step < 0:
            raise ValueError("expected a time to come")
        done = due.advance(shop, now + step)
        self._sandbox.ledger.offset_s += step
        return {"now": shop.clock_s(), "happened": done}

    def webhooks(self, **wrong: Any) -> dict[str, Any]:
        """Disturb what is sent from now on; without arguments all is well again. Fields of `Disturbance`."""
        self._sandbox.deliveries.wrong = Disturbance(**wrong)
        return dataclasses.asdict(self._sandbox.deliveries.wrong)

    def release(self, *, shuffle: int | None = None) -> int:
        """Send what was held back, in a random order that follows from `shuffle`."""
        return self._sandbox.deliveries.release(shuffle_seed=shuffle)

    def deliver(self, *, event: str) -> int:
        """Send an event again."""
        return self._sandbox.deliveries.deliver(event)

    def endpoint(self, *, url: str, secret: str, api_version: str | None = None) -> str:
        """Send all events to `url`, too, signed with `secret`."""
        return add_endpoint(self._sandbox.shop, url, ["*"], api_version, secret)["id"]

    def secrets(self, *, endpoint: str, secrets: list[str]) -> int:
        """Sign what an endpoint gets with each of these, as while a secret is replaced."""
        self._sandbox.ledger.get("we_", endpoint)["_secrets"] = list(secrets)
        return len(secrets)

    def fault(self, **wrong: Any) -> int:
        """Let the next requests go wrong. Fields of `Fault`."""
        self._sandbox.faults.append(Fault(**wrong))
        return len(self._sandbox.faults)

    def rate(self, *, most: int, each_s: float = 1.0) -> int:
        """Answer at most so many requests within so many seconds."""
        self._sandbox.most_requests, self._sandbox.each_s = int(most), float(each_s)
        return most

    def dunning(self, *, end: Ending) -> str:
        """What becomes of a subscription whose last attempt failed."""
        if end not in ("canceled", "unpaid", "past_due"):
            raise ValueError(f"expected canceled, unpaid or past_due, was {end!r}")
        self._sandbox.shop.dunning_end = end
        return end

    def pause(self, *, subscription: str) -> str:
        """Pause a subscription, as the end of a trial without a card does."""
        sub = self._sandbox.ledger.get("sub_", subscription)
        set_status(self._sandbox.shop, sub, "paused")
        self._sandbox.shop.tell("customer.subscription.paused", sub)
        return sub["status"]

    def dispute(self, *, charge: str, status: str = "needs_response", reason: str = "fraudulent") -> str:
        """Contest a charge; an inquiry where `status` begins with `warning_`."""
        paid = self._sandbox.ledger.get("ch_", charge, "charge")
        return dispute(self._sandbox.shop, paid, status, reason)["id"]

    def settle(self, *, dispute: str, status: str) -> str:
        """Let a dispute go on to `status`: `under_review`, `won`, `lost`, `warning_closed` …"""
        settle(self._sandbox.shop, self._sandbox.ledger.get("du_", dispute), status)
        return status


_NAMES: Final = tuple(name for name in vars(Orders) if not name.startswith("_"))


def routes(sandbox: Controlled) -> list[web.RouteDef]:
    """`GET /_control/state`, `GET /_control/deliveries`, `POST /_control/{order}`."""
    orders = Orders(sandbox)

    async def state(request: web.Request) -> web.Response:
        kinds: dict[str, int] = {}
        for thing in sandbox.ledger.objects.values():
            kinds[thing["object"]] = kinds.get(thing["object"], 0) + 1
        told = {"sandbox": "flashcur", "seed": sandbox.ledger.seed, "now": sandbox.shop.clock_s(), "objects": kinds}
        return web.json_response(told | {"held": len(sandbox.deliveries.held), "faults": len(sandbox.faults)})

    async def sent(request: web.Request) -> web.Response:
        return web.json_response([dataclasses.asdict(attempt) for attempt in sandbox.deliveries.attempts])

    async def act(request: web.Request) -> web.Response:
        name = request.match_info["order"]
        if name not in _NAMES:
            return web.json_response({"error": f"expected one of {', '.join(_NAMES)}, was {name!r}"}, status=404)
        method = cast("Callable[..., object]", getattr(orders, name))
        try:
            arguments: object = await request.json() if request.can_read_body else {}
            if not isinstance(arguments, dict):
                return bad_order("expected a JSON object")
            named = cast("dict[str, Any]", arguments)
            inspect.signature(method).bind(**named)
            result = method(**named)
        except ApiRefusal as refusal:
            return web.json_response(refusal.body(), status=refusal.status)
        except (TypeError, ValueError) as error:
            return bad_order(str(error))
        sandbox.save()
        return web.json_response({"ok": True, "result": result})

    return [
        web.get("/_control/state", loopback_only(state)),
        web.get("/_control/deliveries", loopback_only(sent)),
        web.post("/_control/{order}", loopback_only(act)),
    ]
