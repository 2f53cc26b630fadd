"""Texts that are the same in every language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import reflex as rx


def as_written() -> dict[str, Any]:
    """Attributes of an element that translators leave alone, with all that is in it; Reflex adds to each such dict."""
    return {"translate": "no"}


def untranslated(
    *texts: str | rx.Var[Any] | rx.Component,
    element: Callable[..., rx.Component] = rx.el.span,
    custom_attrs: Mapping[str, Any] | None = None,
    **props: Any,
) -> rx.Component:
    """Numbers, names, addresses, symbols, keys and codes, in an element of their own."""
    return element(*texts, **props, custom_attrs={**(custom_attrs or {}), **as_written()})
