"""Holds a JSON value against the part of JSON Schema that the API's document uses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_KNOWN = frozenset({"type", "enum", "format", "description", "properties", "required", "additionalProperties"}) | {
    "items",
    "anyOf",
    "minimum",
    "maximum",
    "default",
}


def mismatches(value: Any, schema: dict[str, Any], document: dict[str, Any], where: str = "$") -> Iterator[str]:
    """What of `value` the schema does not allow, one line each; `document` is what `$ref` points into."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from mismatches(value, target, document, where)
        return
    assert schema.keys() <= _KNOWN, f"{where}: this test knows nothing of {schema.keys() - _KNOWN}"
    if "anyOf" in schema:
        if all(list(mismatches(value, each, document, where)) for each in schema["anyOf"]):
            yield f"{where}: none of the choices fits {value!r}"
        return
    named = schema.get("type", list(_TYPES))
    names = [named] if isinstance(named, str) else named
    if not any(isinstance(value, _TYPES[name]) and (type(value) is not bool or name == "boolean") for name in names):
        yield f"{where}: expected {names}, was {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: expected one of {schema['enum']}, was {value!r}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where}: {value!r} is out of bounds"
    if isinstance(value, str) and schema.get("format") == "date-time":
        assert datetime.fromisoformat(value).tzinfo is not None, where
    if isinstance(value, str) and schema.get("format") == "date":
        date.fromisoformat(value)
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from mismatches(each, schema["items"], document, f"{where}[{number}]")
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            if name in properties:
                yield from mismatches(each, properties[name], document, f"{where}.{name}")
            elif more is False:
                yield f"{where}: {name} is in no schema"
            elif isinstance(more, dict):
                yield from mismatches(each, more, document, f"{where}.{name}")
