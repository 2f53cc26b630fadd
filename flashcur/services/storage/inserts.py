"""An INSERT that says what is to happen with rows that are there already, for either kind of database."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, SQLModel


def insert_into(session: Session, table: type[SQLModel]) -> Any:
    """INSERT INTO `table` in the words of the session's database; both know `on_conflict_do_nothing` and `…_update`."""
    insert = insert_sqlite if session.get_bind().dialect.name == "sqlite" else insert_postgresql
    return insert(table)
