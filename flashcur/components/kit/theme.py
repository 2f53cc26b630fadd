"""Design tokens: every colour and size of the product. The rules that use them stand in `styles.css` beside this file.

Green and red mean direction and nothing else; the accent marks what can be used and what is unusual, and what is wrong
has a colour of its own. Text has a contrast of at least 4.5:1 on its ground in both themes
(`tests/components/kit/test_theme.py` computes it).
"""

from __future__ import annotations

from pathlib import Path

DARK = {
    "ground": "#0e1217",
    "raised": "#151b22",
    "line": "#222a34",
    "hover": "#1a222b",
    "text": "#dde3ea",
    "soft": "#929eac",
    "accent": "#e0a83c",
    "on-accent": "#14110a",
    "up": "#35b98a",
    "down": "#f0707a",
    "wrong": "#ff8552",
}

LIGHT = {
    "ground": "#ffffff",
    "raised": "#f5f6f8",
    "line": "#e1e5ea",
    "hover": "#eef1f5",
    "text": "#151a20",
    "soft": "#5a6572",
    "accent": "#8f5c00",
    "on-accent": "#ffffff",
    "up": "#087a53",
    "down": "#c4283a",
    "wrong": "#b23c00",
}

SIZES = {
    # One name: each missing family is looked up before the first text is painted.
    "font": "system-ui, sans-serif",
    "text-size": "13px",
    "small": "12px",
    "row": "27px",
    "header": "44px",
    "bar": "40px",
    "gap": "12px",
}


def stylesheet() -> str:
    """The whole stylesheet: tokens, then rules."""
    rules = (Path(__file__).parent / "styles.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            _block(":root", {**SIZES, **DARK}, "color-scheme: dark;"),
            _block(":root.light", LIGHT, "color-scheme: light;"),
            rules,
        ]
    )


def write_stylesheet(assets: Path) -> None:
    """Put the stylesheet where Reflex serves assets from, unless it is there already."""
    target = assets / "flashcur.css"
    text = stylesheet()
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def _block(selector: str, tokens: dict[str, str], extra: str) -> str:
    lines = "".join(f"  --{name}: {value};\n" for name, value in tokens.items())
    return f"{selector} {{\n  {extra}\n{lines}}}\n"
