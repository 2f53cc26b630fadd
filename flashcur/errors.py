"""The one error tree of FlashCur.

::

    FlashCurError
    ├── ConfigError            a setting is missing, malformed or contradictory
    ├── DatabaseError          the database is missing, unreachable or of another version
    ├── BusError               the bus (Redis) cannot be reached
    ├── DeliveryError          a message was not taken; it is tried again
    │   ├── TryAgainLater      the provider asks us to wait (429)
    │   ├── Unanswered         nobody answered: it may have arrived
    │   └── Refused            it will never be taken
    │       └── Gone           the destination is no longer
    ├── BadFile                a file of market data cannot be read
    ├── Refusal                a person asked for what cannot be; the message is for them
    │   ├── SignInNeeded       they are not signed in, or no longer (401)
    │   │   └── SignInAgain    they are, but too long ago for this (403)
    │   ├── PlanNeeded         their plan does not have it (403)
    │   ├── NotFound           it does not exist, or is not theirs (404)
    │   ├── Conflict           it is taken, or has changed meanwhile (409)
    │   ├── Throttled          they have tried too often (429)
    │   └── Unavailable        what it needs is down: nothing was done, try again (503)
    └── VenueError             an exchange did not do what was asked
        ├── VenueBlocked       it refuses this address (451, 403)
        ├── VenueRateLimited   it asks us to slow down (429, 418)
        ├── VenueUnavailable   it is down, unreachable or answers nonsense (5xx, network)
        └── VenueSilent        it is connected and sends nothing

The first line of a class docstring is the default message and tells the reader what to do. `retry_after`
(seconds) says when a retry makes sense; None means that repeating the same call will not help.
"""

from __future__ import annotations

from typing import Literal


class FlashCurError(Exception):
    """Something went wrong."""

    retry_after: float | None = None
    """Seconds until a retry makes sense; None if repeating the same call will not help."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        """`message` and `retry_after` (seconds) default to those of the class."""
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


class DeliveryError(FlashCurError):
    """The message was not taken: it is tried again on the schedule."""


class TryAgainLater(DeliveryError):
    """The provider asks us to wait: no attempt is spent."""

    def __init__(self, message: str, *, wait_s: float, whole_channel: bool = False) -> None:
        """`wait_s`: seconds, as told. `whole_channel`: everything of the channel waits, not this recipient alone."""
        super().__init__(message, retry_after=wait_s)
        self.wait_s = wait_s
        self.whole_channel = whole_channel


class Unanswered(DeliveryError):
    """Nobody answered after the message was on its way: it may have arrived. It is tried again under the same key."""


class Refused(DeliveryError):
    """The provider will never take this message: it is given up with the provider's words."""


class Gone(Refused):
    """The destination is no longer: blocked, revoked, unsubscribed. It is switched off and its owner told elsewhere."""

    def __init__(
        self, message: str, *, suppress: Literal["", "bounce", "complaint", "unsubscribe", "stop"] = ""
    ) -> None:
        """`suppress`: why nobody may send to the address any more; empty where it is this destination's matter."""
        super().__init__(message)
        self.suppress = suppress


class BadFile(FlashCurError):
    """The file cannot be used: correct the lines that are named here."""


class Refusal(FlashCurError):
    """That cannot be done: correct what is named here."""

    status = 400
    """HTTP status of the answer that refuses."""
    way_out: tuple[str, str] = ("", "")
    """Where the person can do something about it, and what the link there says."""

    def __init__(self, message: str | None = None, *, field: str = "", retry_after: float | None = None) -> None:
        """`field`: name of the form field that is wrong; empty if it is none in particular."""
        super().__init__(message, retry_after=retry_after)
        self.field = field


class SignInNeeded(Refusal):
    """Sign in to do this."""

    status = 401
    way_out = ("/login", "Sign in")


class SignInAgain(SignInNeeded):
    """To do this, sign in again first."""

    status = 403
    way_out = ("/login?again=1&next=/account", "Sign in again")


class PlanNeeded(Refusal):
    """Your plan does not have this."""

    status = 403
    way_out = ("/pricing", "Compare plans")


class NotFound(Refusal):
    """It does not exist, or no longer."""

    status = 404


class Conflict(Refusal):
    """It was changed meanwhile: look again."""

    status = 409


class Throttled(Refusal):
    """Too many attempts: wait a moment."""

    status = 429


class Unavailable(Refusal):
    """The service cannot do this right now, and nothing was changed: try again in a moment."""

    status = 503
    retry_after = 5.0


class VenueError(FlashCurError):
    """The exchange did not answer as expected."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, asked: bool = False) -> None:
        """`asked`: the exchange itself sent `retry_after`; otherwise the wait is only our own estimate."""
        super().__init__(message, retry_after=retry_after)
        self.asked = asked


class VenueBlocked(VenueError):
    """The exchange refuses this address: another exchange serves, or set its URL override to a proxy."""

    retry_after = 300.0


class VenueRateLimited(VenueError):
    """The exchange asks for fewer requests."""

    retry_after = 60.0

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        asked: bool = False,
        shut_out: bool = False,
    ) -> None:
        """`shut_out`: it answers nothing at all meanwhile, and each request may lengthen that."""
        super().__init__(message, retry_after=retry_after, asked=asked)
        self.shut_out = shut_out


class VenueUnavailable(VenueError):
    """The exchange is down or cannot be reached."""

    retry_after = 5.0


class VenueSilent(VenueError):
    """A stream of the exchange is connected and sends nothing."""

    retry_after = 5.0
