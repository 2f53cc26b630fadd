"""Each fault, as the real ccxt client or a plain one meets it."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.faults import GARBAGE, Garbage, spoil_text
from tests.services.simulator.conftest import Clock
from tests.support.waiting import eventually

Listen = Callable[..., Awaitable["Listener"]]
ALL = ("!ticker@arr", "!markPrice@arr@1s", "btcusdt@kline_1h")


class Listener:
    """A connection whose messages are gathered as they come."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.texts: list[str] = []

    async def run(self) -> None:
        async for message in self.ws:
            self.texts.append(message.data)

    def count(self, word: str) -> int:
        return sum(f'"e":"{word}"' in text for text in self.texts)

    def rows(self, event: str, symbol: str) -> list[dict[str, Any]]:
        """Every valid message, or element of an array, of that event about a contract."""
        found: list[dict[str, Any]] = []
        for text in self.texts:
            try:
                message = json.loads(text)
            except ValueError:
                continue
            rows = message if isinstance(message, list) else [message]
            found += [row for row in rows if row.get("e") == event and row.get("s") == symbol]
        return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.fixture
async def listen(exchange: SimulatedExchange) -> AsyncIterator[Listen]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        tasks: list[asyncio.Task[None]] = []

        async def start(*streams: str) -> Listener:
            ws = await session.ws_connect(exchange.ws_url + "/market/ws/0", max_msg_size=0)
            stack.push_async_callback(ws.close)
            await ws.send_json({"method": "SUBSCRIBE", "params": list(streams or ALL), "id": 1})
            listener = Listener(ws)
            tasks.append(asyncio.create_task(listener.run()))
            return listener

        yield start
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(
    ("kind", "event", "others"),
    [
        ("ticker", "24hrTicker", ("markPriceUpdate", "kline")),
        ("mark", "markPriceUpdate", ("24hrTicker", "kline")),
        ("kline", "kline", ("24hrTicker", "markPriceUpdate")),
    ],
)
async def test_one_stream_falls_silent_and_the_others_go_on(
    exchange: SimulatedExchange, listen: Listen, kind: Any, event: str, others: tuple[str, ...]
) -> None:
    listener = await listen()
    await eventually(lambda: listener.count(event) > 0, "the stream to speak first")
    exchange.faults.silence(kind)
    listener.texts.clear()
    await eventually(lambda: all(listener.count(other) >= 2 for other in others), "the other streams")
    assert listener.count(event) == 0
    assert not listener.ws.closed
    exchange.faults.speak(kind)
    await eventually(lambda: listener.count(event) > 0, "the stream to speak again")


async def test_a_silence_ends_by_itself(exchange: SimulatedExchange, listen: Listen, clock: Clock) -> None:
    listener = await listen("btcusdt@kline_1h")
    exchange.faults.silence("kline", seconds=60)
    assert exchange.faults.active()["silent"] == ["kline"]
    clock.forward(61_000)
    await eventually(lambda: listener.count("kline") > 0, "candles after the silence")


async def test_silent_open_interest_hangs(exchange: SimulatedExchange, http: aiohttp.ClientSession) -> None:
    exchange.faults.silence("oi")
    request = asyncio.create_task(http.get("/fapi/v1/openInterest?symbol=BTCUSDT"))
    async with http.get("/fapi/v1/ping") as response:
        assert response.status == 200
    done, _ = await asyncio.wait([request], timeout=0.3)
    assert not done
    exchange.faults.clear()
    async with await asyncio.wait_for(request, 3) as response:
        assert response.status == 200


async def test_every_socket_is_cut(exchange: SimulatedExchange, listen: Listen) -> None:
    listeners = [await listen(), await listen()]
    await eventually(lambda: len(exchange.streams.connections) == 2, "two connections")
    assert exchange.faults.disconnect_all() == 2
    await eventually(lambda: all(listener.ws.closed for listener in listeners), "closed sockets")
    await eventually(lambda: not exchange.streams.connections, "no connection left")
    again = await listen()
    await eventually(lambda: again.count("24hrTicker") > 0, "tickers on a new connection")


@pytest.mark.parametrize("status", [403, 451])
async def test_a_blocked_address(
    exchange: SimulatedExchange, http: aiohttp.ClientSession, clock: Clock, status: int
) -> None:
    exchange.faults.refuse(status, seconds=30)
    async with http.get("/fapi/v1/exchangeInfo") as response:
        assert response.status == status
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/market/ws/0")
    assert refused.value.status == status
    clock.forward(30_001)
    async with http.get("/fapi/v1/ping") as response:
        assert response.status == 200


async def test_too_many_requests_on_command(exchange: SimulatedExchange, http: aiohttp.ClientSession) -> None:
    exchange.faults.rate_limit(retry_after=7)
    async with http.get("/fapi/v1/ping") as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "7"
        assert (await response.json())["code"] == -1003
    async with http.ws_connect("/market/ws/0") as ws:
        assert not ws.closed


async def test_server_errors(exchange: SimulatedExchange, http: aiohttp.ClientSession) -> None:
    exchange.faults.server_error(status=502)
    async with http.get("/fapi/v1/ping") as response:
        assert response.status == 502


async def test_slow_answers(exchange: SimulatedExchange, http: aiohttp.ClientSession) -> None:
    exchange.faults.latency(0.2)
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with http.get("/fapi/v1/ping") as response:
        assert response.status == 200
    assert loop.time() - before >= 0.2


@pytest.mark.parametrize("variety", [v for v in GARBAGE if v != "invalid_json"])
async def test_garbage_in_one_candle_and_a_good_one_after_it(
    exchange: SimulatedExchange, listen: Listen, variety: Garbage
) -> None:
    listener = await listen("btcusdt@kline_1h")
    exchange.faults.garbage("BTCUSDT", variety, "kline")
    expected: dict[str, Callable[[dict[str, Any]], bool]] = {
        "missing_field": lambda bad: "c" not in bad,
        "nan": lambda bad: math.isnan(float(bad["c"])),
        "negative": lambda bad: float(bad["c"]) < 0,
        "blank": lambda bad: bad["c"] == "",
        "crossed": lambda bad: float(bad["h"]) < float(bad["l"]),
        "absurd": lambda bad: float(bad["c"]) > 1e12,
        "null": lambda bad: bad["c"] is None,
        "wrong_type": lambda bad: isinstance(bad["c"], dict),
    }
    spoiled = expected[variety]

    def candles() -> list[dict[str, Any]]:
        """From the first bad one on: another may have come before the fault was asked for."""
        said = (row["k"] for row in listener.rows("kline", "BTCUSDT"))
        return list(itertools.dropwhile(lambda candle: not spoiled(candle), said))

    await eventually(lambda: len(candles()) >= 2, "a bad candle and another")
    after = candles()[1]
    assert float(after["l"]) <= float(after["c"]) <= float(after["h"])


async def test_invalid_json_on_an_array_stream(exchange: SimulatedExchange, listen: Listen) -> None:
    listener = await listen("!ticker@arr")
    exchange.faults.garbage("BTCUSDT", "invalid_json", "ticker")

    def arrays() -> list[str]:
        """From the first on that is no JSON: one of other contracts may have come before it."""
        return list(itertools.dropwhile(_is_json, (text for text in listener.texts if text.startswith("["))))

    await eventually(lambda: len(arrays()) >= 2, "a broken array and another")
    broken, after = arrays()[:2]
    assert '"s":"BTCUSDT"' in broken
    assert json.loads(after)


async def test_garbage_only_concerns_the_contract_that_was_named(exchange: SimulatedExchange, listen: Listen) -> None:
    listener = await listen("!markPrice@arr@1s")
    exchange.faults.garbage("ETHUSDT", "blank", "mark", count=None, field="r")
    await eventually(lambda: len(listener.rows("markPriceUpdate", "ETHUSDT")) >= 2, "two marks")
    assert {row["r"] for row in listener.rows("markPriceUpdate", "ETHUSDT")} == {""}
    assert all(float(row["r"]) for row in listener.rows("markPriceUpdate", "BTCUSDT"))


async def test_garbage_in_rest_answers(exchange: SimulatedExchange, http: aiohttp.ClientSession) -> None:
    exchange.faults.garbage("BTCUSDT", "nan", "ticker_rest")
    exchange.faults.garbage("BTCUSDT", "blank", "instrument")
    exchange.faults.garbage("BTCUSDT", "negative", "oi")
    async with http.get("/fapi/v1/ticker/24hr?symbol=BTCUSDT") as response:
        assert (await response.json())["lastPrice"] == "NaN"
    async with http.get("/fapi/v1/exchangeInfo") as response:
        row = next(r for r in (await response.json())["symbols"] if r["symbol"] == "BTCUSDT")
        assert row["filters"][0]["tickSize"] == ""
    async with http.get("/fapi/v1/openInterest?symbol=BTCUSDT") as response:
        assert float((await response.json())["openInterest"]) < 0
    async with http.get("/fapi/v1/ticker/24hr?symbol=BTCUSDT") as response:
        assert float((await response.json())["lastPrice"]) > 0


@pytest.mark.parametrize("field", ["first", "middle", "last"])
def test_a_field_can_be_left_out_anywhere(field: str) -> None:
    text = '{"first":1,"middle":"two","last":-3}'
    assert set(json.loads(spoil_text(text, "missing_field", field))) == {"first", "middle", "last"} - {field}


async def test_messages_twice_and_out_of_order(exchange: SimulatedExchange, listen: Listen) -> None:
    listener = await listen("btcusdt@kline_1h")
    await eventually(lambda: listener.count("kline") > 0, "a candle")
    exchange.faults.duplicate("kline", 2)
    listener.texts.clear()
    await eventually(lambda: listener.count("kline") >= 5, "five candles")
    texts = listener.texts[:5]
    assert texts[0] == texts[1] != texts[2] == texts[3] != texts[4]
    exchange.faults.reorder("kline", 1)
    listener.texts.clear()
    await eventually(lambda: listener.count("kline") >= 3, "three candles")
    times = [json.loads(text)["E"] for text in listener.texts[:3]]
    assert times[1] < times[0] < times[2]


async def test_delisting_settles_first_and_then_removes(
    exchange: SimulatedExchange, http: aiohttp.ClientSession, listen: Listen, clock: Clock
) -> None:
    async def status() -> str | None:
        async with http.get("/fapi/v1/exchangeInfo") as response:
            rows = (await response.json())["symbols"]
        return next((r["status"] for r in rows if r["symbol"] == "SOLUSDT"), None)

    listener = await listen("!markPrice@arr@1s", "solusdt@kline_1h", "!contractInfo")
    assert await status() == "TRADING"
    await eventually(lambda: bool(listener.rows("markPriceUpdate", "SOLUSDT")), "a mark price")
    exchange.faults.delist("SOLUSDT", settling_s=60)
    await eventually(lambda: bool(listener.rows("contractInfo", "SOLUSDT")), "the announcement")
    listener.texts.clear()
    await eventually(lambda: listener.count("markPriceUpdate") >= 2, "other mark prices")
    assert not listener.rows("markPriceUpdate", "SOLUSDT")
    assert not listener.rows("kline", "SOLUSDT")
    assert await status() == "SETTLING"
    clock.forward(60_001)
    await eventually(lambda: "SOLUSDT" not in exchange.market.contracts, "the contract gone")
    assert await status() is None
    async with http.get("/fapi/v1/openInterest?symbol=SOLUSDT") as response:
        assert (await response.json())["code"] == -1121


async def test_a_new_listing_trades_and_has_no_past(
    exchange: SimulatedExchange, http: aiohttp.ClientSession, listen: Listen
) -> None:
    spec = exchange.faults.list_new("FRESH", price=0.5)
    listener = await listen("!ticker@arr", "freshusdt@kline_1h")
    await eventually(lambda: bool(listener.rows("24hrTicker", "FRESHUSDT")), "its ticker")
    await eventually(lambda: bool(listener.rows("kline", "FRESHUSDT")), "its candle")
    async with http.get("/fapi/v1/klines?symbol=FRESHUSDT&interval=1h") as response:
        assert len(await response.json()) == 1
    assert spec.symbol == "FRESHUSDT"
    assert exchange.faults.list_new().symbol not in ("", "FRESHUSDT")
    with pytest.raises(ValueError, match="not listed"):
        exchange.faults.list_new("FRESH")


async def test_a_volume_spike_is_seen_in_the_candle(exchange: SimulatedExchange, listen: Listen) -> None:
    listener = await listen("xrpusdt@kline_1h")
    previous = exchange.contract("XRPUSDT").window[-1].quote
    exchange.faults.volume_spike("XRPUSDT", ratio=4, floor=3_000_000, over_s=1)

    def ratio() -> float:
        rows = listener.rows("kline", "XRPUSDT")
        return float(rows[-1]["k"]["q"]) / previous if rows else 0.0

    await eventually(lambda: ratio() >= 4, "four times the volume of last hour")
    assert ratio() < 6


async def test_prices_open_interest_and_funding_on_command(
    exchange: SimulatedExchange, http: aiohttp.ClientSession, listen: Listen
) -> None:
    listener = await listen("!ticker@arr", "!markPrice@arr@1s")
    before = exchange.contract("ETHUSDT").price
    async with http.get("/fapi/v1/openInterest?symbol=ADAUSDT") as response:
        contracts = float((await response.json())["openInterest"])
    exchange.faults.price_jump("ETHUSDT", 10)
    exchange.faults.set_price("DOGEUSDT", 0.5)
    exchange.faults.set_funding("BNBUSDT", -0.0042)
    exchange.faults.oi_jump("ADAUSDT", 50)

    def last(event: str, symbol: str, field: str) -> str:
        rows = listener.rows(event, symbol)
        return rows[-1][field] if rows else "0"

    await eventually(lambda: float(last("24hrTicker", "ETHUSDT", "c")) > before * 1.08, "a jump of the price")
    await eventually(lambda: last("24hrTicker", "DOGEUSDT", "c") == "0.50000", "the price that was set")
    await eventually(lambda: last("markPriceUpdate", "BNBUSDT", "r") == "-0.00420000", "the rate that was set")
    async with http.get("/fapi/v1/openInterest?symbol=ADAUSDT") as response:
        assert float((await response.json())["openInterest"]) == pytest.approx(contracts * 1.5, rel=0.02)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda f: f.silence("trades"), "expected one of ticker, mark, kline, oi"),
        (lambda f: f.refuse(500), "expected status 403 or 451"),
        (lambda f: f.rate_limit(status=200), "expected status 418 or 429"),
        (lambda f: f.server_error(status=404), "expected status 500, 502, 503 or 504"),
        (lambda f: f.latency(-1), "expected a delay"),
        (lambda f: f.garbage("NOSUCHUSDT", "nan"), "expected a listed symbol"),
        (lambda f: f.garbage("BTCUSDT", "rubbish"), "expected one of invalid_json"),
        (lambda f: f.garbage("BTCUSDT", "nan", count=0), "expected a count"),
        (lambda f: f.set_price("BTCUSDT", float("nan")), "expected a price"),
        (lambda f: f.set_price("BTCUSDT", 0), "expected a price"),
        (lambda f: f.price_jump("BTCUSDT", -100), "expected percent"),
        (lambda f: f.volume_spike("BTCUSDT", float("inf")), "expected a ratio"),
        (lambda f: f.set_funding("BTCUSDT", 2), "expected a rate"),
        (lambda f: f.silence("mark", -1), "expected seconds"),
    ],
)
async def test_an_impossible_order_is_refused(
    exchange: SimulatedExchange, order: Callable[[Any], None], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        order(exchange.faults)


async def test_faults_over_http(exchange: SimulatedExchange, http: aiohttp.ClientSession, listen: Listen) -> None:
    listener = await listen("!ticker@arr")
    async with http.post("/_control/set_price", json={"symbol": "BTCUSDT", "price": 123456.7}) as response:
        assert (await response.json())["ok"] is True
    await eventually(lambda: any(row["c"] == "123456.7" for row in listener.rows("24hrTicker", "BTCUSDT")), "the price")
    async with http.get("/_control/last?symbol=BTCUSDT&kind=ticker&limit=1") as response:
        sent = await response.json()
    assert sent[0]["price"] == "123456.7"
    assert len(sent) == 1
    async with http.post("/_control/list_new", json={"base": "NEWBIE"}) as response:
        assert (await response.json())["result"]["symbol"] == "NEWBIEUSDT"
    async with http.get("/_control/state") as response:
        state = await response.json()
    assert state["symbols"] == 61
    assert state["connections"] == [{"streams": 1, "live": True}]


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("nothing", "{}", 404),
        ("is_silent", "{}", 404),
        ("silence", "{", 400),
        ("silence", "[]", 400),
        ("silence", '{"kind":"ticker","colour":1}', 400),
        ("silence", '{"kind":"ticker","seconds":"soon"}', 400),
        ("set_price", '{"symbol":["BTCUSDT"],"price":1}', 400),
        ("delist", '{"symbol":"NOSUCHUSDT"}', 400),
    ],
)
async def test_bad_control_requests_say_why(http: aiohttp.ClientSession, action: str, body: str, status: int) -> None:
    async with http.post(f"/_control/{action}", data=body) as response:
        assert response.status == status
        assert "error" in await response.json()


# Much to compute, on a busy machine.
@pytest.mark.timeout(240)
async def test_contracts_come_and_go_by_themselves_but_rarely(clock: Clock) -> None:
    exchange = SimulatedExchange(symbols=60, now_ms=clock)
    before = set(exchange.market.contracts)
    for _ in range(3 * 24 * 6):
        clock.forward(10_000)
        exchange.tick(0)
        clock.forward(590_000)
        exchange.tick(0)
    listed = set(exchange.market.contracts) - before
    gone = before - set(exchange.market.contracts)
    assert 5 <= len(listed) <= 32
    assert 3 <= len(gone) <= 30
    assert "BTCUSDT" not in gone
