"""The production page in a browser: when it paints, when prices show, what it weighs, and what it costs while it lives.

FlashCur's page, copies of it with something taken away, a page with one word and an empty Reflex page are loaded in
turn, each time in a new browser profile without a cache, coming from another site. Then the live table of 500 rows is
left alone for a while, at a desktop's size and at a phone's with a processor a quarter as fast.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.options import Options
from bench.page.browser import DESKTOP, PHONE, Load, chromium, load, main_thread_ms
from bench.page.copies import served_copies
from bench.page.empty_app import empty_page
from bench.report import Cell, Table, median, ratio
from bench.serving import production_server


def run(options: Options) -> Table:
    """Measure; times in milliseconds from the start of the navigation."""
    times, seconds = (3, 5.0) if options.quick else (20, 15.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        production_server(Path(folder)) as (_, port),
        empty_page() as empty,
        sync_playwright() as playwright,
    ):
        address = f"http://localhost:{port}/"
        browser = playwright.chromium.launch(**chromium())
        try:
            with served_copies(address) as (parts, origin):
                loads = _in_turn(browser, {"page": address, **parts, "empty": empty}, origin, times)
                phones = [
                    (
                        load(browser, address, PHONE, origin=origin),
                        load(browser, parts["word"], PHONE, origin=origin, prices=False),
                    )
                    for _ in range(max(3, times // 4))
                ]
            phone, phone_word = [one for one, _ in phones], [one for _, one in phones]
            live = main_thread_ms(browser, address, DESKTOP, seconds)
            live_phone = main_thread_ms(browser, address, PHONE, seconds)
        finally:
            browser.close()
    ours, plain, bare = loads["page"], loads["stripped"], loads["empty"]
    fcp, first, table = (_median(ours, name) for name in ("paint_ms", "price_ms", "live_ms"))
    fcp_plain, fcp_bare = _median(plain, "paint_ms"), _median(bare, "paint_ms")
    fcp_word, fcp_phone, fcp_phone_word = (_median(of, "paint_ms") for of in (loads["word"], phone, phone_word))
    weight, weight_bare = _median(ours, "kb"), _median(bare, "kb")
    shift = max(one.layout_shift for one in [*ours, *phone])
    rows: list[tuple[Cell, ...]] = [
        (
            "first contentful paint, ms",
            fcp,
            f"same HTML without scripts: {fcp_plain:.0f}",
            _over(median([a.paint_ms - b.paint_ms for a, b in zip(ours, plain, strict=True)])),
        ),
        ("", None, f"a page with one word: {fcp_word:.0f}", ratio(fcp, fcp_word)),
        ("", None, f"empty Reflex page: {fcp_bare:.0f}", ratio(fcp, fcp_bare)),
        *(_without(name, loads) for name in ("no rows", "no style", "neither")),
        ("first price painted, ms", first, None, None),
        ("live table complete, 500 rows, ms", table, None, None),
        ("transferred, kB", weight, f"empty Reflex page: {weight_bare:.0f}", _over(weight - weight_bare, "kB")),
        ("cumulative layout shift, worst", f"{shift:.4f}", None, None),
        ("main thread at 1 Hz, ms a second", live, None, None),
        (
            "phone, CPU ÷ 4: first contentful paint, ms",
            fcp_phone,
            f"a page with one word: {fcp_phone_word:.0f}",
            ratio(fcp_phone, fcp_phone_word),
        ),
        ("phone, CPU ÷ 4: first price painted, ms", _median(phone, "price_ms"), None, None),
        ("phone, CPU ÷ 4: main thread at 1 Hz, ms a second", live_phone, None, None),
    ]
    best = {name: min(one.paint_ms for one in of) for name, of in loads.items()}
    return Table(
        "page",
        ("production page, localhost", "FlashCur", "beside", "difference"),
        tuple(rows),
        (
            f"Median of {times} cold loads each, in turn; the paint over the HTML alone is the median of the pairs. "
            f"The phone's are medians of {len(phone)}.",
            f"Fastest first contentful paint: FlashCur {best['page']:.0f} ms, HTML without scripts "
            f"{best['stripped']:.0f} ms, empty Reflex page {best['empty']:.0f} ms.",
        ),
    )


def _in_turn(browser: Browser, addresses: dict[str, str], origin: str, times: int) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in addresses}
    for number in range(times + 1):
        for name, address in addresses.items():
            one = load(browser, address, DESKTOP, origin=origin, prices=name == "page")
            # The first round warms the servers and the browser's own caches of code.
            if number:
                loads[name].append(one)
    return loads


def _without(name: str, loads: dict[str, list[Load]]) -> tuple[Cell, ...]:
    """How much sooner the page without scripts paints when something else is taken away too."""
    saved = median([a.paint_ms - b.paint_ms for a, b in zip(loads["stripped"], loads[name], strict=True)])
    what = {"no rows": "its rows", "no style": "its style", "neither": "both"}[name]
    return ("", None, f"without scripts and without {what}: {_median(loads[name], 'paint_ms'):.0f}", _over(-saved))


def _median(loads: list[Load], name: str) -> float:
    return median([getattr(one, name) for one in loads])


def _over(difference: float, unit: str = "ms") -> str:
    return f"{difference:+.0f} {unit}"
