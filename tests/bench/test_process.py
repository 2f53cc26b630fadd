"""Programs under measurement are watched, and always ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from bench.page.copies import without_scripts
from bench.process import Program, ProgramFailed, free_port


def test_a_program_and_its_children_are_ended() -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with Program([sys.executable, "-c", script], talks=True) as program:
        child = int(program.hear())
        assert program.rss_kb() > 1000
        assert program.cpu_s() >= 0
    deadline = time.monotonic() + 10
    while (left := [pid for pid in (program.pid, child) if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def alive(pid: int) -> bool:
    """Whether a process runs; one whose parent is gone may be dead and wait for init to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_ends_early_says_why() -> None:
    script = "import sys; sys.exit('no such luck')"
    with Program([sys.executable, "-c", script]) as program, pytest.raises(ProgramFailed, match="no such luck"):
        program.wait_for_port(free_port())


def test_a_program_that_says_nothing_is_named() -> None:
    with Program([sys.executable, "-c", ""], talks=True) as program, pytest.raises(ProgramFailed, match="ended"):
        program.hear()


def test_the_page_without_scripts_keeps_the_rest() -> None:
    page = '<head><script>a()</script><link rel="modulepreload" href="/a.js"/><style>b{}</style></head><p>1</p>'
    page += '<script type="module"\n src="x">import "y"</script>'
    assert without_scripts(page) == "<head><style>b{}</style></head><p>1</p>"
