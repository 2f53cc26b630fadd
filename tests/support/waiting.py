"""Waiting for a condition instead of sleeping for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 20.0
"""For what takes a moment, however busy the machine is; what promises seconds says how many."""


async def eventually(
    condition: Callable[[], bool], what: str | Callable[[], str], within_s: float = PATIENCE_S
) -> None:
    """Return as soon as `condition()` is true; fail, naming `what` was expected, after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what if isinstance(what, str) else what()} within {within_s} s")
        await asyncio.sleep(0.005)
