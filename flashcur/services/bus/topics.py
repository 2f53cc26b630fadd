"""The topics of frames: the live one, and one for the marks of each delayed audience."""

from __future__ import annotations

from flashcur.domain.plans import AUDIENCES, PLANS, Audience

LIVE_TOPIC = "live"
"""The topic of the frames of every second."""


def mark_topic(audience: Audience) -> str:
    """The topic of an audience's marks. Guests see what Free sees, so they share one."""
    return "mark:free" if audience == "guest" else f"mark:{audience}"


TOPICS = tuple(dict.fromkeys([LIVE_TOPIC, *(mark_topic(a) for a in AUDIENCES if not PLANS[a].live)]))
"""All topics of frames, each once, the live one first."""
