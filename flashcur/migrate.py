"""`python -m flashcur.migrate`: bring the database to this version."""

from __future__ import annotations

import sys

from flashcur.errors import FlashCurError
from flashcur.services.storage.database import Database
from flashcur.settings import Settings


def main() -> int:
    try:
        database = Database(Settings.load())
        database.migrate()
        database.close()
    except FlashCurError as error:
        print(f"flashcur: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
