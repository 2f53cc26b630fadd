"""What followed signals, filled in from the hours in the database as they come, and summed up; on both kinds."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flashcur.domain.signals.aftermath import known_from_ms
from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import SignalOutcome
from flashcur.services.alerts import outcomes, signals
from flashcur.services.alerts.outcomes import PATIENCE_MS
from flashcur.services.records.hour_candles import KEPT, save_hours
from flashcur.services.storage.database import Database
from tests.support.signals import DEMO, MINUTE_MS, NOON_MS, signal

KEPT_MS = int(KEPT.total_seconds() * 1000)


def candle(number: int, close: float, symbol: str = "BTCUSDT") -> Candle:
    """Hour `number` after noon."""
    open_ms = NOON_MS + number * HOUR_MS
    return Candle(symbol, open_ms, close, close + 5, close - 3, close, 1e6, True, open_ms + HOUR_MS, open_ms + HOUR_MS)


def minutes(first_ms: int, end_ms: int, close: float) -> dict[int, Candle]:
    return {
        at_ms: Candle("BTCUSDT", at_ms, close, close + 1, close - 1, close, 1e4, True, at_ms + 60_000, at_ms + 60_000)
        for at_ms in range(first_ms, end_ms, MINUTE_MS)
    }


def store(database: Database, *found: Signal) -> list[int]:
    with database.session() as session:
        return [record.id or 0 for record in signals.store(session, found, NOON_MS)]


def save(database: Database, candles: Iterable[Candle], exchange: str = "binanceusdm", *, demo: bool = False) -> None:
    with database.session() as session:
        save_hours(session, exchange, candles, demo=demo)


def fill(database: Database, now_ms: int, close: float | None = None, *, waits: bool = False) -> tuple[int, int]:
    """(signals looked at, done), where the exchange answers with minutes at `close`, or not at all."""
    with database.session(readonly=True) as session:
        due = outcomes.look(session, now_ms)
    found: list[outcomes.Found] = []
    for each in due:
        bars: dict[int, Candle] = {}
        for span in each.wanted(now_ms):
            bars |= {} if close is None else minutes(*span, close)
        found.append(outcomes.found(each, bars, now_ms, waits=waits))
    with database.session() as session:
        return len(found), outcomes.write(session, found)


def outcome(database: Database, signal_id: int) -> SignalOutcome:
    with database.session(readonly=True) as session:
        found = session.get(SignalOutcome, signal_id)
    assert found is not None
    return found


def test_each_horizon_is_filled_in_when_it_is_known(database: Database) -> None:
    """Each step reads what the one before has written, as after a restart."""
    (mine,) = store(database, signal(price=100.0, minutes=-29))
    save(database, [candle(number, 500.0) for number in range(24)], exchange="bybit")
    save(database, [candle(number, 500.0) for number in range(24)], demo=True)
    at_ms = NOON_MS + 29 * MINUTE_MS
    due_ms = known_from_ms(at_ms, 1)
    assert outcome(database, mine).due_ms == due_ms
    assert fill(database, due_ms - 1) == (0, 0)
    # The exchange does not answer: it is asked again, ever more rarely.
    assert fill(database, due_ms) == (1, 0)
    assert outcome(database, mine).change_1h is None
    assert outcome(database, mine).due_ms == due_ms + 5 * MINUTE_MS
    assert fill(database, due_ms + 5 * MINUTE_MS, 102.0) == (1, 0)
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.highest) == (pytest.approx(2.0), None, None)
    assert (now.highest_1h, now.lowest_1h, now.price) == (pytest.approx(3.0), 0.0, 100.0)
    due_ms = now.due_ms or 0
    assert due_ms == known_from_ms(at_ms, 4)
    assert fill(database, due_ms, 104.0) == (1, 0)
    due_ms = outcome(database, mine).due_ms or 0
    assert due_ms == known_from_ms(at_ms, 24)
    # Its own hour fell before the signal: that is none of what followed.
    save(database, [candle(0, 50.0), *(candle(number, 101.0 + number) for number in range(1, 23))])
    assert fill(database, due_ms, 140.0) == (1, 0)
    now = outcome(database, mine)
    assert (now.change_24h, now.highest) == (pytest.approx(40.0), None)
    due_ms = now.due_ms or 0
    assert due_ms == known_from_ms(at_ms, 24) + 5 * MINUTE_MS
    save(database, [candle(23, 124.0)])
    assert fill(database, due_ms, 140.0) == (1, 1)
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.change_24h) == tuple(map(pytest.approx, (2.0, 4.0, 40.0)))
    assert (now.highest, now.lowest, now.due_ms) == (pytest.approx(41.0), pytest.approx(-1.0), None)
    assert not now.by_hours
    assert fill(database, NOON_MS + 400 * HOUR_MS) == (0, 0)


def test_hours_stand_in_where_minutes_cannot_be_had_any_more(database: Database) -> None:
    (mine,) = store(database, signal(price=100.0, minutes=-29))
    save(database, [candle(number, 101.0 + number) for number in range(24)])
    last_ms = known_from_ms(NOON_MS + 29 * MINUTE_MS, 1) + PATIENCE_MS
    now_ms = outcome(database, mine).due_ms or 0
    while now_ms < last_ms:
        assert fill(database, now_ms) == (1, 0)
        assert outcome(database, mine).change_1h is None
        now_ms = outcome(database, mine).due_ms or 0
    # An engine that has just started knows no better than to wait.
    assert fill(database, now_ms, waits=True) == (1, 0)
    assert outcome(database, mine).change_1h is None
    while (due_ms := outcome(database, mine).due_ms) is not None:
        assert fill(database, due_ms)[0] == 1
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.change_24h) == tuple(map(pytest.approx, (1.0, 4.0, 24.0)))
    assert (now.highest, now.lowest, now.by_hours) == (None, None, True)


def test_what_can_never_be_known_is_given_up_and_what_is_known_stays(database: Database) -> None:
    (mine,) = store(database, signal(price=100.0))
    save(database, [candle(0, 101.0)])
    end_ms = NOON_MS + 24 * HOUR_MS
    pauses: list[int] = []
    now_ms = outcome(database, mine).due_ms
    while now_ms is not None:
        assert fill(database, now_ms)[0] == 1
        again_ms = outcome(database, mine).due_ms
        pauses += [] if again_ms is None else [again_ms - now_ms]
        now_ms = again_ms
    # Looked for ever more rarely, for as long as hours are kept, and no longer.
    assert 20 < len(pauses) < 400
    assert max(pauses) <= 6 * HOUR_MS
    assert NOON_MS + KEPT_MS < NOON_MS + HOUR_MS + sum(pauses) <= end_ms + KEPT_MS + 7 * HOUR_MS
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.change_24h, now.highest) == (pytest.approx(1.0), None, None, None)


def test_those_that_wait_longest_are_looked_at_first_and_not_all_at_once(database: Database) -> None:
    store(database, *(signal(number, minutes=-number) for number in range(5)))
    with database.session(readonly=True) as session:
        due = outcomes.look(session, NOON_MS + 9 * HOUR_MS, limit=3)
    assert [each.id for each in due] == [1, 2, 3]


def test_signals_are_summed_up_by_group_against_their_contract_s_quiet_hours(database: Database) -> None:
    days, now_ms = 30, NOON_MS + 30 * 24 * HOUR_MS
    count = days * 24
    # Each hour up 1 %, but every fourth down 3 %: after a quiet hour of BTC the price rises three times of four.
    prices = [100.0]
    for number in range(count):
        prices.append(prices[-1] * (0.97 if number % 4 == 3 else 1.01))
    save(database, [candle(number, price) for number, price in enumerate(prices)])
    save(database, [candle(number, 1.0, "ETHUSDT") for number in range(count)])
    # A signal at the end of each 96th hour, after which it always rises for an hour.
    found = [
        signal(
            number,
            minutes=-60 * (number + 1),
            price=prices[number],
            severity=2 if number % 192 else 1,
            quadrant="long_build_up",
            detector="open_interest",
            kind="OI_SURGE",
        )
        for number in range(0, count - 48, 48)
    ]
    # One whose minutes were missing has another horizon, but its hour is not quiet.
    rough = signal(97, minutes=-60 * 98, price=prices[97], detector="open_interest", kind="OI_SURGE")
    # What told of a signal anew is no second one, and neither is one of demo data.
    found += [signal(1, kind="HALF_UPDATE", minutes=-90), signal(2, origin=DEMO, minutes=-90)]
    (inexact, *_) = store(database, rough, *found)
    while fill(database, now_ms)[0]:
        now_ms += 1
    with database.session() as session:
        row = session.get(SignalOutcome, inexact)
        assert row is not None
        assert row.change_1h is not None
        row.by_hours = True
    with database.session(readonly=True) as session:
        groups = outcomes.summaries(session, "binanceusdm", demo=False, now_ms=now_ms)
        assert outcomes.summaries(session, "bybit", demo=False, now_ms=now_ms) == []
    assert {(each.detector, each.severity, each.quadrant, each.horizon_h) for each in groups} == {
        ("open_interest", severity, quadrant, hours)
        for severity in (None, 1, 2)
        for quadrant in ("", "long_build_up")
        for hours in (1, 4, 24)
    }
    group = next(each for each in groups if (each.severity, each.quadrant, each.horizon_h) == (None, "", 1))
    assert group.count == 14
    assert (group.median, group.lower_quartile, group.upper_quartile) == tuple(map(pytest.approx, (0.01, 0.01, 0.01)))
    assert group.hit_rate == 1.0
    # 15 of the hours that rose were not quiet.
    quiet, rising = count - 15, count * 3 / 4 - 15
    assert group.base_rate == pytest.approx(rising / quiet, rel=0.001)
    assert group.lift == pytest.approx(quiet / rising, rel=0.01)
    assert (group.low or 9) <= (group.lift or 0) <= (group.high or 0)
