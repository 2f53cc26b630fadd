"""FlashCur's production server, as `make serve` starts it, on demo data."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path

from bench.process import Program, ProgramFailed

_BUILD_PATIENCE_S = 300.0
_DATA_PATIENCE_S = 60.0
_CONTRACTS = 450
"""Of some 500: the simulated exchange delists one now and then."""


def port() -> int:
    """`PORT`, the one `make serve` uses: another one would make it build the frontend anew."""
    return int(os.environ.get("PORT", "8000"))


@contextmanager
def production_server(folder: Path, **settings: str) -> Iterator[tuple[Program, int]]:
    """The server with 500 simulated contracts and an Elite audience, once its market is live; and its port."""
    environment = {
        "PORT": str(port()),
        "FLASHCUR_ENV": "dev",
        "FLASHCUR_DATA_DIR": str(folder),
        "FLASHCUR_DEMO": "on",
        "FLASHCUR_DEMO_SYMBOLS": "500",
        "FLASHCUR_DEV_AUDIENCE": "elite",
        **settings,
    }
    with Program([sys.executable, "-m", "flashcur.serve"], env=environment) as program:
        program.wait_for_port(port(), _BUILD_PATIENCE_S)
        _wait_for_market(program)
        yield program, port()


def _wait_for_market(program: Program) -> None:
    deadline = time.monotonic() + _DATA_PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port()}/api/v1/markets", timeout=5) as answer:
                rows = loads(answer.read()).get("rows", [])
        except (OSError, ValueError, urllib.error.URLError):
            rows = []
        if len(rows) >= _CONTRACTS and all(row.get("price") for row in rows):
            return
        time.sleep(0.5)
    raise ProgramFailed(program.complaint(f"showed no market within {_DATA_PATIENCE_S:g} s"))
