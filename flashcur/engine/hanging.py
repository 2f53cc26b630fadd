"""Which places let us wait: what is on its way to them takes little of the room that a channel has for others."""

from __future__ import annotations

from collections.abc import Collection

SLOW_S = 0.25
"""Who has not answered for so long holds no room of the channel's any more …"""
SPARE = 256
"""… as long as no more than so many are waited for beside it: there is an end of sockets."""
HANGS_S = 5.0
"""Who lets us wait for so long hangs, whatever comes of it, until it is quicker again …"""
SHARE = 4
"""… and of those that hang no more are asked at a time than this part of the channel's room."""
FORGOTTEN_S = 2 * 3_600.0
"""A place that hung so long ago is like any other: a message is put off for an hour at most."""


class Hanging:
    """The places of one channel, each of which is asked once at a time. Times are seconds of one clock that nobody
    sets."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._hung: dict[str, float] = {}

    @property
    def places(self) -> Collection[str]:
        """Recipients that let us wait for long when they were asked last."""
        return self._hung.keys()

    def ask(self, recipient: str, now_s: float) -> None:
        """It is being asked from now on."""
        self._asked[recipient] = now_s

    def ended(self, recipient: str, now_s: float) -> None:
        """It answered, or nobody waits for it any more."""
        took_s = now_s - self._asked.pop(recipient, now_s)
        self._hung.pop(recipient, None)
        if took_s >= HANGS_S:
            self._hung[recipient] = now_s
        # The longest ago stand first.
        while (first := next(iter(self._hung), None)) is not None and self._hung[first] < now_s - FORGOTTEN_S:
            del self._hung[first]

    def slow(self, now_s: float) -> int:
        """How many of those that are on their way hold no room of the channel's."""
        return min(SPARE, sum(now_s - begun_s >= SLOW_S for begun_s in self._asked.values()))

    def until_slow_s(self, now_s: float) -> float:
        """Seconds until one more holds none; 0 where none is about to."""
        waits = [begun_s + SLOW_S - now_s for begun_s in self._asked.values()]
        return min((wait_s for wait_s in waits if wait_s > 0), default=0.0)

    def room(self, at_once: int) -> int:
        """How many of `places` may be asked now by a channel that has room for `at_once`."""
        return max(0, max(1, at_once // SHARE) - len(self._asked.keys() & self._hung.keys()))
