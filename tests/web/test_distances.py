"""How far contracts are from signals, as each plan is shown it."""

from __future__ import annotations

from dataclasses import astuple

import orjson
import pytest

from flashcur.domain.plans import PLANS
from flashcur.domain.signals.detector import Distance
from flashcur.services.bus.topics import DISTANCES_TOPIC
from flashcur.web.distances import Distances
from tests.support.signals import MINUTE_MS, NOON_MS

FAR = Distance("volume_spike", "Volume spike", 1.2, 3.0, "multiple", 0.4)
UNKNOWN = Distance("adaptive_spike", "Unusual volume", None, 6.0, "score", 0.0, "no baseline yet (7 of 12 hours)")


def message(as_of_ms: int, *distances: Distance, demo: bool = False) -> bytes:
    rows = [list(astuple(each)) for each in distances]
    told = {"as_of_ms": as_of_ms, "exchange": "binanceusdm", "demo": demo, "contracts": {"BTCUSDT": rows}}
    return orjson.dumps(told)


def test_the_newest_is_known_by_contract() -> None:
    known = Distances()
    assert known.of("BTCUSDT") == []
    assert known.shown(PLANS["free"]) is None
    known.receive(DISTANCES_TOPIC, message(NOON_MS, FAR, UNKNOWN))
    assert known.of("BTCUSDT") == [FAR, UNKNOWN]
    assert known.of("ETHUSDT") == []
    assert known.as_of_ms == NOON_MS


def test_a_plan_that_is_not_live_is_shown_its_mark() -> None:
    known = Distances()
    for minutes in range(20):
        known.receive(DISTANCES_TOPIC, message(NOON_MS + minutes * MINUTE_MS, FAR))
    shown = {plan: known.shown(PLANS[plan]) for plan in PLANS}
    times = {plan: snapshot and (snapshot.as_of_ms - NOON_MS) // MINUTE_MS for plan, snapshot in shown.items()}
    assert times == {"guest": 15, "free": 15, "pro": 15, "elite": 19}
    # Real and demo data never meet.
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 20 * MINUTE_MS - 1, FAR, demo=True))
    assert all(snapshot is not None and snapshot.demo for snapshot in map(known.shown, PLANS.values()))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"as_of_ms": 1, "exchange": "", "demo": 0, "contracts": []}'])
def test_what_is_no_such_message_is_dropped(payload: bytes) -> None:
    known = Distances()
    known.receive(DISTANCES_TOPIC, message(NOON_MS, FAR))
    known.receive(DISTANCES_TOPIC, payload)
    assert known.of("BTCUSDT") == [FAR]


def test_what_another_version_tells_is_not_known() -> None:
    known = Distances()
    told = {"BTCUSDT": [["moon", "To the moon", 1, 2, "multiple", 0.5, ""]], "ETHUSDT": [[1]]}
    raw = {"as_of_ms": NOON_MS, "exchange": "binanceusdm", "demo": False, "contracts": told}
    known.receive(DISTANCES_TOPIC, orjson.dumps(raw))
    assert known.of("BTCUSDT") == known.of("ETHUSDT") == []
