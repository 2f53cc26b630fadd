"""An empty Reflex page with a state, built and served as Reflex does it: the ground every Reflex page stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.process import CACHE, Program, ProgramFailed

_PORT = 8299
"""Always the same: Reflex bakes it into the build."""
_BUILD_TIMEOUT_S = 300

_CONFIG = f"""import reflex as rx

config = rx.Config(
    app_name="empty",
    frontend_port={_PORT},
    backend_port={_PORT},
    api_url="http://localhost:{_PORT}",
    deploy_url="http://localhost:{_PORT}",
    telemetry_enabled=False,
    show_built_with_reflex=False,
    plugins=[],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
"""
_APP = """import reflex as rx


class State(rx.State):
    word: str = "empty"


app = rx.App(reset_style=False, toaster=None)
app.add_page(lambda: rx.el.main(State.word), route="/")
"""


@contextmanager
def empty_page() -> Iterator[str]:
    """The page's address; builds it when its files have changed."""
    home = CACHE / "empty"
    environment = _environment()
    _build(home, environment)
    command = [
        *(sys.executable, "-m", "uvicorn", "empty.empty:app", "--factory", "--host", "127.0.0.1"),
        *("--port", str(_PORT), "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"),
    ]
    with Program(command, env=environment, cwd=home) as program:
        program.wait_for_port(_PORT)
        yield f"http://localhost:{_PORT}/"


def _build(home: Path, environment: dict[str, str]) -> None:
    wanted = {home / "rxconfig.py": _CONFIG, home / "empty" / "empty.py": _APP, home / "empty" / "__init__.py": ""}
    built = home / ".web" / "build" / "client" / "index.html"
    if built.exists() and all(path.exists() and path.read_text() == text for path, text in wanted.items()):
        return
    built.unlink(missing_ok=True)
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=_BUILD_TIMEOUT_S
    )
    if done.returncode != 0 or not built.exists():
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise ProgramFailed(f"the empty page could not be built:\n{tail}")


def _environment() -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FLASHCUR_", "REDIS_"))},
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "REFLEX_USE_NPM": "1",
        "REFLEX_CHECK_LATEST_VERSION": "0",
        "REFLEX_ENV_MODE": "prod",
        "REFLEX_BACKEND_PORT": str(_PORT),
        "REFLEX_FRONTEND_PORT": str(_PORT),
        "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    }
