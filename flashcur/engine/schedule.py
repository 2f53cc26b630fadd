"""What the scheduler does, by name and interval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from sqlmodel import Session

from flashcur.domain.ages import allowance
from flashcur.domain.billing.prices import PriceTable
from flashcur.domain.plans import PLANS, Audience, last_mark_ms
from flashcur.engine.candles import Candles
from flashcur.engine.delivery import DeliveryWorker
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.gathering import Gathering
from flashcur.engine.history import History
from flashcur.engine.jobs import Jobs, every, on_the_clock
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.marks import MARK_AUDIENCES, Marks
from flashcur.engine.open_interest import OpenInterestPoller
from flashcur.engine.outcomes import Outcomes
from flashcur.engine.rule_windows import RuleWindows
from flashcur.services.accounts.upkeep import end_plans, prune_accounts
from flashcur.services.alerts import alerts, certificates, checkpoints, episodes, push_ends, signals, silence
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.kit.clock import from_ms, length_ms
from flashcur.services.records import hour_candles, past_series
from flashcur.services.records.funding_payments import KEPT as PAYMENTS_KEPT
from flashcur.services.records.funding_payments import prune_payments, purge_demo_payments
from flashcur.services.records.instrument_events import prune_events, purge_demo_events
from flashcur.services.records.instrument_sets import purge_demo_sets
from flashcur.services.storage.database import Database

TICKER_SILENCE_MS = allowance("ticker").ms
FUNDING_SILENCE_MS = allowance("funding").ms
"""Age of the freshest price, and of the freshest funding rate, at which both are asked for by REST."""
SWITCH_JOBS = ("streamed candles", "candles", "open interest", "history", "prune")
"""When an exchange begins to serve: what has to be asked for, contract by contract, and what demo data leaves."""
EVENTS_KEPT = timedelta(days=90)


class JobSource(Protocol):
    """What the jobs ask of the market's source; see `MarketSource`."""

    async def refresh_instruments(self) -> None: ...

    async def refresh_snapshot(self) -> None: ...


class Schedule:
    """The jobs of one time in office. Each returns one line that says what was done."""

    def __init__(
        self,
        *,
        market: LiveMarket,
        source: JobSource,
        marks: Marks,
        candles: Candles,
        open_interest: OpenInterestPoller,
        outcomes: Outcomes,
        history: History,
        evaluation: Evaluation,
        delivery: DeliveryWorker,
        gathering: Gathering,
        windows: RuleWindows,
        database: Database,
        deliver: Deliver,
        prices: PriceTable,
        clock: Callable[[], int],
    ) -> None:
        """`deliver` writes down where notices go; `clock` is Unix ms."""
        self._market = market
        self._source = source
        self._marks = marks
        self._candles = candles
        self._open_interest = open_interest
        self._outcomes = outcomes
        self._history = history
        self._evaluation = evaluation
        self._delivery = delivery
        self._gathering = gathering
        self._windows = windows
        self._database = database
        self._deliver = deliver
        self._prices = prices
        self._clock = clock

    def add(self, jobs: Jobs) -> None:
        """Add all of them to `jobs`."""
        for audience in MARK_AUDIENCES:
            jobs.add(
                f"mark {audience}",
                on_the_clock(PLANS[audience].cadence_s),
                self._mark(audience),
                timeout_s=10,
                at_once=False,
            )
        jobs.add("refresh prices", every(1), self.refresh_prices, timeout_s=15)
        # One request of weight 1; what is delisted leaves, and what is listed joins, within this time.
        jobs.add("instruments", every(15), self.refresh_instruments, timeout_s=50, at_once=False)
        jobs.add("streamed candles", every(30), self._candles.choose_streamed, timeout_s=10)
        jobs.add("candles", every(2), self._candles.poll, timeout_s=120)
        jobs.add("open interest", every(5), self._open_interest.poll, timeout_s=120)
        jobs.add("open interest history", every(10), self._open_interest.backfill, timeout_s=300)
        jobs.add("outcomes", every(60), self._outcomes.fill, timeout_s=50)
        # Looked at often, so that an exchange that begins to serve need not wait; computed each hour.
        jobs.add("statistics", every(300), self._outcomes.sum_up, timeout_s=120)
        jobs.add("history", every(3), self._history.fill, timeout_s=300)
        jobs.add("rules", every(60), self._evaluation.sweep, timeout_s=50, at_once=False)
        jobs.add("gather", every(1), self._gathering.run, timeout_s=30)
        jobs.add("deliveries", every(10), self._delivery.tend, timeout_s=30)
        jobs.add("rule windows", every(5), self._windows.fill, timeout_s=300)
        jobs.add("prune", every(3600), self.prune, timeout_s=60)
        jobs.add("end plans", every(60), self.end_plans, timeout_s=30)
        jobs.add("prune accounts", every(3600), self.prune_accounts, timeout_s=60)
        jobs.add("push subscriptions", every(3600), self.tend_push_subscriptions, timeout_s=60)

    def _mark(self, audience: Audience) -> Callable[[], Awaitable[str]]:
        async def publish() -> str:
            return await self._marks.at_mark(audience, last_mark_ms(PLANS[audience].cadence_s, self._clock()))

        return publish

    async def refresh_prices(self) -> str:
        """Ask for all prices and funding rates when a stream of them is silent. Raises VenueError."""
        target = self._market.target
        if target is None:
            return "no exchange serves"
        now_ms = self._clock()
        ticker_ms = target.book.silence_ms("ticker", now_ms)
        funding_ms = target.book.silence_ms("funding", now_ms)
        if ticker_ms is None or (ticker_ms <= TICKER_SILENCE_MS and (funding_ms or 0) <= FUNDING_SILENCE_MS):
            return "streams are alive"
        await self._source.refresh_snapshot()
        return f"asked: price {ticker_ms / 1000:.0f} s old"

    async def refresh_instruments(self) -> str:
        """Ask for the universe: contracts join and leave without a restart. Raises VenueError."""
        if self._market.target is None:
            return "no exchange serves"
        await self._source.refresh_instruments()
        return f"{sum(len(book.book) for book in (self._market.target,) if book)} contracts"

    async def prune(self) -> str:
        """Delete what is too old, and what was seen on demo data once real data serves."""
        target = self._market.target
        now_ms = self._clock()
        real = target is not None and not target.demo

        def work(session: Session) -> tuple[int, int, int, int]:
            if real:
                checkpoints.purge_demo_checkpoints(session)
                purge_demo_events(session)
                purge_demo_sets(session)
                purge_demo_payments(session)
                past_series.purge_demo_series(session)
                episodes.purge_demo_episodes(session)
                silence.purge_demo_days(session)
            episodes.prune_episodes(session, now_ms - length_ms(signals.KEPT))
            silence.prune_days(session, now_ms - length_ms(silence.KEPT))
            certificates.prune_days(session, now_ms - length_ms(certificates.KEPT))
            prune_payments(session, now_ms - length_ms(PAYMENTS_KEPT))
            return (
                prune_events(session, from_ms(now_ms) - EVENTS_KEPT),
                signals.prune(session, now_ms - length_ms(signals.KEPT)) + (signals.purge_demo(session) if real else 0),
                hour_candles.prune_hours(session, now_ms - length_ms(hour_candles.KEPT))
                + (hour_candles.purge_demo_hours(session) if real else 0),
                alerts.prune(session, now_ms - length_ms(alerts.KEPT)) + (alerts.purge_demo(session) if real else 0),
            )

        return "{} listings, {} signals, {} hours, {} alerts deleted".format(*await self._database.run(work))

    async def end_plans(self) -> str:
        """A plan whose time is over gives way to what follows it."""
        now = from_ms(self._clock())
        return await self._database.run(lambda session: end_plans(session, self._prices, now))

    async def prune_accounts(self) -> str:
        """Delete sessions, links, messages and events whose time is over."""
        now = from_ms(self._clock())
        return await self._database.run(lambda session: prune_accounts(session, now))

    async def tend_push_subscriptions(self) -> str:
        """Tell whose browsers' subscriptions to web push end, and switch off what is over, an account at a time."""
        now_ms = self._clock()
        accounts = await self._database.run(lambda session: push_ends.due_accounts(session, now_ms), readonly=True)
        told = ended = 0
        for account_id in accounts:
            done = await self._database.run(
                lambda session, account_id=account_id: push_ends.tend(session, account_id, now_ms, self._deliver)
            )
            told, ended = told + done.told, ended + done.ended
        return f"{told} told, {ended} switched off"
