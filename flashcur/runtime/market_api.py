"""`/api/v1/markets`: the table as JSON, exactly as a plan's page shows it, with unrounded numbers."""

from __future__ import annotations

import orjson

from flashcur.domain.exports import iso, market_rows
from flashcur.domain.frames import Frame
from flashcur.domain.plans import PLANS, Audience


def markets_json(frame: Frame, audience: Audience) -> bytes:
    """The answer's body for a frame that was already cut to `audience`.

    A missing value is null. `ages_s` holds the ages, in seconds, of values that are older than their allowance.
    """
    return orjson.dumps(
        {
            "exchange": frame.exchange,
            "demo": frame.demo,
            "state": frame.state,
            "as_of": iso(frame.as_of_ms),
            "rows": market_rows(frame, range(frame.count), PLANS[audience].open_interest),
        }
    )
