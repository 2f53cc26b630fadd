"""The same HTML without its scripts, from the simplest server: what the browser itself needs to paint it."""

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


def without_scripts(page: str) -> str:
    """A page that looks the same and runs nothing."""
    return _PRELOAD.sub("", _SCRIPT.sub("", page))


@contextmanager
def stripped_page(address: str) -> Iterator[str]:
    """Serves what is at `address` now, without scripts; the address of the copy."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        body = gzip.compress(without_scripts(answer.read().decode()).encode(), compresslevel=4)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if found:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the browser's requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
