"""The simulated exchange in a process of its own, so that its work does not disturb the event loop of others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Final

from flashcur.errors import VenueUnavailable

_ROOT: Final = Path(__file__).parents[3]
"""Where the package can be imported from, whatever the parent's working directory is."""
_START_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0


class SimulatorProcess:
    """A child process that runs the exchange on a free port and ends with its parent."""

    def __init__(self, *, symbols: int = 500, seed: int = 1) -> None:
        self._symbols = symbols
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self.rest_url = ""
        self.ws_url = ""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it listens; sets `rest_url` and `ws_url`.

        Raises VenueUnavailable when it ends or says nothing within 10 s.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flashcur.services.simulator", "--exit-with-stdin",
            "--symbols", str(self._symbols), "--seed", str(self._seed),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=_ROOT,
        )  # fmt: skip
        self._process = process
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _START_TIMEOUT_S)
            announced = json.loads(line)
            self.rest_url, self.ws_url = str(announced["rest_url"]), str(announced["ws_url"])
        except (TimeoutError, ValueError, KeyError) as error:
            await self.stop()
            raise VenueUnavailable("the simulated exchange did not start: see its message on standard error") from error
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the process ends; returns its exit status."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def stop(self) -> None:
        """End the process; harmless when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
