"""How complete the signals of an exchange are: the ledger of silence in the database, and one line that sums it up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, delete, select

from flashcur.domain.multiples import coin
from flashcur.domain.signals.silence import CAUSES, DAY_MS, Cause, Day
from flashcur.models import SilenceDay
from flashcur.services.kit.clock import from_ms
from flashcur.services.storage.columns import columns_of, rows_of
from flashcur.services.storage.inserts import upsert

KEPT = timedelta(days=90)
"""How long a contract's days are kept."""

_KEY = ("exchange", "demo", "day", "symbol")
_VALUES = ("seen", "stale", "switch", "no_baseline", "engine_away", "not_begun")

_REASONS: dict[Cause, str] = {
    "stale": "because no fresh data came from the exchange",
    "switch": "while another exchange was serving",
    "no_baseline": "while there was too little history to compare with",
    "engine_away": "while FlashCur was not running",
}
_GAP_MS = 1_000
"""What is shorter than this, of a contract's whole span, is no gap."""
_ALIKE = 10
"""Contracts that were blind for more than so many times as long as the one in the middle are told apart."""
_ALIKE_MS = 600_000
_FEW = 0.1
"""Up to this share of the contracts, what was blind are exceptions."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How long one contract was blind, in ms."""

    symbol: str
    stale: int = 0
    switch: int = 0
    no_baseline: int = 0
    engine_away: int = 0

    @property
    def blind_ms(self) -> int:
        """All causes together."""
        return self.stale + self.switch + self.no_baseline + self.engine_away


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
    last_ms: int = 0
    """Beginning of the last day, Unix ms."""
    now_ms: int = 0
    gaps: tuple[Gap, ...] = ()
    """Of the contracts that had one, the longest first."""
    gap_days: tuple[tuple[int, int], ...] = ()
    """(beginning of a day in Unix ms, how long the contracts of `usual_gaps` were blind on it); the most first."""
    narrowed: bool = False
    """Whether only some contracts were asked for."""

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
    def middle_ms(self) -> int:
        """How long the contract in the middle was blind; 0 where most had no gap."""
        middle = self.contracts // 2
        return self.gaps[middle].blind_ms if len(self.gaps) > middle else 0

    @property
    def usual_gaps(self) -> tuple[Gap, ...]:
        """The gaps that the line is about: those of most contracts where most had one, without the odd ones."""
        middle_ms = self.middle_ms
        if not middle_ms:
            return self.gaps
        most_ms = max(_ALIKE * middle_ms, middle_ms + _ALIKE_MS)
        return tuple(gap for gap in self.gaps if gap.blind_ms <= most_ms)

    @property
    def text(self) -> str:
        """One line for people. Only where there was no gap at all it says "Complete" and nothing else."""
        share = self.share
        if share is None:
            if self.narrowed:
                return "Whether this is complete is not known: none of these contracts was watched then."
            return "How complete this is will be known once the contracts have been watched for a while."
        when = self._when()
        if not self.gaps:
            watched = "the contract was" if self.contracts == 1 else f"all {self.contracts:,} contracts were"
            return f"Complete: {watched} watched without a gap {when}."
        usual = self.usual_gaps
        on_and_why = f"{self._dates()}, {_reason(usual)}"
        if self.middle_ms:
            each = "" if self.contracts == 1 else " per contract"
            odd = self.gaps[: len(self.gaps) - len(usual)]
            rest = f"; {_who(odd)} for {_length(odd)}" if odd else ""
            return f"{_percent(share)} complete {when}: {_span_text(self.middle_ms)} blind{each}{on_and_why}{rest}."
        if len(usual) == 1:
            return f"Complete {when} but for {_who(usual)}, blind for {_length(usual)}{on_and_why}."
        of_all = f"{len(usual):,} of {self.contracts:,} contracts"
        if len(usual) <= _FEW * self.contracts:
            return f"Complete {when} but for {of_all}, blind for {_length(usual)}{on_and_why}."
        return f"{_percent(share)} complete {when}: {of_all} were blind for {_length(usual)}{on_and_why}."

    def _when(self) -> str:
        """The span, of which only whole days are known: `today (UTC)`, `since 20 November`."""
        today_ms = self.now_ms // DAY_MS * DAY_MS
        first, last = _day_text(self.first_ms), _day_text(self.last_ms)
        if self.first_ms >= self.last_ms:
            return "today (UTC)" if self.first_ms == today_ms else f"on {first}"
        if self.last_ms >= today_ms:
            return f"since {first}"
        return f"from {first} to {last}"

    def _dates(self) -> str:
        """When the gaps were."""
        if self.first_ms >= self.last_ms or not self.gap_days:
            return ""
        (day_ms, most_ms), all_ms = self.gap_days[0], sum(blind_ms for _, blind_ms in self.gap_days)
        day = "today" if day_ms == self.now_ms // DAY_MS * DAY_MS else f"on {_day_text(day_ms)}"
        if most_ms >= 0.95 * all_ms:
            return f" {day}"
        return f", most of it {day}" if most_ms > 0.5 * all_ms else f" on {len(self.gap_days)} days"


def completeness(
    session: Session,
    exchange: str,
    *,
    demo: bool,
    first_ms: int,
    end_ms: int,
    now_ms: int | None = None,
    coins: Collection[str] | None = None,
) -> Completeness:
    """How complete what was found from `first_ms` to `end_ms` (Unix ms) is; days are taken whole.

    Of the contracts on `coins` (`domain.multiples.coin`), if these are given. `now_ms` is `end_ms` unless it is given.
    """
    span = (
        col(SilenceDay.exchange) == exchange,
        col(SilenceDay.demo).is_(demo),
        col(SilenceDay.day) >= first_ms // DAY_MS,
        col(SilenceDay.day) < -(-end_ms // DAY_MS),
    )
    rows = [row for row in _by_symbol(session, span) if coins is None or coin(row[0]) in coins]
    seen, not_begun, stale, switch, no_baseline, engine_away = (sum(row[at] for row in rows) for at in range(3, 9))
    gaps = [gap for row in rows if (gap := Gap(row[0], *row[5:])).blind_ms >= _GAP_MS]
    found = Completeness(
        min((row[1] for row in rows), default=first_ms // DAY_MS) * DAY_MS,
        seen,
        stale,
        switch,
        no_baseline,
        engine_away,
        len(rows),
        not_begun,
        last_ms=max((row[2] for row in rows), default=first_ms // DAY_MS) * DAY_MS,
        now_ms=end_ms if now_ms is None else now_ms,
        gaps=tuple(sorted(gaps, key=lambda gap: (-gap.blind_ms, gap.symbol))),
        narrowed=coins is not None,
    )
    if found.first_ms == found.last_ms or not gaps:
        return found
    usual = [gap.symbol for gap in found.usual_gaps]
    of_these = () if len(usual) == len(rows) and coins is None else (col(SilenceDay.symbol).in_(usual),)
    return replace(found, gap_days=_by_day(session, (*span, *of_these)))


def _by_symbol(session: Session, span: Iterable[ColumnElement[bool]]) -> list[tuple[Any, ...]]:
    """(symbol, first day, last day, seen, not begun, and each cause), of each contract."""
    sums = [func.sum(getattr(SilenceDay, name)) for name in ("seen", "not_begun", *CAUSES)]
    columns = columns_of(SilenceDay.symbol, func.min(SilenceDay.day), func.max(SilenceDay.day), *sums)
    query = columns.where(*span).group_by(col(SilenceDay.symbol))
    # PostgreSQL's sums are decimals.
    return [(symbol, *map(int, numbers)) for symbol, *numbers in rows_of(session, query)]


def _by_day(session: Session, chosen: Iterable[ColumnElement[bool]]) -> tuple[tuple[int, int], ...]:
    """See `Completeness.gap_days`."""
    day = SilenceDay
    blind = func.sum(col(day.stale) + col(day.switch) + col(day.no_baseline) + col(day.engine_away))
    query = select(day.day, blind).where(*chosen).group_by(col(day.day)).having(blind >= _GAP_MS)
    days = [(number * DAY_MS, int(blind_ms)) for number, blind_ms in session.exec(query)]
    return tuple(sorted(days, key=lambda each: (-each[1], each[0])))


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
            **{name: getattr(day, name) for name in _VALUES},
            "until_ms": until_ms,
        }
        for day in days
    }
    return upsert(session, SilenceDay, _KEY, rows)


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


def _percent(share: float) -> str:
    """A share below 1, which no rounding makes whole: `98.7 %`, `99.99 %`, `over 99.99 %`."""
    missing = 100 * (1 - share)
    if missing < 0.01:
        return "Over 99.99 %"
    # Two decimals where one would say that nothing is missing.
    return f"{100 - missing:.{1 if missing >= 0.1 else 2}f} %" if share else "0 %"


def _reason(gaps: Sequence[Gap]) -> str:
    """Why these were blind, most of the time."""
    causes = {cause: sum(getattr(gap, cause) for gap in gaps) for cause in CAUSES}
    main = max(CAUSES, key=lambda cause: causes[cause])
    only = causes[main] >= 0.99 * sum(causes.values())
    return ("" if only else "mostly ") + _REASONS[main]


def _who(gaps: Sequence[Gap]) -> str:
    return gaps[0].symbol if len(gaps) == 1 else f"{len(gaps):,} contracts"


def _length(gaps: Sequence[Gap]) -> str:
    """How long the gaps are, the longest first."""
    longest, shortest = _span_text(gaps[0].blind_ms), _span_text(gaps[-1].blind_ms)
    return longest if longest == shortest else f"up to {longest}"


def _day_text(day_ms: int) -> str:
    return f"{from_ms(day_ms):%-d %B}"


def _span_text(ms: float) -> str:
    """A length of time: `90 s`, `12 min`, `3.5 h`, `41 h`, `2.1 days`."""
    for size_ms, unit in ((DAY_MS, "days"), (3_600_000, "h"), (60_000, "min")):
        # Two of the larger unit, so that 90 s are not told as 2 min.
        if ms >= 2 * size_ms:
            number = ms / size_ms
            decimals = 0 if unit == "min" or number >= 10 else 1
            return f"{number:.{decimals}f}".removesuffix(".0") + f" {unit}"
    return f"{ms / 1000:.0f} s"
