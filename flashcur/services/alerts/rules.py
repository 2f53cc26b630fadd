"""An account's rules: functions on an open session, which the caller commits, and the owner's acts on top.

As with watchlists, whoever changes something first locks the account's row, so that two requests at once cannot pass a
limit together. An active rule over the plan's number is refused, and may be kept paused instead, until there is room.
A rule whose definition was changed, and one that is set going again, starts anew: what happened before does not count.

Every function raises NotFound for a rule that does not exist and for one of another account alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from sqlmodel import Session, col, select

from flashcur.domain.plans import CHANNELS, Channel, Plan, channel_plan_text, least_plan
from flashcur.domain.rules.condition import Fault, needs_open_interest
from flashcur.domain.rules.rule import Definition
from flashcur.domain.watchlists import valid_symbol
from flashcur.errors import Conflict, NotFound, PlanNeeded, Refusal
from flashcur.models import RuleRecord, Watchlist
from flashcur.services.accounts import sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts import rule_limits
from flashcur.services.kit.clock import to_ms

T = TypeVar("T")

MOST_RULES = 1_000
"""Of an account, whatever state they are in."""
LONGEST_SNOOZE_MS = 7 * 86_400_000
LATEST_EXPIRY_MS = 5 * 366 * 86_400_000
"""From now."""

_UNKNOWN = "This rule no longer exists."


@dataclass(frozen=True, slots=True)
class Written:
    """A rule as its owner wrote it; its definition has been checked by itself."""

    definition: Definition
    channels: tuple[Channel, ...] = ()
    """Beside the app, which always has its messages."""
    expires_ms: int | None = None
    """Unix ms."""


def rules(session: Session, account_id: str) -> Sequence[RuleRecord]:
    """All rules of an account, the newest first."""
    query = select(RuleRecord).where(RuleRecord.account_id == account_id)
    # What the session read before the lock may have changed meanwhile.
    return session.exec(query.order_by(col(RuleRecord.position).desc()).execution_options(populate_existing=True)).all()


def find(session: Session, account_id: str, rule_id: str) -> RuleRecord:
    """One rule of an account."""
    found = session.get(RuleRecord, rule_id, populate_existing=True) if rule_id else None
    if found is None or found.account_id != account_id:
        raise NotFound(_UNKNOWN)
    return found


def revision(rule: RuleRecord) -> int:
    """What changes with each edit, also with those that start nothing anew: of channels, and of its end."""
    rest = json.dumps([sorted(rule.channels), rule.expires_ms])
    return rule.version << 32 | crc32(rest.encode())


def create(
    session: Session,
    account_id: str,
    plan: Plan,
    written: Written,
    now_ms: int,
    *,
    paused: bool,
    contracts: frozenset[str] = frozenset(),
) -> RuleRecord:
    """A new rule after the others. Raises PlanNeeded where the plan has no room or lacks what it needs.

    `contracts`: symbols that rules can watch now, empty while nobody knows; of another one only a paused rule is kept.
    One that is kept paused where the plan has no room waits for it, and so has to be one that can watch.
    """
    owned = rules(session, account_id)
    if len(owned) >= MOST_RULES:
        raise Refusal(f"You can keep up to {MOST_RULES:,} rules. Delete some first.")
    waits = paused and active_count(owned, plan) >= plan.rules
    _check(session, account_id, plan, written, now_ms, contracts, paused=paused and not waits)
    if not paused:
        _require_room(owned, plan)
    created = RuleRecord(
        account_id=account_id,
        definition=written.definition.to_json(),
        channels=_channels(written.channels, plan, ()),
        status="paused" if paused else "active",
        why="plan" if waits else "owner" if paused else "",
        expires_ms=written.expires_ms,
        position=max((each.position for each in owned), default=0) + 1,
        created_ms=now_ms,
        changed_ms=now_ms,
    )
    session.add(created)
    session.flush()
    if not paused:
        rule_limits.enforce(session, account_id, plan, now_ms)
    return created


def edit(
    session: Session,
    account_id: str,
    plan: Plan,
    rule_id: str,
    begun: int,
    written: Written,
    now_ms: int,
    contracts: frozenset[str] = frozenset(),
    *,
    paused: bool = False,
) -> RuleRecord:
    """Write a rule anew; it starts anew where what it says is another thing.

    Raises Conflict where it is not of the `revision` with which the edit was `begun`. A rule that is done is set going
    again, unless it is to be kept `paused`: then it waits where the plan has no room, as with `create`, whose
    `contracts` these are, too. A paused one is checked as any other.
    """
    found = find(session, account_id, rule_id)
    if revision(found) != begun:
        raise Conflict("This rule was changed in another tab. Open it again to edit it.")
    rested = found.status == "paused"
    # One that rests may be set going by whoever makes room for it: it is checked as if it went on now.
    _check(session, account_id, plan, written, now_ms, contracts, paused=False)
    if paused and not rested:
        others = [each for each in rules(session, account_id) if each.id != found.id]
        waits = active_count(others, plan) >= plan.rules
        found.status, found.why = "paused", "plan" if waits else "owner"
        found.snoozed_until_ms, found.changed_ms = None, now_ms
    elif found.status == "done":
        _set_going(session, account_id, plan, found, now_ms)
    elif not rested and not rule_limits.can_fire(found, plan):
        # It took no room until now.
        _require_room(rules(session, account_id), plan)
    definition = written.definition.to_json()
    if definition != found.definition:
        found.definition, found.version, found.changed_ms = definition, found.version + 1, now_ms
        # What was wrong with it may be right now: its owner says when it goes on.
        found.why = "owner" if rested and found.why != "plan" else found.why
    found.channels = _channels(written.channels, plan, found.channels)
    found.expires_ms = written.expires_ms
    session.add(found)
    session.flush()
    # Where it waited because it could not fire, it may go on now.
    rule_limits.enforce(session, account_id, plan, now_ms)
    return found


def pause(session: Session, account_id: str, plan: Plan, rule_id: str, now_ms: int) -> RuleRecord:
    """Have a rule evaluated no more, until `resume`; one that is paused or done stays as it is.

    The oldest that waits for room in the plan takes its place.
    """
    found = find(session, account_id, rule_id)
    if found.status == "active":
        found.status, found.why, found.snoozed_until_ms, found.changed_ms = "paused", "owner", None, now_ms
        session.add(found)
        session.flush()
        rule_limits.enforce(session, account_id, plan, now_ms)
    return found


def resume(
    session: Session,
    account_id: str,
    plan: Plan,
    rule_id: str,
    now_ms: int,
    contracts: frozenset[str] = frozenset(),
) -> RuleRecord:
    """Set a rule going again that is paused, done or snoozed; it starts anew. Raises PlanNeeded as `create` does, by
    whose `contracts` it goes, too.

    An end that has passed is taken off.
    """
    found = find(session, account_id, rule_id)
    if found.status != "active":
        expires_ms = None if found.expires_ms is not None and found.expires_ms <= now_ms else found.expires_ms
        try:
            definition = Definition.from_json(found.definition)
        except Fault:
            raise Refusal("This rule comes from another version of FlashCur and cannot be started.") from None
        _check(session, account_id, plan, Written(definition, expires_ms=expires_ms), now_ms, contracts, paused=False)
        found.expires_ms = expires_ms
        _set_going(session, account_id, plan, found, now_ms)
        session.add(found)
        session.flush()
        rule_limits.enforce(session, account_id, plan, now_ms)
    elif found.snoozed_until_ms is not None:
        found.snoozed_until_ms, found.changed_ms = None, now_ms
    session.add(found)
    session.flush()
    return found


def snooze(session: Session, account_id: str, rule_id: str, until_ms: int, now_ms: int) -> RuleRecord:
    """Have an active rule fire nothing before `until_ms` (Unix ms). Raises Refusal for one that is not active."""
    found = find(session, account_id, rule_id)
    if found.status != "active":
        raise Refusal("Only an active rule can be snoozed.")
    if not now_ms < until_ms <= now_ms + LONGEST_SNOOZE_MS:
        raise Refusal("A rule can be snoozed for up to 7 days.")
    found.snoozed_until_ms = until_ms
    session.add(found)
    session.flush()
    return found


def delete(session: Session, account_id: str, plan: Plan, rule_id: str, now_ms: int) -> None:
    """Delete a rule; the alerts that it gave stay. The oldest that waits for room in the plan takes its place."""
    session.delete(find(session, account_id, rule_id))
    session.flush()
    rule_limits.enforce(session, account_id, plan, now_ms)


def active_count(owned: Sequence[RuleRecord], plan: Plan) -> int:
    """How many of an account's rules count against its plan: those that are active, and can fire on it."""
    return sum(each.status == "active" and rule_limits.can_fire(each, plan) for each in owned)


def _set_going(session: Session, account_id: str, plan: Plan, found: RuleRecord, now_ms: int) -> None:
    _require_room(rules(session, account_id), plan)
    found.status, found.why, found.snoozed_until_ms, found.changed_ms = "active", "", None, now_ms


def _require_room(owned: Sequence[RuleRecord], plan: Plan) -> None:
    active = active_count(owned, plan)
    if active < plan.rules:
        return
    raise PlanNeeded(
        f"{plan.title} allows {plan.rules:,} active rules, and you have {active:,}: pause another one, or "
        "keep this one paused.",
        field="room",
    )


def _check(
    session: Session,
    account_id: str,
    plan: Plan,
    written: Written,
    now_ms: int,
    contracts: frozenset[str],
    *,
    paused: bool,
) -> None:
    """What only the account and the time can tell of a rule. Raises Refusal, which names the field."""
    scope = written.definition.scope
    if scope.kind == "symbol" and not valid_symbol(scope.symbol):
        raise Refusal("Choose a contract, such as BTC or BTCUSDT.", field="scope.symbol")
    if scope.kind == "symbol" and contracts and scope.symbol not in contracts and not paused:
        raise Refusal(
            f"{scope.symbol} does not trade here now. Choose another contract.",
            field="scope.symbol",
        )
    if scope.kind == "watchlist":
        owned = session.get(Watchlist, scope.watchlist_id)
        if owned is None or owned.account_id != account_id:
            raise Refusal("This watchlist no longer exists. Choose another.", field="scope.watchlist_id")
    if written.expires_ms is not None and not now_ms < written.expires_ms <= now_ms + LATEST_EXPIRY_MS:
        raise Refusal("Choose an end in the future, within five years.", field="expires_ms")
    if paused or plan.open_interest:
        return
    for number, condition in enumerate(written.definition.conditions):
        if needs_open_interest((condition,)):
            raise PlanNeeded(
                f"Open interest comes with {least_plan('open_interest').title}. On {plan.title} this rule would never "
                "fire.",
                field=f"conditions.{number}.kind",
            )


def _channels(wanted: Sequence[Channel], plan: Plan, kept: Sequence[str]) -> list[str]:
    """The names to be stored. One that the plan lacks may stay where it is, and is told nothing meanwhile."""
    for channel in wanted:
        if channel not in plan.channels and channel not in kept:
            raise PlanNeeded(channel_plan_text(channel), field="channels")
    return [channel for channel in CHANNELS if channel == "in-app" or channel in wanted]


class Rules:
    """Rules as their owner changes them: each act authorised, limited and told in one transaction.

    Every method raises what the function of its name raises, SignInNeeded when signed out, Throttled after too many
    changes, and Unavailable while the database is away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(
        self, caller: Caller, written: Written, *, paused: bool = False, contracts: frozenset[str] = frozenset()
    ) -> str:
        """Keep a new rule. Returns its id."""

        def work(session: Session, plan: Plan, now_ms: int) -> str:
            made = create(session, caller.account_id, plan, written, now_ms, paused=paused, contracts=contracts)
            return made.id

        return await self._change(caller, work)

    async def edit(
        self,
        caller: Caller,
        rule_id: str,
        begun: int,
        written: Written,
        contracts: frozenset[str] = frozenset(),
        *,
        paused: bool = False,
    ) -> None:
        """Write a rule anew that was of the `revision` `begun`."""

        def work(session: Session, plan: Plan, now_ms: int) -> None:
            edit(session, caller.account_id, plan, rule_id, begun, written, now_ms, contracts, paused=paused)

        await self._change(caller, work)

    async def expiry(self, caller: Caller, rule_id: str) -> int | None:
        """The end that a rule has now, Unix ms; None without one."""
        now = self._context.clock()

        def work(session: Session) -> int | None:
            account, _ = sessions.require(session, caller, now)
            return find(session, account.id, rule_id).expires_ms

        return await self._context.run(work, readonly=True)

    async def pause(self, caller: Caller, rule_id: str) -> None:
        """Have a rule evaluated no more."""

        def work(session: Session, plan: Plan, now_ms: int) -> None:
            pause(session, caller.account_id, plan, rule_id, now_ms)

        await self._change(caller, work)

    async def resume(self, caller: Caller, rule_id: str, contracts: frozenset[str] = frozenset()) -> None:
        """Set a rule going again."""

        def work(session: Session, plan: Plan, now_ms: int) -> None:
            resume(session, caller.account_id, plan, rule_id, now_ms, contracts)

        await self._change(caller, work)

    async def snooze(self, caller: Caller, rule_id: str, span_ms: int) -> None:
        """Have a rule fire nothing for so long, in ms."""

        def work(session: Session, plan: Plan, now_ms: int) -> None:
            snooze(session, caller.account_id, rule_id, now_ms + span_ms, now_ms)

        await self._change(caller, work)

    async def delete(self, caller: Caller, rule_id: str) -> None:
        """Delete a rule."""

        def work(session: Session, plan: Plan, now_ms: int) -> None:
            delete(session, caller.account_id, plan, rule_id, now_ms)

        await self._change(caller, work)

    async def _change(self, caller: Caller, work: Callable[[Session, Plan, int], T]) -> T:
        now = self._context.clock()

        def authorised(session: Session) -> T:
            account, _ = sessions.require(session, caller, now, locked=True)
            return work(session, plan_of(account, now), to_ms(now))

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, authorised)
