"""One address whatever name a request came by, and pages at the path that was asked for.

Libraries make redirects out of a request's `Host` and the scheme that the last proxy spoke: behind TLS such an address
is `http`, and whoever sends the header chooses where it leads. So nothing behind this sees what a request said.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

_NAMES = frozenset({b"host", b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port"})
"""Headers that say under which address somebody believes to be talking to us."""


class PublicAddress:
    """ASGI application around another, which sees every HTTP request as one to our own address."""

    def __init__(self, app: ASGIApp, origin: str, client: Path) -> None:
        """`origin`: of the routes and pages, without a trailing slash; `client`: the folder of the built pages."""
        parts = urlsplit(origin)
        self._app = app
        self._scheme = parts.scheme
        self._host = (b"host", parts.netloc.encode())
        self._client = client
        self._pages: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [self._host, *(header for header in scope["headers"] if header[0] not in _NAMES)]
            scope = {**scope, "scheme": self._scheme, "headers": headers, "path": self._served(scope["path"])}
        await self._app(scope, receive, send)

    def _served(self, path: str) -> str:
        """The path of a page with the slash that its folder would be redirected to; any other path as it is."""
        if path.endswith("/") or posixpath.normpath("/" + path.lstrip("/")) not in self._built():
            return path
        return f"{path}/"

    def _built(self) -> frozenset[str]:
        """The paths of the built pages; looked for until there are some."""
        if not self._pages:
            found = self._client.rglob("index.html")
            self._pages = frozenset(f"/{page.parent.relative_to(self._client).as_posix()}" for page in found)
        return self._pages
