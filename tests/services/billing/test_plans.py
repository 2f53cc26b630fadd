"""An account's plan follows from what is on record of its payments, grants and disputes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from flashcur.domain.plans import PLANS
from flashcur.errors import Conflict
from flashcur.models import (
    Account,
    AccountChange,
    AuditEvent,
    BillingCustomer,
    BillingDispute,
    BillingSubscription,
    PlanGrant,
)
from flashcur.services.accounts import sessions
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.upkeep import end_plans
from flashcur.services.billing import grants, plans
from flashcur.services.kit.clock import to_ms
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import NOON, add_account
from tests.support.billing import NO_PRICES, PRICES, add_subscription

NOON_MS = to_ms(NOON)
DAY = timedelta(days=1)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


@pytest.fixture
def ann(session: Session) -> Account:
    account = sessions.lock(session, add_account(session, "ann@example.com", NOON))
    assert account is not None
    return account


def shown(account: Account) -> tuple[str, str, str]:
    return account.plan, account.plan_source, account.plan_after


def events(session: Session) -> list[str]:
    found = select(AuditEvent).where(AuditEvent.kind == "plan-changed").order_by(col(AuditEvent.id))
    return [event.detail for event in session.exec(found)]


def test_a_subscription_gives_its_plan_once(session: Session, ann: Account) -> None:
    row = add_subscription(session, ann.id, NOON_MS)
    for _ in range(3):
        plans.reconsider(session, ann, PRICES, NOON)
    assert (*shown(ann), ann.plan_until) == ("pro", "stripe", "free", None)
    assert events(session) == ["free to pro"]
    assert len(session.exec(select(AccountChange)).all()) == 1
    row.status = "canceled"
    plans.reconsider(session, ann, PRICES, NOON)
    assert shown(ann) == ("free", "none", "free")
    assert events(session) == ["free to pro", "pro to free"]


def test_an_old_price_keeps_its_plan_and_an_unknown_one_gives_none(session: Session, ann: Account) -> None:
    row = add_subscription(session, ann.id, NOON_MS, price="price_pro_old", plan="elite")
    assert plans.reconsider(session, ann, PRICES, NOON).plan == "pro"
    # The row's own word of the plan is shown, never judged by.
    row.price_id = "price_of_somebody"
    assert plans.reconsider(session, ann, PRICES, NOON).plan == "free"


def test_records_of_the_other_mode_do_not_count(session: Session, ann: Account) -> None:
    add_subscription(session, ann.id, NOON_MS, livemode=True)
    assert plans.reconsider(session, ann, PRICES, NOON).plan == "free"
    add_subscription(session, ann.id, NOON_MS, id="sub_2", price="price_elite")
    assert plans.reconsider(session, ann, PRICES, NOON).plan == "elite"


def test_another_s_records_do_not_count(session: Session, ann: Account) -> None:
    other = add_account(session, "bob@example.com", NOON)
    add_subscription(session, other, NOON_MS)
    grants.grant(session, other, "elite", None, NOON, reason="a test")
    assert plans.reconsider(session, ann, PRICES, NOON).plan == "free"


def test_after_a_grant_comes_what_is_paid_in_that_very_moment(session: Session, ann: Account) -> None:
    add_subscription(session, ann.id, NOON_MS)
    grants.grant(session, ann.id, "elite", NOON + DAY, NOON, reason="a test")
    plans.reconsider(session, ann, PRICES, NOON)
    assert (*shown(ann), ann.plan_until) == ("elite", "operator", "pro", NOON + DAY)
    assert plan_of(ann, NOON + DAY - timedelta(milliseconds=1)) is PLANS["elite"]
    # No job has run yet.
    assert plan_of(ann, NOON + DAY) is PLANS["pro"]
    assert end_plans(session, PRICES, NOON + DAY) == "1 plans ended"
    assert (*shown(ann), ann.plan_until) == ("pro", "stripe", "free", None)
    assert events(session) == ["free to elite until 2026-11-26 12:00 UTC, then pro", "elite to pro"]
    assert end_plans(session, PRICES, NOON + 2 * DAY) == "0 plans ended"


def test_grace_ends_by_the_clock_alone(session: Session, ann: Account) -> None:
    add_subscription(session, ann.id, NOON_MS, status="past_due", past_due_since_ms=NOON_MS)
    plans.reconsider(session, ann, PRICES, NOON)
    assert (*shown(ann), ann.plan_until) == ("pro", "stripe", "free", NOON + 7 * DAY)
    assert plan_of(ann, NOON + 7 * DAY) is PLANS["free"]
    end_plans(session, PRICES, NOON + 7 * DAY)
    assert (*shown(ann), ann.plan_until) == ("free", "none", "free", None)


def test_a_lost_dispute_withholds_the_plan_and_a_won_one_restores_it(session: Session, ann: Account) -> None:
    add_subscription(session, ann.id, NOON_MS)
    dispute = BillingDispute(
        id="dp_1",
        charge_id="ch_1",
        account_id=ann.id,
        subscription_id="sub_1",
        status="needs_response",
        currency="usd",
        amount=999,
        created_ms=NOON_MS,
        covers_until_ms=NOON_MS + 30 * 86_400_000,
    )
    session.add(dispute)
    given = []
    for status in ("needs_response", "lost", "won"):
        dispute.status = status
        given.append(plans.reconsider(session, ann, PRICES, NOON).plan)
    assert given == ["pro", "free", "pro"]


def test_grants_are_taken_back_once(session: Session, ann: Account) -> None:
    grants.grant(session, ann.id, "pro", NOON + DAY, NOON, reason="a test")
    grants.grant(session, ann.id, "elite", None, NOON + DAY, reason="a test")
    assert grants.take_back(session, ann.id, NOON + 2 * DAY) == 1
    assert grants.take_back(session, ann.id, NOON + 3 * DAY) == 0
    over = [(row.plan, row.ended_ms) for row in grants.of_account(session, ann.id)]
    assert over == [("pro", None), ("elite", to_ms(NOON + 2 * DAY))]


def test_what_makes_no_sense_is_not_granted(session: Session, ann: Account) -> None:
    with pytest.raises(Conflict, match="Everybody has Free"):
        grants.grant(session, ann.id, "free", None, NOON, reason="a test")
    with pytest.raises(Conflict, match="over already"):
        grants.grant(session, ann.id, "pro", NOON, NOON, reason="a test")
    assert session.exec(select(PlanGrant)).all() == []


def test_prices_are_those_of_the_settings(environ: dict[str, str]) -> None:
    stripe = Settings.load(environ | {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_PRICE_ELITE_YEARLY": "a,b"}).stripe
    table = plans.price_table(stripe)
    assert (table.live, table.sold("b")) == (False, ("elite", "yearly"))
    assert plans.price_table(Settings.load(environ).stripe).live is NO_PRICES.live is None


def test_an_account_has_one_customer_in_each_mode(database: Database) -> None:
    def add(session: Session, name: str, *, livemode: bool = False, deleted_ms: int | None = None) -> None:
        customer = BillingCustomer(id=name, account_id=account_id, livemode=livemode, created_ms=1)
        customer.deleted_ms = deleted_ms
        session.add(customer)
        session.flush()

    with database.session() as session:
        account_id = add_account(session, None, NOON)
        add(session, "cus_1", deleted_ms=2)
        add(session, "cus_2")
        add(session, "cus_3", livemode=True)
    with pytest.raises(IntegrityError), database.session() as session:
        add(session, "cus_4")


def test_the_books_outlive_the_account_and_its_grants_do_not(database: Database) -> None:
    with database.session() as session:
        account_id = add_account(session, None, NOON)
        add_subscription(session, account_id, NOON_MS)
        grants.grant(session, account_id, "pro", None, NOON, reason="a test")
    with database.session() as session:
        session.delete(session.get_one(Account, account_id))
    with database.session(readonly=True) as session:
        assert [row.account_id for row in session.exec(select(BillingSubscription))] == [None]
        assert [row.account_id for row in session.exec(select(BillingCustomer))] == [None]
        assert session.exec(select(PlanGrant)).all() == []
