"""What contracts are on, and what is said of it."""

from __future__ import annotations

import pytest

from flashcur.domain.assets import CLASS_OF, AssetClass, assets_named, assets_of, mark


def test_every_class_has_a_letter_of_its_own_and_all_but_crypto_a_mark() -> None:
    assert list(CLASS_OF.values()) == list(AssetClass)
    assert all(len(letter) == 1 for letter in CLASS_OF)
    assert [bool(mark(asset.letter, closed=False)) for asset in AssetClass] == [False, True, True, True, True]
    assert {asset for asset in AssetClass if asset.assets == "crypto"} == {AssetClass.CRYPTO}


def test_a_mark_says_what_it_is_and_that_it_is_closed() -> None:
    assert mark(AssetClass.STOCK.letter, closed=True) == "Stock, closed"
    assert mark(AssetClass.COMMODITY.letter, closed=False) == "Commodity"
    assert mark(AssetClass.CRYPTO.letter, closed=True) == mark("", closed=True) == ""


def test_a_letter_that_is_not_known_is_of_a_time_when_all_was_crypto() -> None:
    assert assets_of("") == assets_of("?") == "crypto"


def test_a_half_is_named_by_its_word() -> None:
    assert (assets_named("crypto"), assets_named("tradfi")) == ("crypto", "tradfi")
    with pytest.raises(ValueError, match="expected crypto or tradfi, was 'Stocks'"):
        assets_named("Stocks")
