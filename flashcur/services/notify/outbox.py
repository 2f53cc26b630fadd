"""The outbox: a message goes in with the transaction that causes it, and leaves at least once, under one key.

Who sends claims a delivery, hands it over outside any transaction and notes what became of it, as long as the claim is
still its own. A crash between the hand-over and the note sends it again when the claim has ended: under the same key,
so that a provider that knows such a thing drops the second one, and the ledger says so.

Every change of a status goes through `record`, which writes the step that its owner's ledger shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, event, func, not_, or_, tuple_
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from flashcur.domain.delivery.schedule import JITTER, PAUSES_S, SKEW_MS, TOLD_AT_ONCE, next_attempt_ms, told_again_ms
from flashcur.domain.delivery.status import DUE, FINAL, WAITING, Status
from flashcur.domain.texts import lowered
from flashcur.errors import DeliveryError, Refused, TryAgainLater, Unanswered
from flashcur.models import AlertRecord, Delivery, DeliveryStep, Destination, Suppression, new_id
from flashcur.services.notify import pauses
from flashcur.services.notify.channel import Handed, Payload
from flashcur.services.notify.destinations import address_key
from flashcur.services.storage.pruning import delete_unlocked

LEASE_MS = 15_000
"""How long a claim lasts unless whoever holds it renews it: so long what was claimed by one that died waits."""
MAX_PROBLEM_CHARS = 300
"""Characters kept of why an attempt failed."""

ABANDONED = "Sending stopped before the result was known."
TOO_LATE = "It would have arrived too late to be useful."
NO_TAB = "You had no FlashCur tab open."
SIMULATED = "Simulated data is shown in the app only."

_LONGEST_PAUSE_MS = round(1000 * PAUSES_S[-1] * (1 + JITTER))
_NEVER_MS = 253_402_300_799_000
"""Due date of what is not to be tried again: out of the index range that is asked all the time."""
_listeners: set[Callable[[], None]] = set()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours to send until its claim ends."""

    delivery: Delivery
    details: Payload
    """`Destination.details`; empty where there is no destination."""
    stop: str = ""
    """Why it must not be sent after all, in words for its owner; empty where it may."""


@dataclass(frozen=True, slots=True)
class Later:
    """A message that is to be held after all."""

    due_ms: int
    """Until when, Unix ms."""
    expires_ms: int
    """From when on it is of no use then, Unix ms."""
    why: str
    """For its owner."""


Ask = Callable[[Session, Sequence[Delivery], int], Mapping[int, Later | str]]
"""Asked of messages that are about to leave at a moment (Unix ms): which of them, by id, are held after all, and which
must not be sent at all, in words for their owners. All others leave."""


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """How the outbox of one channel is."""

    waiting: int = 0
    """Messages that are to be sent, tried again ones too."""
    oldest_ms: int | None = None
    """When the oldest of these was written, Unix ms."""
    overdue_ms: int = 0
    """For how long the longest due one has been due, in ms."""
    dead: int = 0
    """Messages that were given up and are kept."""


def on_written(listener: Callable[[], None]) -> Callable[[], None]:
    """Have `listener` called, in whatever thread, whenever this process has committed messages; returns the way to
    end that."""
    _listeners.add(listener)
    return lambda: _listeners.discard(listener)


def write(session: Session, deliveries: Iterable[Delivery], now_ms: int) -> list[Delivery]:
    """Put messages in, in the caller's transaction, each with its first step; the deliveries with their ids.

    Each says all but `created_ms`, and `key` where nothing names it better than chance. Those that are `queued` are
    sent as soon as the transaction is committed and `due_ms` has come; where their place has asked us to wait, that is
    when it may be asked again. Raises IntegrityError where a key is taken.
    """
    written = list(deliveries)
    pauses.put_off(session, [each for each in written if each.status == "queued"], now_ms)
    for delivery in written:
        delivery.created_ms = now_ms
        delivery.key = delivery.key or new_id()
        if delivery.status in FINAL:
            delivery.due_ms, delivery.done_ms = _NEVER_MS, now_ms
        session.add(delivery)
    session.flush()
    for delivery in written:
        _step(session, delivery, now_ms, delivery.problem)
    if any(delivery.status == "queued" for delivery in written):
        event.listen(session, "after_commit", _ring, once=True)
    return written


def record(session: Session, delivery: Delivery, status: Status, now_ms: int, detail: str = "") -> None:
    """Change a delivery's status and write the step that tells it; `detail` is for its owner, cut to 300 characters.

    Of a final status (and of `sent` and `accepted`) nothing is due any more. A claim ends with it.
    """
    delivery.status = status
    delivery.claim = ""
    if status not in WAITING and status != "held":
        delivery.due_ms = _NEVER_MS
    delivery.done_ms = now_ms if status in FINAL else None
    session.add(delivery)
    _step(session, delivery, now_ms, detail)


def told(session: Session, delivery: Delivery, status: Status, now_ms: int, detail: str = "") -> bool:
    """What a provider says of a message after it took it; returns whether that changed its status.

    Providers say things late, twice and out of order: `accepted` after `delivered` changes nothing, `bounced` after
    `delivered` does. What was given up meanwhile, but had left, may still turn out to have arrived.
    """
    order: tuple[Status, ...] = ("sent", "accepted", "delivered", "bounced")
    if delivery.status in order and order.index(status) <= order.index(delivery.status):
        return False
    claim = delivery.claim
    record(session, delivery, status, now_ms, detail)
    # Its sender has not come to note the hand-over yet: what it knows of it is still to be filled in.
    delivery.claim = claim
    return True


def due_channels(session: Session, now_ms: int) -> set[str]:
    """Channels for which `claim_due` would find something. It needs no write lock, which SQLite has only one of."""
    return set(session.exec(select(Delivery.channel).where(_due(now_ms)).distinct()))


def claim_due(
    session: Session,
    now_ms: int,
    room: Mapping[str, int],
    *,
    busy: Collection[tuple[str, str]] = (),
    busy_accounts: Collection[tuple[str, str]] = (),
    per_account: int = 1_000,
    hanging: Mapping[str, tuple[Collection[str], int]] = MappingProxyType({}),
    lease_ms: int = LEASE_MS,
    take_over: bool = True,
    ask: Ask | None = None,
) -> list[Claimed]:
    """Take due messages, of each channel in `room` as many as it says; nobody else gets them until the lease is over.

    Urgent ones come first, then the longest due. For each (channel, recipient) it is one at a time, none while that is
    in `busy`; for each account `per_account` of a channel at most, and none of a (channel, account) in `busy_accounts`.
    `hanging`: recipients of a channel of which it takes no more than so many, together.
    A claim counts as an attempt, so that one that brings its sender down is tried less and less often, too. What `ask`
    holds is none: it is `held`, as if it had been planned now. Without `take_over`, what others claimed is left to them
    even where their claim has ended.
    """
    open_channels = {channel: number for channel, number in room.items() if number > 0}
    if not open_channels:
        return []
    due = _due(now_ms) if take_over else and_(_due(now_ms), col(Delivery.status) != "sending")
    chosen = _choose(session, due, open_channels, set(busy), busy_accounts, per_account, hanging)
    if not chosen:
        return []
    # On PostgreSQL claimers pass each other by; on SQLite a transaction that writes is alone anyway.
    rows = session.exec(
        select(Delivery)
        .where(col(Delivery.id).in_(chosen), due)
        .order_by(col(Delivery.id))
        .with_for_update(skip_locked=True)
    ).all()
    answers: Mapping[int, Later | str] = {} if ask is None else ask(session, rows, now_ms)
    claim = new_id()
    taken: list[Delivery] = []
    for delivery in rows:
        if delivery.status == "sending":
            _step(session, delivery, now_ms, ABANDONED, "uncertain")
        answer = answers.get(delivery.id or 0)
        if isinstance(answer, Later):
            delivery.due_ms, delivery.expires_ms = answer.due_ms, answer.expires_ms
            record(session, delivery, "held", now_ms, answer.why)
            continue
        taken.append(delivery)
        delivery.status, delivery.claim = "sending", claim
        delivery.due_ms = now_ms + lease_ms
        delivery.attempts += 1
        session.add(delivery)
    reasons = {each: answer for each, answer in answers.items() if isinstance(answer, str)}
    return _with_reasons(session, sorted(taken, key=lambda row: chosen.index(row.id or 0)), reasons)


def renew(session: Session, claims: Mapping[str, str], until_ms: int) -> set[str]:
    """Have claims (by the keys of their deliveries) last until a moment (Unix ms); keys of those that are still held.

    Also of one that has ended, as long as nobody else has taken its delivery up.
    """
    held = {
        key: row for key, row in lock(session, claims).items() if row.status == "sending" and row.claim == claims[key]
    }
    for row in held.values():
        row.due_ms = until_ms
        session.add(row)
    return set(held)


def lock(session: Session, keys: Collection[str]) -> dict[str, Delivery]:
    """Lock deliveries, as they stand now, in one order; those that are there, by key. For what notes several ends: each
    by itself costs a statement more.

    By key, as SQLite gives the id of what was deleted to the next message, which may be another account's.
    """
    query = select(Delivery).where(col(Delivery.key).in_(keys)).order_by(col(Delivery.id)).with_for_update()
    return {row.key: row for row in session.exec(query, execution_options={"populate_existing": True})}


def mark_handed(
    session: Session, which: Delivery | str, claim: str, handed: Handed, handed_ms: int, now_ms: int
) -> Delivery | None:
    """Note that the provider took it, whatever was noted before; None if it was deleted. `which`: its key, or its row
    where that is locked already (`lock`).

    Even where the claim has ended: it has left, and nobody needs to send it again. What the provider has said of it
    meanwhile stays. `handed_ms`: when its first byte left, Unix ms.
    """
    delivery = _locked(session, which)
    if delivery is None:
        return None
    own = delivery.claim == claim
    if not own and delivery.status == handed.status and delivery.handed_ms == handed_ms:
        # Noted before, by a transaction whose end its sender did not learn.
        return delivery
    delivery.handed_ms = handed_ms
    delivery.provider_id = handed.provider_id[:128] or delivery.provider_id
    delivery.problem = ""
    if delivery.status in ("delivered", "bounced"):
        delivery.claim = ""
        session.add(delivery)
    else:
        record(session, delivery, handed.status, now_ms, "" if own else "Handed over after its claim had ended.")
    return delivery


def mark_failed(
    session: Session, which: Delivery | str, claim: str, error: DeliveryError, now_ms: int, chance: float | None = None
) -> Delivery | None:
    """Note that an attempt failed, and when it is tried again, if it is; None where the claim is no longer its own.

    As `error` says: refused is `dead`, told to wait is `retrying` and spends no attempt (who says so again and again is
    asked less and less often), no answer is `uncertain`, all else `retrying`; `expired` where the next attempt would be
    too late. `chance`: 0 to 1, for the jitter.
    """
    delivery = _locked(session, which)
    if delivery is None or delivery.claim != claim or delivery.status != "sending":
        return None
    chance = random.random() if chance is None else chance
    delivery.problem = " ".join(str(error).split())[:MAX_PROBLEM_CHARS]
    if isinstance(error, Refused):
        record(session, delivery, "dead", now_ms, delivery.problem)
        return delivery
    if isinstance(error, TryAgainLater):
        delivery.attempts -= 1
        before = _put_off(session, delivery)
        due_ms = told_again_ms(error.wait_s, now_ms, delivery.expires_ms, chance, before=before)
    else:
        due_ms = next_attempt_ms(
            delivery.attempts,
            now_ms,
            delivery.expires_ms,
            chance,
            at_least_s=error.retry_after or 0.0,
        )
    if due_ms is None:
        record(session, delivery, "expired", now_ms, f"{TOO_LATE} {delivery.problem}")
    else:
        delivery.due_ms = due_ms
        record(
            session, delivery, "uncertain" if isinstance(error, Unanswered) else "retrying", now_ms, delivery.problem
        )
    return delivery


def mark_unsent(
    session: Session, which: Delivery | str, claim: str, status: Literal["dead", "expired"], why: str, now_ms: int
) -> Delivery | None:
    """Note that what was claimed is not sent at all, and spends no attempt; None where the claim is no longer its own.
    `why` is for its owner."""
    delivery = _locked(session, which)
    if delivery is None or delivery.claim != claim or delivery.status != "sending":
        return None
    delivery.attempts -= 1
    delivery.problem = why[:MAX_PROBLEM_CHARS]
    record(session, delivery, status, now_ms, why)
    return delivery


def release(session: Session, which: Delivery | str, claim: str, due_ms: int) -> None:
    """Give back what was claimed and not begun: due at `due_ms` (Unix ms), no attempt spent, no step written."""
    delivery = _locked(session, which)
    if delivery is None or delivery.claim != claim or delivery.status != "sending":
        return
    delivery.attempts -= 1
    delivery.status = "queued" if delivery.attempts == 0 else "retrying"
    delivery.claim, delivery.due_ms = "", due_ms
    session.add(delivery)


def give_up(session: Session, delivery: Delivery, why: str, now_ms: int) -> None:
    """Send it no more: `dead`, and `why` is for its owner."""
    delivery.problem = why[:MAX_PROBLEM_CHARS]
    record(session, delivery, "dead", now_ms, why)


def expire(session: Session, now_ms: int, limit: int = 500) -> list[Delivery]:
    """End what has come to be of no use while it waited (its channel is not configured, or was held up), up to `limit`.

    What is being sent is left to its sender.
    """
    late = (
        select(Delivery)
        .where(col(Delivery.status).in_(WAITING), col(Delivery.expires_ms) <= now_ms)
        .order_by(col(Delivery.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ended = list(session.exec(late))
    for delivery in ended:
        why = NO_TAB if delivery.channel == "browser" else f"{TOO_LATE} {delivery.problem}".rstrip()
        record(session, delivery, "expired", now_ms, why)
    return ended


def again(session: Session, delivery: Delivery, now_ms: int, useful_ms: int, detail: str) -> None:
    """Put what was given up back in, under its key and as it was frozen: due at once, of use for `useful_ms` ms."""
    delivery.attempts, delivery.problem = 0, ""
    delivery.due_ms, delivery.expires_ms = now_ms, now_ms + useful_ms
    record(session, delivery, "queued", now_ms, detail)
    event.listen(session, "after_commit", _ring, once=True)


def steps(session: Session, delivery_ids: Collection[int]) -> dict[int, list[DeliveryStep]]:
    """The ledgers of deliveries, each in its order."""
    found: dict[int, list[DeliveryStep]] = {each: [] for each in delivery_ids}
    query = select(DeliveryStep).where(col(DeliveryStep.delivery_id).in_(delivery_ids)).order_by(col(DeliveryStep.id))
    for step in session.exec(query):
        found[step.delivery_id].append(step)
    return found


def figures(session: Session, now_ms: int) -> dict[str, ChannelFigures]:
    """How the outbox is, by channel; channels of which it holds nothing are left out."""
    by = (col(Delivery.channel), col(Delivery.status))
    query = (
        columns_of(*by, func.count(), func.min(Delivery.created_ms), func.min(Delivery.due_ms))
        .where(col(Delivery.status).in_([*DUE, "dead"]))
        .group_by(*by)
    )
    found: dict[str, ChannelFigures] = {}
    for channel, status, number, created_ms, due_ms in session.connection().execute(query):
        have = found.get(channel, ChannelFigures())
        if status == "dead":
            found[channel] = ChannelFigures(have.waiting, have.oldest_ms, have.overdue_ms, number)
        else:
            oldest_ms = created_ms if have.oldest_ms is None else min(have.oldest_ms, created_ms)
            overdue_ms = max(have.overdue_ms, now_ms - due_ms)
            found[channel] = ChannelFigures(have.waiting + number, oldest_ms, overdue_ms, have.dead)
    return found


def prune(session: Session, before_ms: int, mail_before_ms: int) -> int:
    """Delete messages that were written before a moment (Unix ms), mail of accounts before another, whatever became of
    them; returns how many. Addresses are not kept for longer than they serve."""
    return delete_unlocked(
        session,
        Delivery,
        or_(
            and_(col(Delivery.kind) == "mail", col(Delivery.created_ms) < mail_before_ms),
            and_(col(Delivery.kind) != "mail", col(Delivery.created_ms) < before_ms),
        ),
    )


def _choose(
    session: Session,
    is_due: ColumnElement[bool],
    room: Mapping[str, int],
    busy: set[tuple[str, str]],
    busy_accounts: Collection[tuple[str, str]],
    per_account: int,
    hanging: Mapping[str, tuple[Collection[str], int]],
) -> list[int]:
    """Ids of what to claim, the first in line first."""
    line = (col(Delivery.urgent).desc(), col(Delivery.due_ms), col(Delivery.id))
    place = func.row_number().over(partition_by=[Delivery.channel, Delivery.recipient], order_by=line)
    owner = func.coalesce(Delivery.account_id, Delivery.recipient).label("owner")
    known = (Delivery.id, Delivery.channel, Delivery.recipient, Delivery.urgent, Delivery.due_ms)
    # No index by the channel, which SQLite prefers: it holds all messages there ever were, and few are due.
    channel = func.coalesce(Delivery.channel, "")
    due = columns_of(*map(col, known), owner, place.label("place")).where(channel.in_(room), is_due)
    if busy_accounts:
        account_id = col(Delivery.account_id)
        kept_waiting = tuple_(col(Delivery.channel), account_id).in_(sorted(busy_accounts))
        due = due.where(or_(account_id.is_(None), not_(kept_waiting)))
    # Neither one recipient nor one account takes the room of others, nor does a channel that has much to do.
    firsts = due.subquery()
    share = _number(firsts.c, firsts.c.channel, firsts.c.owner)
    shares = columns_of(firsts, share.label("share")).where(firsts.c.place == 1).subquery()
    rank = _number(shares.c, shares.c.channel)
    lines = columns_of(shares, rank.label("rank")).where(shares.c.share <= per_account).subquery()
    # Beside those that are taken there are as many as may be passed over.
    most = max(room.values()) + len(busy) + max((len(places) for places, _ in hanging.values()), default=0)
    query = columns_of(lines).where(lines.c.rank <= most).order_by(lines.c.channel, lines.c.rank)
    left = dict(room)
    left_hanging = {channel: number for channel, (_, number) in hanging.items()}
    chosen: list[int] = []
    for row in session.connection().execute(query):
        if not left[row.channel] or (row.channel, row.recipient) in busy:
            continue
        if row.channel in hanging and row.recipient in hanging[row.channel][0]:
            if not left_hanging[row.channel]:
                continue
            left_hanging[row.channel] -= 1
        left[row.channel] -= 1
        chosen.append(row.id)
    return chosen


def _number(rows: Any, *by: Any) -> Any:
    """The place in line of each row among those with the same `by`."""
    return func.row_number().over(partition_by=by, order_by=(rows.urgent.desc(), rows.due_ms, rows.id))


def _with_reasons(session: Session, rows: Sequence[Delivery], reasons: Mapping[int, str]) -> list[Claimed]:
    """What was claimed, with what its sender has to know of its destination, and why it is not to be sent if so."""
    alert_ids = {row.alert_id for row in rows if row.alert_id is not None}
    simulated = set(
        session.exec(select(AlertRecord.id).where(col(AlertRecord.id).in_(alert_ids), col(AlertRecord.demo).is_(True)))
    )
    ids = {row.destination_id for row in rows if row.destination_id is not None}
    places = {each.id: each for each in session.exec(select(Destination).where(col(Destination.id).in_(ids)))}
    keys = {row.id: address_key(row.channel, row.recipient) for row in rows}
    shut = {
        (each.channel, each.address_key): each.reason
        for each in session.exec(select(Suppression).where(col(Suppression.address_key).in_(keys.values())))
    }
    found: list[Claimed] = []
    for row in rows:
        place = places.get(row.destination_id or "")
        stop = ""
        if row.alert_id in simulated:
            stop = SIMULATED
        elif row.kind != "mail" and (reason := shut.get((row.channel, keys[row.id]))):
            stop = f"Nothing is sent to this address any more ({reason})."
        elif place is not None and place.state == "off":
            stop = f"It was switched off meanwhile: {lowered(place.why)}".removesuffix(": ")
        else:
            stop = reasons.get(row.id or 0, "")
        found.append(Claimed(row, {} if place is None else place.details, stop))
    return found


def _due(now_ms: int) -> ColumnElement[bool]:
    """What has come to be due; also what seems to be due only because the clock was set back meanwhile."""
    return and_(
        col(Delivery.status).in_(DUE),
        # What was put off came before another worker said so, or while it did.
        not_(pauses.paused(now_ms)),
        or_(
            col(Delivery.due_ms) <= now_ms,
            and_(col(Delivery.status) == "queued", col(Delivery.created_ms) > now_ms + SKEW_MS),
            and_(col(Delivery.status) == "sending", col(Delivery.due_ms) > now_ms + SKEW_MS + LEASE_MS),
            and_(
                col(Delivery.status).in_(("retrying", "uncertain")),
                col(Delivery.due_ms) > now_ms + SKEW_MS + _LONGEST_PAUSE_MS,
                _put_off_later(now_ms),
            ),
        ),
    )


def held_due(now_ms: int) -> ColumnElement[bool]:
    """The same of what is held: whether it is to be gathered."""
    return and_(
        col(Delivery.status) == "held",
        or_(
            col(Delivery.due_ms) <= now_ms,
            and_(col(Delivery.created_ms) > now_ms + SKEW_MS, _put_off_later(now_ms)),
        ),
    )


def _put_off_later(now_ms: int) -> ColumnElement[bool]:
    """Whether its last step lies ahead: its date is of a clock that was set back since. Once it is put off anew, by the
    clock as it is, that is no longer so."""
    last = (
        columns_of(col(DeliveryStep.at_ms))
        .where(col(DeliveryStep.delivery_id) == col(Delivery.id))
        .order_by(col(DeliveryStep.id).desc())
        .limit(1)
        .correlate(Delivery)
        .scalar_subquery()
    )
    return last > now_ms + SKEW_MS


def _put_off(session: Session, delivery: Delivery) -> int:
    """How often in a row it was put off up to now, as far as the schedule has different pauses for that."""
    most = TOLD_AT_ONCE + len(PAUSES_S)
    last = (
        select(DeliveryStep.status)
        .where(DeliveryStep.delivery_id == delivery.id)
        .order_by(col(DeliveryStep.id).desc())
        .limit(most)
    )
    return sum(1 for _ in takewhile(lambda status: status in ("retrying", "uncertain"), session.exec(last)))


def _locked(session: Session, which: Delivery | str) -> Delivery | None:
    return which if isinstance(which, Delivery) else lock(session, (which,)).get(which)


def _step(session: Session, delivery: Delivery, at_ms: int, detail: str, status: Status | None = None) -> None:
    assert delivery.id is not None
    session.add(
        DeliveryStep(
            delivery_id=delivery.id,
            status=status or delivery.status,
            at_ms=at_ms,
            detail=detail[:MAX_PROBLEM_CHARS],
        )
    )


def _ring(_: Session) -> None:
    for listener in tuple(_listeners):
        listener()
