"""A year of hourly candles of 500 contracts through the detectors, from one file.

The peer is what a person would write for the canonical rule alone: `csv.DictReader`, a dictionary of the last hours,
the comparison, `json.dumps`. It checks nothing.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.options import Options
from bench.process import ROOT, ProgramFailed
from bench.report import Cell, Table, ratio

HOUR_MS = 3_600_000
START_MS = 1_746_129_600_000

_PEER = """
import csv, json, sys
before = {}
with open(sys.argv[1], newline="") as file:
    for row in csv.DictReader(file):
        hour, opened, close = int(row["timestamp"]), float(row["open"]), float(row["close"])
        volume = float(row["volume"]) * (opened + close) / 2
        last, previous = before.get(row["symbol"], (0, 0.0))
        if previous > 0 and last == hour - 3_600_000 and volume >= 3e6 and volume / previous >= 3:
            print(json.dumps({"symbol": row["symbol"], "hour": hour, "ratio": volume / previous}))
        before[row["symbol"]] = hour, volume
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Resident memory of the largest process."""
    lines: int


def run(options: Options) -> Table:
    """Measure; each command once."""
    contracts, hours = (20, 500) if options.quick else (500, 8_760)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "year.csv"
        write_year(path, contracts, hours)
        ours = [sys.executable, "-m", "flashcur.backtest"]
        spikes = measured([*ours, "spikes", "--candles", str(path)])
        adaptive = measured([*ours, "adaptive", "--candles", str(path)])
        peer = measured([sys.executable, "-c", _PEER, str(path)])
        size_mb = path.stat().st_size / 1e6
    if spikes.lines != peer.lines:
        raise ProgramFailed(f"expected as many spikes as the peer finds, {peer.lines}, was {spikes.lines}")
    rows: list[tuple[Cell, ...]] = [
        _row("**FlashCur, `spikes`**", spikes, peer),
        _row("**FlashCur, `adaptive`**", adaptive, peer),
        _row("a plain script, the canonical rule only", peer, None),
    ]
    return Table(
        "backtest",
        ("command", "seconds", "CPU seconds", "peak MB", "signals", "seconds against the peer"),
        tuple(rows),
        (f"{contracts * hours:,} rows of {contracts} contracts in order of time, {size_mb:.0f} MB of CSV.",),
    )


def write_year(path: Path, contracts: int, hours: int) -> None:
    """Candles of contracts of all sizes, hour by hour."""
    draw = random.Random(1)
    base = [(f"C{n}USDT", 10 ** draw.uniform(4, 7), 10 ** draw.uniform(-2, 3)) for n in range(contracts)]
    with path.open("w") as file:
        file.write("timestamp,symbol,open,high,low,close,volume\n")
        for hour in range(hours):
            at_ms = START_MS + hour * HOUR_MS
            for symbol, usual, price in base:
                close = price * draw.uniform(0.991, 1.009)
                volume = usual / price * draw.lognormvariate(0, 0.8)
                file.write(
                    f"{at_ms},{symbol},{price:.6g},{price * 1.01:.6g},{price * 0.99:.6g},{close:.6g},{volume:.2f}\n"
                )


def measured(command: Sequence[str]) -> Run:
    """Run a command to its end. Raises ProgramFailed."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.PIPE)
        assert process.stderr is not None
        errors = process.stderr.read().decode(errors="replace")
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        said.seek(0)
        lines = sum(1 for _ in said)
    if process.returncode:
        raise ProgramFailed(f"expected exit code 0, was {process.returncode}: {errors[-500:]}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, lines)


def _row(name: str, done: Run, peer: Run | None) -> tuple[Cell, ...]:
    against = None if peer is None else ratio(done.wall_s, peer.wall_s)
    return name, done.wall_s, done.cpu_s, done.peak_mb, done.lines, against
