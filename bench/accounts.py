"""Signing in: how long it takes, one at a time and fifty at once, and what everybody else's frames notice of it.

FlashCur is its production server on demo data, with SQLite; accounts are put into its database before. The peer
(`bench.accounts_peer`) hashes inside its async handler, as the usual sketch does, and sends a message a second to as
many sockets. Rest and volleys take turns, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from argon2 import PasswordHasher
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import delete

from bench.accounts_peer import PASSWORD
from bench.options import Options
from bench.page.browser import DESKTOP, chromium
from bench.process import Program, ProgramFailed, free_port
from bench.report import Cell, Table, median, quantile
from bench.serving import production_server
from flashcur.models import Account, RateLimit
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

_AT_ONCE = 50
_SOCKETS = 200
_PAUSE_S = 0.5
"""Between two volleys."""
_ALL_ROWS = 450
"""From here on the live table is complete; a guest's has 50."""
_WARM = 3
"""Sign-ins that are not counted: the first import what they need."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server did with the sign-ins; times in milliseconds."""

    single: list[float]
    volleys: list[list[float]]
    """Times from the volley's start, for each volley."""
    rest: list[dict[str, Any]]
    """What the load client saw at rest, for each window."""
    busy: list[dict[str, Any]]
    """The same under volleys."""

    def at_once(self) -> tuple[float, float]:
        """The median volley's median sign-in, and its last."""
        return median([median(times) for times in self.volleys]), median([max(times) for times in self.volleys])

    def of(self, name: str, windows: list[dict[str, Any]]) -> float | None:
        """The windows' median; None where none had a frame to judge."""
        values = [window[name] for window in windows if window[name] is not None]
        return median(values) if values else None

    def added(self, name: str) -> str | None:
        """By how much a time grew under volleys: the median of the pairs' differences."""
        grown = self.growth(name)
        return f"{median(grown):+,.0f}" if grown else None

    def growth(self, name: str) -> list[float]:
        """By how much a time grew under volleys, for each pair of windows that had frames to judge."""
        pairs = [(rest[name], busy[name]) for rest, busy in zip(self.rest, self.busy, strict=True)]
        return [busy - rest for rest, busy in pairs if busy is not None and rest is not None]


def run(options: Options) -> Table:
    """Measure; times in milliseconds."""
    singles, windows, seconds, visits = (10, 1, 8.0, 3) if options.quick else (60, 3, 20.0, 10)
    with (
        tempfile.TemporaryDirectory() as name,
        production_server(Path(name), FLASHCUR_DEV_AUDIENCE="elite") as (_, port),
    ):
        accounts = Accounts(Path(name))
        try:
            addresses = accounts.make(max(singles + _WARM, _AT_ONCE))
            origin = f"http://localhost:{port}"
            ours = _measure(origin, "flashcur", port, addresses, singles, windows, seconds, accounts.forget_limits)
            wallets = asyncio.run(_wallets(origin, singles, accounts.forget_limits))
            accounts.forget_limits()
            clicks = _clicks(origin, addresses, visits)
        finally:
            accounts.close()
    port = free_port()
    with Program([sys.executable, "-m", "bench.accounts_peer", str(port)]) as program:
        program.wait_for_port(port)
        origin = f"http://127.0.0.1:{port}"
        peer = _measure(origin, "plain", port, addresses, singles, windows, seconds, lambda: None)
    return _table(ours, peer, wallets, clicks, seconds)


def _table(ours: Served, peer: Served, wallets: list[float], clicks: list[float], seconds: float) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("one by password, p50 ms", median(ours.single), median(peer.single)),
        ("one by password, p99 ms", quantile(ours.single, 0.99), quantile(peer.single, 0.99)),
        ("one by wallet, p50 ms", median(wallets), None),
        ("one by wallet, p99 ms", quantile(wallets, 0.99), None),
        (f"{_AT_ONCE} at once by password, p50 ms", *(served.at_once()[0] for served in (ours, peer))),
        (f"{_AT_ONCE} at once by password, the last ms", *(served.at_once()[1] for served in (ours, peer))),
    ]
    for title, key in (("p50", "p50_ms"), ("p99", "p99_ms"), ("max", "max_ms"), ("longest wait", "gap_ms")):
        rows += [
            (f"frames to {_SOCKETS} others at rest, {title} ms", *(s.of(key, s.rest) for s in (ours, peer))),
            (f"frames meanwhile, {title} ms", *(s.of(key, s.busy) for s in (ours, peer))),
        ]
    rows += [
        (f"added to the others' frames, {title} ms", *(served.added(key) for served in (ours, peer)))
        for title, key in (("p99", "p99_ms"), ("max", "max_ms"), ("longest wait", "gap_ms"))
    ]
    rows.append(("click on “Sign in” to the live table, ms", median(clicks), None))
    return Table(
        "accounts",
        ("signing in", "**FlashCur**", "Starlette, argon2 in the handler"),
        tuple(rows),
        (
            f"{len(ours.single)} sign-ins of each kind, one after the other, each of another account; a wallet's is "
            "challenge and verification, without the time that signing takes.",
            f"Frames: medians of {len(ours.rest)} pairs of windows of {seconds:.0f} s, at rest and under "
            f"{len(ours.volleys)} (FlashCur) and {len(peer.volleys)} (peer) volleys, one after the other. A latency "
            "counts from the moment a frame was taken; the longest time without a frame shows what was taken late, "
            "or not at all.",
            f"FlashCur's worst pair: {max(ours.growth('max_ms')):+.0f} ms at max, {max(ours.growth('gap_ms')):+.0f} ms "
            f"in the longest wait; its slowest frame of all came after "
            f"{max(window['max_ms'] for window in ours.busy):.0f} ms.",
            f"Sizes: {_shown_bytes(ours)} a frame on the wire (FlashCur, compressed), {_shown_bytes(peer)} (peer).",
            f"The click: {len(clicks)} browsers of their own, median; fastest {min(clicks):.0f} ms, slowest "
            f"{max(clicks):.0f} ms. It ends when all rows of an Elite account's table and its menu are painted.",
        ),
    )


def _shown_bytes(served: Served) -> str:
    return f"{served.of('bytes_per_frame', served.rest) or 0:,.0f} bytes"


class Accounts:
    """Accounts in the database of the server under measurement."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(
            Settings.load({"FLASHCUR_DATA_DIR": str(folder), "FLASHCUR_SECRET_KEY": "not the server's " * 4})
        )

    def make(self, number: int) -> list[str]:
        """Confirmed Elite accounts; their addresses."""
        # As `services.accounts.passwords` hashes.
        hashed = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
        addresses = [f"visitor{each}@example.com" for each in range(number)]
        with self._database.session() as session:
            session.add_all(
                Account(email=address, password_hash=hashed, plan="elite", created_at=utc_now())
                for address in addresses
            )
        return addresses

    def forget_limits(self) -> None:
        """All measured sign-ins come from one network."""
        with self._database.session() as session:
            session.exec(delete(RateLimit))

    def close(self) -> None:
        self._database.close()


def _measure(
    origin: str,
    dialect: str,
    port: int,
    addresses: list[str],
    singles: int,
    windows: int,
    seconds: float,
    forget_limits: Callable[[], None],
) -> Served:
    single = asyncio.run(_one_by_one(origin, addresses[: singles + _WARM], forget_limits))[_WARM:]
    volleys: list[list[float]] = []
    rest: list[dict[str, Any]] = []
    busy: list[dict[str, Any]] = []
    for _ in range(windows):
        rest.append(_frames(dialect, port, seconds, lambda: None))

        def volley_after_volley() -> None:
            volleys.extend(asyncio.run(_volleys(origin, addresses[:_AT_ONCE], seconds, forget_limits)))

        busy.append(_frames(dialect, port, seconds, volley_after_volley))
    return Served(single, volleys, rest, busy)


def _frames(dialect: str, port: int, seconds: float, meanwhile: Callable[[], None]) -> dict[str, Any]:
    """What so many sockets see of the frames of some seconds."""
    command = [sys.executable, "-m", "bench.sockets.client", "--server", dialect, "--port", str(port)]
    command += ["--sockets", str(_SOCKETS), "--seconds", str(seconds), "--deflate"]
    if dialect == "plain":
        command.remove("--deflate")
    with Program(command, talks=True) as client:
        opened = json.loads(client.hear())
        if opened["open"] < _SOCKETS:
            raise ProgramFailed(f"expected {_SOCKETS} open sockets, was {opened['open']}: {opened['failures']}")
        client.say("listen")
        meanwhile()
        seen: dict[str, Any] = json.loads(client.hear())
    if dialect == "flashcur" and (seen["lost"] or seen["max_ms"] is None):
        raise ProgramFailed(f"expected frames to all sockets, was {seen}")
    return {**seen, "gap_ms": seen["worst_gap_s"] * 1000}


async def _one_by_one(origin: str, addresses: list[str], forget_limits: Callable[[], None]) -> list[float]:
    times: list[float] = []
    async with _browser_like(origin) as session:
        for address in addresses:
            times.append(await _timed(_sign_in(session, origin, address)))
            if len(times) % 50 == 0:
                await asyncio.to_thread(forget_limits)
    await asyncio.to_thread(forget_limits)
    return times


async def _volleys(
    origin: str, addresses: list[str], seconds: float, forget_limits: Callable[[], None]
) -> list[list[float]]:
    """Volleys one after the other, until so many seconds are nearly over."""
    volleys: list[list[float]] = []
    until = time.monotonic() + seconds - 2
    async with _browser_like(origin) as session:
        while time.monotonic() < until:
            volleys.append(
                list(await asyncio.gather(*(_timed(_sign_in(session, origin, address)) for address in addresses)))
            )
            await asyncio.to_thread(forget_limits)
            await asyncio.sleep(_PAUSE_S)
    return volleys


async def _wallets(origin: str, number: int, forget_limits: Callable[[], None]) -> list[float]:
    """Sign-ins by wallets with keys of their own: the time until the text is there, and from the signature on."""
    times: list[float] = []
    for count in range(number + _WARM):
        wallet = EthAccount.create()
        asked = {"address": wallet.address, "chain_id": 1, "purpose": "sign-in"}
        async with _browser_like(origin, cookies=True) as session:
            started = time.perf_counter()
            challenge = await _post(session, f"{origin}/auth/wallet/challenge", asked)
            took = time.perf_counter() - started
            signature = wallet.sign_message(encode_defunct(text=challenge["text"])).signature.hex()
            answer = {**asked, "nonce": challenge["nonce"], "signature": f"0x{signature}"}
            started = time.perf_counter()
            await _post(session, f"{origin}/auth/wallet/verify", answer)
            times.append((took + time.perf_counter() - started) * 1000)
        if count % 15 == 0:
            await asyncio.to_thread(forget_limits)
    return times[_WARM:]


def _browser_like(origin: str, *, cookies: bool = False) -> aiohttp.ClientSession:
    """Every sign-in is somebody else's: a connection of its own, and no cookies from before."""
    return aiohttp.ClientSession(
        headers={"Origin": origin, "Accept": "application/json"},
        cookie_jar=aiohttp.CookieJar() if cookies else aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
    )


async def _sign_in(session: aiohttp.ClientSession, origin: str, address: str) -> None:
    await _post(session, f"{origin}/auth/sign-in", {"email": address, "password": PASSWORD})


async def _post(session: aiohttp.ClientSession, url: str, fields: dict[str, Any]) -> dict[str, Any]:
    async with session.post(url, json=fields) as answer:
        body = await answer.text()
        if answer.status != 200:
            raise ProgramFailed(f"{url}: {answer.status} {body[:300]}")
        return json.loads(body)


async def _timed(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


# The click's time goes along to the next page. Two animation frames after the last row and the menu, they are painted.
_WATCH = """
const now = () => performance.timeOrigin + performance.now();
addEventListener("click", (event) => {
  if (event.target.closest("form[data-form=sign-in] button")) sessionStorage.setItem("clicked", now());
}, true);
new MutationObserver((_, observer) => {
  const there = location.pathname === "/"
    && document.querySelectorAll("tr[data-symbol]").length >= ALL_ROWS
    && document.querySelector("[data-plan=elite] .avatar")
    && document.querySelector("[data-testid=feed-status][data-state=live]");
  if (!there) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.usable = now() - sessionStorage.clicked; }));
}).observe(document, {subtree: true, childList: true, attributes: true});
""".replace("ALL_ROWS", str(_ALL_ROWS))


def _clicks(origin: str, addresses: list[str], times: int) -> list[float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium())
        try:
            # The first one warms the server's and the browser's own caches.
            return [_click(browser, origin, addresses[number]) for number in range(times + 1)][1:]
        finally:
            browser.close()


def _click(browser: Browser, origin: str, address: str) -> float:
    """Milliseconds from the click on the form's button until the dashboard is live, in a profile of its own."""
    context = browser.new_context(viewport={"width": DESKTOP.width, "height": DESKTOP.height})
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(f"{origin}/login")
        _until(page, "document.querySelector('[data-testid=feed-status][data-state=live]') !== null")
        page.fill("form[data-form=sign-in] input[name=email]", address)
        page.fill("form[data-form=sign-in] input[name=password]", PASSWORD)
        page.click("form[data-form=sign-in] button:not([type=button])")
        _until(page, "window.usable !== undefined")
        return float(page.evaluate("window.usable"))
    finally:
        context.close()
        time.sleep(1.0)


def _until(page: Page, condition: str, within_s: float = 30) -> None:
    """Wait for a condition. Playwright's own waiting is an `eval` in the page, which its policy forbids."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if page.evaluate(condition):
                return
        except Exception as error:  # the page gives way to the next one
            if "context was destroyed" not in str(error):
                raise
        if time.monotonic() > deadline:
            raise ProgramFailed(f"expected {condition} within {within_s:g} s; the page shows {page.url}")
        page.wait_for_timeout(20)
