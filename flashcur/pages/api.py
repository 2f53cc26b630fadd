"""`/api`: how programs ask, and what they are answered; drawn from the routes and `web.api.schema`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.site import link, page_frame
from flashcur.components.kit.texts import untranslated
from flashcur.domain.plans import PLANS, least_plan
from flashcur.web.api.examples import EXAMPLES
from flashcur.web.api.openapi import ERRORS, LIMIT, LIMIT_WITHOUT_KEY, api_routes
from flashcur.web.api.schema import OBJECTS, Parameter, Schema
from flashcur.web.routes.base import Route
from flashcur.web.routes.table import ALL_ROUTES

TITLE = "API: FlashCur"
DESCRIPTION = "Markets and signals of crypto perpetual futures as JSON, for your own programs, with evidence."

_ROUTES = api_routes(ALL_ROUTES)
_TITLES = {"Markets": "Markets", "Signals": "Signals", "OneSignal": "One signal"}
_OPENAPI = "/api/v1/openapi.json"
_NUMBERS = {"integer": "whole number", "number": "number", "boolean": "true or false", "object": "object"}
_FORMATS = {"date-time": "time, ISO 8601", "date": "day, YYYY-MM-DD"}


def api() -> rx.Component:
    sections = [
        _section("asking", "Asking", _asking()),
        *(_section(_anchor(route), _TITLES[route.answers], _route(route)) for route in _ROUTES),
        _section("fields", "What the answers hold", _objects()),
        _section("errors", "When there is no answer", _errors()),
        _section("limits", "Limits", _limits()),
    ]
    contents = [("asking", "Asking")]
    contents += [(_anchor(route), _TITLES[route.answers]) for route in _ROUTES]
    contents += [("fields", "What the answers hold"), ("errors", "When there is no answer"), ("limits", "Limits")]
    return page_frame(
        rx.el.nav(
            rx.el.ol(*(rx.el.li(rx.el.a(title, href=f"#{anchor}", class_name="link")) for anchor, title in contents)),
            aria_label="On this page",
            class_name="contents",
        ),
        *sections,
        title="API",
        lead="Markets and signals as JSON, for your own programs: the same that the pages show, cut to your plan.",
    )


def _section(anchor: str, title: str, parts: Sequence[rx.Component]) -> rx.Component:
    return rx.el.section(rx.el.h2(title), *parts, class_name="clause", custom_attrs={"id": anchor})


def _anchor(route: Route) -> str:
    return route.answers.lower()


def _asking() -> list[rx.Component]:
    plan = least_plan("api", True)
    return [
        rx.el.p(
            "A program sends a key of its account with each request. ",
            plan.title,
            " has keys: make one in ",
            link("your account", "/account#api"),
            ".",
        ),
        _code('curl -H "Authorization: Bearer YOUR_KEY" ', browser.routes_origin(), _ROUTES[0].path),
        rx.el.p(
            "Without a key you are answered what a guest is shown. All of it is also described by an ",
            rx.el.a("OpenAPI document", href=browser.backend() + _OPENAPI, class_name="link"),
            ", from which programs in most languages can be made.",
        ),
    ]


def _route(route: Route) -> list[rx.Component]:
    parts: list[rx.Component] = [
        rx.el.p(untranslated(route.method, " ", route.path, element=rx.el.code), class_name="address"),
        rx.el.p(*_prose(OBJECTS[route.answers]["description"])),
    ]
    if route.parameters:
        parts += [
            rx.el.h3("Parameters"),
            _fields((each.name, _allowed(each), each.meaning) for each in route.parameters),
        ]
    query = _query(route.parameters)
    path = route.path
    for each in route.parameters:
        path = path.replace(f"{{{each.name}}}", each.example)
    parts += [
        rx.el.h3("Example"),
        _code('curl -H "Authorization: Bearer YOUR_KEY" "', browser.routes_origin(), path, f'{query}"'),
        _code(_pretty(EXAMPLES[route.answers]), answer=True),
    ]
    return parts


def _query(parameters: Iterable[Parameter]) -> str:
    shown = [
        each for each in parameters if each.where == "query" and each.name in ("kind", "severity", "since", "assets")
    ]
    return "?" + "&".join(f"{each.name}={each.example}" for each in shown) if shown else ""


def _objects() -> list[rx.Component]:
    parts: list[rx.Component] = [
        rx.el.p(
            "A value that is not known is null, never 0. Times are UTC. Fields may be added to these objects; none is "
            "taken away or given another meaning under the same address."
        )
    ]
    for name, schema in OBJECTS.items():
        if name == "Error":
            continue
        parts += [
            rx.el.h3(untranslated(name), custom_attrs={"id": f"object-{name.lower()}"}),
            rx.el.p(*_prose(schema["description"]), class_name="soft"),
            _schema_fields(schema),
        ]
    return parts


def _errors() -> list[rx.Component]:
    return [
        rx.el.p(
            "The answer is an object, too: ",
            untranslated("error", element=rx.el.code),
            " says what is wrong, for people; the others are there where they are known.",
        ),
        _schema_fields(OBJECTS["Error"]),
        rx.el.h3("Status"),
        _fields((str(status), "", meaning) for status, meaning in ERRORS.items()),
    ]


def _limits() -> list[rx.Component]:
    delayed = [plan for plan in PLANS.values() if not plan.live]
    return [
        rx.el.ul(
            rx.el.li(f"{LIMIT}; {LIMIT_WITHOUT_KEY}; a program that comes too often is told how long to wait."),
            rx.el.li(
                "Send the ",
                untranslated("ETag", element=rx.el.code),
                " of the last answer as ",
                untranslated("If-None-Match", element=rx.el.code),
                ": while nothing is new, the answer is 304 and empty.",
            ),
            rx.el.li(
                f"{', '.join(plan.title for plan in delayed)}: what changes is shown at marks of the clock, here as on "
                "the pages. ",
                link("Compare plans", "/pricing"),
            ),
            rx.el.li("Signals of the simulated exchange are shown while its market is, and never beside real ones."),
        )
    ]


def _schema_fields(schema: Schema) -> rx.Component:
    optional = frozenset(schema["properties"]) - frozenset(schema["required"])
    return _fields(
        (name, f"{_type(each)}{', not always there' if name in optional else ''}", _meaning(each))
        for name, each in schema["properties"].items()
    )


def _meaning(schema: Schema) -> str:
    if "description" in schema:
        return schema["description"]
    named = _named(schema)
    return OBJECTS[named]["description"] if named else ""


def _named(schema: Schema) -> str:
    """The object that a schema refers to; empty if it is none."""
    inner = next((each for each in schema.get("anyOf", ()) if "$ref" in each), schema)
    return inner["$ref"].rpartition("/")[2] if "$ref" in inner else ""


def _type(schema: Schema) -> str:
    """What a value may be, in words."""
    nullable = "null" in schema.get("type", ()) or any(each.get("type") == "null" for each in schema.get("anyOf", ()))
    return f"{_plain_type(schema)}{' or null' if nullable else ''}"


def _plain_type(schema: Schema) -> str:
    if named := _named(schema):
        return named
    if "enum" in schema:
        return ", ".join(str(choice) for choice in schema["enum"] if choice is not None)
    if "format" in schema:
        return _FORMATS[schema["format"]]
    kinds = [schema["type"]] if isinstance(schema["type"], str) else [each for each in schema["type"] if each != "null"]
    if kinds == ["array"]:
        return f"array of {_plain_type(schema['items'])}"
    return " or ".join(_NUMBERS.get(kind, "text") for kind in kinds)


def _allowed(each: Parameter) -> str:
    schema = each.schema["items"] if each.schema["type"] == "array" else each.schema
    if "enum" not in schema and "maximum" in schema:
        allowed = f"{schema['minimum']} to {schema['maximum']}"
    else:
        allowed = _plain_type(schema)
    standard = each.schema.get("default")
    return allowed if standard is None else f"{allowed}; {standard} if left out"


def _fields(rows: Iterable[tuple[str, str, str]]) -> rx.Component:
    """Names, what they may be, and what they mean."""
    return rx.el.dl(
        *(
            rx.el.div(
                rx.el.dt(untranslated(name, element=rx.el.code)),
                rx.el.dd(
                    rx.el.p(*_prose(meaning)),
                    *([rx.el.p(untranslated(kind), class_name="soft")] if kind else []),
                ),
            )
            for name, kind, meaning in rows
        ),
        class_name="fields",
    )


def _prose(text: str) -> list[str | rx.Component]:
    """A text whose words in backticks are names."""
    return [
        untranslated(part, element=rx.el.code) if odd % 2 else part for odd, part in enumerate(text.split("`")) if part
    ]


def _code(*parts: str | rx.Var[Any], answer: bool = False) -> rx.Component:
    # What is longer than the page scrolls, and has to be reached by keyboard, too.
    return rx.el.pre(
        untranslated(*parts, element=rx.el.code),
        tab_index=0,
        role="region",
        aria_label="Answer" if answer else "Request",
        class_name="answer" if answer else "",
    )


def _pretty(body: dict[str, Any]) -> str:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
