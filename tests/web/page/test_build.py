"""What makes a built page paint at once."""

from __future__ import annotations

from pathlib import Path

from flashcur.web.page.build import polish

LINK = '<link href="/assets/look.css" rel="stylesheet" type="text/css"/>'
PRELOAD = '<link as="style" href="/assets/look.css" rel="preload"/>'
MODULES = (
    '<link rel="modulepreload" href="/assets/a.js"/><script type="module" async="">import "/assets/a.js";</script>'
)


def polished(tmp_path: Path, body: str = "") -> str:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "look.css").write_text("body { color: red }")
    return polish(f"<html><head>{PRELOAD}{LINK}</head><body>{body}{MODULES}</body></html>", tmp_path)


def test_the_style_is_in_the_page_and_its_links_stay_for_react_but_fetch_nothing(tmp_path: Path) -> None:
    page = polished(tmp_path)
    assert "<style>body { color: red }</style>" in page
    assert '<link media="not all" as="style" href="/assets/look.css" rel="preload"/>' in page
    assert '<link href="/assets/look.css" rel="stylesheet" disabled="" type="text/css"/>' in page


def test_modules_start_after_the_first_paint(tmp_path: Path) -> None:
    page = polished(tmp_path)
    assert 'id="boot" data-modules="/assets/a.js">import "/assets/a.js";</script>' in page
    assert 'type="module"' not in page
    assert 'rel="modulepreload"' not in page


def test_nothing_is_painted_before_all_contents_are_parsed(tmp_path: Path) -> None:
    page = polished(tmp_path, "<main>contents</main>")
    assert '<link rel="expect" href="#boot" blocking="render"/><style>' in page
    assert page.index("contents") < page.index('id="boot"')
