"""What Reflex is shown of a request: nothing that proves who sent it."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any, cast

import pytest
import reflex as rx

from flashcur.services.accounts.client import Client
from flashcur.state.wire.door import UNKNOWN, Arrival, Door, arrival_in, arrival_of

SECRETS = {
    b"cookie": b"flashcur_session=secret-session; flashcur_browser=secret-browser",
    b"authorization": b"Bearer secret-key",
    b"proxy-authorization": b"Basic secret-proxy",
    b"x-forwarded-access-token": b"secret-proxy-token",
    b"cf-access-jwt-assertion": b"secret-jwt",
    b"referer": b"https://site.test/reset?token=secret-link",
    b"sec-websocket-key": b"secret-nonce",
}
HEADERS = [
    (b"host", b"site.test"),
    (b"origin", b"https://site.test"),
    (b"upgrade", b"websocket"),
    (b"user-agent", b"browser"),
    (b"x-forwarded-for", b"198.51.100.7, 203.0.113.5"),
    (b"sec-websocket-protocol", b"0.10.1"),
    *SECRETS.items(),
]


class Reflex:
    """The application behind the door; keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.greeted: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)

    async def greet(self, key: str) -> None:
        assert self.seen == [], "expected to be greeted before the socket opens"
        self.greeted.append(key)

    async def is_asked(self, kind: str, proxy_hops: int = 0) -> dict[str, Any]:
        door = Door(lambda cookies: f"hash of {len(cookies)}", self.greet, proxy_hops=proxy_hops)
        scope = {"type": kind, "path": "/_event/", "client": ("192.0.2.9", 5), "headers": list(HEADERS)}

        async def nothing(*_: Any) -> Any: ...

        await door.wrap(self)(scope, nothing, nothing)
        (seen,) = self.seen
        return seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_no_cookie_and_no_key_gets_in(kind: str) -> None:
    seen = await Reflex().is_asked(kind)
    names = {name for name, _ in seen["headers"]}
    assert not names & {b"cookie", b"authorization", b"proxy-authorization"}


async def test_of_a_socket_s_request_only_what_opens_it_gets_in() -> None:
    reflex = Reflex()
    seen = await reflex.is_asked("websocket")
    assert b"secret" not in pickle.dumps(seen)
    assert {name for name, _ in seen["headers"]} == {b"origin", b"upgrade", b"sec-websocket-protocol"}
    key = f"hash of {len(SECRETS[b'cookie'])}"
    assert reflex.greeted == [key]
    assert arrival_in(seen) == Arrival(key, Client("192.0.2.9", "browser"))


@pytest.mark.parametrize(("hops", "address"), [(0, "192.0.2.9"), (1, "203.0.113.5"), (2, "198.51.100.7")])
async def test_an_address_is_the_one_that_our_own_proxies_saw(hops: int, address: str) -> None:
    assert arrival_in(await Reflex().is_asked("websocket", hops)).client.ip == address


async def test_a_page_is_asked_for_with_its_other_headers() -> None:
    reflex = Reflex()
    seen = await reflex.is_asked("http")
    assert (b"user-agent", b"browser") in seen["headers"]
    assert reflex.greeted == []


def test_whose_a_session_is_is_known_as_long_as_its_socket_lasts() -> None:
    arrival = Arrival("key", Client("192.0.2.9", ""))
    environs = {"here": {"asgi.scope": {"flashcur.arrival": arrival}}, "past the door": {"asgi.scope": {}}}
    sio = SimpleNamespace(get_environ=lambda sid, namespace: environs.get(sid))
    app = cast("rx.App", SimpleNamespace(sio=sio))
    assert arrival_of(app, "here") == arrival
    assert arrival_of(app, "past the door") == UNKNOWN
    assert arrival_of(app, "gone") == UNKNOWN
