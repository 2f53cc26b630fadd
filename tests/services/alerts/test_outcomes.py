"""What followed signals, filled in from the hours in the database as they come, and summed up; on both kinds."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import SignalOutcome
from flashcur.services.alerts import outcomes, signals
from flashcur.services.alerts.outcomes import GRACE_MS
from flashcur.services.records.hour_candles import KEPT, save_hours
from flashcur.services.storage.database import Database
from tests.support.signals import DEMO, MINUTE_MS, NOON_MS, signal

KEPT_MS = int(KEPT.total_seconds() * 1000)


def candle(number: int, close: float, symbol: str = "BTCUSDT") -> Candle:
    """Hour `number` after noon."""
    open_ms = NOON_MS + number * HOUR_MS
    return Candle(symbol, open_ms, close, close + 5, close - 3, close, 1e6, True, open_ms + HOUR_MS, open_ms + HOUR_MS)


def store(database: Database, *found: Signal) -> list[int]:
    with database.session() as session:
        return [record.id or 0 for record in signals.store(session, found, NOON_MS)]


def save(database: Database, candles: Iterable[Candle], exchange: str = "binanceusdm", *, demo: bool = False) -> None:
    with database.session() as session:
        save_hours(session, exchange, candles, demo=demo)


def fill(database: Database, now_ms: int) -> tuple[int, int]:
    """(signals looked at, done)."""
    with database.session(readonly=True) as session:
        found = outcomes.look(session, now_ms)
    with database.session() as session:
        return len(found), outcomes.write(session, found)


def outcome(database: Database, signal_id: int) -> SignalOutcome:
    with database.session(readonly=True) as session:
        found = session.get(SignalOutcome, signal_id)
    assert found is not None
    return found


def test_each_horizon_is_filled_in_when_its_hours_are_there(database: Database) -> None:
    (mine,) = store(database, signal(price=100.0, minutes=-29))
    save(database, [candle(0, 101.0)], exchange="bybit")
    save(database, [candle(0, 102.0)], demo=True)
    due_ms = outcome(database, mine).due_ms
    assert due_ms == NOON_MS + 29 * MINUTE_MS + HOUR_MS
    assert fill(database, due_ms - 1) == (0, 0)
    # Due, and another exchange's and the simulated one's hours are none of its own.
    assert fill(database, due_ms) == (1, 0)
    assert outcome(database, mine).change_1h is None
    due_ms = outcome(database, mine).due_ms or 0
    assert due_ms == NOON_MS + HOUR_MS + 29 * MINUTE_MS * 5 // 4
    save(database, [candle(number, 101.0 + number) for number in range(3)])
    assert fill(database, due_ms) == (1, 0)
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.due_ms) == (pytest.approx(1.0), None, NOON_MS + 4 * HOUR_MS + GRACE_MS)
    save(database, [candle(number, 101.0 + number) for number in range(24)])
    assert fill(database, NOON_MS + 4 * HOUR_MS + GRACE_MS) == (1, 1)
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.change_24h) == tuple(map(pytest.approx, (1.0, 4.0, 24.0)))
    assert (now.highest, now.lowest, now.due_ms) == (pytest.approx(29.0), pytest.approx(-2.0), None)
    assert fill(database, NOON_MS + 400 * HOUR_MS) == (0, 0)


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
    assert NOON_MS + KEPT_MS < NOON_MS + HOUR_MS + sum(pauses) <= end_ms + KEPT_MS + 6 * HOUR_MS
    now = outcome(database, mine)
    assert (now.change_1h, now.change_4h, now.change_24h, now.highest) == (pytest.approx(1.0), None, None, None)


def test_those_that_wait_longest_are_looked_at_first_and_not_all_at_once(database: Database) -> None:
    store(database, *(signal(number, minutes=-number) for number in range(5)))
    with database.session(readonly=True) as session:
        found = outcomes.look(session, NOON_MS + 9 * HOUR_MS, limit=3)
    assert [each.id for each in found] == [1, 2, 3]


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
    # What told of a signal anew is no second one, and neither is one of demo data.
    found += [signal(1, kind="HALF_UPDATE", minutes=-90), signal(2, origin=DEMO, minutes=-90)]
    store(database, *found)
    while fill(database, now_ms)[0]:
        now_ms += 1
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
    # 14 of the hours that rose were not quiet.
    quiet, rising = count - 14, count * 3 / 4 - 14
    assert group.base_rate == pytest.approx(rising / quiet, rel=0.01)
    assert group.lift == pytest.approx(quiet / rising, rel=0.01)
    assert (group.low or 9) <= (group.lift or 0) <= (group.high or 0)
