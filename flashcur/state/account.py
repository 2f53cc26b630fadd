"""The visitor's account as their tabs hold it.

`AccountState` is a picture of what `web.visitors` knows, in place of a state's own values (see `state.market`): it
is sent when a page loads or reconnects, and again to every tab of the account when something of it changes. So a tab's
server-side state never holds anything that is somebody's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from flashcur.domain.devices import device
from flashcur.domain.plans import CHANNEL_NAMES, Plan
from flashcur.domain.watchlists import frozen
from flashcur.services.accounts.channels import Place, Senders, reach
from flashcur.services.accounts.undelivered import UndeliveredView
from flashcur.services.accounts.view import AccountView, AlertsView, ApiKeyView, EventView, SessionView, WalletView
from flashcur.services.kit.clock import from_ms, to_ms
from flashcur.settings import CHAINS
from flashcur.settings.idn import shown_address
from flashcur.state.signal_texts import moment, wall_clock
from flashcur.state.wire.defaults import default_vars
from flashcur.web.visitors import Visitor

_METHODS = {"password": "password", "wallet": "wallet", "link": "link in a mail"}
_EVENTS = {
    "registered": "Account created",
    "confirmed": "Address confirmed",
    "signed-in": "Signed in",
    "sign-in-failed": "Sign-in failed",
    "locked": "Too many attempts to sign in",
    "signed-out": "Signed out",
    "session-ended": "Session ended",
    "reset-asked": "Password reset asked for",
    "password-reset": "Password reset",
    "password-changed": "Password changed",
    "address-change-asked": "Change of address asked for",
    "address-changed": "Address changed",
    "wallet-linked": "Wallet linked",
    "wallet-unlinked": "Wallet unlinked",
    "plan-changed": "Plan changed",
    "api-key-created": "API key created",
    "api-key-deleted": "API key deleted",
    "channel-connected": "Channel connected",
    "channel-removed": "Channel removed",
    "data-exported": "Data exported",
    "mail-failed": "Mail not delivered",
}


class AccountState(rx.State):
    """See the module. Every var is a placeholder."""

    reached: bool = False
    """The server has said who this is."""
    trouble: bool = False
    """A cookie came and accounts cannot be reached: it is tried again."""
    signed_in: bool = False
    name: str = ""
    email: str = ""
    undelivered: list[str] = []
    """Sentences about addresses that our last mail did not reach."""
    has_password: bool = False
    admin: bool = False
    plan: str = "guest"
    plan_title: str = "Guest"
    plan_note: str = ""
    """Until when, or since when not; empty for a plan without an end."""
    theme: str = ""
    """`system`, `dark` or `light`; empty for a guest, whose browser keeps it."""
    time_zone: str = "UTC"
    table_view: str = ""
    """How the market table was last arranged, as its address has it."""
    signals_read: int = 0
    """`id` of the newest signal that its owner has been shown."""
    read_at: int = 0
    """When it was read, Unix ms: what else a page shows of an account is asked for anew when this rises."""
    notifies: bool = False
    """Whether this browser is known to have allowed notifications."""
    alerts_read: int = 0
    """`id` of the newest alert that its owner has been shown."""
    alerts: dict[str, str] = {}
    """How it wants them: `quiet`, `urgent` (`1` or empty), `from`, `until` (`22:00`), `cap`, `muted` (until when, Unix
    ms; empty where they are not), `muted_text`."""
    channels: list[dict[str, str]] = []
    """Each channel: `name`, `title`, `ok`, `text`, `link`, `link_text`, `plan` and `here` (`1` where the plan has it,
    and where this server can send by it)."""
    places: list[dict[str, str]] = []
    """Where messages go: `id`, `channel`, `name`, `hint`, `state` (`on`, `off`, `unconfirmed`), `why`, `added`,
    `used`."""
    created: str = ""
    wallets: list[dict[str, str]] = []
    """`address`, `short`, `chain`, `linked`, `used`."""
    api: bool = False
    """Whether the plan has the API."""
    api_keys: list[dict[str, str]] = []
    """`id`, `hint`, `created`, `used`."""
    sessions: list[dict[str, str]] = []
    """`id`, `device`, `ip`, `method`, `created`, `seen`, `current` (`1` for this browser's)."""
    events: list[dict[str, str]] = []
    """`what`, `detail`, `when`, `ip`, `strange` (`1` for what somebody else may have tried)."""
    lists: list[dict[str, str]] = []
    """`id`, `name`, `symbols` (joined by |), `count`, `frozen` (`1` when read-only)."""
    lists_used: int = 0
    """Without those that are read-only; so are `symbols_used`."""
    lists_most: int = 0
    symbols_used: int = 0
    symbols_most: int = 0
    exports: list[str] = []
    """Formats that the plan exports."""


_senders: Senders = {}


def connect(senders: Senders) -> None:
    """Tell the states of this process by which channels messages can leave."""
    global _senders
    _senders = senders


def account_vars(visitor: Visitor, plan: Plan) -> dict[str, Any]:
    """AccountState's vars by name for a visitor; `plan` is the one they see by (a guest has one, too)."""
    account = visitor.account
    values = default_vars(AccountState)
    values |= {"reached": True, "trouble": visitor.unsure}
    if account is None:
        return values | {"plan": plan.audience, "plan_title": plan.title}
    zone = ZoneInfo(account.time_zone)
    return values | {
        "signed_in": True,
        "name": account.name,
        "email": shown_address(account.email or ""),
        "undelivered": [_undelivered(each, zone) for each in account.undelivered],
        "has_password": account.has_password,
        "admin": account.admin,
        "plan": plan.audience,
        "plan_title": plan.title,
        "plan_note": _plan_note(account, zone),
        "theme": account.theme,
        "time_zone": account.time_zone,
        "table_view": account.table_view,
        "signals_read": account.signals_read,
        "read_at": to_ms(account.read_at),
        "notifies": any(each.notifies for each in account.sessions if each.id == visitor.session_id),
        "alerts_read": account.alerts.read,
        "alerts": _alerts(account.alerts, zone),
        "channels": _channels(account, plan),
        "places": [_place(place, zone) for place in account.places],
        "created": _day(account.created_at, zone),
        "wallets": [_wallet(wallet, zone) for wallet in account.wallets],
        "api": plan.api,
        "api_keys": [_api_key(key, zone) for key in account.api_keys],
        "sessions": [_session(login, visitor.session_id, zone) for login in account.sessions],
        "events": [_event(event, zone) for event in account.events],
        "lists": _lists(account, plan),
        "lists_used": min(len(account.lists), plan.watchlists),
        "lists_most": plan.watchlists,
        "symbols_used": len({symbol for each in account.lists[: plan.watchlists] for symbol in each.symbols}),
        "symbols_most": plan.watchlist_symbols,
        "exports": list(plan.exports),
    }


def _plan_note(account: AccountView, zone: ZoneInfo) -> str:
    if account.plan_until is None:
        return ""
    word = "until" if account.plan_until > account.read_at else "ended"
    return f"{word} {_moment(account.plan_until, zone)}"


def _undelivered(mail: UndeliveredView, zone: ZoneInfo) -> str:
    return (
        f"Our mail of {_moment(mail.written_at, zone)} to {shown_address(mail.recipient)} could not be delivered, and "
        "we have given it up. If the address is wrong, change it; if it is right, its mailbox may refuse our mail."
    )


def _wallet(wallet: WalletView, zone: ZoneInfo) -> dict[str, str]:
    return {
        "address": wallet.address,
        "short": f"{wallet.address[:6]}…{wallet.address[-4:]}",
        "chain": CHAINS.get(wallet.chain_id, str(wallet.chain_id)),
        "linked": _day(wallet.linked_at, zone),
        "used": _moment(wallet.used_at, zone),
    }


def _api_key(key: ApiKeyView, zone: ZoneInfo) -> dict[str, str]:
    return {
        "id": key.id,
        "hint": key.hint,
        "created": _day(key.created_at, zone),
        "used": "never" if key.used_at is None else _moment(key.used_at, zone),
    }


def _session(login: SessionView, current: str, zone: ZoneInfo) -> dict[str, str]:
    return {
        "id": login.id,
        "device": device(login.user_agent),
        "ip": login.ip,
        "method": _METHODS.get(login.method, login.method),
        "created": _moment(login.created_at, zone),
        "seen": _moment(login.seen_at, zone),
        "current": "1" if login.id == current else "",
    }


def _event(event: EventView, zone: ZoneInfo) -> dict[str, str]:
    return {
        "what": _EVENTS.get(event.kind, event.kind),
        "detail": event.detail,
        "when": _moment(event.at, zone),
        "ip": event.ip,
        "strange": "1" if event.kind in ("sign-in-failed", "locked") else "",
    }


def _alerts(alerts: AlertsView, zone: ZoneInfo) -> dict[str, str]:
    muted = alerts.muted_until_ms
    return {
        "quiet": "1" if alerts.quiet else "",
        "from": wall_clock(alerts.quiet_from_min),
        "until": wall_clock(alerts.quiet_until_min),
        "urgent": "1" if alerts.urgent_passes else "",
        "cap": str(alerts.daily_cap),
        "muted": "" if muted is None else str(muted),
        "muted_text": "" if muted is None else moment(muted, zone),
    }


def _channels(account: AccountView, plan: Plan) -> list[dict[str, str]]:
    browsers = list(dict.fromkeys(device(each.user_agent) for each in account.sessions if each.notifies))
    found = reach(plan, account.email, account.places, browsers, _senders)
    return [
        {
            "name": name,
            "title": CHANNEL_NAMES[name],
            "ok": "1" if told.ok else "",
            "text": told.text,
            "link": told.link,
            "link_text": told.link_text,
            "plan": "1" if name in plan.channels else "",
            "here": "1" if name in ("in-app", "browser") or (name in _senders and not _senders[name].problem) else "",
        }
        for name, told in found.items()
    ]


def _place(place: Place, zone: ZoneInfo) -> dict[str, str]:
    return {
        "id": place.id,
        "channel": place.channel,
        "name": place.name,
        "hint": "" if place.hint == place.name else place.hint,
        "state": "on" if place.on else "unconfirmed" if place.state == "unconfirmed" else "off",
        "why": place.why,
        "added": _day(from_ms(place.created_ms), zone),
        "used": "" if place.used_ms is None else _moment(from_ms(place.used_ms), zone),
        "ends": "" if place.ends_ms is None or not place.on else _day(from_ms(place.ends_ms), zone),
    }


def _lists(account: AccountView, plan: Plan) -> list[dict[str, str]]:
    closed = frozen(account.lists, plan)
    return [
        {
            "id": each.id,
            "name": each.name,
            "symbols": "|".join(each.symbols),
            "count": str(len(each.symbols)),
            "frozen": "1" if each.id in closed else "",
        }
        for each in account.lists
    ]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    """`27 Nov 2026, 13:05`, in the account's zone, which the page names once."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def _day(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y}"
