"""Processes under measurement: started, watched through /proc, and always stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).parent.parent
CACHE = Path(__file__).parent / ".cache"
"""Peers' packages and what else need not be fetched or built twice."""

PORTS = range(8200, 8300)
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProgramFailed(RuntimeError):
    """A program that is measured did not do its part; the message holds its last lines."""


class Program:
    """A child process in a session of its own, ended with all its children. Use it in `with`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        talks: bool = False,
    ) -> None:
        """`talks`: its standard input and output are pipes (`stdin`, `stdout`), else both go to the log."""
        self.command = list(command)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._talks = talks
        self._process = subprocess.Popen(
            self.command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        # The whole session: a server may have children of its own.
        for number, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._log.close()

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def hear(self) -> str:
        """The next line of its standard output; ProgramFailed when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProgramFailed(self.complaint("ended without an answer"))
        return line.decode()

    def wait_for_port(self, port: int, patience_s: float = 60) -> None:
        """Return once it listens; ProgramFailed when it ends before that or takes too long."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ProgramFailed(self.complaint(f"ended with status {self._process.returncode}"))
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise ProgramFailed(self.complaint(f"did not listen on {port} within {patience_s:g} s"))

    def complaint(self, what: str) -> str:
        """`what`, with the last lines the program printed."""
        self._log.seek(0)
        tail = self._log.read().decode(errors="replace").strip().splitlines()[-12:]
        return "\n".join([f"{' '.join(self.command)}: {what}", *tail])

    def cpu_s(self) -> float:
        """Processor time of this process, its children left out."""
        return cpu_s(self.pid)

    def rss_kb(self) -> float:
        """Resident memory of this process."""
        return rss_kb(self.pid)


def cpu_s(pid: int) -> float:
    """Processor time a process has used, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_kb(pid: int) -> float:
    """Resident memory of a process in kB (1,000 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1000


def free_port() -> int:
    """A port of `PORTS` that nothing listens on."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ProgramFailed(f"expected a free port from {PORTS.start} to {PORTS.stop - 1}, was none")
