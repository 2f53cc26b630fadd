from __future__ import annotations

import subprocess
import sys

import pytest

from flashcur.errors import ConfigError, VenueBlocked, VenueError, VenueRateLimited, VenueUnavailable
from flashcur.services.market.feeds import FEEDS
from flashcur.services.market.http_errors import venue_error
from flashcur.services.market.venues import KNOWN_VENUES, venue_by_id
from flashcur.settings import EXCHANGES


def test_settings_and_feeds_know_the_same_exchanges() -> None:
    assert set(EXCHANGES) == set(KNOWN_VENUES) == set(FEEDS)


def test_an_unknown_exchange_is_refused_naming_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match="expected binanceusdm, bybit, was 'kraken'"):
        venue_by_id("kraken")


def test_ccxt_is_not_imported_until_a_feed_starts() -> None:
    code = "import sys, flashcur.services.market.source; print([m for m in sys.modules if m.startswith('ccxt')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (451, VenueBlocked),
        (403, VenueBlocked),
        (429, VenueRateLimited),
        (418, VenueRateLimited),
        (503, VenueUnavailable),
        (404, VenueError),
    ],
)
def test_errors_by_status(status: int, kind: type[Exception]) -> None:
    assert type(venue_error("Binance", status, {}, "no")) is kind
    assert venue_error("Binance", 200, {}, "") is None


def test_retry_after_reaches_the_error() -> None:
    error = venue_error("Binance", 429, {"Retry-After": "9"}, "slow down")
    assert error is not None
    assert (error.retry_after, error.asked) == (9.0, True)


@pytest.mark.parametrize("status", [429, 451, 503])
def test_a_wait_the_exchange_did_not_ask_for_is_told_apart(status: int) -> None:
    error = venue_error("Binance", status, {}, "no")
    assert error is not None
    assert error.retry_after
    assert not error.asked
