"""Trading hours of the markets that the simulated exchange's stocks and commodities are on.

One week is as the next, without holidays; markets close and open at full hours. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000
CLOSED: Final = "NO_TRADING"
_REST: Final = ((0.0, CLOSED),)
"""A day without trading."""

_US_DAY: Final = ((0.0, "OVERNIGHT"), (8.0, "PRE_MARKET"), (13.5, "REGULAR"), (20.0, "AFTER_MARKET"))
_KOREAN_DAY: Final = ((0.0, "REGULAR"), (7.0, CLOSED))
_HONG_KONG_DAY: Final = ((0.0, CLOSED), (1.0, "REGULAR"), (8.0, CLOSED))
_METALS_DAY: Final = ((0.0, "REGULAR"), (21.0, CLOSED), (22.0, "REGULAR"))

# From Monday: each day's sessions as (hour of the day, kind), each until the next.
_WEEKS: Final = {
    "EQUITY": (*(_US_DAY,) * 5, _REST, _REST),
    "KR_EQUITY": (*(_KOREAN_DAY,) * 5, _REST, _REST),
    "HK_EQUITY": (*(_HONG_KONG_DAY,) * 5, _REST, _REST),
    "COMMODITY": (*(_METALS_DAY,) * 4, ((0.0, "REGULAR"), (21.0, CLOSED)), _REST, ((0.0, CLOSED), (22.0, "REGULAR"))),
}
MARKETS: Final = tuple(_WEEKS)
"""By `underlyingType`; what is on another one trades all the time."""
# 1970-01-01 was a Thursday.
_MONDAY: Final = 3


class Session(NamedTuple):
    """Unix ms, the end not in it, and what the exchange calls it."""

    begin_ms: int
    end_ms: int
    kind: str


def week(market: str, now_ms: int) -> list[Session]:
    """The sessions of a market from the day before `now_ms` (Unix ms) on, seven days. KeyError for an unknown one."""
    today = now_ms // (24 * HOUR_MS)
    return [
        Session(round((24 * day + begin) * HOUR_MS), round((24 * day + end) * HOUR_MS), kind)
        for day in range(today - 1, today + 6)
        for begin, end, kind in _day(market, (day + _MONDAY) % 7)
    ]


def rests(market: str, hour: int) -> bool:
    """Whether nothing that is on this market trades in `hour` (hours since 1970)."""
    closed = _CLOSED_HOURS.get(market)
    return closed is not None and closed[_of_week(hour)]


def last_traded(market: str, hour: int) -> int:
    """The end of the last hour of trade at or before the beginning of `hour` (hours since 1970)."""
    while rests(market, hour - 1):
        hour -= 1
    return hour


def _day(market: str, weekday: int) -> Iterator[tuple[float, float, str]]:
    sessions = _WEEKS[market][weekday]
    ends = [*(hour for hour, _ in sessions[1:]), 24.0]
    for (hour, kind), end in zip(sessions, ends, strict=True):
        yield hour, end, kind


def _of_week(hour: int) -> int:
    return (hour + 24 * _MONDAY) % 168


def _closed_hours(market: str) -> list[bool]:
    closed = [False] * 168
    for weekday in range(7):
        for begin, end, kind in _day(market, weekday):
            for hour in range(int(begin), int(end)):
                closed[24 * weekday + hour] = kind == CLOSED
    return closed


_CLOSED_HOURS: Final = {market: _closed_hours(market) for market in _WEEKS}
