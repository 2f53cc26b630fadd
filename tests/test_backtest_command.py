"""`python -m flashcur.backtest` as a person types it."""

from __future__ import annotations

import csv
import json
import os
import pty
import random
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flashcur.backtest import MANY_ROWS, main

ROOT = Path(__file__).parents[1]
HOUR = 3_600_000
T = 1_746_129_600_000
CANDLES = "timestamp,open,high,low,close,volume"


class Researcher:
    """Who types the command, and what it printed."""

    def __init__(self, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capfd = capfd
        self._folder = folder
        self.errors = ""

    def file(self, text: str, name: str = "rows.csv") -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def runs(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        """The lines it prints; `errors` is what it complained about."""
        try:
            returned = main(list(words))
        except SystemExit as end:  # what argparse does
            returned = end.code
        said, self.errors = self._capfd.readouterr()
        assert returned == status, said + self.errors
        assert "Traceback" not in self.errors
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def researcher(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Researcher:
    return Researcher(capfd, tmp_path)


def candles(volumes: list[float], *, start: int = T, symbol: str = "") -> str:
    lead = f"{symbol}," if symbol else ""
    return "".join(f"{lead}{start + n * HOUR},10,12,8,{9 + 2 * (n % 2)},{v}\n" for n, v in enumerate(volumes))


def obvious(path: Path) -> list[dict[str, object]]:
    """The canonical rule over a file of candles, line by line as its text says."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    volume = {
        int(row["timestamp"]): float(row["volume"]) * (float(row["open"]) + float(row["close"])) / 2 for row in rows
    }
    found: list[dict[str, object]] = []
    for row in rows:
        hour = int(row["timestamp"])
        before = volume.get(hour - HOUR, 0.0)
        if before > 0 and volume[hour] >= 3 * 1e6 and volume[hour] / before >= 3:
            found.append(
                {
                    "symbol": path.stem,
                    "hour": f"{datetime(1970, 1, 1) + timedelta(milliseconds=hour):%Y-%m-%dT%H:%M:%SZ}",
                    "kind": "SPIKE",
                    "ratio": volume[hour] / before,
                    "volume_quote": volume[hour],
                    "direction": "bullish" if float(row["close"]) > float(row["open"]) else "bearish",
                }
            )
    return found


def test_recorded_candles_one_by_one(researcher: Researcher) -> None:
    folder = os.environ.get("FLASHCUR_MARKET_DATA")
    files = sorted((Path(folder) / "candles-1h").glob("*.csv")) if folder else []
    if not files:
        pytest.skip("no recorded data: set FLASHCUR_MARKET_DATA to the folder with candles-1h")
    for path in files:
        assert researcher.runs("spikes", "--symbol", path.stem, "--candles", str(path)) == obvious(path)


def test_a_line_of_a_spike(researcher: Researcher) -> None:
    path = researcher.file(f"{CANDLES},quote_volume\n{T},10,12,8,9,1,1000000\n{T + HOUR},10,12,8,11,1,3500000\n")
    assert researcher.runs("spikes", "--symbol", "AUSDT", "--candles", path) == [
        {
            "symbol": "AUSDT",
            "hour": "2025-05-01T21:00:00Z",
            "kind": "SPIKE",
            "ratio": 3.5,
            "volume_quote": 3_500_000.0,
            "direction": "bullish",
        }
    ]
    assert researcher.errors == ""


def test_multiple_and_floor_are_options(researcher: Researcher) -> None:
    path = researcher.file(f"{CANDLES}\n{candles([10, 21])}")
    arguments = ["spikes", "--symbol", "A", "--candles", path]
    assert researcher.runs(*arguments) == []
    assert len(researcher.runs(*arguments, "--multiple", "2", "--floor", "100")) == 1
    researcher.runs(*arguments, "--floor", "-1", status=2)
    assert "expected a number above 0, was '-1'" in researcher.errors


def test_many_contracts_in_one_file(researcher: Researcher) -> None:
    rows = candles([1e5, 9e5], symbol="A") + candles([1e5, 1e5, 9e5], symbol="B")
    path = researcher.file(f"symbol,{CANDLES}\n{rows}")
    assert [each["symbol"] for each in researcher.runs("spikes", "--candles", path)] == ["A", "B"]
    assert [each["symbol"] for each in researcher.runs("spikes", "--candles", path, "--symbol", "B")] == ["B"]


def test_wrong_rows_are_named_and_nothing_else_is_said(researcher: Researcher) -> None:
    path = researcher.file(f"{CANDLES}\n{candles([1e5, 9e5])}{T + 2 * HOUR},10,12,8,x,1\n{T + 3 * HOUR},-1,12,8,9,1\n")
    assert researcher.runs("spikes", "--symbol", "A", "--candles", path, status=2) == []
    assert researcher.errors.splitlines() == [
        f"{path}: line 4: close: expected a number above 0, was 'x'",
        f"{path}: line 5: open: expected a number above 0, was '-1'",
    ]


def test_a_file_that_is_not_there(researcher: Researcher) -> None:
    researcher.runs("spikes", "--symbol", "A", "--candles", "/nowhere.csv", status=2)
    assert researcher.errors == "/nowhere.csv: No such file or directory\n"


@pytest.mark.parametrize("command", ["spikes", "adaptive", "oi", "funding", "outcomes"])
def test_help_documents_the_columns(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    said = capfd.readouterr().out
    assert "timestamp       Unix ms" in said
    assert "symbol          optional: a file may hold many contracts" in said


def test_adaptive_spikes(researcher: Researcher) -> None:
    path = researcher.file(f"{CANDLES}\n{candles([1e6, 1.1e6, 0.9e6] * 8 + [9e6])}")
    (line,) = researcher.runs("adaptive", "--symbol", "AUSDT", "--candles", path)
    assert (line["kind"], line["severity"], line["time"]) == ("ADAPTIVE", 3, "2025-05-02T21:00:00Z")
    assert line["evidence"]["recent_hours"] == 20


def test_surges_of_open_interest(researcher: Researcher) -> None:
    rows = "".join(f"{T + n * 300_000},{1e6 if n < 5 else 1.05e6},{10 if n < 5 else 11}\n" for n in range(10))
    path = researcher.file(f"timestamp,open_interest,price\n{rows}")
    lines = researcher.runs("oi", "--symbol", "AUSDT", "--values", path)
    assert [(line["time"], line["quadrant"], line["severity"]) for line in lines] == [
        ("2025-05-01T20:25:00Z", "long_build_up", 1)
    ]
    path = researcher.file(f"timestamp,open_interest,price,volume_24h\n{rows.replace(chr(10), ',1000000' + chr(10))}")
    assert researcher.runs("oi", "--symbol", "AUSDT", "--values", path) == []


def test_extremes_of_funding(researcher: Researcher) -> None:
    rates = [0.0001] * 40 + [0.0004, 0.0004, 0.0001, -0.002]
    rows = "".join(f"{T + n * 8 * HOUR},{rate}\n" for n, rate in enumerate(rates))
    lines = researcher.runs("funding", "--symbol", "AUSDT", "--payments", researcher.file(f"timestamp,rate\n{rows}"))
    assert [(line["severity"], line["evidence"]["rate"]) for line in lines] == [(1, 0.0004), (2, -0.002)]
    assert lines[0]["evidence"]["percentile"] == 100.0


def test_outcomes_of_what_the_others_say(researcher: Researcher) -> None:
    """Each spike is followed by a rise of 10 % within the hour; elsewhere the price goes up and down by 1 %."""
    draw = random.Random(1)
    price, rows = 100.0, ""
    for hour in range(1_200):
        before = price
        after_spike = hour % 40 == 1
        price *= 1.1 if after_spike else 1 + draw.choice([0.01, -0.01])
        volume = 9e6 if hour % 40 == 0 else 1e6
        closing = before * 1.001 if hour % 40 == 0 else price
        price = closing
        rows += f"{T + hour * HOUR},{before},{max(before, closing)},{min(before, closing)},{closing},1,{volume}\n"
    path = researcher.file(f"{CANDLES},quote_volume\n{rows}")
    told = researcher.runs("spikes", "--symbol", "AUSDT", "--candles", path)
    signals = researcher.file("".join(json.dumps(line) + "\n" for line in told), "signals.jsonl")
    lines = researcher.runs("outcomes", "--signals", signals, "--symbol", "AUSDT", "--candles", path)
    assert [(line["kind"], line["hours"]) for line in lines] == [("SPIKE", 1), ("SPIKE", 4), ("SPIKE", 24)]
    hour = lines[0]
    assert hour["count"] == len(told) == 29
    assert hour["median_pct"] == pytest.approx(10)
    assert hour["hit_rate"] == 1.0
    assert hour["base_rate"] == pytest.approx(0.5, abs=0.05)
    assert hour["lift_low"] > 1.5
    assert hour["lift_low"] <= hour["lift"] <= hour["lift_high"]


def test_outcomes_name_wrong_signals(researcher: Researcher) -> None:
    path = researcher.file(f"{CANDLES}\n{candles([1, 1])}")
    signals = researcher.file('{"symbol": 1}\n', "signals.jsonl")
    researcher.runs("outcomes", "--signals", signals, "--symbol", "A", "--candles", path, status=2)
    assert researcher.errors == f"{signals}: line 1: expected symbol and kind as texts\n"


def many_rows(folder: Path) -> Path:
    """Four contracts with a spike each hundred hours, as Parquet, large enough for several processes."""
    path = folder / "many.parquet"
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT 'C' || s AS symbol, {T} + h * {HOUR} AS timestamp, 10.0 AS open, 12.0 AS high, 8.0 AS low,"
            f" 11.0 AS close, CASE WHEN h % 100 = 50 THEN 4e6 ELSE 1e6 END AS volume"
            f" FROM range({MANY_ROWS // 4 + 1}) AS a(h), range(4) AS b(s)) TO '{path}' (FORMAT parquet)"
        )
    return path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flashcur.backtest", *words]


def test_many_rows_on_all_cores_and_a_bar_on_a_terminal(tmp_path: Path) -> None:
    path = many_rows(tmp_path)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("spikes", "--candles", str(path)), cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert process.wait() == 0
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # what a terminal says once nobody writes to it any more
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    assert b"reading [" in drawn
    assert b"replaying [" in drawn
    assert b"Traceback" not in drawn
    symbols = [json.loads(line)["symbol"] for line in lines]
    each = len(symbols) // 4
    assert each == MANY_ROWS // 400
    assert symbols == [f"C{n}" for n in range(4) for _ in range(each)]


def test_who_reads_may_stop_early(tmp_path: Path) -> None:
    path = many_rows(tmp_path)
    with subprocess.Popen(
        command("spikes", "--candles", str(path)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
