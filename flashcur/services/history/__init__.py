"""A market's past in files, for replays: candles, open interest and funding as CSV or Parquet."""

from flashcur.services.history.files import read_series
from flashcur.services.history.layouts import CANDLES, FUNDING, OPEN_INTEREST, Column, Layout
from flashcur.services.history.rows import candle_rows, open_interest_rows, payment_rows
from flashcur.services.history.series import Series
from flashcur.services.history.told import Told, read_told

__all__ = [
    "CANDLES",
    "FUNDING",
    "OPEN_INTEREST",
    "Column",
    "Layout",
    "Series",
    "Told",
    "candle_rows",
    "open_interest_rows",
    "payment_rows",
    "read_series",
    "read_told",
]
