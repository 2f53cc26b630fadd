"""When a message may leave for a place: at once, later together with others, or not at all.

An owner's wishes are asked in this order: a mute, quiet hours, the cap of the day, the number a minute.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from flashcur.domain.delivery.batching import hold_until_ms
from flashcur.domain.delivery.quiet_hours import QuietHours


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an account wants its messages."""

    zone: tzinfo
    quiet: QuietHours | None = None
    urgent_passes: bool = True
    """Whether urgent alerts are told in quiet hours."""
    cap: int = 200
    """Messages a local day outside the app; urgent ones and the digest of a night come all the same."""
    muted_until_ms: int = 0
    """Unix ms."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now."""

    until_ms: int
    """Unix ms."""
    why: Literal["muted", "quiet", "many"]


Verdict = Hold | Literal["send", "capped"]


def silence(wishes: Wishes, now_ms: int, *, urgent: bool) -> Hold | None:
    """Why nothing leaves at `now_ms` (Unix ms), whatever the place, and until when; None where it may."""
    if now_ms < wishes.muted_until_ms:
        return Hold(wishes.muted_until_ms, "muted")
    if wishes.quiet is None or (urgent and wishes.urgent_passes):
        return None
    end_ms = wishes.quiet.ends_ms(now_ms, wishes.zone)
    return None if end_ms is None else Hold(end_ms, "quiet")


def verdict(
    wishes: Wishes,
    now_ms: int,
    *,
    urgent: bool,
    counted: bool,
    sent_today: int,
    left_ms: Collection[int],
    gathered_ms: int | None,
) -> Verdict:
    """What becomes of an alert's message at `now_ms`.

    `counted`: whether the cap, of which `sent_today` have left, holds for it; for what is urgent it never does.
    `left_ms`: when messages left for the same place; `gathered_ms`: when those that are held for it are gathered, if
    any are. Times are Unix ms.
    """
    hold = silence(wishes, now_ms, urgent=urgent)
    if hold is not None:
        return hold
    if counted and not urgent and sent_today >= wishes.cap:
        return "capped"
    until_ms = hold_until_ms(left_ms, now_ms)
    # What waits to be gathered at any moment takes along what comes meanwhile: it would arrive before it otherwise.
    if until_ms is None and gathered_ms is not None and gathered_ms <= now_ms:
        until_ms = now_ms
    return "send" if until_ms is None else Hold(until_ms, "many")
