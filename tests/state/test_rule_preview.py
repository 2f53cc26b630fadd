"""What the form says of a rule's past, and that each tab has one preview at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from flashcur.domain.rules.condition import InterestMove, OnSignal, PriceMove
from flashcur.domain.rules.past import WEEK_DAYS, Needs, PastFiring
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.signals.outcomes import Lift, Summary
from flashcur.services.alerts.preview import Preview
from flashcur.services.storage.database import Database
from flashcur.state.rule_preview import (
    ACCOUNT_BURST,
    ACCOUNT_RATE,
    NETWORK_BURST,
    Previews,
    Turns,
    Wanted,
    texts,
)
from tests.support.rules import add_owner
from tests.support.waiting import eventually

NOW_MS = 1_764_000_000_000
RULE = Definition((PriceMove("up", 5.0, 3_600),), Scope("all"))
WANTED = Wanted(7, "a", "192.0.2.0/24", RULE, ("BTCUSDT",), "binanceusdm", False, NOW_MS, ZoneInfo("UTC"), True, False)
FOUND = Preview(
    needs=Needs("hours", (), ("Judged at the end of each hour.",)),
    asks=None,
    contracts=300,
    first_ms=NOW_MS - 30 * 86_400_000,
    week=12,
    count=40,
    by_day=(0,) * 28 + (4, 8),
    firings=(PastFiring("BTCUSDT", NOW_MS, 65_000.0, True),),
    followed=((4, Summary(40, 0.012, -0.01, 0.03, Lift(0.6, 0.5, 1.2, 1.05, 1.4), True)),),
    suggestion=replace(RULE, conditions=(PriceMove("up", 7.5, 3_600),)),
    would=13,
)
DAY_MS = 86_400_000


def test_how_often_when_and_what_followed() -> None:
    told = texts(FOUND, WANTED)
    assert told["state"] == "done"
    assert told["headline"] == "Would have fired 12 times in 7 days and 40 times in 30, over 300 contracts."
    assert [each["height"] for each in told["days"][-3:]] == ["0", "50", "100"]
    assert told["days"][-1]["says"] == "8 times in the last 24 hours"
    assert told["newest"] == [{"symbol": "BTCUSDT", "when": "24 Nov 2025, 16:00 UTC"}]
    (after,) = told["followed"]
    # No number is parted from its unit at a line's end.
    kept = ("4 h later", "+1.20\u00a0%", "-1.00\u00a0% to +3.00\u00a0%")
    assert (after["after"], after["median"], after["half"]) == kept
    # A rule is no signal, and is compared with all other hours.
    assert "1.20 times as often as at other hours" in after["verdict"]
    assert "signal" not in after["verdict"]
    assert told["suggestion"]["conditions"] == [{"kind": "move", "way": "up", "percent": "7.5", "window_s": "3600"}]
    # What is set, and what it does, is said before it is pressed.
    assert told["suggestion"]["use"] == "Use 7.5 %: about 3 a week instead of 9"
    seldom = texts(replace(FOUND, would=1), WANTED)["suggestion"]["use"]
    assert seldom == "Use 7.5 %: less than once a week instead of 9"
    assert texts(replace(FOUND, would=0), WANTED)["suggestion"]["use"] == "Use 7.5 %: not once instead of 9"
    assert told["notes"] == ["Judged at the end of each hour."]


def test_a_past_of_a_week_is_told_once() -> None:
    week = replace(FOUND, needs=replace(FOUND.needs, grain="minutes"), contracts=1, week=7, count=7)
    assert week.needs.days == WEEK_DAYS
    assert texts(week, WANTED)["headline"] == "Would have fired 7 times in the last 7 days."


def test_a_rule_that_would_not_have_fired_has_no_days_to_show() -> None:
    told = texts(replace(FOUND, week=0, count=0, by_day=(0,) * 30, firings=(), followed=(), suggestion=None), WANTED)
    assert told["headline"] == "Would not have fired in the last 30 days, over 300 contracts."
    assert (told["days"], told["suggestion"]) == ([], {})


def test_what_cannot_be_told_says_why() -> None:
    told = texts(replace(FOUND, needs=Needs(None, ("Signals are not judged.",), ())), WANTED)
    assert told == {"state": "cannot", "reasons": ["Signals are not judged."]}
    assert texts(replace(FOUND, asks="minutes"), WANTED)["state"] == "asks"
    assert "No past of these contracts is known yet" in texts(replace(FOUND, contracts=0), WANTED)["reasons"][0]


def test_the_headline_says_how_many_contracts_are_too_new() -> None:
    told = texts(replace(FOUND, too_new=2, scope=301), WANTED)
    assert told["headline"].endswith("over 300 contracts. 2 of 301 contracts are too new to be judged.")
    told = texts(replace(FOUND, contracts=0, too_new=1, scope=1), WANTED)
    assert told == {"state": "cannot", "reasons": ["The contract is too new to be judged."]}


def test_what_is_known_at_most_is_told_as_that() -> None:
    needs = Needs("signals", (), ("Not judged is …",), at_most=True)
    told = texts(replace(FOUND, needs=needs, followed=(), suggestion=None), WANTED)
    assert told["headline"] == (
        "Would have fired 12 times at most in 7 days and 40 times at most in 30, over 300 contracts."
    )
    assert told["days"][-1]["says"] == "8 times at most in the last 24 hours"
    assert (told["newest"], told["followed"], told["notes"]) == ([], [], ["Not judged is …"])
    quiet = texts(replace(FOUND, needs=needs, week=0, count=0, followed=(), firings=(), suggestion=None), WANTED)
    assert quiet["headline"] == "Would not have fired in the last 30 days, over 300 contracts."


def test_days_of_which_nothing_is_stored_are_told_as_unknown() -> None:
    """The trader's complaint A4: a server that has watched for a day spoke of 30 days."""
    young = replace(FOUND, contracts=1, week=1, count=1, by_day=(0,) * 29 + (1,), stored_ms=DAY_MS)
    told = texts(young, WANTED)
    assert told["headline"] == "Would have fired once in the day stored so far."
    assert told["days"][0] == {"height": "0", "says": "Not known 29 days before", "known": ""}
    assert told["days"][-1] == {"height": "100", "says": "Once in the last 24 hours", "known": "1"}
    nine = replace(
        FOUND, contracts=1, week=1, count=2, by_day=(0,) * 21 + (1,) + (0,) * 7 + (1,), stored_ms=200 * 3_600_000
    )
    told = texts(nine, WANTED)
    assert told["headline"] == "Would have fired once in 7 days and twice in the 8 days stored so far."
    assert [each["known"] for each in told["days"]] == [""] * 21 + ["1"] * 9
    quiet = replace(FOUND, week=0, count=0, by_day=(0,) * 30, firings=(), followed=(), suggestion=None)
    for minutes, span in ((0.1, "minute"), (40, "40 minutes"), (60, "hour"), (300, "5 hours"), (3_000, "2 days")):
        said = texts(replace(quiet, stored_ms=int(minutes * 60_000)), WANTED)["headline"]
        assert said == f"Would not have fired in the {span} stored so far, over 300 contracts."
    assert texts(replace(quiet, stored_ms=0), WANTED)["headline"] == (
        "No signals are stored yet: how often it would have fired is not known."
    )


def test_what_fired_before_the_last_week_only_says_so() -> None:
    told = texts(replace(FOUND, week=0, count=3, by_day=(3,) + (0,) * 29, contracts=1), WANTED)
    assert told["headline"] == "Would have fired 3 times in the last 30 days, not in the last 7."


def test_few_cases_are_counted_beside_how_often_it_is_so_anyway() -> None:
    def verdict(hit_rate: float, count: int, *, points: bool = True, **firing: Any) -> str:
        lift = Lift(hit_rate, 0.48, hit_rate / 0.48, None, None)
        summary = Summary(count, 0.0, 0.0, 0.0, lift, points)
        firings = (replace(FOUND.firings[0], **firing),)
        told = texts(replace(FOUND, followed=((1, summary),), firings=firings), WANTED)["followed"][0]["verdict"]
        assert " %" not in told
        return told.replace("\u00a0", " ")

    end = "; usually it does in 48 % of hours. Too few to tell from chance."
    assert verdict(0.0, 3) == f"In none of 3 cases did the price go on that way{end}"
    assert verdict(1 / 3, 3) == f"In 1 of 3 cases the price went on that way{end}"
    assert verdict(0.0, 1, points=False, up=None) == f"The price did not rise{end}"
    # Those that point nowhere are among the cases, and not in the rate.
    assert verdict(0.5, 4, up=None) == f"In 50 % of cases the price went on that way{end}"


async def ended(previews: Previews, database: Database, wanted: Wanted) -> list[dict[str, Any]]:
    """All that a tab is told of one preview."""
    told: list[dict[str, Any]] = []
    done = asyncio.Event()

    def tell(each: dict[str, Any]) -> None:
        told.append(each)
        if each["state"] not in ("working", "asking"):
            done.set()

    previews.begin("tab", database, wanted, tell)
    async with asyncio.timeout(20):
        await done.wait()
    return told


async def test_a_preview_answers_with_the_number_of_its_question(sqlite_database: Database) -> None:
    told = await ended(Previews(), sqlite_database, WANTED)
    assert {each["number"] for each in told} == {7}
    assert told[0]["state"] == "working"
    assert told[-1]["state"] == "cannot"


async def test_an_account_has_one_preview_whatever_the_tab(sqlite_database: Database) -> None:
    previews = Previews()
    first: list[dict[str, Any]] = []
    previews.begin("another tab", sqlite_database, replace(WANTED, number=1), first.append)
    await ended(previews, sqlite_database, replace(WANTED, number=2))
    assert first[-1] == {"number": 1, "state": "cannot", "reasons": ["It was asked for again in another tab."]}
    # The end of a tab's connection ends what is worked out for it, and nothing else.
    told: list[dict[str, Any]] = []
    previews.begin("tab", sqlite_database, replace(WANTED, number=3), told.append)
    previews.cancel("another tab")
    await eventually(lambda: any(each["state"] == "cannot" for each in told), "the tab's own preview to be told")


async def test_whoever_looks_without_end_is_told_to_wait(sqlite_database: Database) -> None:
    now = 1_000.0
    previews = Previews(lambda: now)
    told: list[dict[str, Any]] = []
    for _ in range(ACCOUNT_BURST + 1):
        previews.begin("tab", sqlite_database, WANTED, told.append)
    assert "very often" in told[-1]["reasons"][0]
    assert (await ended(previews, sqlite_database, replace(WANTED, account_id="b")))[0]["state"] == "working"
    now += 1 / ACCOUNT_RATE
    assert (await ended(previews, sqlite_database, WANTED))[0]["state"] == "working"
    for number in range(NETWORK_BURST):
        previews.begin("tab", sqlite_database, replace(WANTED, account_id=f"c{number}"), told.append)
    assert "very often" in told[-1]["reasons"][0]


async def test_one_network_keeps_no_other_waiting(sqlite_database: Database) -> None:
    turns = Turns(2)
    order: list[str] = []
    go = asyncio.Event()

    async def work(name: str, network: str) -> None:
        async with turns.turn(network):
            order.append(name)
            await go.wait()

    tasks = [asyncio.create_task(work(f"a{number}", "crowd")) for number in range(20)]
    tasks += [asyncio.create_task(work("b", "other"))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["a0", "b"]
    # One that gives up while it waits leaves its place to the next.
    tasks[1].cancel()
    tasks[20].cancel()
    go.set()
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["a0", "b", *(f"a{number}" for number in range(2, 20))]


async def test_beside_a_signal_and_of_hidden_open_interest_it_is_said_what_is_not_looked_at(
    sqlite_database: Database,
) -> None:
    previews = Previews()
    signal = replace(WANTED, definition=replace(RULE, conditions=(OnSignal("funding"), PriceMove("up", 5.0, 3_600))))
    told = (await ended(previews, sqlite_database, signal))[-1]
    assert told["state"] == "done"
    assert told["notes"][0].startswith(
        "This counts the signals alone. Whether the contract then rises by 5 % or more within 1 hour is not known"
    )
    of_signals = replace(WANTED, definition=replace(RULE, conditions=(OnSignal("open_interest"),)), open_interest=False)
    assert "open interest" in (await ended(previews, sqlite_database, of_signals))[-1]["reasons"][0]
    hidden = replace(
        WANTED, definition=replace(RULE, conditions=(InterestMove("up", 5.0, 300),)), open_interest=False, asks=True
    )
    assert await ended(previews, sqlite_database, hidden) == [
        {"number": 7, "state": "cannot", "reasons": ["Your plan does not show open interest, nor its past."]}
    ]


async def test_the_next_preview_of_a_tab_ends_the_one_before(sqlite_database: Database) -> None:
    previews = Previews()
    first: list[dict[str, Any]] = []
    previews.begin("tab", sqlite_database, replace(WANTED, number=1), first.append)
    told = await ended(previews, sqlite_database, replace(WANTED, number=2))
    assert told[-1]["number"] == 2
    assert all(each["state"] == "working" for each in first)
    cancelled: list[dict[str, Any]] = []
    previews.begin("tab", sqlite_database, replace(WANTED, number=3), cancelled.append)
    previews.cancel("tab")
    await asyncio.sleep(0)
    await ended(previews, sqlite_database, replace(WANTED, number=4))
    assert all(each["state"] == "working" for each in cancelled)


async def test_minutes_of_a_contract_are_asked_for_without_a_press_and_what_takes_long_with_one(
    sqlite_database: Database,
) -> None:
    previews = Previews()
    with sqlite_database.session() as session:
        owner = add_owner(session, NOW_MS)
    short = replace(WANTED, account_id=owner, definition=replace(RULE, conditions=(PriceMove("up", 5.0, 900),)))
    told: list[dict[str, Any]] = []
    previews.begin("tab", sqlite_database, short, told.append)
    await eventually(lambda: any(each["state"] == "asking" for each in told), "the exchange to be asked")
    assert not any(each["state"] == "asks" for each in told)
    previews.cancel("tab")
    # A month of open interest takes many requests.
    long = replace(short, definition=replace(RULE, conditions=(InterestMove("up", 5.0, 300),)))
    assert (await ended(previews, sqlite_database, long))[-1]["state"] == "asks"
