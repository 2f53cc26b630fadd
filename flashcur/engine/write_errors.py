"""Which errors of the database say that the same may be written later, and which that it can never be."""

from __future__ import annotations

from sqlalchemy.exc import ProgrammingError

from flashcur.errors import DatabaseError
from flashcur.services.lease import LeaseLost
from flashcur.services.storage.database import is_of_another_version


def must_wait(error: Exception) -> bool:
    """Whether it says nothing about what was to be written: the same may be written later, or by another engine."""
    if isinstance(error, ProgrammingError):
        return is_of_another_version(error)
    return isinstance(error, DatabaseError | LeaseLost)
