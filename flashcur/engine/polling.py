"""Asking an exchange for one contract after another, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited

ENOUGH_FAILURES = 20
"""A round in which this many requests in a row failed is given up: the exchange has other troubles."""


async def each(symbols: Sequence[str], parallel: int, ask: Callable[[str], Awaitable[None]]) -> int:
    """Call `ask` for every symbol in this order, `parallel` at a time; returns how many succeeded.

    A contract that fails is passed over. Raises VenueBlocked and VenueRateLimited at once, and the last VenueError when
    nothing succeeded or `ENOUGH_FAILURES` failed in a row.
    """
    waiting = iter(symbols)
    answered = 0
    in_a_row = 0
    last: VenueError | None = None

    async def work() -> None:
        nonlocal answered, in_a_row, last
        for symbol in waiting:
            try:
                await ask(symbol)
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
            for _ in range(min(parallel, len(symbols))):
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
