"""Asking an exchange for one thing after another, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited

T = TypeVar("T")

ENOUGH_FAILURES = 20
"""A round in which this many requests in a row failed is given up: the exchange has other troubles."""


async def each(things: Sequence[T], parallel: int, ask: Callable[[T], Awaitable[None]]) -> int:
    """Call `ask` for every thing (mostly a symbol) in this order, `parallel` at a time; returns how many succeeded.

    One that fails is passed over. Raises VenueBlocked and VenueRateLimited at once, and the last VenueError when
    nothing succeeded or `ENOUGH_FAILURES` failed in a row.
    """
    waiting = iter(things)
    answered = 0
    in_a_row = 0
    last: VenueError | None = None

    async def work() -> None:
        nonlocal answered, in_a_row, last
        for thing in waiting:
            try:
                await ask(thing)
            except (VenueBlocked, VenueRateLimited):
                raise
            except VenueError as error:
                last = error
                in_a_row += 1
                if in_a_row >= ENOUGH_FAILURES:
                    raise
            else:
                answered += 1
                in_a_row = 0

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(parallel, len(things))):
                tasks.create_task(work())
    except* VenueError as group:
        raise _first(group) from None
    if last is not None and not answered:
        raise last
    return answered


def _first(group: BaseExceptionGroup[VenueError]) -> VenueError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    assert isinstance(error, VenueError)
    return error
