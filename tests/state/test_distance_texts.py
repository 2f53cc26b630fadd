"""Why a contract has no signal, in the words of a page."""

from __future__ import annotations

from datetime import UTC

from flashcur.domain.plans import PLANS
from flashcur.state.distance_texts import distance_vars
from flashcur.state.reading import Reader
from flashcur.web.distances import Snapshot
from flashcur.web.visitors import GUEST
from tests.support.signals import MINUTE_MS, NOON_MS

SPIKE = ["volume_spike", "Volume spike", 1.5, 3.0, "multiple", 0.5, ""]
SURGE = ["open_interest", "Open interest", 1.0, 4.0, "percent", 0.25, ""]


def reader(snapshot: Snapshot | None, due_ms: int = 0) -> Reader:
    return Reader(
        visitor=GUEST,
        plan=PLANS["guest"],
        exchange="binanceusdm",
        title="Binance",
        demo=False,
        now_ms=NOON_MS,
        zone=UTC,
        newest=(),
        distances=snapshot,
        distances_due_ms=due_ms,
        table=frozenset({"BTCUSDT"}),
        history=None,
    )


def test_a_plan_is_told_what_its_table_shows() -> None:
    told = distance_vars(reader(Snapshot(NOON_MS, "binanceusdm", False, {"BTCUSDT": [SPIKE, SURGE]}, {})), "btc")
    assert told["distances_of"] == "BTCUSDT"
    assert [(each["share"], each["text"][:12]) for each in told["distances"]] == [("50%", "Volume spike")]
    assert told["distances_note"] == "As of 12:00:00 UTC."
    assert distance_vars(reader(None), "ETHUSDT")["distances_of"] == ""


def test_until_its_mark_it_is_told_when_it_will_be_known() -> None:
    told = distance_vars(reader(None, NOON_MS + 15 * MINUTE_MS), "BTCUSDT")
    assert (told["distances"], told["distances_note"]) == ([], "Not known at this moment: again from 12:15 UTC on.")
    assert distance_vars(reader(None), "BTCUSDT")["distances_note"] == "Not known at this moment."
