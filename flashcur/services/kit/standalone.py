"""A local server that runs as a process of its own, by hand or as a child."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys


def told_to_end(*, with_stdin: bool) -> asyncio.Event:
    """Is set at SIGINT or SIGTERM; `with_stdin`: and when standard input is closed, which is how a child process
    notices that its parent is gone. Call it in the running loop, before the parent is told that all is ready."""
    finished = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, finished.set)
    if with_stdin:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, finished)
    return finished


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """One line for whoever started it."""
    why = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return f"cannot listen on {host}:{port}: {why}"


def _read_stdin(finished: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        finished.set()
