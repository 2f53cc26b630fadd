"""The tokens keep the contrast they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flashcur.components.kit import theme

READABLE = 4.5
"""WCAG 2.2, 1.4.3: text of normal size."""


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("text", ["text", "soft", "accent", "up", "down", "wrong"])
@pytest.mark.parametrize("ground", ["ground", "raised", "hover"])
def test_text_is_readable(tokens: dict[str, str], text: str, ground: str) -> None:
    assert contrast(tokens[text], tokens[ground]) >= READABLE


@pytest.mark.parametrize("tokens", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_text_on_the_accent_is_readable(tokens: dict[str, str]) -> None:
    assert contrast(tokens["on-accent"], tokens["accent"]) >= READABLE


@pytest.mark.parametrize("tokens", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_what_is_wrong_has_a_colour_of_its_own(tokens: dict[str, str]) -> None:
    assert list(tokens.values()).count(tokens["wrong"]) == 1
    lines = (Path(theme.__file__).parent / "styles.css").read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if re.match(r"\.\S+ \.error \{ .*color:", line)]
    assert len(said) >= 3
    assert all("color: var(--wrong)" in line for line in said)


def test_both_themes_have_the_same_tokens() -> None:
    assert theme.DARK.keys() == theme.LIGHT.keys()


def test_stylesheet_uses_only_tokens_that_exist() -> None:
    import re

    sheet = theme.stylesheet()
    used = set(re.findall(r"var\(--([a-z-]+)\)", sheet))
    defined = set(re.findall(r"--([a-z-]+)\s*:", sheet))
    assert used <= defined


def test_stylesheet_is_written_once(tmp_path: Path) -> None:
    theme.write_stylesheet(tmp_path)
    first = (tmp_path / "flashcur.css").stat().st_mtime_ns
    theme.write_stylesheet(tmp_path)
    assert (tmp_path / "flashcur.css").stat().st_mtime_ns == first


@pytest.mark.parametrize("path", ["services/notify/email.py", "web/routes/callbacks.py"])
def test_mails_and_pages_without_the_stylesheet_have_the_product_s_colours(path: str) -> None:
    source = (Path(theme.__file__).parents[2] / path).read_text(encoding="utf-8")
    # Grey is readable on white and on black.
    known = {*theme.DARK.values(), *theme.LIGHT.values(), "#808080"}
    found = set(re.findall(r"#[0-9a-f]{3,8}\b", source))
    assert found
    assert found <= known
