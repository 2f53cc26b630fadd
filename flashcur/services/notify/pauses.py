"""Places that asked us to wait: kept in the database, so that no start forgets one and all workers keep to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, case, exists, or_, update
from sqlmodel import Session, col, delete, select

from flashcur.domain.delivery.schedule import SKEW_MS
from flashcur.domain.delivery.status import WAITING
from flashcur.domain.plans import CHANNEL_NAMES
from flashcur.models import Delivery, PlacePause
from flashcur.services.storage.inserts import insert_into

_WHOLE = ""
"""Stands for the recipient where the whole channel waits."""
_WHO = {
    "email": "The mail provider",
    "sms": "The SMS provider",
    "web-push": "The browser’s push service",
    "webhook": "The webhook’s server",
}


def asked(channel: str) -> str:
    """Who asked for it, for the owner of a message: `Telegram asked us to pause`."""
    names = {**CHANNEL_NAMES, **_WHO}
    return f"{names.get(channel, channel)} asked us to pause"  # pyright: ignore[reportArgumentType, reportCallIssue]


def note(session: Session, channel: str, recipient: str | None, until_ms: int, now_ms: int) -> int:
    """Have nothing leave for a recipient, or by the whole channel (None), before `until_ms` (Unix ms): neither what
    waits, nor what is written from now on. Returns how many messages that put off. The last word of a place counts."""
    statement = insert_into(session, PlacePause)
    row = {"channel": channel, "recipient": recipient or _WHOLE, "said_ms": now_ms, "until_ms": until_ms}
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=["channel", "recipient"],
            set_={name: statement.excluded[name] for name in ("said_ms", "until_ms")},
        ),
        row,
    )
    which = [col(Delivery.channel) == channel, col(Delivery.status).in_(WAITING), col(Delivery.due_ms) < until_ms]
    if recipient is not None:
        which.append(col(Delivery.recipient) == recipient)
    free = select(Delivery.id).where(*which).with_for_update(skip_locked=True)
    why = case((col(Delivery.problem) == "", f"{asked(channel)}."), else_=col(Delivery.problem))
    put_off = update(Delivery).where(col(Delivery.id).in_(free)).values(due_ms=until_ms, problem=why)
    return session.exec(put_off).rowcount


def put_off(session: Session, deliveries: Collection[Delivery], now_ms: int) -> None:
    """Have messages that are about to be written wait with their places, and say so."""
    channels = {each.channel for each in deliveries}
    query = select(PlacePause).where(col(PlacePause.channel).in_(channels), _lasts(now_ms))
    until = {(each.channel, each.recipient): each.until_ms for each in session.exec(query)} if channels else {}
    for each in deliveries if until else ():
        until_ms = max(until.get((each.channel, who), 0) for who in (each.recipient, _WHOLE))
        if until_ms > each.due_ms:
            each.due_ms, each.problem = until_ms, f"{asked(each.channel)}."


def paused(now_ms: int) -> ColumnElement[bool]:
    """Whether a delivery's place has asked us to wait for longer than until now."""
    return exists().where(_is_of_delivery(), _lasts(now_ms))


def channels(session: Session, now_ms: int) -> set[str]:
    """Those that wait as a whole."""
    query = select(PlacePause.channel).where(PlacePause.recipient == _WHOLE, _lasts(now_ms))
    return set(session.exec(query))


def until_ms(session: Session, deliveries: Sequence[Delivery]) -> dict[int, int]:
    """Until when (Unix ms) each of those that wait is put off because its place asked for it, by id."""
    ids = [each.id for each in deliveries if each.status in WAITING]
    if not ids:
        return {}
    query = (
        select(Delivery.id, PlacePause.until_ms)
        .join(PlacePause, _is_of_delivery())
        # What waits for longer does so for its own reasons.
        .where(col(Delivery.id).in_(ids), col(Delivery.due_ms) <= col(PlacePause.until_ms))
        .order_by(col(PlacePause.until_ms))
    )
    return {id_ or 0: at_ms for id_, at_ms in session.exec(query)}


def prune(session: Session, now_ms: int) -> None:
    """Forget those that are over."""
    session.exec(delete(PlacePause).where(col(PlacePause.until_ms) <= now_ms))


def _is_of_delivery() -> ColumnElement[bool]:
    who = or_(col(PlacePause.recipient) == _WHOLE, col(PlacePause.recipient) == col(Delivery.recipient))
    return and_(col(PlacePause.channel) == col(Delivery.channel), who)


def _lasts(now_ms: int) -> ColumnElement[bool]:
    """What was said by a clock that was set back since counts no more."""
    return and_(col(PlacePause.until_ms) > now_ms, col(PlacePause.said_ms) <= now_ms + SKEW_MS)
