"""How long a provider asks us to wait, in whichever way it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

_RESET = "x-ratelimit-reset"
MAX_WAIT_S = 3600.0
"""No answer puts a message off for longer: a wrong clock on either side must not lose it."""


def retry_after_s(headers: Mapping[str, str], now_ms: int, default_s: float) -> float:
    """Seconds that an answer's `Retry-After` asks for, in seconds or by a date, at most `MAX_WAIT_S`; `default_s` where
    it says nothing sensible. `now_ms` is Unix ms."""
    return _first_s((_asked_s(headers, "retry-after", 0.0, now_ms / 1000),), default_s)


def too_many_s(headers: Mapping[str, str], now_ms: int, default_s: float) -> float:
    """The same of an answer that says this was one request too many: there `X-RateLimit-Reset` counts as well, a Unix
    time in seconds, which many servers send with every answer."""
    now_s = now_ms / 1000
    asked = (_asked_s(headers, name, since_s, now_s) for name, since_s in (("retry-after", 0.0), (_RESET, now_s)))
    return _first_s(asked, default_s)


def _first_s(asked: Iterable[float | None], default_s: float) -> float:
    return next((min(wait_s, MAX_WAIT_S) for wait_s in asked if wait_s is not None), default_s)


def _asked_s(headers: Mapping[str, str], header: str, since_s: float, now_s: float) -> float | None:
    """What one header asks for; None where that is no time that lies ahead."""
    value = next((value for name, value in headers.items() if name.lower() == header), None)
    try:
        wait_s: float | None = float(value or "") - since_s
    except ValueError:
        wait_s = _seconds_until(value, now_s)
    return wait_s if wait_s is not None and 0 <= wait_s < float("inf") else None


def _seconds_until(date: str | None, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None
