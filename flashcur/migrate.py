"""`python -m flashcur.migrate`: bring the database to this version."""

from __future__ import annotations

from flashcur.errors import FlashCurError
from flashcur.services.storage.database import Database
from flashcur.settings import Settings


def main() -> None:
    try:
        database = Database(Settings.load())
        database.migrate()
        database.close()
    except FlashCurError as error:
        raise SystemExit(f"flashcur: {error}") from None


if __name__ == "__main__":
    main()
