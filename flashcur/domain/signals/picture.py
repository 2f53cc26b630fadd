"""The small picture beside a signal's evidence: the hours around it, the threshold as a line. Shapes only, no colours.

Its plane is `WIDTH` by `HEIGHT`; it is stretched to whatever room there is, so texts stand beside it, placed by shares
of its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashcur.domain.formats import compact
from flashcur.domain.signals.evidence import measure_text
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle

WIDTH, HEIGHT = 600.0, 160.0
HOURS_BEFORE, HOURS_AFTER = 36, 12
DAYS_OF_PAYMENTS = 14

_TOP = 0.06
"""Of the height that stays free above the largest value, and below the smallest price."""


@dataclass(frozen=True, slots=True)
class Picture:
    """SVG paths (`d`), and what is written at them. An empty path is nothing to draw."""

    first_ms: int
    """Left edge, Unix ms."""
    end_ms: int
    """Right edge."""
    mark: float
    """Where the signal is, 0 (left) to 1."""
    caption: str
    """What is seen, for everybody."""
    description: str
    """The same for whoever cannot see it, with the numbers."""
    bars: str = ""
    marked: str = ""
    """The bar of the signal's own hour."""
    curve: str = ""
    ground: str = ""
    """The line at 0, where there are values on both sides of it."""
    line: float | None = None
    """Where the threshold is, 0 (top) to 1; None without one."""
    line_text: str = ""
    most_text: str = ""
    """The value at the top."""


def volume_picture(
    hours: Sequence[Candle],
    period_ms: int,
    seen: float | None,
    line: float | None,
    line_is: str,
    first_ms: int,
    end_ms: int,
) -> Picture | None:
    """Bars of hourly volume in USDT, with that of the hour that began at `period_ms` marked; None without any.

    `seen` is the volume that fired, for an hour that is not known to its end; `line_is` what the line is
    (`Evidence.line_is`).
    """
    volumes = {hour.open_ms: hour.volume_quote for hour in hours if first_ms <= hour.open_ms < end_ms}
    own = volumes.get(period_ms, seen)
    if own is not None:
        volumes[period_ms] = own
    if not volumes:
        return None
    most = max(max(volumes.values()), line or 0.0) / (1 - _TOP) or 1.0
    span = end_ms - first_ms
    step = WIDTH * HOUR_MS / span

    def bar(open_ms: int) -> str:
        x, height = WIDTH * (open_ms - first_ms) / span, volumes[open_ms] / most * HEIGHT
        return f"M{x + step * 0.12:.1f} {HEIGHT:g}v{-height:.1f}h{step * 0.76:.1f}v{height:.1f}z"

    usual = sorted(volume for open_ms, volume in volumes.items() if open_ms != period_ms)
    around = f" The other hours lie between ${compact(usual[0])} and ${compact(usual[-1])}." if usual else ""
    limit = "" if line is None else f" The line is {line_is}, ${compact(line)}."
    return Picture(
        first_ms,
        end_ms,
        mark=(period_ms + HOUR_MS / 2 - first_ms) / span,
        caption="Volume of each hour in USDT; the hour of the signal stands out."
        + (f" The line is {line_is}." if line is not None else ""),
        description=f"Volume of {len(volumes)} hours. In the hour of the signal ${compact(own)}.{around}{limit}",
        bars="".join(bar(open_ms) for open_ms in sorted(volumes) if open_ms != period_ms),
        marked=bar(period_ms) if period_ms in volumes else "",
        line=None if line is None else 1 - line / most,
        line_text="" if line is None else f"${compact(line)}",
        most_text=f"${compact(most)}",
    )


def price_picture(
    hours: Sequence[Candle], event_ms: int, price: float | None, first_ms: int, end_ms: int
) -> Picture | None:
    """The closes of the hours as a curve, with the signal's moment marked; None with fewer than two."""
    points = {hour.open_ms + HOUR_MS: hour.close for hour in hours if first_ms <= hour.open_ms < end_ms}
    if price is not None:
        points[event_ms] = price
    if len(points) < 2:
        return None
    least, most = min(points.values()), max(points.values())
    free = (most - least or most or 1.0) * _TOP
    least, most = least - free, most + free
    span = end_ms - first_ms

    def point(at_ms: int) -> str:
        return f"{WIDTH * (at_ms - first_ms) / span:.1f} {HEIGHT * (most - points[at_ms]) / (most - least):.1f}"

    moments = sorted(points)
    first, last = points[moments[0]], points[moments[-1]]
    low, high = (measure_text(value, "price") for value in (min(points.values()), max(points.values())))
    now = "" if price is None else f" When the signal fired it was {measure_text(price, 'price')}."
    return Picture(
        first_ms,
        end_ms,
        mark=(event_ms - first_ms) / span,
        caption="Price by the hour; the dashed line is the moment of the signal.",
        description=f"Price of {len(moments)} hours, between {low} and {high}, first {measure_text(first, 'price')}, "
        f"last {measure_text(last, 'price')}.{now}",
        curve="M" + "L".join(map(point, moments)),
        most_text=measure_text(float(f"{most:.5g}"), "price"),
    )


def funding_picture(
    payments: Sequence[Payment],
    event_ms: int,
    rate: float | None,
    interval_hours: float,
    line: float | None,
    line_is: str,
) -> Picture | None:
    """Bars of past payments per 8 hours and of the rate that fired, `rate`; None without past ones."""
    first_ms = event_ms - DAYS_OF_PAYMENTS * 24 * HOUR_MS
    # The interval of each follows from the payment before it.
    rates: dict[int, float] = {}
    before: int | None = None
    for payment in sorted(payments, key=lambda each: each.paid_ms):
        hours = interval_hours if before is None else min(8.0, max(1.0, (payment.paid_ms - before) / HOUR_MS))
        before = payment.paid_ms
        if first_ms <= payment.paid_ms <= event_ms + 2 * 24 * HOUR_MS:
            rates[payment.paid_ms] = payment.rate * 8 / hours
    if not rates:
        return None
    end_ms = max(event_ms, *rates) + 12 * HOUR_MS
    values = [*rates.values(), 0.0, *(each for each in (rate, line) if each is not None)]
    least, most = min(values), max(values)
    free = (most - least or 1.0) * _TOP
    least, most = (least - free if least < 0 else 0.0), (most + free if most > 0 else 0.0)
    span = end_ms - first_ms

    def y(value: float) -> float:
        return HEIGHT * (most - value) / (most - least or 1.0)

    def bar(at_ms: int, value: float, width: float) -> str:
        x = WIDTH * (at_ms - first_ms) / span
        return f"M{x - width / 2:.1f} {y(0):.1f}V{y(value):.1f}h{width:.1f}V{y(0):.1f}z"

    width = max(1.5, 0.7 * WIDTH * HOUR_MS * interval_hours / span)
    low, high = measure_text(min(rates.values()), "rate"), measure_text(max(rates.values()), "rate")
    now = "" if rate is None else f" The rate that fired was {measure_text(rate, 'rate')}."
    limit = "" if line is None else f" The line is {line_is}, {measure_text(line, 'rate')}."
    return Picture(
        first_ms,
        end_ms,
        mark=(event_ms - first_ms) / span,
        caption="Funding payments per 8 hours; the rate of the signal stands out."
        + (f" The line is {line_is}." if line is not None else ""),
        description=f"{len(rates)} payments between {low} and {high} per 8 hours.{now}{limit}",
        bars="".join(bar(at_ms, value, width) for at_ms, value in rates.items() if at_ms != event_ms),
        marked="" if rate is None else bar(event_ms, rate, max(width, 3.0)),
        ground=f"M0 {y(0):.1f}H{WIDTH:g}",
        line=None if line is None else y(line) / HEIGHT,
        line_text="" if line is None else measure_text(line, "rate"),
        most_text=measure_text(most, "rate"),
    )
