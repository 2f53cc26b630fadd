"""What the docs say of the code is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.write_docs import BLOCKS, FACTS, current, facts_module

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", sorted({path for path, _, _ in BLOCKS}))
def test_tables_drawn_from_the_code_are_up_to_date(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == current(page), "run `python scripts/write_docs.py`"


def test_the_browser_s_facts_are_those_of_the_python_tables() -> None:
    assert FACTS.read_text(encoding="utf-8") == facts_module(), "run `python scripts/write_docs.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = [page.parent / target for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    named = [
        ROOT / name for name in re.findall(r"`((?:flashcur|docs|tests|scripts|bench|assets|alembic)/[\w./-]+)`", text)
    ]
    assert [str(path) for path in (*linked, *named) if not path.exists() and path.name != ".cache"] == []
