"""What an owner chooses of when alerts leave: quiet hours, whether urgent ones pass, a daily cap, a mute."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlmodel import Session

from flashcur.errors import Refusal
from flashcur.models import AlertSettings
from flashcur.services.accounts import sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts.alert_settings import plan_anew
from flashcur.services.kit.clock import to_ms

MOST_CAP = 1_000
"""Messages a day."""
MOST_MUTED_H = 168
_HOUR_MS = 3_600_000
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class AlertChoices:
    """See the module. Each raises SignInNeeded when signed out, Throttled after too many changes, and Unavailable while
    the database is away."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def save(self, caller: Caller, *, quiet: bool, from_: str, until: str, urgent_passes: bool, cap: str) -> None:
        """Keep them all. `from_` and `until`: `HH:MM` in the account's time zone; `cap`: whole messages a day.

        Raises Refusal (field `from`, `until` or `cap`) for what cannot be.
        """
        first, last = _minutes(from_, "from"), _minutes(until, "until")
        if quiet and first == last:
            raise Refusal("“Until” must differ from “From”.", field="until")
        if not (cap.isascii() and cap.isdigit() and len(cap) < 6 and 1 <= int(cap) <= MOST_CAP):
            raise Refusal(f"Enter a whole number from 1 to {MOST_CAP:,}.", field="cap")

        def work(row: AlertSettings) -> None:
            row.quiet, row.quiet_from_min, row.quiet_until_min = quiet, first, last
            row.urgent_passes, row.daily_cap = urgent_passes, int(cap)

        await self._change(caller, work)

    async def mute(self, caller: Caller, hours: int) -> None:
        """Have nothing leave for so many hours from now; 0: have it leave again. Raises Refusal for nonsense."""
        if not 0 <= hours <= MOST_MUTED_H:
            raise Refusal(f"Mute alerts for 1 to {MOST_MUTED_H} hours.")
        until_ms = to_ms(self._context.clock()) + hours * _HOUR_MS

        def work(row: AlertSettings) -> None:
            row.muted_until_ms = until_ms if hours else None

        await self._change(caller, work)

    async def _change(self, caller: Caller, work: Callable[[AlertSettings], None]) -> None:
        now = self._context.clock()

        def authorised(session: Session) -> None:
            account, _ = sessions.require(session, caller, now, locked=True)
            row = session.get(AlertSettings, caller.account_id) or AlertSettings(account_id=caller.account_id)
            work(row)
            session.add(row)
            plan_anew(session, account, row, to_ms(now))

        await self._context.charge_write(caller)
        await self._context.change(caller.account_id, authorised)


def _minutes(text: str, field: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise Refusal("Enter a time of day such as 22:30.", field=field)
    return int(match[1]) * 60 + int(match[2])
