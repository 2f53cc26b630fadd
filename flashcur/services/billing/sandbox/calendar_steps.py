"""Periods of a subscription: a month or a year on, on the same day where that month has it."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Final

DAY_S: Final = 86_400
"""Seconds of a day."""


def later(at_s: int, interval: str, count: int = 1, anchor_s: int | None = None) -> int:
    """`at_s` and `count` intervals on, Unix s. The day of the month is the anchor's, so that the 31st comes back."""
    if interval in ("day", "week"):
        return at_s + count * DAY_S * (7 if interval == "week" else 1)
    here = datetime.fromtimestamp(at_s, UTC)
    anchor = datetime.fromtimestamp(anchor_s if anchor_s is not None else at_s, UTC)
    months = here.year * 12 + here.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    return int(here.replace(year=year, month=month + 1, day=day).timestamp())
