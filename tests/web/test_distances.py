"""How far contracts are from signals, as each plan is shown it."""

from __future__ import annotations

from dataclasses import astuple

import orjson
import pytest

from flashcur.domain.plans import PLANS
from flashcur.domain.rules.atoms import SOURCES
from flashcur.domain.rules.measured import UNMEASURED, Measured
from flashcur.domain.signals.detector import Distance
from flashcur.services.bus.topics import DISTANCES_TOPIC
from flashcur.web.distances import Distances, Snapshot
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
    assert known.shown(PLANS["free"], NOON_MS) is None
    known.receive(DISTANCES_TOPIC, message(NOON_MS, FAR, UNKNOWN))
    assert known.of("BTCUSDT") == [FAR, UNKNOWN]
    assert known.of("ETHUSDT") == []
    assert known.as_of_ms == NOON_MS


def shown(known: Distances, minutes: float) -> dict[str, float | None]:
    """By plan, as of which minute after noon it is shown how far contracts are, so many minutes after noon."""
    found = {name: known.shown(plan, NOON_MS + round(minutes * MINUTE_MS)) for name, plan in PLANS.items()}
    return {name: each and (each.as_of_ms - NOON_MS) / MINUTE_MS for name, each in found.items()}


def test_a_plan_that_is_not_live_is_shown_at_its_mark_what_was_told_before_it() -> None:
    known = Distances()
    for minutes in range(20):
        known.receive(DISTANCES_TOPIC, message(NOON_MS + minutes * MINUTE_MS + 1, FAR))
    later = 1 / MINUTE_MS
    assert shown(known, 19.5) == {"guest": 14 + later, "free": 14 + later, "pro": 14 + later, "elite": 19 + later}
    # The next mark needs no further message.
    assert shown(known, 20) == {"guest": 14 + later, "free": 14 + later, "pro": 19 + later, "elite": 19 + later}
    # A message of the very moment of a mark is shown from then on.
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 30 * MINUTE_MS, FAR))
    assert shown(known, 30) == {"guest": 30, "free": 30, "pro": 30, "elite": 30}


def test_after_a_restart_a_plan_that_is_not_live_is_shown_nothing_until_its_mark() -> None:
    known = Distances()
    for seconds in range(0, 60, 10):
        known.receive(DISTANCES_TOPIC, message(NOON_MS + 13 * MINUTE_MS + seconds * 1000, FAR))
        assert shown(known, 13 + seconds / 60) == {"guest": None, "free": None, "pro": None, "elite": 13 + seconds / 60}
    assert known.due_ms(PLANS["guest"]) == known.due_ms(PLANS["pro"]) == NOON_MS + 15 * MINUTE_MS
    # The engine was away over the mark: what it tells first is of long after that.
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 22 * MINUTE_MS, FAR))
    assert shown(known, 22)["guest"] == shown(known, 22)["pro"] == 13 + 50 / 60
    assert known.due_ms(PLANS["guest"]) == NOON_MS + 30 * MINUTE_MS


def test_a_switch_of_exchange_shows_no_plan_more_than_its_mark() -> None:
    known = Distances()
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 14 * MINUTE_MS, FAR))
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 16 * MINUTE_MS, FAR))
    known.receive(DISTANCES_TOPIC, message(NOON_MS + 17 * MINUTE_MS, UNKNOWN, demo=True))
    snapshots = [known.shown(PLANS[name], NOON_MS + 17 * MINUTE_MS) for name in ("guest", "pro", "elite")]
    assert [each and (each.as_of_ms - NOON_MS) // MINUTE_MS for each in snapshots] == [14, 14, 17]
    # Real and demo data never meet: each says which it is.
    assert [each and each.demo for each in snapshots] == [False, False, True]
    assert shown(known, 20)["pro"] == shown(known, 30)["guest"] == 17


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


def told_of(measured: object) -> Snapshot:
    known = Distances()
    told = {"as_of_ms": NOON_MS, "exchange": "binanceusdm", "demo": False, "contracts": {}, "measured": measured}
    known.receive(DISTANCES_TOPIC, orjson.dumps(told))
    shown = known.shown(PLANS["elite"], NOON_MS)
    assert shown is not None
    return shown


def test_what_rules_are_judged_by_is_known_by_contract() -> None:
    values = [None, *(float(number) for number in range(1, SOURCES))]
    shown = told_of({"BTCUSDT": [values], "ETHUSDT": [values, [[0, NOON_MS // 1000]]]})
    assert shown.measured("BTCUSDT") == Measured(values, {})
    assert shown.measured("ETHUSDT") == Measured(values, {0: NOON_MS})
    assert shown.measured("XRPUSDT") == UNMEASURED


@pytest.mark.parametrize("fields", [[], [[1.0]], [[1.0] * SOURCES, [[1]]], [None], 5, [[1.0] * SOURCES, [], []]])
def test_measures_of_another_version_are_not_known(fields: object) -> None:
    assert told_of({"BTCUSDT": fields}).measured("BTCUSDT") == UNMEASURED
    assert told_of(None).measured("BTCUSDT") == UNMEASURED
