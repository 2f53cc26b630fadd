"""The chain of an account's alerts: whole after any writers, and broken wherever something was changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from flashcur.models import AlertRecord
from flashcur.services.alerts.receipts import TOLD, chain, hash_of, verify
from flashcur.services.storage.database import Database
from tests.support.accounts import add_account
from tests.support.alerts import NOON_MS, alert

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def exported(database: Database, account_id: str) -> list[dict[str, Any]]:
    """As in a file: written as JSON and read again."""
    with database.session(readonly=True) as session:
        rows = session.exec(
            select(AlertRecord).where(AlertRecord.account_id == account_id).order_by(col(AlertRecord.id))
        )
        return orjson.loads(orjson.dumps([row.model_dump() for row in rows]))


def store(database: Database, *alerts: AlertRecord) -> list[AlertRecord]:
    def work(session: Any) -> list[AlertRecord]:
        new = chain(session, alerts)
        session.add_all(new)
        session.flush()
        return new

    return database.work(work)


@pytest.fixture
def owner(database: Database) -> str:
    with database.session() as session:
        return add_account(session, "owner@example.com", NOW)


def test_each_alert_holds_the_hash_of_the_one_before(database: Database, owner: str) -> None:
    store(database, alert(owner), alert(owner))
    store(
        database,
        alert(owner, evidence={"note": "é “quoted” 🚀", "values": [1e-9, 3.0, None], "deep": {"b": 1, "a": 2}}),
    )
    first, second, third = exported(database, owner)
    assert first["previous_hash"] == ""
    assert len(first["hash"]) == 64
    assert (second["previous_hash"], third["previous_hash"]) == (first["hash"], second["hash"])
    verdict = verify([first, second, third])
    assert (verdict.alerts, verdict.begins, verdict.broken) == (3, "", None)


def test_accounts_and_demo_data_have_chains_of_their_own(database: Database, owner: str) -> None:
    with database.session() as session:
        other = add_account(session, "other@example.com", NOW)
    store(database, alert(owner), alert(other), alert(owner, demo=True), alert(other), alert(owner))
    real, demo, last = exported(database, owner)
    assert (real["previous_hash"], demo["previous_hash"], last["previous_hash"]) == ("", "", real["hash"])
    assert verify([real, demo, last]).broken is None
    # Demo alerts are deleted once real data serves: what is left is whole.
    assert verify([real, last]).broken is None
    assert verify(exported(database, other)).broken is None


def test_what_is_stored_already_or_has_no_account_is_left_out(database: Database, owner: str) -> None:
    one, twice = alert(owner), alert(owner)
    same = alert(owner, key=twice.key, title="again")
    assert store(database, one, twice, same, alert("nobody")) == [one, twice]
    assert store(database, alert(owner, key=one.key)) == []
    assert [row["title"] for row in exported(database, owner)] == [one.title, twice.title]


def test_two_writers_at_once_do_not_fork_a_chain(database: Database, owner: str) -> None:
    start = threading.Barrier(4)

    def write() -> None:
        start.wait()
        for _ in range(10):
            store(database, alert(owner), alert(owner))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = exported(database, owner)
    assert len(rows) == 80
    assert verify(rows).broken is None


def test_a_chain_goes_on_after_its_oldest_were_deleted(database: Database, owner: str) -> None:
    store(database, *[alert(owner) for _ in range(4)])
    rows = exported(database, owner)
    verdict = verify(rows[2:])
    assert (verdict.broken, verdict.begins) == (None, rows[1]["hash"])


def change(name: str, value: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: rows[2].update({name: value})


@pytest.mark.parametrize(
    ("tamper", "number", "why"),
    [
        (change("title", "BTCUSDT crossed above 66,000"), 3, "it was changed"),
        (change("price", 65_011), 3, "it was changed"),
        (change("event_ms", NOON_MS - 1), 3, "it was changed"),
        (change("evidence", {}), 3, "it was changed"),
        (change("hash", "0" * 64), 3, "it was changed"),
        (change("previous_hash", "0" * 64), 3, "it was changed"),
        (change("previous_hash", None), 3, "not of the expected kind"),
        (change("price", float("nan")), 3, "cannot be hashed"),
        (lambda rows: rows.pop(2), 3, "missing, were put in, or stand in another order"),
        (lambda rows: rows.insert(2, rows[0]), 3, "missing, were put in, or stand in another order"),
        (lambda rows: rows.insert(2, rows.pop(3)), 3, "missing, were put in, or stand in another order"),
        (lambda rows: rows[2].pop("text"), 3, "it has no text"),
        (lambda rows: rows.insert(0, "alert"), 1, "expected an alert, found str"),
    ],
)
def test_the_first_broken_link_is_named(
    tamper: Callable[[list[dict[str, Any]]], object], number: int, why: str
) -> None:
    rows: list[dict[str, Any]] = []
    for each in range(5):
        row = alert("a", NOON_MS + each).model_dump() | {"previous_hash": rows[-1]["hash"] if rows else ""}
        rows.append(row | {"hash": hash_of(row, row["previous_hash"])})
    assert verify(rows).broken is None
    tamper(rows)
    broken = verify(rows).broken
    assert broken is not None
    assert broken.number == number
    assert why in broken.why


def test_what_followed_and_a_deleted_rule_change_no_hash(database: Database, owner: str) -> None:
    store(database, alert(owner))
    with database.session() as session:
        row = session.exec(select(AlertRecord)).one()
        row.due_ms, row.change_1h = NOON_MS, 1.5
        session.add(row)
    assert verify(exported(database, owner)).broken is None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4), st.floats(-1e15, 1e15))
def test_a_hash_survives_being_written_and_read(evidence: dict[str, Any], price: float) -> None:
    told = alert("a", evidence=evidence, price=price).model_dump(include=set(TOLD))
    own = hash_of(told, "")
    assert hash_of(json.loads(json.dumps(told)), "") == own
    # As JavaScript writes whole numbers, and in whatever order.
    reordered = dict(sorted(told.items(), reverse=True)) | {"price": int(price) if price.is_integer() else price}
    assert hash_of(reordered, "") == own
