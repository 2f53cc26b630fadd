"""How far a long command is, on one line of a terminal."""

from __future__ import annotations

from typing import TextIO

_WIDTH = 30


class Progress:
    """A bar that is drawn over itself; nothing at all where the stream is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream if stream.isatty() else None
        self._drawn = ""

    def show(self, doing: str, share: float) -> None:
        """Draw how much of `doing` is done, 0 to 1; only when what is seen changes."""
        if self._stream is None:
            return
        full = round(min(1.0, max(0.0, share)) * _WIDTH)
        line = f"{doing} [{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%}"
        if line != self._drawn:
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()
            self._drawn = line

    def clear(self) -> None:
        """Take the bar away."""
        if self._stream is not None and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = ""
