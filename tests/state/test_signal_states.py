"""Signals over sockets: told to the tab that asks, by the plan of its visitor, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flashcur.models import SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.kit.clock import now_ms
from tests.support.app import App
from tests.support.seeded_signals import UNLISTED, fill_signals
from tests.support.sockets import Tab, tab
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def stored(app: App) -> Iterator[list[SignalRecord]]:
    with app.database() as database:
        with database.session() as session:
            records = fill_signals(session, now_ms(), count=120, coins=UNLISTED)
        yield records
        with database.session() as session:
            signals.prune(session, now_ms() + 60_000)


def listed(page: Tab) -> dict[str, Any]:
    return page.state("signal_list_state")


async def show(page: Tab, query: str) -> dict[str, Any]:
    await page.call("signal_list_state.show", query=query)
    await eventually(lambda: listed(page).get("query") == query, f"the answer to {query}")
    return listed(page)


async def open_(page: Tab, signal_id: int) -> dict[str, Any]:
    await page.call("signal_state.open_signal", signal_id=signal_id)
    await eventually(lambda: page.state("signal_state").get("shown_id") == signal_id, f"signal {signal_id}")
    return page.state("signal_state")


async def test_a_list_is_told_page_by_page(app: App, elite: str, stored: list[SignalRecord]) -> None:
    newest = [str(record.id) for record in reversed(stored)]
    async with tab(app.url, "/signals", cookie=elite) as page:
        told = await show(page, "contract=SEEDLING")
        assert [entry["id"] for entry in told["entries"]] == newest[:50]
        assert told["limits"] == ""
        assert told["newest"] >= int(newest[0])
        first = told["next"]
        told = await show(page, f"contract=SEEDLING&after={first}")
        assert [entry["id"] for entry in told["entries"]] == newest[50:100]
        told = await show(page, f"contract=SEEDLING&after={told['next']}")
        assert told["next"] == ""
        # What the page holds, it keeps over a reconnect: nothing of it is the server's.
        await page.call("feed_state.watch_feed")
        assert [entry["id"] for entry in listed(page)["entries"]] == newest[100:120]


async def test_a_plan_is_told_what_it_may_see(app: App, elite: str, stored: list[SignalRecord]) -> None:
    surge = next(record for record in reversed(stored) if record.detector == "open_interest")
    assert surge.id is not None
    async with tab(app.url, "/signals") as guest, tab(app.url, "/signals", cookie=elite) as owner:
        told = await show(guest, "")
        assert len(told["entries"]) == 10
        assert told["next"] == ""
        assert "Without an account you see the newest 10 signals" in told["limits"]
        hidden = await open_(guest, surge.id)
        assert "shows no signals of open interest" in hidden["problem"]
        assert hidden["problem_link"] == "/pricing"
        assert surge.text not in repr(guest.updates)
        await guest.call("signal_list_state.show_statistics")
        await eventually(lambda: listed(guest).get("groups_known") is True, "statistics")
        assert "Open interest" not in [row["title"] for row in listed(guest)["groups"]]
        seen = await open_(owner, surge.id)
        assert seen["problem"] == ""
        assert seen["text"] == surge.text
        assert seen["opened"] > 0
        assert [row["after"] for row in seen["outcomes"]] == ["1 h later", "4 h later", "24 h later"]


async def test_what_arrives_is_counted_by_the_same_filter(app: App, elite: str, stored: list[SignalRecord]) -> None:
    async with tab(app.url, "/signals", cookie=elite) as page:
        bearish = [record for record in stored[-20:] if record.direction == "bearish"]
        newer = stored[-21].id
        await page.call("feed_state.watch_feed")
        newest = str(stored[-1].id)
        await eventually(lambda: newest in page.state("signals_state").get("ids", "").split("|"), "ids", 15)
        await page.call("signal_list_state.count_arrived", query=f"contract=SEEDLING&direction=bearish&newer={newer}")
        await eventually(lambda: listed(page).get("arrived") == len(bearish), "the count")
        # More than the fifty that a process knows.
        newer = (stored[0].id or 0) - 1
        await page.call("signal_list_state.count_arrived", query=f"contract=SEEDLING&newer={newer}")
        await eventually(lambda: listed(page).get("arrived") == len(stored), "the count of all")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("x=1&" * 40, "asks for too much at once"),
        ("a" * 5_000, "at most 2,000 characters"),
        ("\u202e", ""),
        ("contract=%00", ""),
        ("contract=%ED%A0%80&list=%00", ""),
        ("after=nonsense&kind=no&direction=&severity=9&since=ever&from=2026-13-01&list=%00", ""),
    ],
)
async def test_nonsense_is_answered_in_words(query: str, problem: str, app: App, stored: list[SignalRecord]) -> None:
    async with tab(app.url, "/signals") as page:
        await page.call("signal_list_state.show", query=query)
        await eventually(lambda: listed(page).get("query") == query[:2_000], "an answer")
        assert problem in listed(page)["problem"]
        assert bool(listed(page)["problem"]) is bool(problem)
    assert "Traceback" not in app.log.read_text()


async def test_a_contract_that_is_no_text_counts_as_not_given(app: App, stored: list[SignalRecord]) -> None:
    async with tab(app.url, "/signals") as page:
        for query in ("contract=%00BTC", f"contract={'B' * 41}"):
            told = await show(page, query)
            assert "Contract in the address was not understood and counts as not given" in told["ignored"][0]
            assert len(told["entries"]) == 10


async def test_a_signal_that_is_none(app: App, stored: list[SignalRecord]) -> None:
    async with tab(app.url) as page:
        for wanted in (0, -5, 2**53, 999_999):
            told = await open_(page, wanted)
            assert told["problem"] == "There is no such signal, or no longer."
            assert told["text"] == ""
