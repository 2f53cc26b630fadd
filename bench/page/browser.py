"""One cold load of a page in Chromium, and what a page costs while it is open."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from bench.process import ProgramFailed

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_ALL_ROWS = 450
"""From here on the table is complete: the exchange lists some 500 contracts, now and then one less."""

_REST_S = 0.5
_SETTLE_MS = 1000
"""A new window loads pages of the browser's own beside the first one; who follows a link has opened it long before."""

# `price`: the first frame in which a price cell holds a digit has been painted; two animation frames later is after it.
_WATCH = """
window.__bench = {shift: 0};
new MutationObserver(() => {
  const seen = window.__bench;
  if (seen.begun === undefined) {
    const cell = document.querySelector('tr[data-symbol] [data-col="price"]');
    if (cell && /[0-9]/.test(cell.textContent)) {
      seen.begun = performance.now();
      requestAnimationFrame(() => requestAnimationFrame(() => { seen.price = performance.now(); }));
    }
  }
  if (seen.rows === undefined && document.querySelectorAll('tr[data-symbol]').length >= ALL_ROWS) {
    seen.rows = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(() => { seen.live = performance.now(); }));
  }
}).observe(document, {subtree: true, childList: true, characterData: true});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.__bench.shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});
""".replace("ALL_ROWS", str(_ALL_ROWS))


@dataclass(frozen=True, slots=True)
class Device:
    """A screen and how much slower its processor is."""

    width: int
    height: int
    slowdown: int = 1


DESKTOP = Device(1280, 800)
PHONE = Device(390, 844, slowdown=4)


@dataclass(frozen=True, slots=True)
class Load:
    """One load; times in ms from the start of the navigation."""

    paint_ms: float
    """First contentful paint."""
    price_ms: float
    """First price painted; 0 where the page has none."""
    live_ms: float
    """All rows painted; 0 where the page has none."""
    kb: float
    """Transferred over HTTP, headers and bodies, as compressed, in 1,000 bytes."""
    layout_shift: float


def chromium() -> dict[str, Any]:
    """What `launch` needs to start the installed browser."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise ProgramFailed("expected chromium on the PATH (Debian: apt install chromium)")
    return {"executable_path": program, "args": list(_FLAGS)}


def load(browser: Browser, address: str, device: Device, *, origin: str, prices: bool = True) -> Load:
    """Load a page in a fresh profile, as people come to it: from a page of another site (`origin`).

    `prices`: wait until its table is live.
    """
    context, page, session = _open(browser, device)
    try:
        received = 0.0

        def count(event: dict[str, Any]) -> None:
            nonlocal received
            received += event["encodedDataLength"]

        session.send("Network.enable")
        session.on("Network.loadingFinished", count)
        page.goto(origin)
        page.wait_for_timeout(_SETTLE_MS)
        received = 0.0
        page.add_init_script(_WATCH)
        page.goto(address)
        _until(page, "performance.getEntriesByName('first-contentful-paint').length > 0", 20)
        if prices:
            _until(page, "window.__bench.live !== undefined", 30)
        page.wait_for_load_state("networkidle")
        # Long enough for a late shift to happen.
        page.wait_for_timeout(300)
        seen: dict[str, float] = page.evaluate(
            "({...window.__bench, paint: performance.getEntriesByName('first-contentful-paint')[0].startTime})"
        )
        paint = seen["paint"]
        # A price that is in the page from the start is seen with the first paint, not before it.
        price = max(paint, seen["price"]) if "price" in seen else 0.0
        return Load(paint, price, seen.get("live", 0.0), received / 1000, seen["shift"])
    finally:
        context.close()
        # The old page's processes end in the background; the next load must not pay for it.
        time.sleep(_REST_S)


def main_thread_ms(browser: Browser, address: str, device: Device, seconds: float) -> float:
    """Milliseconds of main-thread work a second while the live table is left alone."""
    context, page, session = _open(browser, device)
    try:
        session.send("Performance.enable")
        page.goto(address)
        _until(page, f"document.querySelectorAll('tr[data-symbol]').length >= {_ALL_ROWS}", 60)
        page.wait_for_timeout(3_000)
        before, started = _task_s(session), time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        return (_task_s(session) - before) / (time.monotonic() - started) * 1000
    finally:
        context.close()


def _until(page: Page, condition: str, within_s: float) -> None:
    """Wait for a condition. Playwright's own waiting is an `eval` in the page, which its policy forbids."""
    deadline = time.monotonic() + within_s
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise ProgramFailed(f"expected {condition} within {within_s:g} s")
        page.wait_for_timeout(20)


def _open(browser: Browser, device: Device) -> tuple[BrowserContext, Page, CDPSession]:
    context = browser.new_context(viewport={"width": device.width, "height": device.height})
    page = context.new_page()
    session = context.new_cdp_session(page)
    if device.slowdown > 1:
        session.send("Emulation.setCPUThrottlingRate", {"rate": device.slowdown})
    return context, page, session


def _task_s(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
