"""The plans' market limits: one table, from which gates, pages and docs are drawn.

`guest` is a visitor without an account. A plan's table moves at its marks: every `cadence_s` seconds of UTC clock
time, or live, each second, where the cadence is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Audience = Literal["guest", "free", "pro", "elite"]
AUDIENCES: tuple[Audience, ...] = get_args(Audience)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one audience sees of the market."""

    audience: Audience
    title: str
    cadence_s: int
    """Seconds between marks of the table; 1 is live."""
    rows: int | None
    """Contracts shown, the largest by 24 h volume; None is all."""
    open_interest: bool
    """Whether open interest columns (and signals) are sent at all."""

    @property
    def live(self) -> bool:
        return self.cadence_s == 1


_QUARTER_HOUR = 15 * 60
_FIVE_MINUTES = 5 * 60

PLANS: dict[Audience, Plan] = {
    "guest": Plan("guest", "Guest", _QUARTER_HOUR, 50, open_interest=False),
    "free": Plan("free", "Free", _QUARTER_HOUR, 50, open_interest=False),
    "pro": Plan("pro", "Pro", _FIVE_MINUTES, None, open_interest=True),
    "elite": Plan("elite", "Elite", 1, None, open_interest=True),
}


def next_mark_ms(cadence_s: int, now_ms: int) -> int:
    """The first mark after `now_ms`, on the UTC clock (Unix ms)."""
    step = cadence_s * 1000
    return (now_ms // step + 1) * step


def last_mark_ms(cadence_s: int, now_ms: int) -> int:
    """The newest mark at or before `now_ms` (Unix ms)."""
    step = cadence_s * 1000
    return now_ms // step * step
