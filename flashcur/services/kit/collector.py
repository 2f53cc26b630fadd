"""Python's collector of reference cycles, set up for a process that keeps much for long.

Tens of thousands of sockets and states live as long as their pages. By default the collector looks through the young
objects after 700 new ones, and through all when a quarter came since it last did: a third of what an opening socket
costs, and pauses of hundreds of milliseconds in which no frame is written.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""New objects after which the young are looked through: a few milliseconds."""


def settle() -> None:
    """After everything was loaded: what is there now stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
