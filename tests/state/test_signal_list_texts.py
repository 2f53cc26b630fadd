"""What `/signals` says beside its list."""

from __future__ import annotations

import pytest

from flashcur.engine.history_status import HistoryStatus
from flashcur.state.signal_list import baselines_text

WAITING = "480 of 500 contracts have enough of a past to compare with; the rest follow, the largest first."


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (None, ""),
        (HistoryStatus(), ""),
        (HistoryStatus(ready=500, contracts=500), ""),
        (HistoryStatus(ready=480, contracts=500), WAITING),
        (HistoryStatus(ready=498, contracts=500, quiet=2), ""),
        (HistoryStatus(ready=499, contracts=500, new=1), "Of 500 contracts 1 is too new to compare with its own past."),
        (
            HistoryStatus(ready=497, contracts=500, new=2, quiet=1),
            "Of 500 contracts 2 are too new to compare with their own past.",
        ),
        (HistoryStatus(ready=480, contracts=500, new=1), f"{WAITING} 1 is too new to compare with its own past."),
    ],
)
def test_what_is_new_is_not_waited_for(history: HistoryStatus | None, said: str) -> None:
    assert baselines_text(history) == said
