"""What the command line says to every benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    quick: bool
    """A short run that shows that everything works; its figures are not written to the document."""
    sockets: tuple[int, ...]
    """Numbers of sockets to measure, for `sockets`."""
