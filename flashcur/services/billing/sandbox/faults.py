"""What the API does wrong on command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Fault:
    """What is done to the next `times` requests of the API whose address contains `path`."""

    path: str = ""
    status: int = 0
    """Answered with it; 0 leaves the answer as it is."""
    kind: Literal["", "silent", "hang up", "stall"] = ""
    """`silent`: never answered; `hang up`: the connection is closed instead; `stall`: the answer never ends."""
    times: int = 1
    after: bool = False
    """The act is done first, and only its answer goes wrong."""
    delay_ms: int = 0
    """Before the act."""
