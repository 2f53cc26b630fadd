"""The frame of the hosted pages: plain HTML in the product's colours, without any script, light and dark."""

from __future__ import annotations

import html
from typing import Final

DARK: Final = {
    "ground": "#0e1217", "raised": "#151b22", "line": "#222a34", "text": "#dde3ea", "soft": "#929eac",
    "accent": "#e0a83c", "on-accent": "#14110a", "wrong": "#ff8552",
}  # fmt: skip
LIGHT: Final = {
    "ground": "#ffffff", "raised": "#f5f6f8", "line": "#e1e5ea", "text": "#151a20", "soft": "#5a6572",
    "accent": "#8f5c00", "on-accent": "#ffffff", "wrong": "#b23c00",
}  # fmt: skip
"""As in `flashcur/components/kit/theme.py`, which services may not import; a test holds them together."""

LABEL: Final = "Sandbox: no money moves"
"""On every page."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every page."""

_RULES: Final = """
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.label { margin: 0; padding: 8px 16px; background: var(--accent); color: var(--on-accent); font-weight: 650;
  text-align: center; }
main { max-width: 520px; margin: 0 auto; padding: 24px 16px 48px; display: grid; gap: 20px; }
h1 { margin: 0; font-size: 22px; letter-spacing: -.01em; }
h2 { margin: 0 0 8px; font-size: 16px; }
p { margin: 0; }
.soft { color: var(--soft); }
.whole { white-space: nowrap; }
.brand { font-weight: 650; }
.brand b { color: var(--accent); font-weight: inherit; }
section { padding: 16px; background: var(--raised); border: 1px solid var(--line); border-radius: 8px;
  display: grid; gap: 12px; }
dl { display: grid; grid-template-columns: 1fr auto; gap: 6px 16px; margin: 0; }
dd { margin: 0; text-align: right; }
.sum { font-weight: 650; border-top: 1px solid var(--line); padding-top: 6px; }
form { display: grid; gap: 12px; }
label { display: grid; gap: 4px; color: var(--soft); }
input, select { width: 100%; min-height: 44px; padding: 0 12px; font: inherit; color: var(--text);
  background: var(--ground); border: 1px solid var(--line); border-radius: 6px; }
button, .button { display: block; width: 100%; min-height: 44px; padding: 10px 16px; font: inherit; font-weight: 600;
  border: 0; border-radius: 6px; background: var(--accent); color: var(--on-accent); cursor: pointer;
  text-align: center; text-decoration: none; }
button.plain, .button.plain { background: none; color: var(--text); box-shadow: inset 0 0 0 1px var(--line); }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.wrong { color: var(--wrong); font-weight: 600; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 6px 8px 6px 0; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 400; }
td { border-top: 1px solid var(--line); }
th, td:not(:first-child) { white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; text-align: right; }
"""


def document(title: str, body: str) -> str:
    """A whole page; `body` is HTML."""
    light = "".join(f"--{name}: {value};" for name, value in LIGHT.items())
    dark = "".join(f"--{name}: {value};" for name, value in DARK.items())
    style = (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{_RULES}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{html.escape(title)} – {LABEL}</title><style>{style}</style></head>\n"
        f'<body><p class="label" role="note">{LABEL}</p><main><p class="brand">Flash<b>Cur</b></p>'
        f"<h1>{html.escape(title)}</h1>{body}</main></body></html>\n"
    )
