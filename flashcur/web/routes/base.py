"""What the HTTP routes have in common: the table's rows, reading parameters and a body, answers and errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Literal, cast
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from flashcur.domain.texts import checked_text
from flashcur.errors import Conflict, Refusal
from flashcur.services.accounts.client import Client, client_of
from flashcur.web.api.schema import Parameter

JSON = "application/json"
MAX_BODY = 16_384
"""Bytes of a request's body at most."""
MOST_PATH = 2_500
"""Characters of a path that is led on to: a rule that somebody shared is in it."""
MAX_UPLOAD = 1_100_000
"""Bytes of an imported file and its form: the file itself may have 512 kB, and JSON doubles line ends and quotes."""

Who = Literal["anyone", "account", "admin"]
"""Who may call: `account` is somebody who is signed in. What the plan gives is decided inside."""

Handler = Callable[[Any, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route; the handler's docstring is its line in docs/operations.md."""

    method: Literal["GET", "POST"]
    path: str
    """Its last part may be a parameter in braces: the handler finds it in `request.path_params`."""
    handler: Handler
    who: Who = "anyone"
    parameters: tuple[Parameter, ...] = ()
    """Of the API: what may be asked for."""
    answers: str = ""
    """Of the API: the name of the answer's object in `web.api.schema.OBJECTS`; empty for what is not documented."""

    @property
    def meaning(self) -> str:
        """The handler's docstring on one line."""
        return " ".join((self.handler.__doc__ or "").split())


class RouteGroup:
    """Routes that belong together; their handlers are methods of the class."""

    ROUTES: ClassVar[tuple[Route, ...]] = ()


def cookie_header(scope: Mapping[str, Any]) -> str:
    """The cookies of a request or a socket, as one header."""
    return "; ".join(value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"cookie")


def client_of_request(request: Request, proxy_hops: int) -> Client:
    """Where a request comes from."""
    return client_of(request.scope["headers"], request.client.host if request.client else "", proxy_hops)


def from_our_pages(request: Request, origins: Collection[str]) -> bool:
    """Whether a post comes from a page of this site: the cookie comes along whoever made the browser send it.

    `origins` are those of our pages. A browser sends `Origin` or `Sec-Fetch-Site` with every post; what sends neither
    is no browser.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        return origin in origins
    return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def known_parameters(request: Request, known: Iterable[Parameter]) -> dict[str, str]:
    """The query's parameters. Raises Refusal, which names them, for those that are unknown or come twice."""
    names = [each.name for each in known if each.where == "query"]
    given = [name for name, _ in request.query_params.multi_items()]
    unknown = [name for name in dict.fromkeys(given) if name not in names]
    if unknown:
        shown = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise Refusal(f"expected {', '.join(names) or 'no parameters'}, was {shown}", field=unknown[0][:40])
    for name in names:
        if given.count(name) > 1:
            raise Refusal(f"{name}: expected once, came {given.count(name)} times", field=name)
    return dict(request.query_params)


def tagged(request: Request, tag: str, body: Callable[[], bytes]) -> Response:
    """JSON that the caller may keep and ask about: 304 without a body where they have the one of this `tag`."""
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    if tag in [known.strip().removeprefix("W/") for known in request.headers.get("If-None-Match", "").split(",")]:
        return Response(None, 304, headers)
    return Response(body(), 200, headers, JSON)


def json_answer(body: Any, status: int = 200) -> Response:
    """An answer of JSON that no cache keeps. Raises TypeError for what `orjson` cannot encode."""
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, JSON)


def error(status: int, message: str, *, field: str = "", retry_after: float | None = None, **more: str) -> Response:
    """`{"error": …}`, with `field`, the form's field that is wrong, `retry_after`, the seconds to wait, and `more`,
    where they are known; the seconds are also in the header `Retry-After`, rounded up."""
    body: dict[str, Any] = {"error": message, **{name: value for name, value in more.items() if value}}
    if field:
        body["field"] = field
    if retry_after is not None:
        # Upwards: whoever waits as long as told is not refused again.
        body["retry_after"] = ceil(retry_after * 10) / 10
    response = json_answer(body, status)
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, ceil(retry_after)))
    return response


def refused(refusal: Refusal) -> Response:
    """What the page shows of a refusal: its text, the field, what the form cannot mend (`why`), and the way out."""
    link, link_text = refusal.way_out
    more = {"why": _stuck(refusal), "link": link, "link_text": link_text}
    return error(refusal.status, str(refusal), field=refusal.field, retry_after=refusal.retry_after, **more)


def _stuck(refusal: Refusal) -> str:
    """`conflict`: it is taken or changed; `link`: the mail's link is dead. Typing something else helps with neither."""
    if refusal.status == Conflict.status:
        return "conflict"
    return "link" if refusal.status == Refusal.status and refusal.field == "token" else ""


def wants_json(request: Request) -> bool:
    """Whether a script asks, and not the browser by itself."""
    return request.headers.get("content-type", "").startswith(JSON) or JSON in request.headers.get("accept", "")


async def read_body(request: Request, most: int, too_large: str = "") -> bytes:
    """The body as it came. Raises Refusal for one over `most` bytes; `too_large` says so to people."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refusal(too_large or f"expected at most {most} bytes, more came")
    return bytes(body)


async def read_fields(request: Request, most: int = MAX_BODY, too_large: str = "") -> dict[str, Any]:
    """The fields of a JSON object or of a form, by name; a form's values are all text, but a file that was chosen is
    its bytes.

    Raises Refusal for anything else, and for a body over `most` bytes; `too_large` says so to people.
    """
    body = await read_body(request, most, too_large)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        try:
            fields = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Refusal("expected a JSON object, what came is no JSON") from None
        if not isinstance(fields, dict):
            raise Refusal("expected a JSON object")
        return cast("dict[str, Any]", fields)
    if kind == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
        except ValueError:
            raise Refusal("expected the fields of a form in UTF-8") from None
    if kind == "multipart/form-data":
        return await _parts(request, body)
    raise Refusal(f"expected JSON or a form, was {kind[:60] or 'nothing'}")


async def _parts(request: Request, body: bytes) -> dict[str, Any]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, once(), max_files=1, max_fields=20, max_part_size=len(body))
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError):
        raise Refusal("expected the fields of a form, what came is none") from None
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(form.close)
        fields: dict[str, Any] = {}
        for name, value in form.multi_items():
            content = await value.read() if isinstance(value, UploadFile) else value
            # Where no file was chosen a browser sends one without a name and without content.
            if content or not isinstance(value, UploadFile) or value.filename:
                fields[name] = content
        return fields


def text(fields: dict[str, Any], name: str, most: int = 1_000) -> str:
    """A field's text; empty where it is missing. Raises Refusal for another type or more than `most` characters."""
    return checked_text(fields.get(name, ""), most, name)


def whole(fields: dict[str, Any], name: str) -> int:
    """A field's whole number from 0 to 2³¹ - 1, which may be written as text. Raises Refusal for anything else."""
    value = fields.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise Refusal(f"{name}: expected a whole number", field=name)
    return value


class Foreign(Refusal):
    """This request did not come from a page of FlashCur."""

    status = 403


def safe_path(target: str) -> str:
    """`target` where it is a page of this site, else `/`: no link that people trust sends them elsewhere, or acts."""
    # Dots would be taken out by the browser, and what is left may begin with two slashes.
    dots = any(part in (".", "..") for part in target.partition("?")[0].split("/"))
    plain = not dots and target.isascii() and target.isprintable() and "\\" not in target and len(target) <= MOST_PATH
    page = target.startswith("/") and not target.startswith(("//", "/auth/", "/api/"))
    return target if plain and page else "/"
