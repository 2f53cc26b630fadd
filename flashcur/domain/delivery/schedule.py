"""When a message that was not taken is tried again. Pure."""

from __future__ import annotations

PAUSES_S = (5, 30, 120, 600, 3600)
"""Seconds to wait after the first attempt that failed, the second, …; the last for all that follow."""
JITTER = 0.2
"""How much shorter or longer a pause may be, as a share of it: what failed together is not tried again together."""
SHORTEST_S = 5.0
"""No pause is shorter, in seconds."""
LONGEST_WAIT_S = 24 * 3600.0
"""No provider puts a message off for longer, in seconds, whatever it says."""
SKEW_MS = 60_000
"""What is dated further in the future than this, by our clock, was written before the clock was set back."""
TOLD_AT_ONCE = 3
"""How often in a row a message is put off for as short as its provider says; from then on for a pause at least."""


def pause_s(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` of them have failed; `chance`: 0 to 1, equally likely."""
    full = PAUSES_S[min(max(attempts, 1), len(PAUSES_S)) - 1]
    return full * (1 - JITTER + 2 * JITTER * chance)


def next_attempt_ms(
    attempts: int, now_ms: int, expires_ms: int, chance: float, *, at_least_s: float = 0.0
) -> int | None:
    """When to try again (Unix ms) after `attempts` have failed; None where that is too late to be of use.

    Of what time is left at most half is waited, so that a message is tried until the end of its use and a pause that is
    longer than the rest does not end it. `at_least_s`: seconds before which it makes no sense, as its provider said;
    where nothing would be left of its use by then, it is tried all the same.
    """
    rest_s = (expires_ms - now_ms) / 1000
    told_s = min(at_least_s, LONGEST_WAIT_S)
    told_s = told_s if told_s < rest_s else 0.0
    wait_s = max(SHORTEST_S, told_s, min(pause_s(attempts, chance), rest_s / 2))
    due_ms = now_ms + round(1000 * wait_s)
    return due_ms if due_ms < expires_ms else None


def told_to_wait_ms(wait_s: float, now_ms: int) -> int:
    """When to try again (Unix ms) after a provider asked for `wait_s` seconds; nonsense is the shortest pause."""
    told_s = wait_s if 0 <= wait_s < float("inf") else SHORTEST_S
    return now_ms + round(1000 * min(max(told_s, 1.0), LONGEST_WAIT_S))


def told_again_ms(wait_s: float, now_ms: int, expires_ms: int, chance: float, *, before: int) -> int | None:
    """When to try again (Unix ms) what was put off `before` times in a row and is told to wait `wait_s` seconds once
    more; None where that is too late to be of use.

    A provider that says "at once" each time would be asked every second: after a few times a message waits as if
    attempts had failed.
    """
    due_ms = told_to_wait_ms(wait_s, now_ms)
    if before >= TOLD_AT_ONCE:
        paused_ms = next_attempt_ms(before - TOLD_AT_ONCE + 1, now_ms, expires_ms, chance)
        if paused_ms is None:
            return None
        due_ms = max(due_ms, paused_ms)
    return due_ms if due_ms < expires_ms else None
