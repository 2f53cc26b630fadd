"""The names of time zones, read from the disk once: looking for them takes 20 ms and more."""

from __future__ import annotations

import asyncio
from functools import cache
from zoneinfo import available_timezones


@cache
def time_zones() -> frozenset[str]:
    """All IANA names that this machine knows. Blocks the first time; see `is_time_zone`."""
    return frozenset(available_timezones())


async def is_time_zone(name: str) -> bool:
    """Whether there is a time zone of this name; the event loop never waits for the disk."""
    return name in await asyncio.to_thread(time_zones)
