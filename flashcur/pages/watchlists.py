"""`/watchlists`: the lists, and what can be done with them."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.auth_forms import for_accounts
from flashcur.components.account.watchlist_editor import watchlist_editor
from flashcur.components.kit.site import page_frame

TITLE = "Watchlists: FlashCur"
DESCRIPTION = "Your watchlists of perpetual futures, to and from TradingView."


def watchlists() -> rx.Component:
    return page_frame(
        for_accounts(
            watchlist_editor(),
            why="A watchlist keeps the contracts that you follow, on every device. It comes with every account, also "
            "the free one.",
            path="/watchlists",
        ),
        title="Watchlists",
    )
