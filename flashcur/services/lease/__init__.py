"""The lease of the one active engine."""

from flashcur.services.lease.file_lease import FileLease
from flashcur.services.lease.port import TAKEOVER_S, Lease, LeaseLost, LeaseUnavailable, Tenure
from flashcur.services.lease.postgres_lease import PostgresLease
from flashcur.services.lease.redis_lease import RedisLease
from flashcur.settings import Settings

__all__ = [
    "TAKEOVER_S",
    "FileLease",
    "Lease",
    "LeaseLost",
    "LeaseUnavailable",
    "PostgresLease",
    "RedisLease",
    "Tenure",
    "make_lease",
]


def make_lease(settings: Settings, name: str = "engine") -> Lease:
    """A lease in Redis where it is configured, else in PostgreSQL, else on a file in the data directory.

    Leases of different names do not meet. Nothing is opened yet.
    """
    if settings.redis_url:
        return RedisLease(settings.redis_url, name)
    if settings.database_url.startswith("postgresql"):
        return PostgresLease(settings.database_url, name)
    return FileLease(settings.data_dir / f"{name}.lock")
