"""Sends what is in the outbox: one loop for every channel, each of which goes its own way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session, select

from flashcur.domain.delivery.schedule import told_to_wait_ms
from flashcur.engine.hanging import Hanging
from flashcur.errors import DatabaseError, DeliveryError, TryAgainLater, Unanswered
from flashcur.models import Delivery
from flashcur.services.alerts import endings
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import steady_ms
from flashcur.services.notify import account_mail, outbox, pauses
from flashcur.services.notify.channel import Channel, Handed, Outgoing, Payload
from flashcur.services.notify.outbox import LEASE_MS, ChannelFigures, Claimed
from flashcur.services.notify.pace import Pace, Paces
from flashcur.services.storage.database import Database
from flashcur.settings import Secret

logger = logging.getLogger(__name__)

EVERY_S = 0.5
"""How often the outbox is looked into; also how late a message of another process leaves."""
SEND_TIMEOUT_S = 20.0
"""No attempt takes longer, whatever a channel does; channels give up by themselves after some ten seconds."""
AT_ONCE = 32
"""Messages of one channel that are on their way at a time …"""
ANSWER_S = 1.0
"""… or, where that is more, as many as leave at its rate while a provider that is slow answers the first: else a
channel that takes much would never come to its rate …"""
MOST_AT_ONCE = 128
"""… but never more than this."""
ACCOUNT_AT_ONCE = 4
"""Of these, at most so many of one account: addresses of one owner that hang delay nobody else's."""
ACCOUNT_RATE, ACCOUNT_BURST = 2.0, 20.0
"""Messages a second of one account by one channel, after a burst."""
GRACE_S = 0.7
"""What is being handed over when the worker is to stop gets this long, or it would be sent a second time; and as long
again to be noted. Both end before the supervisor cancels once more."""
FOLLOW_UPS = 5
"""How often what follows from a noted end is tried again while the database is away."""
NOTE_PAUSE_S = 5.0
"""Longest pause between two attempts to note what became of messages, while the database is away."""
LET_BE_S = 2 * NOTE_PAUSE_S
"""After the database was away, claims that ended meanwhile are left to their holders for so long: what they handed
over they could not note, and it would be sent a second time."""
STALLED_MS = 5 * 60_000
"""What is due for so long, although its channel is configured, is stalled, and said."""
_SHORTEST_LOOK_S = 0.02
_PART = 3
"""A claim is renewed when so large a part of it is over; what is not begun while that much is left is given back."""


@dataclass(slots=True)
class ChannelReport:
    """How one channel is, since this worker began."""

    state: str = "ok"
    """`ok`, `failing` (what was tried last is put off), `held` (it asked us to wait) or `not configured`."""
    sent: int = 0
    failed: int = 0
    """Attempts that are to be repeated."""
    uncertain: int = 0
    """Of these, those to which nobody answered."""
    dead: int = 0
    """Messages that were given up; their owners and the log are told why."""
    expired: int = 0
    """Messages that had become of no use."""
    waiting: int = 0
    """Messages that are to be sent, in all processes."""
    oldest_age_s: float | None = None
    """Of these, how long ago the oldest was written, in seconds."""
    stalled: bool = False
    """Whether something has been due for minutes although the channel is configured."""


@dataclass(slots=True)
class _Lane:
    """What is known of a channel while this worker runs; seconds are of the steady clock."""

    channel: Channel
    pace: Pace
    hanging: Hanging | None
    """Where each place is a server of its own: where all are one provider's, one that hangs is the provider."""
    report: ChannelReport = field(default_factory=ChannelReport)
    sending: int = 0
    held: bool = False
    """Whether the channel waits as a whole, as it was looked last."""
    failing: bool = False

    def room(self, now_s: float) -> int:
        if self.channel.problem:
            return 0
        slow = self.hanging.slow(now_s) if self.hanging else 0
        return max(0, min(self.at_once - self.sending + slow, self.pace.room(now_s)))

    @property
    def at_once(self) -> int:
        """How many may be on their way, beside those that let us wait."""
        return min(MOST_AT_ONCE, max(AT_ONCE, math.ceil(self.channel.rate * ANSWER_S)))


@dataclass(slots=True)
class _Held:
    """A claim of ours."""

    claim: str
    until_s: float
    """When it ends, by the steady clock: for all we know, not later."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an attempt, to be noted."""

    claimed: Claimed
    lane: _Lane
    result: Handed | DeliveryError
    begun_ms: int
    """When the attempt began, Unix ms."""

    @property
    def name(self) -> str:
        delivery = self.claimed.delivery
        return f"{delivery.channel} message {delivery.id} ({delivery.kind})"


class DeliveryWorker:
    """Claims due messages and hands them over; `run` is its supervised task. Several processes may do this at once."""

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        secret: Secret,
        clock: Callable[[], int],
        *,
        deliver: Deliver,
        ask: outbox.Ask | None = None,
        every_s: float = EVERY_S,
        lease_ms: int = LEASE_MS,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        """`clock` is Unix ms; `deliver` writes down where notices of this go; `ask` is asked of what is about to leave.
        The outbox is looked into each `every_s`, and at once when this process has written something. A claim lasts
        `lease_ms` and is renewed until what became of its message is noted."""
        self._database = database
        self._secret = secret
        self._clock = clock
        self._deliver_notice = deliver
        self._ask = ask
        self._every_s = every_s
        self._lease_ms = lease_ms
        self._lease_s = lease_ms / 1000
        self._held: dict[str, _Held] = {}
        self._send_timeout_s = send_timeout_s
        self._lanes = {
            name: _Lane(channel, Pace(channel.rate), Hanging() if channel.own_servers else None)
            for name, channel in channels.items()
        }
        self._recipients = Paces()
        self._accounts = Paces()
        self._sending: set[tuple[str, str]] = set()
        self._sending_of: Counter[tuple[str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: deque[_Outcome] = deque()
        self._look = asyncio.Event()
        self._to_note = asyncio.Event()
        self._noting = asyncio.Lock()
        self._noting_fails = False
        self._let_be_until_s = 0.0

    @property
    def reports(self) -> dict[str, ChannelReport]:
        """How each channel is, by its name."""
        for lane in self._lanes.values():
            if lane.channel.problem:
                lane.report.state = "not configured"
            elif lane.held:
                lane.report.state = "held"
            else:
                lane.report.state = "failing" if lane.failing else "ok"
        return {name: lane.report for name, lane in self._lanes.items()}

    @property
    def sending(self) -> int:
        """Messages that are on their way, or came back and are not noted yet."""
        return sum(lane.sending for lane in self._lanes.values())

    async def run(self) -> None:
        """Send until cancelled."""
        for lane in self._lanes.values():
            if lane.channel.problem:
                logger.info("%s messages wait: %s", lane.channel.name, lane.channel.problem)
        loop = asyncio.get_running_loop()

        def written() -> None:
            # The loop may have ended since.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._look.set)

        stop_listening = outbox.on_written(written)
        noting = asyncio.create_task(self._note_all(), name="delivery notes")
        renewing = asyncio.create_task(self._renew_all(), name="delivery claims")
        try:
            await self._send_all(noting, renewing)
        finally:
            stop_listening()
            try:
                await self._finish()
            finally:
                noting.cancel()
                renewing.cancel()

    async def tend(self) -> str:
        """End what has come too late while it waited, and look how the outbox is; one line that says so.

        Raises DatabaseError.
        """
        now_ms = self._clock()

        def end(session: Session) -> list[Delivery]:
            pauses.prune(session, now_ms)
            return outbox.expire(session, now_ms)

        ended = await self._database.run(end)
        for each in ended:
            await self._settle(each, None, now_ms)
        figures = await self._database.run(lambda session: outbox.figures(session, now_ms), readonly=True)
        for name, lane in self._lanes.items():
            self._tell(lane, figures.get(name, ChannelFigures()), now_ms)
        waiting = sum(lane.report.waiting for lane in self._lanes.values())
        stalled = [name for name, lane in self._lanes.items() if lane.report.stalled]
        said = f"{waiting} messages wait, {len(ended)} expired"
        return f"{said}, stalled: {', '.join(stalled)}" if stalled else said

    def _tell(self, lane: _Lane, figures: ChannelFigures, now_ms: int) -> None:
        report = lane.report
        report.waiting = figures.waiting
        report.oldest_age_s = None if figures.oldest_ms is None else max(0.0, (now_ms - figures.oldest_ms) / 1000)
        stalled = not lane.channel.problem and figures.overdue_ms > STALLED_MS
        if stalled and not report.stalled:
            logger.error(
                "%s: a message has been due for %d min and was not taken up", lane.channel.name, STALLED_MS // 60_000
            )
        report.stalled = stalled

    async def _send_all(self, *beside: asyncio.Task[None]) -> None:
        backoff = Backoff(first_s=0.5, cap_s=15.0)
        while True:
            self._look.clear()
            try:
                # What cannot be noted now would be claimed and sent anew: first the database is to be back.
                pause_s = self._every_s if self._noting_fails else await self._claim()
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("%s: messages wait", error)
                pause_s = backoff.next_s()
                self._let_be(pause_s)
                await asyncio.sleep(pause_s)
                continue
            backoff.reset()
            for task in beside:
                if task.done():
                    # A defect: the supervisor begins anew.
                    task.result()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause_s)

    async def _claim(self) -> float:
        """Take what may leave now; seconds until there may be more. Raises DatabaseError."""
        now_s, now_ms = _steady_s(), self._clock()
        room = {name: number for name, lane in self._lanes.items() if (number := lane.room(now_s))}
        pause_s = self._until_room(now_s)
        if not room:
            return pause_s
        due, held = await self._database.run(
            lambda session: (outbox.due_channels(session, now_ms), pauses.channels(session, now_ms)), readonly=True
        )
        for name, lane in self._lanes.items():
            lane.held = name in held
        room = {name: number for name, number in room.items() if name in due}
        if not room:
            return pause_s
        busy = self._resting(now_s)
        busy_accounts = self._resting_accounts(now_s)
        hanging = {
            name: (frozenset(places.places), places.room(self._lanes[name].at_once))
            for name in room
            if (places := self._lanes[name].hanging) and places.places
        }
        claimed = await self._database.run(
            lambda session: outbox.claim_due(
                session,
                now_ms,
                room,
                busy=busy,
                busy_accounts=busy_accounts,
                hanging=hanging,
                per_account=ACCOUNT_AT_ONCE,
                lease_ms=self._lease_ms,
                take_over=now_s >= self._let_be_until_s,
                ask=self._ask,
            )
        )
        for each in claimed:
            self._begin(each, now_s)
        return self._until_room(_steady_s())

    def _let_be(self, pause_s: float) -> None:
        """The database is away, and is tried again in `pause_s` seconds."""
        self._let_be_until_s = _steady_s() + pause_s + LET_BE_S

    def _begin(self, claimed: Claimed, claimed_s: float) -> None:
        delivery = claimed.delivery
        lane = self._lanes[delivery.channel]
        recipient, account = _recipient(claimed), _account(claimed)
        lane.sending += 1
        self._held[delivery.key] = _Held(delivery.claim, claimed_s + self._lease_s)
        lane.pace.take(claimed_s)
        self._sending.add(recipient)
        self._recipients.take(recipient, lane.channel.recipient_rate, claimed_s)
        if account is not None:
            self._sending_of[account] += 1
            self._accounts.take(account, ACCOUNT_RATE, claimed_s, ACCOUNT_BURST)
        task = asyncio.create_task(self._deliver(claimed, lane), name=f"delivery {delivery.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resting(self, now_s: float) -> set[tuple[str, str]]:
        """Recipients that nothing is claimed for now."""
        return {*self._sending, *self._recipients.resting(now_s)}

    def _resting_accounts(self, now_s: float) -> set[tuple[str, str]]:
        full = {who for who, number in self._sending_of.items() if number >= ACCOUNT_AT_ONCE}
        return full | self._accounts.resting(now_s).keys()

    def _until_room(self, now_s: float) -> float:
        """Seconds until the next message may leave that could not now; the usual pause at most."""
        waits = [lane.pace.wait_s(now_s) for lane in self._lanes.values()]
        waits += self._recipients.resting(now_s).values()
        waits += self._accounts.resting(now_s).values()
        waits += [
            lane.hanging.until_slow_s(now_s)
            for lane in self._lanes.values()
            if lane.hanging and lane.sending >= lane.at_once
        ]
        return max(_SHORTEST_LOOK_S, min([self._every_s, *(wait_s for wait_s in waits if wait_s > 0)]))

    async def _renew_all(self) -> None:
        """Keep what is on its way from being taken up by others: a send may take longer than a claim lasts, and the
        database may have been away when it came back."""
        while True:
            await asyncio.sleep(self._lease_s / _PART / 2)
            # While the database is away the others cannot take anything up; that it is, is said elsewhere.
            with contextlib.suppress(DatabaseError):
                await self._renew()

    async def _renew(self) -> None:
        """Raises DatabaseError."""
        now_s, until_ms = _steady_s(), self._clock() + self._lease_ms
        fresh_s = self._lease_s * (1 - 1 / _PART)
        worn = {key: held for key, held in self._held.items() if held.until_s - now_s <= fresh_s}
        if not worn:
            return
        claims = {key: held.claim for key, held in worn.items()}
        renewed = await self._database.run(lambda session: outbox.renew(session, claims, until_ms))
        for key, held in worn.items():
            held.until_s = now_s + self._lease_s if key in renewed else now_s

    async def _deliver(self, claimed: Claimed, lane: _Lane) -> None:
        begun_ms = self._clock()
        result: Handed | DeliveryError
        try:
            result = await self._attempt(claimed, lane)
        except DeliveryError as error:
            result = error
        except asyncio.CancelledError:
            result = Unanswered("FlashCur was stopped while it was being sent")
        except Exception as error:
            # A defect: one message more or less must not stop the others, and the next version may send it.
            logger.exception("%s message %s could not be sent", claimed.delivery.channel, claimed.delivery.id)
            result = DeliveryError(f"{type(error).__name__}: {error}")
        self._outcomes.append(_Outcome(claimed, lane, result, begun_ms))
        self._to_note.set()

    async def _attempt(self, claimed: Claimed, lane: _Lane) -> Handed:
        """Raises DeliveryError."""
        delivery = claimed.delivery
        if claimed.stop:
            raise _NotToBeSent("dead", claimed.stop)
        if self._clock() >= delivery.expires_ms:
            raise _NotToBeSent("expired", f"{outbox.TOO_LATE} {delivery.problem}".rstrip())
        # Paused or starved since: another one may be sending it, or is about to.
        if _steady_s() + self._lease_s / _PART >= self._held[delivery.key].until_s:
            raise _ClaimOver("its claim was about to end before it was begun")
        outgoing = Outgoing(
            delivery_id=delivery.id or 0,
            key=delivery.key,
            recipient=delivery.recipient,
            details=claimed.details,
            payload=self._payload(delivery),
            attempt=delivery.attempts,
            expires_ms=delivery.expires_ms,
        )
        if lane.hanging:
            lane.hanging.ask(delivery.recipient, _steady_s())
        try:
            async with asyncio.timeout(self._send_timeout_s):
                return await lane.channel.send(outgoing)
        except TimeoutError as error:
            raise Unanswered(f"no answer within {self._send_timeout_s:g} s") from error
        finally:
            if lane.hanging:
                lane.hanging.ended(delivery.recipient, _steady_s())

    def _payload(self, delivery: Delivery) -> Payload:
        if delivery.kind == "mail":
            return account_mail.complete(delivery.payload, self._secret)
        return delivery.payload

    async def _note_all(self) -> None:
        """Note outcomes as they come, all that are there in one transaction, until it is done: a message that was sent
        and is not marked would be sent again."""
        backoff = Backoff(first_s=0.25, cap_s=NOTE_PAUSE_S)
        while True:
            await self._to_note.wait()
            self._to_note.clear()
            while self._outcomes:
                try:
                    await self._note_some()
                except DatabaseError as error:
                    if not backoff.failures:
                        logger.warning("%s: what became of messages is noted later", error)
                    self._noting_fails = True
                    pause_s = backoff.next_s()
                    self._let_be(pause_s)
                    await asyncio.sleep(pause_s)
                    continue
                backoff.reset()
                self._noting_fails = False
                self._look.set()

    async def _note_some(self) -> None:
        """Raises DatabaseError; what is noted is no longer in line then."""
        async with self._noting:
            await self._note_batch(list(self._outcomes))

    async def _note_batch(self, batch: list[_Outcome]) -> None:
        now_ms = self._clock()
        statuses = await self._database.run(lambda session: _note(session, batch, now_ms))
        places = dict(_place(each) for each in batch if isinstance(each.result, Handed))
        places.pop("", None)
        if places:
            await self._follow_up(lambda session: endings.arrived(session, places, now_ms))
        if mailed := {_mailed(each) for each in batch if isinstance(each.result, Handed)} - {""}:
            await self._follow_up(lambda session: endings.arrived_by_mail(session, mailed, now_ms))
        for each in batch:
            delivery, result = each.claimed.delivery, each.result
            if isinstance(result, DeliveryError) and endings.has_consequences(statuses[delivery.key], result):
                await self._settle(delivery, result, now_ms)
        # Only now: a place that has just been switched off is sent nothing more.
        self._done(batch, statuses)

    async def _settle(self, delivery: Delivery, error: DeliveryError | None, now_ms: int) -> None:
        """Do what follows from an attempt that failed, in a transaction that begins with the account's lock."""

        def work(session: Session) -> None:
            endings.lock_owner(session, delivery)
            row = session.exec(select(Delivery).where(Delivery.key == delivery.key)).first()
            if row is not None:
                endings.settle(session, row, error, now_ms, self._deliver_notice)

        await self._follow_up(work)

    async def _follow_up(self, work: Callable[[Session], None]) -> None:
        """Do what follows from a noted end, as far as the database and the code let us; the next end says it again."""
        backoff = Backoff(first_s=0.25, cap_s=2.0)
        while True:
            try:
                return await self._database.run(work)
            except DatabaseError as error:
                if backoff.failures < FOLLOW_UPS:
                    await asyncio.sleep(backoff.next_s())
                    continue
                logger.error("%s: what follows from the end of a message was not done", error)
            except Exception:
                logger.exception("what follows from the end of a message could not be done")
            return None

    def _done(self, outcomes: list[_Outcome], statuses: Mapping[str, str]) -> None:
        """Noted: there is room for the next ones."""
        for outcome in outcomes:
            self._outcomes.remove(outcome)
            lane, claimed = outcome.lane, outcome.claimed
            lane.sending -= 1
            self._held.pop(claimed.delivery.key, None)
            self._sending.discard(_recipient(claimed))
            account = _account(claimed)
            if account is not None:
                self._sending_of[account] -= 1
                if not self._sending_of[account]:
                    del self._sending_of[account]
            self._count(outcome, statuses[claimed.delivery.key])

    def _count(self, outcome: _Outcome, status: str) -> None:
        lane, result = outcome.lane, outcome.result
        report = lane.report
        if isinstance(result, Handed):
            report.sent += 1
            if lane.failing:
                logger.info("%s messages are sent again", lane.channel.name)
            lane.failing = False
            return
        if status == "dead":
            report.dead += 1
            # What a provider says may name an address.
            logger.error("%s is given up: %s", outcome.name, _without(outcome.claimed.delivery.recipient, str(result)))
        elif status == "expired":
            report.expired += 1
            logger.warning("%s expired: %s", outcome.name, _without(outcome.claimed.delivery.recipient, str(result)))
        elif status:
            report.failed += 1
            report.uncertain += status == "uncertain"
            # Once for an outage, not once for each message in it.
            level = logging.DEBUG if lane.failing else logging.WARNING
            said = _without(outcome.claimed.delivery.recipient, str(result))
            logger.log(level, "%s is tried again: %s", outcome.name, said)
            lane.failing = lane.failing or not isinstance(result, TryAgainLater)

    async def _finish(self) -> None:
        """Wait a moment for what was begun, end it, and note what became of it as far as the database lets us."""
        pending = set(self._tasks)
        try:
            if pending:
                await asyncio.wait(pending, timeout=GRACE_S)
        finally:
            for task in pending:
                task.cancel()
            with contextlib.suppress(TimeoutError, DatabaseError):
                async with asyncio.timeout(GRACE_S):
                    await asyncio.gather(*pending, return_exceptions=True)
                    while self._outcomes:
                        await self._note_some()
                    # What follows from the last ones is noted, too.
                    await self._noting.acquire()


class _NotToBeSent(DeliveryError):
    """It was claimed, and must not leave."""

    def __init__(self, status: Literal["dead", "expired"], why: str) -> None:
        super().__init__(why)
        self.status: Literal["dead", "expired"] = status


class _ClaimOver(DeliveryError):
    """Not begun, as the claim might end before it is done."""


def _note(session: Session, batch: list[_Outcome], now_ms: int) -> dict[str, str]:
    """Note what became of attempts; the status of each delivery by its key, "" where there was nothing to note."""
    # In one order: two workers whose claims have overlapped do not hold each other up.
    rows = outbox.lock(session, [outcome.claimed.delivery.key for outcome in batch])
    statuses: dict[str, str] = {}
    for outcome in batch:
        delivery = outcome.claimed.delivery
        row = rows.get(delivery.key)
        statuses[delivery.key] = "" if row is None else _note_one(session, outcome, row, delivery.claim, now_ms)
    return statuses


def _note_one(session: Session, outcome: _Outcome, row: Delivery, claim: str, now_ms: int) -> str:
    result = outcome.result
    if isinstance(result, _ClaimOver):
        outbox.release(session, row, claim, now_ms)
        return ""
    if isinstance(result, Handed):
        noted = outbox.mark_handed(session, row, claim, result, outcome.begun_ms, now_ms)
    elif isinstance(result, _NotToBeSent):
        noted = outbox.mark_unsent(session, row, claim, result.status, str(result), now_ms)
    else:
        noted = outbox.mark_failed(session, row, claim, result, now_ms)
        if noted is not None and isinstance(result, TryAgainLater):
            # For as long as was told: what this one waits beyond that is its own.
            until_ms = told_to_wait_ms(result.wait_s, now_ms)
            pauses.note(session, noted.channel, None if result.whole_channel else noted.recipient, until_ms, now_ms)
    return "" if noted is None else noted.status


def _place(outcome: _Outcome) -> tuple[str, str]:
    """The destination, "" where there is none, and where it is reached from now on."""
    assert isinstance(outcome.result, Handed)
    return outcome.claimed.delivery.destination_id or "", outcome.result.recipient


def _mailed(outcome: _Outcome) -> str:
    """The account whose own address it went to, which is no destination yet; "" for any other message."""
    delivery = outcome.claimed.delivery
    return delivery.account_id or "" if delivery.channel == "email" and delivery.destination_id is None else ""


def _recipient(claimed: Claimed) -> tuple[str, str]:
    return claimed.delivery.channel, claimed.delivery.recipient


def _account(claimed: Claimed) -> tuple[str, str] | None:
    account_id = claimed.delivery.account_id
    return None if account_id is None else (claimed.delivery.channel, account_id)


def _without(recipient: str, said: str) -> str:
    return said.replace(recipient, "…") if recipient else said


def _steady_s() -> float:
    return steady_ms() / 1000
