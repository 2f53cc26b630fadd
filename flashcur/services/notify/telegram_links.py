"""Connecting a chat of Telegram to an account: by a link that holds a code, opened in Telegram and sent to the bot.

Until then the destination is unconfirmed and has no address. The code is computed (`links`), so the database holds
nothing that connects anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col

from flashcur.errors import Refusal
from flashcur.models import Destination, new_id
from flashcur.services.accounts import changes, sessions
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import destinations, links
from flashcur.services.storage.pruning import delete_unlocked
from flashcur.settings import Secret

LIFETIME_MS = 15 * 60_000
"""How long a link can be used."""
_PURPOSE = "telegram"
_UNTIL = "until_ms"


@dataclass(frozen=True, slots=True)
class Link:
    """How a chat is connected; whoever has it can connect one."""

    destination_id: str
    """The destination that it makes: `on` as soon as the chat is connected, or gone where the chat had one already."""
    url: str
    """Opens the chat with the bot."""
    group_url: str
    """Adds the bot to a group."""
    until_ms: int
    """Unix ms."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat of Telegram, and who writes in it."""

    id: int
    kind: str
    """`private`, `group`, `supergroup` or `channel`."""
    name: str
    """What people know it by; may be empty."""
    user_id: int


def begin_link(session: Session, account_id: str, secret: Secret, username: str, now_ms: int) -> Link:
    """A new link for an account, whose row the caller has locked; one that was not used yet is worthless from now on.

    `username`: the bot's (`TelegramApi.username`).
    """
    for old in destinations.of_account(session, account_id, "telegram"):
        if _is_pending(old):
            session.delete(old)
    link_id, until_ms = new_id(), now_ms + LIFETIME_MS
    session.add(
        Destination(
            id=link_id,
            account_id=account_id,
            channel="telegram",
            name="Telegram",
            address_key=destinations.address_key("telegram", f"link {link_id}"),
            details={_UNTIL: until_ms},
            state="unconfirmed",
            created_ms=now_ms,
        )
    )
    session.flush()
    code = links.make_token(secret, _PURPOSE, link_id)
    where = f"https://t.me/{username}"
    return Link(link_id, f"{where}?start={code}", f"{where}?startgroup={code}", until_ms)


def finish_link(session: Session, secret: Secret, code: str, chat: Chat, now_ms: int) -> Destination:
    """Connect the chat in which the code was written; the destination, which is on.

    Raises Refusal for a code that is not ours, was used, or is over.
    """
    link_id = links.read_token(secret, _PURPOSE, code)
    pending = None if link_id is None else session.get(Destination, link_id)
    if pending is None:
        raise Refusal("This link is incomplete, or was already used.")
    sessions.lock(session, pending.account_id)
    pending = session.get(Destination, link_id, populate_existing=True)
    if pending is None or not _is_pending(pending):
        raise Refusal("This link was already used. Each works once.")
    if now_ms >= int(pending.details[_UNTIL]):
        raise Refusal("This link has expired. Each works for 15 minutes.")
    details: dict[str, Any] = {"kind": chat.kind, "user_id": chat.user_id}
    address, name = str(chat.id), chat.name or "Telegram"
    others = destinations.of_account(session, pending.account_id, "telegram")
    if any(other.address == address for other in others):
        session.delete(pending)
        session.flush()
    else:
        pending.address, pending.address_key = address, destinations.address_key("telegram", address)
        session.add(pending)
        session.flush()
    connected = destinations.keep(
        session, pending.account_id, "telegram", address, now_ms, name=name, details=details, confirmed=True
    )
    changes.tell(session, connected.account_id, from_ms(now_ms))
    return connected


def prune(session: Session, before_ms: int) -> int:
    """Delete the links that were made before `before_ms` (Unix ms) and connected nothing; how many."""
    unused = Destination.channel == "telegram", Destination.state == "unconfirmed", Destination.address == ""
    return delete_unlocked(session, Destination, *unused, col(Destination.created_ms) < before_ms)


def _is_pending(destination: Destination) -> bool:
    return destination.state == "unconfirmed" and _UNTIL in destination.details and not destination.address
