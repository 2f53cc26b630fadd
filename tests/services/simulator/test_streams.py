"""The WebSocket protocol over a plain client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.market import HOUR_MS
from tests.services.simulator.conftest import MID_HOUR_MS, OTHERS, Clock, StartExchange

Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def open_one(
            exchange: SimulatedExchange, path: str = "/market/ws/0", streams: tuple[str, ...] = ()
        ) -> aiohttp.ClientWebSocketResponse:
            ws = await session.ws_connect(exchange.ws_url + path, max_msg_size=0)
            stack.push_async_callback(ws.close)
            if streams:
                await ws.send_json({"method": "SUBSCRIBE", "params": list(streams), "id": 1})
                assert await receive(ws) == {"result": None, "id": 1}
            return ws

        yield open_one


async def receive(ws: aiohttp.ClientWebSocketResponse, within_s: float = 5.0) -> Any:
    message = await ws.receive(within_s)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return json.loads(message.data)


async def test_tickers_come_every_second_and_say_what_the_exchange_recorded(
    exchange: SimulatedExchange, connect: Connect
) -> None:
    ws = await connect(exchange, streams=("!ticker@arr",))
    first, second = await receive(ws), await receive(ws)
    assert 800 <= second[0]["E"] - first[0]["E"] <= 1200
    assert len(first) > 40
    for row in second:
        assert row["e"] == "24hrTicker"
        sent = exchange.sent(row["s"], kind="ticker")[-1]
        assert (sent.event_ms, sent.price, sent.change, sent.quote) == (row["E"], row["c"], row["P"], row["q"])
        assert float(row["l"]) <= float(row["c"]) <= float(row["h"])


async def test_mark_prices_name_every_contract_each_second(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange, streams=("!markPrice@arr@1s",))
    rows = await receive(ws)
    assert {row["s"] for row in rows} == {c.symbol for c in exchange.market.trading()} > OTHERS
    assert set(rows[0]) == {"e", "E", "s", "p", "i", "P", "r", "T"}
    for row in rows:
        c = exchange.contract(row["s"])
        assert row["T"] % (c.spec.funding_interval_hours * HOUR_MS) == 0
        assert (row["r"] == "") is (row["T"] == 0) is ("_" in row["s"])
        assert float(row["p"]) == pytest.approx(c.price, rel=0.01)


async def test_a_candle_moves_about_four_times_a_second(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange, streams=("btcusdt@kline_1h",))
    events = [await receive(ws) for _ in range(9)]
    candles = [event["k"] for event in events]
    assert 1500 <= events[-1]["E"] - events[0]["E"] <= 3500
    volumes = [float(k["q"]) for k in candles]
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[-1]
    assert {k["t"] for k in candles} == {MID_HOUR_MS // HOUR_MS * HOUR_MS}
    assert not any(k["x"] for k in candles)


async def test_all_final_candles_arrive_at_the_hour(start_exchange: StartExchange, connect: Connect) -> None:
    hour_ms = MID_HOUR_MS // HOUR_MS * HOUR_MS
    exchange = await start_exchange(now_ms=Clock(hour_ms + HOUR_MS - 1500))
    symbols = [c.lower for c in exchange.market.trading()]
    ws = await connect(exchange, streams=tuple(f"{symbol}@kline_1h" for symbol in symbols))
    finals: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while len(finals) < len(symbols):
            event = await receive(ws)
            if event["k"]["x"]:
                finals[event["s"]] = event
    assert max(e["E"] for e in finals.values()) - min(e["E"] for e in finals.values()) <= 100
    assert {e["k"]["t"] for e in finals.values()} == {hour_ms}
    assert {e["k"]["T"] for e in finals.values()} == {hour_ms + HOUR_MS - 1}
    async with asyncio.timeout(30):
        while (event := await receive(ws))["k"]["x"]:
            pass
    assert event["k"]["t"] == hour_ms + HOUR_MS
    assert float(event["k"]["q"]) < float(finals[event["s"]]["k"]["q"])


async def test_a_minute_candle_closes_at_the_minute(start_exchange: StartExchange, connect: Connect) -> None:
    minute_ms = MID_HOUR_MS // 60_000 * 60_000
    exchange = await start_exchange(now_ms=Clock(minute_ms + 56_500))
    ws = await connect(exchange, streams=("btcusdt@kline_1m",))
    async with asyncio.timeout(30):
        while not (event := await receive(ws))["k"]["x"]:
            pass
    assert event["k"]["t"] == minute_ms
    assert event["E"] - minute_ms - 60_000 < 200


async def test_combined_streams_wrap_their_messages(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange, "/market/stream?streams=btcusdt@kline_1h/ethusdt@markPrice@1s")
    names = {(await receive(ws))["stream"] for _ in range(8)}
    assert names == {"btcusdt@kline_1h", "ethusdt@markPrice@1s"}


@pytest.mark.parametrize("path", ["/ws/0", "/public/ws/0", "/ws/!ticker@arr"])
async def test_the_old_addresses_connect_and_stay_silent(
    exchange: SimulatedExchange, connect: Connect, path: str
) -> None:
    ws = await connect(exchange, path, streams=("!ticker@arr", "btcusdt@kline_1h"))
    live = await connect(exchange, streams=("!ticker@arr",))
    await receive(live)
    await receive(live)
    with pytest.raises(asyncio.TimeoutError):
        await ws.receive(0.05)


async def test_subscriptions_are_listed_and_end(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange, streams=("btcusdt@kline_1h", "nosuch@kline_1h"))
    await ws.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@kline_1h"], "id": 7})
    async with asyncio.timeout(3):
        while (answer := await receive(ws)).get("id") != 7:
            pass
    assert answer == {"result": None, "id": 7}
    await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 8})
    assert await receive(ws) == {"result": ["nosuch@kline_1h"], "id": 8}
    with pytest.raises(asyncio.TimeoutError):
        await ws.receive(0.7)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "expected an object"),
        ('{"method":"SHOUT","id":1}', 2, "unknown variant `SHOUT`"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"SUBSCRIBE","params":["a"],"id":{}}', 2, "unsigned integer"),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "string"),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0, "Unknown property"),
    ],
)
async def test_a_bad_message_gets_an_error(
    exchange: SimulatedExchange, connect: Connect, text: str, code: int, words: str
) -> None:
    ws = await connect(exchange)
    await ws.send_str(text)
    answer = await receive(ws)
    assert answer["error"]["code"] == code
    assert words in answer["error"]["msg"]


async def test_more_than_1024_streams_are_refused(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange, streams=tuple(f"s{i}@kline_1h" for i in range(1024)))
    await ws.send_json({"method": "SUBSCRIBE", "params": ["one@kline_1h"], "id": 2})
    assert (await receive(ws))["error"]["code"] == 2


async def test_a_client_that_talks_too_much_is_cut_off(exchange: SimulatedExchange, connect: Connect) -> None:
    ws = await connect(exchange)
    for i in range(12):
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": i})
    async with asyncio.timeout(30):
        while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == 1008


async def test_the_exchange_pings_after_three_minutes(
    exchange: SimulatedExchange, clock: Clock, connect: Connect
) -> None:
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(exchange.ws_url + "/market/ws/0", autoping=False)
        clock.forward(180_000)
        await exchange.streams.keep_alive()
        assert (await ws.receive(3)).type is aiohttp.WSMsgType.PING
        clock.forward(600_001)
        await asyncio.gather(exchange.streams.keep_alive(), ws.receive(3))
        assert ws.close_code == 1008
