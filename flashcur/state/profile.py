"""The account page's acts. The account itself is shown by `AccountState`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import reflex as rx

from flashcur.errors import Refusal, SignInAgain
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.state.notice import refuse, say
from flashcur.state.visit import act, form_text, tell, text


class ProfileState(rx.State):
    """What became of a form; it holds nothing that is somebody's."""

    form: str = ""
    """The form that `problem` or `done` is about: `address`, `password`, or `key`, which is a button."""
    field: str = ""
    """Its field that is wrong."""
    problem: str = ""
    again: bool = False
    """Signing in again helps with the problem."""
    done: str = ""
    number: int = 0
    """Grows with each form that was done: the page empties it then."""
    new_key: str = ""
    """A placeholder, like those of `AccountState`: a key is told to the tab that asked for it and kept nowhere."""

    @rx.event
    async def change_address(self, form: dict[str, Any]) -> None:
        """Ask for another address: `email`, `password`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.profile.change_address(caller, form_text(form, "email"), form_text(form, "password", 1_000))
            return "We have sent a link to each address that has to agree. The change takes effect when all are opened."

        await self._submit("address", work)

    @rx.event
    async def change_password(self, form: dict[str, Any]) -> None:
        """Set a password: `password` (the present one, if there is one), `new`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.profile.change_password(
                caller, form_text(form, "password", 1_000), form_text(form, "new", 1_000)
            )
            return "Your password is set. Other devices are signed out."

        await self._submit("password", work)

    @rx.event
    async def set_theme(self, theme: str) -> None:
        """`system`, `dark` or `light`, on every device."""
        await self._do(lambda accounts, caller: _nothing(accounts.profile.set_theme(caller, text(theme, 20))))

    @rx.event
    async def set_time_zone(self, time_zone: str) -> None:
        """An IANA name."""
        await self._do(lambda accounts, caller: _nothing(accounts.profile.set_time_zone(caller, text(time_zone, 64))))

    @rx.event
    async def keep_view(self, query: str) -> None:
        """Keep how the market table is arranged, for the next visit and other devices."""
        await self._do(lambda accounts, caller: _nothing(accounts.profile.set_table_view(caller, text(query, 400))))

    @rx.event
    async def end_session(self, session_id: str) -> None:
        """Sign another device out."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.profile.end_session(caller, text(session_id, 64))
            return "That device is signed out."

        await self._do(work)

    @rx.event
    async def end_other_sessions(self) -> None:
        """Sign all other devices out."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            ended = await accounts.profile.end_other_sessions(caller)
            return "No other device was signed in." if not ended else "All other devices are signed out."

        await self._do(work)

    @rx.event
    async def unlink_wallet(self, address: str) -> None:
        """Take a wallet off the account."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.wallets.unlink(text(address, 64), caller)
            return "The wallet is unlinked."

        await self._do(work)

    @rx.event
    async def create_api_key(self) -> None:
        """Make a key for the API and show it, this once."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            key = await accounts.profile.create_api_key(caller)
            # Past this state, which may be written to Redis: nobody but the page ever holds the key.
            tell(self, {ProfileState: {"new_key": key}})
            return ""

        await self._submit("key", work)

    @rx.event
    async def delete_api_key(self, key_id: str) -> None:
        """Delete a key: programs that use it are refused from then on."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.profile.delete_api_key(caller, text(key_id, 64))
            return "The key is deleted."

        await self._do(work)

    async def _submit(self, form: str, work: Callable[[Accounts, Caller], Awaitable[str]]) -> None:
        self.form, self.field, self.problem, self.done, self.again = form, "", "", "", False
        try:
            self.done = await act(self, work)
            self.number += 1
        except Refusal as refusal:
            self.problem, self.field = str(refusal), refusal.field
            self.again = isinstance(refusal, SignInAgain)

    async def _do(self, work: Callable[[Accounts, Caller], Awaitable[str]]) -> None:
        try:
            done = await act(self, work)
        except Refusal as refusal:
            await refuse(self, refusal)
        else:
            # Without a word too: an earlier refusal is over.
            await say(self, done)


async def _nothing(work: Awaitable[None]) -> str:
    await work
    return ""
