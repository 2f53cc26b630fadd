"""The way between a browser and a server: a proxy of the browser's that can lose what goes over it without a word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from threading import Thread


class Network:
    """An HTTP proxy on a free port of this machine. Every name leads to this machine.

    What was open or begun while the network was `lost` carries nothing any more, as with a proxy that forgot: neither
    end is told, also after it is back.
    """

    def __init__(self) -> None:
        self.url = ""
        self.lost = False
        self.refuses = False
        self._ways: set[_Way] = set()
        self._loop = asyncio.new_event_loop()

    def lose(self) -> None:
        """Let nothing through in either direction, and close nothing."""
        self.lost = True
        for way in list(self._ways):
            way.dead = True

    def refuse(self) -> None:
        """Close everything, and whatever is begun, at once."""
        self.refuses = True
        for way in list(self._ways):
            self._loop.call_soon_threadsafe(way.end)

    def restore(self) -> None:
        """Let through what begins from now on."""
        self.lost = self.refuses = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        way = _Way(writer, dead=self.lost)
        self._ways.add(way)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b" ", 2)
                authority = target if method == b"CONNECT" else target.split(b"/")[2]
                port = int(authority.rpartition(b":")[2])
                there, back = await asyncio.open_connection("127.0.0.1", port)
                if method == b"CONNECT":
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    back.write(head)
                try:
                    await asyncio.gather(way.carry(reader, back), way.carry(there, writer))
                finally:
                    back.close()
            finally:
                self._ways.discard(way)
                writer.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


class _Way:
    """One connection through it."""

    def __init__(self, browser: asyncio.StreamWriter, *, dead: bool) -> None:
        self.dead = dead
        self._browser = browser

    def end(self) -> None:
        self._browser.transport.abort()

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            if not self.dead:
                target.write(data)
                await target.drain()
        if not self.dead and target.can_write_eof():
            target.write_eof()


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network until the block ends."""
    made = Network()
    thread = Thread(target=made._run, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(made._serve, "127.0.0.1", 0)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), made._loop).result(10)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), made._loop).result(10)
        made._loop.call_soon_threadsafe(made._loop.stop)
        thread.join(10)
        made._loop.close()
