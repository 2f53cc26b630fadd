"""A signal as the texts of its sheet."""

from __future__ import annotations

from datetime import UTC

from flashcur.domain.signals.evidence import Evidence
from flashcur.services.alerts.outcomes import sign_of
from flashcur.services.alerts.signal_details import Details
from flashcur.state.signal_texts import detail_vars
from tests.support.signals import NOON_MS, signal


def test_a_delisting_is_seen_in_a_list_and_promises_nothing() -> None:
    left = signal(detector="listing", kind="DELISTED", direction="none", evidence=Evidence("listings/2", ()))
    told = detail_vars(Details(1, left, NOON_MS + 90, None, None, ()), UTC, NOON_MS + 100)
    assert [row["what"] for row in told["receipt"]] == [
        "No longer in Binance USD-M’s list of contracts",
        "The signal was stored",
    ]
    assert told["outcomes"] == []
    assert [each["text"] for each in told["links"]] == ["Chart at TradingView"]


def test_the_sign_of_funding_is_in_its_key() -> None:
    key = "binanceusdm:AUSDT:FUNDING_EXTREME:2026-11-23T12:00Z:negative:2"
    assert (sign_of("funding", key), sign_of("listing", key), sign_of("funding", "x")) == ("negative", "", "")
