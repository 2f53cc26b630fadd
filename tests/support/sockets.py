"""A browser's socket without a browser: Socket.IO as Reflex's page speaks it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import socketio

from tests.support.waiting import eventually

NAMESPACE = "/_event"
STATE = "reflex___state____state"
HYDRATED = "is_hydrated_rx_state_"


class Tab:
    """One tab: what it was sent, and what its page would hold after that."""

    def __init__(self) -> None:
        self.updates: list[dict[str, dict[str, Any]]] = []
        self.vars: dict[str, dict[str, Any]] = {}
        self._path = "/"
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("event", self._take, namespace=NAMESPACE)

    def _take(self, update: dict[str, Any]) -> None:
        delta = update.get("delta") or {}
        self.updates.append(delta)
        for state, changes in delta.items():
            self.vars.setdefault(state, {}).update(changes)

    def state(self, name: str) -> dict[str, Any]:
        """The vars of a state of ours, by plain name."""
        for state, values in self.vars.items():
            if state.endswith(name):
                return {key.removesuffix("_rx_state_"): value for key, value in values.items()}
        return {}

    @property
    def account(self) -> dict[str, Any]:
        return self.state("account_state")

    @property
    def notice(self) -> dict[str, Any]:
        return self.state("notice_state")

    async def call(self, handler: str, **arguments: Any) -> None:
        """Call a handler of ours, "state.handler", and wait until it is done, or was refused."""
        names = {state.rsplit("____", 1)[1]: state.removeprefix(f"{STATE}.") for state in self.vars if "____" in state}
        state, _, name = handler.rpartition(".")
        await self.send(f"{names[state]}.{name}", arguments)
        # Events of a tab are done one after another: when the page's state comes anew, this one is over.
        start = len(self.updates)
        await self.send("hydrate_and_load", path=self._path)
        await eventually(
            lambda: any(_is_snapshot(update) for update in self.updates[start:]),
            lambda: f"the end of {handler}; since then came: {self.updates[start:]}",
            30,
        )

    @property
    def market(self) -> dict[str, Any]:
        return self.state("market_state")

    @property
    def feed(self) -> dict[str, Any]:
        return self.state("feed_state")

    async def open(self, url: str, path: str = "/", token: str | None = None, cookie: str = "") -> None:
        token = token or str(uuid.uuid4())
        self._path = path
        await self.client.connect(
            f"{url}?token={token}",
            transports=["websocket"],
            namespaces=[NAMESPACE],
            socketio_path="/_event/",
            headers={"Cookie": cookie} if cookie else {},
            auth={"event": event("hydrate_and_load", path=path)},
        )

    async def send(self, name: str, payload: Any = None, path: str = "/") -> None:
        await self.client.emit("event", event(name, payload, path), namespace=NAMESPACE)


def _is_snapshot(update: dict[str, dict[str, Any]]) -> bool:
    return update.get(STATE, {}).get(HYDRATED) is False


def event(name: str, payload: Any = None, path: str = "/") -> dict[str, Any]:
    """As a page at this address sends it; `path` may have a query and a fragment."""
    address = urlsplit(path)
    query = dict(parse_qsl(address.query))
    return {
        "name": f"{STATE}.{name}",
        "payload": payload or {},
        "router_data": {"pathname": address.path, "asPath": path, "query": query},
    }


@asynccontextmanager
async def tab(url: str, path: str = "/", token: str | None = None, cookie: str = "") -> AsyncIterator[Tab]:
    """An open tab on a page, hydrated; `cookie` is the header of its first request."""
    opened = Tab()
    await opened.open(url, path, token, cookie)
    try:
        # Not only the first of it: what a test counts begins once the page has all.
        await eventually(lambda: opened.vars.get(STATE, {}).get(HYDRATED) is True, "the page's state", 10)
        yield opened
    finally:
        await opened.client.disconnect()
