"""Settings of an engine that is measured: the given exchange alone, and a folder of its own."""

from __future__ import annotations

from pathlib import Path

from flashcur.settings import Settings


def watching(rest_url: str, ws_url: str, folder: Path) -> Settings:
    """Of an engine that watches the exchange at these URLs as if it were the real one."""
    return Settings.load(
        {
            "FLASHCUR_DATA_DIR": str(folder),
            "FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4,
            "FLASHCUR_EXCHANGES": "binanceusdm",
            "FLASHCUR_DEMO": "off",
            "FLASHCUR_BINANCEUSDM_REST_URL": rest_url,
            "FLASHCUR_BINANCEUSDM_WS_URL": ws_url,
        }
    )
