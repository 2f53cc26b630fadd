"""How the active engine is, said on the bus every two seconds, so that any web process can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, cast

import orjson

from flashcur.engine.delivery import ChannelReport
from flashcur.engine.history_status import HistoryStatus
from flashcur.engine.jobs import JobReport
from flashcur.services.market.source import VenueStatus

ENGINE_TOPIC = "engine"
"""Topic of the bus."""
STATUS_EVERY_S = 2.0
STATUS_TTL_MS = 10_000
"""A status older than this, in ms, is of an engine that has gone."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One exchange."""

    name: str
    state: str
    reason: str
    demo: bool
    symbols: int
    last_message_age_s: float | None
    """Seconds since the last usable message of any stream; None before the first."""
    streams: dict[str, float | None]
    """Stream to the age of its last usable message, in seconds."""
    messages: int
    rejects: int
    reconnects: int
    waits_s: float | None = None
    """Seconds until requests are sent again, where the exchange asked for a pause."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The last run of one scheduled job; times are ISO 8601, UTC."""

    started_at: str | None
    finished_at: str | None
    ok: bool | None
    detail: str
    runs: int
    failures: int


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """A channel that messages leave by, since the engine took office."""

    state: str
    """`ok`, `failing` (what was tried last is put off), `held` (its provider asks us to wait), `stalled` (what is due
    is not taken up), or `not configured`."""
    sent: int
    failed: int
    """Attempts that are repeated."""
    uncertain: int
    """Of these, those to which nobody answered."""
    dead: int
    """Messages that were given up; the log says why."""
    expired: int
    """Messages that had become of no use."""
    waiting: int
    """Messages that are to be sent."""
    oldest_age_s: float | None
    """Of these, how long ago the oldest was written, in seconds."""


@dataclass(frozen=True, slots=True)
class SignalsStatus:
    """The detectors and what becomes of their signals, since the engine took office."""

    state: str
    """`ok`, `waiting` (the database does not take them), `filling` (baselines are still to come, of others than
    new or quiet contracts), or `starting`."""
    stored: int
    waiting: int
    """Found and not in the database yet."""
    dropped: int
    """Lost, because the database was away for too long; the log says more."""
    contracts: int
    """Watched now."""
    ready: int
    """Of these, those with all that they are compared with."""


@dataclass(frozen=True, slots=True)
class RulesStatus:
    """Rules and what becomes of their alerts, since the engine took office."""

    state: str
    """`ok`, `waiting` (the database cannot be read, or does not take alerts), or `starting`."""
    active: int
    """Rules that are evaluated."""
    contracts: int
    """Contracts that any of them watches."""
    fired: int
    missed: int
    """What became met while nothing was watched."""
    stored: int
    """Alerts."""
    waiting: int
    """Found and not in the database yet."""
    dropped: int
    """Lost, because the database refuses them; the log says more."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The active engine."""

    as_of_ms: int
    """When it said so, Unix ms."""
    epoch: int
    """Of its lease."""
    process: str
    """`host:pid`."""
    version: str
    last_frame_ms: int | None
    """Time of its newest frame, Unix ms; None before the first."""
    frames: int
    """Frames taken in this time in office."""
    feeds: dict[str, FeedStatus] = field(default_factory=dict[str, FeedStatus])
    """By ccxt id, or `demo`, in order of preference."""
    jobs: dict[str, JobStatus] = field(default_factory=dict[str, JobStatus])
    failures: dict[str, int] = field(default_factory=dict[str, int])
    """Tasks that failed and were started again, with how often."""
    last_price_ms: int | None = None
    """When the table's newest price was last known to be true, Unix ms; None before the first."""
    channels: dict[str, ChannelStatus] = field(default_factory=dict[str, ChannelStatus])
    """By name, as in `domain.plans`."""
    signals: SignalsStatus | None = None
    history: HistoryStatus | None = None
    rules: RulesStatus | None = None

    def encode(self) -> bytes:
        """The status as JSON bytes for the bus."""
        return orjson.dumps(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The status that `encode` wrote. Raises ValueError for anything else."""
        raw = orjson.loads(data)
        try:
            values = cast("dict[str, Any]", raw)
            feeds = {key: FeedStatus(**value) for key, value in values.pop("feeds").items()}
            jobs = {key: JobStatus(**value) for key, value in values.pop("jobs").items()}
            channels = {key: ChannelStatus(**value) for key, value in values.pop("channels", {}).items()}
            signals = values.pop("signals", None)
            history, rules = values.pop("history", None), values.pop("rules", None)
            return cls(
                **values,
                feeds=feeds,
                jobs=jobs,
                channels=channels,
                signals=None if signals is None else SignalsStatus(**signals),
                history=None if history is None else HistoryStatus(**history),
                rules=None if rules is None else RulesStatus(**rules),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"expected an engine status: {error}") from None


def engine_status(
    *,
    as_of_ms: int,
    epoch: int,
    process: str,
    version: str,
    last_frame_ms: int | None,
    frames: int,
    venues: Iterable[VenueStatus],
    jobs: Iterable[JobReport],
    failures: dict[str, int],
    last_price_ms: int | None,
    channels: dict[str, ChannelStatus],
    signals: SignalsStatus,
    history: HistoryStatus,
    rules: RulesStatus,
) -> EngineStatus:
    """A status from what the engine's parts report."""
    return EngineStatus(
        as_of_ms,
        epoch,
        process,
        version,
        last_frame_ms,
        frames,
        feeds={venue.key: _feed(venue) for venue in venues},
        jobs={report.name: _job(report) for report in jobs},
        failures=failures,
        last_price_ms=last_price_ms,
        channels=channels,
        signals=signals,
        history=history,
        rules=rules,
    )


def channel_status(report: ChannelReport) -> ChannelStatus:
    """A channel as its worker reports it."""
    return ChannelStatus(
        "stalled" if report.stalled else report.state,
        report.sent,
        report.failed,
        report.uncertain,
        report.dead,
        report.expired,
        report.waiting,
        _rounded(report.oldest_age_s),
    )


def _feed(venue: VenueStatus) -> FeedStatus:
    counters = venue.counters
    return FeedStatus(
        name=venue.name,
        state=venue.state.value,
        reason=venue.reason,
        demo=venue.demo,
        symbols=venue.symbols,
        last_message_age_s=_rounded(venue.last_message_age_s),
        streams={stream.value: _rounded(age_s) for stream, age_s in venue.stream_ages_s.items()},
        messages=counters.messages,
        rejects=counters.rejects.total(),
        reconnects=counters.reconnects,
        waits_s=_rounded(venue.waits_s),
    )


def _job(report: JobReport) -> JobStatus:
    return JobStatus(
        _iso(report.started), _iso(report.finished), report.ok, report.detail, report.runs, report.failures
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
