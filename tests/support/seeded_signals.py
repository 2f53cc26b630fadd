"""A database full of signals of all kinds, with hours around them, outcomes, statistics and the ledger of silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

from sqlmodel import Session, col, update

from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.signals.signal import QUADRANTS, Direction, Origin, Signal
from flashcur.domain.signals.silence import DAY_MS, Day
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import FundingPayment, SignalOutcome, SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.alerts.silence import save_days
from flashcur.services.alerts.statistics import GroupStatistics, save_statistics
from flashcur.services.records.hour_candles import save_hours

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "1000PEPE", "LINK", "AVAX")
UNLISTED = ("SEEDLING",)
"""A coin that no simulated exchange lists: the running engine finds no signals of it."""
SPACING_MS = 7 * 60_000
"""Between two signals; the newest is as old as that."""


@dataclass(frozen=True)
class Filled:
    """`fill_signals` at noon, for tests that only read."""

    session: Session
    """Whatever is written in it is rolled back."""
    stored: list[SignalRecord]
    """The oldest first."""


def fill_signals(
    session: Session, now_ms: int, *, count: int = 300, coins: Sequence[str] = COINS, demo: bool = False
) -> list[SignalRecord]:
    """Store `count` signals before `now_ms` (Unix ms) with all that goes with them; returns them, the oldest first."""
    chance, exchange = Random(1), "binanceusdm"
    origin = Origin(exchange, demo)
    for coin in coins:
        save_hours(session, exchange, _hours(chance, f"{coin}USDT", now_ms), demo=demo)
    made = [
        _signal(chance, origin, coins[number % len(coins)], number, now_ms - (count - number) * SPACING_MS)
        for number in range(count)
    ]
    stored: list[SignalRecord] = []
    for signal in made:
        stored += signals.store(session, [signal], signal.seen_ms + chance.randrange(20, 180))
    session.flush()
    for record in stored:
        _follow(session, chance, record, now_ms)
    _pay(session, chance, exchange, coins, now_ms, demo=demo)
    save_statistics(session, exchange, demo=demo, computed_ms=now_ms - 600_000, groups=_groups(chance))
    today = now_ms // DAY_MS * DAY_MS
    days = [
        Day(f"{coin}USDT", day_ms, seen=(min(now_ms, day_ms + DAY_MS) - day_ms) - 90_000, stale=90_000)
        for coin in coins
        for day_ms in (today - DAY_MS, today)
    ]
    save_days(session, exchange, days, demo=demo, until_ms=now_ms)
    return stored


def _hours(chance: Random, symbol: str, now_ms: int) -> list[Candle]:
    hours: list[Candle] = []
    price = chance.uniform(0.5, 900)
    first_ms = (now_ms // HOUR_MS - 21 * 24) * HOUR_MS
    for open_ms in range(first_ms, now_ms // HOUR_MS * HOUR_MS, HOUR_MS):
        close = price * math.exp(chance.gauss(0, 0.008))
        volume = 2e7 * math.exp(chance.gauss(0, 0.5))
        high, low = max(price, close) * 1.002, min(price, close) * 0.998
        end_ms = open_ms + HOUR_MS
        hours.append(Candle(symbol, open_ms, price, high, low, close, volume, True, end_ms, end_ms))
        price = close
    return hours


def _signal(chance: Random, origin: Origin, base: str, number: int, event_ms: int) -> Signal:
    symbol = f"{base}USDT"
    hour_ms = event_ms // HOUR_MS * HOUR_MS
    direction = cast("Direction", chance.choice(("bullish", "bearish")))
    severity = chance.choice((1, 1, 1, 2, 2, 3))
    price = chance.uniform(0.5, 900)
    volume = chance.uniform(6e7, 3e8)
    common = {
        "key": f"{origin.exchange}:{symbol}:{number}:{origin.demo}",
        "origin": origin,
        "symbol": symbol,
        "base": base,
        "event_ms": event_ms,
        "seen_ms": event_ms + chance.randrange(8, 90),
        "price": price,
        "period_ms": hour_ms,
        "span_ms": HOUR_MS,
        "direction": direction,
        "severity": severity,
    }
    match number % 5:
        case 0:
            evidence = Evidence(
                "volume_spike/1",
                (
                    Measure("volume", volume, "usd"),
                    Measure("volume_before", volume / 3.5, "usd", "baseline"),
                    Measure("ratio", 3.5, "multiple", "deviation"),
                    Measure("hour_passed", 41.0, "percent"),
                    Measure("open", price * 0.99, "price"),
                    Measure("price", price, "price"),
                    Measure("recent_hours", 1.0, "count", "sample"),
                    Measure("least_multiple", 3.0, "multiple", "threshold"),
                    Measure("least_volume", 3e6, "usd", "threshold"),
                ),
                "volume",
                volume / 3.5 * 3,
            )
            text = f"{base} hourly volume ${volume / 1e6:.2f}M (3.50× prev) — VOLUME SPIKE"
            rest = {"detector": "volume_spike", "kind": "SPIKE", "severity": 1}
        case 1:
            evidence = Evidence(
                "adaptive_spike/1",
                (
                    Measure("volume", volume, "usd"),
                    Measure("expected", volume / 5, "usd", "baseline"),
                    Measure("recent_median", volume / 6, "usd", "baseline"),
                    Measure("spread", volume / 20, "usd", "baseline"),
                    Measure("score", 7.2, "score", "deviation"),
                    Measure("recent_hours", 20.0, "count", "sample"),
                    Measure("season_hours", 4.0, "count", "sample"),
                    Measure("least_score", 6.0, "score", "threshold"),
                ),
                "volume",
                volume * 0.8,
            )
            text = f"{base} volume ${volume / 1e6:.2f}M, 7.2 spreads above the usual — UNUSUAL VOLUME"
            rest = {"detector": "adaptive_spike", "kind": "ADAPTIVE"}
        case 2:
            quadrant = QUADRANTS[number // 5 % len(QUADRANTS)]
            evidence = Evidence(
                "open_interest_surge/1",
                (
                    Measure("oi_contracts", 1.2e6, "contracts"),
                    Measure("oi_contracts_before", 1.1e6, "contracts", "baseline"),
                    Measure("oi_change", 9.1, "percent", "deviation"),
                    Measure("oi_change_usd", 4.2e6, "usd", "deviation"),
                    Measure("window", 15.0, "minutes", "sample"),
                    Measure("least_change", 7.0, "percent", "threshold"),
                ),
                "open_interest",
                1.18e6,
            )
            text = f"{base} open interest +9.10 % in 15 min — {quadrant.replace('_', ' ').upper()}"
            rest = {"detector": "open_interest", "kind": "OI_SURGE", "quadrant": quadrant}
        case 3:
            rate = 0.00065 if direction == "bearish" else -0.00065
            evidence = Evidence(
                "funding_extreme/1",
                (
                    Measure("rate", rate, "rate"),
                    Measure("interval", 8.0, "hours"),
                    Measure("percentile", 97.0, "percent", "deviation"),
                    Measure("payments", 84.0, "count", "sample"),
                    Measure("least_rate", 0.0006, "rate", "threshold"),
                ),
                "funding",
                0.0006 if rate > 0 else -0.0006,
            )
            text = f"{base} funding {rate * 100:+.4f} % per 8 h — EXTREME FUNDING"
            rest = {"detector": "funding", "kind": "FUNDING_EXTREME"}
        case _:
            evidence = Evidence(
                "listings/1",
                (
                    Measure("term", "funding interval", "text"),
                    Measure("was", "8 h", "text", "baseline"),
                    Measure("now", "4 h", "text"),
                ),
            )
            text = f"{base} is paid funding every 4 h instead of 8 h — CHANGED TERMS"
            rest = {"detector": "listing", "kind": "TERMS_CHANGED", "direction": "none", "severity": 1, "span_ms": 0}
    return Signal(**{**common, **rest, "text": text, "evidence": evidence})  # pyright: ignore[reportArgumentType]


def _follow(session: Session, chance: Random, record: SignalRecord, now_ms: int) -> None:
    known = {
        f"change_{hours}h": round(chance.gauss(0, 0.4 * hours**0.5), 3)
        for hours in HORIZONS_H
        if record.event_ms + (hours + 1) * HOUR_MS < now_ms
    }
    if len(known) == len(HORIZONS_H):
        moves = known.values()
        known |= {"highest": max(0.0, *moves) + 0.2, "lowest": min(0.0, *moves) - 0.2, "due_ms": None}  # type: ignore[dict-item]
    if known:
        session.exec(update(SignalOutcome).where(col(SignalOutcome.signal_id) == record.id).values(**known))


def _pay(session: Session, chance: Random, exchange: str, coins: Sequence[str], now_ms: int, *, demo: bool) -> None:
    eight_h = 8 * HOUR_MS
    for coin in coins:
        for paid_ms in range((now_ms // eight_h - 60) * eight_h, now_ms, eight_h):
            rate = chance.gauss(0.0001, 0.0002)
            session.merge(
                FundingPayment(exchange=exchange, demo=demo, symbol=f"{coin}USDT", paid_ms=paid_ms, rate=rate)
            )


def _groups(chance: Random) -> Sequence[GroupStatistics]:
    groups: list[GroupStatistics] = []
    kinds: list[tuple[str, int | None, str]] = [
        (detector, severity, "")
        for detector in ("volume_spike", "adaptive_spike", "open_interest", "funding")
        for severity in (None, 1, 2, 3)
        if detector != "volume_spike" or severity in (None, 1)
    ]
    kinds += [("open_interest", None, quadrant) for quadrant in QUADRANTS]
    for detector, severity, quadrant in kinds:
        for horizon_h in HORIZONS_H:
            size = 0.004 * horizon_h**0.5
            lift = chance.uniform(0.8, 1.3)
            known = not quadrant
            groups.append(
                GroupStatistics(
                    detector,
                    severity,
                    quadrant,
                    horizon_h,
                    chance.randrange(12, 900),
                    chance.gauss(0, size / 4),
                    -size,
                    size,
                    0.49 * lift,
                    0.49,
                    lift,
                    lift - 0.14 if known else None,
                    lift + 0.15 if known else None,
                )
            )
    return groups
