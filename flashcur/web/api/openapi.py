"""The API as an OpenAPI 3.1 document, made from its routes and `web.api.schema`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flashcur import __version__
from flashcur.services.accounts.limits import API_ACCOUNT
from flashcur.web.api.callers import WITHOUT_KEY, WITHOUT_KEY_RATE
from flashcur.web.api.examples import EXAMPLES
from flashcur.web.api.schema import OBJECTS, Parameter, of
from flashcur.web.routes.base import Route

KEY = "apiKey"
"""The name of the one way to say who calls."""

ERRORS: dict[int, str] = {
    400: "A parameter is wrong; the answer names it.",
    401: "The key is none of ours, or what was asked for needs an account.",
    403: "The account’s plan does not have this.",
    404: "There is no such thing, or the plan does not show it (any more).",
    429: "Too many requests: wait as long as `retry_after` says.",
    503: "It cannot be answered right now: try again as `retry_after` says.",
}
"""What can go wrong, by status."""

LIMIT_WITHOUT_KEY = (
    f"{WITHOUT_KEY} requests for signals without a key from one network at once, then {WITHOUT_KEY_RATE:g} a second"
)
"""How often anybody may ask."""
LIMIT = f"{API_ACCOUNT.burst} requests of an account at once, then {1 / API_ACCOUNT.every_s:g} a second"
"""How often a program may ask."""

HEADERS: dict[str, str] = {
    "ETag": "Names this answer: send it as If-None-Match next time.",
    "Cache-Control": "Answers are one caller’s own.",
}


def api_routes(routes: Iterable[Route]) -> list[Route]:
    """Those that are documented."""
    return [route for route in routes if route.answers]


def errors_of(route: Route) -> dict[int, str]:
    """What can go wrong with a route, by status."""
    names_something = any(each.where == "path" or each.name == "list" for each in route.parameters)
    return {status: meaning for status, meaning in ERRORS.items() if status != 404 or names_something}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document, to be encoded as JSON."""
    paths: dict[str, Any] = {}
    for route in api_routes(routes):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FlashCur",
            "version": __version__,
            "description": f"Crypto perpetual futures, live, and what is unusual about them. Limits: {LIMIT}; "
            f"{LIMIT_WITHOUT_KEY}.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": OBJECTS,
            "securitySchemes": {
                KEY: {"type": "http", "scheme": "bearer", "description": "A key of your account: `flashcur_…`"}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    headers = {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in HEADERS.items()}
    answers: dict[str, Any] = {
        "200": {
            "description": OBJECTS[route.answers]["description"],
            "headers": headers,
            "content": {"application/json": {"schema": of(route.answers), "example": EXAMPLES[route.answers]}},
        },
        "304": {"description": "Nothing has changed since the answer whose ETag came as If-None-Match."},
    }
    for status, meaning in errors_of(route).items():
        answers[str(status)] = {"description": meaning, "content": {"application/json": {"schema": of("Error")}}}
    return {
        "operationId": re.sub(r"^get_", "", route.handler.__name__),
        "summary": OBJECTS[route.answers]["description"],
        "description": route.meaning,
        "parameters": [_parameter(each) for each in route.parameters],
        # Without a key the caller is a guest, or whoever is signed in.
        "security": [{}, {KEY: []}],
        "responses": answers,
    }


def _parameter(each: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": each.name,
        "in": each.where,
        "description": each.meaning,
        "required": each.where == "path",
        "schema": {name: value for name, value in each.schema.items() if name != "description"},
        "example": each.example.split(",") if each.schema["type"] == "array" else _typed(each),
    }
    if each.schema["type"] == "array":
        described |= {"style": "form", "explode": False}
    return described


def _typed(each: Parameter) -> str | int:
    return int(each.example) if each.schema["type"] == "integer" else each.example
