"""The live state of one contract."""

from __future__ import annotations

import math
from collections import deque

from flashcur.services.simulator.history import Bar, HourPlan
from flashcur.services.simulator.universe import ContractSpec, Status


class LiveContract:
    """One listed contract while the exchange runs. Prices and quote volumes in USDT, `shift` in log price."""

    __slots__ = (
        "beta", "buy_share", "changed", "close", "closed", "delist_at_ms", "fixed_rate", "high", "high_23", "hour",
        "index", "jitter", "key", "listed_ms", "low", "low_23", "lower", "minute", "minute_open", "minutes",
        "next_plan", "oi_scale", "open", "pinned", "plan", "price", "price_text", "quote", "quote_23", "rate",
        "rate_text", "rate_until_ms", "shift", "skipped_quote", "spec", "status", "surge", "symbol", "trade_odds",
        "trades_23", "volume", "volume_23", "window",
    )  # fmt: skip

    def __init__(self, spec: ContractSpec, index: int, listed_ms: int, status: Status = "TRADING") -> None:
        self.spec = spec
        self.symbol = spec.symbol
        self.lower = spec.symbol.lower()
        self.index = index
        self.key = spec.key
        self.status: Status = status
        self.listed_ms = listed_ms
        self.delist_at_ms: int | None = None
        self.beta = spec.beta
        self.jitter = spec.daily_volatility * 0.008
        # How many of 1024 quarter seconds see a trade: every one in a liquid contract, every third in the tail.
        liquidity = math.log10(spec.volume_24h / 2e5) / 2.4
        self.trade_odds = round(1024 * min(1.0, max(0.3, 0.3 + 0.7 * liquidity)))

        self.hour = -1
        self.plan: HourPlan = HourPlan(-1, [], [], 0.0, 0.0)
        self.next_plan: HourPlan | None = None
        self.price = spec.base_price
        self.price_text = ""
        self.changed = False
        self.buy_share = 0.5

        self.open = self.high = self.low = self.close = spec.base_price
        self.volume = self.quote = 0.0
        self.skipped_quote = 0.0
        """Planned volume of this hour from before the contract was listed."""
        self.minute = -1
        self.minute_open: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
        """Open, high, low of the running minute and the hour's volume and quote volume at its beginning."""
        self.minutes: dict[int, Bar] = {}
        """Finished minutes of the running hour."""

        self.closed: dict[int, Bar] = {}
        """Hours that were lived through; they replace the computed ones."""
        self.window: deque[Bar] = deque(maxlen=24)
        """The last 24 finished hours; the oldest is leaving the rolling window."""
        self.quote_23 = self.volume_23 = 0.0
        self.trades_23 = 0
        self.high_23, self.low_23 = 0.0, math.inf

        self.rate = 0.0001
        self.rate_text = "0.00010000"
        self.rate_until_ms = 0

        # What faults changed.
        self.shift = 0.0
        self.pinned: float | None = None
        self.surge: tuple[int, int, float] | None = None
        """Start in Unix ms, duration in ms and size in USDT of extra volume in this hour."""
        self.oi_scale = 1.0
        self.fixed_rate: float | None = None

    def hour_bar(self) -> Bar:
        """The running hour so far."""
        count = round(self.quote / (60.0 + 0.02 * math.sqrt(self.spec.volume_24h))) + (1 if self.quote > 0 else 0)
        share = self.buy_share
        return Bar(
            self.open, self.high, self.low, self.close, self.volume, self.quote, count, self.volume * share,
            self.quote * share,
        )  # fmt: skip
