"""Names that count a coin by the thousand."""

from __future__ import annotations

import pytest

from flashcur.domain.multiples import coin, split, under_other_names


@pytest.mark.parametrize(
    ("base", "factor", "asset"),
    [
        ("1000PEPE", 1_000, "PEPE"),
        ("10000SATS", 10_000, "SATS"),
        ("1000000MOG", 1_000_000, "MOG"),
        ("SHIB1000", 1_000, "SHIB"),
        ("1MBABYDOGE", 1_000_000, "BABYDOGE"),
        ("1000X", 1_000, "X"),
        ("1000IQ50", 1_000, "IQ50"),
        ("1000币安人生", 1_000, "币安人生"),
    ],
)
def test_a_number_of_a_coin_is_told_from_the_coin(base: str, factor: int, asset: str) -> None:
    assert split(base) == (factor, asset)
    assert coin(base) == coin(base.lower() + "usdt") == coin(f"{base}USDT") == asset


@pytest.mark.parametrize(
    "base", ["BTC", "1INCH", "C98", "API3", "LUNA2", "AI16Z", "SPX6900", "100X", "1000", "1M", "1MX", "4", "X100", ""]
)
def test_a_digit_alone_makes_no_number_of_a_coin(base: str) -> None:
    assert split(base) == (1, base)


def test_a_contract_is_found_under_another_name() -> None:
    listed = ("1000SHIBUSDT", "PEPEUSDT", "BTCUSDT", "1000XUSDT", "XUSDT")
    for name in ("SHIB", "shibusdt", "SHIB1000", "SHIB1000USDT", "10000SHIBUSDT", "1MSHIB"):
        assert under_other_names(name, listed) == ["1000SHIBUSDT"]
    assert under_other_names("1000PEPE", listed) == ["PEPEUSDT"]
    assert under_other_names("1000000XUSDT", listed) == ["1000XUSDT", "XUSDT"]
    assert under_other_names("SHI", listed) == under_other_names("", listed) == under_other_names("USDT", listed) == []
