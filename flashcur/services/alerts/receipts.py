"""The chain of an account's alerts: each holds the hash of the one before, so that none can be changed, taken out or
put in afterwards without the rest saying so.

Real alerts and those of demo data are two chains, as demo ones are deleted once real data serves. What cannot be told
from a chain alone is that its newest alerts are missing, or that its oldest were deleted when their time was over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlmodel import Session, col, select

from flashcur.models import Account, AlertRecord

TOLD = (
    "key",
    "account_id",
    "kind",
    "rule_version",
    "exchange",
    "symbol",
    "demo",
    "urgent",
    "title",
    "text",
    "price",
    "evidence",
    "event_ms",
    "seen_ms",
    "stored_ms",
)
"""What of an alert is hashed: all that is told, but neither what followed nor `rule_id`, which is emptied when the rule
is deleted; `key` names the rule, or `evidence` all of several."""

_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain is not whole."""

    number: int
    """Of the alert in the file, from 1."""
    alert: str
    """Its id and title, as far as it has them."""
    why: str
    """What was expected and what came."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a file of alerts."""

    alerts: int
    """How many were looked at until the first break, or all."""
    begins: str
    """`previous_hash` of the first real alert: not empty where older ones were deleted since."""
    broken: Break | None


def chain(session: Session, alerts: Sequence[AlertRecord]) -> list[AlertRecord]:
    """Set `previous_hash` and `hash` of alerts that are about to be added, in the order given, and lock their accounts
    until the transaction ends, so that no second writer forks a chain.

    Returns those to add: without any whose `key` is stored already, and whose account is no longer. They are to be
    added in this order and in this transaction.
    """
    present = _lock(session, {alert.account_id for alert in alerts})
    last = {demo: _last_hashes(session, present, demo=demo) for demo in {alert.demo for alert in alerts}}
    keys = [alert.key for alert in alerts]
    known = set(session.exec(select(AlertRecord.key).where(col(AlertRecord.key).in_(keys))))
    new: list[AlertRecord] = []
    for alert in alerts:
        if alert.account_id not in present or alert.key in known:
            continue
        known.add(alert.key)
        hashes = last[alert.demo]
        alert.previous_hash = hashes[alert.account_id]
        alert.hash = hashes[alert.account_id] = hash_of(alert.model_dump(include=set(TOLD)), alert.previous_hash)
        new.append(alert)
    return new


def hash_of(told: Mapping[str, Any], previous_hash: str) -> str:
    """SHA-256, hex, of the canonical JSON of what is told (`TOLD`) and the hash before it.

    Canonical: keys in order, no spaces, UTF-8, whole numbers without a decimal point. Raises ValueError for a number
    that JSON does not have.
    """
    content = {name: told[name] for name in TOLD} | {"previous_hash": previous_hash}
    # Read back once, as the database does: keys that are no text become text before they are put in order.
    plain = _canonical(json.loads(json.dumps(content, allow_nan=False)))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify(alerts: Iterable[object]) -> Verdict:
    """Follow the chain of exported alerts, in the order of the file, up to the first break."""
    last: dict[bool, str] = {}
    begins, number = "", 0
    for number, each in enumerate(alerts, 1):
        problem = _problem(each, last)
        if problem is not None:
            return Verdict(number - 1, begins, Break(number, _name(each), problem))
        alert = cast("Mapping[str, Any]", each)
        if alert["demo"] not in last and not alert["demo"]:
            begins = alert["previous_hash"]
        last[alert["demo"]] = alert["hash"]
    return Verdict(number, begins, None)


def _problem(alert: object, last: Mapping[bool, str]) -> str | None:
    if not isinstance(alert, Mapping):
        return f"expected an alert, found {type(alert).__name__}"
    fields = cast("Mapping[str, Any]", alert)
    missing = [name for name in (*TOLD, "previous_hash", "hash") if name not in fields]
    if missing:
        return f"it has no {', '.join(missing)}"
    previous, own, demo = fields["previous_hash"], fields["hash"], fields["demo"]
    if not isinstance(previous, str) or not isinstance(own, str) or not isinstance(demo, bool):
        return "its hashes or its mark for demo data are not of the expected kind"
    try:
        computed = hash_of(fields, previous)
    except ValueError as error:
        return f"it cannot be hashed: {error}"
    if computed != own:
        return f"what it says gives the hash {computed[:16]}…, and it holds {own[:16]}…: it was changed"
    if demo in last and last[demo] != previous:
        return (
            f"it follows {previous[:16] or 'nothing'}…, and the one before it is {last[demo][:16]}…: "
            "alerts between them are missing, were put in, or stand in another order"
        )
    return None


def _name(alert: object) -> str:
    if not isinstance(alert, Mapping):
        return ""
    fields = cast("Mapping[str, object]", alert)
    return f"{fields.get('id', '')} {fields.get('title', '')}".strip()[:120]


def _lock(session: Session, account_ids: Collection[str]) -> set[str]:
    """Have nobody else write alerts of these accounts until the transaction ends; those that there are."""
    # By id, as everybody does who locks several (docs/decisions/one-order-of-locks.md). SQLite has no row locks and
    # needs none: a writing transaction is alone from its beginning.
    query = select(Account.id).where(col(Account.id).in_(sorted(account_ids))).order_by(col(Account.id))
    return set(session.exec(query.with_for_update(key_share=True)))


def _last_hashes(session: Session, account_ids: Collection[str], *, demo: bool) -> dict[str, str]:
    """The hash of each account's newest alert; empty where there is none."""
    newest = (
        select(AlertRecord.hash)
        .where(col(AlertRecord.account_id) == col(Account.id), col(AlertRecord.demo).is_(demo))
        .order_by(col(AlertRecord.id).desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.exec(select(Account.id, newest).where(col(Account.id).in_(account_ids)))
    return {account_id: found or "" for account_id, found in rows}


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_canonical(each) for each in cast("list[Any]", value)]
    # Other programs write 65010.0 as 65010; both are the same number.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
