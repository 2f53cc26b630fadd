"""What became of an imported file, in sentences, and what a file's bytes say."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from flashcur.domain.watchlists import FAVOURITES, ImportPlan

NAMED = 5
"""Entries of one kind that are named; the rest is counted."""


def file_text(content: bytes) -> str:
    """The text of a file: UTF-16 where it says so, UTF-8, or what Windows wrote before that."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def taken_in(parsed: ImportPlan, created: Sequence[str], added: int, already: int, left_out: int, *, into: bool) -> str:
    """`4 contracts added, new: Majors, Alts.` `into`: the visitor chose a list for all of it."""
    # What no header stands above goes there, unless it is named among the new lists.
    unnamed = not into and parsed.sections[:1] and parsed.sections[0][0] is None and FAVOURITES not in created
    return (
        f"{added:,} contract{'' if added == 1 else 's'} added"
        + (f" into {FAVOURITES}" if unnamed and added else "")
        + (f", {already:,} there already" if already else "")
        + (f", {left_out:,} left out" if left_out else "")
        + (f", new: {', '.join(created)}" if created else "")
        + "."
    )


def notes(parsed: ImportPlan) -> list[str]:
    """What of a file was not taken as it stood, a sentence each."""
    lines = [f"Line {each.line}: “{each.text}” is {each.reason}" for each in parsed.skipped[:NAMED]]
    if len(parsed.skipped) > NAMED:
        lines.append(f"and {len(parsed.skipped) - NAMED:,} more that are no contracts")
    if parsed.unknown:
        more = len(parsed.unknown) - NAMED
        lines.append(
            f"Taken in, but not traded here now: {', '.join(parsed.unknown[:NAMED])}"
            + (f" and {more:,} more" if more > 0 else "")
        )
    if parsed.duplicates:
        lines.append(f"{parsed.duplicates:,} {'entry' if parsed.duplicates == 1 else 'entries'} stood there twice")
    return lines
