"""Stripe's form encoding: `items[0][price]=price_1` is a list of objects, and only what is known is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from flashcur.services.billing.sandbox.refusals import ApiRefusal, parameter

Form = dict[str, Any]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_FREE = ("metadata",)
"""Objects whose keys are the caller's own."""


def read_form(pairs: Iterable[tuple[str, str]]) -> Form:
    """Names with brackets as nested objects. A list is kept as an object of its indices until `as_list` reads it."""
    form: Form = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise parameter(f"Invalid parameter name: {name}", name)
        parts = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        here = form
        for part in parts[:-1]:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                raise parameter(f"Invalid object: {part}", name)
            here = cast("Form", inner)
        here[parts[-1] or str(len(here))] = value
    return form


def names(form: Form, prefix: str = "") -> Iterable[str]:
    """Every name with its indices left out: `items.price`, `metadata`."""
    for name, value in form.items():
        path = prefix if name.isdigit() else f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict) and name not in _FREE:
            yield from names(cast("Form", value), path)
        else:
            yield path


def check(form: Form, known: Iterable[str]) -> None:
    """Refuse a parameter that is not among `known`. Raises ApiRefusal."""
    allowed = set(known) | {"expand"}
    for name in names(form):
        if name not in allowed:
            raise ApiRefusal(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def as_list(value: object) -> list[Any]:
    """The members of a list parameter in their order."""
    if not isinstance(value, dict):
        return []
    members = cast("Form", value)
    return [members[key] for key in sorted(members, key=lambda key: int(key) if key.isdigit() else 0)]


def as_form(value: object) -> Form:
    """An object parameter; empty where there is none."""
    return cast("Form", value) if isinstance(value, dict) else {}


def as_int(value: object, param: str) -> int:
    """A whole number. Raises ApiRefusal."""
    try:
        return int(str(value))
    except ValueError:
        raise ApiRefusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=param) from None


def as_bool(value: object, param: str) -> bool:
    """`true` or `false`. Raises ApiRefusal."""
    if value not in ("true", "false"):
        raise ApiRefusal(f"Invalid boolean: {value}", param=param)
    return value == "true"


def required(form: Form, name: str) -> str:
    """A parameter that there must be. Raises ApiRefusal."""
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise ApiRefusal(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return value
