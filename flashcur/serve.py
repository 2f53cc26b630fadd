"""`python -m flashcur.serve`: the production server, pages and sockets on one port, engine embedded.

uvicorn with the protocol of `web.websocket_server`, which lets a frame be written to all sockets as the same
bytes. With Redis configured, `WEB_CONCURRENCY` workers share the port; without it there is one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from flashcur.errors import DatabaseError, FlashCurError
from flashcur.services.notify import describe
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import addresses
from flashcur.web.page import build

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def main() -> int:
    try:
        settings = Settings.load()
        _serve(settings)
    except FlashCurError as error:
        print(f"flashcur: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(settings: Settings) -> None:
    port = settings.port
    # Reflex reads these when the app is imported, in this process, in the build and in every worker.
    os.environ |= {"REFLEX_ENV_MODE": "prod", "REFLEX_BACKEND_PORT": str(port), "REFLEX_FRONTEND_PORT": str(port)}
    _refuse_busy_port(settings.host, port)
    if settings.is_prod:
        _refuse_wrong_database(settings)
    where = addresses(settings, page_port=port, backend_port=port)
    if build.ensure_built(f"{where.page} {where.backend} {describe(settings)}"):
        print("flashcur: built the frontend", flush=True)
    # Not before the build, which is what compiles the pages and installs their packages.
    os.environ |= {"__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true", "__REFLEX_SKIP_COMPILE": "true"}
    import uvicorn

    from flashcur.web.http_server import BoundedHttpProtocol
    from flashcur.web.websocket_server import SharedFrameProtocol

    workers = settings.workers
    print(f"flashcur: serving on {where.page}", flush=True)
    uvicorn.run(
        "flashcur.serve:asgi",
        factory=True,
        host=settings.host,
        port=port,
        ws=SharedFrameProtocol,
        # Engine.IO has its own heartbeat; a second one would double the timers of every socket.
        ws_ping_interval=None,
        # Twice what the gate lets through; a socket that sends more is closed before it is read in.
        ws_max_size=128 * 1024,
        loop="uvloop",
        http=BoundedHttpProtocol,
        workers=workers,
        # Addresses come from `FLASHCUR_PROXY_HOPS` alone: uvicorn would believe any local program's headers.
        proxy_headers=False,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


def asgi() -> ASGIApp:
    """The app of one worker process, with a short way for its sockets."""
    from flashcur import flashcur as site
    from flashcur.services.kit import collector
    from flashcur.state.wire import connections

    whole = site.app()
    collector.settle()
    return connections.direct(whole, site.app, site.door)


def _refuse_busy_port(host: str, port: int) -> None:
    import errno
    import socket

    from flashcur.errors import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # As the server does: what listens on the same port of IPv4 is not in the way.
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(f"FLASHCUR_HOST: expected an address of this machine, was {host!r}") from None
            raise ConfigError(f"PORT: {port} cannot be used ({error.strerror}); set PORT to a free one") from None


def _refuse_wrong_database(settings: Settings) -> None:
    """Raise DatabaseError where only the operator can help; a server that is away now comes back by itself."""
    database = Database(settings)
    try:
        database.check()
    except DatabaseError as error:
        if error.retry_after is None or database.is_sqlite:
            raise
        print(f"flashcur: {error}; going on without it until it is back", file=sys.stderr, flush=True)
    finally:
        database.close()


if __name__ == "__main__":
    raise SystemExit(main())
