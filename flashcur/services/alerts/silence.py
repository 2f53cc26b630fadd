"""How complete the signals of an exchange are: the ledger of silence in the database, and one line that sums it up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.silence import CAUSES, DAY_MS, Cause, Day
from flashcur.models import SilenceDay
from flashcur.services.kit.clock import from_ms
from flashcur.services.storage.inserts import insert_into

KEPT = timedelta(days=90)
"""How long a contract's days are kept."""

_KEY = ("exchange", "demo", "day", "symbol")
_VALUES = ("seen", "stale", "switch", "no_baseline", "engine_away", "not_begun", "until_ms")

_REASONS: dict[Cause, str] = {
    "stale": "because the exchange’s data came late",
    "switch": "while another exchange was serving",
    "no_baseline": "while there was too little history to compare with",
    "engine_away": "while FlashCur was not running",
}
_AS_GOOD_AS_ALL = 0.9995
"""From this share on one decimal says 100 %."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """How long the detectors saw and were blind in some days; times in ms, summed over all contracts."""

    first_ms: int
    """Beginning of the first day of which anything is known, Unix ms."""
    seen_ms: int
    stale_ms: int
    """Blind because values were older than their allowance; the following by the other causes."""
    switch_ms: int
    no_baseline_ms: int
    engine_away_ms: int
    contracts: int
    """Contracts that were watched at any time."""
    not_begun_ms: int = 0
    """Before the exchange was watched for the first time: no part of what is complete or not."""

    @property
    def blind_ms(self) -> int:
        """All causes together."""
        return self.stale_ms + self.switch_ms + self.no_baseline_ms + self.engine_away_ms

    @property
    def accounted_ms(self) -> int:
        """Everything: the days, as far as they are over."""
        return self.seen_ms + self.blind_ms + self.not_begun_ms

    @property
    def share(self) -> float | None:
        """Of the time that was seen, 0 to 1; None where nothing is known."""
        known = self.seen_ms + self.blind_ms
        return self.seen_ms / known if known else None

    @property
    def text(self) -> str:
        """One line for people."""
        share = self.share
        if share is None:
            return "How complete this is will be known once the contracts have been watched for a while."
        since = f"since {from_ms(self.first_ms):%-d %B}"
        if share >= _AS_GOOD_AS_ALL:
            watched = "the contract was" if self.contracts == 1 else f"all {self.contracts:,} contracts were"
            return f"Complete: {watched} watched without a gap {since}."
        blind: dict[Cause, int] = {cause: getattr(self, f"{cause}_ms") for cause in CAUSES}
        cause = max(blind, key=lambda each: blind[each])
        mostly = "" if blind[cause] == self.blind_ms else "mostly "
        each = "" if self.contracts == 1 else " per contract"
        span = _span_text(self.blind_ms / max(1, self.contracts))
        return f"{share * 100:.1f} % complete: {span} blind{each} {since}, {mostly}{_REASONS[cause]}."


def completeness(session: Session, exchange: str, *, demo: bool, first_ms: int, end_ms: int) -> Completeness:
    """How complete what was found from `first_ms` to `end_ms` (Unix ms) is; days are taken whole."""
    sums = [func.coalesce(func.sum(getattr(SilenceDay, name)), 0) for name in ("seen", *CAUSES, "not_begun")]
    # SQLModel's types end at four columns.
    columns = cast("Any", select)(func.min(SilenceDay.day), func.count(func.distinct(SilenceDay.symbol)), *sums)
    query = columns.where(
        col(SilenceDay.exchange) == exchange,
        col(SilenceDay.demo).is_(demo),
        col(SilenceDay.day) >= first_ms // DAY_MS,
        col(SilenceDay.day) < -(-end_ms // DAY_MS),
    )
    found = cast("tuple[int | None, ...]", tuple(cast("Any", session).exec(query).one()))
    # PostgreSQL's sums are decimals.
    first_day, contracts, seen, stale, switch, no_baseline, engine_away, not_begun = (
        None if value is None else int(value) for value in found
    )
    first_ms = (first_ms // DAY_MS if first_day is None else first_day) * DAY_MS
    return Completeness(
        first_ms,
        seen or 0,
        stale or 0,
        switch or 0,
        no_baseline or 0,
        engine_away or 0,
        contracts or 0,
        not_begun or 0,
    )


def save_days(session: Session, exchange: str, days: Iterable[Day], *, demo: bool, until_ms: int) -> int:
    """Write down the accounts of days, in place of what is known of them; returns how many.

    `until_ms` (Unix ms) is up to when the time of these contracts is accounted for.
    """
    rows = {
        (day.day_ms, day.symbol): {
            "exchange": exchange,
            "demo": demo,
            "day": day.day_ms // DAY_MS,
            "symbol": day.symbol,
            **{name: getattr(day, name) for name in _VALUES[:-1]},
            "until_ms": until_ms,
        }
        for day in days
    }
    if not rows:
        return 0
    statement = insert_into(session, SilenceDay)
    replaced = {name: statement.excluded[name] for name in _VALUES}
    # In one order, so that two engines that overlap do not hold each other up.
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=_KEY, set_=replaced), [rows[key] for key in sorted(rows)]
    )
    return len(rows)


def load_days(session: Session, exchange: str, *, demo: bool) -> tuple[list[Day], int]:
    """(the days, until when in Unix ms) of the contracts that were watched when the ledger was saved last.

    All of these were saved together then, and those that had left before were not. No days where there are none.
    """
    mine = (col(SilenceDay.exchange) == exchange, col(SilenceDay.demo).is_(demo))
    until_ms = session.scalar(select(func.max(SilenceDay.until_ms)).where(*mine))
    if until_ms is None:
        return [], 0
    query = (
        select(SilenceDay)
        .where(*mine, col(SilenceDay.until_ms) == until_ms)
        .order_by(col(SilenceDay.day), col(SilenceDay.symbol))
    )
    return [_day(row) for row in session.exec(query)], until_ms


def ledgers(session: Session) -> list[tuple[str, bool]]:
    """(exchange, demo) of all that have a ledger."""
    query = select(SilenceDay.exchange, SilenceDay.demo).distinct().order_by(SilenceDay.exchange)
    return [(exchange, demo) for exchange, demo in session.exec(query)]


def prune_days(session: Session, before_ms: int) -> int:
    """Delete days that were over by `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(SilenceDay).where(col(SilenceDay.day) < before_ms // DAY_MS)).rowcount


def purge_demo_days(session: Session) -> int:
    """Delete the days of demo data; returns how many."""
    return session.exec(delete(SilenceDay).where(col(SilenceDay.demo))).rowcount


def _day(row: SilenceDay) -> Day:
    return Day(
        row.symbol, row.day * DAY_MS, row.seen, row.stale, row.switch, row.no_baseline, row.engine_away, row.not_begun
    )


def _span_text(ms: float) -> str:
    """A length of time: `45 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for size_ms, unit, decimals in ((DAY_MS, "days", 1), (3_600_000, "h", 1), (60_000, "min", 0)):
        # Two of the larger unit, so that nothing reads "1 days".
        if ms >= (2 if unit == "days" else 1) * size_ms:
            return f"{ms / size_ms:.{decimals}f}".removesuffix(".0") + f" {unit}"
    return f"{ms / 1000:.0f} s"
