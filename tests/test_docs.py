"""What the docs say of the code is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.write_docs import BLOCKS, COMPLAINTS, FACTS, answers, current, facts_module

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", sorted({path for path, _, _ in BLOCKS}))
def test_tables_drawn_from_the_code_are_up_to_date(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == current(page), "run `python scripts/write_docs.py`"


def test_the_browser_s_facts_are_those_of_the_python_tables() -> None:
    assert FACTS.read_text(encoding="utf-8") == facts_module(), "run `python scripts/write_docs.py`"


def test_every_complaint_has_a_test_that_is_named_and_exists() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| [^|]+ \| (.+) \|$", page, re.M))
    assert list(rows) == [str(number) for number in range(1, 27)]
    assert len(COMPLAINTS) == 26
    known = answers()
    for number, tests in rows.items():
        named = [
            (file, name)
            for file, names in re.findall(r"`(tests/[\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", tests)
            for name in re.findall(r"`(\w+)`", names)
        ]
        assert named, f"complaint {number} has no test"
        assert sorted(named) == sorted(known[int(number)])
        for file, name in named:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {name}\(", source, re.M), f"{file} has no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = [page.parent / target for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    named = [
        ROOT / name for name in re.findall(r"`((?:flashcur|docs|tests|scripts|bench|assets|alembic)/[\w./-]+)`", text)
    ]
    assert [str(path) for path in (*linked, *named) if not path.exists() and path.name != ".cache"] == []
