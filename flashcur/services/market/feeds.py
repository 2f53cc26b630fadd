"""Which feed serves which venue, and how one is started without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from flashcur.domain.ticks import Reject, Tick
from flashcur.services.market.binance_feed import BinanceFeed
from flashcur.services.market.bybit_feed import BybitFeed
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.settings import VenueUrls

if TYPE_CHECKING:
    from flashcur.services.market.ccxt_client import Transport

FEEDS: dict[str, type[VenueFeed]] = {BINANCE.id: BinanceFeed, BYBIT.id: BybitFeed}


async def open_feed(
    venue: Venue, urls: VenueUrls, on_tick: Callable[[Tick], None], on_reject: Callable[[Reject], None]
) -> VenueFeed:
    """A feed that has asked for nothing yet. The first one imports ccxt, in a thread: seconds that do not block."""
    transport = await asyncio.to_thread(_transport, venue, urls)
    return FEEDS[venue.id](venue, transport, on_tick, on_reject)


def _transport(venue: Venue, urls: VenueUrls) -> Transport:
    from flashcur.services.market.ccxt_client import Transport

    return Transport(venue, urls.rest, urls.ws)
