"""What moved on a page while it loaded."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

_SCRIPT = """
window.shifts = [];
const place = ({x, y, width, height}) => [x, y, width, height].map(Math.round).join(' ');
const told = ({node, previousRect, currentRect}) =>
    `${(node?.outerHTML ?? node?.parentElement?.outerHTML ?? 'gone').slice(0, 150)}: `
    + `${place(previousRect)} -> ${place(currentRect)}`;
new PerformanceObserver(list => {
    for (const {value, startTime, sources} of list.getEntries()) {
        // A signal that comes just now stands above the others in its list.
        if (sources.length && sources.every(({node}) => node?.closest?.('[data-testid="signals"]'))) continue;
        window.shifts.push([value, `at ${Math.round(startTime)} ms`, ...sources.map(told)]);
    }
}).observe({type: 'layout-shift', buffered: true});
"""


def watch_shifts(page: Page) -> None:
    """Have a page note what moves on it, from its next load on."""
    page.add_init_script(_SCRIPT)


def shift(page: Page) -> tuple[float, list[Any]]:
    """How much moved, as Chromium counts it, and what: for each shift its size, its time, its elements and where they
    were and are."""
    shifts: list[list[Any]] = page.evaluate("window.shifts")
    return sum(value for value, *_ in shifts), shifts
