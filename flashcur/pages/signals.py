"""`/signals`: all that was found, by filters that the address holds, and what followed."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.site import page_frame
from flashcur.components.signals.evidence_sheet import evidence_sheet
from flashcur.components.signals.filters import filters
from flashcur.components.signals.signal_list import list_is_there, signal_list
from flashcur.components.signals.statistics import statistics

TITLE = "Signals: FlashCur"
DESCRIPTION = "Volume spikes, surges of open interest, extreme funding and new listings of perpetuals, explained."


def signals() -> rx.Component:
    return page_frame(
        filters(),
        signal_list(),
        statistics(list_is_there()),
        evidence_sheet(),
        title="Signals",
        lead="What is unusual in crypto perpetual futures, with the reasons for each.",
        wide=True,
    )
