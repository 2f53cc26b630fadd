"""The gate in front of the event handlers: what passes, what is dropped, and when a socket is closed."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import reflex as rx
from starlette.types import Send

from flashcur.services.accounts.client import Client
from flashcur.state.wire import gate as module
from flashcur.state.wire.access import ACCESS, REFLEX_ACCESS, Entrance
from flashcur.state.wire.connections import WHEN_ENDED
from flashcur.state.wire.door import Door
from flashcur.state.wire.failures import log_handler_error, log_page_error
from flashcur.state.wire.gate import (
    BURST,
    CONNECTION_RATE,
    CONNECTIONS,
    EVENTS,
    HYDRATION_RATE,
    HYDRATIONS,
    MAX_ADDRESS,
    MAX_DROPPED,
    MAX_SOCKETS,
    RATE,
    SITE_SOCKETS,
    Gate,
    Guest,
)
from flashcur.state.wire.messages import MAX_MESSAGE, NAMESPACE, CheckedPacket, Malformed, fault_in
from flashcur.web.websocket_server import WHEN_LOST

OPEN = "a.some_state.open"
SIGNED = "a.some_state.signed"
OPERATORS = "a.some_state.operators"


class Sio:
    """As much of Socket.IO's server as the gate touches."""

    def __init__(self) -> None:
        self.environ: dict[str, dict[str, Any]] = {}
        self.events: list[Any] = []
        self.eio = SimpleNamespace(handlers={}, on=lambda name, handler: self.eio.handlers.update({name: handler}))
        self.eio.handlers |= {"connect": self._connect, "message": self._message, "disconnect": self._disconnect}
        self.manager = SimpleNamespace(sid_from_eio_sid=lambda eio_sid, namespace: self.sids.get(eio_sid))
        self.sids: dict[str, str] = {}
        self.closed: list[str] = []
        self.eio.disconnect = self._close
        self.packet_class: Any = None
        self.refuses: Callable[[], Any] | None = None

    def get_environ(self, sid: str, namespace: str) -> dict[str, Any] | None:
        return self.environ.get(sid)

    async def _connect(self, eio_sid: str, environ: dict[str, Any]) -> Any:
        if self.refuses is not None:
            return self.refuses()
        self.environ[eio_sid] = environ
        return None

    async def _message(self, eio_sid: str, data: str) -> None:
        self.events.append(self.packet_class(encoded_packet=data).data)

    async def _close(self, eio_sid: str) -> None:
        self.closed.append(eio_sid)

    async def _disconnect(self, eio_sid: str, reason: str) -> None:
        del self.environ[eio_sid]


async def greet(key: str) -> None: ...


class Site:
    """A gate between stand-ins."""

    def __init__(self, **options: Any) -> None:
        self.now = 100.0
        self.sio = Sio()
        self.calls: list[tuple[str, Any]] = []
        self.sent: list[dict[str, Any]] = []

        async def on_event(sid: str, data: Any) -> None:
            self.calls.append((sid, data))

        self.namespace = SimpleNamespace(on_event=on_event)
        pages = {"/": "index", "/reset": "reset"}
        app: Any = SimpleNamespace(sio=self.sio, event_namespace=self.namespace, router=pages.get)
        self.gate = Gate(app, clock=lambda: self.now, **options)
        self.door = Door(lambda cookies: "", greet, proxy_hops=options.get("proxy_hops", 0))
        self.gate.install()

    async def connect(
        self,
        sid: str = "s1",
        address: str = "203.0.113.5",
        query: str = "token=a-1",
        *,
        lost: list[Callable[[], object]] | None = None,
        answers: bool = False,
        path: str = NAMESPACE,
        **more: Any,
    ) -> Any:
        """`answers`: the server can answer a handshake with a status."""

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        extensions: dict[str, Any] = {} if lost is None else {WHEN_LOST: lost.append}
        if answers:
            extensions["websocket.http.response"] = lambda _: None
        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        scope = {"path": path, "client": (address, 1), "headers": headers, "extensions": extensions}
        await self.door.receive(scope, cast("Send", send))
        environ = {
            "asgi.scope": scope,
            "asgi.receive": self._receive,
            "asgi.send": send,
            "QUERY_STRING": query,
        }
        answer = await self.sio.eio.handlers["connect"](sid, environ)
        if answer is False:
            # As Engine.IO ends what is refused.
            await environ["asgi.send"]({"type": "websocket.close"})
        return answer

    async def say_goodbye(self, sid: str) -> None:
        """What Engine.IO does on a packet `1`: for it the socket is over."""
        await self.sio.eio.handlers["disconnect"](sid, "gone")

    async def disconnect(self, sid: str = "s1") -> None:
        """The connection ends."""
        environ = self.sio.environ[sid]
        await self.say_goodbye(sid)
        environ.get(WHEN_ENDED, lambda: None)()

    async def _receive(self) -> dict[str, Any]:
        return self.incoming.pop(0)

    async def read(self, *messages: Any, sid: str = "s1") -> list[dict[str, Any]]:
        """What the server gets to see of these messages."""
        self.incoming = [{"type": "websocket.receive", "text": text} for text in messages]
        self.incoming.append({"type": "end"})
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["type"] == "websocket.receive":
            seen.append(await self.sio.environ[sid]["asgi.receive"]())
        return seen

    async def ask(self, data: Any, sid: str = "s1") -> bool:
        """Whether an event reaches Reflex."""
        before = len(self.calls)
        await self.namespace.on_event(sid, data)
        return len(self.calls) > before


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def entrance(caller: Any) -> Entrance:
        return Entrance("some_state.handler", caller, frozenset(), {"text": str}, False)

    listed = {OPEN: entrance("anyone"), SIGNED: entrance("account"), OPERATORS: entrance("admin")}
    monkeypatch.setattr(module, "entrances", lambda: listed)


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.connect()
    return site


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.exc_info is None for record in caplog.records)
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def event(name: Any = OPEN, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "payload": {},
        "router_data": {"pathname": "/", "asPath": "/?q=1", "query": {"q": "1"}},
    } | fields


AT_HOME = {"pathname": "/", "asPath": "/", "query": {}}
"""What Reflex gets of the page's address."""


async def test_a_page_s_event_passes_with_the_page_s_path(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert await site.ask(event(payload={"text": "é"}))
    assert await site.ask({"name": OPEN})
    assert site.calls[0] == ("s1", event(payload={"text": "é"}, router_data=AT_HOME))
    assert site.calls[1] == ("s1", {"name": OPEN, "router_data": {}})
    assert warnings(caplog) == []


@pytest.mark.parametrize(("path", "rest", "query", "kept"), [
    ("/", "", {}, AT_HOME),
    ("/", "?welcome=yes&q=btc", {"welcome": "yes", "q": "btc"}, {**AT_HOME, "asPath": "/?welcome=1"}),
    ("/reset", "#id.code", {}, {**AT_HOME, "pathname": "/reset", "asPath": "/reset"}),
    ("/reset", "?token=id.code", {"token": "id.code"}, {**AT_HOME, "pathname": "/reset", "asPath": "/reset"}),
    ("/" + "x" * 300, "", {}, {**AT_HOME, "pathname": "/404", "asPath": "/404"}),
    ("/reset?token=id.code", "", {}, {**AT_HOME, "pathname": "/404", "asPath": "/404"}),
    ("/reset#id.code", "", {}, {**AT_HOME, "pathname": "/404", "asPath": "/404"}),
    ("/", "?" + "q=x&" * 4_000, {"q": "x" * 16_000}, AT_HOME),
    ("/" + "\N{EARTH GLOBE EUROPE-AFRICA}" * 199, "", {}, {**AT_HOME, "pathname": "/404", "asPath": "/404"}),
    ("/nowhere", "", {}, {**AT_HOME, "pathname": "/404", "asPath": "/404"}),
])  # fmt: skip
async def test_of_an_address_only_what_states_read_goes_on(
    site: Site, path: str, rest: str, query: dict[str, str], kept: dict[str, Any]
) -> None:
    assert await site.ask(event(router_data={"pathname": path, "asPath": path + rest, "query": query}))
    assert site.calls[-1][1]["router_data"] == kept


@pytest.mark.parametrize("path", ["/", "/reset", "/" + "\N{EARTH GLOBE EUROPE-AFRICA}" * 5_000])
async def test_what_a_tab_s_address_costs_is_bounded(site: Site, path: str) -> None:
    query = {f"q{number}": "x" * 50 for number in range(300)}
    await site.ask(event(router_data={"pathname": path, "asPath": f"{path}?{'x' * 8_000}", "query": query}))
    # As Reflex goes on with it.
    connection = {"sid": "s" * 20, "token": "t" * 64, "ip": "2001:db8::1", "headers": {"asgi-scope-client": "1" * 45}}
    router = site.calls[-1][1]["router_data"] | connection
    state = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
    state.router_data = state._update_router_vars(router, {})
    kept = [getattr(state, name) for name in state.vars if name.startswith("rx_router")]
    assert len(kept) == 5
    assert len(pickle.dumps([state.router_data, *kept])) < 2_000


@pytest.mark.parametrize("data", [
    None, 1, "text", [], ["x"], True, {}, {"name": None}, {"name": 5}, {"name": ["x"]}, {"name": {}}, {"name": ""},
    event("x" * 201), event("a.some_state.other"), event("handler"), event("a.some_state.open "),
    event(payload=None), event(payload=[]), event(payload="x"), event(payload=1),
    event(payload={"unknown": 1}), event(payload={"self": 1}), event(payload={"text": 1}),
    event(payload={"text": None}),
    event(router_data=None), event(router_data=[]), event(router_data={"pathname": 1}),
    event(router_data={"pathname": "/" * 20_000}), event(router_data={"asPath": None}),
    event(router_data={"asPath": "//["}),
    event(router_data={"query": []}), event(router_data={"query": {"a": 1}}), event(router_data={"headers": {}}),
])  # fmt: skip
async def test_others_are_dropped_with_one_line(site: Site, data: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert not await site.ask(data)
    (line,) = warnings(caplog)
    assert line.startswith("a socket of 203.0.113.5 asked for ")
    assert len(line) < 250


@pytest.mark.parametrize(("visitor", "allowed"), [
    (Guest(), [True, False, False]),
    (SimpleNamespace(account="ada", admin=False), [True, True, False]),
    (SimpleNamespace(account="root", admin=True), [True, True, True]),
])  # fmt: skip
async def test_who_may_call_is_asked_for_each_event(visitor: Any, allowed: list[bool]) -> None:
    asked: list[str] = []

    def visitor_of(sid: str) -> Any:
        asked.append(sid)
        return visitor

    site = Site(visitor_of=visitor_of)
    await site.connect()
    assert [await site.ask(event(name)) for name in (OPEN, SIGNED, OPERATORS)] == allowed
    assert asked == ["s1", "s1"]


async def test_page_loads_are_counted_for_the_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = Entrance("state.hydrate_and_load", "anyone", frozenset(), {}, False)
    site.gate._entrances["a.state.hydrate_and_load"] = heavy
    for number in range(2, 11):
        await site.connect(f"s{number}")
    await site.connect("other", "198.51.100.9")
    await site.connect("local", "127.0.0.1")
    load = event("a.state.hydrate_and_load")
    passed = [await site.ask(load, f"s{number % 10 + 1}") for number in range(HYDRATIONS + 50)]
    assert passed == [True] * HYDRATIONS + [False] * 50
    assert site.gate.refused["hydration"] == 50
    # A new connection brings no new budget; other networks, programs of this machine and other events have theirs.
    await site.disconnect("s1")
    await site.connect("s1")
    assert not await site.ask(load, "s1")
    assert await site.ask(load, "other")
    assert await site.ask(load, "local")
    assert await site.ask(event(), "s1")
    site.now += 1
    assert [await site.ask(load, "s2") for _ in range(25)].count(True) == HYDRATION_RATE


def test_the_handlers_that_are_counted_are_there() -> None:
    assert {*ACCESS, *REFLEX_ACCESS} >= module._HYDRATING


def packet(data: Any, kind: str = "42", namespace: str = NAMESPACE) -> str:
    return f"{kind}{namespace},{json.dumps(data)}"


async def test_a_page_s_packets_pass(site: Site) -> None:
    texts = [packet({"event": event()}, "40"), packet(["event", event()]), "3", f"41{NAMESPACE},", "1"]
    seen = await site.read(*texts)
    assert [message.get("text") for message in seen[:-1]] == texts


@pytest.mark.parametrize("text", [
    None, "", "x", "0", "2", "5", "6", "9", "33", "4", "4[[", '4{"a":1}', "43", "44", "451-", "46", "4x", "b64",
    "42" + "x" * MAX_MESSAGE,
])  # fmt: skip
async def test_what_no_page_sends_is_not_decoded(site: Site, text: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert [message["type"] for message in await site.read(text, text)] == ["end"]
    assert len(warnings(caplog)) == 1


async def test_a_burst_passes_and_then_so_many_a_second(site: Site) -> None:
    ping = packet(["event", event()])
    assert len(await site.read(*[ping] * 100)) - 1 == BURST
    site.now += 2
    assert len(await site.read(*[ping] * 100)) - 1 == 2 * RATE
    site.now += 3600
    assert len(await site.read(*[ping] * 10)) - 1 == 10


async def test_a_socket_that_keeps_at_it_is_closed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    seen = await site.read(*["x"] * (MAX_DROPPED + 50))
    assert seen == [{"type": "websocket.disconnect", "code": 1008}]
    assert site.sent == [{"type": "websocket.close", "code": 1008}]
    first, last = warnings(caplog)
    assert "asked for" in first
    assert "closed after 200" in last


async def test_refused_events_count_too(site: Site) -> None:
    for _ in range(MAX_DROPPED + 1):
        await site.ask(event("unknown"))
    assert (await site.read(packet(["event", event()])))[-1]["type"] == "websocket.disconnect"
    assert site.gate.refused["name"] == MAX_DROPPED + 1


async def test_a_budget_ends_with_its_socket(site: Site) -> None:
    await site.read(*["x"] * 100)
    await site.disconnect()
    assert site.sio.environ == {}
    assert not site.gate._open
    await site.connect()
    assert len(await site.read("3")) == 2


@pytest.mark.parametrize("text", [
    "2", f"2{NAMESPACE},", f"2{NAMESPACE},[", f"2{NAMESPACE},[]", f"2{NAMESPACE},5", f"2{NAMESPACE},[5]",
    f'2{NAMESPACE},["event"]', f'2{NAMESPACE},["event",1,2]', f'2{NAMESPACE},["connect",{{}}]',
    f'2{NAMESPACE},["disconnect",1]', f'2{NAMESPACE},["ping",1]', f'2{NAMESPACE},[["event"],1]',
    f'2{NAMESPACE},[{{}},1]', '2/other,["event",{}]', '2["event",{}]', f"0{NAMESPACE},[]", "0", "0/x,",
    f"2{NAMESPACE},{'[' * 60000}", f'2{NAMESPACE},["event",{"[" * 20}{"]" * 20}]', f'2{NAMESPACE},["event",NaN]',
    f'2{NAMESPACE},["event",1e999]', f'2{NAMESPACE},["event",{"9" * 40}]', f'2{NAMESPACE},["event",{"9" * 9000}]',
    f'2{NAMESPACE},["event","\\ud800"]', f'2{NAMESPACE},["event",{{"\\ud800":1}}]', f'2{NAMESPACE},["event","\\u0000"]',
    f'2{NAMESPACE},²["event",{{}}]', f'5{NAMESPACE},1-["event",{{}}]', "x",
])  # fmt: skip
async def test_packets_that_no_page_sends(site: Site, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Malformed):
        CheckedPacket(encoded_packet=text)
    await site.sio.eio.handlers["message"]("s1", text)
    assert site.sio.events == []
    assert len(warnings(caplog)) == 1


async def test_an_error_of_ours_is_not_taken_for_the_socket_s(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(eio_sid: str, data: str) -> None:
        raise ValueError("the database is away")

    monkeypatch.setattr(site.gate, "_message", broken)
    with pytest.raises(ValueError, match="away"):
        await site.sio.eio.handlers["message"]("s1", f"2{NAMESPACE},")


async def test_one_greeting_a_connection(site: Site) -> None:
    greeting = f"0{NAMESPACE},{{}}"
    await site.sio.eio.handlers["message"]("s1", greeting)
    await site.sio.eio.handlers["message"]("s1", greeting)
    assert site.sio.events == [{}]
    # Neither after it has said goodbye, which ends it.
    assert site.sio.closed == []
    await site.sio.eio.handlers["message"]("s1", f"1{NAMESPACE},")
    assert site.sio.closed == ["s1"]
    await site.sio.eio.handlers["message"]("s1", greeting)
    assert site.sio.events == [{}, None]
    assert site.gate.refused == {"form": 2}


async def test_what_is_asked_is_counted_for_the_network_whatever_it_is(site: Site) -> None:
    for number in range(2, 12):
        await site.connect(f"s{number}")
    passed = 0
    for number in range(EVENTS + 5):
        passed += await site.ask(event(SIGNED if number % 2 else OPEN), f"s{number % 10 + 2}")
    assert site.gate.refused["events"] == 5
    # Another network is not held up, and this one goes on as time passes.
    await site.connect("other", "198.51.100.9")
    assert await site.ask(event(), "other")
    site.now += 1
    assert await site.ask(event(), "s3")
    assert passed == EVENTS // 2


async def test_a_network_that_has_asked_for_too_much_is_given_no_session(site: Site) -> None:
    for _ in range(EVENTS):
        await site.ask(event())
    await site.connect("s2")
    await site.sio.eio.handlers["message"]("s2", f"0{NAMESPACE},{{}}")
    assert (site.sio.events, site.sio.closed) == ([], ["s2"])


@pytest.mark.parametrize(
    "query",
    ["", "token=", "token=a_b", "token=" + "a" * 65, "token=a%20b", "xtoken=a", "token=a;b", "token=a%0a",
     "token=a&token=b", "token=a&token=a", "token=&token=a", "token=a&token", "%74oken=a_b&token=a",
     "token=a&tok%65n=b"],
)  # fmt: skip
async def test_a_token_names_a_state_and_nothing_else(query: str) -> None:
    site = Site()
    assert await site.connect(query=query) is False
    assert site.sio.environ == {}
    assert not site.gate._open


async def test_a_socket_s_own_address_is_short(site: Site) -> None:
    assert await site.connect("s2", query="token=a&x=" + "y" * MAX_ADDRESS) is False
    # Socket.IO takes any number of slashes.
    assert await site.connect("s3", path=NAMESPACE + "/" * MAX_ADDRESS) is False
    assert await site.connect("s4", path=f"{NAMESPACE}/") is None


async def test_connections_are_counted_for_the_network(site: Site) -> None:
    def opened(ip: str, number: int) -> int:
        return [site.gate.admits_connection(Client(ip, "")) for _ in range(number)].count(True)

    assert opened("203.0.113.5", CONNECTIONS + 50) == CONNECTIONS
    assert site.gate.refused["connections"] == 50
    assert opened("2001:db8:1:2::1", CONNECTIONS) == CONNECTIONS
    assert opened("2001:db8:1:2::2", 1) == 0
    # Other networks, and programs of this machine, have their own, or none.
    assert opened("198.51.100.9", 1) == 1
    assert opened("127.0.0.1", 10 * CONNECTIONS) == 10 * CONNECTIONS
    site.now += 2
    assert opened("203.0.113.5", 100) == 2 * CONNECTION_RATE


@pytest.mark.parametrize("answers", [True, False])
async def test_who_cannot_be_held_is_told_so(answers: bool) -> None:
    room = [True, False, True]

    async def has_room() -> bool:
        return room.pop(0)

    site = Site(has_room=has_room)
    assert await site.connect("s1", answers=answers) is None
    assert await site.connect("s2", answers=answers) is False
    assert site.gate.refused == {"tabs": 1}
    kinds = ["websocket.http.response.start", "websocket.http.response.body"] if answers else ["websocket.close"]
    assert [message["type"] for message in site.sent][: len(kinds)] == kinds
    if answers:
        assert len(site.sent) == 2, "expected Engine.IO's own answer to go nowhere"
        assert site.sent[0]["status"] == 503
        assert b"try again" in site.sent[1]["body"]
    assert await site.connect("s3", answers=answers) is None
    assert site.gate._open == {"203.0.113.5": 2}


@pytest.mark.parametrize("query", ["token=a", "EIO=4&token=a-1&transport=websocket", "%74oken=a", "token=%61"])
async def test_a_token_is_read_as_reflex_reads_it(query: str) -> None:
    assert await Site().connect(query=query) is None


@pytest.mark.parametrize("told", [True, False], ids=["by the server", "by the call's end"])
async def test_a_socket_that_says_goodbye_and_stays_is_counted(told: bool) -> None:
    site = Site()
    lost: list[Callable[[], object]] = []
    for number in range(MAX_SOCKETS):
        assert await site.connect(f"s{number}", lost=lost if told else None) is None
    environs = dict(site.sio.environ)
    for number in range(MAX_SOCKETS):
        await site.say_goodbye(f"s{number}")
    assert await site.connect("more") is False
    # Only the end of the connection makes room, once.
    ended = lost[0] if told else environs["s0"][WHEN_ENDED]
    ended()
    ended()
    assert await site.connect("again", lost=lost) is None
    assert await site.connect("more") is False
    for each in lost if told else [environ[WHEN_ENDED] for environ in environs.values()]:
        each()
    lost[-1]()
    assert not site.gate._open


async def test_a_socket_that_socket_io_refuses_is_not_counted(site: Site) -> None:
    before = dict(site.gate._open)
    site.sio.refuses = lambda: False
    assert await site.connect("s2") is False
    site.sio.refuses = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        await site.connect("s3")
    assert dict(site.gate._open) == before


@pytest.mark.parametrize(("hops", "address", "forwarded", "bounded"), [
    (0, "203.0.113.5", "", True),
    (0, "127.0.0.1", "", False),
    (0, "::1", "", False),
    (0, "127.0.0.1", "203.0.113.5", False),
    (1, "127.0.0.1", "203.0.113.5", True),
    (1, "127.0.0.1", "198.51.100.7, 203.0.113.5", True),
])  # fmt: skip
async def test_sockets_of_one_network(hops: int, address: str, forwarded: str, bounded: bool) -> None:
    site = Site(proxy_hops=hops)
    headers: dict[str, Any] = {"x_forwarded_for": forwarded} if forwarded else {}
    for number in range(MAX_SOCKETS):
        assert await site.connect(f"s{number}", address, **headers) is None
    assert (await site.connect("more", address, **headers) is False) is bounded
    if bounded:
        assert await site.connect("other", "198.51.100.9") is None
        await site.disconnect("s7")
        assert await site.connect("again", address, **headers) is None


async def test_an_ipv6_customer_is_one_network(site: Site) -> None:
    for number in range(MAX_SOCKETS):
        assert await site.connect(f"v{number}", f"2001:db8:1:2::{number:x}") is None
    assert await site.connect("more", "2001:db8:1:2:ffff::1") is False
    assert await site.connect("other", "2001:db8:1:3::1") is None


async def test_the_networks_of_one_line_are_bounded_together(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    for number in range(SITE_SOCKETS):
        assert await site.connect(f"s{number}", f"2001:db8:1:{number:x}::1") is None
    for number in range(9):
        assert await site.connect("more", f"2001:db8:1:f{number}::1") is False
    assert await site.connect("other", "2001:db8:2:1::1") is None
    assert len([line for line in warnings(caplog) if "sockets open" in line]) == 1
    await site.disconnect("s7")
    assert await site.connect("again", "2001:db8:1:ff::1") is None


def test_a_well_formed_event() -> None:
    assert fault_in(event()) is None


def failing(binding: bool) -> Exception:
    def process_event(handler: Callable[..., None], handler_name: str) -> None:
        handler(1)

    def handler(*arguments: int) -> None:
        raise TypeError("inside")

    try:
        process_event((lambda: None) if binding else handler, "FeedState.watch_table")
    except TypeError as error:
        return error
    raise AssertionError


def test_arguments_that_do_not_fit_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert log_handler_error(failing(binding=True)) is None
    (line,) = warnings(caplog)
    assert line.startswith("FeedState.watch_table was called with arguments that do not fit: ")


def test_an_error_inside_a_handler_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log_handler_error(failing(binding=False))
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("FeedState.watch_table failed", "ERROR")
    assert "inside" in caplog.text
    assert "Traceback" in caplog.text


def test_a_page_s_report_is_one_bounded_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashcur.state.wire.failures.time.monotonic", lambda: 60_000_000.0)
    for _ in range(50):
        log_page_error(Exception("\x1b[31mred\nERROR forged" + "x" * 5000))
    lines = warnings(caplog)
    assert len(lines) == 20
    assert lines[0].startswith(r"a page reported: \x1b[31mred\nERROR forgedxxx")
    assert len(lines[0]) <= 217


@pytest.mark.parametrize(("report", "told"), [
    ("Error at https://site.test/reset#id.code (x.js:1)", "Error at https://site.test/reset… (x.js:1)"),
    ("no route matches '/reset?token=id.code'", "no route matches '/reset…'"),
    ("Minified React error #418; what?", "Minified React error #418; what?"),
])  # fmt: skip
def test_a_page_s_report_names_no_secret_of_an_address(
    report: str, told: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.state.wire.failures.time.monotonic", lambda: 70_000_000.0)
    log_page_error(Exception(report))
    assert warnings(caplog) == [f"a page reported: {told}"]
