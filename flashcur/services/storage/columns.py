"""Queries of more columns than SQLModel's types know, which end at four."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from sqlmodel import Session, select

columns_of = cast("Callable[..., Any]", select)
"""`sqlmodel.select` of any number of columns."""


def rows_of(session: Session, query: Any) -> Iterator[Any]:
    """The rows of such a query, each a tuple of its columns, or the one column itself."""
    return cast("Any", session).exec(query)
