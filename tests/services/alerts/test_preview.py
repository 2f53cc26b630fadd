"""Previews: how often a rule would have fired, from what is stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlmodel import Session

from flashcur.domain.rules.condition import Condition, FundingLevel, OnSignal, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.domain.ticks import Candle, Instrument
from flashcur.services.alerts import past_requests, preview, signals
from flashcur.services.alerts.preview import Preview
from flashcur.services.records.funding_payments import save_payments
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.records.instrument_sets import contracts_of, save_set
from flashcur.services.records.past_series import load_series, prune_series, save_series
from flashcur.services.storage.database import Database
from tests.support.rules import add_owner
from tests.support.signals import DEMO, signal

NOW = 1_795_420_800_000 + 5 * 60_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
VENUE = "binanceusdm"


def definition(*conditions: Condition, **terms: object) -> Definition:
    return Definition(conditions, Scope("all"), **terms)  # pyright: ignore[reportArgumentType]


def hour(symbol: str, back: int, close: float, volume: float = 1.0) -> Candle:
    """The hour that ended so many hours before the last full one."""
    open_ms = NOW // HOUR_MS * HOUR_MS - (back + 1) * HOUR_MS
    end_ms = open_ms + HOUR_MS
    return Candle(symbol, open_ms, close, close, close, close, volume, True, end_ms, end_ms)


def judged(database: Database, rule: Definition, *symbols: str, now_ms: int = NOW) -> Preview:
    found = asyncio.run(preview.run(database, rule, symbols, VENUE, False, now_ms))
    assert found is not None
    return found


def test_counts_days_and_what_followed(database: Database) -> None:
    candles = [hour("AUSDT", back, 100.5 if back % 10 == 5 else 100.0) for back in range(31 * 24)]
    spikes = [back * 24 for back in (1, 3, 10, 29)]
    candles += [hour("AUSDT", back, 100.0, 5.0) for back in spikes]
    candles += [hour("AUSDT", back - 1, 102.0) for back in spikes]
    with database.session() as session:
        save_hours(session, VENUE, candles, demo=False)
        save_hours(session, VENUE, [hour("AUSDT", 5, 100.0, 9.0)], demo=True)
    found = judged(database, definition(VolumeRatio(3.0, 0.0)), "AUSDT", "GONEUSDT")
    assert (found.week, found.count, found.contracts) == (2, 4, 1)
    assert sum(found.by_day) == 4
    assert len(found.by_day) == 30
    assert [each.at_ms for each in found.firings] == sorted((each.at_ms for each in found.firings), reverse=True)
    after = dict(found.followed)
    assert after[1].count == 4
    assert after[1].median == pytest.approx(0.02)
    assert after[1].lift is not None
    assert after[1].lift.value > 5
    assert after[1].lift.hit_rate == 1.0


def test_a_rule_that_fires_too_often_is_offered_the_least_stricter_threshold(database: Database) -> None:
    draw = Random(1)
    candles = [hour(symbol, back, 100.0, draw.choice((1, 2, 4, 8))) for symbol in "ABC" for back in range(31 * 24)]
    with database.session() as session:
        save_hours(session, VENUE, candles, demo=False)
    loose = definition(VolumeRatio(2.0, 0.0), cooldown_s=60)
    found = judged(database, loose, "A", "B", "C")
    assert found.count > 500
    assert found.suggestion is not None
    assert found.suggestion.conditions == (VolumeRatio(10.0, 0.0),)
    assert judged(database, found.suggestion, "A", "B", "C").count == found.would == 0
    assert judged(database, definition(VolumeRatio(9.0, 0.0)), "A", "B", "C").suggestion is None
    # What is known is told before the suggestion is looked for.
    early: list[Preview] = []
    asyncio.run(preview.run(database, loose, ("A", "B", "C"), VENUE, False, NOW, early=early.append))
    assert early == [replace(found, suggestion=None)]


def test_contracts_that_are_too_new_are_counted(database: Database) -> None:
    made = [
        Instrument("AUSDT", "A", 0.1, 1, listed_ms=NOW - 90 * DAY_MS),
        Instrument("BUSDT", "B", 0.1, 1, listed_ms=NOW - DAY_MS + 1),
        Instrument("CUSDT", "C", 0.1, 1, listed_ms=NOW - HOUR_MS),
    ]
    with database.session() as session:
        save_hours(session, VENUE, [hour("AUSDT", back, 100.0) for back in range(40)], demo=False)
        save_set(session, Origin(VENUE), contracts_of(made), NOW)
        save_set(session, Origin(VENUE, demo=True), contracts_of([replace(made[0], listed_ms=NOW)]), NOW)
    day, hours_ = definition(PriceMove("up", 5.0, 86_400)), definition(PriceMove("up", 5.0, 3_600))
    found = judged(database, day, "AUSDT", "BUSDT")
    assert (found.contracts, found.too_new, found.scope) == (1, 1, 2)
    assert judged(database, day, "AUSDT", "BUSDT", "CUSDT").too_new == 2
    assert judged(database, hours_, "AUSDT", "BUSDT", "CUSDT").too_new == 0
    # A set of another version says nothing, and keeps nothing from being judged.
    with database.session() as session:
        save_set(session, Origin(VENUE), [{"symbol": "BUSDT"}], NOW + 1)
    assert judged(database, day, "AUSDT", "BUSDT").too_new == 0


def test_payments_are_judged_by_themselves(database: Database) -> None:
    rates = [0.0001, 0.002, 0.002, 0.0001, 0.002, 0.0001]
    payments = [Payment(NOW - (len(rates) - at) * 8 * HOUR_MS, rate) for at, rate in enumerate(rates)]
    with database.session() as session:
        save_payments(session, VENUE, {"AUSDT": payments}, demo=False)
    found = judged(database, definition(FundingLevel("above", 0.1)), "AUSDT", "BUSDT")
    assert found.count == 2
    assert found.needs.notes


def test_what_cannot_be_judged_says_so(database: Database) -> None:
    found = judged(database, definition(FundingLevel("above", 0.1), PriceMove("up", 5.0, 3_600)), "AUSDT")
    assert found.needs.unjudgeable
    assert (found.count, found.asks) == (0, None)


def test_minutes_are_asked_for_and_then_known(database: Database) -> None:
    rule = definition(PriceMove("up", 5.0, 300))
    unknown = judged(database, rule, "AUSDT")
    assert (unknown.asks, unknown.requests) == ("minutes", 12)
    first_ms, until_ms = preview.span_of("minutes", NOW)
    assert until_ms - first_ms == 8 * DAY_MS
    count = (until_ms - first_ms) // 60_000
    # Ten minutes of every other hour are 6 % dearer.
    closes = [106.0 if at % 120 < 10 else 100.0 for at in range(count)]
    rows = [(first_ms + at * 60_000, close, close, close, 1.0) for at, close in enumerate(closes)]
    with database.session() as session:
        save_series(
            session, VENUE, "AUSDT", "minutes", rows, demo=False, first_ms=first_ms, until_ms=until_ms, now_ms=NOW
        )
    found = judged(database, rule, "AUSDT")
    assert found.asks is None
    assert found.count == found.week == 7 * 12
    # What is kept still is not asked for again.
    old = judged(database, rule, "AUSDT", now_ms=NOW + 25 * HOUR_MS)
    assert (old.asks, old.requests) == ("minutes", 2)
    with database.session() as session:
        kept = load_series(session, VENUE, "AUSDT", "minutes", demo=False)
        assert kept is not None
        assert list(kept.rows) == rows
        assert prune_series(session, NOW) == 0
        assert prune_series(session, NOW + 1) == 1


def test_it_tells_how_far_it_is_and_can_be_cancelled(database: Database) -> None:
    symbols = [f"S{number}USDT" for number in range(100)]
    with database.session() as session:
        save_hours(session, VENUE, [hour(symbol, back, 100.0) for symbol in symbols for back in range(3)], demo=False)
    rule = definition(PriceCross("above", 101.0))
    told: list[float] = []
    done = asyncio.run(preview.run(database, rule, symbols, VENUE, False, NOW, told.append))
    assert done is not None
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 4
    later = NOW + HOUR_MS
    stopped = asyncio.run(preview.run(database, rule, symbols, VENUE, False, later, cancelled=lambda: True))
    assert stopped is None


def ask(session: Session, account_id: str, symbol: str, now_ms: int = NOW, *, demo: bool = False) -> str:
    return past_requests.ask(
        session, account_id, VENUE, symbol, "minutes", demo=demo, first_ms=1, until_ms=2, now_ms=now_ms
    )


def test_an_account_has_one_request_and_nobody_elses(database: Database) -> None:
    with database.session() as session:
        me, other = add_owner(session, NOW), add_owner(session, NOW)
        first = ask(session, me, "AUSDT")
        assert ask(session, me, "AUSDT") == first
        second = ask(session, me, "BUSDT", NOW + 1)
        ask(session, other, "CUSDT", NOW + 2)
        told = past_requests.progress(session, me, first)
        assert told is not None
        assert told.state == "cancelled"
        assert past_requests.progress(session, other, second) is None
        past_requests.cancel(session, other, second)
    with database.session() as session:
        taken = past_requests.take(session, VENUE, demo=False)
        assert taken is not None
        assert (taken.id, taken.symbol) == (second, "BUSDT")
        assert past_requests.note(session, second, 0.5)
    with database.session() as session:
        told = past_requests.progress(session, me, second)
        assert told is not None
        assert (told.state, told.share, told.is_open) == ("reading", 0.5, True)
        past_requests.cancel(session, me, second)
    with database.session() as session:
        assert not past_requests.note(session, second, 0.6)
        past_requests.end(session, second)
        told = past_requests.progress(session, me, second)
        assert told is not None
        assert told.state == "cancelled"


def test_requests_for_another_exchange_fail_and_those_of_a_reader_that_is_gone_are_read_anew(
    database: Database,
) -> None:
    with database.session() as session:
        me, other = add_owner(session, NOW), add_owner(session, NOW)
        of_demo, mine = ask(session, me, "AUSDT", demo=True), ask(session, other, "AUSDT", NOW + 1)
    with database.session() as session:
        assert past_requests.take(session, VENUE, demo=False) is not None
    with database.session() as session:
        assert past_requests.take(session, VENUE, demo=False) is None
        told = past_requests.progress(session, me, of_demo)
        assert told is not None
        assert told.state == "failed"
        assert "Another exchange" in told.problem
        assert past_requests.resume(session) == 1
    with database.session() as session:
        taken = past_requests.take(session, VENUE, demo=False)
        assert taken is not None
        assert taken.id == mine
        past_requests.end(session, mine, "no such contract")
        told = past_requests.progress(session, other, mine)
        assert told is not None
        assert (told.state, told.problem) == ("failed", "no such contract")
        assert past_requests.prune_requests(session, NOW + 2 * HOUR_MS) == 2


def test_stored_signals_are_counted_as_a_rule_on_them_is_told(database: Database) -> None:
    def spike(base: str, hours: float, **other: Any) -> Signal:
        at_ms = NOW - int(hours * HOUR_MS)
        return signal(base=base, key=f"{base}:{hours}:{other}", event_ms=at_ms, seen_ms=at_ms, **other)

    found = [
        spike("A", 1, severity=2),
        spike("A", 1.5, severity=2),
        spike("A", 200, severity=3, direction="bearish"),
        spike("B", 2, severity=3),
        # Another kind, exchange or contract, too weak, and of demo data.
        spike("A", 3, severity=2, detector="funding"),
        spike("A", 4, severity=2, origin=Origin("bybit")),
        spike("C", 5, severity=3),
        spike("A", 6, severity=1),
        # It says more of one that was told, and live no rule fires on it.
        spike("A", 8, severity=3, kind="HALF_UPDATE"),
        spike("A", 7, severity=3, origin=DEMO),
    ]
    with database.session() as session:
        signals.store(session, found, NOW)
    rule = definition(OnSignal("volume_spike", 2), cooldown_s=3_600)
    told = judged(database, rule, "AUSDT", "BUSDT")
    # The second within the cooldown is left out.
    assert [(each.symbol, each.up) for each in told.firings] == [("AUSDT", True), ("BUSDT", True), ("AUSDT", False)]
    assert (told.week, told.count, told.contracts) == (2, 3, 2)
    assert told.stored_ms == 200 * HOUR_MS
    bearish = definition(OnSignal("volume_spike", 2, "bearish"))
    assert judged(database, bearish, "AUSDT", "BUSDT").count == 1
    # Beside another condition, which is not known of that moment, it is the most that the rule can have fired.
    both = judged(database, definition(OnSignal("volume_spike", 2), PriceMove("up", 5.0, 900)), "AUSDT", "BUSDT")
    assert both.needs.at_most
    assert (both.count, both.followed) == (3, ())
