"""Why a contract has no signal now: how far it is from each, as texts of a page."""

from __future__ import annotations

from typing import Any

from flashcur.domain.multiples import under_other_names
from flashcur.services.kit.clock import from_ms
from flashcur.state.reading import Reader


def distance_vars(reader: Reader, contract: str) -> dict[str, Any]:
    """`distances_of` (a symbol, empty where none is meant), `distances` and `distances_note` for what was typed.

    A plan is told what its table shows: of its contracts, at its moments, with open interest or without.
    """
    told: dict[str, Any] = {"distances_of": "", "distances": [], "distances_note": ""}
    if not contract:
        return told
    symbol = _meant(contract, reader)
    if symbol is None:
        return told
    told["distances_of"] = symbol
    snapshot = reader.distances
    known = [] if snapshot is None else snapshot.of(symbol)
    if snapshot is None and reader.distances_due_ms:
        due = from_ms(reader.distances_due_ms).astimezone(reader.zone)
        return {**told, "distances_note": f"Not known at this moment: again from {due:%H:%M %Z} on."}
    if snapshot is None or not known:
        return {**told, "distances_note": "Not known at this moment."}
    shown = [each for each in known if reader.plan.open_interest or each.detector != "open_interest"]
    at = from_ms(snapshot.as_of_ms).astimezone(reader.zone)
    return {
        **told,
        "distances": [
            {"text": each.text, "share": f"{max(0.0, min(1.0, each.share)) * 100:.0f}%", "near": _near(each.share)}
            for each in shown
        ],
        "distances_note": f"As of {at:%H:%M:%S %Z}.",
    }


def _near(share: float) -> str:
    return "there" if share >= 1 else ""


def _meant(contract: str, reader: Reader) -> str | None:
    if contract in reader.table:
        return contract
    found = under_other_names(contract, reader.table)
    return found[0] if len(found) == 1 else None
