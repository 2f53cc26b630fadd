"""What may stand in the log: one line a message, nothing unescaped, nothing long that came from outside.

Whoever can make a program write lines into its log can forge lines, colour a terminal or fill a disk. Nearly everything
may hold what somebody else has sent: arguments of our messages, whole messages of libraries, texts of errors. So it is
cut and escaped in one place, where records are made.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 200
"""Characters of one text from outside."""
_OURS = "flashcur"
_CHAIN = 5
"""Errors of one chain of causes that are told."""

_briefly: list[Callable[[str, BaseException], str | None]] = []


def escaped(text: str, most: int = LONGEST) -> str:
    """`text` on one line, as it can be printed, at most `most` characters of it and `…` for the rest."""
    # Cut first: half a gigabyte need not be looked at, and an escape takes up to ten characters.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return shown if len(text) <= most and len(shown) <= most else f"{shown[: most - 1]}…"


def one_line_for(briefly: Callable[[str, BaseException], str | None]) -> None:
    """Have records be one line, without a traceback, wherever `briefly(name of the logger, error)` says what to call
    the error."""
    if briefly not in _briefly:
        _briefly.append(briefly)


def guard_records() -> None:
    """Guard all records of this process, whoever makes them; once.

    A record factory and no filter: filters of a logger do not see what its children log, and handlers are the server's.
    """
    make: Any = logging.getLogRecordFactory()
    if getattr(make, "guards", False):
        return

    def guarded(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        _shorten(record)
        _guard_message(record)
        if record.exc_info and record.exc_info[1] is not None:
            # Formatters take this text where there is one.
            record.exc_text = _traceback(record.exc_info[1])
        return record

    guarded.guards = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(guarded)


def _shorten(record: logging.LogRecord) -> None:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is None:
        return
    for briefly in _briefly:
        brief = briefly(record.name, error)
        if brief is not None:
            text = _message(record).partition("\n")[0]
            record.msg, record.args, record.exc_info = f"{escaped(text)}: {brief}", (), None
            return


def _guard_message(record: logging.LogRecord) -> None:
    """Leave a message as it is unless something is wrong with it: servers' formatters look at its parts."""
    ours = record.name.partition(".")[0] == _OURS
    if isinstance(record.args, Mapping):
        parts: list[Any] = list(record.args.values())
    else:
        parts = list(record.args or ())
    text = _message(record)
    if ours and all(_harmless(part) for part in parts) and text.isprintable():
        return
    if not ours and text.isprintable() and len(text) <= LONGEST:
        return
    if ours:
        if isinstance(record.args, Mapping):
            record.args = {name: _guarded(part) for name, part in record.args.items()}
        else:
            record.args = tuple(map(_guarded, parts))
        text = escaped(_message(record), 10_000)
    else:
        text = escaped(text.strip())
    record.msg, record.args = text, ()


def _harmless(part: object) -> bool:
    return isinstance(part, int | float) or (len(shown := str(part)) <= LONGEST and shown.isprintable())


def _guarded(part: object) -> object:
    return part if isinstance(part, int | float) else escaped(str(part))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # The call is wrong: logging would print all of it to stderr.
        return f"{record.msg} (with arguments that do not fit)"


def _traceback(error: BaseException) -> str:
    """As Python prints it, with the errors' own texts escaped and cut."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < _CHAIN:
        frames = "".join(traceback.format_tb(seen.__traceback__))
        told.append(f"Traceback (most recent call last):\n{frames}{type(seen).__name__}: {escaped(str(seen))}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n\nwhich was caused by, or came up while handling:\n\n".join(told)
