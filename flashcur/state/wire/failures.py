"""What is logged when an event handler fails, here, in a browser or in a library; a visitor is shown nothing of it.

A traceback is for a fault of ours. What a visitor's message or a Redis that is away does to Reflex, Socket.IO and
Engine.IO is one line.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from pathlib import Path

from redis.exceptions import RedisError

from flashcur.services.kit import logs
from flashcur.services.kit.logs import escaped

logger = logging.getLogger(__name__)

REPORTS_A_MINUTE = 20
MOST_REPORTED = 2_000
"""Characters of a report that are looked at."""

_WRONG_CALL = (TypeError, ValueError)
_LIBRARIES = frozenset({"asyncio", "engineio", "reflex", "reflex_base", "socketio", "uvicorn"})
"""Whose records are looked at; in asyncio's are the tasks of all of them."""
_PROTOCOLS = frozenset({"engineio", "socketio"})
"""What these catch came out of a message, whatever it is."""
_CALLER = "process_event"
"""Reflex's function that calls a handler: an error without a deeper frame is one of the arguments."""


class _Budget:
    """So many lines a minute, in this process."""

    def __init__(self) -> None:
        self._minute = -1
        self._left = 0

    def take(self) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._left = minute, REPORTS_A_MINUTE
        self._left -= 1
        return self._left >= 0


_reports = _Budget()
_ADDRESS_TAIL = re.compile(r"(?<=[\w/])[?#][^\s\"'<>()]+")
"""A query and what is behind a `#`: browsers name addresses in their errors, and a mailed link's code is there."""


def log_handler_error(exception: Exception) -> None:
    """Reflex's `backend_exception_handler`: a traceback, or one line where the arguments do not fit the handler."""
    frames = list(traceback.walk_tb(exception.__traceback__))
    frame = next((frame for frame, _ in reversed(frames) if frame.f_code.co_name == _CALLER), None)
    name = frame.f_locals.get("handler_name", "an event handler") if frame else "an event handler"
    if isinstance(exception, _WRONG_CALL) and frames and frames[-1][0] is frame:
        logger.warning("%s was called with arguments that do not fit: %s", name, escaped(str(exception)))
        return
    if isinstance(exception, RedisError):
        logger.warning("%s failed, without Redis: %s", name, _brief(exception))
        return
    logger.error("%s failed", name, exc_info=exception)


def log_page_error(exception: Exception) -> None:
    """Reflex's `frontend_exception_handler`: what a browser reported, as one line; anybody can send anything here."""
    if _reports.take():
        logger.warning("a page reported: %s", escaped(_ADDRESS_TAIL.sub("…", str(exception)[:MOST_REPORTED])))


def shorten_library_records() -> None:
    """Have each record of a library that tells of a visitor's message or of a lost Redis be one line, for this process.

    Everything that is logged is guarded from then on (`services/kit/logs.py`).
    """
    logs.guard_records()
    logs.one_line_for(_expected)


def _expected(name: str, error: BaseException) -> str | None:
    library = name.partition(".")[0]
    kind = Exception if library in _PROTOCOLS else RedisError
    return _brief(error) if library in _LIBRARIES and isinstance(error, kind) else None


def _brief(error: BaseException) -> str:
    """An error's kind, text and place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {escaped(str(error))}{place}"
