"""A rule as a text for a link, that somebody else opens as a draft of their own.

What is private stays behind: the note, and which watchlist it was (its contracts become all).
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import replace
from typing import Any, cast

import orjson

from flashcur.domain.rules.condition import Fault
from flashcur.domain.rules.rule import Definition, Scope

MOST_LINK = 2_000
"""Characters of a link's text; what is longer is no rule."""
_MOST_BYTES = 8_192
_FORM = "1"
"""The first character: how the rest is written."""
_BROKEN = "This link is broken or incomplete. Ask for a new one."


def to_link(definition: Definition) -> str:
    """Letters, digits, `-` and `_` that `from_link` understands."""
    scope = Scope("all") if definition.scope.kind == "watchlist" else definition.scope
    written = orjson.dumps(replace(definition, scope=scope, note="").to_json())
    return _FORM + urlsafe_b64encode(zlib.compress(written, 9)).decode().rstrip("=")


def from_link(text: object) -> Definition:
    """The rule of a link. Raises Fault for whatever else stands there."""
    if not isinstance(text, str) or not 1 < len(text) <= MOST_LINK or text[0] != _FORM or not text.isascii():
        raise Fault("", _BROKEN)
    padded = text[1:] + "=" * (-len(text[1:]) % 4)
    unpack = zlib.decompressobj()
    try:
        written = unpack.decompress(urlsafe_b64decode(padded), _MOST_BYTES)
        value: Any = orjson.loads(written) if unpack.eof else None
    except (Base64Error, zlib.error, ValueError):
        raise Fault("", _BROKEN) from None
    if not isinstance(value, dict):
        raise Fault("", _BROKEN)
    definition = Definition.from_json(cast(object, value))
    if definition.scope.kind == "watchlist":
        definition = replace(definition, scope=Scope("all"))
    return replace(definition, note="")
