"""The production frontend: Reflex's build, then what makes its pages paint at once.

Reflex's own page waits for a stylesheet, and its scripts run before the browser has painted anything. `polish` puts
the stylesheet into the page and starts the scripts after the first paint. A page that was not polished (`reflex run
--env prod`, `reflex deploy`) works the same, only later.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from flashcur.errors import ConfigError

ROOT = Path(__file__).parents[3]
WEB = ROOT / ".web"
CLIENT = WEB / "build" / "client"
_STAMP = WEB / "flashcur.fingerprint"
_SOURCES = ("flashcur", "assets", "rxconfig.py", "requirements.txt")
_SUFFIXES = (".py", ".ts", ".css", ".svg", ".txt")

_STYLESHEET = re.compile(r'<link\b[^>]*href="(/assets/[^"]+\.css)"[^>]*rel="stylesheet"[^>]*>')
_STYLE_PRELOAD = re.compile(r'<link\b[^>]*as="style"[^>]*rel="preload"[^>]*>')
_MODULE = re.compile(r'<script type="module"[^>]*>(.*?)</script>', re.DOTALL)

_MODULE_PRELOAD = re.compile(r'<link rel="modulepreload" href="([^"]+)"/>')

_WAIT_FOR_BODY = '<link rel="expect" href="#boot" blocking="render"/>'
"""Nothing is painted before the parser comes to `#boot`, after all contents: half a header moves once it is whole."""

_AFTER_PAINT = (
    '<script>(function(){var boot=document.getElementById("boot"),begun;'
    "function add(name,values){document.head.append(Object.assign(document.createElement(name),values))}"
    "function begin(){if(begun)return;begun=true;"
    'boot.dataset.modules.split(" ").forEach(function(href){add("link",{rel:"modulepreload",href:href})});'
    'add("script",{type:"module",textContent:boot.textContent})}'
    # A tab in the background paints nothing; it, and a browser that does not report paints, begins after a moment.
    'try{new PerformanceObserver(begin).observe({type:"paint",buffered:true})}catch(e){}'
    "setTimeout(begin,document.hidden?0:250)})()</script>"
)


def ensure_built(addresses: str) -> bool:
    """Build unless the last build was of the same sources for the same addresses; True if it built.

    Of two processes one waits for the other: both would write the same files.
    """
    wanted = fingerprint(addresses)
    with _one_at_a_time():
        if CLIENT.is_dir() and _STAMP.exists() and _STAMP.read_text() == wanted:
            return False
        build()
        for page in sorted(CLIENT.rglob("*.html")):
            write_page(page, polish(page.read_text(encoding="utf-8"), CLIENT))
        _STAMP.write_text(wanted)
        return True


@contextmanager
def _one_at_a_time() -> Generator[None]:
    """Hold a lock on the project's folder itself, which needs no file and ends with the process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def fingerprint(addresses: str) -> str:
    """A hash of everything a build depends on: sources and the addresses that are baked into it."""
    digest = hashlib.sha256(addresses.encode())
    for path in _source_files():
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files() -> Iterator[Path]:
    for source in _SOURCES:
        path = ROOT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            # The stylesheet in assets is itself made from flashcur/components.
            if file.is_file() and file.suffix in _SUFFIXES and file.name != "flashcur.css":
                yield file


def build() -> None:
    """Run Reflex's own export; ConfigError with its last lines if it fails."""
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    environment = {**os.environ, "REFLEX_ENV_MODE": "prod"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ConfigError(f"the frontend could not be built:\n{tail}")


def polish(page: str, client: Path) -> str:
    """The page with its stylesheet inside and its scripts started after the first paint.

    React takes the page over as it stands and ignores attributes and text that differ, so elements are changed in
    place and none is taken away.
    """

    def inline(link: re.Match[str]) -> str:
        css = (client / link[1].lstrip("/")).read_text(encoding="utf-8")
        return f"{_WAIT_FOR_BODY}<style>{css}</style>" + link[0].replace(
            'rel="stylesheet"', 'rel="stylesheet" disabled=""'
        )

    # Neither is fetched, but React must find both: it would make anew what is gone.
    page = _STYLE_PRELOAD.sub(lambda link: link[0].replace("<link ", '<link media="not all" '), page)
    page = _STYLESHEET.sub(inline, page)
    modules = " ".join(_MODULE_PRELOAD.findall(page))
    page = _MODULE_PRELOAD.sub("", page)
    return _MODULE.sub(
        lambda script: (
            f'<script type="text/plain" id="boot" data-modules="{modules}">{script[1]}</script>{_AFTER_PAINT}'
        ),
        page,
    )


def write_page(path: Path, page: str) -> None:
    """Write a page and the compressed copy that is served in its place."""
    path.write_text(page, encoding="utf-8")
    compressed = path.with_name(path.name + ".gz")
    if compressed.exists():
        compressed.write_bytes(gzip.compress(page.encode(), compresslevel=9, mtime=0))
