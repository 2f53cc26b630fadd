"""How much of its allowance somebody has used, shared by all processes."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field

from flashcur.models.base import Table


class RateLimit(Table, table=True):
    """GCRA: one time says it all. The larger it is, the more was used."""

    key: str = Field(primary_key=True, max_length=120)
    """Kind and a hash of whom it counts for: no addresses lie here."""
    arrival_ms: int = Field(sa_type=BigInteger, index=True)
    """Theoretical arrival time, Unix ms: from then on the allowance is whole again."""
