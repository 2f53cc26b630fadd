"""Light or dark: Reflex's colour mode in this browser, and the account's theme on every device."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.style import resolved_color_mode, set_color_mode

from flashcur.state.account import AccountState
from flashcur.state.profile import ProfileState


def choose(mode: str | rx.Var[str]) -> list[Any]:
    """What a control does to show `system`, `dark` or `light`: at once, and kept for whoever is signed in."""
    return [set_color_mode(mode), rx.cond(AccountState.signed_in, ProfileState.set_theme(mode), rx.noop())]  # type: ignore[arg-type]


def switch() -> list[Any]:
    """From light to dark or back."""
    return choose(rx.cond(resolved_color_mode == "light", "dark", "light").to(str))
