"""What is put into the dashboard's HTML before it is sent."""

from __future__ import annotations

import re

import pytest

from flashcur.domain.frames import Liveness
from flashcur.domain.plans import Audience
from flashcur.domain.view import View
from flashcur.web.page.first_paint import Sight, fill
from tests.support.frames import NOW_MS, market_frame

PAGE = (
    '<table class="market"><tbody class="ghost" id="first-rows" role="rowgroup" translate="no"></tbody></table>'
    '<span id="first-status"></span><div class="note"></div><label class="least assets absent"></label>'
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


def test_the_rows_ahead_are_those_of_the_view_and_say_what_is_no_crypto() -> None:
    frame = market_frame(contracts=3, tradfi=2)

    def symbols(sight: Sight) -> list[str]:
        return re.findall('data-symbol="([^"]+)"', fill(PAGE, frame, sight))

    assert symbols(Sight("elite")) == ["COIN0USDT", "COIN1USDT", "COIN2USDT"]
    rest = Sight("elite", View(assets="tradfi"))
    assert symbols(rest) == ["STOCK0USDT", "GOOD1USDT"]
    page = fill(PAGE, frame, rest)
    assert "STOCK0<small>Stock, closed</small></th>" in page
    assert "GOOD1<small>Commodity</small></th>" in page
    assert page.count('class="tradfi"') == 2
    assert "<small>" not in fill(PAGE, frame, Sight("elite"))
    assert symbols(Sight("elite", View(symbols=frozenset({"COIN2USDT", "GOOD1USDT"})))) == ["GOOD1USDT", "COIN2USDT"]


@pytest.mark.parametrize(
    ("tradfi", "view", "there"), [(0, View(), False), (1, View(), True), (0, View(assets="tradfi"), True)]
)
def test_the_choice_of_assets_has_its_room_where_there_is_one(tradfi: int, view: View, there: bool) -> None:
    page = fill(PAGE, market_frame(tradfi=tradfi), Sight("elite", view))
    assert ('class="least assets"' in page, 'class="least assets absent"' in page) == (there, not there)
