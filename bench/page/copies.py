"""Copies of the page with something taken away, from the simplest server: what each costs the browser to paint."""

from __future__ import annotations

import gzip
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from bench.process import free_port

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_PRELOAD = re.compile(r'<link\b[^>]*rel="modulepreload"[^>]*>')
_STYLE = re.compile(r"<style\b.*?</style>|<link\b[^>]*stylesheet[^>]*>", re.DOTALL)
_ROWS = re.compile(r'(<tbody\b[^>]*id="first-rows"[^>]*>).*?(</tbody>)', re.DOTALL)
_OWN = {"content-length", "content-encoding", "content-type", "date", "connection", "transfer-encoding"}
"""Headers that a server sets for what it sends itself."""
WORD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>word</title></head><body>word</body></html>'
"""The least that a page can be: what opening a tab costs by itself."""


def without_scripts(page: str) -> str:
    """A page that looks the same and runs nothing."""
    return _PRELOAD.sub("", _SCRIPT.sub("", page))


def copies(page: str) -> dict[str, str]:
    """Name to page: one word; without scripts; that without rows, without style, and without both."""
    stripped = without_scripts(page)
    bare = _ROWS.sub(r"\1\2", stripped)
    return {
        "word": WORD,
        "stripped": stripped,
        "no rows": bare,
        "no style": _STYLE.sub("", stripped),
        "neither": _STYLE.sub("", bare),
    }


@contextmanager
def served_copies(address: str) -> Iterator[tuple[dict[str, str], str]]:
    """Serves copies of what is at `address` now with the page's own headers, which cost time too.

    Yields name to address, and the address of a page of one word on another site.
    """
    with urllib.request.urlopen(address, timeout=10) as answer:
        pages = copies(answer.read().decode())
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OWN]
    bodies = {f"/{number}": gzip.compress(page.encode(), compresslevel=4) for number, page in enumerate(pages.values())}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if body is not None:
                self.send_header("Content-Encoding", "gzip")
                for header in headers:
                    self.send_header(*header)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if body is not None:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the browser's requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        parts = {name: f"http://localhost:{server.server_port}/{number}" for number, name in enumerate(pages)}
        yield parts, f"http://127.0.0.1:{server.server_port}/{list(pages).index('word')}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
