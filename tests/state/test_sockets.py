"""What travels over a real socket, and what a socket can make the server do."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from flashcur.services.simulator.universe_data import TRADFI
from tests.support.app import App
from tests.support.sockets import NAMESPACE, STATE, event, tab
from tests.support.waiting import eventually

CONTRACTS = 120 + len(TRADFI)
MARKET = f"{STATE}.flashcur___state___market____market_state"
WATCH = "flashcur___state___market____feed_state.watch_table"


@pytest.fixture(autouse=True)
def no_traceback(app: App) -> Iterator[None]:
    """Nothing that a socket does is worth a traceback."""
    start = app.log.stat().st_size
    yield
    assert "Traceback" not in app.log.read_text()[start:]


async def test_the_page_s_state_comes_with_the_current_frame(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as page:
        first = page.updates[0]
        assert page.market["symbol"].count("|") + 1 == CONTRACTS
        assert any(name.endswith("market_state") for name in first)
        assert page.feed["state"] == "live"


async def test_frames_arrive_each_second_and_carry_only_what_changed(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as page:
        # Who the visitor is comes with the page's state: from then on it is his plan's table.
        await eventually(lambda: page.account.get("plan") == "elite", "the account", 10)
        start = len(page.updates)
        await eventually(lambda: len(market_updates(page.updates[start:])) >= 5, "five frames", 10)
        later = market_updates(page.updates[start:])[2:]
        assert all("symbol_rx_state_" not in update for update in later)
        assert all("price_rx_state_" in update for update in later)
        beats = [update["beat_rx_state_"] for update in later]
        assert beats == sorted(set(beats))


async def test_a_reconnecting_tab_is_sent_the_frame_and_not_its_own_empty_state(app: App, elite: str) -> None:
    token = str(uuid.uuid4())
    async with tab(app.url, token=token, cookie=elite) as page:
        await eventually(lambda: len(page.updates) >= 4, "frames", 10)
    async with tab(app.url, token=token, cookie=elite) as again:
        for update in market_updates(again.updates):
            assert update.get("price_rx_state_", "|") != ""
            assert update.get("symbol_rx_state_", "|") != ""
        assert again.market["price"].count("|") + 1 == CONTRACTS


async def test_a_page_without_the_table_gets_the_feed_and_no_frames(app: App, elite: str) -> None:
    async with tab(app.url, path="/nowhere", cookie=elite) as page:
        start = len(page.updates)
        await eventually(lambda: len(page.updates) >= start + 4, "the feed's status", 10)
        assert market_updates(page.updates[start + 1 :]) == []
        assert page.feed["strip"].count(";") == 4


async def test_leaving_for_another_page_ends_the_frames(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as page:
        await eventually(lambda: len(market_updates(page.updates)) >= 3, "frames", 10)
        await page.send("reflex___state____on_load_internal_state.on_load_internal", path="/nowhere")
        await eventually(lambda: market_updates(page.updates[-3:]) == [], "no more frames", 10)


async def test_a_socket_from_another_site_is_refused(app: App, elite: str) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url, headers={"Origin": "https://elsewhere.example", "Cookie": elite})
        async with session.ws_connect(url, headers={"Origin": app.url, "Cookie": elite}) as socket:
            assert (await socket.receive()).data.startswith("0{")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (WATCH, {"audience": "elite"}),
        (WATCH, {"self": 1}),
        ("flashcur___state___market____feed_state._watch", {"table": True}),
        ("flashcur___state___market____market_state.set_price", {"value": "1"}),
        ("flashcur___state___market____market_state.setvar", {"var_name": "price", "value": "1"}),
        ("flashcur___state___market____feed_state.no_such_handler", {}),
        ("no_such_state.handler", {}),
        ("", {}),
    ],
)
async def test_calls_that_a_page_never_makes_change_nothing(app: App, elite: str, name: str, payload: object) -> None:
    async with tab(app.url, cookie=elite) as page:
        await page.send(name, payload)
        await eventually(lambda: len(market_updates(page.updates)) >= 3, "frames as before", 10)
        assert page.market["price"] != "1"
    assert app.get("/health")[0] == 200


def text_of(*arguments: object) -> str:
    return f"42{NAMESPACE},{json.dumps(arguments)}"


def call(**fields: Any) -> str:
    return text_of("event", event(WATCH) | fields)


CALLS: list[tuple[str, Any]] = [
    ("setvar", {"var_name": "is_hydrated", "value": False}),
    ("hydrate", {}),
    ("set_is_hydrated", {"value": "x"}),
    ("reflex___state____update_vars_internal_state.update_vars_internal", {"vars": {"a": 1}}),
    ("hydrate_and_load", {"vars": {f"{MARKET}.price": "1"}}),
    ("hydrate_and_load", {"vars": {"no.such.state": "1"}}),
    ("hydrate_and_load", {"vars": []}),
    ("hydrate_and_load", {"hashes": 5}),
    ("hydrate_and_load", {"hashes": [5, None, {}]}),
    ("reflex___state____on_load_internal_state.on_load_internal", {"x": 1}),
    ("x" * 60_000, {}),
    ("\u2028\u202e\U0001f600", {}),
]
HOSTILE: dict[str, str | bytes] = {
    "nothing": "",
    "no packet": "x",
    "binary": b"\x00\xff",
    "an engine.io ping": "2probe",
    "an engine.io message of JSON": '4{"a":1}',
    "an engine.io message of deep JSON": "4" + "[" * 50_000,
    "no JSON": f"42{NAMESPACE},[",
    "deep JSON": f"42{NAMESPACE}," + "[" * 50_000,
    "a deep payload": text_of("event", event(WATCH)).replace("{}", "[" * 100 + "]" * 100, 1),
    "no event": text_of(),
    "a number for a name": text_of(5),
    "an object for a name": text_of({}),
    "the server's own event": text_of("connect", {}),
    "the server's own other event": text_of("disconnect", "x"),
    "an event without anything": text_of("event"),
    "an event with too much": text_of("event", {}, {}),
    "a list as event": text_of("event", []),
    "a text as event": text_of("event", "x"),
    "a name of a wrong type": call(name=["x"]),
    "a payload of a wrong type": call(payload=[1]),
    "no payload": call(payload=None),
    "router data of a wrong type": call(router_data="x"),
    "a path of a wrong type": call(router_data={"pathname": {"a": 1}}),
    "a path that is none": call(router_data={"pathname": "/", "asPath": "//["}),
    "a query of a wrong type": call(router_data={"query": ["a"]}),
    "headers": call(router_data={"pathname": "/", "headers": {"cookie": "a=b"}}),
    "half a character": f'42{NAMESPACE},["event",{{"name":"\\ud800"}}]',
    "a zero byte": f'42{NAMESPACE},["event",{{"name":"\\u0000"}}]',
    "a number that is none": f'42{NAMESPACE},["event",{{"name":NaN}}]',
    "a huge number": f'42{NAMESPACE},["event",{{"name":{"9" * 5000}}}]',
    "a second greeting": f"40{NAMESPACE},{{}}",
    "another namespace": "40/other,{}",
    "an answer": f"43{NAMESPACE},7[]",
    "attachments": f'459999999999-{NAMESPACE},["event",{{"_placeholder":true,"num":0}}]',
    "a page's report of a wrong type": text_of("client_error", ["x"]),
    "a page's report": text_of("client_error", {"message": "x" * 60_000, "error_type": {"a": "\n"}}),
    "too much": call(payload={"x": "y" * 90_000}),
    **{f"{name} {given}"[:80]: text_of("event", event(name) | {"payload": given}) for name, given in CALLS},
}


async def test_messages_that_a_page_never_sends_change_nothing(app: App, elite: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def frames_go_on(message: str | bytes) -> None:
            url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
            async with session.ws_connect(url, headers={"Origin": app.url, "Cookie": elite}) as socket:
                await socket.send_str(f"40{NAMESPACE},{json.dumps({'event': event('hydrate_and_load')})}")
                await beats(socket, 1)
                await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
                await beats(socket, 3)

        ends = await asyncio.gather(*(frames_go_on(message) for message in HOSTILE.values()), return_exceptions=True)
    assert {name: end for name, end in zip(HOSTILE, ends, strict=True) if end is not None} == {}
    assert app.get("/health")[0] == 200


async def test_a_socket_that_says_goodbye_is_closed(app: App) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        async with session.ws_connect(url, headers={"Origin": app.url}) as socket:
            await socket.send_str(f"40{NAMESPACE},{json.dumps({'event': event('hydrate_and_load')})}")
            await beats(socket, 1)
            await socket.send_str(f"41{NAMESPACE},")
            await socket.send_str(f"40{NAMESPACE},{{}}")
            while (message := await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                assert not message.data.startswith("40"), "a second session"
            assert socket.closed, message
    assert app.get("/health")[0] == 200


async def beats(socket: aiohttp.ClientWebSocketResponse, count: int) -> None:
    """Wait for so many frames of the market."""
    while count:
        message = await socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        if message.data == "2":
            await socket.send_str("3")
        count -= MARKET in message.data


@pytest.mark.parametrize("auth", [
    {"event": 5}, {"event": []}, {"event": {"name": 1}}, {"event": event("x")}, {"state_schema": ["x"]},
])  # fmt: skip
async def test_a_greeting_may_be_wrong(app: App, elite: str, auth: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        async with session.ws_connect(url, headers={"Cookie": elite}) as socket:
            await socket.send_str(f"40{NAMESPACE},{json.dumps(auth)}")
            await socket.send_str(text_of("event", event("hydrate_and_load")))
            await beats(socket, 1)


async def test_a_message_that_is_far_too_large_closes_its_socket(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as other, aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        async with session.ws_connect(url, headers={"Cookie": elite}) as socket:
            await socket.receive()
            await socket.send_str(call(payload={"x": "y" * 1_000_000}))
            message = await socket.receive(timeout=10)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        seen = len(market_updates(other.updates))
        await eventually(lambda: len(market_updates(other.updates)) >= seen + 2, "frames elsewhere", 10)


async def test_a_flood_ends_with_its_socket(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as other, aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        async with session.ws_connect(url, headers={"Cookie": elite}) as socket:
            await socket.send_str(f"40{NAMESPACE},{json.dumps({'event': event('hydrate_and_load')})}")
            for _ in range(400):
                await socket.send_str(call())
            while (message := await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        seen = len(market_updates(other.updates))
        await eventually(lambda: len(market_updates(other.updates)) >= seen + 2, "frames elsewhere", 10)
    assert "is closed after 200 refused messages" in app.log.read_text()


async def test_many_tabs_get_the_same_bytes(app: App, elite: str) -> None:
    async with tab(app.url, cookie=elite) as one, tab(app.url, cookie=elite) as other:
        await eventually(lambda: min(len(market_updates(t.updates)) for t in (one, other)) >= 4, "frames", 10)
        beat = min(one.market["beat"], other.market["beat"])

        def frame(updates: list[dict[str, str]]) -> dict[str, str] | None:
            return next((update for update in updates if update.get("beat_rx_state_") == beat), None)

        first, second = frame(market_updates(one.updates)), frame(market_updates(other.updates))
        assert first is not None
        assert second is not None
        shared = first.keys() & second.keys()
        assert {key: first[key] for key in shared} == {key: second[key] for key in shared}


def market_updates(updates: list[dict]) -> list[dict]:
    return [changes for update in updates for state, changes in update.items() if state == MARKET]


def held(app: App) -> dict[str, int]:
    """Tabs by connection, as the figures have them."""
    lines = re.findall(r'^flashcur_tabs\{connection="(\w+)"\} (\d+)', app.get("/metrics")[1], re.MULTILINE)
    return {connection: int(number) for connection, number in lines}


async def test_a_closed_tab_s_state_is_kept_for_a_while_and_found_again(app: App, elite: str) -> None:
    token = str(uuid.uuid4())
    async with tab(app.url, token=token, cookie=elite) as page:
        before = held(app)
        # A form that is done grows this number, which lives in the tab's state.
        await page.call("watchlist_state.create", form={"name": "kept"})
    await eventually(lambda: held(app)["open"] < before["open"], "the end", 10)
    assert held(app)["kept"] >= 1
    async with tab(app.url, token=token, cookie=elite) as again:
        assert again.state("watchlist_state")["added"] == 1
    async with tab(app.url, cookie=elite) as other:
        assert other.state("watchlist_state")["added"] == 0
