"""The job that tells what is held: summaries of a minute, digests of a night."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flashcur.services.alerts.gathering import due_accounts, gather
from flashcur.services.notify.channel import Channel
from flashcur.services.storage.database import Database


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
        """Tell what is due; one line that says how much. Raises DatabaseError, and what it had told until then stays
        told."""
        now_ms = self._clock()
        accounts = await self._database.run(lambda session: due_accounts(session, now_ms), readonly=True)
        messages = told = 0
        for account_id in accounts:
            done = await self._database.run(
                lambda session, account_id=account_id: gather(session, account_id, self._channels, now_ms, self._base)
            )
            messages, told = messages + done.messages, told + done.told
        return f"{told} messages gathered into {messages}" if told else "nothing to gather"
