"""Episodes in the database: where each contract stands to the regions of the detectors, for the next engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.signal import DetectorName, Origin
from flashcur.models import SignalEpisode
from flashcur.services.storage.inserts import insert_into

_KEY = ("exchange", "demo", "detector", "symbol", "part")


def save_episodes(session: Session, episodes: Iterable[Episode]) -> None:
    """Write down where contracts stand, in the order given, unless something newer is known."""
    newest = {(each.origin.exchange, each.origin.demo, *each.key): each for each in episodes}
    if not newest:
        return
    statement = insert_into(session, SignalEpisode)
    fresh = statement.excluded
    # In one order, so that two engines that overlap do not hold each other up.
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=_KEY,
            set_={"inside": fresh.inside, "at_ms": fresh.at_ms},
            where=col(SignalEpisode.at_ms) <= fresh.at_ms,
        ),
        [
            {**dict(zip(_KEY, key, strict=True)), "inside": newest[key].inside, "at_ms": newest[key].at_ms}
            for key in sorted(newest)
        ],
    )


def load_episodes(session: Session, origin: Origin) -> list[Episode]:
    """Where the contracts of an exchange stood last."""
    query = select(SignalEpisode).where(
        col(SignalEpisode.exchange) == origin.exchange, col(SignalEpisode.demo).is_(origin.demo)
    )
    return [
        Episode(origin, cast("DetectorName", row.detector), row.symbol, row.part, row.inside, row.at_ms)
        for row in session.exec(query)
    ]


def prune_episodes(session: Session, before_ms: int) -> int:
    """Delete what has not changed since `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(SignalEpisode).where(col(SignalEpisode.at_ms) < before_ms)).rowcount


def purge_demo_episodes(session: Session) -> int:
    """Delete the episodes of demo data; returns how many."""
    return session.exec(delete(SignalEpisode).where(col(SignalEpisode.demo))).rowcount
