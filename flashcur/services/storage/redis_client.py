"""A Redis client whose every command ends in bounded time, and fails instead of trying again by itself."""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Protocol, Self, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 1.0
"""A command of ours takes well under a millisecond on a healthy server."""


class Script(Protocol):
    """A Lua script, sent once and called by its hash."""

    def __call__(self, keys: list[str], args: list[str | bytes | int | float]) -> Awaitable[Any]: ...


class PubSubChannel(Protocol):
    """A connection that listens; the part of redis-py's PubSub that is used here."""

    async def subscribe(self, name: str, /) -> None:
        """Listen to a channel; the server's confirmation comes as a message of type `subscribe`."""
        ...

    async def get_message(self, *, timeout: float) -> dict[str, Any] | None:  # noqa: ASYNC109  # redis-py's name
        """The next message, with `type` and `data` (bytes); None when nothing came within `timeout` seconds."""
        ...

    async def ping(self) -> Any:
        """Ask for a sign of life, which comes as a message."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class RedisClient(Protocol):
    """The part of redis-py's client that is used here; its own types are partly unknown.

    Commands raise `redis.exceptions.RedisError`, OSError or TimeoutError.
    """

    async def get(self, name: str, /) -> bytes | None:
        """A key's value; None if it is not there."""
        ...

    async def ping(self) -> bool:
        """True once the server has answered."""
        ...

    def register_script(self, script: str) -> Script:
        """A Lua script, to be called; nothing is sent yet."""
        ...

    def pubsub(self) -> PubSubChannel:
        """A channel on a connection of its own, to be entered with `async with`."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


def redis_client(url: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> RedisClient:
    """A client with a pool; nothing is opened before the first command. Answers are bytes.

    A command fails after `command_timeout_s` without an answer, or `CONNECT_TIMEOUT_S` without a connection.
    """
    untyped = cast("Any", Redis)
    return cast(
        "RedisClient",
        untyped.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=command_timeout_s,
            socket_keepalive=True,
            # The library would repeat a failed command three times with pauses; our callers know better when to.
            retry=Retry(NoBackoff(), 0),
        ),
    )
