"""An INSERT that says what is to happen with rows that are there already, for either kind of database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, SQLModel


def insert_into(session: Session, table: type[SQLModel]) -> Any:
    """INSERT INTO `table` in the words of the session's database; both know `on_conflict_do_nothing` and `…_update`."""
    insert = insert_sqlite if session.get_bind().dialect.name == "sqlite" else insert_postgresql
    return insert(table)


def upsert(
    session: Session, table: type[SQLModel], key: Sequence[str], rows: Mapping[tuple[Any, ...], Mapping[str, Any]]
) -> int:
    """Write down rows, by the values of their `key`, in place of those that are there; returns how many.

    In one order, so that two engines that overlap do not hold each other up.
    """
    if not rows:
        return 0
    statement = insert_into(session, table)
    names = next(iter(rows.values())).keys() - set(key)
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=key, set_={name: statement.excluded[name] for name in sorted(names)}
        ),
        [rows[each] for each in sorted(rows)],
    )
    return len(rows)
