"""The rows of one contract in columns, in order of time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from flashcur.services.history.layouts import Layout


def _times() -> array[int]:
    return array("q")


def _values() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Series:
    """All rows of a contract. Columns are those of the layout that the file has, `names` in their order."""

    symbol: str
    layout: Layout
    names: tuple[str, ...]
    times: array[int] = field(default_factory=_times)
    """Unix ms."""
    lines: array[int] = field(default_factory=_times)
    """The line (CSV) or row (Parquet) of each, from 1."""
    values: array[float] = field(default_factory=_values)
    """Row by row, each as wide as `names`."""

    def __len__(self) -> int:
        return len(self.times)

    def column(self, name: str) -> array[float] | None:
        """The values of a column; None if the file has none of that name."""
        if name not in self.names:
            return None
        return self.values[self.names.index(name) :: len(self.names)]

    def required(self, name: str) -> array[float]:
        """The values of a column that the layout requires."""
        column = self.column(name)
        assert column is not None, name
        return column

    def arrange(self) -> None:
        """Bring the rows into order of time; those of one time stay as they were."""
        times = self.times
        if all(map(int.__le__, times, times[1:])):
            return
        width = len(self.names)
        order = sorted(range(len(times)), key=times.__getitem__)
        values = self.values
        arranged = _values()
        for row in order:
            arranged.extend(values[row * width : row * width + width])
        self.values = arranged
        self.times = array("q", [times[row] for row in order])
        self.lines = array("q", [self.lines[row] for row in order])

    def repeated(self) -> list[tuple[int, int, int]]:
        """(time, line, earlier line) of rows whose time is that of another; for an arranged series."""
        times, lines = self.times, self.lines
        return [(time, lines[row], lines[row - 1]) for row, time in enumerate(times) if row and times[row - 1] == time]
