"""By what signals are read for a tab, before any exchange has served."""

from __future__ import annotations

from pathlib import Path

import pytest
import reflex as rx

from flashcur.errors import PlanNeeded, Throttled, Unavailable
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.state import reading, visit
from flashcur.state.reading import passes, reader_of
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime

WHERE = Addresses("http://localhost:8000", "http://localhost:8000", ())


@pytest.mark.parametrize(("demo", "shown"), [("off", False), ("auto", False), ("on", True)])
def test_stored_signals_are_read_while_no_exchange_has_delivered(
    demo: str, shown: bool, sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"FLASHCUR_DATA_DIR": str(tmp_path), "FLASHCUR_SECRET_KEY": "0" * 40, "FLASHCUR_DEMO": demo}
    settings = Settings.load({**environ, "FLASHCUR_EXCHANGES": "bybit,binanceusdm"})
    runtime = WebRuntime(settings, MarketHub(), WHERE)
    monkeypatch.setattr(visit, "_runtime", runtime)
    monkeypatch.setattr(visit, "_arrival", None)
    monkeypatch.setattr(reading, "_reads", reading.Budgets(10, 1.0))
    state = rx.State()
    with pytest.raises(Unavailable):
        reader_of(state)
    runtime.database = sqlite_database
    runtime.database_ready.set()
    reader = reader_of(state)
    assert (reader.exchange, reader.demo, reader.distances) == ("bybit", shown, None)


def test_what_passes_is_asked_again() -> None:
    assert passes(Unavailable())
    assert passes(Throttled())
    assert not passes(PlanNeeded())
