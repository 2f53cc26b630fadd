"""What makes a built page paint at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashcur.errors import ConfigError
from flashcur.web.page import build
from flashcur.web.page.build import polish, what_failed

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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose builds write one page that says which build it is of."""
    client = tmp_path / ".web" / "build" / "client"
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(build, "WEB", tmp_path / ".web")
    monkeypatch.setattr(build, "CLIENT", client)
    monkeypatch.setattr(build, "_STAMP", tmp_path / ".web" / "stamp")
    built: list[Path] = []

    def make() -> None:
        client.mkdir(parents=True, exist_ok=True)
        built.append(client)
        (client / "index.html").write_text(f"build {len(built)}")

    monkeypatch.setattr(build, "build", make)
    monkeypatch.setattr(build, "_serving", [])
    yield client
    stop_serving()


def stop_serving() -> None:
    """As the end of the processes would."""
    while build._serving:
        os.close(build._serving.pop())


def test_a_build_is_made_once_for_the_same_addresses(folder: Path) -> None:
    assert [build.ensure_built(where) for where in ("one", "one")] == [True, False]
    assert (folder / "index.html").read_text() == "build 1"


def test_a_build_that_failed_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.ensure_built("one")
    stop_serving()

    def fail() -> None:
        (folder / "index.html").unlink()
        raise ConfigError("the frontend could not be built")

    with monkeypatch.context() as patch:
        patch.setattr(build, "build", fail)
        with pytest.raises(ConfigError):
            build.ensure_built("two")
    # The sources are again what they were: the files are not.
    assert build.ensure_built("one")
    assert (folder / "index.html").read_text() == "build 2"


def test_nobody_takes_the_pages_away_from_who_serves_them(folder: Path) -> None:
    build.ensure_built("one")
    with pytest.raises(ConfigError, match="another process serves pages from this folder"):
        build.ensure_built("two")
    assert (folder / "index.html").read_text() == "build 1"
    assert not build.ensure_built("one")
    stop_serving()
    assert build.ensure_built("two")


def test_a_failed_build_names_the_file_and_not_the_tools_stack() -> None:
    said = what_failed(
        "Compiling: 100% 36/35\n✓ 234 modules transformed.\n✗ Build failed in 1.04s\nBuild failed with 1 error:\n\n"
        "\x1b[31m[builtin:vite-transform] \x1b[0mUnexpected token\n    ╭─[ public/browser/ages.ts:38:19 ]\n"
        " 38 │ export const x = (;\n\n    at aggregateBindingErrorsIntoJsError (file:///x/error.mjs:50:18)\n  errors"
    )
    assert said.splitlines() == [
        "Build failed with 1 error:",
        "[builtin:vite-transform] Unexpected token",
        "    ╭─[ public/browser/ages.ts:38:19 ]",
        " 38 │ export const x = (;",
    ]


def test_what_fails_before_the_bundler_is_told_by_its_last_lines() -> None:
    assert what_failed("\n".join(map(str, range(40)))).splitlines() == [str(number) for number in range(25, 40)]
