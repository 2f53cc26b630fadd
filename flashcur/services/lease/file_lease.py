"""A lease for the processes of one machine: a lock on a file, which the kernel drops when its holder dies.

The folder must be on a local disk; locks on network file systems are not dependable.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from flashcur.services.kit.clock import now_ms
from flashcur.services.lease.port import Lease, LeaseUnavailable


class FileLease(Lease):
    """`path` is the file that is locked, made with its folder where it is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._descriptor: int | None = None

    async def _try_acquire(self) -> int | None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LeaseUnavailable(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise LeaseUnavailable(f"{self._path}: {error.strerror}") from error
        self._descriptor = descriptor
        return self._next_epoch(descriptor)

    async def _keep(self) -> None:
        await asyncio.Event().wait()

    async def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def _next_epoch(descriptor: int) -> int:
        """The time, or one more than the last epoch where the clock was set back; kept in the file."""
        last = os.pread(descriptor, 32, 0).strip()
        epoch = max(now_ms(), int(last) + 1 if last.isdigit() else 0)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % epoch, 0)
        return epoch
