"""How the exchange says no: the bodies and headers that the real one sends."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

_BLOCKED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this message "
    "in error."
)
_TOO_MANY = (
    "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute. "
    "Please use the websocket for live updates to avoid polling the API."
)


@dataclass(slots=True)
class Refusal:
    """How every REST request (and handshake, if `handshakes`) is answered for a while."""

    status: int
    until_ms: int
    retry_after: int | None
    handshakes: bool
    header: bool = True
    """Whether `Retry-After` is sent."""


def error(status: int, code: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error in the shape of the REST API."""
    return web.json_response({"code": code, "msg": text}, status=status, headers=headers)


def too_many(retry_after: int, *, header: bool = True) -> web.Response:
    """429: wait `retry_after` seconds."""
    return error(429, -1003, _TOO_MANY, {"Retry-After": str(retry_after)} if header else None)


def banned(retry_after: int, now_ms: int, *, header: bool = True) -> web.Response:
    """418: the address kept asking after 429 and is shut out for `retry_after` seconds."""
    until_ms = now_ms + retry_after * 1000
    text = (
        f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans."
    )
    return error(418, -1003, text, {"Retry-After": str(retry_after)} if header else None)


def refusal_response(refusal: Refusal, now_ms: int) -> web.Response:
    """The answer while a refusal ordered as a fault is in force."""
    retry_after = refusal.retry_after or 0
    if refusal.status == 451:
        return error(451, 0, _BLOCKED)
    if refusal.status == 429:
        return too_many(retry_after, header=refusal.header)
    if refusal.status == 418:
        return banned(retry_after, now_ms, header=refusal.header)
    if refusal.status == 500:
        return error(500, -1000, "An unknown error occurred while processing the request.")
    # What stands in front of the exchange answers with a page.
    title = f"{refusal.status} {HTTPStatus(refusal.status).phrase}"
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(status=refusal.status, text=body, content_type="text/html")
