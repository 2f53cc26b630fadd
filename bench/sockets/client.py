"""The load client: opens sockets at a bounded rate, waits, listens for a while, and prints what it saw as JSON.

`python -m bench.sockets.client --server flashcur --port 8200 --sockets 2000 --seconds 15`

It runs in its own process and answers on stdout: one JSON line when all sockets are open (so that the server's memory
can be read), then one with the result. Latency is from the time a frame carries (`as_of`: when the server took it) to
the time its last byte was read here, on one machine's clock; it contains what this client needs to read its sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
import uuid
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import uvloop

from bench.sockets.wire import FrameReader, Message, as_of_ms, client_frame, upgrade_request

OPENING_AT_ONCE = 40
"""Sockets in their handshake at one time."""
SETTLE_S = 3.0
_HANDSHAKE_TIMEOUT_S = 20.0

_BOOT = json.dumps(
    {
        "event": {
            "name": "reflex___state____state.hydrate_and_load",
            "payload": {},
            "router_data": {"pathname": "/", "asPath": "/"},
        }
    },
    separators=(",", ":"),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is greeted."""

    target: str
    """Request target; `{token}` is replaced by a fresh id."""
    hello: str | None
    """What is sent after Engine.IO's open packet; None where there is no Engine.IO."""
    ready: bytes | None
    """What the message that ends the opening contains; None where the upgrade ends it."""


DIALECTS = {
    "flashcur": Dialect(
        "/_event/?token={token}&EIO=4&transport=websocket", f"40/_event,{_BOOT}", b'"is_hydrated_rx_state_":true'
    ),
    "socketio": Dialect("/socket.io/?EIO=4&transport=websocket", "40", b"40{"),
    "plain": Dialect("/ws", None, None),
}


@dataclass(slots=True)
class Tally:
    """What all sockets saw."""

    listening: bool = False
    messages: int = 0
    size: int = 0
    frames: dict[int, int] = field(default_factory=dict[int, int])
    """Frames seen while listening, by time taken: how many sockets got each."""
    latencies: list[float] = field(default_factory=list[float])
    """Seconds."""
    lost: int = 0
    """Sockets that closed by themselves."""
    _known: dict[tuple[int, bytes], int | None] = field(default_factory=dict)

    def frame_of(self, head: bytes, size: int, compressed: bool) -> int | None:
        """Which frame a message carries. The same bytes go to every socket, so each is looked into once."""
        key = (size, head)
        try:
            return self._known[key]
        except KeyError:
            taken = as_of_ms(Message(head, size, compressed).text())
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = taken
            return taken


class Socket(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_dialect", "_reader", "_request", "_tally", "_transport", "framed", "opened", "seen", "upgraded")

    def __init__(self, dialect: Dialect, request: bytes, tally: Tally) -> None:
        self._dialect = dialect
        self._request = request
        self._tally = tally
        self._reader = FrameReader(self._message, self._control)
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.framed = False
        """Whether a frame of the market has come."""
        self.upgraded = b""
        self.seen: list[tuple[int, float]] = []
        """Frames seen while listening: time taken in ms, time read in s."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"closed during the handshake: {self.upgraded[:200]!r}"))
        elif self._transport is not None:
            self._tally.lost += 1
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self.upgraded.endswith(b"\r\n\r\n"):
            self._reader.feed(data)
            return
        self.upgraded += data
        head, found, rest = self.upgraded.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self.close(f"expected 101, was {head[:200]!r}")
            return
        compressed = b"permessage-deflate" in head
        if compressed and b"server_no_context_takeover" not in head:
            self.close("expected compression without context, which this client reads")
            return
        self.upgraded = b"\r\n\r\n"
        if self._dialect.ready is None:
            self.opened.set_result(None)
        if rest:
            self._reader.feed(rest)

    def _message(self, head: bytes, size: int, compressed: bool) -> None:
        tally = self._tally
        taken = tally.frame_of(head, size, compressed)
        if taken is None:
            self._packet(Message(head, size, compressed).text())
            return
        if tally.listening:
            now = time.time()
            tally.messages += 1
            tally.size += size
            self.seen.append((taken, now))
        self.framed = True

    def _packet(self, text: bytes) -> None:
        if text == b"2":
            self._write(b"3")
        elif text.startswith(b"0{") and self._dialect.hello is not None:
            self._write(self._dialect.hello.encode())
        elif self._dialect.ready is not None and self._dialect.ready in text and not self.opened.done():
            self.opened.set_result(None)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == 0x9:
            self._write(payload, 0xA)

    def _write(self, body: bytes, opcode: int = 0x1) -> None:
        if self._transport is not None:
            self._transport.write(client_frame(body, opcode))

    def close(self, reason: str | None = None) -> None:
        """Close without farewell; with a reason, the socket never opened."""
        transport, self._transport = self._transport, None
        if reason is not None and not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))
        if transport is not None:
            transport.abort()


async def _open(options: argparse.Namespace, tally: Tally) -> tuple[list[Socket], list[str]]:
    dialect = DIALECTS[options.server]
    host = f"localhost:{options.port}"
    loop = asyncio.get_running_loop()
    sockets: list[Socket] = []
    failures: list[str] = []
    at_once = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one() -> None:
        target = dialect.target.format(token=uuid.uuid4())
        request = upgrade_request(host, target, deflate=options.deflate)
        try:
            _, socket = await loop.create_connection(lambda: Socket(dialect, request, tally), "127.0.0.1", options.port)
            await asyncio.wait_for(socket.opened, _HANDSHAKE_TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            failures.append(f"{type(error).__name__}: {error}")
        else:
            sockets.append(socket)
        finally:
            at_once.release()

    tasks: set[asyncio.Task[None]] = set()
    started = loop.time()
    for number in range(options.sockets):
        await at_once.acquire()
        if len(failures) > OPENING_AT_ONCE:
            break
        await asyncio.sleep(max(0.0, started + number / options.rate - loop.time()))
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return sockets, failures


async def run(options: argparse.Namespace) -> None:
    """Open, report, listen, report."""
    tally = Tally()
    started = time.monotonic()
    sockets, failures = await _open(options, tally)
    ramp = time.monotonic() - started
    await asyncio.sleep(SETTLE_S)
    showing = sum(socket.framed for socket in sockets)
    _say({"open": showing, "failures": failures[:3], "failed": options.sockets - showing, "ramp_s": round(ramp, 2)})
    # Nothing else may run while the server's memory is read.
    if sys.stdin.readline() == "":
        return
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.time()
    tally.listening = True
    await asyncio.sleep(options.seconds)
    tally.listening = False
    ended = time.time()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _say({"client_cpu": round(cpu / (ended - began), 4), **_result(sockets, tally, began, ended)})
    for socket in sockets:
        socket.close()


def _result(sockets: list[Socket], tally: Tally, began: float, ended: float) -> dict[str, object]:
    """Judge the frames of the window, save those of the last 2 s, whose stragglers would not be seen."""
    frames = sorted({taken for socket in sockets for taken, _ in socket.seen})
    frames = [taken for taken in frames if began <= taken / 1000 <= ended - 2.0]
    wanted = set(frames)
    exact = covered = 0
    latencies: list[float] = []
    worst_gap = 0.0
    for socket in sockets:
        times = dict(reversed(socket.seen))
        latencies += [at - taken / 1000 for taken, at in socket.seen if taken in wanted]
        exact += sum(taken in times for taken in frames)
        covered += _covered(frames, socket.seen)
        arrivals = [began, *(at for _, at in socket.seen), ended]
        worst_gap = max(worst_gap, *(b - a for a, b in pairwise(arrivals)))
    latencies.sort()
    total = len(frames) * len(sockets)

    def quantile(q: float) -> float | None:
        return round(latencies[min(len(latencies) - 1, int(q * len(latencies)))] * 1000, 1) if latencies else None

    return {
        "sockets": len(sockets),
        "lost": tally.lost,
        "frames": len(frames),
        "delivered": exact / total if total else 0.0,
        "covered": covered / total if total else 0.0,
        "p50_ms": quantile(0.5),
        "p95_ms": quantile(0.95),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
        "worst_gap_s": round(worst_gap, 2),
        "bytes_per_frame": round(tally.size / tally.messages) if tally.messages else None,
    }


def _covered(frames: list[int], seen: list[tuple[int, float]]) -> int:
    """How many frames a socket got, or a newer one in their place, within 2 s of their being taken."""
    count = 0
    position = 0
    for taken in frames:
        while position < len(seen) and seen[position][0] < taken:
            position += 1
        if position < len(seen) and seen[position][1] - taken / 1000 <= 2.0:
            count += 1
    return count


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sockets.client")
    parser.add_argument("--server", choices=sorted(DIALECTS), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rate", type=float, default=200, help="sockets opened a second, at most")
    parser.add_argument("--deflate", action="store_true", help="offer compression, as browsers do")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
