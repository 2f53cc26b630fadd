"""Deleting what is over without waiting for anybody, and without anybody waiting for it in a circle."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import class_mapper
from sqlmodel import Session, SQLModel, col, select


def delete_unlocked(session: Session, table: type[SQLModel], *which: ColumnElement[bool] | bool) -> int:
    """Delete the rows of `table` that are `which`, except those that another transaction holds; how many.

    Rows come in no order here: waiting for one while holding others is how two transactions hold each other up. What is
    left is found the next time. SQLite has no row locks and passes nothing by.
    """
    (key,) = class_mapper(table).primary_key
    column: Any = col(key)
    free = select(column).where(*which).with_for_update(skip_locked=True)
    return session.exec(delete(table).where(column.in_(free))).rowcount
