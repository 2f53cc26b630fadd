"""The simulated market: steps every contract a quarter of a second at a time along its plan."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.funding import RATE_STEP_MS, funding_rate
from flashcur.services.simulator.history import Bar, History, buy_share, make_bar, trade_count
from flashcur.services.simulator.noise import GAUSS, subkey
from flashcur.services.simulator.universe import ContractSpec, Decoy, build_decoys, build_tradfi, build_universe

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
SLOT_MS: Final = 250
PHASES: Final = 5
"""Contracts are stepped in five groups, 50 ms apart, so that messages do not come in one burst."""
_KEPT_HOURS: Final = 72
_MIX_STEP: Final = 0x9E3779B97F4A7C15
_M64: Final = (1 << 64) - 1


class Market:
    """All contracts and the clockwork that moves them. Time is given with every call, never read."""

    def __init__(self, symbols: int, seed: int, now_ms: int) -> None:
        self.seed = seed
        self.history = History(seed)
        specs, self.reserve = build_universe(symbols, seed)
        self.contracts: dict[str, LiveContract] = {}
        self.groups: list[list[LiveContract]] = [[] for _ in range(PHASES)]
        self.hour = now_ms // HOUR_MS
        self.revision = 0
        """Grows with every change of the list of contracts."""
        for spec in specs:
            self.add(spec, spec.onboard_ms, now_ms)
        for spec in build_tradfi(seed):
            self.add(spec, spec.onboard_ms, now_ms)
        self.untraded: list[Decoy] = []
        """Contracts on the list that do not trade: settling, closed, not begun."""
        for decoy in build_decoys(specs, seed):
            if decoy.status == "TRADING":
                self.add(decoy.spec, decoy.spec.onboard_ms, now_ms)
            else:
                self.untraded.append(decoy)

    def add(self, spec: ContractSpec, listed_ms: int, now_ms: int) -> LiveContract:
        """Start trading a contract; `listed_ms` is the earliest moment of its history."""
        contract = LiveContract(spec, len(self.contracts), listed_ms)
        self.contracts[spec.symbol] = contract
        self.groups[contract.index % PHASES].append(contract)
        self.revision += 1
        self._begin(contract, now_ms)
        return contract

    def remove(self, symbol: str) -> None:
        """Forget a contract altogether."""
        contract = self.contracts.pop(symbol)
        for group in self.groups:
            if contract in group:
                group.remove(contract)
        self.revision += 1

    def trading(self) -> Iterable[LiveContract]:
        """Contracts that can be traded now, of every sort."""
        return (c for c in self.contracts.values() if c.status == "TRADING")

    # Time

    def step(self, contracts: Iterable[LiveContract], now_ms: int) -> list[LiveContract]:
        """Move these contracts to `now_ms`; returns those that traded in this quarter of a second.

        The price follows the plan of the hour with a little noise; the volume of the hour follows the plan exactly.
        """
        slot = now_ms // SLOT_MS
        in_hour = now_ms % HOUR_MS
        m, rest = divmod(in_hour, MINUTE_MS)
        f = rest / MINUTE_MS
        # Noise vanishes at the boundaries of minutes, where the plan is exact.
        shape = math.sqrt(4.0 * f * (1.0 - f))
        common = self.history.market.jitter(slot) * 0.00012 * shape
        hour = now_ms // HOUR_MS
        salt = slot * _MIX_STEP
        gauss, exp = GAUSS, math.exp
        traded: list[LiveContract] = []
        for c in contracts:
            if c.hour != hour:
                continue
            if c.minute != m:
                self._close_minute(c, m)
            x = (c.key + salt) & _M64
            x = (x ^ (x >> 31)) * 0x7FB5D329728EA185 & _M64
            x = (x ^ (x >> 27)) * 0x81DADEF4BC2DD44D & _M64
            if (x >> 50 & 1023) >= c.trade_odds and c.pinned is None and c.surge is None:
                continue
            plan = c.plan
            volumes = plan.volumes
            target = volumes[m] + (volumes[m + 1] - volumes[m]) * f - c.skipped_quote
            if c.surge is not None:
                target += _surge_volume(c.surge, now_ms)
            added = target - c.quote
            if added <= 0.0 or c.status != "TRADING":
                continue
            spec = c.spec
            if c.pinned is None:
                logs = plan.logs
                start = logs[m]
                log_price = start + (logs[m + 1] - start) * f
                log_price += shape * (c.beta * common + c.jitter * gauss[x >> 20 & 4095])
                if log_price > plan.high:
                    log_price = plan.high
                elif log_price < plan.low:
                    log_price = plan.low
                price = exp(log_price + c.shift)
            else:
                price = c.pinned
            text = f"{price:.{spec.price_decimals}f}"
            if text != c.price_text:
                c.price_text = text
                price = float(text) or spec.tick_size
                c.price = c.close = price
                if price > c.high:
                    c.high = price
                if price < c.low:
                    c.low = price
                mo, mh, ml, mv, mq = c.minute_open
                if price > mh:
                    c.minute_open = (mo, price, ml, mv, mq)
                elif price < ml:
                    c.minute_open = (mo, mh, price, mv, mq)
            c.quote = target
            c.volume += added / c.price
            c.changed = True
            traded.append(c)
        if m == 59:
            self._prepare(contracts, hour, slot)
        return traded

    def roll_hour(self, now_ms: int) -> list[tuple[LiveContract, int, Bar]]:
        """Begin the hour of `now_ms` if it is a new one; returns the final bar of the hour just closed, by contract.

        Every trading contract gets its final bar, also after a jump of the clock over several hours.
        """
        hour = now_ms // HOUR_MS
        if hour <= self.hour:
            return []
        self.hour = hour
        finals: list[tuple[LiveContract, int, Bar]] = []
        for c in self.contracts.values():
            closed = c.hour
            bar = self._final_bar(c)
            c.closed[closed] = bar
            c.minutes.clear()
            c.window.append(bar)
            if hour - closed > 1:
                missed = self._shifted(c, self.history.bars(c.spec, max(closed + 1, hour - 24), hour - 1))
                c.closed.update(zip(range(hour - len(missed), hour), missed, strict=True))
                c.window.extend(missed)
            while len(c.closed) > _KEPT_HOURS:
                del c.closed[next(iter(c.closed))]
            if c.status == "TRADING":
                finals.append((c, closed, bar))
            self._enter_hour(c, hour)
        return finals

    # What contracts are worth asking for

    def bars(self, c: LiveContract, first_hour: int, last_hour: int) -> list[tuple[int, Bar]]:
        """Hourly bars from `first_hour` to `last_hour` with their hours; the last may be the running one."""
        first = max(first_hour, c.listed_ms // HOUR_MS)
        last = min(last_hour, c.hour)
        if first > last:
            return []
        lived = {h: c.closed[h] for h in range(first, last + 1) if h in c.closed}
        result: dict[int, Bar] = {}
        missing = [h for h in range(first, min(last, c.hour - 1) + 1) if h not in lived]
        if missing:
            computed = self.history.bars(c.spec, missing[0], missing[-1])
            result.update(zip(range(missing[0], missing[-1] + 1), computed, strict=True))
        result.update(lived)
        if last == c.hour:
            result[c.hour] = c.hour_bar()
        return sorted(result.items())

    def minute_bars(self, c: LiveContract, hour: int) -> list[tuple[int, Bar]]:
        """One-minute bars of an hour with the minute each belongs to (0 … 59), up to the running one."""
        if hour > c.hour or hour < c.listed_ms // HOUR_MS:
            return []
        if hour == c.hour:
            return [*sorted(c.minutes.items()), (c.minute, self.minute_bar(c))]
        bars = self.history.minute_bars(c.spec, hour)
        lived = c.closed.get(hour)
        if lived is not None:
            bars = _squeeze(bars, lived)
        return list(enumerate(bars))

    def minute_bar(self, c: LiveContract) -> Bar:
        """The running minute so far."""
        o, h, low, v, q = c.minute_open
        volume, quote, share = max(0.0, c.volume - v), max(0.0, c.quote - q), c.buy_share
        return Bar(
            o, h, low, c.close, volume, quote, trade_count(c.spec, quote), volume * share, quote * share
        )  # fmt: skip

    def price_at(self, c: LiveContract, at_ms: int) -> float:
        """Price at a moment: the last one now, in the past on the line between the bounds of the hour."""
        hour = at_ms // HOUR_MS
        if hour >= c.hour:
            return c.price
        bar = self.bars(c, hour, hour)
        if not bar:
            return c.price
        return bar[0][1].open + (bar[0][1].close - bar[0][1].open) * (at_ms % HOUR_MS) / HOUR_MS

    def refresh_rate(self, c: LiveContract, now_ms: int) -> None:
        """Recompute the funding rate of a contract; it moves a little every ten seconds."""
        c.rate = c.fixed_rate if c.fixed_rate is not None else funding_rate(c.spec, now_ms)
        c.rate_text = f"{c.rate:.8f}" if c.spec.perpetual else ""
        c.rate_until_ms = now_ms - now_ms % RATE_STEP_MS + RATE_STEP_MS

    # Faults

    def shift_price(self, c: LiveContract, factor: float) -> None:
        """Multiply the price from now on."""
        if c.pinned is not None:
            c.pinned *= factor
        c.shift += math.log(factor)

    def release_price(self, c: LiveContract, now_ms: int) -> None:
        """Let a pinned price move again, from where it was pinned."""
        if c.pinned is None:
            return
        in_hour = now_ms % HOUR_MS
        m, f = in_hour // MINUTE_MS, in_hour % MINUTE_MS / MINUTE_MS
        planned = c.plan.logs[m] + (c.plan.logs[m + 1] - c.plan.logs[m]) * f
        c.shift = math.log(c.pinned) - planned
        c.pinned = None

    def surge_volume(self, c: LiveContract, ratio: float, floor: float, over_ms: int, now_ms: int) -> float:
        """Let this hour's quote volume reach `ratio` times the last hour's and at least `floor`; returns the target."""
        previous = c.window[-1].quote if c.window else 0.0
        target = max(ratio * previous, floor)
        c.surge = (now_ms, max(1, over_ms), max(0.0, target - c.quote))
        return target

    # Inside

    def _begin(self, c: LiveContract, now_ms: int) -> None:
        hour = now_ms // HOUR_MS
        first = max(hour - 24, c.listed_ms // HOUR_MS)
        if first < hour:
            c.window.extend(self.history.bars(c.spec, first, hour - 1))
        self._enter_hour(c, hour)
        in_hour = now_ms % HOUR_MS
        m, f = in_hour // MINUTE_MS, in_hour % MINUTE_MS / MINUTE_MS
        plan = c.plan
        price = math.exp(plan.logs[m] + (plan.logs[m + 1] - plan.logs[m]) * f)
        c.price_text = f"{price:.{c.spec.price_decimals}f}"
        c.price = c.close = float(c.price_text) or c.spec.tick_size
        done = plan.volumes[m] + (plan.volumes[m + 1] - plan.volumes[m]) * f
        if c.listed_ms >= hour * HOUR_MS:
            c.skipped_quote = done
            c.open = c.high = c.low = c.price
            c.minute_open = (c.price, c.price, c.price, 0.0, 0.0)
        else:
            self._live_through(c, m)
            c.volume += max(0.0, done - c.quote) / c.price
            c.quote = done
            c.high, c.low = max(c.high, c.price), min(c.low, c.price)
            o, h, low, v, q = c.minute_open
            c.minute_open = (o, max(h, c.price), min(low, c.price), v, q)
        c.minute = m
        self.refresh_rate(c, now_ms)

    def _live_through(self, c: LiveContract, minute: int) -> None:
        """Give a contract the past minutes of the running hour."""
        for m, bar in enumerate(self.history.minute_bars(c.spec, c.hour)[:minute]):
            c.minutes[m] = bar
            c.high, c.low = max(c.high, bar.high), min(c.low, bar.low)
            c.volume += bar.volume
            c.quote += bar.quote
        price = round(math.exp(c.plan.logs[minute]), c.spec.price_decimals) or c.spec.tick_size
        c.minute_open = (price, price, price, c.volume, c.quote)

    def _enter_hour(self, c: LiveContract, hour: int) -> None:
        if c.next_plan is not None and c.next_plan.hour == hour:
            c.plan = c.next_plan
        else:
            c.plan = self.history.plan(c.spec, hour)
        c.next_plan = None
        c.hour = hour
        c.surge = None
        c.skipped_quote = 0.0
        c.volume = c.quote = 0.0
        price = c.pinned
        if price is None:
            price = round(math.exp(c.plan.logs[0] + c.shift), c.spec.price_decimals) or c.spec.tick_size
        c.price = c.open = c.high = c.low = c.close = price
        c.price_text = f"{price:.{c.spec.price_decimals}f}"
        c.minute = 0
        c.minute_open = (price, price, price, 0.0, 0.0)
        c.buy_share = buy_share(c.spec, hour, c.plan.logs[60] - c.plan.logs[0])
        whole = list(c.window)[1:] if len(c.window) == 24 else list(c.window)
        c.quote_23 = sum(b.quote for b in whole)
        c.volume_23 = sum(b.volume for b in whole)
        c.trades_23 = sum(b.trades for b in whole)
        c.high_23 = max((b.high for b in whole), default=0.0)
        c.low_23 = min((b.low for b in whole), default=math.inf)

    def _close_minute(self, c: LiveContract, minute: int) -> None:
        jumped = minute > c.minute + 1 and c.status == "TRADING"
        if jumped:
            _trade_up_to(c, c.plan.volumes[c.minute + 1])
        c.minutes[c.minute] = self.minute_bar(c)
        if jumped:
            # Minutes that a jump of the clock left out (a machine that slept).
            bars = self._shifted(c, self.history.minute_bars(c.spec, c.hour)[c.minute + 1 : minute])
            for m, bar in enumerate(bars, c.minute + 1):
                c.minutes[m] = bar
                c.high, c.low, c.close = max(c.high, bar.high), min(c.low, bar.low), bar.close
            _trade_up_to(c, c.plan.volumes[minute])
        c.minute = minute
        c.minute_open = (c.close, c.close, c.close, c.volume, c.quote)

    def _final_bar(self, c: LiveContract) -> Bar:
        """The closed bar of the contract's hour, with what the plan still held in store for its last moment."""
        if c.status == "TRADING":
            total = c.plan.volumes[60] - c.skipped_quote
            if c.surge is not None:
                total += c.surge[2]
            price = c.pinned
            if price is None:
                # The last trade of the hour is at the planned price; what a jump of the clock left out is made up for.
                ahead = [math.exp(x + c.shift) for x in c.plan.logs[max(0, c.minute) + 1 :]]
                d, tick = c.spec.price_decimals, c.spec.tick_size
                if c.minute < 59:
                    c.high = max(c.high, round(max(ahead), d))
                    c.low = min(c.low, round(min(ahead), d) or tick)
                price = round(ahead[-1], d) or tick
            c.close = price
            c.high, c.low = max(c.high, price), min(c.low, price)
            if total > c.quote:
                c.volume += (total - c.quote) / c.close
                c.quote = total
        return c.hour_bar()

    def _prepare(self, contracts: Iterable[LiveContract], hour: int, slot: int) -> None:
        """Plan the next hour of a few contracts at a time, so that its beginning costs nothing."""
        for c in contracts:
            if c.next_plan is None and (slot + c.index) % 128 == 0:
                c.next_plan = self.history.plan(c.spec, hour + 1)

    def _shifted(self, c: LiveContract, bars: list[Bar]) -> list[Bar]:
        if c.shift == 0.0:
            return bars
        s = c.shift
        return [
            make_bar(c.spec, *(math.log(x) + s for x in bar[:4]), bar.quote, i)  # type: ignore[misc]
            for i, bar in enumerate(bars)
        ]


def market_key(seed: int) -> int:
    """Root of the random numbers of events that concern the whole exchange."""
    return subkey(seed, "events")


def _trade_up_to(c: LiveContract, planned: float) -> None:
    added = planned - c.skipped_quote - c.quote
    if added > 0.0:
        c.volume += added / c.close
        c.quote += added


def _surge_volume(surge: tuple[int, int, float], now_ms: int) -> float:
    start_ms, over_ms, size = surge
    return size * min(1.0, max(0.0, (now_ms - start_ms) / over_ms))


def _squeeze(bars: list[Bar], whole: Bar) -> list[Bar]:
    """Fit computed minute bars into the hour that was really lived."""
    factor = whole.open / bars[0].open
    share = whole.quote / (sum(b.quote for b in bars) or 1.0)
    result: list[Bar] = []
    for i, b in enumerate(bars):
        prices = [min(whole.high, max(whole.low, x * factor)) for x in b[:4]]
        close = whole.close if i == len(bars) - 1 else prices[3]
        result.append(
            Bar(
                prices[0],
                max(prices[1], close),
                min(prices[2], close),
                close,
                b.volume * share,
                b.quote * share,
                b.trades,
                b.buy_volume * share,
                b.buy_quote * share,
            )
        )
    return result
