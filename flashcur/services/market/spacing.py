"""Requests that an exchange counts apart from all others: one after another, with a pause in between."""

from __future__ import annotations

import asyncio
import time


class Spacing:
    """Gives turns that lie a fixed time apart."""

    def __init__(self, apart_s: float) -> None:
        """`apart_s`: seconds between two turns; 0 for none."""
        self._apart_s = apart_s
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the caller's turn, in the order of asking."""
        now = time.monotonic()
        at = max(self._next, now)
        self._next = at + self._apart_s
        if at > now:
            await asyncio.sleep(at - now)
