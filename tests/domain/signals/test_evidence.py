"""Evidence and signals, from JSON and back, and as people read them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.evidence import LABELS, ROLES, UNITS, Evidence, Measure, measure_text
from flashcur.domain.signals.signal import KINDS, Origin, Signal, signal_key
from tests.domain.signals.market import T0, close, feed, runner

SOURCES = Path(__file__).parents[3] / "flashcur/domain/signals"


@given(
    st.lists(
        st.builds(
            Measure,
            st.sampled_from(sorted(LABELS)),
            st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            st.sampled_from(UNITS),
            st.sampled_from(ROLES),
        )
    ),
    st.none() | st.floats(0, 1e12),
)
def test_evidence_survives_json(measures: list[Measure], line: float | None) -> None:
    evidence = Evidence("volume_spike/1", tuple(measures), "volume", line)
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence
    for measure in measures:
        assert measure.label
        assert isinstance(measure.text, str)


def test_a_signal_survives_json() -> None:
    (signal,) = feed(runner(only=["volume_spike"]), [close(0, 1e6), close(1, 4e6)])
    assert Signal.from_json(json.loads(json.dumps(signal.to_json()))) == signal


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {},
        {"rule_version": "a/1", "measures": [1], "chart": "volume", "line": None},
        {"rule_version": "a/1", "measures": [], "chart": "pie", "line": None},
        {"rule_version": "a/1", "measures": [], "chart": "volume", "line": "high"},
        {
            "rule_version": "a/1",
            "measures": [{"name": "rate", "value": True, "unit": "rate", "role": "input"}],
            "chart": "funding",
            "line": None,
        },
        {
            "rule_version": "a/1",
            "measures": [{"name": "rate", "value": 1, "unit": "miles", "role": "input"}],
            "chart": "funding",
            "line": None,
        },
    ],
)
def test_what_is_no_evidence_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Evidence.from_json(raw)


@pytest.mark.parametrize("change", [{"kind": "MOON"}, {"severity": 9}, {"detector": "oracle"}, {"more": 1}])
def test_what_is_no_signal_is_refused(change: dict[str, object]) -> None:
    (signal,) = feed(runner(only=["volume_spike"]), [close(0, 1e6), close(1, 4e6)])
    with pytest.raises(ValueError, match="expected"):
        Signal.from_json({**signal.to_json(), **change})
    with pytest.raises(ValueError, match="expected"):
        Signal.from_json({"kind": "SPIKE"})


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.05e10, "usd", "$10.50B"),
        (-250_000.0, "usd", "-$250.00K"),
        (0.00001234, "price", "$0.00001234"),
        (63_000.12, "price", "$63,000.12"),
        (3.5, "multiple", "3.50×"),
        (-4.0, "percent", "-4.00 %"),
        (0.0003, "rate", "+0.0300 %"),
        (8.25, "score", "8.2"),
        (20.0, "count", "20"),
        (4.0, "hours", "4 h"),
        (15.0, "minutes", "15 min"),
        ("4 h", "text", "4 h"),
    ],
)
def test_what_a_person_reads(value: float | str, unit: str, text: str) -> None:
    assert measure_text(value, unit) == text  # pyright: ignore[reportArgumentType]


def test_every_number_that_a_detector_names_has_a_label() -> None:
    named = {name for path in SOURCES.glob("*.py") for name in re.findall(r'Measure\(\s*"(\w+)"', path.read_text())}
    assert named == set(LABELS)


def test_keys_tell_events_apart() -> None:
    origins = [Origin("binanceusdm"), Origin("bybit"), Origin("binanceusdm", demo=True)]
    keys = [
        signal_key(origin, symbol, kind, T0 + hour * 3_600_000, *details)
        for origin in origins
        for symbol in ("AUSDT", "BUSDT")
        for kind in KINDS
        for hour in (0, 1)
        for details in ((), (1,), ("5m", "up"))
    ]
    assert len(set(keys)) == len(keys)
