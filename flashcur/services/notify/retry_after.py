"""How long a provider asks us to wait, in whichever way it says so."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MAX_WAIT_S = 3600.0
"""No answer puts a message off for longer: a wrong clock on either side must not lose it."""


def retry_after_s(headers: Mapping[str, str], now_ms: int, default_s: float) -> float:
    """Seconds that an answer's headers ask for, at most `MAX_WAIT_S`; `default_s` where they say nothing sensible.

    `Retry-After` holds seconds or a date, `X-RateLimit-Reset` a Unix time in seconds. `now_ms` is Unix ms.
    """
    named = {name.lower(): value for name, value in headers.items()}
    now_s = now_ms / 1000
    for name, since_s in (("retry-after", 0.0), ("x-ratelimit-reset", now_s)):
        try:
            wait_s: float | None = float(named.get(name) or "") - since_s
        except ValueError:
            wait_s = _seconds_until(named.get(name), now_s)
        if wait_s is not None and 0 <= wait_s < float("inf"):
            return min(wait_s, MAX_WAIT_S)
    return default_s


def _seconds_until(date: str | None, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None
