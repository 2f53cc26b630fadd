"""The market as the engine holds it: the book that is shown, and the one that is being filled after a switch.

Values of two exchanges (or of real and demo data) never meet in one book. After a switch the former book keeps being
shown, and ageing, until the new one can stand in for it: of its contracts on crypto it has prices for nine in ten, and
the volume ratios of the largest, so that the top of the table loses nothing; ratios are waited for only a few seconds,
because a price that is right now matters more. An exchange that comes back to its own data goes on in the book it had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flashcur.domain.book import MarketBook, Row, remember_open_interest
from flashcur.domain.signals.signal import Origin
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Instrument, OpenInterest, Reject, Tick
from flashcur.services.market.venues import Venue

logger = logging.getLogger(__name__)

PRICED_SHARE = 0.9
"""Fraction of its contracts on crypto for which a book that is to be shown has prices."""
RATIO_PATIENCE_MS = 5_000
"""How long a new book that has prices waits for the volume ratios of the largest contracts."""
RATIO_ROWS = 50
"""How many of the largest contracts' ratios are waited for."""
OLD_BOOK_MS = 60_000
"""A former book whose prices are older than this gives way to a new one that is less than complete."""

_REPETITIONS = ("stale", "duplicate")
"""A message that came late or twice says nothing against the value that is known."""

InstrumentChange = Literal["listed", "delisted"]
OnChange = Callable[["VenueBook", InstrumentChange, str], None]


@dataclass(slots=True, eq=False)
class VenueBook:
    """The book of one exchange, real or simulated, and the order its contracts are shown in."""

    venue: Venue
    demo: bool
    since_ms: int
    """When the exchange began (or began again) to serve, Unix ms."""
    book: MarketBook = field(default_factory=MarketBook)
    order: list[str] = field(default_factory=list[str])
    """Symbols in the order they are shown in."""
    sorted_hour: int = -1
    """Hour since 1970 in which `order` was sorted last; -1 before the first time."""

    @property
    def origin(self) -> Origin:
        """Whose market it is."""
        return Origin(self.venue.id, self.demo)

    def ranked(self) -> list[Row]:
        """All rows: crypto first, and of each half of the universe the largest 24 h volume first."""
        return sorted(self.book, key=_rank)

    @property
    def priced(self) -> bool:
        """Whether it has contracts on crypto, and prices for `PRICED_SHARE` of them."""
        rows = [row for row in self.book if row.instrument.is_crypto]
        return bool(rows) and sum(row.ticker is not None for row in rows) >= PRICED_SHARE * len(rows)

    def arrange(self, now_ms: int) -> None:
        """Sort by volume at first and at each full hour; in between new contracts join at the end, gone ones leave."""
        hour = now_ms // HOUR_MS
        if hour != self.sorted_hour:
            self.order = [row.instrument.symbol for row in self.ranked()]
            self.sorted_hour = hour
            return
        if len(self.order) == len(self.book) and all(symbol in self.book for symbol in self.order):
            return
        kept = [symbol for symbol in self.order if symbol in self.book]
        known = set(kept)
        new = [row.instrument.symbol for row in self.ranked() if row.instrument.symbol not in known]
        self.order = kept + new


class Observer(Protocol):
    """Is told what the book that is being filled has taken, at once. Must not block, nor raise."""

    def on_book(self, book: VenueBook) -> None:
        """From now on this book is filled: a new one, or one of before that goes on."""
        ...

    def on_instruments(self, book: VenueBook, instruments: Sequence[Instrument]) -> None:
        """The whole set of contracts, which the book holds already."""
        ...

    def on_tick(self, book: VenueBook, tick: Tick) -> None:
        """A tick that was news to the book."""
        ...


class LiveMarket:
    """Receives the market from `MarketSource` (it is its `Sink`) and says which book is shown."""

    def __init__(
        self, clock: Callable[[], int], on_change: OnChange, on_switch: Callable[[], None] = lambda: None
    ) -> None:
        """`clock` is Unix ms. `on_change` is told each contract that was listed or delisted while its exchange served;
        `on_switch` is called when an exchange begins to serve, before its first values are in the book.
        """
        self._clock = clock
        self._on_change = on_change
        self._switched = on_switch
        self.shown: VenueBook | None = None
        self._next: VenueBook | None = None
        self._observers: tuple[Observer, ...] = ()
        self.rejects = 0

    def observe(self, observer: Observer) -> None:
        """Have `observer` told from now on."""
        self._observers = (*self._observers, observer)

    @property
    def target(self) -> VenueBook | None:
        """The book of the exchange that serves now, to be filled and polled for; None before the first."""
        return self._next or self.shown

    def on_switch(self, venue: Venue, reason: str, demo: bool) -> None:
        """See `Sink.on_switch`: begin a new book, or go on in the one that is shown if it is this exchange's."""
        now_ms = self._clock()
        self._next = None
        self._switched()
        shown = self.shown
        if shown is not None and shown.venue.id == venue.id and shown.demo == demo:
            shown.since_ms = now_ms
            target = shown
        else:
            target = self._next = VenueBook(venue, demo, now_ms)
        for observer in self._observers:
            observer.on_book(target)

    def on_instruments(self, venue: Venue, instruments: list[Instrument]) -> None:
        """See `Sink.on_instruments`: what joins or leaves after the first time is told as listed or delisted."""
        target = self.target
        if target is None or target.venue.id != venue.id:
            return
        first = not len(target.book)
        joined, left = target.book.set_instruments(instruments)
        for observer in self._observers:
            observer.on_instruments(target, instruments)
        if first:
            return
        for symbol in joined:
            self._on_change(target, "listed", symbol)
        for symbol in left:
            self._on_change(target, "delisted", symbol)

    def on_tick(self, venue: Venue, tick: Tick) -> None:
        """See `Sink.on_tick`."""
        target = self._next or self.shown
        if target is not None:
            self.apply(target, tick)

    def apply(self, target: VenueBook, tick: Tick, *, alone: bool = False) -> bool:
        """Put a tick into a book (see `MarketBook.apply`), and tell of it if it was news. All ticks come this way."""
        taken = target.book.apply(tick, alone=alone)
        if taken:
            for observer in self._observers:
                observer.on_tick(target, tick)
        return taken

    def remember(self, target: VenueBook, symbol: str, history: Iterable[OpenInterest]) -> None:
        """Put past values of a contract's open interest into a book: its newest one is then judged by them."""
        row = target.book.row(symbol)
        if row is None:
            return
        # All of them, before anything is judged.
        if any([remember_open_interest(row, value) for value in history]) and row.open_interest is not None:
            for observer in self._observers:
                observer.on_tick(target, row.open_interest)

    def on_reject(self, venue: Venue, reject: Reject) -> None:
        """See `Sink.on_reject`."""
        self.rejects += 1
        target = self.target
        if target is not None and target.venue.id == venue.id and reject.reason not in _REPETITIONS:
            target.book.refuse(reject)

    def settle(self, now_ms: int) -> VenueBook | None:
        """The book to show at `now_ms` (Unix ms), arranged: the new one as soon as it can stand in for the former.

        None while there is nothing to show.
        """
        if self._next is not None and self._ready(self._next, now_ms):
            former, self.shown, self._next = self.shown, self._next, None
            if former is not None:
                logger.info("the table shows %s now", _name(self.shown))
        if self.shown is not None:
            self.shown.arrange(now_ms)
        return self.shown

    def _ready(self, book: VenueBook, now_ms: int) -> bool:
        if not book.priced:
            age_ms = None if self.shown is None else self.shown.book.silence_ms("ticker", now_ms)
            return age_ms is not None and age_ms > OLD_BOOK_MS and any(row.ticker is not None for row in book.book)
        if self.shown is None or now_ms >= book.since_ms + RATIO_PATIENCE_MS:
            return True
        largest = [row for row in book.ranked()[:RATIO_ROWS] if row.instrument.is_crypto]
        return all(row.candle is not None for row in largest)


def _rank(row: Row) -> tuple[bool, float]:
    return not row.instrument.is_crypto, 0.0 if row.ticker is None else -row.ticker.volume_quote


def _name(book: VenueBook) -> str:
    return f"{book.venue.name}{' (demo)' if book.demo else ''}"
