"""Every way in which an exchange says how long it wants to be left alone."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from flashcur.errors import VenueBlocked, VenueRateLimited
from flashcur.services.market.http_errors import venue_error
from flashcur.services.market.waits import (
    LONGEST_S,
    TOO_FREQUENT_S,
    UNASKED_S,
    Pause,
    pause_of,
    retry_after_s,
    spent_minute_s,
    stated_wait_s,
)

NOW_S = 1_767_000_000.0
BANNED = "Way too many requests; IP(1.2.3.4) banned until 1767000120000. Please use the websocket."


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "1e9"}, LONGEST_S),
        ({"Retry-After": "inf"}, LONGEST_S),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers) == expected


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, BANNED, 120.0),
        ({}, '{"code":-1003,"msg":"' + BANNED + '"}', 120.0),
        ({}, "IP banned until 1766999990000.", None),
        ({}, "IP banned until 9999999999999.", None),
        ({}, "banned until tomorrow", None),
        ({"Retry-After": "30"}, BANNED, 120.0),
        ({"Retry-After": "300"}, BANNED, 300.0),
        ({"Retry-After": formatdate(NOW_S + 60, usegmt=True)}, "", 60.0),
        ({"X-Bapi-Limit-Reset-Timestamp": "1767000004000"}, "Too many visits!", 4.0),
        ({"X-Bapi-Limit-Reset-Timestamp": "1766999999000"}, "", None),
        ({"X-Bapi-Limit-Reset-Timestamp": "soon"}, "", None),
        ({}, "403, access too frequent", TOO_FREQUENT_S),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 +99999999999999"}, "", None),
        (None, "", None),
    ],
)
def test_a_stated_wait(headers: dict[str, str] | None, body: str, expected: float | None) -> None:
    assert stated_wait_s(headers, body, NOW_S) == expected


def test_a_ban_is_an_order_and_shuts_everything_out() -> None:
    until_ms = int((time.time() + 90) * 1000)
    error = venue_error("Binance", 418, {}, BANNED.replace("1767000120000", str(until_ms)))
    assert isinstance(error, VenueRateLimited)
    assert error.asked
    assert error.shut_out
    assert error.retry_after == pytest.approx(90, abs=1)


def test_a_403_for_too_many_requests_is_no_block_of_the_place() -> None:
    error = venue_error("Bybit", 403, {}, "<html>403, access too frequent</html>")
    assert isinstance(error, VenueRateLimited)
    assert (error.retry_after, error.asked, error.shut_out) == (TOO_FREQUENT_S, True, True)
    place = venue_error("Bybit", 403, {}, "The Amazon CloudFront distribution is configured to block your country")
    assert isinstance(place, VenueBlocked)
    assert not place.asked


@pytest.mark.parametrize(
    ("headers", "allowed", "expected"),
    [
        ({"X-MBX-USED-WEIGHT-1M": "2280"}, 2400, 60.0 - NOW_S % 60),
        ({"x-mbx-used-weight-1m": "2279"}, 2400, None),
        ({"X-MBX-USED-WEIGHT-1M": "99999"}, 0, None),
        ({"X-MBX-USED-WEIGHT-1M": "many"}, 2400, None),
        ({}, 2400, None),
        (None, 2400, None),
    ],
)
def test_a_minute_whose_weight_is_spent(headers: dict[str, str] | None, allowed: int, expected: float | None) -> None:
    assert spent_minute_s(headers, allowed, NOW_S) == expected


def test_a_pause_is_never_shortened() -> None:
    pause = Pause()
    pause.begin(100, asked=True, handshakes=True)
    pause.begin(5, asked=True, handshakes=False)
    assert pause.left_s == pytest.approx(100, abs=1)
    assert pause.handshakes
    unasked = Pause()
    unasked.begin(300, asked=False, handshakes=False)
    assert unasked.left_s <= UNASKED_S


def test_all_transports_of_an_address_share_one_pause() -> None:
    assert pause_of("bybit", "http://a") is pause_of("bybit", "http://a")
    assert pause_of("bybit", "http://a") is not pause_of("bybit", "http://b")
