"""Attributes are spelled as React spells them: what is not, React warns of in development, and may leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import reflex as rx

from flashcur.pages import (
    account,
    confirm,
    confirm_change,
    dashboard,
    error,
    forgot,
    legal_privacy,
    legal_risk,
    legal_terms,
    login,
    not_found,
    pricing,
    register,
    reset,
    watchlists,
)

TYPES = Path(__file__).parents[2] / "node_modules/@types/react/index.d.ts"
PAGES: tuple[Callable[[], rx.Component], ...] = (
    account.account,
    confirm.confirm,
    confirm_change.confirm_change,
    dashboard.dashboard,
    error.fallback,
    forgot.forgot,
    legal_privacy.legal_privacy,
    legal_risk.legal_risk,
    legal_terms.legal_terms,
    login.login,
    not_found.not_found,
    pricing.pricing,
    register.register,
    reset.reset,
    watchlists.watchlists,
)


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_no_attribute_is_spelled_as_in_html(page: Callable[[], rx.Component]) -> None:
    known = spellings()
    found = set(attributes(page().render()))
    assert found
    assert {name: known[name] for name in found if known.get(name, name) != name} == {}
