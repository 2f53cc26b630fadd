"""Allowances in memory, by whom they count for: for what costs this process time and needs no database to decide."""

from __future__ import annotations

from collections import OrderedDict


class Budgets:
    """`burst` at once, then `rate` a second, for each of any number of names; whose is whole again takes no room."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, who: str, now: float) -> bool:
        """Whether `who` may; charges for it if so. `now`: seconds of a monotonic clock."""
        self._forget_whole(now)
        left, then = self._left.get(who, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        may = left >= 1.0
        self._left[who] = (left - 1.0 if may else left, now)
        self._left.move_to_end(who)
        return may

    def _forget_whole(self, now: float) -> None:
        """The longest unused come first: whoever has not come for as long as a whole burst takes has it again."""
        whole_s = self._burst / self._rate
        while self._left:
            who, (_, then) = next(iter(self._left.items()))
            if now - then < whole_s:
                return
            del self._left[who]
