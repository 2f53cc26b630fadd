"""What a tab does with the channels of its account. The channels themselves are shown by `AccountState`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import reflex as rx

from flashcur.errors import Refusal
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wiring import Accounts
from flashcur.state import visit
from flashcur.state.notice import refuse, say
from flashcur.state.visit import act, form_text, tell, text

_MOST_ID = 64
_MOST_URL = 2_000
_CONNECTED = "Connected. Send a test to check that it arrives."
_BY_URL = ("discord", "slack", "webhook")


class ChannelsState(rx.State):
    """What became of a form; it holds nothing that is somebody's."""

    form: str = ""
    """The form that the following is about: the name of a channel, or `rename`."""
    place: str = ""
    """The place that it is about, where there is one."""
    field: str = ""
    """Its field that is wrong."""
    problem: str = ""
    link: str = ""
    """Where the person can do something about it."""
    link_text: str = ""
    done: str = ""
    secret: str = ""
    """A placeholder, as `secret_of`, `telegram_url` and `telegram_group_url` are: what opens something is told to the
    tab that asked for it and kept nowhere."""
    secret_of: str = ""
    """The place whose signing secret that is."""
    telegram_url: str = ""
    telegram_group_url: str = ""
    number: int = 0
    """Grows with each form that was done: the page empties it then."""

    @rx.event
    async def connect_url(self, form: dict[str, Any]) -> None:
        """Send to a webhook: `channel` (`discord`, `slack` or `webhook`), `url`, `name` (may be empty)."""
        channel = form.get("channel")

        async def work(accounts: Accounts, caller: Caller) -> str:
            url, name = form_text(form, "url", _MOST_URL), form_text(form, "name")
            made = await accounts.channels.connect_url(caller, text(channel, _MOST_ID), url, name)
            if made.secret:
                self._tell_secret(made.place_id, made.secret)
            self.place = made.place_id
            return _CONNECTED

        await self._submit(channel if channel in _BY_URL else "webhook", work)

    @rx.event
    async def new_secret(self, place_id: str) -> None:
        """Make another signing secret and show it, this once."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            named = text(place_id, _MOST_ID)
            self._tell_secret(named, await accounts.channels.new_secret(caller, named))
            return ""

        await self._do(work)

    @rx.event
    async def rename(self, form: dict[str, Any]) -> None:
        """Another `name` for the place `id`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.rename(caller, form_text(form, "id", _MOST_ID), form_text(form, "name"))
            return "Renamed."

        await self._submit("rename", work, str(form.get("id", ""))[:_MOST_ID])

    @rx.event
    async def remove(self, place_id: str) -> None:
        """Forget a place."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.remove(caller, text(place_id, _MOST_ID))
            return "Removed. It gets no more messages."

        await self._do(work)

    @rx.event
    async def switch_on(self, place_id: str) -> None:
        """Send to a place again."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.switch_on(caller, text(place_id, _MOST_ID))
            return "Switched on."

        await self._do(work)

    @rx.event
    async def switch_off(self, place_id: str) -> None:
        """Send nothing to a place until it is switched on again."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.switch_off(caller, text(place_id, _MOST_ID))
            return "Switched off. It gets no messages until you switch it on again."

        await self._do(work)

    @rx.event
    async def test(self, place_id: str) -> None:
        """Send a test message to a place; its way is told by `AlertsState.tests`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.test(caller, text(place_id, _MOST_ID))
            return ""

        await self._do(work)
        runtime = visit.runtime()
        if runtime is not None:
            runtime.alerts.poke()

    @rx.event
    async def save_hours(self, form: dict[str, Any]) -> None:
        """Quiet hours and the daily cap: `quiet` and `urgent` (there where they are ticked), `from`, `until`, `cap`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.alert_choices.save(
                caller,
                quiet=bool(form_text(form, "quiet")),
                from_=form_text(form, "from"),
                until=form_text(form, "until"),
                urgent_passes=bool(form_text(form, "urgent")),
                cap=form_text(form, "cap").strip(),
            )
            return "Saved."

        await self._submit("hours", work)

    @rx.event
    async def mute(self, hours: str) -> None:
        """Have nothing leave for so many hours; `0`: have it leave again."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            named = text(hours, 4)
            await accounts.alert_choices.mute(caller, int(named) if named.isascii() and named.isdigit() else -1)
            return ""

        await self._do(work)

    @rx.event
    async def begin_telegram(self) -> None:
        """Make a link that connects a chat of Telegram, and show it to this tab."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            link = await accounts.channels.begin_telegram(caller)
            # Whoever has it can connect a chat: see `_tell_secret`.
            tell(self, {ChannelsState: {"telegram_url": link.url, "telegram_group_url": link.group_url}})
            return ""

        await self._submit("telegram", work)

    @rx.event
    async def begin_sms(self, form: dict[str, Any]) -> None:
        """Send a code to a `number`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            await accounts.channels.begin_sms(caller, form_text(form, "number", _MOST_ID))
            return "We sent you a code."

        await self._submit("sms", work)

    @rx.event
    async def confirm_sms(self, form: dict[str, Any]) -> None:
        """Take the `code` that was sent to the number `id`."""

        async def work(accounts: Accounts, caller: Caller) -> str:
            place_id, code = form_text(form, "id", _MOST_ID), form_text(form, "code", _MOST_ID)
            await accounts.channels.confirm_sms(caller, place_id, code)
            self.place = place_id
            return _CONNECTED

        await self._submit("sms-code", work)

    @rx.event
    async def put_away(self) -> None:
        """Forget what was said of a form, and a secret with it: it was read, or its part of the page was left."""
        self.form, self.place, self.field, self.problem, self.done = "", "", "", "", ""
        self.link, self.link_text = "", ""
        tell(self, {ChannelsState: {"secret": "", "secret_of": ""}})

    def _tell_secret(self, place_id: str, secret: str) -> None:
        # Past this state, which may be written to Redis: nobody but the page ever holds it.
        tell(self, {ChannelsState: {"secret": secret, "secret_of": place_id}})

    async def _submit(self, form: str, work: Callable[[Accounts, Caller], Awaitable[str]], place: str = "") -> None:
        self.place = place
        self.form, self.field, self.problem, self.done = form, "", "", ""
        self.link, self.link_text = "", ""
        try:
            self.done = await act(self, work)
            self.number += 1
        except Refusal as refusal:
            self.problem, self.field = str(refusal), refusal.field
            self.link, self.link_text = refusal.way_out

    async def _do(self, work: Callable[[Accounts, Caller], Awaitable[str]]) -> None:
        try:
            done = await act(self, work)
        except Refusal as refusal:
            await refuse(self, refusal)
        else:
            # Without a word too: an earlier refusal is over.
            await say(self, done)
