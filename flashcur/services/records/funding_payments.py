"""Funding payments of every contract, kept: an extreme rate is ranked among the contract's own past ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.models import FundingPayment
from flashcur.services.storage.inserts import upsert

KEPT = timedelta(days=120)
"""Some 360 payments where they are made each 8 hours."""

_KEY = ("exchange", "demo", "symbol", "paid_ms")


def save_payments(session: Session, exchange: str, payments: Mapping[str, Sequence[Payment]], *, demo: bool) -> int:
    """Write down the payments of contracts, by symbol, in place of what is known of them; returns how many."""
    rows = {
        (symbol, payment.paid_ms): {
            "exchange": exchange,
            "demo": demo,
            "symbol": symbol,
            "paid_ms": payment.paid_ms,
            "rate": payment.rate,
        }
        for symbol, each in payments.items()
        for payment in each
    }
    return upsert(session, FundingPayment, _KEY, rows)


def load_payments(
    session: Session, exchange: str, symbols: Sequence[str], *, demo: bool, first_ms: int
) -> dict[str, list[Payment]]:
    """The payments of `symbols` from `first_ms` (Unix ms) on, oldest first; contracts without any are left out."""
    query = (
        select(FundingPayment.symbol, FundingPayment.paid_ms, FundingPayment.rate)
        .where(
            col(FundingPayment.exchange) == exchange,
            col(FundingPayment.demo).is_(demo),
            col(FundingPayment.symbol).in_(symbols),
            col(FundingPayment.paid_ms) >= first_ms,
        )
        .order_by(col(FundingPayment.symbol), col(FundingPayment.paid_ms))
    )
    found: dict[str, list[Payment]] = {}
    for symbol, paid_ms, rate in session.exec(query):
        found.setdefault(symbol, []).append(Payment(paid_ms, rate))
    return found


def prune_payments(session: Session, before_ms: int) -> int:
    """Delete payments of before `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(FundingPayment).where(col(FundingPayment.paid_ms) < before_ms)).rowcount


def purge_demo_payments(session: Session) -> int:
    """Delete the payments of demo data; returns how many."""
    return session.exec(delete(FundingPayment).where(col(FundingPayment.demo))).rowcount
