"""Amounts as people read them."""

from __future__ import annotations

from typing import Final

ZERO_DECIMAL: Final = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""Currencies without a smaller unit."""
THREE_DECIMAL: Final = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
"""Currencies of a thousand parts."""


def amount_text(amount: int, currency: str) -> str:
    """An amount in its currency's smallest unit: `29.99 USD`."""
    digits = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    return f"{amount / 10**digits:,.{digits}f} {currency.upper()}"
