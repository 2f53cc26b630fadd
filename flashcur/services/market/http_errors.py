"""HTTP answers of an exchange translated to our errors, by status: ccxt maps 451, 403, 404 and 5xx all to one class."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueUnavailable

_MAX_RETRY_AFTER_S = 3600.0
_SERVER_ERROR_WAIT_S = 30.0
"""A server in trouble is asked less often than a network that does not answer, which costs it nothing."""


def retry_after_s(headers: Mapping[str, str] | None) -> float | None:
    """Seconds from a Retry-After header (a number or an HTTP date), at most an hour; None without a usable one."""
    for name, value in (headers or {}).items():
        if name.lower() != "retry-after":
            continue
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except ValueError:
                return None
        return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S) if seconds == seconds else None
    return None


def venue_error(venue: str, status: int, headers: Mapping[str, str] | None, detail: str) -> VenueError | None:
    """The error of an HTTP status of 400 or more, None below."""
    if status < 400:
        return None
    message = f"{venue} answered {status}: {' '.join(detail.split())[:200]}".rstrip(": ")
    wait_s = retry_after_s(headers)
    asked = wait_s is not None
    if status in (451, 403):
        return VenueBlocked(message, retry_after=wait_s, asked=asked)
    if status in (429, 418):
        return VenueRateLimited(message, retry_after=wait_s, asked=asked)
    if status >= 500:
        return VenueUnavailable(message, retry_after=wait_s or _SERVER_ERROR_WAIT_S, asked=bool(wait_s))
    return VenueError(message)
