"""Files: the table, watchlists and an account's data out, watchlists in. Made and gated here, as the plan allows.

The table's file has the rows and the order of the view that the address names, in the same words as the page's own
address (`domain.view`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from flashcur.domain import exports, import_texts
from flashcur.domain.frames import Frame
from flashcur.domain.plans import ExportFormat, Plan, least_plan
from flashcur.domain.view import View, select
from flashcur.domain.watchlists import IMPORT_BYTES, TOO_LARGE, ListView, parse_import
from flashcur.errors import NotFound, PlanNeeded, Refusal, SignInNeeded, Unavailable
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.view import AccountView
from flashcur.services.accounts.wiring import Accounts
from flashcur.services.kit.clock import utc_now
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import (
    JSON,
    MAX_UPLOAD,
    Foreign,
    Route,
    RouteGroup,
    client_of_request,
    cookie_header,
    from_our_pages,
    json_answer,
    read_fields,
    text,
    wants_json,
)
from flashcur.web.visitors import Visitor

_KINDS = {"tradingview": "TradingView lists", "csv": "CSV files", "json": "JSON files"}
_TYPES = {
    "tradingview": ("txt", "text/plain; charset=utf-8"),
    "csv": ("csv", "text/csv; charset=utf-8"),
    "json": ("json", JSON),
}


class ExportRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._making = asyncio.Lock()

    async def table_text(self, request: Request) -> Response:
        """The table as a TradingView list, in the order and with the filters that the query names (`q`, `sort`, `dir`,
        `min`, `show`, `assets`, `list`); as JSON (`text`, `said`) where that is asked for."""
        return await self._markets(request, "tradingview")

    async def table_csv(self, request: Request) -> Response:
        """The same as CSV."""
        return await self._markets(request, "csv")

    async def table_json(self, request: Request) -> Response:
        """The same as JSON."""
        return await self._markets(request, "json")

    async def watchlists_text(self, request: Request) -> Response:
        """All watchlists, or the one that `list` names, as a TradingView list with a `###` header each."""
        visitor, account = await self._account(request)
        plan = self._runtime.visitors.plan(visitor)
        _require(plan, "tradingview")
        wanted = [_find(account, request.query_params["list"])] if "list" in request.query_params else account.lists
        room, sections = plan.export_rows, list[tuple[str | None, Sequence[str]]]()
        for each in wanted:
            symbols = each.symbols if room is None else each.symbols[:room]
            room = None if room is None else room - len(symbols)
            sections.append((each.name, symbols))
        body = exports.tradingview_text(sections, self._frame(visitor).exchange)
        return _copied(body, sections) if wants_json(request) else _file(body.encode(), "tradingview", "tradingview")

    async def account_json(self, request: Request) -> Response:
        """All that is kept about the caller's account, as JSON."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise Refusal("This file can be asked for from FlashCur's own pages only.")
        accounts, caller = await self._caller(request)
        document = await accounts.profile.export(caller)
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
        return _file(body, "json", "account")

    async def import_watchlists(self, request: Request) -> Response:
        """Take in a file of watchlists (`file`, or else `text`; `list`: the list it goes into, without it each section
        becomes one; `keep`: symbols that are not traded here now are taken, too)."""
        if not from_our_pages(request, self._runtime.where.allowed_origins):
            raise Foreign
        accounts, caller = await self._caller(request)
        fields = await read_fields(request, MAX_UPLOAD, TOO_LARGE)
        content, list_id, keep = _content(fields), text(fields, "list", 64), bool(text(fields, "keep", 8))
        live = self._runtime.hub.live
        if live is None:
            raise Unavailable("The contracts are not known yet: try again in a few seconds.")
        try:
            async with self._making:
                parsed = await run_in_threadpool(parse_import, content, live.values("symbol"), keep_unknown=keep)
        except ValueError as problem:
            raise Refusal(str(problem), field="text") from None
        result = await accounts.watchlists.take_in(caller, parsed, list_id)
        return json_answer(
            {
                "ok": True,
                "created": result.created,
                "added": result.added,
                "already": result.already,
                "left_out": len(result.left_out),
                "sent": "imported",
                "said": import_texts.taken_in(
                    result.created,
                    result.added,
                    result.already,
                    len(result.left_out),
                    first=result.first,
                ),
                "message": result.message,
                "notes": import_texts.notes(parsed),
                "unknown": import_texts.unknown_text(parsed),
                "keep": import_texts.keep_label(parsed),
                "list": list_id,
            }
        )

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("GET", "/export/markets.txt", table_text, "account"),
        Route("GET", "/export/markets.csv", table_csv, "account"),
        Route("GET", "/export/markets.json", table_json, "account"),
        Route("GET", "/export/watchlists.txt", watchlists_text, "account"),
        Route("GET", "/export/account.json", account_json, "account"),
        Route("POST", "/import/watchlists", import_watchlists, "account"),
    )

    async def _markets(self, request: Request, kind: ExportFormat) -> Response:
        visitor, account = await self._account(request)
        plan = self._runtime.visitors.plan(visitor)
        _require(plan, kind)
        frame = self._frame(visitor)
        listed = request.query_params.get("list", "")
        view = View.parse(request.query_params, frozenset(_find(account, listed).symbols) if listed else None)

        def make() -> bytes | Response:
            rows = select(frame, view)[: plan.export_rows]
            if kind == "csv":
                return exports.markets_csv(frame, rows, plan.open_interest).encode()
            if kind == "json":
                return exports.markets_json(frame, rows, plan.open_interest, utc_now())
            symbols = frame.values("symbol")
            sections = [(None, [symbols[i] for i in rows])]
            made = exports.tradingview_text(sections, frame.exchange)
            return _copied(made, sections) if wants_json(request) else made.encode()

        # One at a time: a file takes some milliseconds of processor, which the frames need.
        async with self._making:
            body = await run_in_threadpool(make)
        if isinstance(body, Response):
            return body
        return _file(body, kind, "tradingview" if kind == "tradingview" else "markets")

    async def _caller(self, request: Request) -> tuple[Accounts, Caller]:
        """The services, and who asks them to do something."""
        visitor, _ = await self._account(request)
        caller = visitor.caller(client_of_request(request, self._runtime.settings.proxy_hops))
        if self._runtime.accounts is None or caller is None:
            raise Unavailable
        return self._runtime.accounts, caller

    async def _account(self, request: Request) -> tuple[Visitor, AccountView]:
        visitor = await self._runtime.visitors.identify(cookie_header(request.scope), anew=True)
        if visitor.unsure:
            raise Unavailable("Accounts cannot be reached at this moment: try again in a few seconds.")
        if visitor.account is None:
            raise SignInNeeded("Sign in to export: exports come with every account, also the free one.")
        if self._runtime.accounts is None:
            raise Unavailable
        await self._runtime.accounts.profile.charge_files(visitor.account.id)
        return visitor, visitor.account

    def _frame(self, visitor: Visitor) -> Frame:
        frame = self._runtime.hub.table(self._runtime.visitors.audience(visitor))
        if frame is None:
            raise Unavailable("There is no market data yet: try again in a few seconds.")
        return frame


def _require(plan: Plan, kind: ExportFormat) -> None:
    if kind not in plan.exports:
        raise PlanNeeded(f"{plan.title} does not export {_KINDS[kind]}: {least_plan('exports', kind).title} does.")


def _find(account: AccountView, list_id: str) -> ListView:
    for each in account.lists:
        if each.id == list_id:
            return each
    raise NotFound("This watchlist does not exist, or no longer.", field="list")


def _file(body: bytes, kind: str, name: str) -> Response:
    extension, media = _TYPES[kind]
    headers = {
        "Content-Disposition": f'attachment; filename="{exports.filename(name, utc_now(), extension)}"',
        "Cache-Control": "no-store",
    }
    return Response(body, 200, headers, media)


def _copied(body: str, sections: Sequence[tuple[str | None, Sequence[str]]]) -> Response:
    """The same list for the clipboard, and what to say of it. Raises Refusal where it is empty."""
    count = sum(len(symbols) for _, symbols in sections)
    if count == 0:
        raise Refusal("There is no contract to copy.")
    contracts = f"{count:,} contract{'' if count == 1 else 's'}"
    return json_answer(
        {"ok": True, "text": body, "said": f"Copied {contracts}: paste them into TradingView or anywhere else."}
    )


def _content(fields: dict[str, Any]) -> str:
    """The text of the file that was chosen, or else the text that was pasted. Raises Refusal where there is none."""
    chosen = fields.get("file")
    if chosen is None:
        # A form's lines end as Windows's do, whatever was pasted.
        content = text(fields, "text", MAX_UPLOAD).replace("\r\n", "\n")
    elif isinstance(chosen, bytes):
        if len(chosen) > IMPORT_BYTES:
            raise Refusal(TOO_LARGE, field="file")
        try:
            content = import_texts.file_text(chosen)
        except ValueError as problem:
            raise Refusal(str(problem), field="file") from None
    else:
        raise Refusal("file: expected a file", field="file")
    if "\0" in content:
        raise Refusal(import_texts.NO_TEXT, field="file")
    if not content.removeprefix("\ufeff").strip():
        raise Refusal("The file is empty." if chosen is not None else "Choose a file, or paste its text.", field="text")
    return content
