"""Days as an owner's clock shows them: some have 23 hours, some 25, some begin at one o'clock, and a few never were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_MINUTE = timedelta(minutes=1)


def date_of(unix_ms: int, zone: tzinfo) -> date:
    """The date on the clock at a moment (Unix ms)."""
    return _local(unix_ms, zone).date()


def first_ms(day: date, minute: int, zone: tzinfo) -> int:
    """When a clock first shows `minute` (after midnight, up to 1,440) of a day, or is put past it; Unix ms."""
    return _instant(day, minute, zone, last=False)


def last_ms(day: date, minute: int, zone: tzinfo) -> int:
    """When it last shows it: an hour after `first_ms` where it is put back in between."""
    return _instant(day, minute, zone, last=True)


def day_end_ms(unix_ms: int, zone: tzinfo) -> int:
    """When the day after that of a moment begins; both Unix ms."""
    return first_ms(date_of(unix_ms, zone) + timedelta(days=1), 0, zone)


def day_start_ms(unix_ms: int, zone: tzinfo) -> int:
    """When the day of a moment began; both Unix ms."""
    return first_ms(date_of(unix_ms, zone), 0, zone)


def _instant(day: date, minute: int, zone: tzinfo, *, last: bool) -> int:
    wall = datetime(day.year, day.month, day.day) + minute * _MINUTE
    at = (wall.replace(tzinfo=zone, fold=int(last)).astimezone(UTC) - _EPOCH) // _MS
    if _local(at, zone).replace(tzinfo=None) == wall:
        return at
    # The clock never shows it: what counts is when it is put past it, somewhere between these two.
    early, late = sorted(
        (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) - _EPOCH) // timedelta(seconds=1) for fold in (0, 1)
    )
    while early < late:
        middle = (early + late) // 2
        if _local(middle * 1000, zone).replace(tzinfo=None) > wall:
            late = middle
        else:
            early = middle + 1
    return late * 1000


def _local(unix_ms: int, zone: tzinfo) -> datetime:
    return (_EPOCH + unix_ms * _MS).astimezone(zone)
