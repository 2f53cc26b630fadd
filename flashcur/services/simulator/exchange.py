"""The simulated exchange: one local server that speaks Binance USD-M futures' public REST and WebSocket protocol."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.control import Control
from flashcur.services.simulator.faults import Faults
from flashcur.services.simulator.limits import WeightLimiter
from flashcur.services.simulator.market import PHASES, Market, market_key
from flashcur.services.simulator.noise import draw
from flashcur.services.simulator.recorder import Kind, Recorder, Sent
from flashcur.services.simulator.rest import Rest
from flashcur.services.simulator.streams import Streams
from flashcur.services.simulator.universe import ContractSpec, new_spec

_TICK_S: Final = 0.05
_KEEP_ALIVE_S: Final = 10.0
_EVENT_SLOT_MS: Final = 600_000
_LISTINGS_PER_SLOT: Final = 1 / 24
_DELISTINGS_PER_SLOT: Final = 1 / 36
_NATURAL_SETTLING_S: Final = 60.0


def wall_clock_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class SimulatedExchange:
    """A market of `symbols` USDT perpetuals made from `seed`, served on a local port.

    Prices, volumes, funding and open interest are a function of seed and clock; `now_ms` replaces the clock in tests.
    `listings` False stops contracts from coming and going by themselves.
    """

    def __init__(
        self,
        *,
        symbols: int = 500,
        seed: int = 1,
        now_ms: Callable[[], int] = wall_clock_ms,
        listings: bool = True,
        weight_limit: int = 2400,
    ) -> None:
        self._clock = now_ms
        self._latest_ms = now_ms()
        self._listings = listings
        self._events = market_key(seed)
        self._event_slot = self._latest_ms // _EVENT_SLOT_MS
        self.market = Market(symbols, seed, self._latest_ms)
        self.recorder = Recorder()
        self.faults = Faults(self, self.now_ms)
        self.streams = Streams(self.market, self.faults, self.recorder, self.now_ms)
        self.rest = Rest(self.market, self.faults, self.recorder, WeightLimiter(weight_limit), self.now_ms)
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._address = ""
        self._second = -1

    @property
    def rest_url(self) -> str:
        """`http://host:port`, to be put in place of the exchange's scheme and host."""
        return f"http://{self._address}"

    @property
    def ws_url(self) -> str:
        """`ws://host:port`, to be put in place of the exchange's scheme and host."""
        return f"ws://{self._address}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._address.rpartition(":")[2])

    def now_ms(self) -> int:
        """The exchange's time, Unix ms; never goes back."""
        self._latest_ms = max(self._latest_ms, self._clock())
        return self._latest_ms

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen and run; port 0 takes a free one. Raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_routes([*self.rest.routes(), *Control(self).routes(), *self.streams.routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            self._runner = None
            raise
        self._address = f"{host}:{self._runner.addresses[0][1]}"
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_alive())]

    async def stop(self) -> None:
        """Close every connection and the port."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self.streams.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # For tests and the control routes

    def contract(self, symbol: str) -> LiveContract:
        """A contract by its symbol; ValueError for one that is not listed."""
        contract = self.market.contracts.get(symbol)
        if contract is None:
            raise ValueError(f"expected a listed symbol, was {symbol!r}")
        return contract

    def sent(self, symbol: str, limit: int = 100, kind: Kind | None = None) -> list[Sent]:
        """The last messages sent about a contract, oldest first."""
        return self.recorder.last(symbol, limit, kind)

    def list_new(self, base: str | None = None, price: float | None = None) -> ContractSpec:
        """List a contract now, from the reserve unless a base is given; ValueError if it exists already."""
        market = self.market
        if base is None:
            if not market.reserve:
                raise ValueError("expected a contract in reserve, all have been listed: name one")
            spec = market.reserve.pop(0)
        else:
            if base + "USDT" in market.contracts:
                raise ValueError(f"expected a base that is not listed, was {base!r}")
            spec = new_spec(base, price if price is not None else 1.0, market.seed)
        now_ms = self.now_ms()
        contract = market.add(spec, now_ms, now_ms)
        self.streams.send_contract_info(contract, "TRADING", now_ms)
        return spec

    def disconnect_all(self) -> int:
        """Cut every WebSocket without a closing handshake; how many there were."""
        return self.streams.abort_all()

    def delist(self, symbol: str, settling_s: float) -> None:
        """Stop a contract's trading now and forget it after `settling_s` seconds."""
        contract = self.contract(symbol)
        now_ms = self.now_ms()
        contract.status = "SETTLING"
        contract.changed = False
        contract.delist_at_ms = now_ms + int(settling_s * 1000)
        self.market.revision += 1
        self.streams.send_contract_info(contract, "SETTLING", now_ms)

    # The clockwork

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        tick = 0
        while True:
            self.tick(tick % PHASES)
            tick += 1
            due = max(due + _TICK_S, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            await self.streams.keep_alive()

    def tick(self, phase: int) -> None:
        """One twentieth of a second: step a fifth of the contracts and send what is due."""
        now_ms = self.now_ms()
        self.streams.send_closed_others(now_ms)
        finals = self.market.roll_hour(now_ms)
        if finals:
            self.streams.send_closed_hours(finals, now_ms)
        self.streams.send_klines(self.market.step(self.market.groups[phase], now_ms), now_ms)
        second = now_ms // 1000
        if second != self._second:
            self._second = second
            self.streams.send_tickers(now_ms)
            self.streams.send_marks(now_ms)
            self._come_and_go(now_ms)
        self.streams.flush()

    def _come_and_go(self, now_ms: int) -> None:
        for contract in list(self.market.contracts.values()):
            if contract.delist_at_ms is not None and now_ms >= contract.delist_at_ms:
                self.market.remove(contract.symbol)
        slot = now_ms // _EVENT_SLOT_MS
        if slot == self._event_slot or not self._listings:
            return
        self._event_slot = slot
        bits = draw(self._events, slot)
        if (bits & 0xFFFF) / 65536.0 < _LISTINGS_PER_SLOT and self.market.reserve:
            self.list_new()
        if (bits >> 16 & 0xFFFF) / 65536.0 < _DELISTINGS_PER_SLOT:
            tail = [c for c in self.market.trading() if c.spec.wanted and c.index >= len(self.market.contracts) * 0.6]
            if tail:
                self.delist(tail[(bits >> 32) % len(tail)].symbol, _NATURAL_SETTLING_S)
