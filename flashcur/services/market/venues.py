"""What differs between the exchanges, as data. Imports no ccxt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from flashcur.errors import ConfigError


class Stream(StrEnum):
    """A kind of live data; also the metric label and `Reject.stream`."""

    TICKER = "ticker"
    FUNDING = "funding"
    CANDLE = "candle"


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange as FlashCur uses it."""

    id: str
    """The ccxt id, also the name in `FLASHCUR_EXCHANGES`."""
    name: str
    allowances_s: Mapping[Stream, float]
    """Seconds without a usable message after which a stream is restarted. One that is missing rides on another."""
    topics_per_request: int
    """Most topics in one subscribe request."""
    topics_per_connection: int
    """Most topics on one socket."""
    streams_open_interest: bool
    """True: open interest comes with the ticker stream. False: one REST call a symbol."""
    request_interval_ms: float
    """Milliseconds between REST requests of cost 1 once the burst is used up."""
    request_burst: float
    """REST cost that may be spent at once."""
    payments_a_request: int
    """Most funding payments in one answer."""
    payments_apart_ms: int = 0
    """Milliseconds between two requests for funding payments, where they have a limit of their own."""
    weight_a_minute: int = 0
    """Request weight that is allowed, as the exchange's headers count it; 0 where they do not."""


BINANCE = Venue(
    id="binanceusdm",
    name="Binance USD-M",
    allowances_s=MappingProxyType({Stream.TICKER: 5.0, Stream.FUNDING: 10.0, Stream.CANDLE: 30.0}),
    # A socket carries at most 200 streams; half of them a request keeps the frames short.
    topics_per_request=100,
    topics_per_connection=150,
    streams_open_interest=False,
    # 2,400 weight a minute are allowed: 25 a second and a burst of 600 spend at most 2,100 of them. The burst is what
    # fills ratios and open interest after a start.
    request_interval_ms=40.0,
    request_burst=600.0,
    payments_a_request=1000,
    # 500 in 5 min are allowed, together with the funding intervals that are asked for each 15 s.
    payments_apart_ms=700,
    weight_a_minute=2400,
)

BYBIT = Venue(
    id="bybit",
    name="Bybit",
    # Funding and open interest are fields of the ticker stream.
    allowances_s=MappingProxyType({Stream.TICKER: 5.0, Stream.CANDLE: 30.0}),
    # The topics of one socket may be 21,000 characters long together; a topic has some 20.
    topics_per_request=100,
    topics_per_connection=800,
    streams_open_interest=True,
    # 600 requests in 5 s are allowed; ccxt charges 5 a request.
    request_interval_ms=4.0,
    request_burst=100.0,
    payments_a_request=200,
)

VENUES: Mapping[str, Venue] = MappingProxyType({venue.id: venue for venue in (BINANCE, BYBIT)})
KNOWN_VENUES: tuple[str, ...] = tuple(VENUES)


def venue_by_id(venue_id: str) -> Venue:
    """The venue of a ccxt id. Raises ConfigError, which names the valid ones."""
    venue = VENUES.get(venue_id)
    if venue is None:
        raise ConfigError(f"FLASHCUR_EXCHANGES: expected {', '.join(KNOWN_VENUES)}, was {venue_id!r}")
    return venue


def venue_title(exchange: str, *, demo: bool) -> str:
    """What the exchange (ccxt id) that numbers come from is called; its id where it is of another version."""
    if demo:
        return "Simulated exchange"
    venue = VENUES.get(exchange)
    return exchange if venue is None else venue.name
