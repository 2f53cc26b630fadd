"""The engine: the one process part that talks to exchanges. It waits for the lease, serves while it holds it, and
starts over when it has lost it.

Everything that belongs to one time in office (book, feeds, jobs, frames) is made anew with it and ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sqlmodel import Session

from flashcur import __version__
from flashcur.domain.frames import Frame
from flashcur.domain.spikes import SpikeRule
from flashcur.engine.alert_writer import AlertWriter
from flashcur.engine.candles import Candles, CandleSource
from flashcur.engine.certificate_keeper import CertificateKeeper
from flashcur.engine.database_writer import DatabaseWriter
from flashcur.engine.delivery import DeliveryWorker
from flashcur.engine.detection import Detection
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.framing import Framer
from flashcur.engine.gathering import Gathering
from flashcur.engine.history import History, HistorySource
from flashcur.engine.history_status import HistoryStatus
from flashcur.engine.jobs import Jobs
from flashcur.engine.live_market import InstrumentChange, LiveMarket, VenueBook
from flashcur.engine.marks import MARK_AUDIENCES, Marks
from flashcur.engine.open_interest import OpenInterestPoller, OpenInterestSource
from flashcur.engine.outcomes import MinuteSource, Outcomes
from flashcur.engine.past_reader import PastReader, PastSource
from flashcur.engine.publisher import FencedPublisher
from flashcur.engine.rule_windows import RuleWindows
from flashcur.engine.schedule import SWITCH_JOBS, JobSource, Schedule
from flashcur.engine.signal_writer import SignalWriter
from flashcur.engine.silence_keeper import SilenceKeeper
from flashcur.engine.status import (
    ENGINE_TOPIC,
    STATUS_EVERY_S,
    EngineStatus,
    RulesStatus,
    SignalsStatus,
    channel_status,
    engine_status,
)
from flashcur.engine.telegram_updates import TelegramUpdates
from flashcur.engine.why_not import WhyNot
from flashcur.errors import DatabaseError
from flashcur.models import AlertRecord, InstrumentEvent
from flashcur.services.alerts import leaving
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.billing.plans import price_table
from flashcur.services.bus import Bus
from flashcur.services.kit.clock import from_ms, now_ms
from flashcur.services.kit.metrics import (
    ALERTS_STORED,
    ALERTS_WAITING,
    CONTRACTS_READY,
    DELIVERIES,
    DELIVERIES_WAITING,
    DELIVERY_AGE,
    DETECTOR_EVALUATIONS,
    DETECTOR_FAILURES,
    DETECTOR_SECONDS,
    ENGINE_ACTIVE,
    FRAME_AGE,
    FRAMES,
    JOB_RUNS,
    PRICE_AGE,
    REJECTS,
    RULES_ACTIVE,
    RULES_FAILURES,
    RULES_FIRED,
    RULES_SECONDS,
    RULES_TICKS,
    RULES_WATCHED,
    SIGNALS_FIRED,
    SIGNALS_STORED,
    SIGNALS_SUPPRESSED,
    SIGNALS_WAITING,
    STREAM_MESSAGES,
    STREAM_RECONNECTS,
    Metrics,
)
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.lease import Lease, Tenure
from flashcur.services.market.counters import StreamCounters
from flashcur.services.market.source import MarketSource, Sink, VenueStatus
from flashcur.services.notify.channel import Channel
from flashcur.services.notify.channels import make_channels
from flashcur.services.notify.dialling import Dialler
from flashcur.services.records.instrument_events import record_event
from flashcur.services.records.mark_frames import last_mark
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import routes_origin

logger = logging.getLogger(__name__)

_STORED_MARKS_TIMEOUT_S = 3.0
_STOP_TIMEOUT_S = 4.0


class Source(JobSource, HistorySource, CandleSource, OpenInterestSource, MinuteSource, PastSource, Protocol):
    """What the engine needs of `MarketSource`; see there."""

    async def run(self) -> None: ...

    def status(self) -> list[VenueStatus]: ...


SourceFactory = Callable[[Settings, Sink], Source]


class Engine:
    """Runs in the page server's process (`WebRuntime`) or alone (`flashcur.engine`)."""

    def __init__(
        self,
        settings: Settings,
        *,
        bus: Bus,
        database: Database,
        lease: Lease,
        metrics: Metrics,
        source: SourceFactory = MarketSource,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """The database must be migrated by the time `run` is called; `clock` is Unix ms."""
        self._settings = settings
        self._bus = bus
        self._database = database
        self._lease = lease
        self._metrics = metrics
        self._make_source = source
        self._clock = clock
        self._dialler = Dialler(allow_private=settings.allow_private_webhooks)
        self.channels = make_channels(settings, self._dialler)
        """All that messages leave by, configured or not."""
        self.office: Office | None = None
        """What runs while the lease is held; None on standby."""
        self.failures: Counter[str] = Counter()
        self._watch()

    async def run(self) -> None:
        """Serve whenever the lease is ours, until cancelled."""
        try:
            while True:
                async with self._lease.hold() as tenure:
                    self._bus.epoch = tenure.epoch
                    await self._serve(tenure)
        finally:
            await self._dialler.close()

    async def _serve(self, tenure: Tenure) -> None:
        office = Office(
            self._settings,
            tenure,
            bus=self._bus,
            database=self._database,
            metrics=self._metrics,
            source=self._make_source,
            channels=self.channels,
            clock=self._clock,
            failures=self.failures,
        )
        self.office = office
        try:
            await office.start()
            await tenure.lost.wait()
        finally:
            self.office = None
            await office.stop()

    def _watch(self) -> None:
        metrics = self._metrics
        metrics.watch(ENGINE_ACTIVE, lambda: {(): float(self.office is not None)})
        metrics.watch(FRAMES, lambda: {(): float(self.office.framer.frames)} if self.office else {})
        metrics.watch(FRAME_AGE, self._frame_age)
        metrics.watch(PRICE_AGE, self._price_age)
        metrics.watch(JOB_RUNS, self._job_runs)
        metrics.watch(DELIVERIES, self._deliveries)
        metrics.watch(DELIVERIES_WAITING, self._deliveries_waiting)
        metrics.watch(DELIVERY_AGE, self._delivery_age)
        metrics.watch(STREAM_MESSAGES, lambda: self._streams(lambda stream: stream.messages))
        metrics.watch(STREAM_RECONNECTS, lambda: self._streams(lambda stream: max(0, stream.connects - 1)))
        metrics.watch(REJECTS, self._rejects)
        metrics.watch(DETECTOR_EVALUATIONS, lambda: self.office.detection.figures.evaluated if self.office else {})
        metrics.watch(DETECTOR_SECONDS, lambda: self.office.detection.figures.seconds if self.office else {})
        metrics.watch(DETECTOR_FAILURES, lambda: {(): self.office.detection.failures} if self.office else {})
        metrics.watch(SIGNALS_FIRED, lambda: self.office.detection.figures.fired if self.office else {})
        metrics.watch(SIGNALS_SUPPRESSED, lambda: self.office.detection.figures.suppressed if self.office else {})
        metrics.watch(SIGNALS_STORED, self._signals_stored)
        metrics.watch(SIGNALS_WAITING, lambda: {(): self.office.signal_writer.waiting} if self.office else {})
        metrics.watch(CONTRACTS_READY, self._contracts_ready)
        metrics.watch(RULES_ACTIVE, lambda: {(): len(self.office.evaluation.rules)} if self.office else {})
        metrics.watch(RULES_WATCHED, lambda: {(): self.office.evaluation.contracts} if self.office else {})
        metrics.watch(RULES_TICKS, lambda: {(): self.office.evaluation.figures.ticks} if self.office else {})
        metrics.watch(RULES_SECONDS, lambda: {(): self.office.evaluation.figures.seconds} if self.office else {})
        metrics.watch(RULES_FAILURES, lambda: {(): self.office.evaluation.figures.failures} if self.office else {})
        metrics.watch(RULES_FIRED, self._rules_fired)
        metrics.watch(ALERTS_STORED, self._alerts_stored)
        metrics.watch(ALERTS_WAITING, lambda: {(): self.office.alert_writer.waiting} if self.office else {})

    def _frame_age(self) -> dict[tuple[str, ...], float]:
        last = self.office.framer.last if self.office else None
        return {} if last is None else {(): max(0.0, (self._clock() - last.as_of_ms) / 1000)}

    def _price_age(self) -> dict[tuple[str, ...], float]:
        age_ms = self.office.price_age_ms(self._clock()) if self.office else None
        return {} if age_ms is None else {(): age_ms / 1000}

    def _job_runs(self) -> dict[tuple[str, ...], float]:
        runs: dict[tuple[str, ...], float] = {}
        for report in self.office.jobs.reports if self.office else ():
            runs[report.name, "ok"] = report.runs - report.failures
            runs[report.name, "failed"] = report.failures
        return runs

    def _deliveries(self) -> dict[tuple[str, ...], float]:
        if self.office is None:
            return {}
        outcomes = ("sent", "failed", "uncertain", "dead", "expired")
        reports = self.office.delivery.reports.items()
        return {(name, outcome): getattr(report, outcome) for name, report in reports for outcome in outcomes}

    def _deliveries_waiting(self) -> dict[tuple[str, ...], float]:
        reports = self.office.delivery.reports if self.office else {}
        return {(name,): report.waiting for name, report in reports.items()}

    def _delivery_age(self) -> dict[tuple[str, ...], float]:
        reports = self.office.delivery.reports if self.office else {}
        return {(name,): report.oldest_age_s or 0.0 for name, report in reports.items()}

    def _signals_stored(self) -> dict[tuple[str, ...], float]:
        if self.office is None:
            return {}
        writer = self.office.signal_writer
        return {("stored",): writer.stored, ("dropped",): writer.dropped}

    def _rules_fired(self) -> dict[tuple[str, ...], float]:
        figures = self.office.evaluation.figures if self.office else None
        return {} if figures is None else {("seen",): figures.firings, ("missed",): figures.missed}

    def _alerts_stored(self) -> dict[tuple[str, ...], float]:
        writer = self.office.alert_writer if self.office else None
        return {} if writer is None else {("stored",): writer.stored, ("dropped",): writer.dropped}

    def _contracts_ready(self) -> dict[tuple[str, ...], float]:
        if self.office is None:
            return {}
        status = self.office.history.status()
        return {("yes",): status.ready, ("no",): status.contracts - status.ready}

    def _streams(self, count: Callable[[StreamCounters], int]) -> dict[tuple[str, ...], float]:
        venues = self.office.source.status() if self.office else []
        return {(v.key, stream): count(c) for v in venues for stream, c in v.counters.streams.items()}

    def _rejects(self) -> dict[tuple[str, ...], float]:
        venues = self.office.source.status() if self.office else []
        return {(v.key, *reason): number for v in venues for reason, number in v.counters.rejects.items()}


class Office:
    """One time in office."""

    def __init__(
        self,
        settings: Settings,
        tenure: Tenure,
        *,
        bus: Bus,
        database: Database,
        metrics: Metrics,
        source: SourceFactory,
        channels: Mapping[str, Channel],
        clock: Callable[[], int],
        failures: Counter[str],
    ) -> None:
        self._tenure = tenure
        self._base = routes_origin(settings)
        self._channels = channels
        self._bus = FencedPublisher(bus, tenure)
        self._database = database
        self._clock = clock
        self._status_seq = 0
        self._tasks = Supervisor(failures)
        rule = SpikeRule(settings.spike_multiple, settings.spike_floor)
        self.writer = DatabaseWriter(database)
        self.signal_writer = SignalWriter(
            database, tenure, self._bus, clock=clock, observe=metrics.signal_delay.observe
        )
        self.market = LiveMarket(clock, self._on_change, self._on_switch)
        self.detection = Detection(self.market, self.signal_writer, database, rule, clock=clock)
        self.alert_writer = AlertWriter(
            database,
            tenure,
            self._bus,
            self._deliver,
            clock=clock,
            observe=metrics.alert_delay.observe,
        )
        self.evaluation = Evaluation(
            self.market, self.alert_writer, database, preferred=settings.exchanges[0], clock=clock
        )
        self.detection.follow(self.evaluation)
        self.certificates = CertificateKeeper(self.evaluation, self.detection.is_ready, database, tenure, clock=clock)
        self.source = source(settings, self.market)
        self.silence = SilenceKeeper(self.market, self.detection, database, tenure, clock=clock)
        self.why_not = WhyNot(self.detection, self.evaluation, self._bus, clock=clock)
        self.marks = Marks(self._bus, self.writer)
        self.framer = Framer(
            self.market,
            self._bus,
            rule,
            clock=clock,
            observe=metrics.frame_build.observe,
            on_frame=self._on_frame,
        )
        self.candles = Candles(self.market, self.source, clock=clock)
        self.open_interest = OpenInterestPoller(
            self.market, self.source, clock=clock, learn=self.evaluation.on_interest
        )
        self.outcomes = Outcomes(self.market, self.source, database, clock)
        self.past_reader = PastReader(self.market, self.evaluation, self.source, database, clock)
        self.history = History(self.market, self.source, self.detection, database, clock=clock)
        self.telegram = TelegramUpdates(settings, database, clock)
        self.delivery = DeliveryWorker(
            database, channels, settings.secret_key, clock, deliver=self._deliver, ask=leaving.asking(channels)
        )
        self.jobs = Jobs(self.writer)
        self._schedule = Schedule(
            market=self.market,
            source=self.source,
            marks=self.marks,
            candles=self.candles,
            open_interest=self.open_interest,
            outcomes=self.outcomes,
            history=self.history,
            evaluation=self.evaluation,
            delivery=self.delivery,
            gathering=Gathering(database, channels, self._base, clock),
            windows=RuleWindows(self.evaluation, self.source, clock),
            database=database,
            deliver=self._deliver,
            prices=price_table(settings.stripe),
            clock=clock,
        )

    async def start(self) -> None:
        """Start everything; frames begin as soon as an exchange has delivered."""
        await self._read_marks()
        self._tasks.start("database writer", self.writer.run)
        self._tasks.start("signal writer", self.signal_writer.run)
        self._tasks.start("detectors", self.detection.run)
        self._tasks.start("alert writer", self.alert_writer.run)
        self._tasks.start("rules", self.evaluation.run)
        self._tasks.start("silence", self.silence.run)
        self._tasks.start("certificates", self.certificates.run)
        self._tasks.start("why not", self.why_not.run)
        self._tasks.start("past reader", self.past_reader.run)
        self._tasks.start("market source", self.source.run)
        self._tasks.start("frames", self.framer.run)
        self._tasks.start("engine status", self._tell_status)
        # On demo data too: its alerts never leave the machine, while accounts and their mail are real.
        self._tasks.start("delivery", self.delivery.run)
        self._tasks.start("telegram", self.telegram.run)
        self._schedule.add(self.jobs)
        self.jobs.start()

    async def stop(self) -> None:
        """End everything within a few seconds; what cannot end by then is left to the process's end."""
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self.jobs.stop()
                await self._tasks.stop()
                await self.signal_writer.flush()
                self.evaluation.close()
                await self.alert_writer.flush()
                await self.silence.flush()
                await self.certificates.flush()
        except TimeoutError:
            logger.error("the engine did not stop within %g s", _STOP_TIMEOUT_S)

    def price_age_ms(self, now_ms: int) -> int | None:
        """Age in ms of the newest price in the table; None before the first."""
        shown = self.market.shown
        return None if shown is None else shown.book.silence_ms("ticker", now_ms)

    def status(self) -> EngineStatus:
        """How the engine is now."""
        last = self.framer.last
        now_ms = self._clock()
        price_age_ms = self.price_age_ms(now_ms)
        history = self.history.status()
        return engine_status(
            as_of_ms=now_ms,
            epoch=self._tenure.epoch,
            process=f"{platform.node()}:{os.getpid()}",
            version=__version__,
            last_frame_ms=None if last is None else last.as_of_ms,
            frames=self.framer.frames,
            venues=self.source.status(),
            jobs=self.jobs.reports,
            failures=dict(self._tasks.failures),
            last_price_ms=None if price_age_ms is None else now_ms - price_age_ms,
            channels={name: channel_status(report) for name, report in self.delivery.reports.items()},
            signals=self._signals_status(history),
            history=history,
            rules=self._rules_status(),
        )

    def _rules_status(self) -> RulesStatus:
        evaluation, writer = self.evaluation, self.alert_writer
        if not evaluation.is_ready:
            state = "starting"
        else:
            state = "waiting" if writer.is_held_up or evaluation.is_waiting else "ok"
        return RulesStatus(
            state,
            len(evaluation.rules),
            evaluation.contracts,
            evaluation.figures.firings,
            evaluation.figures.missed,
            writer.stored,
            writer.waiting,
            writer.dropped,
        )

    def _signals_status(self, history: HistoryStatus) -> SignalsStatus:
        """How the detectors and their signals are, where `history` is how far their past is filled."""
        writer = self.signal_writer
        if self.detection.runner is None:
            state = "starting"
        elif writer.is_held_up:
            state = "waiting"
        else:
            state = "filling" if history.filling else "ok"
        return SignalsStatus(state, writer.stored, writer.waiting, writer.dropped, history.contracts, history.ready)

    def _deliver(self, session: Session, found: Sequence[AlertRecord], now_ms: int) -> None:
        dispatch(session, found, self._channels, now_ms, self._base)

    async def _on_frame(self, frame: Frame) -> None:
        await self.marks.on_frame(frame)

    async def _tell_status(self) -> None:
        while True:
            # Numbered by time, like frames: nobody takes an older status for a newer one.
            self._status_seq = max(self._status_seq + 1, self._clock())
            payload = self.status().encode()
            await self._bus.publish(ENGINE_TOPIC, self._status_seq, payload, payload)
            await asyncio.sleep(STATUS_EVERY_S)

    async def _read_marks(self) -> None:
        try:
            async with asyncio.timeout(_STORED_MARKS_TIMEOUT_S):
                rows = await self._database.run(
                    lambda session: [last_mark(session, audience) for audience in MARK_AUDIENCES], readonly=True
                )
        except (DatabaseError, TimeoutError) as error:
            logger.warning("the last marks cannot be read: %s", error)
            return
        for audience, row in zip(MARK_AUDIENCES, rows, strict=True):
            if row is None:
                continue
            try:
                self.marks.restore(audience, Frame.decode(row.payload))
            except ValueError as error:
                logger.warning("the stored %s mark is of another version: %s", audience, error)

    def _on_switch(self) -> None:
        # The new exchange's snapshot is in the book by the time this is run.
        asyncio.get_running_loop().call_soon(self.jobs.start_now, SWITCH_JOBS)

    def _on_change(self, book: VenueBook, kind: InstrumentChange, symbol: str) -> None:
        seen_ms = self._clock()
        logger.info("%s %s %s", book.venue.name, kind, symbol)

        def record(session: Session) -> None:
            event = InstrumentEvent(
                exchange=book.venue.id, symbol=symbol, kind=kind, demo=book.demo, seen_at=from_ms(seen_ms)
            )
            record_event(session, event)

        self.writer.write(f"{kind} {symbol} {seen_ms}", record)
