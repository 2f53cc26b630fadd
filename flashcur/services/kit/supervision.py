"""Tasks that must not die unnoticed: one that raises is logged, counted and started again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from flashcur.services.kit.backoff import Backoff

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]

_FIRST_S = 0.2
_CAP_S = 5.0
CANCEL_AGAIN_S = 1.5
"""Long enough for what a cancelled task has to close: sockets, a child process."""
_PROVEN_S = 60.0
"""A task that ran this long before it failed begins again without delay."""


class Supervisor:
    """Owns the long-lived tasks of one part of the process. Leave `async with`, or `stop`, to end them all."""

    def __init__(self, failures: Counter[str] | None = None, *, cancel_again_s: float = CANCEL_AGAIN_S) -> None:
        """`failures` is what failures are counted in, by task name, when it is to outlive this object; a task that has
        not ended `cancel_again_s` seconds after it was cancelled is cancelled again.
        """
        self._cancel_again_s = cancel_again_s
        self.failures: Counter[str] = Counter() if failures is None else failures
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Work) -> None:
        """Run `work` as a task, and again after a pause (0.1 to 5 s) whenever it raises; one that returns is done.

        Raises ValueError while a task of that name is running.
        """
        if name in self._tasks and not self._tasks[name].done():
            raise ValueError(f"expected a task name that is not in use, was {name!r}")
        self._tasks[name] = asyncio.create_task(self._keep(name, work), name=name)

    @property
    def running(self) -> list[str]:
        """Names of the tasks that have not ended."""
        return [name for name, task in self._tasks.items() if not task.done()]

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        pending = {task for task in self._tasks.values() if not task.done()}
        while pending:
            for task in pending:
                task.cancel()
            # A library may swallow a cancellation (redis-py does while it connects), so one is not always enough.
            _, pending = await asyncio.wait(pending, timeout=self._cancel_again_s)
        self._tasks.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _keep(self, name: str, work: Work) -> None:
        backoff = Backoff(_FIRST_S, _CAP_S)
        clock = asyncio.get_running_loop().time
        while True:
            started_s = clock()
            try:
                await work()
                return
            except Exception:
                self.failures[name] += 1
                logger.exception("%s failed and is started again", name)
            if clock() - started_s > _PROVEN_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())
