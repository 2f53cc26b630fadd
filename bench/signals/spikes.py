"""Spikes on the simulated exchange, as they are ordered."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

from flashcur.services.simulator import SimulatorProcess

CONTRACTS = 500
PAUSE_S = 0.12
"""Between two spikes."""


async def spike(exchange: SimulatorProcess, symbol: str) -> None:
    """Have the contract trade four times the hour before, within half a second."""
    wanted: dict[str, Any] = {"symbol": symbol, "ratio": 4.0, "over_s": 0.5}
    request = urllib.request.Request(
        f"{exchange.rest_url}/_control/volume_spike", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())
