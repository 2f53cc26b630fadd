"""Figures of a process in Prometheus's text format.

Most parts of FlashCur count for themselves; their counts are read when a scrape comes (`Metrics.watch`), so nothing is
counted twice and the hot path does not know about metrics. Durations are observed as they happen.

The library is prometheus_client: escaping, histograms and process figures are settled there. Each `Metrics` has its
own registry, so that two engines in one test, or an engine and a page server in one process, do not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flashcur.services.bus import BusCounters

CONTENT_TYPE = CONTENT_TYPE_LATEST

Labels = tuple[str, ...]
Reader = Callable[[], Mapping[Labels, float]]
"""Values by label values, in the order of the family's labels; `{(): 1.0}` for a family without labels."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: a counter's name ends in `_total`, a duration is in seconds."""

    name: str
    meaning: str
    labels: Labels = ()
    kind: Literal["counter", "gauge"] = "counter"


STREAM_MESSAGES = Family("flashcur_stream_messages_total", "Raw messages, good or bad", ("exchange", "stream"))
REJECTS = Family(
    "flashcur_rejects_total", "Values refused by the parsers; see the reason", ("exchange", "stream", "reason")
)
STREAM_RECONNECTS = Family("flashcur_stream_reconnects_total", "Connections made again", ("exchange", "stream"))
FRAMES = Family("flashcur_frames_total", "Frames taken of the market")
FRAME_AGE = Family("flashcur_frame_age_seconds", "Age of the newest frame", kind="gauge")
PRICE_AGE = Family("flashcur_price_age_seconds", "Age of the newest price in the table", kind="gauge")
ENGINE_ACTIVE = Family("flashcur_engine_active", "1 while this process is the active engine", kind="gauge")
SOCKETS = Family("flashcur_sockets", "Sockets that show the table", ("audience",), kind="gauge")
BROADCASTS = Family("flashcur_broadcast_messages_total", "Messages written to sockets")
SKIPPED_FRAMES = Family("flashcur_skipped_frames_total", "Frames a socket that did not drain never got")
SOCKET_REFUSALS = Family(
    "flashcur_socket_refusals_total",
    "Messages of sockets that were refused, by reason: size, rate, form, name, arguments, access, hydration; "
    "and connections: sockets (too many of a network), connections (too many a second), tabs (too many in all)",
    ("reason",),
)
TABS = Family(
    "flashcur_tabs",
    "Tabs whose state is held: open, or kept for a minute after they were",
    ("connection",),
    kind="gauge",
)
JOB_RUNS = Family("flashcur_job_runs_total", "Runs of scheduled jobs; outcome is ok or failed", ("job", "outcome"))
BUS_MESSAGES = Family(
    "flashcur_bus_messages_total", "Messages of the bus: published, failed, fenced, received, skipped", ("outcome",)
)
DELIVERIES = Family(
    "flashcur_deliveries_total",
    "Attempts to send a message: sent, failed (tried again), of these uncertain (no answer), dead, expired",
    ("channel", "outcome"),
)
DELIVERIES_WAITING = Family("flashcur_deliveries_waiting", "Messages that are to be sent", ("channel",), kind="gauge")
DELIVERY_AGE = Family(
    "flashcur_delivery_oldest_seconds", "Age of the oldest message that is to be sent", ("channel",), kind="gauge"
)
DETECTOR_EVALUATIONS = Family(
    "flashcur_detector_evaluations_total", "Times a detector's rule was evaluated", ("detector",)
)
DETECTOR_SECONDS = Family("flashcur_detector_seconds_total", "Time a detector spent on ticks", ("detector",))
DETECTOR_FAILURES = Family("flashcur_detector_failures_total", "Ticks at which a detector failed")
SIGNALS_FIRED = Family("flashcur_signals_fired_total", "Signals given", ("detector", "kind"))
SIGNALS_SUPPRESSED = Family(
    "flashcur_signals_suppressed_total",
    "What looked like a signal and was none, by reason: stale, no_baseline, cooldown, illiquid, small, "
    "unclear_interval, mass_change",
    ("detector", "reason"),
)
SIGNALS_STORED = Family(
    "flashcur_signals_stored_total", "Signals on their way into the database: stored, dropped", ("outcome",)
)
SIGNALS_WAITING = Family("flashcur_signals_waiting", "Signals that are not in the database yet", kind="gauge")
CONTRACTS_READY = Family(
    "flashcur_contracts_ready",
    "Contracts that detectors watch, by whether their baselines are there",
    ("ready",),
    kind="gauge",
)
RULES_ACTIVE = Family("flashcur_rules_active", "Rules that are evaluated", kind="gauge")
RULES_WATCHED = Family("flashcur_rules_contracts", "Contracts that any rule watches", kind="gauge")
RULES_TICKS = Family("flashcur_rules_ticks_total", "Ticks that rules were evaluated on")
RULES_SECONDS = Family("flashcur_rules_seconds_total", "Time spent on evaluating rules")
RULES_FAILURES = Family("flashcur_rules_failures_total", "Ticks and signals at which the evaluation failed")
RULES_FIRED = Family(
    "flashcur_rules_fired_total", "Times a rule fired: seen, or missed while nothing was watched", ("how",)
)
ALERTS_STORED = Family(
    "flashcur_alerts_stored_total", "Alerts on their way into the database: stored, dropped", ("outcome",)
)
ALERTS_WAITING = Family("flashcur_alerts_waiting", "Alerts that are not in the database yet", kind="gauge")
BUS_RECONNECTS = Family("flashcur_bus_reconnects_total", "Times a reader of the bus lost its connection")

FAMILIES = tuple(value for value in globals().values() if isinstance(value, Family))

FRAME_BUILD = ("flashcur_frame_build_seconds", "Taking, encoding and handing over a frame")
BROADCAST = ("flashcur_broadcast_seconds", "Writing a frame to all sockets of this process")
SIGNAL_DELAY = ("flashcur_signal_seconds", "From the message that fired a signal to its committed row")
ALERT_DELAY = ("flashcur_alert_seconds", "From the message that fired a rule to its alert's committed row")
# The promise for the first two is well under 100 ms; a second is a frame lost.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SIGNAL_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0)
"""The promise is 0.3 s; far more is told of a database that was away."""


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._watched = _Watched()
        self._registry.register(self._watched)
        ProcessCollector(registry=self._registry)
        self.frame_build = Histogram(*FRAME_BUILD, buckets=BUCKETS_S, registry=self._registry)
        self.broadcast = Histogram(*BROADCAST, buckets=BUCKETS_S, registry=self._registry)
        self.signal_delay = Histogram(*SIGNAL_DELAY, buckets=SIGNAL_BUCKETS_S, registry=self._registry)
        self.alert_delay = Histogram(*ALERT_DELAY, buckets=SIGNAL_BUCKETS_S, registry=self._registry)

    def watch(self, family: Family, read: Reader) -> None:
        """Call `read` at every scrape. What several readers of a family say of the same labels is added up."""
        self._watched.readers.append((family, read))

    def watch_bus(self, counters: BusCounters) -> None:
        """Show what a bus counts, as `BUS_MESSAGES` and `BUS_RECONNECTS`."""
        outcomes = ("published", "failed", "fenced", "received", "skipped")
        self.watch(BUS_MESSAGES, lambda: {(outcome,): getattr(counters, outcome) for outcome in outcomes})
        self.watch(BUS_RECONNECTS, lambda: {(): counters.reconnects})

    def render(self) -> bytes:
        """The body of `/metrics` (Prometheus's text format, UTF-8); its type is CONTENT_TYPE."""
        return generate_latest(self._registry)


class _Watched(Collector):
    def __init__(self) -> None:
        self.readers: list[tuple[Family, Reader]] = []

    def collect(self) -> Iterator[Metric]:
        totals: dict[Family, dict[Labels, float]] = {}
        for family, read in self.readers:
            values = totals.setdefault(family, {})
            for labels, value in read().items():
                values[labels] = values.get(labels, 0.0) + value
        for family, values in totals.items():
            yield _metric(family, values.items())

    def describe(self) -> Iterable[Metric]:
        return []


def _metric(family: Family, values: Iterable[tuple[Labels, float]]) -> Metric:
    made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = made(family.name, family.meaning, labels=family.labels)
    for labels, value in values:
        metric.add_metric(labels, value)
    return metric
