"""What is logged when an event handler fails, here or in a browser; a visitor is shown nothing of it."""

from __future__ import annotations

import logging
import time
import traceback

logger = logging.getLogger(__name__)

MAX_REPORT = 1000
"""Characters of a browser's report that are logged."""
REPORTS_A_MINUTE = 20

_WRONG_CALL = (TypeError, ValueError)
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


def log_handler_error(exception: Exception) -> None:
    """Reflex's `backend_exception_handler`: a traceback, or one line where the arguments do not fit the handler."""
    frames = list(traceback.walk_tb(exception.__traceback__))
    frame = next((frame for frame, _ in reversed(frames) if frame.f_code.co_name == _CALLER), None)
    name = frame.f_locals.get("handler_name", "an event handler") if frame else "an event handler"
    if isinstance(exception, _WRONG_CALL) and frames and frames[-1][0] is frame:
        logger.warning("%s was called with arguments that do not fit: %s", name, printable(str(exception)))
        return
    logger.error("%s failed", name, exc_info=exception)


def log_page_error(exception: Exception) -> None:
    """Reflex's `frontend_exception_handler`: what a browser reported, as one line; anybody can send anything here."""
    if _reports.take():
        logger.warning("a page reported: %s", printable(str(exception)))


def printable(text: str) -> str:
    """One line without control characters, at most MAX_REPORT characters."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_REPORT])
