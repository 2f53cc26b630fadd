"""Where providers say what became of messages, and where people stop them without signing in.

Providers prove who they are by a signature over exactly what they sent; people, by a code that stands in the message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, ClassVar, TypeVar

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from flashcur.errors import DatabaseError, NotFound, Refusal, Unavailable
from flashcur.models import AlertRecord, Delivery
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.notify import sendgrid_events, stops, twilio_events
from flashcur.services.notify.channel import cannot_send
from flashcur.services.notify.email import UNSUBSCRIBE_PATH, read_unsubscribe_token
from flashcur.settings.addresses import routes_origin
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import Route, RouteGroup, read_body, read_fields

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_EVENTS_BYTES = 1_500_000
"""Bytes of a request with SendGrid's events, which sends them from 768 kB on at the latest."""
_NOBODY = "Not for you: the signature of this request is missing, wrong or too old."
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


class Unsigned(Refusal):
    """Not signed by the provider."""

    status = 403


class CallbackRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._sendgrid: sendgrid_events.EventSignatures | None = None
        key = runtime.settings.sendgrid.webhook_public_key
        if key is not None:
            try:
                self._sendgrid = sendgrid_events.EventSignatures(key)
            except ValueError:
                logger.error("SENDGRID_WEBHOOK_PUBLIC_KEY: expected SendGrid's verification key, was something else")

    async def ask_to_unsubscribe(self, request: Request) -> Response:
        """A page with a button that stops alert email to whoever got the message that leads here (`t`). Does nothing
        by itself: mail scanners follow links."""
        token = request.query_params.get("t", "")
        if read_unsubscribe_token(self._runtime.settings.secret_key, token) is None:
            return self._page("This link is not valid", [*_HOW], status=404)
        return self._page(
            "Stop alert email?",
            ["FlashCur will send no more alerts to this address. Email about the account itself still comes."],
            token,
        )

    async def unsubscribe(self, request: Request) -> Response:
        """Stop alert email to whoever got the message that leads here (`t`): the page's button, or a mail program's
        (RFC 8058). No cookie is looked at."""
        named = read_unsubscribe_token(self._runtime.settings.secret_key, request.query_params.get("t", ""))
        if named is None:
            return self._page("This link is not valid", [*_HOW], status=404)
        now_ms = self._runtime.clock()

        def work(session: Session) -> bool:
            delivery = session.get(Delivery, named.delivery_id)
            account_id = delivery.account_id if delivery is not None and named.is_of(delivery) else None
            return account_id is not None and stops.stop_mail(session, account_id, stops.UNSUBSCRIBED, now_ms, None)

        if not await self._run(work):
            # The message is older than what is kept of it, or its account is no longer: the link cannot say whose.
            return self._page("This link is too old", [*_HOW], status=404)
        self._runtime.visitors.poke()
        return self._page("Alert email is stopped", ["Email about the account itself still comes.", *_AGAIN])

    async def sendgrid(self, request: Request) -> Response:
        """SendGrid's signed events: delivered, bounced, dropped, reported as spam, unsubscribed. 404 where
        `SENDGRID_WEBHOOK_PUBLIC_KEY` is not set."""
        if self._sendgrid is None:
            raise NotFound("This site does not take SendGrid’s events yet.")
        body = await read_body(request, MOST_EVENTS_BYTES)
        signature, timestamp = (
            request.headers.get(name, "")
            for name in (sendgrid_events.SIGNATURE_HEADER, sendgrid_events.TIMESTAMP_HEADER)
        )
        if not self._sendgrid.are_right(body, signature, timestamp, time.time()):
            raise Unsigned(_NOBODY)
        try:
            events = sendgrid_events.parse(body)
        except ValueError:
            raise Refusal("expected a JSON list of events") from None
        taken = 0
        for event in events:
            # One by one: what was taken in stays so when a later one fails and all come again.
            taken += await self._run(
                lambda session, event=event: sendgrid_events.take_in(
                    session, event, self._runtime.clock(), self._deliver
                )
            )
        if taken:
            self._runtime.visitors.poke()
        return Response(None, 204)

    async def twilio_status(self, request: Request) -> Response:
        """Twilio's signed word on what became of an SMS (`delivery`: its key). 404 where SMS is not configured."""
        fields = await self._from_twilio(request)
        key = request.query_params.get("delivery", "")[:64]
        if await self._run(
            lambda session: twilio_events.take_status(session, key, fields, self._runtime.clock(), self._deliver)
        ):
            self._runtime.visitors.poke()
        return Response(None, 204)

    async def twilio_inbound(self, request: Request) -> Response:
        """An SMS that somebody sent to this server's number, signed by Twilio: STOP, START or HELP. 404 where SMS is
        not configured."""
        fields = await self._from_twilio(request)
        said = await self._run(
            lambda session: twilio_events.take_answer(session, fields, self._runtime.clock(), self._base, self._deliver)
        )
        self._runtime.visitors.poke()
        inner = f"<Message>{escape(said)}</Message>" if said else ""
        return Response(f"<Response>{inner}</Response>", 200, media_type="text/xml")

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("GET", UNSUBSCRIBE_PATH, ask_to_unsubscribe),
        Route("POST", UNSUBSCRIBE_PATH, unsubscribe),
        Route("POST", "/webhooks/sendgrid", sendgrid),
        Route("POST", "/webhooks/twilio/status", twilio_status),
        Route("POST", "/webhooks/twilio/inbound", twilio_inbound),
    )

    @property
    def _base(self) -> str:
        return self._runtime.where.page

    def _deliver(self, session: Session, alerts: Sequence[AlertRecord], now_ms: int) -> None:
        """Write down where notices go."""
        dispatch(session, alerts, self._runtime.senders, now_ms, self._base)

    async def _from_twilio(self, request: Request) -> dict[str, Any]:
        """The form, once it is sure that Twilio sent it. Raises NotFound and Unsigned."""
        token = self._runtime.settings.twilio.auth_token
        if token is None:
            raise NotFound(cannot_send("sms"))
        fields = await read_fields(request)
        query = request.scope["query_string"].decode("latin-1")
        url = f"{routes_origin(self._runtime.settings)}{request.scope['path']}{f'?{query}' if query else ''}"
        signature = request.headers.get(twilio_events.SIGNATURE_HEADER, "")
        texts = all(isinstance(value, str) for value in fields.values())
        if not texts or not twilio_events.is_twilio(token, url, fields, signature):
            raise Unsigned(_NOBODY)
        return fields

    async def _run(self, work: Callable[[Session], T]) -> T:
        """Do `work` in one transaction. Raises Unavailable while the database is away: providers come again."""
        database = self._runtime.database
        try:
            if database is None or not self._runtime.database_ready.is_set():
                raise DatabaseError
            return await database.run(work)
        except DatabaseError:
            raise Unavailable("This cannot be noted at this moment: try again in a few seconds.") from None

    def _page(self, title: str, paragraphs: list[str], token: str = "", status: int = 200) -> Response:
        """A page without scripts, which works in whatever opens links in mail."""
        action = f"{UNSUBSCRIBE_PATH}?t={escape(token)}"
        button = f'<form method="post" action="{action}"><button>Stop alert email</button></form>' if token else ""
        channels = f'<a href="{escape(self._base)}{CHANNELS_PAGE}">Channels</a>'
        text = "".join(f"<p>{escape(each).replace(_LINK, channels)}</p>" for each in paragraphs)
        page = _PAGE.format(title=escape(title), text=text, button=button, base=escape(self._base))
        # The address holds the code: no other site is to learn it, and no search engine.
        headers = {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex",
        }
        return HTMLResponse(page, status, headers)


CHANNELS_PAGE = "/alerts?tab=channels"
_LINK = "[Channels]"
"""Stands in a paragraph for the link to that page."""
_HOW = (f"To stop alert email, sign in and switch email off under {_LINK}.",)
_AGAIN = (f"To get alerts by email again, switch email on under {_LINK}.",)
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} – FlashCur</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --accent: #8f5c00; --on-accent: #ffffff;
  background: #ffffff; color: #151a20 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --accent: #e0a83c; --on-accent: #14110a; background: #0e1217; color: #dde3ea }}
}}
.brand {{ font-weight: 700; color: inherit; text-decoration: none }}
.brand b, a {{ color: var(--accent) }}
main {{ max-width: 32rem; margin: 12vh auto; padding: 0 1rem }}
h1 {{ font-size: 1.4rem }}
button {{ font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: 6px; font-weight: 600;
  background: var(--accent); color: var(--on-accent) }}
</style></head>
<body><main><a class="brand" href="{base}/">Flash<b>Cur</b></a><h1>{title}</h1>{text}{button}</main></body>
</html>
"""
