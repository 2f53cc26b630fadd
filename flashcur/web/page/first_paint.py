"""The dashboard's HTML with the newest prices already in it, so that they are there at the first paint.

The built page has two empty places, `#first-rows` and `#first-status`. Before it is sent they are filled from the
newest frame the visitor may see; once the page's own state arrives, React puts the live table in their place. The
markup is that of `components/market/market_table.py` (`tests/pages/test_dashboard.py` compares the two in a browser).
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from flashcur.domain.assets import assets_of, mark
from flashcur.domain.frames import FUNDING_ACCENT_PCT, Frame
from flashcur.domain.plans import PLANS, Audience
from flashcur.domain.view import View, select
from flashcur.services.accounts.view import AccountView
from flashcur.web.market_hub import MarketHub
from flashcur.web.routes.base import cookie_header
from flashcur.web.visitors import Visitors

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Callable[[], Awaitable[MutableMapping[str, Any]]], Send], Awaitable[None]]

ROWS = 30
"""Rows that are sent ahead: a laptop's screen. Each ten more delay the first paint by some 10 ms."""

_ROWS_PLACE = '<tbody class="ghost" id="first-rows" role="rowgroup" translate="no"></tbody>'
_TABLE = 'class="market"'
_TABLE_WITHOUT_OI = 'class="market without-oi"'
_STATUS_PLACE = '<span id="first-status"></span>'
_NOTE = '<div class="note"></div>'
_NOTE_OF_MARKS = '<div class="note timed"></div>'
_ASSETS = 'class="least assets absent"'
_ASSETS_THERE = 'class="least assets"'


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody is shown of the table."""

    audience: Audience
    view: View = field(default_factory=View)
    starred: frozenset[str] = frozenset()


def sight(audience: Audience, account: AccountView | None) -> Sight:
    """What an account is shown: the view it kept, and the stars of the list that it shows, or of its first."""
    if account is None or not (account.table_view or account.lists):
        return Sight(audience)
    params = dict(parse_qsl(account.table_view))
    chosen = next((each for each in account.lists if each.id == params.get("list")), None)
    stars = chosen or next(iter(account.lists), None)
    view = View.parse(params, None if chosen is None else frozenset(chosen.symbols))
    return Sight(audience, view, frozenset(stars.symbols) if stars else frozenset())


class FirstPaint:
    """ASGI application around another: answers `GET /` from the built page and the hub, and passes on the rest."""

    def __init__(self, app: AsgiApp, hub: MarketHub, page: Path, visitors: Visitors) -> None:
        self._app = app
        self._hub = hub
        self._visitors = visitors
        self._page = page
        self._template: str | None = None
        self._made: dict[tuple[Audience, bool], tuple[int, bytes]] = {}
        """The newest page of those without stars and views of their own."""

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/" and not scope["query_string"]:
            sight = await self._sight(scope)
            frame = self._hub.table(sight.audience)
            template = self._read_template()
            if frame is not None and template is not None:
                await self._answer(scope, send, sight, frame, template)
                return
        await self._app(scope, receive, send)

    async def _sight(self, scope: Scope) -> Sight:
        visitor = await self._visitors.identify(cookie_header(scope))
        return sight(self._visitors.audience(visitor), visitor.account)

    def _read_template(self) -> str | None:
        if self._template is None:
            try:
                page = self._page.read_text(encoding="utf-8")
            except OSError:
                return None
            if _ROWS_PLACE not in page:
                return None
            self._template = page
        return self._template

    async def _answer(self, scope: Scope, send: Send, sight: Sight, frame: Frame, template: str) -> None:
        compressed = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        common = sight == Sight(sight.audience)
        key: tuple[Audience, bool] = (sight.audience, compressed)
        seq, body = self._made.get(key, (-1, b""))
        if seq != frame.seq or not common:
            text = fill(template, frame, sight).encode()
            body = gzip.compress(text, compresslevel=4, mtime=0) if compressed else text
            if common:
                # One page serves everyone who sees the same until the next frame.
                self._made[key] = frame.seq, body
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"Accept-Encoding, Cookie"),
        ]
        if compressed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def fill(template: str, frame: Frame, sight: Sight) -> str:
    """The page with the first rows of a frame in it, as somebody sees it."""
    rows = _ROWS_PLACE.replace("></tbody>", f">{first_rows(frame, sight)}</tbody>")
    status = _STATUS_PLACE.replace("></span>", f">{_status(frame)}</span>")
    page = template.replace(_ROWS_PLACE, rows, 1).replace(_STATUS_PLACE, status, 1)
    # React keeps classes as they are until the state arrives, so the columns, the choice of assets and the line above
    # them, which a phone shows of a table that moves at marks, stand where they will stay.
    if frame.of("tradfi") or sight.view.assets == "tradfi":
        page = page.replace(_ASSETS, _ASSETS_THERE, 1)
    if not PLANS[sight.audience].live:
        page = page.replace(_NOTE, _NOTE_OF_MARKS, 1)
    return page if "oi" in frame.columns else page.replace(_TABLE, _TABLE_WITHOUT_OI, 1)


def first_rows(frame: Frame, sight: Sight) -> str:
    """The first rows in the order that the page will show."""
    columns = {name: frame.values(name) for name in frame.columns}
    rows = ({name: values[i] for name, values in columns.items()} for i in select(frame, sight.view)[:ROWS])
    return "".join(_row(row, starred=row["symbol"] in sight.starred) for row in rows)


def _status(frame: Frame) -> str:
    """The room of the feed's status once the page is alive, so that nothing moves then; see `shell.feed_status`.

    Its word and its time are hidden by the style: numbers that nothing moves yet are not live, and may never be. Of a
    feed that does not live either, only what it is: how it fares by then is for the page to say.
    """
    demo = '<span class="tag">DEMO DATA</span>' if frame.demo else ""
    name = f'<span class="soft name">{escape(frame.title)}</span>'
    if frame.state != "live":
        return demo + name
    clock = datetime.fromtimestamp(frame.as_of_ms // 1000, UTC).strftime("%H:%M:%S")
    return (
        f'{demo}<span class="dot" aria-hidden="true"></span><span class="word">Live</span>{name}'
        f'<span class="soft clock">{clock}</span>'
    )


def _row(row: dict[str, str], *, starred: bool) -> str:
    cells = [
        f'<th scope="row" role="rowheader" data-col="symbol">{_star(row["base"], starred)}{_bell(row["base"])}'
        f"{escape(row['base'])}{_mark(row)}</th>",
        _cell("price", row["price"]),
        _cell("change", row["change"], suffix=" %", look=_direction(row["change"])),
        _cell("volume", row["volume"], prefix="$"),
        _cell("ratio", row["ratio"], suffix="×"),
        _cell("funding", row["funding"], suffix=" %"),
    ]
    if "oi" in row:
        cells.append(_cell("oi", row["oi"], prefix="$"))
        cells.append(_cell("oi1h", row["oi1h"], suffix=" %", look=_direction(row["oi1h"])))
    look = _look(row["funding"], row["spike"], row["fresh"], row.get("asset", ""))
    return f'<tr role="row" class="{look}" data-symbol="{escape(row["symbol"])}">{"".join(cells)}</tr>'


def _star(base: str, starred: bool) -> str:
    pressed = "true" if starred else "false"
    return f'<button type="button" class="star" aria-pressed="{pressed}" aria-label="Watch {escape(base)}"></button>'


def _bell(base: str) -> str:
    return f'<button type="button" class="new-alert" aria-label="New alert for {escape(base)}"></button>'


def _cell(column: str, value: str, *, prefix: str = "", suffix: str = "", look: str = "") -> str:
    text = f"{prefix}{value}{suffix}" if value else "–"
    if column == "ratio":
        text = f"<b>{text}</b>"
    attribute = f' class="{look}"' if look else ""
    return f'<td role="cell" data-col="{column}"{attribute}>{text}</td>'


def _direction(change: str) -> str:
    return {"+": "up", "-": "down"}.get(change[:1], "")


def _mark(row: dict[str, str]) -> str:
    text = mark(row.get("asset", ""), row.get("closed") == "1")
    return f"<small>{text}</small>" if text else ""


def _look(funding: str, spike: str, fresh: str, asset: str) -> str:
    extreme = bool(funding) and abs(float(funding)) >= FUNDING_ACCENT_PCT
    side = ("paid-short" if funding.startswith("-") else "paid-long") if extreme else ""
    rest = "tradfi" if assets_of(asset) == "tradfi" else ""
    return " ".join(word for word in (rest, "fresh" * (fresh == "1"), "spiking" * (spike == "1"), side) if word)
