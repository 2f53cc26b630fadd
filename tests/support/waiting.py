"""Waiting for a condition instead of sleeping for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], what: str, within_s: float = 5.0) -> None:
    """Return as soon as `condition()` is true; fail, naming `what` was expected, after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what} within {within_s} s")
        await asyncio.sleep(0.005)
