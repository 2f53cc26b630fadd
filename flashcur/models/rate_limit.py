"""How much of an allowance has been used, shared by all processes."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field

from flashcur.models.base import Table


class RateLimit(Table, table=True):
    """GCRA (generic cell rate algorithm): one time says it all. The later it is, the more was used."""

    key: str = Field(primary_key=True, max_length=120)
    """Name of the limit and a hash of whom it counts for: no address is kept here."""
    arrival_ms: int = Field(sa_type=BigInteger, index=True)
    """Theoretical arrival time, Unix ms: from then on the allowance is whole again."""
