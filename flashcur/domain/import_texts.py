"""What became of an imported file, in sentences, and what a file's bytes say."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence

from flashcur.domain.exports import SECTION
from flashcur.domain.watchlists import NOT_TRADED, ImportPlan, Skipped

NAMED = 200
"""Entries that are named with their line and what is wrong with them; the rest is counted by reason."""

NO_TEXT = "This is not a text file."
NO_ENCODING = (
    "The encoding of this file cannot be told: save it as UTF-8 (in a spreadsheet “CSV UTF-8”), and choose it again."
)

# What a file begins with that says how it is written. UTF-32's little-endian mark begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes that no text has in any encoding of single bytes, and none but UTF-16 and UTF-32 in any other.
_BINARY = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1a\x1b"})


def file_text(content: bytes) -> str:
    """The text of a file in UTF-8, or in what its byte order mark names.

    Nothing is guessed: read in the wrong encoding, names turn into others and nobody is told. Raises ValueError, with
    a message for people, for what is no text, and for text whose encoding cannot be told.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(NO_TEXT if encoding == "utf-8" and _binary(content) else NO_ENCODING) from None
    if "\0" in text:
        raise ValueError(NO_TEXT if _binary(content) else NO_ENCODING)
    return text


def _binary(content: bytes) -> bool:
    """Whether bytes are no text in any encoding that people meet. UTF-16 without its mark has every other byte zero."""
    if max(content[0::2].count(0), content[1::2].count(0)) * 4 > len(content):
        content = content.replace(b"\0", b"")
    return any(byte in content for byte in _BINARY)


def taken_in(created: Sequence[str], added: int, already: int, left_out: int, *, first: str) -> str:
    """`4 contracts added, new: Majors, Alts.` `first`: the list that took in what stood below no header, or empty."""
    return (
        f"{added:,} contract{'' if added == 1 else 's'} added"
        + (f" into {first}" if first and first not in created and added else "")
        + (f", {already:,} there already" if already else "")
        + (f", {left_out:,} left out" if left_out else "")
        + (f", new: {', '.join(created)}" if created else "")
        + "."
    )


def notes(parsed: ImportPlan) -> list[str]:
    """What of a file was not taken as it stood, a sentence each."""
    lines = [f"Line {each.line}: “{each.text}” is {each.reason}" for each in parsed.skipped[:NAMED]]
    lines += _counted(parsed.skipped[NAMED:])
    lines += [f"“{entry}” is called {symbol} here" for entry, symbol in parsed.renamed[:NAMED]]
    if parsed.duplicates:
        lines.append(f"{parsed.duplicates:,} {'entry' if parsed.duplicates == 1 else 'entries'} appeared twice")
    return lines


def unknown_text(parsed: ImportPlan) -> str:
    """The part of a file that was left out because no such contract trades now, as a file; empty if there is none.

    Read with `keep_unknown` it goes where it would have gone.
    """
    lines: list[str] = []
    for name, symbols in sorted(parsed.unknown, key=lambda section: section[0] is not None):
        lines += [*([] if name is None else [SECTION + name]), *symbols]
    return "\n".join(lines)


def keep_label(parsed: ImportPlan) -> str:
    """What the button says that keeps `unknown_text`; empty if there is nothing to keep."""
    count = len({symbol for _, symbols in parsed.unknown for symbol in symbols})
    return f"Keep {f'the {count:,} symbols' if count > 1 else 'the symbol'} {NOT_TRADED}" if count else ""


def _counted(skipped: Sequence[Skipped]) -> list[str]:
    """`and 1,195 more: 1,190 not a USDT perpetual, 5 not traded here now`."""
    if not skipped:
        return []
    reasons = Counter("one of several" if each.reason.startswith("either") else each.reason for each in skipped)
    return [f"and {len(skipped):,} more: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())]
