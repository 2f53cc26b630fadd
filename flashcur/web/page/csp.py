"""The Content-Security-Policy of the pages, made from the pages that were built.

Reflex writes scripts into its pages, and they differ by build; so each is allowed by the hash of its text, and no other
inline script runs, nor `eval`. A browser that finds one blocks it: what somebody managed to put into a page stays text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from flashcur.settings.addresses import LOOPBACK_HOSTS, port_of
from flashcur.settings.casts import origin as origin_of

MINIMAL = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are no pages: nothing in them may load, run or be framed."""
WORKER = "default-src 'none'; connect-src 'self'"
"""For the script of the browser's worker, which goes by the policy that comes with it: it asks our own routes."""
WORKER_PATH = "/sw.js"

_JAVASCRIPT = {"", "module", "text/javascript", "application/javascript"}
_BOOT = "boot"
"""The id of the script that `build.polish` makes inert; it is started after the first paint, with the same text."""


def content_security_policy(client: Path, backend_origin: str) -> str:
    """The policy for every page below `client`, which find their socket and routes at `backend_origin`.

    Raises OSError if a page cannot be read.
    """
    backend = _origins(backend_origin)
    sockets = [origin.replace("http", "ws", 1) for origin in backend]
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *script_hashes(client)],
        # Styles stand in attributes (React's `style`) and are added by scripts (Emotion); their texts are not known at
        # build time, and an attribute has no hash. A style runs no code.
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        # Browsers differ in whether 'self' covers WebSockets.
        "connect-src": ["'self'", *(origin for pair in zip(backend, sockets, strict=True) for origin in pair)],
        "form-action": ["'self'", *backend],
        "manifest-src": ["'self'"],
        # The worker of web push, and no other.
        "worker-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in directives.items())


def script_hashes(client: Path) -> list[str]:
    """The sources `'sha256-…'` of all inline scripts that a browser runs in the pages below `client`, sorted."""
    return sorted({source for page in client.rglob("*.html") for source in _hashes(page.read_text(encoding="utf-8"))})


class PagePolicy:
    """The policy of the build that is on the disk; read again only when its start page has changed."""

    def __init__(self, client: Path, backend_origin: str) -> None:
        self._client = client
        self._backend_origin = backend_origin
        self._built: tuple[int, int] | None = None
        self._policy = MINIMAL

    def __call__(self) -> str:
        """MINIMAL where nothing is built: in development the pages come from another server."""
        try:
            stat = (self._client / "index.html").stat()
            built = (stat.st_mtime_ns, stat.st_size)
            if built != self._built:
                self._policy = content_security_policy(self._client, self._backend_origin)
                self._built = built
        except OSError:
            self._built, self._policy = None, MINIMAL
        return self._policy


def _origins(origin: str) -> list[str]:
    """The origin; for one on this machine also its other name, under which the page finds it as well."""
    parts = urlsplit(origin)
    if parts.hostname not in LOOPBACK_HOSTS:
        return [f"{parts.scheme}://{parts.netloc}"]
    return [origin_of(f"{parts.scheme}://{host}:{port_of(origin)}") for host in LOOPBACK_HOSTS]


def _hashes(page: str) -> Iterator[str]:
    for text in _inline_scripts(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        yield f"'sha256-{digest}'"


def _inline_scripts(page: str) -> Iterable[str]:
    # The browser hashes the text after it has normalised line ends.
    parser = _Scripts()
    parser.feed(page.replace("\r\n", "\n").replace("\r", "\n"))
    parser.close()
    return parser.texts


class _Scripts(HTMLParser):
    """Collects the texts of inline scripts; a script's text is read as it stands, without entities."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        kind = (attributes.get("type") or "").strip().lower()
        runs = kind in _JAVASCRIPT or attributes.get("id") == _BOOT
        if tag == "script" and "src" not in attributes and runs:
            self._open = []

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._open is not None:
            self.texts.append("".join(self._open))
            self._open = None
