"""What tabs cost that are opened and closed: thirty a second, as somebody does who means harm, or a page in a loop.

The production server on demo data. Each tab says hello as a page does, waits until it has the whole page, and is
closed without a farewell. Figures are the server's resident memory: before, after a minute of it, three minutes later,
and after another minute of it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

from bench.options import Options
from bench.process import Program, ProgramFailed
from bench.report import Table
from bench.serving import production_server
from bench.sockets.client import DIALECTS, Dialect, Socket, Tally
from bench.sockets.wire import upgrade_request

RATE = 30
"""Tabs a second."""
_LONG = "x" * 15_000
_HELLO_TIMEOUT_S = 20.0


def run(options: Options) -> Table:
    """Measure; memory in MB."""
    wave_s, rest_s = (3.0, 5.0) if options.quick else (60.0, 180.0)
    rows = [
        _row(title, greeting, wave_s, rest_s)
        for title, greeting in (("a page's", _greeting("/")), ("of 15 kB", _greeting(f"/?q={_LONG}")))
    ]
    columns = (
        "address",
        "tabs a minute",
        "MB before",
        "after a minute",
        "three minutes later",
        "after another minute",
        "kB a tab of the first minute",
        "refused",
    )
    return Table("tabs", columns, tuple(rows))


def _greeting(address: str) -> Dialect:
    """FlashCur's, of a page at this address."""
    page = {"pathname": "/", "asPath": address, "query": {"q": address[4:]} if len(address) > 1 else {}}
    event = {"name": "reflex___state____state.hydrate_and_load", "payload": {}, "router_data": page}
    return replace(DIALECTS["flashcur"], hello=f"40/_event,{json.dumps({'event': event})}")


def _row(title: str, dialect: Dialect, wave_s: float, rest_s: float) -> tuple[str | float | int, ...]:
    with tempfile.TemporaryDirectory() as folder, production_server(Path(folder)) as (server, port):
        # The first tabs make what all later ones share.
        asyncio.run(_wave(dialect, port, 2.0))
        before = _mb(server)
        tabs, refused = asyncio.run(_wave(dialect, port, wave_s))
        if not tabs:
            raise ProgramFailed(server.complaint(f"no tab was served: {refused}"))
        after = _mb(server)
        time.sleep(rest_s)
        later = _mb(server)
        _, again = asyncio.run(_wave(dialect, port, wave_s))
        held = (after - before) * 1000 / tabs
        return title, tabs, before, after, later, _mb(server), held, (refused + again).total()


def _mb(server: Program) -> float:
    return server.rss_kb() / 1000


async def _wave(dialect: Dialect, port: int, seconds: float) -> tuple[int, Counter[str]]:
    """Open and close tabs for so long: how many were served, and how many were not, by why."""
    loop, refused = asyncio.get_running_loop(), Counter[str]()
    started, served, tabs = loop.time(), 0, set[asyncio.Task[None]]()

    async def one() -> None:
        nonlocal served
        request = upgrade_request(f"localhost:{port}", dialect.target.format(token=uuid.uuid4()), deflate=True)
        _, socket = await loop.create_connection(lambda: Socket(dialect, request, Tally()), "127.0.0.1", port)
        try:
            await asyncio.wait_for(socket.opened, _HELLO_TIMEOUT_S)
            served += 1
        except (OSError, TimeoutError) as error:
            refused[str(error)] += 1
        finally:
            socket.close()

    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, started + number / RATE - loop.time()))
        tab = asyncio.create_task(one())
        tabs.add(tab)
        tab.add_done_callback(tabs.discard)
    await asyncio.gather(*tabs)
    return served, refused
