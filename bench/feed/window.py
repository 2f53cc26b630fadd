"""The window in which a feed is watched."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping

from bench.process import rss_kb

WARM_UP_S = 5.0


async def watch(seconds: float, counts: Callable[[], Mapping[str, int]]) -> None:
    """Let the feed run for a while and print what it cost, and its counts as rates, as one JSON line."""
    await asyncio.sleep(WARM_UP_S)
    before, used, started = dict(counts()), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - started
    cpu = (time.process_time() - used) / took
    after = counts()
    rates = {name: (after[name] - before[name]) / took for name in before}
    print(json.dumps({"cpu": cpu, "rss_mb": rss_kb(os.getpid()) / 1000, "rejects": 0, **rates}), flush=True)
