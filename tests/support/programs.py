"""Private servers for tests: started from installed programs on free ports, ended with the tests.

Where a program is missing the test skips and says how to install it; with `CI=true` it fails instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_TIMEOUT_S = 30
IN_MEMORY = Path("/dev/shm")
"""Linux's folder that is never written to a disk. Copying a database there takes a tenth of the time."""
ROOM = 2 * 1024**3
"""Bytes that must be free in it; a container is often given 64 MB."""
INITDB_OPTIONS = ("--username=flashcur", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")


def require_program(name: str, package: str, *folders: Path) -> str:
    """The path of program `name`, looked for in PATH and `folders`."""
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found:
        return found
    missing(f"{name} is not installed: apt-get install {package}")


def missing(hint: str) -> NoReturn:
    """Skip the test with `hint`; in CI, where everything is to be tested, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(hint, pytrace=False)
    pytest.skip(hint)


def quick_folder() -> str | None:
    """Where files of tests are made the quickest, as `tempfile` takes it; None is its own choice."""
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= ROOM:
        return str(IN_MEMORY)
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], bool], what: str, within_s: float = START_TIMEOUT_S) -> None:
    """For threads and processes; tests that run in an event loop use `eventually`."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what} within {within_s} s")
        time.sleep(0.02)


@dataclass
class RedisServer:
    """A private Redis that can be killed and started again on the same port. Nothing is kept on disk."""

    program: str
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    password: str = ""

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        arguments += ["--requirepass", self.password] if self.password else []
        self.process = subprocess.Popen(
            [self.program, *arguments, "--dir", str(self.directory)], stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "Redis to answer")

    def kill(self) -> None:
        stop(self.process, signal.SIGKILL)
        self.process = None

    def pause(self) -> None:
        """Connections stay open, nothing answers."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        password = self.password or None
        with redis.Redis(port=self.port, password=password, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@contextmanager
def redis_server(password: str = "") -> Iterator[RedisServer]:
    program = require_program("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="flashcur-redis-") as directory:
        server = RedisServer(program, Path(directory), free_port(), password=password)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@dataclass
class PostgresServer:
    """A private PostgreSQL cluster without a password, on 127.0.0.1."""

    programs: Path
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://flashcur@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        run_unprivileged(
            self.directory,
            [str(self.programs / "initdb"), "-D", str(self.directory / "data"), *INITDB_OPTIONS],
        ).check_returncode()

    def start(self) -> None:
        # Durability is of no use here; a socket file would need a folder that another user may write.
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        arguments = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
        command = [*unprivileged(), str(self.programs / "postgres"), "-D", str(self.directory / "data"), *arguments]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log)
        wait_until(self._answers, "PostgreSQL to answer")

    def stop(self) -> None:
        """At once: open connections break, as when the machine is lost."""
        stop(self.process, signal.SIGQUIT)
        self.process = None

    def restart(self) -> None:
        """Gone at once, and back on the same port."""
        self.stop()
        self.start()

    def standby(self, directory: Path) -> PostgresServer:
        """Another server, started in an empty directory, that holds whatever this one says is committed."""
        source = f"host=127.0.0.1 port={self.port} user=flashcur"
        options = ["--checkpoint=fast", "--no-sync", "--write-recovery-conf"]
        program = str(self.programs / "pg_basebackup")
        run_unprivileged(
            directory, [program, "--pgdata", str(directory / "data"), "--dbname", source, *options]
        ).check_returncode()
        server = PostgresServer(self.programs, directory, free_port())
        server.start()
        # Only now: it is of this server's own settings, and the other one shall wait for nobody.
        self._execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._execute("SELECT pg_reload_conf()")
        wait_until(self._is_followed, "the standby to follow")
        return server

    def promote(self) -> None:
        """A standby becomes a server of its own."""
        self._execute("SELECT pg_promote()")

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Its address. `template` is copied as it stands; nobody may be connected to it."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=flashcur dbname=postgres connect_timeout=2"

    def _is_followed(self) -> bool:
        with psycopg.connect(self._conninfo()) as connection:
            return (
                connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone() is not None
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True


@dataclass
class PostgresPair:
    """Two servers, of which one serves and the other one follows until it is promoted."""

    primary: PostgresServer
    standby: PostgresServer

    def url(self, database: str) -> str:
        """Names both: whoever connects is given the one that takes writes."""
        hosts = f"host=127.0.0.1:{self.primary.port}&host=127.0.0.1:{self.standby.port}"
        return f"postgresql+psycopg://flashcur@/{database}?{hosts}&target_session_attrs=read-write"

    def fail_over(self) -> None:
        """The primary's machine is lost, and the standby takes its place."""
        self.primary.stop()
        self.standby.promote()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = require_program("initdb", "postgresql", *reversed(versions))
    with _postgres_directory() as directory:
        server = PostgresServer(Path(initdb).parent, directory, free_port())
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    with postgres_server() as primary, _postgres_directory() as directory:
        standby = primary.standby(directory)
        try:
            yield PostgresPair(primary, standby)
        finally:
            standby.stop()


@contextmanager
def _postgres_directory() -> Iterator[Path]:
    """An empty directory that a server's user may write into."""
    with tempfile.TemporaryDirectory(prefix="flashcur-postgres-", dir=quick_folder()) as name:
        directory = Path(name)
        if unprivileged():
            user = pwd.getpwnam("nobody")
            os.chown(directory, user.pw_uid, user.pw_gid)
        yield directory


def unprivileged() -> list[str]:
    """The prefix of a command that must not run as root, as PostgreSQL's must not."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    setpriv = require_program("setpriv", "util-linux")
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def run_unprivileged(directory: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*unprivileged(), *command], cwd=directory, capture_output=True, text=True)


def stop(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
