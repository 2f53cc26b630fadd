"""How numbers are written, once, for the table, the API's text and every message.

What writes a text never raises: a missing value (None, NaN, infinite) becomes the empty string, which the page shows
as a dash, never as 0.
"""

from __future__ import annotations

from math import isfinite

# (from, scale, letter): 999,995 would round to 1000.00K, so it is 1.00M.
_SCALES = tuple(
    (scale * 0.999995, scale, letter) for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
)


def price(value: float | None, decimals: int) -> str:
    """A price with the decimals of the contract's tick size: `0.00001234`, never `1.234e-05`."""
    if value is None or not isfinite(value):
        return ""
    return f"{value:.{decimals}f}"


def compact(value: float | None) -> str:
    """An amount in thousands, millions, billions or trillions, two decimals: `1.23B`, `45.60M`, `7.89K`, `12.00`.

    999,999 is `1.00M` and not `1000.00K`.
    """
    if value is None or not isfinite(value):
        return ""
    size = abs(value)
    for least, scale, letter in _SCALES:
        if size >= least:
            return f"{value / scale:.2f}{letter}"
    return f"{value:.2f}"


def signed(value: float | None, decimals: int) -> str:
    """A number that always carries its sign: `+1.23`, `-0.40`; what rounds to zero is `0.00` without one."""
    if value is None or not isfinite(value):
        return ""
    text = f"{value:+.{decimals}f}"
    return text[1:] if not text.strip("+-0.") else text


def percent(value: float | None) -> str:
    """Percent with two decimals and a sign, without the percent mark: `+1.23`."""
    return signed(value, 2)


def rate_percent(rate: float | None) -> str:
    """A funding rate (fraction per interval) as percent with four decimals and a sign: 0.0001 is `+0.0100`."""
    return signed(None if rate is None else rate * 100, 4)


def multiple(value: float | None) -> str:
    """A ratio with two decimals, without the multiplication mark: `3.42`; 1,000 and more without decimals."""
    if value is None or not isfinite(value):
        return ""
    return f"{value:.2f}" if value < 999.995 else f"{value:.0f}"
