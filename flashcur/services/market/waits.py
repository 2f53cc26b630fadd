"""How long an exchange asks to be left alone, in whichever way it says so, and the pause that follows.

What is known of it: `Retry-After` in seconds or as an HTTP date (RFC 9110); Binance's 418 and 429, whose text may say
`banned until <Unix ms>` and nothing else; Binance's `X-MBX-USED-WEIGHT-1M`, the weight used in the minute that runs;
Bybit's `X-Bapi-Limit-Reset-Timestamp` (Unix ms) once a limit is passed, its `retCode` 10006 and 10018 in an answer of
status 200, and its 403 "access too frequent", which asks for ten minutes without any request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from flashcur.errors import VenueError

LONGEST_S = 3 * 86_400.0
"""The longest ban that an exchange documents (Binance: up to three days); what is longer is a mistake."""
UNASKED_S = 10.0
"""Without requests after a refusal that does not say how long: ours to keep short, everything heals within 30 s."""
TOO_FREQUENT_S = 600.0
"""Bybit: "terminate all HTTP sessions and wait for at least 10 minutes"."""
WEIGHT_SHARE = 0.95
"""Of the allowed weight: what was used by then leaves nothing to spend in this minute."""
PATIENT_SHARE = 0.8
"""Of the allowed weight: what is left by then is for requests that cannot wait."""

BYBIT_LIMITED = frozenset({10006, 10018, 10429})
"""`retCode` of Bybit's answers that refuse for the number of requests, of an account, an address, the system."""

_UNTIL = re.compile(r"\b(?:banned |blocked )?until (1[0-9]{12})\b", re.IGNORECASE)
_TOO_FREQUENT = re.compile(r"access too frequent", re.IGNORECASE)


def retry_after_s(headers: Mapping[str, str] | None, now_s: float | None = None) -> float | None:
    """Seconds from a Retry-After header (a number or an HTTP date), at most LONGEST_S; None without a usable one."""
    value = _header(headers, "retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - _now(now_s)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_S) if seconds == seconds else None


def stated_wait_s(headers: Mapping[str, str] | None, body: str, now_s: float | None = None) -> float | None:
    """Seconds that a refusal asks to wait, the longest of all that it says; None where it says nothing."""
    now = _now(now_s)
    waits = [retry_after_s(headers, now_s)]
    waits += [int(until) / 1000 - now for until in _UNTIL.findall(body[:2_000])]
    reset_ms = _header(headers, "x-bapi-limit-reset-timestamp")
    if reset_ms is not None and reset_ms.isascii() and reset_ms.isdigit() and len(reset_ms) <= 14:
        waits.append(int(reset_ms) / 1000 - now)
    if _TOO_FREQUENT.search(body[:2_000]):
        waits.append(TOO_FREQUENT_S)
    said = [wait for wait in waits if wait is not None and wait >= 0]
    return min(max(said), LONGEST_S) if said else None


def too_frequent(body: str) -> bool:
    """Whether a 403 is for the number of requests, and not for where they come from."""
    return _TOO_FREQUENT.search(body[:2_000]) is not None


def spent_minute_s(
    headers: Mapping[str, str] | None, allowed: int, now_s: float | None = None, *, share: float = WEIGHT_SHARE
) -> float | None:
    """Seconds until the next minute where `share` of the weight of this one is used; None while there is some left.

    `allowed`: weight a minute; 0 where the exchange counts none.
    """
    used = _header(headers, "x-mbx-used-weight-1m")
    if not allowed or used is None or not used.isascii() or not used.isdigit() or int(used) < allowed * share:
        return None
    return 60.0 - _now(now_s) % 60.0


def _header(headers: Mapping[str, str] | None, name: str) -> str | None:
    return next((value for key, value in (headers or {}).items() if key.lower() == name), None)


def _now(now_s: float | None) -> float:
    return time.time() if now_s is None else now_s


@dataclass(slots=True)
class Pause:
    """Until when the requests to one address of an exchange rest. Every transport to that address shares it."""

    until: float = 0.0
    """Monotonic seconds."""
    asked: bool = False
    """The exchange itself said how long."""
    handshakes: bool = False
    """Sockets are not opened either: the whole address is shut out."""
    cause: VenueError | None = None
    """The refusal that began it; None for a minute whose weight was spent."""

    def begin(self, wait_s: float, *, asked: bool, handshakes: bool, cause: VenueError | None = None) -> None:
        """Rest for `wait_s` seconds from now; a longer rest that was begun before goes on."""
        until = time.monotonic() + (wait_s if asked else min(wait_s, UNASKED_S))
        if until > self.until:
            self.until, self.asked, self.cause = until, asked, cause
        self.handshakes = (self.handshakes and self.left_s > 0) or handshakes

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 where there are none."""
        return max(0.0, self.until - time.monotonic())


_pauses: dict[tuple[str, str], Pause] = {}


def pause_of(venue_id: str, rest_url: str | None) -> Pause:
    """The pause of an exchange's address in this process: a ban outlives the feed that met it."""
    return _pauses.setdefault((venue_id, rest_url or ""), Pause())
