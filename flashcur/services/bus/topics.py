"""The topics of the bus: the live frame, the marks of each delayed audience, and what is told of signals."""

from __future__ import annotations

from flashcur.domain.plans import AUDIENCES, PLANS, Audience

LIVE_TOPIC = "live"
"""The topic of the frames of every second."""
SIGNALS_TOPIC = "signals"
"""The topic that says that signals were stored: `{"last_id": …}`, the largest `SignalRecord.id` of the engine."""
ALERTS_TOPIC = "alerts"
"""The topic that says that alerts were stored: `{"accounts": {account id: largest AlertRecord.id of it}}`."""
DISTANCES_TOPIC = "distances"
"""The topic of how far each contract is from each signal."""


def mark_topic(audience: Audience) -> str:
    """The topic of an audience's marks. Guests see what Free sees, so they share one."""
    return "mark:free" if audience == "guest" else f"mark:{audience}"


TOPICS = tuple(dict.fromkeys([LIVE_TOPIC, *(mark_topic(a) for a in AUDIENCES if not PLANS[a].live)]))
"""All topics of frames, each once, the live one first."""
