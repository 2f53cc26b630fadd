"""Signals for programs: lists by any filter, page by page, and one with all that is known of it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar, cast

import orjson
from sqlmodel import Session, col, select
from starlette.requests import Request
from starlette.responses import Response

from flashcur.domain.exports import iso
from flashcur.domain.frames import Frame
from flashcur.domain.plans import last_mark_ms
from flashcur.domain.signals.filters import SignalFilter, WrongFilter
from flashcur.errors import DatabaseError, NotFound, Refusal, SignInNeeded, Throttled, Unavailable
from flashcur.models import SignalOutcome, SignalRecord
from flashcur.services.accounts import watchlists
from flashcur.services.alerts import signals
from flashcur.services.alerts.signals import MOST, PAGE, Cursor
from flashcur.services.kit.budgets import Budgets
from flashcur.web.api.callers import WITHOUT_KEY, WITHOUT_KEY_RATE, ApiCaller, api_caller
from flashcur.web.api.schema import SIGNAL_ID, SIGNAL_PARAMETERS
from flashcur.web.api.signals import signal_json
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import Route, RouteGroup, client_of_request, known_parameters, tagged

T = TypeVar("T")

AT_ONCE = 2
"""Questions of accounts to the database at a time: programs leave threads to those who look at pages."""
GUESTS_AT_ONCE = 1
"""Questions of guests at a time: they have a turn of their own, so that no account waits behind them."""

_GONE = "There is no such signal, or your plan does not show it (any more)."
_LIST_GONE = "This watchlist does not exist, or no longer."


class SignalRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._reading = asyncio.Semaphore(AT_ONCE)
        self._reading_as_guest = asyncio.Semaphore(GUESTS_AT_ONCE)
        self._without_key = Budgets(WITHOUT_KEY, WITHOUT_KEY_RATE)

    async def get_signals(self, request: Request) -> Response:
        """JSON: market-wide signals, the newest first, as many and as early as the caller's plan allows, with why each
        fired, how long it took and what followed. A program sends `Authorization: Bearer` and a key of its account.
        Parameters filter and page: see `/api`."""
        caller = await self._caller(request)
        asked = _asked(known_parameters(request, SIGNAL_PARAMETERS))
        if asked.wanted.list_id and not caller.account_id:
            raise SignInNeeded("list: expected the key of the account that has this watchlist")
        frame, now_ms = self._frame(), self._runtime.clock()

        def work(session: Session) -> dict[str, Any]:
            page = signals.search(
                session,
                caller.plan,
                _with_symbols(session, caller, asked.wanted),
                demo=frame.demo,
                now_ms=now_ms,
                after=asked.after,
                limit=asked.limit,
            )
            return {"signals": _told(session, page.signals), "next": None if page.next is None else str(page.next)}

        return _answer(request, caller, frame, now_ms, await self._read(caller, work))

    async def get_signal(self, request: Request) -> Response:
        """JSON: one signal by its `id`, as the caller's plan allows."""
        caller = await self._caller(request)
        known_parameters(request, ())
        signal_id = _number(request.path_params["id"])
        frame, now_ms = self._frame(), self._runtime.clock()

        def work(session: Session) -> dict[str, Any]:
            found = signals.find(session, caller.plan, signal_id, demo=frame.demo, now_ms=now_ms)
            if found is None:
                raise NotFound(_GONE)
            return {"signal": _told(session, [found])[0]}

        return _answer(request, caller, frame, now_ms, await self._read(caller, work))

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("GET", "/api/v1/signals", get_signals, parameters=SIGNAL_PARAMETERS, answers="Signals"),
        Route("GET", "/api/v1/signals/{id}", get_signal, parameters=(SIGNAL_ID,), answers="OneSignal"),
    )

    def _frame(self) -> Frame:
        """What is shown now: signals of real and of demo data never stand side by side."""
        frame = self._runtime.hub.live
        if frame is None:
            raise Unavailable("no market data yet: the first frame has not arrived", retry_after=1)
        return frame

    async def _caller(self, request: Request) -> ApiCaller:
        """`api_caller`. Raises Throttled, too, where their network has asked too often without a key."""
        if "authorization" not in request.headers:
            network = client_of_request(request, self._runtime.settings.proxy_hops).network
            # Before anything is asked: whoever sends made-up sessions has them looked up.
            if not self._without_key.take(network, time.monotonic()):
                raise Throttled("Too many requests without a key from your network: wait a moment.", retry_after=1.0)
        return await api_caller(self._runtime, request)

    async def _read(self, caller: ApiCaller, work: Callable[[Session], T]) -> T:
        database = self._runtime.database
        try:
            if database is None or not self._runtime.database_ready.is_set():
                raise DatabaseError
            async with self._reading if caller.account_id else self._reading_as_guest:
                return await database.run(work, readonly=True)
        except DatabaseError:
            raise Unavailable("Signals cannot be read at this moment: try again in a few seconds.") from None


@dataclass(frozen=True, slots=True)
class _Asked:
    wanted: SignalFilter
    limit: int
    after: Cursor | None


def _asked(params: dict[str, str]) -> _Asked:
    """What the parameters ask for. Raises Refusal, which names what is wrong."""
    try:
        wanted = SignalFilter.parse(params, strict=True)
    except WrongFilter as wrong:
        raise Refusal(str(wrong), field=str(wrong).partition(":")[0]) from None
    if params.get("list") and not wanted.list_id:
        raise NotFound(_LIST_GONE, field="list")
    text = params.get("limit") or str(PAGE)
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= limit <= MOST:
        raise Refusal(f"limit: expected a whole number from 1 to {MOST}, was {text[:60]!r}", field="limit")
    after = Cursor.parse(params["cursor"]) if params.get("cursor") else None
    if params.get("cursor") and after is None:
        raise Refusal(f"cursor: expected `next` of the page before, was {params['cursor'][:60]!r}", field="cursor")
    return _Asked(wanted, limit, after)


def _with_symbols(session: Session, caller: ApiCaller, wanted: SignalFilter) -> SignalFilter:
    """The filter with the contracts of its list. Raises NotFound for a list that is not the caller's."""
    if not wanted.list_id:
        return wanted
    for each in watchlists.lists(session, caller.account_id):
        if each.id == wanted.list_id:
            return replace(wanted, symbols=frozenset(each.symbols))
    raise NotFound(_LIST_GONE, field="list")


def _told(session: Session, records: Sequence[SignalRecord]) -> list[dict[str, Any]]:
    ids = [record.id for record in records]
    found = session.exec(select(SignalOutcome).where(col(SignalOutcome.signal_id).in_(ids)))
    outcomes = {outcome.signal_id: outcome for outcome in found}
    return [signal_json(record, outcomes.get(cast("int", record.id))) for record in records]


def _answer(request: Request, caller: ApiCaller, frame: Frame, now_ms: int, found: dict[str, Any]) -> Response:
    as_of_ms = now_ms if caller.plan.live else last_mark_ms(caller.plan.cadence_s, now_ms)
    where = {"exchange": frame.exchange, "demo": frame.demo}
    # The time goes on while nothing happens: it is no part of what has changed.
    digest = hashlib.sha256(orjson.dumps({**where, **found})).hexdigest()[:24]
    return tagged(
        request,
        f'"{caller.audience}-{digest}"',
        lambda: orjson.dumps({**where, "as_of": iso(as_of_ms), **found}),
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFound(_GONE)
    return int(text)
