"""How many messages one place gets: three within any minute, then one that tells of all others; and a cap a day.

Nothing is dropped: what is not sent by itself is told in a summary, or stands in the app.
"""

from __future__ import annotations

from collections.abc import Collection

MOST_A_MINUTE = 3
"""Messages that leave for one place within any `WINDOW_MS`; from the fourth on they are gathered."""
WINDOW_MS = 60_000
LEAST_MS = 10_000
"""For how long they are gathered at least: in a storm, room for one more would take one out of hundreds."""


def hold_until_ms(left_ms: Collection[int], now_ms: int) -> int | None:
    """When one more message may leave for a place; None for at once. `left_ms`: when others left. Unix ms."""
    recent = sorted(at_ms for at_ms in left_ms if at_ms > now_ms - WINDOW_MS)
    if len(recent) < MOST_A_MINUTE:
        return None
    # A clock that was set back must not hold anything for longer than the window.
    free_ms = min(recent[-MOST_A_MINUTE], now_ms) + WINDOW_MS
    return max(free_ms, now_ms + LEAST_MS)
