"""The job that tells what is held: summaries of a minute, digests of a night."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flashcur.errors import DatabaseError
from flashcur.services.alerts.gathering import due_accounts, gather
from flashcur.services.notify.channel import Channel
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

AWAY_AFTER = 3
"""Accounts in a row, after which it is the database that fails and no account."""


class Gathering:
    """Looks each second, without a lock, whether anything is due, and tells it an account at a time."""

    def __init__(
        self, database: Database, channels: Mapping[str, Channel], base: str, clock: Callable[[], int]
    ) -> None:
        """`channels`: those of this server by name; `base`: origin of the pages; `clock` is Unix ms."""
        self._database = database
        self._channels = channels
        self._base = base
        self._clock = clock

    async def run(self) -> str:
        """Tell what is due; one line that says how much. An account that fails keeps no other waiting.

        Raises DatabaseError while the database is away, and what it had told until then stays told.
        """
        now_ms = self._clock()
        accounts = await self._database.run(lambda session: due_accounts(session, now_ms), readonly=True)
        messages = told = failed = in_a_row = 0
        for account_id in accounts:
            try:
                done = await self._database.run(
                    lambda session, account_id=account_id: gather(
                        session, account_id, self._channels, now_ms, self._base
                    )
                )
            except Exception as error:
                failed, in_a_row = failed + 1, in_a_row + 1
                if isinstance(error, DatabaseError) and in_a_row == AWAY_AFTER:
                    raise
                # A defect, or a value that the database refuses: the next version may tell it.
                logger.exception("what is held for account %s could not be told", account_id)
                continue
            in_a_row = 0
            messages, told = messages + done.messages, told + done.told
        said = f"{told} messages gathered into {messages}" if told else "nothing to gather"
        return f"{said}, {failed} accounts failed" if failed else said
