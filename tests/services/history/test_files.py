"""Files of the past: every way of writing them, every wrong row named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flashcur.errors import BadFile
from flashcur.services.history import (
    CANDLES,
    FUNDING,
    OPEN_INTEREST,
    Layout,
    Series,
    candle_rows,
    open_interest_rows,
    payment_rows,
    read_series,
    read_told,
)
from flashcur.services.history.files import NAMED_ROWS

HOUR = 3_600_000
T = 1_746_129_600_000
HEADER = "timestamp,open,high,low,close,volume"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "rows.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def candles(count: int, start: int = T) -> str:
    return "\n".join(f"{start + n * HOUR},10,12,8,11,{n}" for n in range(count))


def complaint(path: Path, layout: Layout = CANDLES, symbol: str | None = "A") -> list[str]:
    with pytest.raises(BadFile) as caught:
        read_series(path, layout, symbol)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def one(path: Path, layout: Layout = CANDLES, symbol: str | None = "A") -> Series:
    (series,) = read_series(path, layout, symbol)
    return series


def test_candles_without_a_quote_volume(write: Write) -> None:
    series = one(write(f"{HEADER}\n{candles(3)}\n"))
    assert list(candle_rows(series)) == [(T + n * HOUR, 10.0, 12.0, 8.0, 11.0, n * 10.5) for n in range(3)]


def test_the_file_s_own_quote_volume_wins_and_other_columns_are_ignored(write: Write) -> None:
    series = one(write(f"when,{HEADER},quote_volume,trades\nx,{T},10,12,8,11,5,777,9\n"))
    assert list(candle_rows(series)) == [(T, 10.0, 12.0, 8.0, 11.0, 777.0)]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "\r\n{}\r\n\r\n",
        HEADER.replace("open", '"open"') + "\n{}",
        " " + HEADER.replace(",", " , ") + "\n{}\n",
    ],
)
def test_ways_of_writing_csv(write: Write, text: str) -> None:
    assert len(one(write(text.format(candles(1))))) == 1


@pytest.mark.parametrize("timestamp", [f"{T}", f"{T}.0", "1.7461296e12"])
def test_ways_of_writing_a_time(write: Write, timestamp: str) -> None:
    assert list(one(write(f"{HEADER}\n{timestamp},10,12,8,11,5\n")).times) == [T]


def test_rows_may_come_in_any_order_and_of_many_contracts(write: Write) -> None:
    rows = [f"{symbol},{T + n * HOUR},10,12,8,11,{n}" for n in (2, 0, 1) for symbol in ("B", "币安")]
    path = write(f"symbol,{HEADER}\n" + "\n".join(rows))
    both = read_series(path, CANDLES)
    assert [(s.symbol, list(s.times), list(s.column("volume") or []), list(s.lines)) for s in both] == [
        ("B", [T, T + HOUR, T + 2 * HOUR], [0.0, 1.0, 2.0], [4, 6, 2]),
        ("币安", [T, T + HOUR, T + 2 * HOUR], [0.0, 1.0, 2.0], [5, 7, 3]),
    ]
    assert [each.symbol for each in read_series(path, CANDLES, "币安")] == ["币安"]
    assert complaint(path, symbol="C") == ["expected rows of C, found: B, 币安"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{T},10,12,8,11,", "volume: expected a number, 0 or more, was blank"),
        (f"{T},10,12,8,11,nan", "volume: expected a number, 0 or more, was 'nan'"),
        (f"{T},10,12,8,11,-1", "volume: expected a number, 0 or more, was '-1'"),
        (f"{T},10,12,8,11,inf", "volume: expected a number, 0 or more, was 'inf'"),
        (f"{T},0,12,8,x,1", "open: expected a number above 0, was '0'; close: expected a number above 0, was 'x'"),
        (f"{T},10,7,8,11,1", "high: expected at least the low 8, was 7"),
        ("2025-05-01,10,12,8,11,1", "timestamp: expected Unix ms, was '2025-05-01'"),
        ("1746129600,10,12,8,11,1", "timestamp: expected Unix ms of the years 2009 to 2100, was '1746129600'"),
        (f"{T + 1},10,12,8,11,1", f"timestamp: expected a multiple of 3,600,000 ms, was '{T + 1}'"),
        (f"{T}.5,10,12,8,11,1", f"timestamp: expected Unix ms, was '{T}.5'"),
        (f"{T},10,12,8,11", "expected 6 cells, was 5"),
        (f"{T},10,12,8,11,1,2", "expected 6 cells, was 7"),
    ],
)
def test_a_wrong_row_is_named(write: Write, row: str, problem: str) -> None:
    path = write(f"{HEADER}\n{candles(2, T + HOUR)}\n{row}\n{candles(2, T + 9 * HOUR)}\n")
    assert complaint(path) == [f"line 4: {problem}"]


def test_all_wrong_rows_are_named_and_many_are_counted(write: Write) -> None:
    path = write(f"{HEADER}\n" + "x,1,1,1,1,1\n" * 100)
    lines = complaint(path)
    assert [line.split(":")[0] for line in lines[:-1]] == [f"line {n}" for n in range(2, NAMED_ROWS + 2)]
    assert lines[-1] == "and 80 more"


def test_an_hour_that_stands_twice_is_wrong(write: Write) -> None:
    path = write(f"{HEADER}\n{candles(3)}\n{T + HOUR},1,1,1,1,1\n")
    assert complaint(path) == [f"line 5: timestamp: expected each once for A, {T + HOUR} is in line 3"]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("timestamp,open,high,low,close", "expected a column volume, found: timestamp, open, high, low, close"),
        ("time,open", "expected a column timestamp, found: time, open"),
        ("", "expected a column timestamp, found: nothing"),
        (HEADER + ",open", f"expected one column open, found: {HEADER.replace(',', ', ')}, open"),
    ],
)
def test_a_missing_column_is_named(write: Write, header: str, problem: str) -> None:
    assert complaint(write(f"{header}\n")) == [problem]


def test_a_file_without_symbols_needs_one(write: Write) -> None:
    assert complaint(write(f"{HEADER}\n"), symbol=None) == ["expected a column symbol, or --symbol, was neither"]
    assert complaint(write(f"symbol,{HEADER}\n,{T},1,1,1,1,1\n"), symbol=None) == [
        "line 2: symbol: expected a name, was blank"
    ]


def test_what_is_no_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(f'{HEADER}\n{T},"10'.encode())
    assert complaint(path) == ["line 2: expected CSV (unexpected end of data)"]
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\n")
    assert complaint(path) == ["line 2: expected UTF-8, was byte 0xff"]
    assert complaint(tmp_path / "none.csv") == ["No such file or directory"]
    assert complaint(tmp_path) == ["Is a directory"]


def test_a_file_without_rows_has_none(write: Write) -> None:
    assert read_series(write(f"{HEADER}\n"), CANDLES, "A") == []


def test_progress_rises_to_one(write: Write) -> None:
    seen: list[float] = []
    read_series(write(f"{HEADER}\n{candles(50_000)}\n"), CANDLES, "A", seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == 1.0


# Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[[str], Path]:
    def written(select: str) -> Path:
        path = tmp_path / "rows of [a] year.parquet"
        with duckdb.connect() as database:
            database.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return path

    return written


ROW = "10.0 AS open, 12.0 AS high, 8.0::FLOAT AS low, 11 AS close, n::DOUBLE AS volume"


@pytest.mark.parametrize(
    "time", [f"{T} + n * {HOUR}", f"epoch_ms({T} + n * {HOUR})", f"epoch_ms({T} + n * {HOUR})::TIMESTAMPTZ"]
)
def test_parquet_is_as_good_as_csv(write: Write, parquet: Callable[[str], Path], time: str) -> None:
    path = parquet(f"SELECT {time} AS timestamp, {ROW}, 'x' AS note FROM range(3) AS r(n)")
    assert list(candle_rows(one(path))) == list(candle_rows(one(write(f"{HEADER}\n{candles(3)}\n"))))


def test_wrong_rows_of_parquet_are_named(parquet: Callable[[str], Path]) -> None:
    path = parquet(
        f"SELECT {T} + n * {HOUR} AS timestamp, 'S' AS symbol, 10.0 AS open, 12.0 AS high, 8.0 AS low,"
        " CASE n WHEN 1 THEN NULL WHEN 3 THEN 'nan'::DOUBLE ELSE 11 END AS close, 1 AS volume FROM range(5) AS r(n)"
    )
    assert complaint(path, symbol=None) == [
        "row 2: close: expected a number above 0, was blank",
        "row 4: close: expected a number above 0, was nan",
    ]


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and then something else")
    (line,) = complaint(path)
    assert line.startswith("expected a Parquet file that can be read")


# Open interest, funding, signals


def test_open_interest_with_and_without_volume(write: Write) -> None:
    series = one(write(f"timestamp,open_interest,price\n{T + 1},5,2\n"), OPEN_INTEREST)
    assert list(open_interest_rows(series)) == [(T + 1, 5.0, 2.0, None)]
    series = one(write(f"timestamp,open_interest,price,volume_24h\n{T + 1},5,2,9\n"), OPEN_INTEREST)
    assert list(open_interest_rows(series)) == [(T + 1, 5.0, 2.0, 9.0)]


def test_intervals_of_payments_are_told_or_found(write: Write) -> None:
    times = [T, T + 8 * HOUR, T + 12 * HOUR, T + 13 * HOUR]
    rows = "\n".join(f"{time},-0.0001" for time in times)
    series = one(write(f"timestamp,rate\n{rows}\n"), FUNDING)
    assert [(hours, price) for _, _, hours, price in payment_rows(series)] == [(8, 1.0), (8, 1.0), (4, 1.0), (1, 1.0)]
    series = one(write(f"timestamp,rate,interval_hours,price\n{T},0.01,2,7\n"), FUNDING)
    assert list(payment_rows(series)) == [(T, 0.01, 2, 7.0)]
    assert complaint(write(f"timestamp,rate\n{T},0.5\n"), FUNDING) == [
        "line 2: rate: expected a fraction from -0.1 to 0.1, was '0.5'"
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: unexpected end of data"),
        ("[]", "line 2: expected an object, was list"),
        ('{"symbol": "A"}', "line 2: expected symbol and kind as texts"),
        ('{"symbol": "A", "kind": "SPIKE", "hour": "noon"}', "line 2: expected time or hour in ISO 8601"),
        ('{"symbol": "A", "kind": "SPIKE", "hour": "2026-01-01T00:00:00"}', "line 2: expected time or hour"),
        ('{"symbol": "A", "kind": "SPIKE"}', "line 2: expected time or hour"),
    ],
)
def test_wrong_signals_are_named(write: Write, line: str, problem: str) -> None:
    path = write(f'{{"symbol": "A", "kind": "SPIKE", "hour": "2026-01-01T00:00:00Z"}}\n{line}\n')
    with pytest.raises(BadFile, match="line 2") as caught:
        read_told(path)
    assert str(caught.value).removeprefix(f"{path}: ").startswith(problem)


def test_signals_by_their_hour_or_their_time(write: Write) -> None:
    path = write(
        '{"symbol": "A", "kind": "SPIKE", "hour": "2025-05-01T20:00:00Z", "direction": "bearish"}\n\n'
        '{"symbol": "B", "kind": "OI_SURGE", "time": "2025-05-01T20:00:00+00:00", "severity": 2, "price": 3,'
        ' "quadrant": "long_build_up", "direction": "none"}\n'
    )
    first, second = read_told(path)
    assert (first.at_ms, first.bullish, first.severity, first.price) == (T + HOUR, False, None, None)
    assert (second.at_ms, second.bullish, second.severity, second.price) == (T, None, 2, 3.0)
    assert [each.symbol for each in read_told(path, "B")] == ["B"]
