"""Time that runs faster, for tests in which everything that waits lives in the test's own process.

The clocks of this process and its event loop run faster together: whoever sleeps for a second of theirs sleeps for a
fraction of a real one, and a limit of five seconds is five of the same seconds, so no limit is longer than before.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SPEED = 4
"""Fast enough that a file takes seconds, slow enough that what must be done in a second still fits into one."""

_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns")


class _FastSelector(selectors.DefaultSelector):
    """Waits for a fraction of the time it is asked to."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / SPEED if timeout is not None and timeout > 0 else timeout)


def fast_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(_FastSelector())


@contextmanager
def fast_clocks() -> Iterator[None]:
    """The clocks of the module `time` run faster, from what they say now, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _CLOCKS:
            patch.setattr(time, name, _faster(getattr(time, name)))
        patch.setattr(time, "clock_gettime_ns", _faster_each(time.clock_gettime_ns))
        yield


def _faster_each(clock: Callable[[int], int]) -> Callable[[int], int]:
    starts: dict[int, int] = {}

    def faster(which: int) -> int:
        now = clock(which)
        start = starts.setdefault(which, now)
        return start + (now - start) * SPEED

    return faster


def _faster(clock: Callable[[], Any]) -> Callable[[], Any]:
    start = clock()
    return lambda: start + (clock() - start) * SPEED
