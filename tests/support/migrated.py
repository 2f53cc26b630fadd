"""An SQLite database of this version, made once a process: whoever needs one takes a copy."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from flashcur.services.storage.database import Database
from flashcur.settings import Settings

# Goes with the process.
_folder = tempfile.TemporaryDirectory(prefix="flashcur-migrated-")


@cache
def migrated_database() -> Path:
    """The file, without a row in it."""
    settings = Settings.load({"FLASHCUR_DATA_DIR": _folder.name, "FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4})
    database = Database(settings)
    database.migrate()
    database.close()
    (file,) = Path(_folder.name).glob("*.db")
    # Closed by its last connection, it has no log beside it that a copy would miss.
    assert not list(file.parent.glob("*.db-*"))
    return file


def spare_migration(settings: Settings) -> None:
    """Put a copy where a process with `settings` would make its SQLite database; one that is there stays."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or url.database is None or Path(url.database).exists():
        return
    file = Path(url.database)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(migrated_database(), file)
