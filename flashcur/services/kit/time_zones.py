"""The names of time zones, read from the disk once: looking for them takes 20 ms and more."""

from __future__ import annotations

import asyncio
from datetime import UTC, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_NO_PLACES = frozenset({"localtime", "Factory"})
"""Files beside the zones: what this machine is set to, and what one is before anybody has set it."""


@cache
def time_zones() -> frozenset[str]:
    """All IANA names that this machine knows. Blocks the first time; see `is_time_zone`."""
    return frozenset(available_timezones()) - _NO_PLACES


async def is_time_zone(name: str) -> bool:
    """Whether there is a time zone of this name; the event loop never waits for the disk."""
    return name in await asyncio.to_thread(time_zones)


def zone_of(name: str) -> tzinfo:
    """The zone of this name; UTC where there is none, or no longer: a message is never lost for that."""
    return ZoneInfo(name) if name in time_zones() else UTC
