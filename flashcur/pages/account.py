"""`/account`: the plan, the ways in, devices, preferences, data."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.account_sections import account_sections
from flashcur.components.account.auth_forms import address_done, for_accounts
from flashcur.components.kit.site import page_frame

TITLE = "Account: FlashCur"
DESCRIPTION = "Your FlashCur account: plan, sign-in, devices, preferences and data."


def account() -> rx.Component:
    return page_frame(
        address_done(),
        for_accounts(account_sections(), why="Sign in to see your account.", path="/account"),
        title="Account",
    )
