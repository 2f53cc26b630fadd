"""The plans' cadence, with a clock of the test's own: Free moves at quarter hours, Pro every five minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from flashcur.domain.assets import AssetClass
from flashcur.domain.book import MarketBook
from flashcur.domain.frames import OPEN_INTEREST_COLUMNS, Frame, take
from flashcur.domain.plans import PLANS, Audience
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Instrument, OpenInterest, Ticker
from flashcur.engine.jobs import on_the_clock
from flashcur.engine.marks import MARK_AUDIENCES, Marks
from flashcur.services.bus import MemoryBus
from flashcur.services.bus.topics import mark_topic

NOON = int(datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()) * 1000
CONTRACTS = 60


class Writes:
    """Keeps what the database would have got."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def write(self, key: str, work: Callable[[Session], object]) -> None:
        self.keys.append(key)


def frame_at(
    as_of_ms: int, *, demo: bool = False, priced: bool = True, filled: int = CONTRACTS, stocks: int = 0
) -> Frame:
    """A market of which the `filled` largest contracts have ratio and open interest, and `stocks` have nothing."""
    book = MarketBook()
    coins = [Instrument(f"C{i}USDT", f"C{i}", 0.01, 2) for i in range(CONTRACTS)]
    rest = [Instrument(f"S{i}USDT", f"S{i}", 0.01, 2, asset_class=AssetClass.STOCK) for i in range(stocks)]
    book.set_instruments(coins + rest)
    for i in range(CONTRACTS if priced else 0):
        book.apply(Ticker(f"C{i}USDT", 1 + as_of_ms % 1e6, 1.0, 1e6 + i, as_of_ms, as_of_ms))
    hour = as_of_ms // HOUR_MS * HOUR_MS
    for i in range(CONTRACTS - filled, CONTRACTS):
        book.apply(Candle(f"C{i}USDT", hour - HOUR_MS, 1, 2, 1, 1.5, 1e6, True, hour, hour))
        book.apply(Candle(f"C{i}USDT", hour, 1, 2, 1, 1.5, 2e6, False, as_of_ms, as_of_ms))
        book.apply(OpenInterest(f"C{i}USDT", 4.0, as_of_ms - HOUR_MS, as_of_ms))
        book.apply(OpenInterest(f"C{i}USDT", 5.0, as_of_ms, as_of_ms))
    order = [row.instrument.symbol for row in book]
    return take(
        book,
        order,
        seq=as_of_ms // 1000,
        now_ms=as_of_ms,
        exchange="binanceusdm",
        title="Binance USD-M",
        demo=demo,
        state="live",
        rule=SpikeRule(),
    )


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def marks(bus: MemoryBus, writes: Writes) -> Marks:
    return Marks(bus, writes)


async def published(bus: MemoryBus, audience: Audience) -> Frame | None:
    message = await bus.snapshot(mark_topic(audience))
    return None if message is None else Frame.decode(message.payload)


def fire_times(audience: Audience, start: datetime, end: datetime) -> list[datetime]:
    trigger = on_the_clock(PLANS[audience].cadence_s)
    times: list[datetime] = []
    now, before = start, None
    while (fire := trigger.get_next_fire_time(before, now)) is not None and fire < end:
        times.append(fire)
        before, now = fire, fire + timedelta(microseconds=1)
    return times


def test_the_scheduler_fires_at_the_plans_marks() -> None:
    start = datetime(2026, 11, 23, 11, 58, 30, tzinfo=UTC)
    end = start + timedelta(hours=1)
    assert [f"{t:%H:%M:%S.%f}" for t in fire_times("free", start, end)] == [
        f"12:{minute:02d}:00.000000" for minute in (0, 15, 30, 45)
    ]
    assert [f"{t:%H:%M:%S}" for t in fire_times("pro", start, end)] == [
        f"12:{minute:02d}:00" for minute in range(0, 60, 5)
    ]


@pytest.mark.parametrize("cadence_s", [0, 1, 90, 7 * 60, 7200])
def test_a_cadence_that_the_clock_cannot_keep_is_refused(cadence_s: int) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        on_the_clock(cadence_s)


async def test_every_second_of_an_hour_shows_each_plan_its_own_mark(marks: Marks, bus: MemoryBus) -> None:
    """An hour of frames, the scheduler played by the test: what each plan is shown moves at its marks and only then."""
    shown: dict[Audience, list[int]] = {"free": [], "pro": []}
    for second in range(0, 3600, 5):
        now_ms = NOON + second * 1000 + 7
        await marks.on_frame(frame_at(now_ms))
        for audience in MARK_AUDIENCES:
            if second % PLANS[audience].cadence_s == 0:
                await marks.at_mark(audience, NOON + second * 1000)
            frame = await published(bus, audience)
            assert frame is not None
            if not shown[audience] or shown[audience][-1] != frame.as_of_ms:
                shown[audience].append(frame.as_of_ms)
            assert now_ms - frame.as_of_ms <= PLANS[audience].cadence_s * 1000
    assert shown["free"] == [NOON + minute * 60_000 + 7 for minute in (0, 15, 30, 45)]
    assert shown["pro"] == [NOON + minute * 60_000 + 7 for minute in range(0, 60, 5)]


async def test_a_mark_holds_only_what_its_plan_may_see(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON))
    free, pro = await published(bus, "free"), await published(bus, "pro")
    assert free is not None
    assert pro is not None
    assert (free.count, pro.count) == (50, CONTRACTS)
    assert not set(OPEN_INTEREST_COLUMNS) & set(free.columns)
    assert "open_interest_usd" not in free.exact
    assert set(OPEN_INTEREST_COLUMNS) <= set(pro.columns)


async def test_the_first_complete_frame_is_the_mark(marks: Marks, bus: MemoryBus, writes: Writes) -> None:
    await marks.on_frame(frame_at(NOON + 1000, priced=False))
    assert await published(bus, "free") is None
    await marks.on_frame(frame_at(NOON + 2000))
    await marks.on_frame(frame_at(NOON + 3000))
    frame = await published(bus, "free")
    assert frame is not None
    assert frame.as_of_ms == NOON + 2000
    assert sorted(writes.keys) == ["mark free", "mark pro"]


async def test_a_stored_mark_of_this_period_is_shown_again(marks: Marks, bus: MemoryBus, writes: Writes) -> None:
    stored = frame_at(NOON).only(PLANS["free"])
    marks.restore("free", stored)
    await marks.on_frame(frame_at(NOON + 14 * 60_000))
    assert await published(bus, "free") == stored
    assert "mark free" not in writes.keys


@pytest.mark.parametrize(
    ("as_of_ms", "demo"), [(NOON - 1000, False), (NOON, True)], ids=["of the period before", "of demo data"]
)
async def test_another_stored_mark_is_not_shown(marks: Marks, bus: MemoryBus, as_of_ms: int, demo: bool) -> None:
    marks.restore("free", frame_at(as_of_ms, demo=demo).only(PLANS["free"]))
    await marks.on_frame(frame_at(NOON + 60_000))
    frame = await published(bus, "free")
    assert frame is not None
    assert (frame.as_of_ms, frame.demo) == (NOON + 60_000, False)


async def test_real_data_replaces_a_mark_of_demo_data_at_once(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON + 1000, demo=True))
    await marks.on_frame(frame_at(NOON + 2000))
    frame = await published(bus, "pro")
    assert frame is not None
    assert not frame.demo


async def test_the_mark_is_the_first_frame_after_its_moment_not_the_last_before(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON - 1000))
    waiting = asyncio.create_task(marks.at_mark("pro", NOON))
    await asyncio.sleep(0)
    await marks.on_frame(frame_at(NOON + 3))
    await waiting
    frame = await published(bus, "pro")
    assert frame is not None
    assert frame.as_of_ms == NOON + 3


async def test_a_mark_that_the_scheduler_missed_is_made_up_for(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON - 60_000))
    await marks.on_frame(frame_at(NOON + 2_000))
    frame = await published(bus, "pro")
    assert frame is not None
    assert frame.as_of_ms == NOON - 60_000
    await marks.on_frame(frame_at(NOON + 6_000))
    frame = await published(bus, "pro")
    assert frame is not None
    assert frame.as_of_ms == NOON + 6_000


async def test_a_job_that_runs_twice_publishes_once(marks: Marks) -> None:
    await marks.on_frame(frame_at(NOON))
    count = marks.published
    assert await marks.at_mark("pro", NOON) == "already published"
    assert marks.published == count


async def test_without_frames_the_job_fails_instead_of_waiting_forever(
    marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.engine.marks._FRAME_PATIENCE_S", 0.01)
    with pytest.raises(TimeoutError):
        await marks.at_mark("pro", NOON)


async def test_marks_are_said_again_for_a_bus_that_lost_them(marks: Marks) -> None:
    await marks.on_frame(frame_at(NOON))
    other = MemoryBus()
    marks._bus = other  # type: ignore[assignment]
    await marks.on_frame(frame_at(NOON + 10_000))
    frame = await published(other, "free")
    assert frame is not None
    assert frame.as_of_ms == NOON


async def shown(marks: Marks, bus: MemoryBus, frame: Frame, audience: Audience = "pro") -> int:
    """The time of the audience's mark, in seconds from NOON, after the frame."""
    await marks.on_frame(frame)
    mark = await published(bus, audience)
    assert mark is not None
    return (mark.as_of_ms - NOON) // 1000


async def test_a_cold_starts_mark_is_published_once_more_when_it_is_filled(
    marks: Marks, bus: MemoryBus, writes: Writes
) -> None:
    assert await shown(marks, bus, frame_at(NOON + 2_000, filled=5)) == 2
    assert await shown(marks, bus, frame_at(NOON + 20_000, filled=53)) == 2
    # Nine contracts in ten.
    assert await shown(marks, bus, frame_at(NOON + 21_000, filled=54)) == 21
    assert await shown(marks, bus, frame_at(NOON + 22_000)) == 21
    assert await shown(marks, bus, frame_at(NOON + 120_000)) == 21
    assert writes.keys.count("mark pro") == 2


async def test_a_mark_does_not_wait_for_what_is_no_crypto(marks: Marks, bus: MemoryBus) -> None:
    """Of stocks whose market is closed nothing comes, not even prices."""
    assert await shown(marks, bus, frame_at(NOON + 2_000, filled=5, stocks=60)) == 2
    assert await shown(marks, bus, frame_at(NOON + 21_000, filled=53, stocks=60)) == 2
    assert await shown(marks, bus, frame_at(NOON + 22_000, filled=54, stocks=60)) == 22


async def test_free_does_not_wait_for_open_interest_it_cannot_see(marks: Marks, bus: MemoryBus) -> None:
    assert await shown(marks, bus, frame_at(NOON + 2_000, filled=5), "free") == 2
    # Nine in ten of Free's fifty.
    assert await shown(marks, bus, frame_at(NOON + 3_000, filled=45), "free") == 3
    assert await shown(marks, bus, frame_at(NOON + 3_000, filled=45), "pro") == 2


async def test_a_cold_starts_mark_does_not_wait_longer_than_90_s(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON + 2_000, filled=5))
    assert await shown(marks, bus, frame_at(NOON + 91_000, filled=30)) == 2
    assert await shown(marks, bus, frame_at(NOON + 92_000, filled=31)) == 92
    assert await shown(marks, bus, frame_at(NOON + 93_000)) == 92


async def test_marks_on_the_clock_are_not_published_once_more(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON - 10_000, filled=5))
    await marks.on_frame(frame_at(NOON, filled=5))
    await marks.at_mark("pro", NOON)
    assert await shown(marks, bus, frame_at(NOON + 1_000)) == 0
    assert await shown(marks, bus, frame_at(NOON + 100_000)) == 0


async def test_a_mark_is_not_filled_from_the_next_period(marks: Marks, bus: MemoryBus) -> None:
    await marks.on_frame(frame_at(NOON - 10_000, filled=5))
    # The scheduler is late: it publishes the next mark, as of its moment.
    assert await shown(marks, bus, frame_at(NOON + 1_000)) == -10
