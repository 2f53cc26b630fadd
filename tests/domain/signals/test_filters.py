"""Filters of signals: read from addresses, written into them."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.filters import SINCE_MS, SignalFilter, WrongFilter

NOW_MS = 1_795_435_200_000
DAY_MS = 86_400_000


def parsed(query: dict[str, str]) -> SignalFilter:
    return SignalFilter.parse(query, strict=True)


def test_an_address_and_its_filter_are_one() -> None:
    address = {
        "kind": "volume_spike,open_interest",
        "direction": "bullish",
        "severity": "3",
        "quadrant": "long_build_up",
        "contract": "pepe",
        "since": "week",
        "from": "2026-11-01",
        "to": "2026-11-20",
        "list": "0a1b",
    }
    wanted = parsed(address)
    assert wanted == SignalFilter(
        ("volume_spike", "open_interest"),
        "bullish",
        3,
        "long_build_up",
        "pepe",
        "week",
        date(2026, 11, 1),
        date(2026, 11, 20),
        "0a1b",
    )
    assert wanted.query() == "&".join(f"{name}={value}" for name, value in address.items())


def test_what_is_empty_is_left_out_of_the_address() -> None:
    assert SignalFilter().query() == ""
    assert parsed({}) == parsed({"kind": "", "severity": "1", "contract": "  "}) == SignalFilter()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("kind", "spikes", "kind: expected volume_spike, adaptive_spike, open_interest, funding or listing"),
        ("kind", "funding,oi", "separated by commas, was 'oi'"),
        ("direction", "up", "direction: expected bullish or bearish, was 'up'"),
        ("severity", "4", "severity: expected 1, 2 or 3, was '4'"),
        ("quadrant", "x", "quadrant: expected long_build_up"),
        ("since", "year", "since: expected hour, day, week or month, was 'year'"),
        ("from", "2026-02-30", "from: expected a day as YYYY-MM-DD, was '2026-02-30'"),
        ("from", "20260101", "from: expected a day"),
        ("to", "9999-12-31", "to: expected a day"),
        ("to", "٢٠٢٦-٠١-٠١", "to: expected a day"),
        ("contract", "\0", r"contract: expected a symbol or a coin, was '\x00'"),
        ("contract", "BTC\0USDT", "contract: expected a symbol or a coin"),
        ("contract", "BTC\ud800", r"contract: expected a symbol or a coin, was 'BTC\ud800'"),
        ("contract", "BTC\u202e", "contract: expected a symbol or a coin"),
        ("contract", "B" * 41, "contract: expected at most 40 characters, was 'BBB"),
        ("list", "../x", "list: expected the id of a watchlist, was '../x'"),
        ("list", "\0", "list: expected the id of a watchlist"),
    ],
)
def test_what_is_wrong_is_named_to_a_program_and_left_out_for_a_person(name: str, text: str, expected: str) -> None:
    with pytest.raises(WrongFilter) as raised:
        SignalFilter.parse({name: text}, strict=True)
    assert expected in str(raised.value)
    lenient = SignalFilter.parse({name: text})
    assert text not in lenient.query()


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(WrongFilter, match="to: expected a day not before 2026-11-05"):
        parsed({"from": "2026-11-05", "to": "2026-11-04"})
    assert SignalFilter.parse({"from": "2026-11-05", "to": "2026-11-04"}).last_day is None


def test_days_are_whole_and_since_counts_back() -> None:
    first, end = parsed({"from": "2026-11-05", "to": "2026-11-05"}).span_ms(NOW_MS)
    assert first is not None
    assert end == first + DAY_MS
    assert parsed({"since": "day"}).span_ms(NOW_MS) == (NOW_MS - DAY_MS, None)
    assert SignalFilter().span_ms(NOW_MS) == (None, None)
    # The narrower of the two.
    assert parsed({"since": "hour", "from": "2020-01-01"}).span_ms(NOW_MS)[0] == NOW_MS - SINCE_MS["hour"]


def test_a_contract_is_asked_for_by_its_coin() -> None:
    assert SignalFilter().coins is None
    for name in ("PEPE", "pepe", "1000PEPE", "1000PEPEUSDT", "PEPEUSDT"):
        assert SignalFilter(contract=name).coins == {"PEPE"}
    listed = SignalFilter(symbols=frozenset({"1000PEPEUSDT", "BTCUSDT"}))
    assert listed.coins == {"PEPE", "BTC"}
    assert SignalFilter(contract="btc", symbols=listed.symbols).coins == {"BTC"}
    assert SignalFilter(contract="eth", symbols=listed.symbols).coins == frozenset()


@given(
    st.dictionaries(
        st.sampled_from(["kind", "direction", "severity", "quadrant", "contract", "since", "from", "to", "list"]),
        st.text(),
    )
)
def test_no_address_is_too_strange(params: dict[str, str]) -> None:
    wanted = SignalFilter.parse(params)
    wanted.span_ms(NOW_MS)
    # What was understood is understood again.
    assert SignalFilter.parse(dict(parse_qsl(wanted.query()))) == wanted
