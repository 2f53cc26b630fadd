"""Deleting what is over without waiting for anybody, and without anybody waiting for it in a circle."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, tuple_
from sqlalchemy import select as columns_of
from sqlalchemy.orm import class_mapper
from sqlmodel import Session, SQLModel


def delete_unlocked(session: Session, table: type[SQLModel], *which: ColumnElement[bool] | bool) -> int:
    """Delete the rows of `table` that are `which`, except those that another transaction holds; how many.

    Rows come in no order here: waiting for one while holding others is how two transactions hold each other up. What is
    left is found the next time. SQLite has no row locks and passes nothing by.
    """
    keys: Any = class_mapper(table).primary_key
    free: Any = columns_of(*keys)
    free = free.where(*which).with_for_update(skip_locked=True)
    return session.exec(delete(table).where(tuple_(*keys).in_(free))).rowcount
