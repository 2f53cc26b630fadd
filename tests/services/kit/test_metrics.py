"""The text that a scrape gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flashcur.services.bus import BusCounters
from flashcur.services.kit.metrics import (
    BROADCAST,
    ENGINE_ACTIVE,
    FAMILIES,
    FRAME_BUILD,
    REJECTS,
    SIGNAL_DELAY,
    SOCKETS,
    Family,
    Metrics,
)

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values, in the alphabetical order of the labels."""
    text = metrics.render().decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_values_are_read_when_the_scrape_comes() -> None:
    metrics, sockets = Metrics(), {("elite",): 1.0}
    metrics.watch(SOCKETS, lambda: sockets)
    assert samples(metrics)["flashcur_sockets", ("elite",)] == 1
    sockets["elite",] = 7
    assert samples(metrics)["flashcur_sockets", ("elite",)] == 7


def test_counters_of_several_feeds_stand_side_by_side_and_equal_ones_add_up() -> None:
    metrics = Metrics()
    metrics.watch(REJECTS, lambda: {("bybit", "ticker", "negative"): 2})
    metrics.watch(REJECTS, lambda: {("bybit", "ticker", "negative"): 1, ("bybit", "candle", "absurd"): 4})
    found = samples(metrics)
    assert found["flashcur_rejects_total", ("bybit", "negative", "ticker")] == 3
    assert found["flashcur_rejects_total", ("bybit", "absurd", "candle")] == 4


def test_label_values_are_escaped() -> None:
    metrics = Metrics()
    metrics.watch(SOCKETS, lambda: {('a"b\nc\\',): 1})
    assert samples(metrics)["flashcur_sockets", ('a"b\nc\\',)] == 1


def test_durations_are_histograms() -> None:
    metrics = Metrics()
    metrics.frame_build.observe(0.004)
    found = samples(metrics)
    assert found["flashcur_frame_build_seconds_bucket", ("0.005",)] == 1
    assert found["flashcur_frame_build_seconds_bucket", ("0.0025",)] == 0
    assert found["flashcur_frame_build_seconds_count", ()] == 1


def test_the_bus_is_watched() -> None:
    metrics, counters = Metrics(), BusCounters()
    metrics.watch_bus(counters)
    counters.skipped, counters.reconnects = 3, 2
    found = samples(metrics)
    assert found["flashcur_bus_messages_total", ("skipped",)] == 3
    assert found["flashcur_bus_reconnects_total", ()] == 2


def test_two_instances_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.watch(ENGINE_ACTIVE, lambda: {(): 1})
    assert ("flashcur_engine_active", ()) in samples(one)
    assert ("flashcur_engine_active", ()) not in samples(two)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: Family) -> None:
    assert family.name.startswith("flashcur_")
    assert family.name.endswith("_total") == (family.kind == "counter")


def test_every_metric_is_documented() -> None:
    page = OPERATIONS.read_text()
    names = [family.name for family in FAMILIES] + [FRAME_BUILD[0], BROADCAST[0], SIGNAL_DELAY[0]]
    assert [name for name in names if f"`{name}" not in page] == []
