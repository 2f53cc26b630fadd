"""An open tab follows what an operator does to its account: another plan, the end of its session. Nothing reconnects.

The operator's command runs in a process of its own, on the database of the running app.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select

from flashcur.domain.plans import PLANS, Audience, PlanName
from flashcur.models import Watchlist, WatchlistItem, new_id
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account, add_session
from tests.support.app import App
from tests.support.sockets import Tab, tab
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
SYMBOLS = 120
WITHIN_S = 2.0
"""From the end of the command to the tab."""
BEATS = 4
"""Frames of the feed, one a second for everybody, that are waited for to see what else moves."""
OPEN_INTEREST = ("oi", "oi1h")


@dataclass(frozen=True)
class Person:
    """An account with a session."""

    email: str
    account_id: str
    cookie: str


class World:
    """The app's accounts, and its operator."""

    def __init__(self, app: App) -> None:
        self._folder = app.log.parent / "data"
        self.database = Database(
            Settings.load({"FLASHCUR_DATA_DIR": str(self._folder), "FLASHCUR_SECRET_KEY": "0" * 40})
        )

    def person(self, plan: PlanName, lists: int = 0) -> Person:
        now = utc_now()
        with self.database.session() as session:
            email = f"{new_id()}@example.com"
            account_id = add_account(session, email, now, plan=plan)
            for position in range(lists):
                title = f"List {position}"
                one = Watchlist(
                    account_id=account_id, name=title, name_key=title.lower(), position=position, created_at=now
                )
                session.add(one)
                session.flush()
                session.add(WatchlistItem(watchlist_id=one.id, symbol="BTCUSDT", position=0))
            token, _ = add_session(session, account_id, now)
        return Person(email, account_id, f"flashcur_session={token}")

    async def operator(self, act: str, person: Person, *more: str) -> float:
        """`python -m flashcur.accounts`; the time at which it had ended."""
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flashcur.accounts", act, person.email, *more),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "FLASHCUR_DATA_DIR": str(self._folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(running.communicate(), 60)
        assert running.returncode == 0, said.decode()
        return time.monotonic()


@pytest.fixture(scope="module")
def world(app: App) -> Iterator[World]:
    world = World(app)
    yield world
    world.database.close()


@asynccontextmanager
async def watching(app: App, person: Person, audience: Audience) -> AsyncIterator[Tab]:
    """Their tab with the table, on the plan they have so far."""
    async with tab(app.url, cookie=person.cookie) as page:
        await page.call("feed_state.watch_table")
        assert page.account["plan"] == audience
        sid = page.client.get_sid("/_event")
        yield page
        # It was the same connection all the time.
        assert page.client.connected
        assert page.client.get_sid("/_event") == sid


def rows(page: Tab) -> int:
    """Contracts on coins in the page's table."""
    return page.market["asset"].count("c")


def shows_open_interest(page: Tab) -> bool:
    return bool(page.market["oi"].strip("|")) and page.feed["open_interest"]


def hides_open_interest(page: Tab) -> bool:
    return all(page.market[name] == "" for name in OPEN_INTEREST) and not page.feed["open_interest"]


async def after(done_s: float, page: Tab, audience: Audience, what: str) -> None:
    """Wait until the account's plan is another one, and the table with it."""
    most = PLANS[audience].rows or SYMBOLS
    moved = shows_open_interest if PLANS[audience].open_interest else hides_open_interest
    await eventually(
        lambda: page.account["plan"] == audience and rows(page) == most and moved(page),
        f"{what}, was {page.account['plan']} with {rows(page)} rows",
        WITHIN_S - (time.monotonic() - done_s),
    )


async def beats(page: Tab, number: int = BEATS) -> list[dict[str, object]]:
    """The frames that the table was sent while the feed's status came so many times; between two marks there is none.

    (A contract that leaves the exchange leaves the table at once; that is no frame.)
    """
    # Who has just joined a plan is owed one whole frame.
    await feed_frames(page, 2)
    start, mark, before = len(page.updates), page.feed["mark"], page.market["beat"]
    await feed_frames(page, number)
    if page.feed["mark"] != mark:
        # A mark fell into these seconds: the next one is minutes away.
        return await beats(page, number)
    return [
        changes
        for update in page.updates[start:]
        for state, changes in update.items()
        if state.endswith("market_state") and changes.get("beat_rx_state_") != before
    ]


async def feed_frames(page: Tab, number: int) -> None:
    """Wait until the feed's status has come so many times more."""
    start = len(page.updates)

    def came() -> int:
        return sum(
            state.endswith("feed_state") and "beat_rx_state_" in changes
            for update in page.updates[start:]
            for state, changes in update.items()
        )

    await eventually(lambda: came() >= number, f"{number} frames of the feed", number + 5)


async def test_free_becomes_elite_and_free_again(app: App, world: World) -> None:
    person = await asyncio.to_thread(world.person, "free", 3)
    async with watching(app, person, "free") as page:
        assert rows(page) == 50
        assert hides_open_interest(page)
        assert [each["frozen"] for each in page.account["lists"]] == ["", "1", "1"]
        assert page.feed["mark"] > 0

        done_s = await world.operator("plan", person, "elite")
        await after(done_s, page, "elite", "Elite's table")
        assert page.feed["mark"] == 0
        assert [each["frozen"] for each in page.account["lists"]] == ["", "", ""]
        before = page.market["beat"]
        await eventually(
            lambda: page.market["beat"] > before, "a live frame", max(0.1, WITHIN_S - (time.monotonic() - done_s))
        )
        # Live: each second.
        assert len({changes["beat_rx_state_"] for changes in await beats(page)}) >= BEATS - 1

        done_s = await world.operator("plan", person, "free")
        await after(done_s, page, "free", "Free's table")
        assert [each["frozen"] for each in page.account["lists"]] == ["", "1", "1"]
        assert [each["symbols"] for each in page.account["lists"]] == ["BTCUSDT"] * 3
        assert page.feed["mark"] > 0
        assert page.feed["next_mark"] % (PLANS["free"].cadence_s * 1000) == 0
        assert await beats(page) == []
        assert rows(page) == 50
        assert hides_open_interest(page)


async def test_free_becomes_pro_which_has_marks_and_is_not_live(app: App, world: World) -> None:
    person = await asyncio.to_thread(world.person, "free")
    async with watching(app, person, "free") as page:
        done_s = await world.operator("plan", person, "pro", "--days", "30")
        await after(done_s, page, "pro", "Pro's table")
        assert "until" in page.account["plan_note"]
        step_ms = PLANS["pro"].cadence_s * 1000
        assert step_ms == 300_000
        # What is shown is of its mark, the next one is at five minutes of the clock, and in between nothing moves.
        assert await beats(page) == []
        mark, as_of = page.feed["mark"], page.feed["as_of"]
        assert 0 < mark < as_of
        assert page.feed["next_mark"] == (as_of // step_ms + 1) * step_ms
        assert mark >= page.feed["next_mark"] - 2 * step_ms
        assert rows(page) == SYMBOLS
        assert shows_open_interest(page)


async def test_every_tab_of_an_account_follows_and_nobody_else_s(app: App, world: World) -> None:
    person, other = [await asyncio.to_thread(world.person, "free") for _ in range(2)]
    async with (
        watching(app, person, "free") as first,
        watching(app, person, "free") as second,
        watching(app, other, "free") as bystander,
        tab(app.url) as guest,
    ):
        await guest.call("feed_state.watch_table")
        done_s = await world.operator("plan", person, "elite")
        for page in (first, second):
            await after(done_s, page, "elite", "Elite's table")
        assert await beats(bystander) == []
        assert (bystander.account["plan"], guest.account["plan"]) == ("free", "guest")
        assert hides_open_interest(bystander)
        assert (rows(guest), person.email in repr(guest.updates + bystander.updates)) == (50, False)


@pytest.mark.parametrize("how", ["by the operator", "by another device"])
async def test_a_session_that_is_ended_makes_its_tab_a_guest_s(app: App, world: World, how: str) -> None:
    person = await asyncio.to_thread(world.person, "elite", 1)
    async with watching(app, person, "elite") as page:
        if how == "by the operator":
            done_s = await world.operator("sign-out", person)
        else:
            (current,) = [each["id"] for each in page.account["sessions"] if each["current"]]
            other = await asyncio.to_thread(other_device, world, person)
            async with tab(app.url, path="/account", cookie=other) as another:
                await another.call("profile_state.end_session", session_id=current)
            done_s = time.monotonic()
        await after(done_s, page, "guest", "a guest's table")
        told = {name: page.account[name] for name in ("signed_in", "name", "email", "lists", "sessions", "events")}
        assert told == {"signed_in": False, "name": "", "email": "", "lists": [], "sessions": [], "events": []}
        assert page.account["trouble"] is False
        assert await beats(page) == []
        # What only an account may do is refused from now on.
        await page.call("watchlist_state.create", form={"name": "Mine"})
        assert page.account["signed_in"] is False
        assert await asyncio.to_thread(lists_of, world, person) == 1


def other_device(world: World, person: Person) -> str:
    """The cookie of one more session."""
    with world.database.session() as session:
        token, _ = add_session(session, person.account_id, utc_now())
    return f"flashcur_session={token}"


def lists_of(world: World, person: Person) -> int:
    with world.database.session(readonly=True) as session:
        return len(session.exec(select(Watchlist).where(Watchlist.account_id == person.account_id)).all())
