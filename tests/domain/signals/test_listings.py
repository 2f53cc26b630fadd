"""Listings, delistings and changed terms, by comparing sets of instruments."""

from __future__ import annotations

import pytest

from flashcur.domain.signals.listings import DAY_MS, ODD_MS, Listings, former_symbol
from flashcur.domain.signals.signal import Signal
from flashcur.domain.ticks import Instrument
from tests.domain.signals.market import ORIGIN, T0, instrument

A, B, C = instrument("AUSDT"), instrument("BUSDT"), instrument("CUSDT")
MANY = [instrument(f"C{number}USDT") for number in range(100)]


def texts(signals: object) -> list[str]:
    assert isinstance(signals, list | tuple)
    return [signal.text for signal in signals if isinstance(signal, Signal)]


def knowing(*instruments: Instrument) -> Listings:
    it = Listings(ORIGIN)
    assert not it.compare(instruments, T0)
    return it


def test_what_comes_and_goes() -> None:
    it = knowing(A, B)
    assert not it.compare([A, B], T0 + 15_000)
    signals = it.compare([A, C], T0 + 30_000)
    assert [(s.kind, s.symbol, s.severity) for s in signals] == [("LISTED", "CUSDT", 2), ("DELISTED", "BUSDT", 2)]
    assert texts(signals) == ["C is listed now — NEW CONTRACT", "B is no longer traded — DELISTED"]


def test_a_listing_explains_itself() -> None:
    it = knowing(A, B)
    new = instrument("NEWUSDT", listed_ms=T0, delivery_ms=T0 + DAY_MS)
    listed, left = it.compare([A, new], T0 + 30_000)
    measures = {measure.label: measure.text for measure in listed.evidence.measures}
    assert measures == {
        "Listed at": "2026-11-23 08:00 UTC",
        "Price step": "0.01",
        "Contract size": "1",
        "Funding is paid every": "8 h",
        "Delivered at": "2026-11-24 08:00 UTC",
        "Contracts in the list before": "2",
    }
    assert left.evidence.value("contracts") == 2
    (young,) = Listings(ORIGIN).compare([A, new], T0 + 30_000)
    assert young.evidence.measures[-1].text == "no list before: it is younger than a day"


def test_a_contract_that_flickers_is_told_once_a_day_each_way() -> None:
    it = knowing(A, B)
    seen = [it.compare([A, B] if n % 2 else [A], T0 + n * 15_000) for n in range(8)]
    assert [[s.kind for s in signals] for signals in seen[:4]] == [["DELISTED"], ["LISTED"], [], []]
    assert not any(seen[4:])


def test_one_that_is_old_is_traded_again() -> None:
    it = knowing(A)
    old = instrument("OLDUSDT", listed_ms=T0 - 400 * DAY_MS)
    assert texts(it.compare([A, old], T0)) == ["OLD is traded again"]


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"funding_interval_hours": 4}, "the funding interval is 4 h, was 8 h — TERMS CHANGED"),
        ({"tick_size": 0.00001}, "the price step is 0.00001, was 0.01 — TERMS CHANGED"),
        ({"contract_size": 10.0}, "the contract size is 10, was 1 — TERMS CHANGED"),
        ({"delivery_ms": T0 + DAY_MS}, "will be delivered and end at 2026-11-24 08:00 UTC — TERMS CHANGED"),
    ],
)
def test_changed_terms(terms: dict[str, object], text: str) -> None:
    it = knowing(A, B)
    (signal,) = it.compare([instrument("AUSDT", **terms), B], T0)
    assert (signal.kind, signal.text) == ("TERMS_CHANGED", f"A {text}")
    assert [measure.name for measure in signal.evidence.measures] == ["term", "was", "now"]


@pytest.mark.parametrize(
    ("former", "now"), [("SHIBUSDT", "1000SHIBUSDT"), ("1000PEPEUSDT", "PEPEUSDT"), ("SHIB1000USDT", "SHIBUSDT")]
)
def test_another_multiplier_is_another_name(former: str, now: str) -> None:
    it = knowing(A, instrument(former))
    (signal,) = it.compare([A, instrument(now)], T0)
    assert (signal.kind, signal.symbol) == ("TERMS_CHANGED", now)
    assert f"replaces {former.removesuffix('USDT')}" in signal.text
    assert former_symbol(signal) == former


def test_other_terms_are_no_other_name() -> None:
    (signal,) = knowing(A, B).compare([instrument("AUSDT", tick_size=0.1), B], T0)
    (listed,) = knowing(A).compare([A, B], T0)
    assert (former_symbol(signal), former_symbol(listed)) == ("", "")


def test_the_first_set_is_news_only_where_a_contract_is_young() -> None:
    it = Listings(ORIGIN)
    young, old = instrument("YUSDT", listed_ms=T0 - DAY_MS // 2), instrument("OUSDT", listed_ms=T0 - 9 * DAY_MS)
    planned = instrument("PUSDT", listed_ms=T0 + DAY_MS)
    assert [s.symbol for s in it.compare([A, young, old, planned], T0)] == ["YUSDT"]


def test_after_a_restart_what_changed_in_between_is_told_and_nothing_twice() -> None:
    it = Listings(ORIGIN)
    it.restore([A, B])
    stored = it.compare([A, C], T0)
    assert [s.kind for s in stored] == ["LISTED", "DELISTED"]
    again = Listings(ORIGIN)
    again.restore([A, B])
    again.resume(stored, ())
    assert not again.compare([A, C], T0)


def test_an_empty_answer_says_nothing() -> None:
    it = knowing(A, B)
    assert not it.compare([], T0)
    assert not it.compare([A, B], T0)


def test_a_broken_answer_is_no_mass_delisting() -> None:
    it = knowing(*MANY)
    assert not it.compare(MANY[:40], T0)
    assert not it.compare(MANY, T0 + 15_000)
    assert it.counters.suppressed["mass_change"] == 1


def test_what_stands_is_believed() -> None:
    it = knowing(*MANY)
    assert not it.compare(MANY[:80], T0)
    assert not it.compare(MANY[:80], T0 + ODD_MS - 1)
    assert len(it.compare(MANY[:80], T0 + ODD_MS)) == 20


def test_lost_intervals_are_no_change_of_all_contracts() -> None:
    fast = [instrument(each.symbol, funding_interval_hours=4) for each in MANY]
    it = knowing(*fast)
    assert not it.compare(MANY, T0)
    assert not it.compare(fast, T0 + 15_000)


def test_a_first_answer_that_was_half_is_no_mass_listing() -> None:
    it = knowing(*MANY[:40])
    assert not it.compare(MANY, T0)
    assert not it.compare(MANY, T0 + ODD_MS)
    assert not it.compare(MANY, T0 + 2 * ODD_MS)
