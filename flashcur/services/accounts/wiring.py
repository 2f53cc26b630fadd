"""The services of accounts, wired for one web process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flashcur.services.accounts.channels import Channels, Senders
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.passwords import Hasher
from flashcur.services.accounts.profile import Profile
from flashcur.services.accounts.push_subscriptions import PushSubscriptions
from flashcur.services.accounts.registration import Registration
from flashcur.services.accounts.wallets import WalletAccounts
from flashcur.services.accounts.watchlists import Watchlists
from flashcur.services.alerts.alert_choices import AlertChoices
from flashcur.services.alerts.inbox import Inbox
from flashcur.services.alerts.rules import Rules
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.services.kit.clock import utc_now
from flashcur.services.kit.time_zones import time_zones
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses


class Accounts:
    """All of them, on one database and one clock. Close them with `close`."""

    def __init__(
        self, settings: Settings, where: Addresses, database: Database, told: Callable[[], None], senders: Senders
    ) -> None:
        """`told` is called after each change to an account that this process has committed."""
        self.hasher = Hasher()
        self.checker = SignatureChecker(settings)
        self.context = Context(settings, database, self.hasher, where.page, utc_now, told)
        self.registration = Registration(self.context)
        self.wallets = WalletAccounts(self.context, self.checker)
        self.profile = Profile(self.context)
        self.watchlists = Watchlists(self.context)
        self.push = PushSubscriptions(self.context)
        self.rules = Rules(self.context)
        self.channels = Channels(self.context, senders)
        self.inbox = Inbox(self.context)
        self.alert_choices = AlertChoices(self.context)

    async def warm(self) -> None:
        """Import what the first wallet's signature needs, and read the names of time zones, in a thread.

        It takes seconds, which nobody should wait for.
        """
        await asyncio.to_thread(self.checker.warm)
        await asyncio.to_thread(time_zones)

    def close(self) -> None:
        """End the threads that hash passwords; work that waits for them is dropped."""
        self.hasher.close()
        self.checker.close()
