"""A lease in PostgreSQL: an advisory lock on a connection of its own; the server drops it when the connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import zlib

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from flashcur.services.lease.port import Lease, LeaseUnavailable

CHECK_S = 2.0
CONNECT_TIMEOUT_S = 3
CHECK_TIMEOUT_S = 3.0

# How the server finds out that a holder's machine is gone: no answer for 3 s, then three more questions, 1 s apart.
_SERVER_KEEPALIVE = "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"


class PostgresLease(Lease):
    """`url` is an SQLAlchemy URL of PostgreSQL; leases of different names do not meet."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        address = make_url(url).set(drivername="postgresql+psycopg")
        # By the dialect: it knows how an address names several hosts.
        _, where = address.get_dialect()().create_connect_args(address)
        self._conninfo = make_conninfo(**where)
        self._key = zlib.crc32(f"flashcur lease {name}".encode())
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def _try_acquire(self) -> int | None:
        try:
            connection = await self._connect()
            row = await self._query(connection, "SELECT pg_try_advisory_lock(%s)", self._key)
            if row[0] is not True:
                return None
            # The server's clock is the same for all engines, so epochs grow.
            row = await self._query(connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        except (psycopg.Error, TimeoutError) as error:
            await self._disconnect()
            raise LeaseUnavailable(f"PostgreSQL: {' '.join(str(error).split())}") from error
        return int(str(row[0]))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._query(await self._connect(), "SELECT 1")
            except (psycopg.Error, TimeoutError) as error:
                await self._disconnect()
                raise LeaseUnavailable(f"the connection to PostgreSQL ended: {error}") from error

    async def _release(self) -> None:
        await self._disconnect()

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """The one connection: a standby keeps it between its attempts."""
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="flashcur lease",
                options=_SERVER_KEEPALIVE,
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    @staticmethod
    async def _query(
        connection: psycopg.AsyncConnection[tuple[object, ...]], statement: str, *arguments: object
    ) -> tuple[object, ...]:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            cursor = await connection.execute(statement.encode(), arguments or None)
            row = await cursor.fetchone()
        if row is None:
            raise psycopg.DataError(f"expected a row from {statement!r}")
        return row
