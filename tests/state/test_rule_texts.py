"""Rules as texts of the list: what became of each, whom it reaches, and how long it watched."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from flashcur.domain.plans import CHANNELS, PLANS, Channel
from flashcur.domain.rules.condition import Condition, FundingLevel, InterestMove, OnSignal, PriceCross, PriceMove
from flashcur.domain.rules.often import Calmer
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.share import from_link
from flashcur.models import RuleRecord
from flashcur.services.alerts.alerts import Precision
from flashcur.services.alerts.certificates import Certificate
from flashcur.services.alerts.reach import Way
from flashcur.state.rule_texts import channel_texts, list_vars, said_of_tests, shared_texts

NOW_MS = 1_764_000_000_000
WAYS: dict[Channel, Way] = {
    channel: Way(
        channel,
        "on" if channel in ("in-app", "browser") else "owner",
        "" if channel in ("in-app", "browser") else "it is not connected yet",
    )
    for channel in CHANNELS
}
READER: Any = SimpleNamespace(
    visitor=SimpleNamespace(account=None), plan=PLANS["free"], zone=ZoneInfo("UTC"), now_ms=NOW_MS
)


NEAREST = {"version": 1, "symbol": "BTCUSDT", "text": "64,900 of 65,000"}


def rule(*conditions: Condition, scope: Scope | None = None, **more: Any) -> RuleRecord:
    definition = Definition(conditions or (PriceCross("above", 65_000.0),), scope or Scope("symbol", symbol="BTCUSDT"))
    values: dict[str, Any] = {
        "account_id": "a",
        "definition": definition.to_json(),
        "channels": ["in-app"],
        "created_ms": 0,
        "changed_ms": 0,
    }
    return RuleRecord(**(values | more))


def told(
    record: RuleRecord, precision: Precision | None = None, certificate: Certificate | None = None
) -> dict[str, str]:
    known = {} if precision is None else {record.id: precision}
    watched = {} if certificate is None else {record.id: certificate}
    found = list_vars([record], known, watched, WAYS, READER)
    (row,) = [*found["active"], *found["paused"], *found["done"]]
    return row


def test_a_rule_that_has_not_fired() -> None:
    row = told(rule())
    assert row["sentence"].replace("\u00a0", " ") == (
        "Tell me when BTCUSDT trades at or above 65,000 USDT, at most once an hour."
    )
    assert (row["fires"], row["precision"], row["watched"]) == ("Has not fired yet.", "", "")
    assert (row["reach"], row["warning"]) == ("Reaches you only in the app.", "")
    assert from_link(row["link"].partition("draft=")[2]).conditions == (PriceCross("above", 65_000.0),)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (PriceMove("down", 5.0, 900), "4 hours later the price had gone its way in 7 of 12 (58\u00a0%)."),
        (FundingLevel("above", 0.1), "4 hours later the price had risen in 7 of 12 (58\u00a0%)."),
    ],
    ids=["points", "points nowhere"],
)
def test_how_right_it_was_is_told_with_its_count(condition: Condition, expected: str) -> None:
    row = told(rule(condition, fires=12, fired_ms=NOW_MS), Precision(known=12, hits=7))
    assert row["precision"] == expected
    assert row["fires"] == "Fired 12 times, last on 24 Nov 2025, 16:00 UTC."


@pytest.mark.parametrize(
    ("would", "expected"),
    [(0, "would not have fired."), (1, "would have fired once at most."), (9, "would have fired 9 times at most.")],
)
def test_a_rule_that_fires_too_often_is_offered_a_threshold(would: int, expected: str) -> None:
    kept = rule(PriceMove("either", 5.0, 900), fires=41)
    stricter = Definition((PriceMove("either", 7.5, 900),), Scope("symbol", symbol="BTCUSDT"))
    found = list_vars([kept], {}, {}, WAYS, READER, {kept.id: Calmer(41, stricter, 0, would)})
    row = found["active"][0]
    assert row["often"].replace("\u00a0", " ") == (
        "Fired 41 times in 7 days, which is often. With a stricter threshold (“rises or falls by 7.5 % or more within "
        f"15 minutes”) it {expected}"
    )
    assert row["use"] == "Use 7.5\u00a0%"
    assert row["calmer"] == f"/alerts?rule={kept.id}&stricter=7.5"
    assert (told(kept)["often"], told(kept)["calmer"]) == ("", "")


@pytest.mark.parametrize("why", ["owner", "plan", "delisted", "watchlist"])
def test_a_rule_that_rests_says_why_and_reaches_nobody(why: str) -> None:
    row = told(rule(status="paused", why=why))
    assert row["why"].startswith("Paused")
    assert row["reach"] == "Reaches nobody, because it is paused."
    assert row["warning"] == "1"


@pytest.mark.parametrize(
    "condition", [InterestMove("up", 10.0, 3_600), OnSignal("open_interest")], ids=["change", "signal"]
)
def test_a_rule_that_its_plan_keeps_from_firing_says_so(condition: Condition) -> None:
    """Complaint 26: what never fires is not said to reach anyone, and no room in the plan sets it going."""
    why = "open interest comes with Pro: upgrade, or edit the rule"
    kept = rule(condition)
    found = list_vars([kept], {}, {}, WAYS, READER, {}, lambda definition: "1 contract is too new.")
    (row,) = found["active"]
    assert (row["reach"], row["warning"], row["watched"]) == (f"Reaches nobody, because {why}.", "1", "")
    assert (found["room"], found["full"]) == ("0 of 3", False)
    assert told(rule(condition, status="paused", why="plan"))["why"] == f"Paused: {why}."
    assert told(rule(condition, status="paused", why="owner"))["why"] == "Paused by you."
    pro: Any = SimpleNamespace(**{**vars(READER), "plan": PLANS["pro"]})
    assert list_vars([kept], {}, {}, WAYS, pro)["active"][0]["reach"] == "Reaches you only in the app."


def test_what_was_chosen_and_does_not_arrive_is_a_warning() -> None:
    """Complaint 26: a channel that is chosen and not connected is said to be, in the list too."""
    row = told(rule(channels=["in-app", "browser", "telegram"]))
    assert row["reach"] == (
        "Reaches you by browser notification, and in the app. Not by Telegram: it is not connected yet."
    )
    assert row["warning"] == "1"


@pytest.mark.parametrize(
    ("until_ms", "begins"), [(NOW_MS + 1, "Muted until 24 Nov"), (NOW_MS, "Reaches you by browser")]
)
def test_a_mute_is_told_until_it_is_over(until_ms: int, begins: str) -> None:
    account = SimpleNamespace(lists=(), alerts=SimpleNamespace(muted_until_ms=until_ms, quiet=False))
    reader: Any = SimpleNamespace(**{**vars(READER), "visitor": SimpleNamespace(account=account)})
    found = list_vars([rule(channels=["in-app", "browser"])], {}, {}, WAYS, reader)
    assert found["active"][0]["reach"].startswith(begins)


@pytest.mark.parametrize(("urgent", "passes", "waits"), [(False, True, True), (True, True, False), (True, False, True)])
def test_quiet_hours_are_told_of_what_waits_in_them(urgent: bool, passes: bool, waits: bool) -> None:
    wishes = SimpleNamespace(
        muted_until_ms=None, quiet=True, quiet_from_min=22 * 60, quiet_until_min=7 * 60 + 5, urgent_passes=passes
    )
    account = SimpleNamespace(lists=(), alerts=wishes)
    reader: Any = SimpleNamespace(**{**vars(READER), "visitor": SimpleNamespace(account=account)})
    kept = rule(channels=["in-app", "browser"])
    kept.definition = {**kept.definition, "urgent": urgent}
    (row,) = list_vars([kept], {}, {}, WAYS, reader)["active"]
    assert row["reach"].endswith("Only in the app from 22:00 to 07:05.") is waits


def test_a_snooze_that_is_over_is_not_told() -> None:
    assert told(rule(snoozed_until_ms=NOW_MS + 1))["snoozed"]
    assert told(rule(snoozed_until_ms=NOW_MS - 1))["snoozed"] == ""


def test_a_snoozed_rule_reaches_nobody() -> None:
    assert told(rule(snoozed_until_ms=NOW_MS + 1))["reach"] == "Reaches nobody, because it is snoozed."
    assert told(rule(snoozed_until_ms=NOW_MS - 1))["reach"].startswith("Reaches you")


def test_the_silence_certificate_of_today() -> None:
    certificate = Certificate(
        day=1,
        watched_s=3_600.0,
        idle_s=0.0,
        blind={"stale": 90.0},
        nearest=NEAREST,
        until_ms=NOW_MS,
    )
    assert told(rule(), certificate=certificate)["watched"] == (
        "Watched for 1 h today, and was blind for 1 min because no fresh data came from the exchange. "
        "Nearest miss: BTCUSDT, 64,900 of 65,000."
    )
    whole = Certificate(1, 7_200.0, 0.0, {}, {}, NOW_MS)
    assert told(rule(), certificate=whole)["watched"] == "Watched for 2 h today, without a gap."
    assert told(rule(), certificate=Certificate(1, 0.0, 50.0, {}, {}, NOW_MS))["watched"] == ""


def test_the_nearest_miss_of_an_earlier_version_is_not_told() -> None:
    whole = Certificate(1, 7_200.0, 0.0, {}, NEAREST, NOW_MS)
    assert "Nearest" in told(rule(), certificate=whole)["watched"]
    assert "Nearest" not in told(rule(version=2), certificate=whole)["watched"]


def test_the_certificate_says_how_many_contracts_are_too_new() -> None:
    new = "1 of 150 contracts is too new to be judged."

    def watched(kept: RuleRecord, certificate: Certificate | None) -> str:
        known = {} if certificate is None else {kept.id: certificate}
        found = list_vars([kept], {}, known, WAYS, READER, {}, lambda definition: new)
        return (found["active"] or found["paused"])[0]["watched"]

    whole = Certificate(1, 7_200.0, 0.0, {}, NEAREST, NOW_MS)
    assert watched(rule(), whole) == (
        f"Watched for 2 h today, without a gap. {new} Nearest miss: BTCUSDT, 64,900 of 65,000."
    )
    assert watched(rule(), Certificate(1, 5.0, 0.0, {}, {}, NOW_MS)) == f"It has just started watching. {new}"
    assert watched(rule(), None) == new
    # One that rests judges nothing.
    assert new not in watched(rule(status="paused", why="owner"), whole)


@pytest.mark.parametrize(
    ("watched_s", "blind_s", "begins"),
    [
        (0.0004, 0.0, "It has just started watching."),
        (0.943, 12.5, "It has just started watching."),
        (59.9, 0.0, "It has just started watching."),
        (60.0, 0.0, "Watched for 1 min today, without a gap."),
        (0.943, 72.6, "Watched for 0 s today, and was blind for 1 min because"),
        (3_612.7, 12.5, "Watched for 1 h today, and was blind for 12 s because"),
    ],
)
def test_a_day_s_watch_is_told_in_whole_seconds(watched_s: float, blind_s: float, begins: str) -> None:
    blind = {"stale": blind_s} if blind_s else {}
    found = told(rule(), certificate=Certificate(1, watched_s, 0.0, blind, {}, NOW_MS))["watched"]
    assert found.startswith(begins)
    assert not re.search(r"\d ms|\.\d+ s", found)


def test_a_rule_of_another_version_is_listed_and_can_only_be_deleted() -> None:
    row = told(rule(definition={"conditions": [{"kind": "moon"}]}))
    assert "another version of FlashCur" in row["sentence"]
    assert row["reach"].startswith("Reaches nobody, because this version of FlashCur cannot read it")
    assert row["link"] == ""


def test_what_is_shared_keeps_a_watchlist_back() -> None:
    row = told(rule(OnSignal("funding"), scope=Scope("watchlist", watchlist_id="f" * 32)))
    assert "a watchlist that is gone" in row["sentence"]
    assert from_link(row["link"].partition("draft=")[2]).scope == Scope("all")


def test_one_test_message_and_many_are_spoken_of_as_such() -> None:
    assert said_of_tests(1) == "A test message is on its way. Follow it under Messages."
    assert said_of_tests(2) == "2 test messages are on their way. Follow them under Messages."


def test_the_form_s_channels_leave_out_the_app() -> None:
    found = channel_texts(WAYS)
    assert [each["channel"] for each in found] == [channel for channel in CHANNELS if channel != "in-app"]
    assert cast("dict[str, str]", found[1])["why"] == "It is not connected yet."


def test_a_guest_is_told_what_a_shared_rule_watches() -> None:
    definition = Definition((PriceCross("above", 65_000.0),), Scope("symbol", symbol="BTCUSDT"), name="Buy now!")
    assert shared_texts(definition, {"BTCUSDT"}) == {
        "sentence": "Tell me when BTCUSDT trades at or above 65,000\u00a0USDT, at most once an hour.",
        "watches": "BTCUSDT only.",
    }
    assert shared_texts(definition, {"ETHUSDT"})["watches"] == "BTCUSDT, which does not trade here now."
    # Before the first frame nobody knows.
    assert shared_texts(definition, ())["watches"] == "BTCUSDT only."
