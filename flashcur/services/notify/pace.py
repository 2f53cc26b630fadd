"""How fast messages may leave, for a channel, a recipient, an account: a bucket that fills at a rate."""

from __future__ import annotations


class Pace:
    """Up to `burst` at once, then `rate` a second. Times are seconds of one clock that nobody sets."""

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float | None = None) -> None:
        """`burst`: what the rate allows in a second unless said, and one at least."""
        self._rate = rate
        self._burst = max(1.0, rate if burst is None else burst)
        self._left = self._burst
        self._then = 0.0

    def room(self, now: float) -> int:
        """How many may leave now."""
        self._fill(now)
        # Sums of fractions: what is a whole one but for the last digit is one.
        return int(self._left + 1e-9)

    def take(self, now: float) -> None:
        """One leaves, whether it may or not: then the next ones wait for longer."""
        self._fill(now)
        self._left -= 1.0

    def wait_s(self, now: float) -> float:
        """Seconds until one may leave; 0 while it may."""
        self._fill(now)
        return max(0.0, (1.0 - self._left) / self._rate)

    def is_whole(self, now: float) -> bool:
        """Whether nothing is left to be waited for."""
        self._fill(now)
        return self._left >= self._burst

    def _fill(self, now: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now - self._then) * self._rate)
        self._then = max(self._then, now)


class Paces:
    """One pace for each of any number of names; whose is whole again takes no room."""

    def __init__(self) -> None:
        self._paces: dict[tuple[str, str], Pace] = {}

    def __len__(self) -> int:
        return len(self._paces)

    def take(self, who: tuple[str, str], rate: float, now: float, burst: float | None = None) -> None:
        """One of `who`'s leaves."""
        pace = self._paces.setdefault(who, Pace(rate, burst))
        pace.take(now)

    def resting(self, now: float) -> dict[tuple[str, str], float]:
        """Those that must wait, and for how many seconds."""
        for who in [who for who, pace in self._paces.items() if pace.is_whole(now)]:
            del self._paces[who]
        waits = {who: pace.wait_s(now) for who, pace in self._paces.items()}
        return {who: wait_s for who, wait_s in waits.items() if wait_s > 0}
