"""The table of plans is the one that was agreed."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from flashcur.domain.plans import (
    AUDIENCES,
    CHANNELS,
    EXPORT_FORMATS,
    PLAN_NAMES,
    PLANS,
    Audience,
    last_mark_ms,
    least_plan,
    next_mark_ms,
    plan_name,
)

IN_APP = ("in-app", "browser")
PRO_CHANNELS = (*IN_APP, "email", "web-push")
AGREED: dict[str, tuple[object, object, object, object]] = {
    "title": ("Guest", "Free", "Pro", "Elite"),
    "monthly": (None, Decimal("0"), Decimal("9.99"), Decimal("29.99")),
    "yearly": (None, Decimal("0"), Decimal("99"), Decimal("299")),
    "cadence_s": (900, 900, 300, 1),
    "live": (False, False, False, True),
    "rows": (50, 50, None, None),
    "open_interest": (False, False, True, True),
    "history": (10, 10, 50, None),
    "rules": (0, 3, 25, 500),
    "channels": ((), IN_APP, PRO_CHANNELS, (*PRO_CHANNELS, "sms", "telegram", "discord", "slack", "webhook")),
    "own_thresholds": (False, False, True, True),
    "watchlists": (0, 1, 10, 50),
    "watchlist_symbols": (0, 10, 100, 1000),
    "exports": ((), ("tradingview",), ("tradingview", "csv", "json"), ("tradingview", "csv", "json")),
    "export_rows": (0, 50, None, None),
    "api": (False, False, False, True),
    "sessions": (0, 2, 5, 10),
}
"""guest, Free, Pro, Elite. Written out once more on purpose: whoever changes a plan changes two places."""


@pytest.mark.parametrize("allows", AGREED)
def test_plans_give_what_was_agreed(allows: str) -> None:
    assert tuple(getattr(PLANS[audience], allows) for audience in AUDIENCES) == AGREED[allows]


def test_nothing_of_a_plan_is_left_out() -> None:
    fields = set(PLANS["guest"].__slots__)
    assert fields - {"audience"} == AGREED.keys() - {"live"}
    assert [PLANS[audience].audience for audience in AUDIENCES] == list(AUDIENCES) == ["guest", *PLAN_NAMES]


def test_every_plan_has_all_that_the_one_before_has() -> None:
    for lower, higher in pairwise(AUDIENCES):
        low, high = PLANS[lower], PLANS[higher]
        assert set(low.channels) <= set(high.channels)
        assert set(low.exports) <= set(high.exports)
        assert high.cadence_s <= low.cadence_s
        for limit in ("rows", "history", "export_rows"):
            least, most = getattr(low, limit), getattr(high, limit)
            assert most is None or (least is not None and least <= most)


@pytest.mark.parametrize(
    ("allows", "value", "title"),
    [
        ("open_interest", True, "Pro"),
        ("api", True, "Elite"),
        ("exports", "tradingview", "Free"),
        ("exports", "csv", "Pro"),
        ("exports", "json", "Pro"),
        ("channels", "browser", "Free"),
        ("channels", "email", "Pro"),
        ("channels", "webhook", "Elite"),
        ("live", True, "Elite"),
    ],
)
def test_the_least_plan_that_has_it(allows: str, value: object, title: str) -> None:
    assert least_plan(allows, value).title == title


def test_what_no_plan_has() -> None:
    with pytest.raises(ValueError, match="no plan"):
        least_plan("channels", "pigeon")


@pytest.mark.parametrize("text", ["guest", "", "Pro", "gold", " pro"])
def test_what_is_no_plan_of_an_account(text: str) -> None:
    with pytest.raises(ValueError, match="expected a plan"):
        plan_name(text)


@pytest.mark.parametrize(("audience", "minutes"), [("guest", 15), ("free", 15), ("pro", 5)])
def test_marks_are_on_the_clock(audience: Audience, minutes: int) -> None:
    step, cadence = minutes * 60_000, PLANS[audience].cadence_s
    hour = 1_790_000_000_000 // 3_600_000 * 3_600_000
    for mark in range(hour, hour + 3_600_000, step):
        assert (last_mark_ms(cadence, mark), next_mark_ms(cadence, mark)) == (mark, mark + step)
        assert (last_mark_ms(cadence, mark - 1), next_mark_ms(cadence, mark - 1)) == (mark - step, mark)


def test_the_lists_of_words() -> None:
    assert PLANS["elite"].channels == CHANNELS
    assert PLANS["pro"].exports == EXPORT_FORMATS
