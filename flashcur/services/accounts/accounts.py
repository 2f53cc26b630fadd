"""The services of accounts, wired for one web process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flashcur.services.accounts.context import Context
from flashcur.services.accounts.passwords import Hasher
from flashcur.services.accounts.profile import Profile
from flashcur.services.accounts.registration import Registration
from flashcur.services.accounts.wallets import WalletAccounts
from flashcur.services.accounts.watchlists import Watchlists
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses


class Accounts:
    """Made once the database is known."""

    def __init__(self, settings: Settings, where: Addresses, database: Database, told: Callable[[], None]) -> None:
        """`told` is called after each change that this process made."""
        self.hasher = Hasher()
        self.checker = SignatureChecker(settings)
        self.context = Context(settings, database, self.hasher, where.page, utc_now, told)
        self.registration = Registration(self.context)
        self.wallets = WalletAccounts(self.context, self.checker)
        self.profile = Profile(self.context)
        self.watchlists = Watchlists(self.context)

    async def warm(self) -> None:
        """Import what the first wallet's signature needs: it takes seconds, and not while somebody waits."""
        await asyncio.to_thread(self.checker.warm)

    def close(self) -> None:
        self.hasher.close()
