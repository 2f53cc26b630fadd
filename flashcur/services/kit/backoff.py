"""Delays between attempts: they double, are capped, and are jittered so that many clients do not come back at once."""

from __future__ import annotations

import random


class Backoff:
    """Seconds to wait before the next attempt: `first_s`, doubled each time up to `cap_s`. `reset` after a success."""

    def __init__(self, first_s: float, cap_s: float) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self.failures = 0
        """Delays given since the last success."""

    def next_s(self) -> float:
        """The next delay in seconds: between half and all of the doubled, capped value."""
        # The exponent is bounded, because a float is and a peer may be away for weeks.
        full = min(self._cap_s, self._first_s * 2 ** min(self.failures, 20))
        self.failures += 1
        return full * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with `first_s` again."""
        self.failures = 0
