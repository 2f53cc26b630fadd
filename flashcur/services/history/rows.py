"""A series as the rows that a replay takes (`domain.signals.replay`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, repeat

from flashcur.domain.signals.funding_extreme import NORMAL_HOURS, nearest_interval
from flashcur.domain.signals.replay import CandleRow, OpenInterestRow, PaymentRow
from flashcur.services.history.series import Series


def candle_rows(series: Series) -> Iterator[CandleRow]:
    """Hourly candles with their quote volume, which is approximated where the file has none."""
    opens, closes = series.required("open"), series.required("close")
    volumes = series.column("quote_volume")
    if volumes is None:
        bases = series.required("volume")
        quotes = (base * (opened + close) / 2 for base, opened, close in zip(bases, opens, closes, strict=True))
    else:
        quotes = iter(volumes)
    return zip(series.times, opens, series.required("high"), series.required("low"), closes, quotes, strict=True)


def open_interest_rows(series: Series) -> Iterator[OpenInterestRow]:
    """Values of open interest with price and 24 h volume."""
    volumes = series.column("volume_24h") or repeat(None)
    return zip(series.times, series.required("open_interest"), series.required("price"), volumes, strict=False)


def payment_rows(series: Series) -> Iterator[PaymentRow]:
    """Funding payments, each with its interval: the file's, or the time since the payment before."""
    times, said = series.times, series.column("interval_hours")
    prices = series.column("price") or repeat(1.0)
    if said is not None:
        hours = [int(each) for each in said]
    else:
        gaps = [after - before for before, after in pairwise(times)]
        # Of the first payment the time until the next tells.
        hours = [nearest_interval(gap) for gap in [*gaps[:1], *gaps]] or [NORMAL_HOURS] * len(times)
    return zip(times, series.required("rate"), hours, prices, strict=False)
