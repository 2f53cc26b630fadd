"""The tables. Importing this package makes all of them known to `metadata`."""

from flashcur.models.base import UtcDateTime, metadata
from flashcur.models.instrument_event import InstrumentEvent
from flashcur.models.job_run import JobRun
from flashcur.models.mark_frame import MarkFrame

__all__ = ["InstrumentEvent", "JobRun", "MarkFrame", "UtcDateTime", "metadata"]
