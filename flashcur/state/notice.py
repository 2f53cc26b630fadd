"""One line that tells a visitor what became of a click."""

from __future__ import annotations

import time

import reflex as rx

from flashcur.errors import Refusal


class NoticeState(rx.State):
    """The notice of one tab; it holds nothing that is somebody's."""

    text: str = ""
    bad: bool = False
    link: str = ""
    """Where the person can do something about it."""
    link_text: str = ""
    number: int = 0
    """Grows with each notice, so that the same text shows again."""

    def _say(self, text: str, *, bad: bool = False, link: str = "", link_text: str = "") -> None:
        self.text, self.bad, self.link, self.link_text = text, bad, link, link_text
        # A state that was made anew must not use a number that the tab has seen.
        self.number = max(self.number + 1, time.time_ns() // 1_000_000)

    def _refuse(self, refusal: Refusal) -> None:
        """Say why something was not done, and what helps."""
        link, link_text = refusal.way_out
        self._say(str(refusal), bad=True, link=link, link_text=link_text)


async def say(state: rx.State, text: str, *, link: str = "", link_text: str = "") -> None:
    """Show `text` in the tab of `state`, and where there is more of it."""
    (await state.get_state(NoticeState))._say(text, link=link, link_text=link_text)


async def refuse(state: rx.State, refusal: Refusal) -> None:
    """Show in the tab of `state` why something was not done."""
    (await state.get_state(NoticeState))._refuse(refusal)
