"""Tables: printed, and kept in docs/performance.md between a pair of markers for each benchmark."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """What one benchmark found."""

    name: str
    """Of the markers in the document."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())
    """Lines below the table: what else was seen in this run."""

    def markdown(self) -> str:
        lines = [_row(self.columns), _row(["---"] * len(self.columns))]
        lines += [_row([shown(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines + ([""] if self.notes else []) + [f"- {note}" for note in self.notes])

    def text(self) -> str:
        cells = [list(self.columns), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([self.name, *lines, *self.notes])


def shown(value: Cell) -> str:
    """A figure as people read it: three digits that mean something, `–` for what was not measured."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if 0 < abs(value) < 1 else f"{value:.1f}"


def ratio(ours: float | None, theirs: float | None) -> Cell:
    """Ours as a multiple of theirs: below 1 is less than theirs."""
    if ours is None or theirs is None or not theirs:
        return None
    value = ours / theirs
    return f"{value:.2f}×" if value < 10 else f"{value:,.0f}×"


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` of the values lies (nearest rank)."""
    if not values:
        raise ValueError("expected values, was none")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """What the figures were measured on."""
    memory_kb = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0])
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    load = os.getloadavg()[0]
    when = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"{when}, {os.cpu_count()} cores ({name}), {memory_kb / 1e6:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average before the run {load:.1f}"
    )


def write(table: Table, header: str, document: Path = DOCUMENT) -> None:
    """Put a table between its markers; ValueError if the document has none for it."""
    text = document.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- bench:{table.name} -->\n).*?(<!-- /bench:{table.name} -->)", re.DOTALL)
    body = f"{header}\n\n{table.markdown()}\n"
    replaced, count = pattern.subn(lambda found: f"{found[1]}{body}{found[2]}", text)
    if count != 1:
        raise ValueError(f"{document.name}: expected one pair of markers for {table.name}, was {count}")
    document.write_text(replaced, encoding="utf-8")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
