"""Quiet hours by the owner's clock, on days of 23, 24, 24½ and 25 hours."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashcur.domain.delivery.local_day import date_of, day_end_ms, day_start_ms, first_ms, last_ms
from flashcur.domain.delivery.quiet_hours import DAY_MIN, QuietHours
from flashcur.services.kit.clock import from_ms, to_ms

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

LONDON, SAO_PAULO = ZoneInfo("Europe/London"), ZoneInfo("America/Sao_Paulo")
LORD_HOWE, KATHMANDU = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")
APIA = ZoneInfo("Pacific/Apia")

CHANGES = {
    # The clock is put from 01:00 to 02:00, and from 02:00 back to 01:00.
    "London, forward": (LONDON, date(2026, 3, 29)),
    "London, back": (LONDON, date(2026, 10, 25)),
    # At midnight: 4 November 2018 began at one o'clock; 17 February 2018 had its last hour twice.
    "Sao Paulo, forward": (SAO_PAULO, date(2018, 11, 4)),
    "Sao Paulo, back": (SAO_PAULO, date(2018, 2, 17)),
    # By half an hour, at two o'clock.
    "Lord Howe, forward": (LORD_HOWE, date(2026, 10, 4)),
    "Lord Howe, back": (LORD_HOWE, date(2026, 4, 5)),
    # Never since 1986, and 45 minutes off the hour.
    "Kathmandu, spring": (KATHMANDU, date(2026, 3, 29)),
    "Kathmandu, autumn": (KATHMANDU, date(2026, 10, 25)),
    # 30 December 2011 never was.
    "Apia, a day left out": (APIA, date(2011, 12, 30)),
}
SPANS = {
    "over midnight": "22:00-07:00",
    "into the change": "22:00-01:30",
    "out of the change": "01:30-07:00",
    "within the change": "01:10-01:40",
    "into half an hour": "22:00-02:10",
    "around midnight": "23:30-00:30",
    "by day": "09:00-17:00",
    "all but a minute": "00:01-00:00",
}


def minutes(text: str) -> int:
    hours, rest = text.split(":")
    return int(hours) * 60 + int(rest)


def hours(span: str) -> QuietHours:
    return QuietHours(*map(minutes, span.split("-")))


def shown(unix_ms: int, zone: tzinfo) -> int:
    """Minutes after midnight on the clock."""
    at = from_ms(unix_ms).astimezone(zone)
    return at.hour * 60 + at.minute


def inside(quiet: QuietHours, minute: int) -> bool:
    """Whether a clock that shows this is within the span: the plain meaning, of an ordinary day."""
    if quiet.from_min <= quiet.until_min:
        return quiet.from_min <= minute < quiet.until_min
    return minute >= quiet.from_min or minute < quiet.until_min


def repeated(unix_ms: int, zone: tzinfo) -> bool:
    """Whether the clock is put back within the three hours around a moment."""
    offsets = [
        from_ms(unix_ms + each * HOUR_MS).astimezone(zone).utcoffset() or timedelta() for each in (-2, -1, 0, 1, 2)
    ]
    return any(later < earlier for earlier, later in itertools.pairwise(offsets))


@pytest.mark.parametrize("span", SPANS.values(), ids=list(SPANS))
@pytest.mark.parametrize(("zone", "day"), CHANGES.values(), ids=list(CHANGES))
def test_whatever_is_done_to_the_clock(zone: ZoneInfo, day: date, span: str) -> None:
    """Complaint 11: quiet whenever the clock shows that it is, and one end, so one digest, each local date."""
    quiet = hours(span)
    begin = to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC)) - 40 * HOUR_MS
    ends: list[int] = []
    for at in range(begin, begin + 90 * HOUR_MS, 5 * MINUTE_MS):
        end = quiet.ends_ms(at, zone)
        if inside(quiet, shown(at, zone)):
            assert end is not None, f"{from_ms(at).astimezone(zone)} is quiet"
        elif end is not None:
            # A clock that is put back gives one longer night, and not a second one.
            assert repeated(at, zone), f"{from_ms(at).astimezone(zone)} is not quiet"
        if end is None:
            continue
        assert end > at
        assert quiet.ends_ms(end, zone) is None, "when it ends, messages leave"
        if not ends or ends[-1] != end:
            assert not ends or end > ends[-1]
            ends.append(end)
        # All of one night ends at one moment.
        assert quiet.ends_ms((at + end) // 2, zone) == end
    dates = [date_of(end, zone) for end in ends]
    assert len(dates) == len(set(dates))
    assert len(ends) >= 3 or span == "00:01-00:00" or zone is APIA


@pytest.mark.parametrize(
    ("zone", "at", "span", "end"),
    [
        (LONDON, "2026-03-29T00:30", "22:00-01:30", "2026-03-29T01:00"),
        (LONDON, "2026-03-29T01:00", "01:30-07:00", "2026-03-29T06:00"),
        (LONDON, "2026-03-28T23:00", "22:00-07:00", "2026-03-29T06:00"),
        (LONDON, "2026-10-24T23:00", "22:00-07:00", "2026-10-25T07:00"),
        (LONDON, "2026-10-25T00:15", "22:00-01:30", "2026-10-25T01:30"),
        (LONDON, "2026-10-25T00:45", "22:00-01:30", "2026-10-25T01:30"),
        (LONDON, "2026-03-29T01:00", "01:10-01:40", None),
        (SAO_PAULO, "2018-11-04T02:00", "22:00-00:30", "2018-11-04T03:00"),
        (SAO_PAULO, "2018-02-18T01:10", "22:00-23:30", "2018-02-18T02:30"),
        (LORD_HOWE, "2026-10-03T15:00", "22:00-02:10", "2026-10-03T15:30"),
        (LORD_HOWE, "2026-04-04T14:50", "22:00-01:40", "2026-04-04T15:10"),
        (KATHMANDU, "2026-06-01T16:15", "22:00-07:00", "2026-06-02T01:15"),
        (APIA, "2011-12-30T09:00", "22:00-07:00", "2011-12-30T17:00"),
    ],
)
def test_the_end_is_a_moment_of_the_owners_clock(zone: ZoneInfo, at: str, span: str, end: str | None) -> None:
    """Complaint 11, in figures; moments are UTC."""
    found = hours(span).ends_ms(to_ms(datetime.fromisoformat(at).replace(tzinfo=UTC)), zone)
    known = None if found is None else f"{from_ms(found):%Y-%m-%dT%H:%M}"
    assert known == end


def test_without_a_span_nothing_is_quiet() -> None:
    assert QuietHours(60, 60).ends_ms(0, LONDON) is None


@pytest.mark.parametrize(
    ("zone", "at", "began", "ends"),
    [
        (LONDON, "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-29T23:00"),
        (LONDON, "2026-10-25T12:00", "2026-10-24T23:00", "2026-10-26T00:00"),
        (SAO_PAULO, "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        (SAO_PAULO, "2018-02-18T01:30", "2018-02-17T02:00", "2018-02-18T03:00"),
        (KATHMANDU, "2026-06-01T00:00", "2026-05-31T18:15", "2026-06-01T18:15"),
        (APIA, "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),
    ],
)
def test_a_local_day_begins_and_ends_when_its_date_changes(zone: ZoneInfo, at: str, began: str, ends: str) -> None:
    moment = to_ms(datetime.fromisoformat(at).replace(tzinfo=UTC))
    known = [f"{from_ms(each(moment, zone)):%Y-%m-%dT%H:%M}" for each in (day_start_ms, day_end_ms)]
    assert known == [began, ends]


zones = st.sampled_from(
    [
        "Europe/London",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/New_York",
        "Africa/Casablanca",
        "Asia/Tehran",
        "America/Santiago",
        "Antarctica/Troll",
        "Asia/Beirut",
    ]
).map(ZoneInfo)
moments = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)).map(lambda at: to_ms(at.replace(tzinfo=UTC)))


@given(moments, zones, st.integers(0, DAY_MIN - 1), st.integers(0, DAY_MIN - 1))
@example(to_ms(datetime(2026, 10, 25, 0, 50, tzinfo=UTC)), LONDON, 75, 110)
def test_nothing_leaves_inside_and_all_of_it_once_after(at: int, zone: ZoneInfo, begin: int, until: int) -> None:
    """Complaint 11: what is held at any moment of any night has one moment at which it leaves, outside of it."""
    quiet = QuietHours(begin, until)
    end = quiet.ends_ms(at, zone)
    if end is None:
        assert begin == until or not inside(quiet, shown(at, zone))
        return
    assert at < end <= at + 27 * HOUR_MS
    assert quiet.ends_ms(end, zone) is None
    assert not inside(quiet, shown(end, zone))
    assert quiet.ends_ms(end - 1, zone) == end


@given(moments.map(lambda at: from_ms(at).date()), zones, st.integers(0, DAY_MIN))
def test_the_first_and_the_last_time_that_a_clock_shows_a_minute(day: date, zone: ZoneInfo, minute: int) -> None:
    first, last = first_ms(day, minute, zone), last_ms(day, minute, zone)
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    assert first <= last
    for at in (first, last):
        at_it = from_ms(at).astimezone(zone).replace(tzinfo=None)
        before = from_ms(at - 1).astimezone(zone).replace(tzinfo=None)
        assert at_it == wanted or before < wanted < at_it
