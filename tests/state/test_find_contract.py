"""The contract that somebody means by what they typed."""

from __future__ import annotations

import pytest

from flashcur.errors import Refusal, Unavailable
from flashcur.state.watchlists import find_contract

KNOWN = frozenset({"BTCUSDT", "ETHUSDT", "币安人生USDT"})


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
