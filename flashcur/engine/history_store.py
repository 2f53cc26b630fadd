"""What is kept of contracts' past, in the database: read a few contracts at a time, written in small transactions.

What is to be kept waits here while the database is away: detectors go on with what they have learned.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle
from flashcur.engine.live_market import VenueBook
from flashcur.services.records.funding_payments import load_payments, save_payments
from flashcur.services.records.hour_candles import load_volumes, save_hours
from flashcur.services.storage.database import Database

ROWS = 2_000
"""In one transaction: some 30 ms in which nothing else is written to an SQLite file."""
PAUSE_S = 0.05
"""Between two transactions: those who wait to write come in between."""
CAPACITY = 60_000
"""Rows that wait while the database is away; the oldest give way, and are asked for again after the next start."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Hours or payments of one contract, or the newest hours of many."""

    exchange: str
    demo: bool
    hours: Sequence[Candle] = ()
    symbol: str = ""
    payments: Sequence[Payment] = ()

    def __len__(self) -> int:
        return len(self.hours) + len(self.payments)


class HistoryStore:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pieces: deque[_Piece] = deque()
        self.waiting = 0
        """Rows that are to be written."""
        self.dropped = 0
        """Rows that gave way to newer ones."""

    async def volumes(
        self, book: VenueBook, symbols: Sequence[str], first_ms: int
    ) -> dict[str, list[tuple[int, float]]]:
        """See `load_volumes`. Raises DatabaseError."""
        exchange, demo = book.venue.id, book.demo
        return await self._database.run(
            lambda session: load_volumes(session, exchange, symbols, demo=demo, first_ms=first_ms), readonly=True
        )

    async def payments(self, book: VenueBook, symbols: Sequence[str], first_ms: int) -> dict[str, list[Payment]]:
        """See `load_payments`. Raises DatabaseError."""
        exchange, demo = book.venue.id, book.demo
        return await self._database.run(
            lambda session: load_payments(session, exchange, symbols, demo=demo, first_ms=first_ms), readonly=True
        )

    def keep_hours(self, book: VenueBook, hours: Sequence[Candle]) -> None:
        """Have closed hours written with the next `flush`."""
        self._add(_Piece(book.venue.id, book.demo, hours))

    def keep_payments(self, book: VenueBook, symbol: str, payments: Sequence[Payment]) -> None:
        """Have payments of a contract written with the next `flush`."""
        self._add(_Piece(book.venue.id, book.demo, (), symbol, payments))

    async def flush(self) -> int:
        """Write what waits; returns how many rows. Raises DatabaseError, after which the rest still waits."""
        written = 0
        while self._pieces:
            if written:
                await asyncio.sleep(PAUSE_S)
            batch = self._batch()
            await self._database.run(lambda session, batch=batch: _save(session, batch))
            for piece in batch:
                # It may have given way meanwhile.
                if self._pieces and self._pieces[0] is piece:
                    self._pieces.popleft()
                    self.waiting -= len(piece)
                written += len(piece)
        return written

    def _add(self, piece: _Piece) -> None:
        if not len(piece):
            return
        self._pieces.append(piece)
        self.waiting += len(piece)
        while self.waiting > CAPACITY and len(self._pieces) > 1:
            gone = self._pieces.popleft()
            self.waiting -= len(gone)
            self.dropped += len(gone)

    def _batch(self) -> list[_Piece]:
        """The oldest pieces of one exchange, up to `ROWS`; at least one."""
        first = self._pieces[0]
        batch: list[_Piece] = []
        rows = 0
        for piece in self._pieces:
            rows += len(piece)
            if batch and (rows > ROWS or (piece.exchange, piece.demo) != (first.exchange, first.demo)):
                break
            batch.append(piece)
        return batch


def _save(session: Session, batch: Sequence[_Piece]) -> None:
    exchange, demo = batch[0].exchange, batch[0].demo
    save_hours(session, exchange, [candle for piece in batch for candle in piece.hours], demo=demo)
    payments: dict[str, list[Payment]] = {}
    for piece in batch:
        payments.setdefault(piece.symbol, []).extend(piece.payments)
    save_payments(session, exchange, payments, demo=demo)
