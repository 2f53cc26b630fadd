"""When a message was too old on arrival to tell of the present: it may be remembered, but fires nothing.

How old it was is told by the exchange's clock alone: ours, which says when it arrived, may differ from it by anything.
"""

from __future__ import annotations

from flashcur.domain.ages import allowance
from flashcur.domain.book import CLOSE_GRACE_MS, Row
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, OpenInterest, TickKind, told_ms

_CANDLE = allowance("candle")
_FUNDING_MS = allowance("funding").ms
_OPEN_INTEREST = allowance("open_interest")


def is_stale_candle(candle: Candle, streamed: bool) -> bool:
    """Whether the candle was older than its allowance when it arrived; `streamed`: whether its contract's are.

    The close of an hour is true whenever it comes; it counts until the hour after it is over.
    """
    if candle.closed:
        return candle.seen_ms + candle.skew_ms >= candle.open_ms + 2 * HOUR_MS + CLOSE_GRACE_MS
    return candle.seen_ms - told_ms(candle) > _CANDLE.limit_ms(streamed)


def is_stale_funding(funding: Funding) -> bool:
    """Whether the rate was older than its allowance when it arrived."""
    return funding.seen_ms - told_ms(funding) > _FUNDING_MS


def is_stale_open_interest(value: OpenInterest, liquid: bool) -> bool:
    """Whether the open interest was older than its allowance when it arrived."""
    return value.seen_ms - told_ms(value) > _OPEN_INTEREST.limit_ms(liquid)


def came_stale_ms(row: Row, kind: TickKind) -> int | None:
    """When a contract's newest value was told, by our clock, if it fires nothing since it came too late; else None.

    Of a price None: whether prices come in time is told by the newest of all (`MarketBook.priced_ms`).
    """
    match kind:
        case "candle":
            tick = row.candle
            stale = tick is not None and is_stale_candle(tick, row.candle_streamed)
        case "funding":
            tick = row.funding
            stale = tick is not None and is_stale_funding(tick)
        case "open_interest":
            tick = row.open_interest
            stale = tick is not None and is_stale_open_interest(tick, row.liquid)
        case "ticker":
            return None
    return told_ms(tick) if stale and tick is not None else None
