"""The bus between the engine and the web workers."""

from flashcur.services.bus.memory import MemoryBus
from flashcur.services.bus.port import Bus, BusCounters, BusMessage, Subscription
from flashcur.services.bus.redis_bus import RedisBus
from flashcur.settings import Settings

__all__ = [
    "Bus",
    "BusCounters",
    "BusMessage",
    "MemoryBus",
    "RedisBus",
    "Subscription",
    "make_bus",
]


def make_bus(settings: Settings) -> Bus:
    """The Redis bus where Redis is configured, else the one in memory. Nothing is opened yet; close it with `close`."""
    return RedisBus(settings.redis_url) if settings.redis_url else MemoryBus()
