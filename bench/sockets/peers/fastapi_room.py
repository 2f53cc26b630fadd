"""A FastAPI app that sends one frame a second to every socket: fastapi_room.py PORT FRAMES.json"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect  # pyright: ignore[reportMissingImports]  (in bench/.cache)

frames: list[dict[str, Any]] = json.loads(Path(sys.argv[2]).read_text())
sockets: set[WebSocket] = set()


async def publish() -> None:
    feed = next(name for name in frames[0]["delta"] if name.endswith("feed_state"))
    number = 0
    while True:
        await asyncio.sleep(1 - time.time() % 1)
        frame = frames[number % len(frames)]
        number += 1
        frame["delta"][feed]["as_of_rx_state_"] = int(time.time() * 1000)
        text = json.dumps(frame)
        await asyncio.gather(*(send(socket, text) for socket in list(sockets)))


async def send(socket: WebSocket, text: str) -> None:
    try:
        await socket.send_text(text)
    except (RuntimeError, WebSocketDisconnect):
        sockets.discard(socket)


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(publish())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws")
async def connect(socket: WebSocket) -> None:
    await socket.accept()
    sockets.add(socket)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
    sockets.discard(socket)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
