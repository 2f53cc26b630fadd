"""Closed hours of both kinds of database."""

from __future__ import annotations

from sqlmodel import Session

from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.services.records.hour_candles import (
    load_hours,
    load_volumes,
    prune_hours,
    purge_demo_hours,
    save_hours,
)
from flashcur.services.storage.database import Database

NOON_MS = 1_795_435_200_000
VENUE = "binanceusdm"


def hour(symbol: str, hours_ago: int, volume: float = 1e6, *, closed: bool = True) -> Candle:
    open_ms = NOON_MS - hours_ago * HOUR_MS
    end_ms = open_ms + HOUR_MS
    return Candle(symbol, open_ms, 1.0, 2.0, 0.5, 1.5, volume, closed, event_ms=end_ms, seen_ms=end_ms)


def loaded(database: Database, *, demo: bool = False, hours: int = 100, **other: list[str]) -> dict[str, list[Candle]]:
    with database.session(readonly=True) as session:
        first_ms = NOON_MS - hours * HOUR_MS
        return dict(load_hours(session, VENUE, demo=demo, first_ms=first_ms, symbols=other.get("symbols")))


def save(database: Database, *candles: Candle, demo: bool = False, exchange: str = VENUE) -> int:
    with database.session() as session:
        return save_hours(session, exchange, candles, demo=demo)


def test_hours_come_back_as_they_were_oldest_first(database: Database) -> None:
    hours = [hour("BTCUSDT", 2), hour("ETHUSDT", 1), hour("BTCUSDT", 1, 7.25)]
    assert save(database, *hours) == 3
    assert loaded(database) == {"BTCUSDT": [hours[0], hours[2]], "ETHUSDT": [hours[1]]}
    assert loaded(database, symbols=["ETHUSDT"]) == {"ETHUSDT": [hours[1]]}
    assert loaded(database, hours=1) == {"BTCUSDT": [hours[2]], "ETHUSDT": [hours[1]]}


def test_volumes_alone_are_read_for_some_contracts(database: Database) -> None:
    save(database, hour("BTCUSDT", 2, 5.0), hour("BTCUSDT", 1, 6.0), hour("ETHUSDT", 1, 7.0), hour("XUSDT", 1, 8.0))
    save(database, hour("BTCUSDT", 3, 9.0), demo=True)
    with database.session(readonly=True) as session:
        first_ms = NOON_MS - 100 * HOUR_MS
        assert load_volumes(session, VENUE, ["BTCUSDT", "ETHUSDT", "NEWUSDT"], demo=False, first_ms=first_ms) == {
            "BTCUSDT": [(NOON_MS - 2 * HOUR_MS, 5.0), (NOON_MS - HOUR_MS, 6.0)],
            "ETHUSDT": [(NOON_MS - HOUR_MS, 7.0)],
        }


def test_an_hour_in_progress_is_not_kept(database: Database) -> None:
    assert save(database, hour("BTCUSDT", 0, closed=False)) == 0
    assert loaded(database) == {}


def test_the_last_word_on_an_hour_stands(database: Database) -> None:
    save(database, hour("BTCUSDT", 1, 5.0), hour("BTCUSDT", 1, 6.0))
    assert [candle.volume_quote for candle in loaded(database)["BTCUSDT"]] == [6.0]
    save(database, hour("BTCUSDT", 1, 7.0))
    assert [candle.volume_quote for candle in loaded(database)["BTCUSDT"]] == [7.0]


def test_hours_of_another_exchange_or_of_demo_data_do_not_mix(database: Database) -> None:
    save(database, hour("BTCUSDT", 1, 5.0))
    save(database, hour("BTCUSDT", 1, 6.0), demo=True)
    save(database, hour("BTCUSDT", 1, 7.0), exchange="bybit")
    assert [candle.volume_quote for candle in loaded(database)["BTCUSDT"]] == [5.0]
    with database.session() as session:
        assert purge_demo_hours(session) == 1
    assert loaded(database, demo=True) == {}
    assert loaded(database) != {}


def newest(session: Session) -> dict[str, int]:
    """By symbol, the beginning of the newest hour that is known, Unix ms."""
    known = load_hours(session, VENUE, demo=False, first_ms=0)
    return {symbol: hours[-1].open_ms for symbol, hours in known}


def test_what_is_known_and_what_is_old(database: Database) -> None:
    save(database, hour("BTCUSDT", 1), hour("BTCUSDT", 3), hour("ETHUSDT", 2))
    with database.session() as session:
        assert newest(session) == {
            "BTCUSDT": NOON_MS - HOUR_MS,
            "ETHUSDT": NOON_MS - 2 * HOUR_MS,
        }
        assert prune_hours(session, NOON_MS - HOUR_MS) == 2
        assert newest(session) == {"BTCUSDT": NOON_MS - HOUR_MS}
