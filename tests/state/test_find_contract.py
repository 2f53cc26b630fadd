"""The contract that somebody means by what they typed."""

from __future__ import annotations

import pytest

from flashcur.errors import Refusal, Unavailable
from flashcur.state.watchlists import find_contract, named_here

KNOWN = frozenset({"BTCUSDT", "ETHUSDT", "币安人生USDT", "1000SHIBUSDT", "PEPEUSDT", "XUSDT", "1000XUSDT"})


@pytest.mark.parametrize("typed", ["btc", " BTCUSDT ", "BINANCE:BTCUSDT.P", "BTC/USDT:USDT", "ＢＴＣＵＳＤＴ"])
def test_any_spelling_finds_it(typed: str) -> None:
    assert find_contract(typed, KNOWN) == "BTCUSDT"


@pytest.mark.parametrize("typed", ["nothing", "GONEUSDT", "продамUSDT", "BTCUSDT，ETHUSDT", "BTCUSDT+", "", "USDT"])
def test_what_is_not_listed_is_not_invented(typed: str) -> None:
    with pytest.raises(Refusal, match="There is no contract"):
        find_contract(typed, KNOWN)


@pytest.mark.parametrize("typed", ["btc", "nothing"])
def test_before_the_first_frame_nobody_can_tell(typed: str) -> None:
    with pytest.raises(Unavailable, match="not known yet"):
        find_contract(typed, frozenset())


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [("shib", "1000SHIBUSDT"), ("SHIB1000", "1000SHIBUSDT"), ("shib1000usdt", "1000SHIBUSDT"), ("1000pepe", "PEPEUSDT"),
     ("BYBIT:SHIB1000USDT.P", "1000SHIBUSDT")],
)  # fmt: skip
def test_another_number_of_the_coin_finds_it_and_is_named(typed: str, symbol: str) -> None:
    assert find_contract(typed, KNOWN) == symbol
    assert named_here(typed, symbol) == f"{typed} is called {symbol} here."


@pytest.mark.parametrize("typed", ["1000shib", "1000SHIBUSDT", "BINANCE:1000SHIBUSDT.P", "１０００ＳＨＩＢ"])
def test_its_own_name_needs_no_word(typed: str) -> None:
    assert find_contract(typed, KNOWN) == "1000SHIBUSDT"
    assert named_here(typed, "1000SHIBUSDT") == ""


def test_of_two_numbers_of_one_coin_none_is_guessed() -> None:
    assert (find_contract("x", KNOWN), find_contract("1000X", KNOWN)) == ("XUSDT", "1000XUSDT")
    with pytest.raises(Refusal, match="“X1000” may be 1000XUSDT or XUSDT here: write which"):
        find_contract("X1000", KNOWN)
