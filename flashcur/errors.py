"""The one error tree of FlashCur.

::

    FlashCurError
    ├── ConfigError            a setting is missing, malformed or contradictory
    ├── DatabaseError          the database is missing, unreachable or of another version
    ├── BusError               the bus (Redis) cannot be reached
    └── VenueError             an exchange did not do what was asked
        ├── VenueBlocked       it refuses this address (451, 403)
        ├── VenueRateLimited   it asks us to slow down (429, 418)
        ├── VenueUnavailable   it is down, unreachable or answers nonsense (5xx, network)
        └── VenueSilent        it is connected and sends nothing

A class docstring is the default message and tells the reader what to do. `retry_after` (seconds) says
when a retry makes sense; None means that repeating the same call will not help.
"""

from __future__ import annotations


class FlashCurError(Exception):
    """Something went wrong."""

    retry_after: float | None = None

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message or (self.__class__.__doc__ or "").split("\n")[0])
        if retry_after is not None:
            self.retry_after = retry_after


class ConfigError(FlashCurError):
    """A setting is wrong: correct the environment variable named here and start again."""


class DatabaseError(FlashCurError):
    """The database cannot be used: check DATABASE_URL and run the migrations."""


class BusError(FlashCurError):
    """The bus cannot be reached: check REDIS_URL."""

    retry_after = 1.0


class VenueError(FlashCurError):
    """The exchange did not answer as expected."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, asked: bool = False) -> None:
        """`asked`: the exchange itself sent `retry_after`; else the wait is only our own estimate."""
        super().__init__(message, retry_after=retry_after)
        self.asked = asked


class VenueBlocked(VenueError):
    """The exchange refuses this address: another exchange serves, or set its URL override to a proxy."""

    retry_after = 300.0


class VenueRateLimited(VenueError):
    """The exchange asks for fewer requests."""

    retry_after = 60.0


class VenueUnavailable(VenueError):
    """The exchange is down or cannot be reached."""

    retry_after = 5.0


class VenueSilent(VenueError):
    """A stream of the exchange is connected and sends nothing."""

    retry_after = 5.0
