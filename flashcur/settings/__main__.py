"""`python -m flashcur.settings [FILE]`: print the table of settings, or write it between the marks in FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from flashcur.settings.docs import settings_markdown, write_block


def main(arguments: list[str]) -> None:
    if arguments:
        write_block(Path(arguments[0]))
    else:
        print(settings_markdown())


if __name__ == "__main__":
    main(sys.argv[1:])
