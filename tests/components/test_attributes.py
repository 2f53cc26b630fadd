"""Attributes are spelled as React spells them: what is not, React warns of in development, and may leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import reflex as rx

from flashcur import pages

TYPES = Path(__file__).parents[2] / "node_modules/@types/react/index.d.ts"


def page_functions() -> Iterator[Callable[[], rx.Component]]:
    """Each page, a function of its module's name; `error` has no address and is what the others fall back to."""
    for found in iter_modules(pages.__path__, f"{pages.__name__}."):
        name = found.name.rpartition(".")[2]
        yield getattr(import_module(found.name), "fallback" if name == "error" else name)


def spellings() -> dict[str, str]:
    """React's names that are not all in lower case, by their lower case."""
    if not TYPES.exists():
        pytest.skip("no node_modules: `npm ci` brings React's types")
    names = re.findall(r"^ {8}([a-z]+[A-Z]\w*)\?:", TYPES.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower(): name for name in names} | {"class": "className", "for": "htmlFor"}


def attributes(rendered: Any) -> Iterator[str]:
    """The names of all attributes in what a component renders to."""
    if isinstance(rendered, dict):
        for prop in rendered.get("props", ()):
            name = re.match(r'"?([\w-]+)"?:', str(prop))
            if name:
                yield name[1]
        rendered = rendered.values()
    elif not isinstance(rendered, list | tuple):
        return
    for part in rendered:
        yield from attributes(part)


@pytest.mark.parametrize("page", list(page_functions()), ids=lambda page: page.__name__)
def test_no_attribute_is_spelled_as_in_html(page: Callable[[], rx.Component]) -> None:
    known = spellings()
    found = set(attributes(page().render()))
    assert found
    assert {name: known[name] for name in found if known.get(name, name) != name} == {}
