"""When a message was too old on arrival to tell of the present: it may be remembered, but fires nothing."""

from __future__ import annotations

from flashcur.domain.ages import allowance
from flashcur.domain.book import CLOSE_GRACE_MS
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, OpenInterest

_CANDLE_MS = allowance("candle").ms
_FUNDING_MS = allowance("funding").ms
_OPEN_INTEREST = allowance("open_interest")


def is_stale_candle(candle: Candle) -> bool:
    """Whether the candle was older than its allowance when it arrived.

    The close of an hour is true whenever it comes; it counts until the hour after it is over.
    """
    if candle.closed:
        return candle.seen_ms >= candle.open_ms + 2 * HOUR_MS + CLOSE_GRACE_MS
    return candle.seen_ms - candle.event_ms > _CANDLE_MS


def is_stale_funding(funding: Funding) -> bool:
    """Whether the rate was older than its allowance when it arrived."""
    return funding.seen_ms - funding.event_ms > _FUNDING_MS


def is_stale_open_interest(value: OpenInterest, liquid: bool) -> bool:
    """Whether the open interest was older than its allowance when it arrived."""
    return value.seen_ms - value.event_ms > _OPEN_INTEREST.limit_ms(liquid)
