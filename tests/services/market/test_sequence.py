from __future__ import annotations

from dataclasses import replace

from flashcur.domain.ticks import Candle, Funding, Ticker
from flashcur.services.market.sequence import Sequencer

HOUR_MS = 3_600_000
TICKER = Ticker("A", 1.0, 0.0, 5.0, 1000, 1001)
CANDLE = Candle("A", HOUR_MS, 1.0, 1.0, 1.0, 1.0, 5.0, False, 2 * HOUR_MS - 5, 2 * HOUR_MS)


def test_older_is_stale_the_same_is_duplicate_newer_is_news() -> None:
    sequencer = Sequencer()
    assert sequencer.refuse(TICKER) is None
    assert sequencer.refuse(replace(TICKER, price=2.0, event_ms=999)) == "stale"
    assert sequencer.refuse(replace(TICKER, seen_ms=1005)) == "duplicate"
    assert sequencer.refuse(replace(TICKER, price=2.0)) is None
    assert sequencer.refuse(replace(TICKER, event_ms=1002)) is None


def test_kinds_and_symbols_do_not_hold_each_other_back() -> None:
    sequencer = Sequencer()
    sequencer.refuse(TICKER)
    assert sequencer.refuse(replace(TICKER, symbol="B", event_ms=1)) is None
    assert sequencer.refuse(Funding("A", 1.0, 0.0, None, 1, 1)) is None


def test_the_last_value_of_an_hour_may_come_after_the_first_of_the_next() -> None:
    sequencer = Sequencer()
    sequencer.refuse(CANDLE)
    assert sequencer.refuse(replace(CANDLE, open_ms=2 * HOUR_MS, event_ms=2 * HOUR_MS + 400)) is None
    closing = replace(CANDLE, closed=True, event_ms=2 * HOUR_MS + 100)
    assert sequencer.refuse(closing) is None
    assert sequencer.refuse(closing) == "duplicate"
    assert sequencer.refuse(replace(CANDLE, event_ms=2 * HOUR_MS + 200)) == "stale"


def test_only_a_few_hours_are_remembered_and_older_ones_are_stale() -> None:
    sequencer = Sequencer()
    for hour in range(5, 10):
        assert sequencer.refuse(replace(CANDLE, open_ms=hour * HOUR_MS, event_ms=hour * HOUR_MS)) is None
    assert sequencer.refuse(replace(CANDLE, open_ms=HOUR_MS)) == "stale"


def test_a_contract_that_left_is_forgotten() -> None:
    sequencer = Sequencer()
    sequencer.refuse(TICKER)
    sequencer.refuse(CANDLE)
    sequencer.keep_only({"B"})
    assert sequencer.refuse(TICKER) is None
    assert sequencer.refuse(CANDLE) is None
