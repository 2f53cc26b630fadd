"""What is put into the dashboard's HTML before it is sent."""

from __future__ import annotations

import pytest

from flashcur.domain.frames import Liveness
from flashcur.domain.plans import Audience
from flashcur.web.page.first_paint import Sight, fill
from tests.support.frames import NOW_MS, market_frame

PAGE = (
    '<table class="market"><tbody class="ghost" id="first-rows" role="rowgroup"></tbody></table>'
    '<span id="first-status"></span><div class="note"></div>'
)


def test_a_live_feed_s_status_has_its_room() -> None:
    page = fill(PAGE, market_frame(), Sight("elite"))
    assert page.count("<tr ") > 0
    assert '<span class="word">Live</span>' in page
    assert f'<span class="soft clock">{NOW_MS // 1000 % 86400 // 3600:02d}:' in page


@pytest.mark.parametrize("state", ["delayed", "stale"])
def test_a_feed_that_is_not_live_is_not_called_so(state: Liveness) -> None:
    page = fill(PAGE, market_frame(state=state), Sight("elite"))
    assert "Live" not in page
    assert 'class="soft name"' in page


@pytest.mark.parametrize(("audience", "timed"), [("guest", True), ("pro", True), ("elite", False)])
def test_the_line_of_marks_has_its_room_where_the_table_moves_at_marks(audience: Audience, timed: bool) -> None:
    assert ('<div class="note timed"></div>' in fill(PAGE, market_frame(), Sight(audience))) is timed
