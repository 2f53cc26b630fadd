"""Rules in the database, as the engine needs them: read, paused, ended, and what becomes of one that fired.

What is stored is never trusted to be of this version: a definition that cannot be read is left out and said in the log.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlmodel import Session, and_, col, select

from flashcur.domain.rules.condition import Fault
from flashcur.domain.rules.rule import Definition, Rule
from flashcur.models import Account, RuleRecord, Watchlist, WatchlistItem
from flashcur.services.accounts import changes
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.alerts import rule_limits
from flashcur.services.kit.clock import from_ms
from flashcur.services.storage.columns import columns_of, rows_of

logger = logging.getLogger(__name__)

PAGE = 2_000
"""Rules that are read at once: some 40 ms."""

_FOLLOWING = ("active", "paused")

Why = Literal["owner", "plan", "delisted", "watchlist", "fired", "expired"]
"""Why a rule is not active; see `RuleRecord.why`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Active rules as they are evaluated."""

    rules: Sequence[Rule]
    orphans: Mapping[str, int]
    """Ids of active rules whose watchlist is gone, with their versions: they are to be paused."""
    next: str
    """Where the next page begins; empty after the last."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether an active rule is the one that is evaluated."""

    rule_id: str
    account_id: str
    version: int
    changed_ms: int
    """Unix ms."""
    snoozed_until_ms: int | None
    expires_ms: int | None


def load(session: Session, now_ms: int, account_ids: Collection[str] | None = None) -> Loaded:
    """The active rules of some accounts, or of all, with what they watch at `now_ms` (Unix ms)."""
    query = _active()
    if account_ids is not None:
        query = query.where(col(RuleRecord.account_id).in_(sorted(account_ids)))
    return _loaded(session, _rows(session, query), now_ms, "")


def load_page(session: Session, now_ms: int, after: str = "", limit: int = PAGE) -> Loaded:
    """`load` of all accounts, some rules at a time, in the order of their ids: those after the one named."""
    rows = _rows(session, _active().where(col(RuleRecord.id) > after).limit(limit))
    return _loaded(session, rows, now_ms, rows[-1][0].id if len(rows) == limit else "")


def stamps(session: Session, after: str = "", limit: int = 10 * PAGE) -> list[Stamp]:
    """Which rules are active and of which version, in the order of their ids, after the one named."""
    columns = (
        RuleRecord.id,
        RuleRecord.account_id,
        RuleRecord.version,
        RuleRecord.changed_ms,
        RuleRecord.snoozed_until_ms,
        RuleRecord.expires_ms,
    )
    query = cast("Any", select)(*columns).where(RuleRecord.status == "active", col(RuleRecord.id) > after)
    return [Stamp(*row) for row in cast("Any", session).exec(query.order_by(RuleRecord.id).limit(limit))]


@dataclass(frozen=True, slots=True)
class Naming:
    """Rules on one contract that may go on with it under another name (`can_follow`): a page of whole accounts."""

    rule_ids: Sequence[str]
    next: str
    """The account that the next page begins after; empty after the last."""


def naming(session: Session, symbol: str, *, after: str = "", limit: int = PAGE) -> Naming:
    """Those of the accounts after the one named, some `limit` of them: what an account has is never torn apart."""
    account_id, rule_id = col(RuleRecord.account_id), col(RuleRecord.id)
    query = columns_of(account_id, rule_id).where(_named() == symbol, _may_follow()).order_by(account_id, rule_id)
    page = [(owner, each) for owner, each in rows_of(session, query.where(account_id > after).limit(limit))]
    if len(page) < limit:
        return Naming([each for _, each in page], "")
    owner, last = page[-1]
    rest = rows_of(session, query.where(account_id == owner, rule_id > last))
    return Naming([each for _, each in (*page, *rest)], owner)


def waiting_on(session: Session, gone: Mapping[str, int]) -> set[str]:
    """Which of some contracts that are gone (by name, with the Unix ms at which that was said) a rule still names that
    may go on with it; one that is paused and was changed since waits for nothing but its owner."""
    if not gone:
        return set()
    named = _named()
    query = columns_of(named, RuleRecord.status, RuleRecord.changed_ms).where(named.in_(sorted(gone)), _may_follow())
    return {
        symbol
        for symbol, status, changed_ms in rows_of(session, query)
        if status == "active" or changed_ms <= gone[symbol]
    }


def can_follow(rule: RuleRecord) -> bool:
    """Whether a rule that `lock` gave goes with its contract: one that is done says what it fired on, and one whose
    contract was gone is its owner's to move."""
    return rule.status in _FOLLOWING and rule.why != "delisted"


def lock(session: Session, rule_ids: Iterable[str]) -> dict[str, RuleRecord]:
    """The rules as they are now, by id, which nobody else changes before this transaction ends.

    Their accounts are locked first, as by all who change something of an account, and all in one order.
    """
    wanted = sorted(set(rule_ids))
    if not wanted:
        return {}
    owners = select(RuleRecord.account_id).where(col(RuleRecord.id).in_(wanted))
    lock_accounts(session, session.exec(owners))
    query = (
        select(RuleRecord)
        .where(col(RuleRecord.id).in_(wanted))
        .order_by(col(RuleRecord.id))
        .execution_options(populate_existing=True)
        .with_for_update()
    )
    return {rule.id: rule for rule in session.exec(query)}


def lock_accounts(session: Session, account_ids: Iterable[str]) -> list[str]:
    """Until this transaction ends nobody else changes something of these accounts; those that exist, in their order."""
    query = select(Account.id).where(col(Account.id).in_(sorted(set(account_ids)))).order_by(col(Account.id))
    return list(session.exec(query.with_for_update(key_share=True)))


def note_fired(session: Session, rule: RuleRecord, event_ms: int, now_ms: int, *, once: bool, times: int = 1) -> None:
    """A rule that `lock` gave has fired, for the last time at `event_ms` (Unix ms), and is done if it fires `once`."""
    rule.fires += times
    rule.fired_ms = max(rule.fired_ms or 0, event_ms)
    session.add(rule)
    if once:
        _end(session, rule, "fired", now_ms)


def expire(session: Session, now_ms: int) -> int:
    """End the rules whose time is over at `now_ms` (Unix ms); returns how many."""
    over = select(RuleRecord.id).where(RuleRecord.status == "active", col(RuleRecord.expires_ms) <= now_ms)
    ended = 0
    for rule in lock(session, session.exec(over)).values():
        if rule.status == "active" and rule.expires_ms is not None and rule.expires_ms <= now_ms:
            _end(session, rule, "expired", now_ms)
            ended += 1
    return ended


def pause(session: Session, rule: RuleRecord, why: Why, now_ms: int) -> bool:
    """Have a rule that `lock` gave be evaluated no more, and its owner's pages know; False if it is not active."""
    if rule.status != "active":
        return False
    rest(session, rule, why, now_ms)
    return True


def rest(session: Session, rule: RuleRecord, why: Why, now_ms: int) -> None:
    """`pause`, also for one that is paused, from now on for another reason: no plan sets it going."""
    rule.status, rule.why, rule.changed_ms = "paused", why, now_ms
    session.add(rule)
    _fill_room(session, rule, now_ms)
    changes.tell(session, rule.account_id, from_ms(now_ms))


def rewrite(session: Session, rule: RuleRecord, definition: Definition, now_ms: int) -> None:
    """Have a rule that `lock` gave say something else from now on; it starts anew, and its owner's pages know."""
    rule.definition, rule.version, rule.changed_ms = definition.to_json(), rule.version + 1, now_ms
    session.add(rule)
    changes.tell(session, rule.account_id, from_ms(now_ms))


def enforce_plan(session: Session, account: Account, now_ms: int) -> tuple[int, int]:
    """`rule_limits.enforce` by the plan that an account has at `now_ms` (Unix ms)."""
    return rule_limits.enforce(session, account.id, plan_of(account, from_ms(now_ms)), now_ms)


def watchlist_is_gone(session: Session, rule: RuleRecord) -> bool:
    """Whether what a rule watches is a list that its account does not have (any more)."""
    try:
        scope = Definition.from_json(rule.definition).scope
    except Fault:
        return False
    if scope.kind != "watchlist":
        return False
    found = session.get(Watchlist, scope.watchlist_id)
    return found is None or found.account_id != rule.account_id


def _end(session: Session, rule: RuleRecord, why: Why, now_ms: int) -> None:
    rule.status, rule.why, rule.changed_ms = "done", why, now_ms
    session.add(rule)
    _fill_room(session, rule, now_ms)
    changes.tell(session, rule.account_id, from_ms(now_ms))


def _fill_room(session: Session, ended: RuleRecord, now_ms: int) -> None:
    """The oldest rule that waits for room in its owner's plan takes the place of one that is no longer active."""
    session.flush()
    enforce_plan(session, session.get_one(Account, ended.account_id), now_ms)


def _named() -> Any:
    """The one contract that a rule is on."""
    return cast("Any", col(RuleRecord.definition))[("scope", "symbol")].as_string()


def _may_follow() -> Any:
    return and_(col(RuleRecord.status).in_(_FOLLOWING), col(RuleRecord.why) != "delisted")


def _active() -> Any:
    return (
        select(RuleRecord, Account)
        .join(Account, col(Account.id) == col(RuleRecord.account_id))
        .where(RuleRecord.status == "active")
        .order_by(col(RuleRecord.id))
    )


def _rows(session: Session, query: Any) -> list[tuple[RuleRecord, Account]]:
    return [(record, account) for record, account in cast("Any", session).exec(query)]


def _loaded(session: Session, rows: Sequence[tuple[RuleRecord, Account]], now_ms: int, following: str) -> Loaded:
    written: list[tuple[RuleRecord, Account, Definition]] = []
    for record, account in rows:
        try:
            written.append((record, account, Definition.from_json(record.definition)))
        except Fault as fault:
            logger.warning("the rule %s cannot be read: %s: %s", record.id, fault.field, fault)
    lists = _lists(session, {d.scope.watchlist_id for _, _, d in written if d.scope.kind == "watchlist"})
    now = from_ms(now_ms)
    open_interest = {account.id: plan_of(account, now).open_interest for _, account, _ in written}
    rules: list[Rule] = []
    orphans: dict[str, int] = {}
    for record, account, definition in written:
        symbols = None
        if definition.scope.kind == "symbol":
            symbols = frozenset((definition.scope.symbol,))
        elif definition.scope.kind == "watchlist":
            owner, symbols = lists.get(definition.scope.watchlist_id, ("", frozenset[str]()))
            if owner != account.id:
                orphans[record.id] = record.version
                continue
        rules.append(
            Rule(
                record.id,
                account.id,
                record.version,
                definition,
                symbols,
                open_interest[account.id],
                record.changed_ms,
                record.snoozed_until_ms,
                record.expires_ms,
            )
        )
    return Loaded(rules, orphans, following)


def _lists(session: Session, ids: Collection[str]) -> Mapping[str, tuple[str, frozenset[str]]]:
    """(owner, contracts) of watchlists, by id."""
    if not ids:
        return {}
    wanted = sorted(ids)
    owners = session.exec(select(Watchlist.id, Watchlist.account_id).where(col(Watchlist.id).in_(wanted))).all()
    symbols: dict[str, list[str]] = defaultdict(list)
    items = select(WatchlistItem.watchlist_id, WatchlistItem.symbol).where(col(WatchlistItem.watchlist_id).in_(wanted))
    for list_id, symbol in session.exec(items):
        symbols[list_id].append(symbol)
    return {list_id: (owner, frozenset(symbols[list_id])) for list_id, owner in owners}
