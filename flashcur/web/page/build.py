"""The production frontend: Reflex's build, then what makes its pages paint at once.

Reflex's own page waits for a stylesheet, and its scripts run before the browser has painted anything. `polish` puts
the stylesheet into the page and starts the scripts after the first paint. A page that was not polished (`reflex run
--env prod`, `reflex deploy`) works the same, only later.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import itertools
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
_serving: list[int] = []
"""Descriptors whose locks say that this process serves the pages."""
_SOURCES = ("flashcur", "assets", "rxconfig.py", "requirements.txt")
_SUFFIXES = (".py", ".ts", ".js", ".css", ".svg", ".txt")

_STYLESHEET = re.compile(r'<link\b[^>]*href="(/assets/[^"]+\.css)"[^>]*rel="stylesheet"[^>]*>')
_STYLE_PRELOAD = re.compile(r'<link\b[^>]*as="style"[^>]*rel="preload"[^>]*>')
_MODULE = re.compile(r'<script type="module"[^>]*>(.*?)</script>', re.DOTALL)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BUNDLER_FAILED = "Build failed with"
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

    Afterwards this process counts as serving the pages until it ends. Of two that start at once one waits.
    Raises ConfigError if the build fails, or if it would take the pages away from another process that serves them.
    """
    wanted = fingerprint(addresses)
    with _one_at_a_time():
        # Directories are locked, not files: nothing has to be made, and a process that dies lets go.
        serving = os.open(WEB.parent / "assets", os.O_RDONLY)
        current = CLIENT.is_dir() and _STAMP.exists() and _STAMP.read_text() == wanted
        try:
            if not current:
                _refuse_to_overwrite(serving)
                _build_anew(wanted)
            fcntl.flock(serving, fcntl.LOCK_SH)
        except BaseException:
            os.close(serving)
            raise
        _serving.append(serving)
        return not current


def _build_anew(wanted: str) -> None:
    # A build that fails leaves half of its files.
    _STAMP.unlink(missing_ok=True)
    build()
    for page in sorted(CLIENT.rglob("*.html")):
        write_page(page, polish(page.read_text(encoding="utf-8"), CLIENT))
    _STAMP.write_text(wanted)


def _refuse_to_overwrite(serving: int) -> None:
    try:
        fcntl.flock(serving, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            "another process serves pages from this folder that were built for other addresses or from other sources: "
            "stop it first, or start this one from a folder of its own"
        ) from None


@contextmanager
def _one_at_a_time() -> Generator[None]:
    folder = os.open(WEB.parent, os.O_RDONLY)
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
    """Run Reflex's own export; ConfigError with what it said went wrong, and in which file, if it fails."""
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    # Wide: a path that is broken into two lines finds nothing.
    environment = {**os.environ, "REFLEX_ENV_MODE": "prod", "NO_COLOR": "1", "COLUMNS": "240"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConfigError(f"the frontend could not be built:\n{what_failed(done.stdout + done.stderr)}")


def what_failed(output: str) -> str:
    """The lines of a failed build's output that say what is wrong with which file, without the tools' own stacks."""
    lines = [_COLOUR.sub("", line).rstrip() for line in output.strip().splitlines()]
    named = next((number for number, line in enumerate(lines) if line.startswith(_BUNDLER_FAILED)), None)
    if named is None:
        return "\n".join(lines[-15:])
    told = itertools.takewhile(lambda line: not line.lstrip().startswith("at "), lines[named:])
    return "\n".join(line for line in told if line)


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
