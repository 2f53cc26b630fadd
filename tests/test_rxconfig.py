"""What Reflex is told, seen from a process of its own, as Reflex imports it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FIELDS = (
    *("api_url", "cors_allowed_origins", "frontend_port", "backend_port", "backend_host", "redis_url"),
    *("telemetry_enabled", "show_built_with_reflex", "state_auto_setters"),
)
VARIABLES = ("REFLEX_USE_NPM", "REFLEX_CHECK_LATEST_VERSION", "PATH", "FLASHCUR_HOST")
PROGRAM = f"""
import json, os, rxconfig
config = rxconfig.config
shown = {{name: getattr(config, name) for name in {FIELDS!r}}}
shown["plugins"] = [type(plugin).__name__ for plugin in config.plugins]
shown["dev"] = rxconfig.rx.constants.PackageJson.Commands.DEV
shown["state_manager"] = config.state_manager_mode.value
shown["environ"] = {{name: os.environ.get(name) for name in {VARIABLES!r}}}
print(json.dumps(shown))
"""


def run(environ: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    full = {**kept, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environ, **more}
    # Not in the project's folder, where a developer may keep a file `.env`.
    elsewhere = Path(environ["FLASHCUR_DATA_DIR"]).parent
    return subprocess.run([sys.executable, "-c", PROGRAM], cwd=elsewhere, env=full, capture_output=True, text=True)


def config(environ: dict[str, str], **more: str) -> dict[str, Any]:
    result = run(environ, **more)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_development(environ: dict[str, str]) -> None:
    shown = config(environ)
    assert (shown["frontend_port"], shown["backend_port"]) == (3000, 8000)
    assert shown["api_url"] == "http://localhost:8000"
    assert (shown["backend_host"], shown["environ"]["FLASHCUR_HOST"]) == ("127.0.0.1", "127.0.0.1")
    assert "*" not in shown["cors_allowed_origins"]
    assert {"http://localhost:3000", "http://127.0.0.1:3000"} <= set(shown["cors_allowed_origins"])
    assert shown["telemetry_enabled"] is shown["show_built_with_reflex"] is shown["state_auto_setters"] is False
    assert shown["plugins"] == []
    assert shown["state_manager"] == "memory"


def test_production_build_is_on_one_port(environ: dict[str, str]) -> None:
    shown = config(environ, REFLEX_ENV_MODE="prod", PORT="9123")
    assert shown["frontend_port"] == shown["backend_port"] == 9123
    assert shown["api_url"] == "http://localhost:9123"


def test_all_addresses_are_listened_on_where_that_is_asked_for_and_in_production(environ: dict[str, str]) -> None:
    asked = config(environ, FLASHCUR_HOST="0.0.0.0")
    production = {"FLASHCUR_SECRET_KEY": "b81f0e3d5c7a9264" * 4, "FLASHCUR_PUBLIC_URL": "https://flashcur.example"}
    for shown in (asked, config(environ | production, FLASHCUR_ENV="prod", REFLEX_ENV_MODE="prod")):
        assert (shown["backend_host"], shown["environ"]["FLASHCUR_HOST"]) == ("0.0.0.0", "0.0.0.0")


def test_the_pages_of_development_are_served_where_the_lock_says_too(environ: dict[str, str]) -> None:
    locked = json.loads((ROOT / "reflex.lock" / "package.json").read_text())
    assert config(environ)["dev"] == locked["scripts"]["dev"]
    assert "$FLASHCUR_HOST" in locked["scripts"]["dev"]


def test_ports_of_the_command_line_count(environ: dict[str, str]) -> None:
    shown = config(environ, REFLEX_FRONTEND_PORT="3001", REFLEX_BACKEND_PORT="8001")
    assert shown["api_url"] == "http://localhost:8001"
    assert "http://localhost:3001" in shown["cors_allowed_origins"]


def test_redis_keeps_the_sessions_where_it_is_configured(environ: dict[str, str]) -> None:
    shown = config(environ, REDIS_URL="redis://127.0.0.1:6379/0")
    assert shown["redis_url"] == "redis://127.0.0.1:6379/0"
    assert shown["state_manager"] == "redis"


def test_node_comes_from_the_virtual_environment_and_nothing_is_asked_over_the_network(environ: dict[str, str]) -> None:
    shown = config(environ)["environ"]
    assert shown["REFLEX_USE_NPM"] == "1"
    assert shown["REFLEX_CHECK_LATEST_VERSION"] == "0"
    found = shutil.which("node", path=shown["PATH"])
    assert found is not None
    assert Path(found).is_relative_to(sys.prefix)
    npm = shutil.which("npm", path=shown["PATH"])
    assert npm is not None
    version = subprocess.run([npm, "--version"], env={"PATH": shown["PATH"]}, capture_output=True, text=True)
    assert version.returncode == 0, version.stderr


def test_the_package_managers_registry_is_left_to_the_machine() -> None:
    """Without these files Reflex measures registries at each start, and writes the nearest one down."""
    for name in (".npmrc", "bunfig.toml"):
        assert "registry=" not in (ROOT / name).read_text().replace(" ", "")


@pytest.mark.parametrize("path", sorted((ROOT / "reflex.lock").glob("*")), ids=lambda path: path.name)
def test_no_registry_is_written_into_the_lock(path: Path) -> None:
    assert '"resolved": "http' not in path.read_text()


def test_a_wrong_setting_is_one_line(environ: dict[str, str]) -> None:
    result = run(environ, FLASHCUR_EXCHANGES="kraken")
    assert result.returncode == 2
    assert result.stderr.strip().splitlines() == [
        "flashcur: FLASHCUR_EXCHANGES: expected a comma-separated list out of binanceusdm, bybit, each at most once, "
        "was 'kraken'"
    ]
