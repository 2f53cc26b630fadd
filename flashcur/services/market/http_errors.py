"""HTTP answers of an exchange translated to our errors, by status: ccxt maps 451, 403, 404 and 5xx all to one class."""

from __future__ import annotations

from collections.abc import Mapping

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueUnavailable
from flashcur.services.market.waits import stated_wait_s, too_frequent

_SERVER_ERROR_WAIT_S = 30.0
"""A server in trouble is asked less often than a network that does not answer, which costs it nothing."""


def venue_error(venue: str, status: int, headers: Mapping[str, str] | None, detail: str) -> VenueError | None:
    """The error of an HTTP status of 400 or more, None below. `detail`: the answer's body."""
    if status < 400:
        return None
    message = f"{venue} answered {status}: {' '.join(detail.split())[:200]}".rstrip(": ")
    wait_s = stated_wait_s(headers, detail)
    asked = wait_s is not None
    if status == 403 and too_frequent(detail):
        return VenueRateLimited(message, retry_after=wait_s, asked=asked, shut_out=True)
    if status in (451, 403):
        return VenueBlocked(message, retry_after=wait_s, asked=asked)
    if status in (429, 418):
        return VenueRateLimited(message, retry_after=wait_s, asked=asked, shut_out=status == 418)
    if status >= 500:
        return VenueUnavailable(message, retry_after=wait_s or _SERVER_ERROR_WAIT_S, asked=bool(wait_s))
    return VenueError(message)
