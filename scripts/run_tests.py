"""Run all tests as `make test` does: on two workers, then those that measure parts of a second by themselves.

A test that fails beside others gets one more chance by itself, and is named at the end of the run either way. More than
`MOST_AGAIN` failures are no matter of a busy machine: they get none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAILED = ROOT / ".pytest_cache/v/cache/lastfailed"
MOST_AGAIN = 10
TESTS_FAILED = 1
"""pytest's exit status; others say that it was interrupted, or could not run at all."""


def main() -> int:
    FAILED.unlink(missing_ok=True)
    status, unsteady = part("-n", "2", "--max-worker-restart", "1", "-m", "not alone")
    if status:
        return status
    status, unsteady_alone = part("-m", "alone")
    for name in unsteady + unsteady_alone:
        print(f"UNSTEADY {name}: failed beside others and passed by itself. Find out why: see docs/testing.md")
    return status


def part(*arguments: str) -> tuple[int, list[str]]:
    """Run some tests; returns the exit status, and which of them passed at their second try only."""
    status = pytest(*arguments)
    if status != TESTS_FAILED:
        return status, []
    failed = sorted(json.loads(FAILED.read_text()))
    if len(failed) > MOST_AGAIN:
        return status, []
    print(f"{len(failed)} failed: once more, by themselves", flush=True)
    return pytest("--last-failed", *arguments[-2:]), failed


def pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
