"""An account as its owner's pages show it: one document, read as a whole whenever something of it changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from flashcur.domain.plans import Plan
from flashcur.models import Account, AlertSettings, AuditEvent, LoginSession
from flashcur.services.accounts import api_keys, audit, channels, sessions, undelivered, wallets, watchlists
from flashcur.services.accounts.channels import Place
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.undelivered import UndeliveredView
from flashcur.services.accounts.watchlists import ListView
from flashcur.settings.idn import shown_address


@dataclass(frozen=True, slots=True)
class WalletView:
    """A linked wallet; see `models.Wallet`."""

    address: str
    chain_id: int
    linked_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """An API key without the key; see `models.ApiKey`."""

    id: str
    hint: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session that is not over, without its token; see `models.LoginSession`."""

    id: str
    method: str
    created_at: datetime
    seen_at: datetime
    ip: str
    user_agent: str
    notifies: bool


@dataclass(frozen=True, slots=True)
class EventView:
    """An event of the audit log; see `models.AuditEvent`."""

    at: datetime
    kind: str
    actor: str
    detail: str
    ip: str


@dataclass(frozen=True, slots=True)
class AlertsView:
    """How an account wants its alerts; see `models.AlertSettings`."""

    quiet: bool
    quiet_from_min: int
    quiet_until_min: int
    urgent_passes: bool
    daily_cap: int
    muted_until_ms: int | None
    read: int
    """`id` of the newest alert that its owner has been shown."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """See the module. Times are aware, in UTC; nothing secret is in it."""

    id: str
    email: str | None
    """As it is kept, its domain in ASCII."""
    has_password: bool
    plan: Plan
    """As it is at `read_at`."""
    plan_source: str
    plan_until: datetime | None
    theme: str
    time_zone: str
    table_view: str
    signals_read: int
    """`id` of the newest signal that its owner has been shown."""
    created_at: datetime
    admin: bool
    """Whether its address is among those that administrate."""
    wallets: tuple[WalletView, ...]
    """The first linked first."""
    api_keys: tuple[ApiKeyView, ...]
    """The oldest first."""
    sessions: tuple[SessionView, ...]
    """The last used first."""
    events: tuple[EventView, ...]
    """The newest 20, the newest first."""
    lists: tuple[ListView, ...]
    """Watchlists in their order."""
    places: tuple[Place, ...]
    """Where its messages go, besides its open tabs."""
    alerts: AlertsView
    undelivered: tuple[UndeliveredView, ...]
    """Addresses that the last mail did not reach: the account's own and the one that it is to get."""
    read_at: datetime

    @property
    def name(self) -> str:
        """What the page calls the account: its email address, or the first wallet's, shortened."""
        if self.email is not None:
            return shown_address(self.email)
        return f"{self.wallets[0].address[:6]}…{self.wallets[0].address[-4:]}" if self.wallets else "Account"


def read_account(session: Session, account: Account, admins: tuple[str, ...], now: datetime) -> AccountView:
    """The document of an account. `admins`: email addresses, in lower case, whose accounts administrate."""
    return AccountView(
        id=account.id,
        email=account.email,
        has_password=account.password_hash is not None,
        plan=plan_of(account, now),
        plan_source=account.plan_source,
        plan_until=account.plan_until,
        theme=account.theme,
        time_zone=account.time_zone,
        table_view=account.table_view,
        signals_read=account.signals_read,
        created_at=account.created_at,
        admin=account.email is not None and account.email in admins,
        wallets=tuple(
            WalletView(wallet.address, wallet.chain_id, wallet.linked_at, wallet.used_at)
            for wallet in wallets.of_account(session, account.id)
        ),
        api_keys=tuple(
            ApiKeyView(key.id, key.hint, key.created_at, key.used_at)
            for key in api_keys.of_account(session, account.id)
        ),
        sessions=tuple(map(_session, sessions.of_account(session, account.id, now))),
        events=tuple(map(_event, audit.recent(session, account.id))),
        lists=tuple(watchlists.lists(session, account.id)),
        places=channels.places(session, account),
        alerts=_alerts(session.get(AlertSettings, account.id) or AlertSettings(account_id=account.id)),
        undelivered=undelivered.of_account(session, account, now),
        read_at=now,
    )


def _alerts(row: AlertSettings) -> AlertsView:
    return AlertsView(
        row.quiet,
        row.quiet_from_min,
        row.quiet_until_min,
        row.urgent_passes,
        row.daily_cap,
        row.muted_until_ms,
        row.alerts_read,
    )


def _session(login: LoginSession) -> SessionView:
    return SessionView(
        login.id, login.method, login.created_at, login.seen_at, login.ip, login.user_agent, login.notifies
    )


def _event(event: AuditEvent) -> EventView:
    return EventView(event.at, event.kind, event.actor, event.detail, event.ip)
