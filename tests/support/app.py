"""The whole product, started as an operator starts it, against a simulated exchange in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.programs import free_port, wait_until

ROOT = Path(__file__).parents[2]
PORT = int(os.environ.get("FLASHCUR_TEST_PORT", "8765"))
"""The same in all runs, as is FOLDER: both are baked into the frontend, so another one would build it anew."""
FOLDER = Path(tempfile.gettempdir()) / f"flashcur-app-{zlib.crc32(bytes(ROOT)):08x}"

READY_S = 90


@dataclass(frozen=True)
class Exchange:
    """A simulated exchange and its control routes."""

    url: str
    process: subprocess.Popen[str]

    def order(self, action: str, **arguments: Any) -> Any:
        """Have the exchange do something, e.g. `order("silence", kind="ticker")`."""
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(f"{self.url}/_control/{action}", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)["result"]

    def sent(self, symbol: str, kind: str = "ticker", limit: int = 8) -> list[dict[str, Any]]:
        """The last messages about a contract, as they were sent, oldest first."""
        query = urllib.parse.urlencode({"symbol": symbol, "kind": kind, "limit": limit})
        with urllib.request.urlopen(f"{self.url}/_control/last?{query}", timeout=5) as answer:
            return json.load(answer)


@dataclass(frozen=True)
class App:
    """A running FlashCur."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    """What it writes to its standard output and error."""

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Its database, opened a second time."""
        settings = Settings.load({"FLASHCUR_DATA_DIR": str(self.log.parent / "data"), "FLASHCUR_SECRET_KEY": "0" * 40})
        database = Database(settings)
        try:
            yield database
        finally:
            database.close()

    def get(self, path: str) -> tuple[int, Any]:
        """Status and body (JSON decoded where it is JSON) of a route."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                status, kind, body = answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            status, kind, body = error.code, error.headers.get_content_type(), error.read()
        return status, json.loads(body) if kind == "application/json" else body.decode()


@contextmanager
def simulated_exchange(symbols: int, seed: int = 1, port: int | None = None) -> Iterator[Exchange]:
    port = port or free_port()
    command = [sys.executable, "-m", "flashcur.services.simulator", "--port", str(port)]
    # A contract that came by itself, once in an hour or so, would be one too many for whichever test counts them.
    command += ["--symbols", str(symbols), "--seed", str(seed), "--still"]
    # It ends when its standard input closes, so it cannot outlive the tests.
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the simulated exchange did not start"
        yield Exchange(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def running_app(exchange: Exchange | None, **environment: str) -> Iterator[App]:
    """`python -m flashcur.serve` with empty data; `exchange` counts as the real Binance."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("FLASHCUR_", "REFLEX_"))}
    variables |= {"PORT": str(PORT), "FLASHCUR_DATA_DIR": str(FOLDER / "data"), "FLASHCUR_EXCHANGES": "binanceusdm"}
    if exchange is not None:
        variables |= {
            "FLASHCUR_DEMO": "off",
            "FLASHCUR_BINANCEUSDM_REST_URL": exchange.url,
            "FLASHCUR_BINANCEUSDM_WS_URL": exchange.url.replace("http", "ws"),
        }
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    log = FOLDER / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flashcur.serve"],
            cwd=ROOT,
            env=variables | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        app = App(f"http://127.0.0.1:{PORT}", process, log)
        try:
            wait_until(lambda: process.poll() is not None or _healthy(app), "a healthy app", READY_S)
            assert process.poll() is None, f"{app.url} did not start:\n{log.read_text()[-2000:]}"
        except AssertionError:
            _end(process)
            raise
    try:
        yield app
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _healthy(app: App) -> bool:
    try:
        return app.get("/health")[0] == 200
    except OSError:
        return False
