"""The request limits of the REST API: 2400 weight a minute, then 429, then a ban for those who go on.

Requests about past and planned funding weigh nothing and have a limit of their own: 500 in five minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WEIGHT_PER_MINUTE: Final = 2400
FUNDING_REQUESTS: Final = 500
FUNDING_MINUTES: Final = 5
BAN_AFTER: Final = 20
"""Requests after the first 429 in a minute that turn it into a ban."""
BAN_S: Final = 120


def request_weight(path: str, query: Mapping[str, str]) -> int:
    """What a request costs."""
    single = "symbol" in query
    if path.endswith("/ticker/24hr"):
        return 1 if single else 40
    if path.endswith("/ticker/price"):
        return 1 if single else 2
    if path.endswith("/premiumIndex"):
        return 1 if single else 10
    if path.endswith("/klines"):
        limit = query.get("limit", "500")
        rows = int(limit) if limit.isdigit() else 500
        return 1 if rows < 100 else 2 if rows < 500 else 5 if rows <= 1000 else 10
    if path.endswith("/tradingSchedule"):
        return 5
    if path.endswith(("/fundingInfo", "/fundingRate", "/openInterestHist")):
        return 0
    return 1


def counts_as_funding(path: str) -> bool:
    """Whether a request falls under the limit of requests about funding."""
    return path.endswith(("/fundingInfo", "/fundingRate"))


class WeightLimiter:
    """Counts weight by minute of the exchange's clock."""

    def __init__(self, limit: int = WEIGHT_PER_MINUTE) -> None:
        self.limit = limit
        self.used = 0
        self.funding = 0
        """Requests about funding in the five minutes that run."""
        self._minute: int = -1
        self._five_minutes: int = -1
        self._refused = 0
        self._banned_until_ms = 0

    def charge(self, weight: int, now_ms: int, *, funding: bool = False) -> tuple[int, int]:
        """Add a request; returns the status (200, 429, 418) and Retry-After in seconds (0 for 200).

        `funding`: it counts as one about funding.
        """
        minute = now_ms // 60_000
        if minute != self._minute:
            self._minute = minute
            self.used = self._refused = 0
        if now_ms < self._banned_until_ms:
            return 418, -(-(self._banned_until_ms - now_ms) // 1000)
        self.used += weight
        if self.used <= self.limit:
            return self._charge_funding(now_ms) if funding else (200, 0)
        self._refused += 1
        if self._refused > BAN_AFTER:
            self._banned_until_ms = now_ms + BAN_S * 1000
            return 418, BAN_S
        return 429, max(1, 60 - now_ms % 60_000 // 1000)

    def _charge_funding(self, now_ms: int) -> tuple[int, int]:
        length_ms = FUNDING_MINUTES * 60_000
        if now_ms // length_ms != self._five_minutes:
            self._five_minutes = now_ms // length_ms
            self.funding = 0
        self.funding += 1
        if self.funding <= FUNDING_REQUESTS:
            return 200, 0
        return 429, max(1, (length_ms - now_ms % length_ms) // 1000)
