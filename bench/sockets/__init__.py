"""Thousands of sockets at one frame a second: FlashCur's production server beside a Node Socket.IO room and FastAPI.

Every server runs alone with the same load client, one after the other in the same run. FlashCur's has its whole
engine in it, fed by the simulated exchange in a process of its own; the peers replay frames of the same market, so
they have less to do. All sizes are what travels.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.process import Program, ProgramFailed, cpu_s, rss_kb
from bench.report import Cell, Table, ratio
from bench.serving import production_server
from bench.sockets import peers

_IDLE_S = 5.0
"""How long a server is watched before anyone connects."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and how the client greets it."""

    title: str
    dialect: str
    deflate: bool
    """Whether the client offers compression, as browsers do."""
    serve: Callable[[Path], AbstractContextManager[tuple[Program, int]]]
    """Starts it; its process and port. Gets a folder for its files."""
    most: int | None = None
    """Most sockets it is asked to carry."""


CONTENDERS = (
    Contender("**FlashCur**", "flashcur", True, production_server),
    Contender("FlashCur, client without compression", "flashcur", False, production_server, most=2000),
    Contender("Node, Socket.IO room", "socketio", False, peers.node_room),
    Contender("Node, Socket.IO room, compressed", "socketio", True, peers.node_room_deflate, most=2000),
    Contender("FastAPI, encoded once, sent to all", "plain", False, peers.fastapi),
)


def run(options: Options) -> Table:
    """Measure; `options.sockets` says how many."""
    seconds = 6.0 if options.quick else 12.0
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for number in options.sockets:
        results: dict[str, dict[str, Any]] = {}
        for contender in CONTENDERS:
            if contender.most is not None and number > contender.most:
                continue
            try:
                results[contender.title] = measure(contender, number, seconds)
            except ProgramFailed as error:
                notes.append(f"{contender.title}, {number:,} sockets: failed: {str(error).splitlines()[0]}")
        ours = results.get(CONTENDERS[0].title, {})
        rows += [_row(title, number, result, ours) for title, result in results.items()]
        notes += [_note(title, number, result) for title, result in results.items()]
    columns = (
        "server",
        "sockets",
        "delivered",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "server CPU, cores",
        "kB a socket",
        "bytes a frame",
        "FlashCur's p99 against it",
    )
    return Table("sockets", columns, tuple(rows), tuple(notes))


def measure(contender: Contender, sockets: int, seconds: float) -> dict[str, Any]:
    """One server under one number of sockets."""
    with tempfile.TemporaryDirectory() as folder, contender.serve(Path(folder)) as (server, port):
        started, idle = time.monotonic(), server.cpu_s()
        time.sleep(_IDLE_S)
        idle_cpu = (server.cpu_s() - idle) / (time.monotonic() - started)
        before_kb = server.rss_kb()
        with Program(client_command(contender, port, sockets, seconds), talks=True) as client:
            opened = json.loads(client.hear())
            if not opened["open"]:
                raise ProgramFailed(server.complaint(f"no socket opened: {opened['failures']}"))
            after_kb = rss_kb(server.pid)
            started, used = time.monotonic(), server.cpu_s()
            client.say("listen")
            result = json.loads(client.hear())
            cpu = (cpu_s(server.pid) - used) / (time.monotonic() - started)
        return {
            **result,
            **opened,
            "idle_cpu": idle_cpu,
            "cpu": cpu,
            "kb": (after_kb - before_kb) / opened["open"],
            "rss_mb": after_kb / 1000,
        }


def client_command(contender: Contender, port: int, sockets: int, seconds: float) -> list[str]:
    """The load client in a process of its own."""
    import sys

    return [
        *(sys.executable, "-m", "bench.sockets.client", "--server", contender.dialect, "--port", str(port)),
        *("--sockets", str(sockets), "--seconds", str(seconds)),
        *(["--deflate"] if contender.deflate else []),
    ]


def _row(title: str, number: int, result: dict[str, Any], ours: dict[str, Any]) -> tuple[Cell, ...]:
    return (
        title,
        f"{result['open']:,} of {number:,}",
        f"{result['covered'] * 100:.2f} %",
        *(result[name] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
        result["cpu"],
        result["kb"],
        result["bytes_per_frame"],
        None if result is ours else ratio(ours.get("p99_ms"), result["p99_ms"]),
    )


def _note(title: str, number: int, result: dict[str, Any]) -> str:
    return (
        f"{title}, {number:,}: {result['delivered'] * 100:.2f} % got each frame itself, {result['lost']} sockets lost, "
        f"longest wait for a frame {result['worst_gap_s']:.1f} s; opened in {result['ramp_s']:.0f} s; server "
        f"{result['rss_mb']:,.0f} MB, {result['idle_cpu']:.2f} cores before anyone came; client "
        f"{result['client_cpu']:.2f} cores."
    )
