"""The peer of `bench.accounts`: `python -m bench.accounts_peer PORT`.

Starlette on uvicorn as the usual sketch has it: argon2 with the library's defaults inside the async handler, and a
loop that sends a message of 100 kB to every socket once a second. No database: what it does not do costs it nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import AsyncIterator

import uvicorn
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PASSWORD = "correct horse battery staple"
MESSAGE_BYTES = 100_000

hasher = PasswordHasher()
known = hasher.hash(PASSWORD)
sessions: dict[str, str] = {}
sockets: set[WebSocket] = set()


async def sign_in(request: Request) -> Response:
    fields = await request.json()
    try:
        hasher.verify(known, fields["password"])
    except VerifyMismatchError:
        return JSONResponse({"error": "wrong"}, 401)
    token = secrets.token_urlsafe(32)
    sessions[token] = fields["email"]
    response = JSONResponse({"ok": True})
    response.set_cookie("session", token, httponly=True)
    return response


async def connect(socket: WebSocket) -> None:
    await socket.accept()
    sockets.add(socket)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
    sockets.discard(socket)


async def publish() -> None:
    rest = "x" * (MESSAGE_BYTES - 40)
    while True:
        await asyncio.sleep(1 - time.time() % 1)
        text = f'{{"as_of": {int(time.time() * 1000)}, "rest": "{rest}"}}'
        await asyncio.gather(*(send(socket, text) for socket in list(sockets)))


async def send(socket: WebSocket, text: str) -> None:
    try:
        await socket.send_text(text)
    except (RuntimeError, WebSocketDisconnect):
        sockets.discard(socket)


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    task = asyncio.create_task(publish())
    yield
    task.cancel()


app = Starlette(
    routes=[Route("/auth/sign-in", sign_in, methods=["POST"]), WebSocketRoute("/ws", connect)], lifespan=lifespan
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
