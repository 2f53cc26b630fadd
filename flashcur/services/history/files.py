"""Reads a file of rows into one series a contract, and names every row that is wrong.

CSV is read by Python's own reader, which knows the line of each row; Parquet by DuckDB. Rows may come in any order.
Nothing is guessed: a file with a wrong row is refused as a whole, since a row left out would be a gap.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import islice
from operator import le
from pathlib import Path

from flashcur.errors import BadFile
from flashcur.services.history.layouts import LEAST_MS, MOST_MS, Column, Layout
from flashcur.services.history.series import Series

NAMED_ROWS = 20
"""So many wrong rows are named, the others counted."""
REPORT_EVERY = 20_000
"""Rows between two reports of progress."""

OnProgress = Callable[[float], None]
"""Told the share of the file that was read, 0 to 1."""
Row = tuple[int, str, object, Sequence[object]]
"""(line, symbol, timestamp, values as they stand in the file)"""

_PARQUET = b"PAR1"
_TIMESTAMP, _SYMBOL = "timestamp", "symbol"


def read_series(
    path: Path, layout: Layout, symbol: str | None = None, on_progress: OnProgress = lambda share: None
) -> list[Series]:
    """The rows of each contract, in order of time; contracts in the order in which the file names them.

    `symbol` is the contract of a file without a column of that name; of one with it, the only contract that is read.
    Raises BadFile.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        reader = _Rows(path, layout, symbol)
        rows = _parquet_rows(reader, on_progress) if is_parquet else _csv_rows(reader, on_progress)
        series = reader.collect(rows)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or error}") from None
    on_progress(1.0)
    return series


class _Rows:
    """The columns of a file, and what is wrong with its rows."""

    def __init__(self, path: Path, layout: Layout, symbol: str | None) -> None:
        self.path = path
        self.layout = layout
        self.symbol = symbol
        self.columns: tuple[Column, ...] = ()
        self.word = "line"
        """What the file's rows are counted in."""
        self._wrong: list[str] = []
        self._wrong_count = 0

    def choose(self, found: Sequence[str]) -> list[str]:
        """The names of the columns to read, `timestamp` first, then the symbol if there is one."""
        repeated = sorted({name for name in found if name and found.count(name) > 1})
        missing = [each.name for each in self.layout.columns if not each.optional and each.name not in found]
        missing = [name for name in (_TIMESTAMP,) if name not in found] + missing
        if missing or repeated:
            problem = f"expected a column {missing[0]}" if missing else f"expected one column {repeated[0]}"
            raise BadFile(f"{self.path}: {problem}, found: {', '.join(found) or 'nothing'}")
        if self.symbol is None and _SYMBOL not in found:
            raise BadFile(f"{self.path}: expected a column symbol, or --symbol, was neither")
        self.columns = tuple(each for each in self.layout.columns if each.name in found)
        keys = [_TIMESTAMP, _SYMBOL] if _SYMBOL in found else [_TIMESTAMP]
        return keys + [each.name for each in self.columns]

    def wrong(self, line: int, problem: str) -> None:
        """Remember a wrong row."""
        self._wrong_count += 1
        if len(self._wrong) < NAMED_ROWS:
            self._wrong.append(f"{self.path}: {self.word} {line}: {problem}")

    def collect(self, rows: Iterable[Row]) -> list[Series]:
        """Check and gather all rows. Raises BadFile if any is wrong."""
        by_symbol: dict[str, Series] = {}
        only, step_ms, problem_of = self.symbol, self.layout.step_ms, self.layout.problem
        others: set[str] = set()
        names: tuple[str, ...] = ()
        lows: list[float] = []
        highs: list[float] = []
        for line, symbol, timestamp, raw in rows:
            if only is not None and symbol != only:
                others.add(symbol)
                continue
            series = by_symbol.get(symbol)
            if series is None:
                if not names:
                    names = tuple(each.name for each in self.columns)
                    lows, highs = [each.low for each in self.columns], [each.high for each in self.columns]
                series = by_symbol[symbol] = Series(symbol, self.layout, names)
            try:
                time = _whole(timestamp)
                values = [float(value) for value in raw]  # pyright: ignore[reportArgumentType]
            except (ValueError, TypeError, OverflowError):
                self._explain(line, symbol, timestamp, raw)
                continue
            if (
                not symbol
                or not LEAST_MS <= time <= MOST_MS
                or time % step_ms
                or not all(map(le, lows, values))
                or not all(map(le, values, highs))
            ):
                self._explain(line, symbol, timestamp, raw)
                continue
            problem = problem_of(values)
            if problem is not None:
                self.wrong(line, problem)
                continue
            series.times.append(time)
            series.lines.append(line)
            series.values.extend(values)
        for series in by_symbol.values():
            series.arrange()
            for time, line, earlier in series.repeated():
                self.wrong(
                    line, f"timestamp: expected each once for {series.symbol}, {time} is in {self.word} {earlier}"
                )
        if self._wrong_count:
            more = self._wrong_count - len(self._wrong)
            raise BadFile("\n".join([*self._wrong, *([f"{self.path}: and {more:,} more"] if more else [])]))
        if only is not None and not by_symbol and others:
            raise BadFile(f"{self.path}: expected rows of {only}, found: {', '.join(sorted(others)[:5])}")
        return list(by_symbol.values())

    def _explain(self, line: int, symbol: str, timestamp: object, raw: Sequence[object]) -> None:
        """Name everything that is wrong with a row."""
        problems = [] if symbol else ["symbol: expected a name, was blank"]
        found = _time_problem(timestamp, self.layout.step_ms)
        problems += [f"timestamp: {found}"] if found else []
        for value, column in zip(raw, self.columns, strict=True):
            number = _number(value)
            if number is None or not column.low <= number <= column.high:
                problems.append(f"{column.name}: expected {column.expects}, was {_shown(value)}")
        self.wrong(line, "; ".join(problems))


def _csv_rows(reader: _Rows, on_progress: OnProgress) -> Iterator[Row]:
    size = max(1, reader.path.stat().st_size)
    with reader.path.open("rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            found = [name.strip() for row in islice(rows, 1) for name in row]
            names = reader.choose(found)
            places = [found.index(name) for name in names]
            timestamp, width = places[0], len(found)
            has_symbol = len(places) > 1 and names[1] == _SYMBOL
            symbol_place = places[1] if has_symbol else -1
            values = places[2:] if has_symbol else places[1:]
            named = reader.symbol or ""
            count = 0
            for row in rows:
                count += 1
                if count % REPORT_EVERY == 0:
                    on_progress(raw.tell() / size)
                if len(row) != width:
                    if row:
                        reader.wrong(rows.line_num, f"expected {width} cells, was {len(row)}")
                    continue
                symbol = row[symbol_place].strip() if has_symbol else named
                yield rows.line_num, symbol, row[timestamp], [row[place] for place in values]
        except csv.Error as error:
            reader.wrong(rows.line_num, f"expected CSV ({error})")
        except UnicodeDecodeError as error:
            reader.wrong(
                _first_line_with(reader.path, error.object[error.start]),
                f"expected UTF-8, was byte 0x{error.object[error.start]:02x}",
            )


def _first_line_with(path: Path, byte: int) -> int:
    """The first line that is no UTF-8 and holds that byte; text is decoded ahead of the line that is read."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if byte in line and line.decode("utf-8", "replace").encode() != line:
                return number
    return 1


def _parquet_rows(reader: _Rows, on_progress: OnProgress) -> Iterator[Row]:
    # Takes 0.2 s to import, and nothing else needs it.
    import duckdb

    reader.word = "row"
    try:
        with duckdb.connect() as database:
            source = "read_parquet(?, file_row_number = true)"
            path = [str(reader.path)]
            described = database.execute(f"DESCRIBE SELECT * FROM {source}", path).fetchall()
            types = {str(row[0]): str(row[1]) for row in described}
            names = reader.choose([name for name in types if name != "file_row_number"])
            counted = database.execute(f"SELECT count(*) FROM {source}", path).fetchone()
            total = max(1, counted[0] if counted else 1)
            asked = [_expression(name, types[name]) for name in names]
            result = database.execute(f"SELECT file_row_number + 1, {', '.join(asked)} FROM {source}", path)
            has_symbol = len(names) > 1 and names[1] == _SYMBOL
            first = 3 if has_symbol else 2
            named, done = reader.symbol or "", 0
            while rows := result.fetchmany(REPORT_EVERY):
                for row in rows:
                    symbol = str(row[2] or "").strip() if has_symbol else named
                    yield row[0], symbol, row[1], row[first:]
                done += len(rows)
                on_progress(done / total)
    except duckdb.Error as error:
        raise BadFile(
            f"{reader.path}: expected a Parquet file that can be read ({str(error).splitlines()[0]})"
        ) from None


def _expression(name: str, kind: str) -> str:
    quoted = f'"{name}"'
    return f"epoch_ms({quoted})" if name == _TIMESTAMP and kind.startswith(("TIMESTAMP", "DATE")) else quoted


def _whole(value: object) -> int:
    """A time in whole ms, also where it is written as `1746129600000.0`.

    Raises ValueError, TypeError or OverflowError.
    """
    try:
        return int(value)  # pyright: ignore[reportArgumentType]
    except ValueError:
        number = float(value)  # pyright: ignore[reportArgumentType]
        if number != int(number):
            raise
        return int(number)


def _time_problem(value: object, step_ms: int) -> str | None:
    number = _number(value)
    if number is None or number != int(number):
        return f"expected Unix ms, was {_shown(value)}"
    if not LEAST_MS <= number <= MOST_MS:
        return f"expected Unix ms of the years 2009 to 2100, was {_shown(value)}"
    if int(number) % step_ms:
        return f"expected a multiple of {step_ms:,} ms, was {_shown(value)}"
    return None


def _number(value: object) -> float | None:
    """The finite number that a cell holds; None if it holds none."""
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def _shown(value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "blank"
    return repr(value) if isinstance(value, int | float) else ascii(str(value)[:40])
