"""Which plan an account is entitled to: every status, grace, disputes, grants, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.billing.entitlement import (
    GRACE_MS,
    Concern,
    Disputed,
    Entitlement,
    Granted,
    Subscribed,
    concerns,
    entitlement,
)
from flashcur.domain.plans import PLAN_NAMES, PlanName

NOW = 1_764_000_000_000
DAY = 86_400_000
FREE = Entitlement("free", "none", None, "free")


def bought(status: str = "active", plan: PlanName | None = "pro", **more: Any) -> Subscribed:
    started = {"created_ms": NOW - 40 * DAY, "period_start_ms": NOW - 10 * DAY}
    return Subscribed(**{"id": "sub_1", "status": status, "plan": plan, **started, **more})


def of(*records: Subscribed | Granted | Disputed, now_ms: int = NOW) -> Entitlement:
    return entitlement(
        [each for each in records if isinstance(each, Subscribed)],
        [each for each in records if isinstance(each, Granted)],
        [each for each in records if isinstance(each, Disputed)],
        now_ms,
    )


def test_without_records_it_is_free() -> None:
    assert of() == FREE


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_what_is_paid_grants_without_an_end_of_our_own(status: str) -> None:
    assert of(bought(status)) == Entitlement("pro", "stripe", None, "free")
    # The invoice of a renewal is finalised an hour late: the end of the period alone takes nothing away.
    assert of(bought(status, period_start_ms=NOW - 400 * DAY)).plan == "pro"


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired", "unpaid", "canceled", "paused", "new word", ""])
def test_no_other_word_grants(status: str) -> None:
    assert of(bought(status)) == FREE


def test_an_end_that_is_settled_is_kept_to_the_millisecond() -> None:
    ends = bought(ends_ms=NOW)
    assert of(ends, now_ms=NOW - 1) == Entitlement("pro", "stripe", NOW, "free")
    assert of(ends) == FREE


def test_a_failed_payment_leaves_a_week() -> None:
    late = bought("past_due", past_due_since_ms=NOW)
    assert of(late) == Entitlement("pro", "stripe", NOW + GRACE_MS, "free")
    assert of(late, now_ms=NOW + GRACE_MS - 1).plan == "pro"
    assert of(late, now_ms=NOW + GRACE_MS) == FREE
    assert of(replace(late, ends_ms=NOW + DAY)).until_ms == NOW + DAY


def test_grace_does_not_begin_anew_with_each_look() -> None:
    unsaid = bought("past_due", period_start_ms=NOW)
    assert of(unsaid, now_ms=NOW + 3 * DAY).until_ms == of(unsaid, now_ms=NOW + 6 * DAY).until_ms == NOW + GRACE_MS
    assert of(replace(unsaid, period_start_ms=None)) == FREE


def test_an_unknown_price_grants_nothing_and_is_a_concern() -> None:
    assert of(bought(plan=None)) == FREE
    assert concerns([bought(plan=None)]) == (Concern("unknown-price", "sub_1"),)
    # Over and done with, it concerns nobody.
    assert concerns([bought("canceled", plan=None)]) == ()


def test_an_unknown_status_is_a_concern() -> None:
    assert concerns([bought("asleep")]) == (Concern("unknown-status", "sub_1"),)
    assert concerns([bought(each) for each in ("active", "paused", "unpaid", "incomplete")]) == ()


def test_of_two_subscriptions_the_better_grants_and_both_are_a_concern() -> None:
    pro, elite = bought(), bought(plan="elite", id="sub_2")
    assert of(pro, elite) == of(elite, pro) == Entitlement("elite", "stripe", None, "free")
    assert concerns([pro, elite]) == concerns([elite, pro]) == (Concern("second-subscription", "sub_1 sub_2"),)
    assert of(pro, replace(elite, status="canceled")).plan == "pro"
    assert concerns([pro, replace(elite, status="canceled")]) == ()


@pytest.mark.parametrize(
    "status", ["warning_needs_response", "needs_response", "under_review", "won", "warning_closed"]
)
def test_only_a_dispute_that_was_lost_takes_a_plan_away(status: str) -> None:
    assert of(bought(), Disputed("sub_1", status, NOW + 20 * DAY)).plan == "pro"


def test_a_lost_dispute_withholds_only_the_period_that_its_charge_paid() -> None:
    ends = NOW + 20 * DAY
    lost = Disputed("sub_1", "lost", ends)
    assert of(bought(), lost) == FREE
    assert of(bought(period_start_ms=ends), lost, now_ms=ends).plan == "pro"
    assert of(bought(), bought(id="sub_2", plan="elite"), lost).plan == "elite"
    assert of(bought(), replace(lost, subscription_id="sub_2")).plan == "pro"
    assert of(bought(), replace(lost, covers_until_ms=None)).plan == "pro"
    assert of(bought(period_start_ms=None), lost) == FREE


def test_a_grant_lasts_for_its_time_and_until_it_is_taken_back() -> None:
    gift = Granted("g", "elite", NOW, NOW + 30 * DAY)
    assert of(gift) == Entitlement("elite", "operator", NOW + 30 * DAY, "free")
    assert of(gift, now_ms=NOW + 30 * DAY) == FREE
    assert of(replace(gift, ended_ms=NOW + DAY), now_ms=NOW + DAY) == FREE
    assert of(replace(gift, until_ms=None)) == Entitlement("elite", "operator", None, "free")
    assert of(gift, now_ms=NOW - 1) == Entitlement("free", "none", NOW, "elite")


def test_after_a_grant_comes_what_is_paid() -> None:
    gift = Granted("g", "elite", NOW, NOW + DAY)
    assert of(bought(), gift) == Entitlement("elite", "operator", NOW + DAY, "pro")
    assert of(bought(), gift, now_ms=NOW + DAY) == Entitlement("pro", "stripe", None, "free")


def test_what_goes_on_from_another_record_has_one_end() -> None:
    paid, gift = bought(ends_ms=NOW + DAY), Granted("g", "pro", NOW + DAY, NOW + 3 * DAY)
    assert of(paid, gift) == Entitlement("pro", "stripe", NOW + 3 * DAY, "free")


def test_of_equal_plans_the_longest_names_the_source() -> None:
    assert of(bought(ends_ms=NOW + DAY), Granted("g", "pro", NOW)).source == "operator"
    assert of(bought(), Granted("g", "pro", NOW)).source == "stripe"


near = st.integers(NOW - 12 * DAY, NOW + 12 * DAY)
maybe = st.none() | near
names = st.sampled_from(PLAN_NAMES)
subscriptions = st.builds(
    Subscribed,
    id=st.sampled_from(["sub_1", "sub_2"]),
    status=st.sampled_from(["active", "trialing", "past_due", "unpaid", "canceled", "paused", "incomplete", "?"]),
    plan=st.none() | names,
    created_ms=near,
    period_start_ms=maybe,
    ends_ms=maybe,
    ended_ms=maybe,
    past_due_since_ms=maybe,
)
grants = st.builds(Granted, id=st.just("g"), plan=names, from_ms=near, until_ms=maybe, ended_ms=maybe)
disputes = st.builds(
    Disputed,
    subscription_id=st.sampled_from(["sub_1", "sub_2"]),
    status=st.sampled_from(["lost", "won", "needs_response"]),
    covers_until_ms=maybe,
)
records = st.lists(subscriptions | grants | disputes, max_size=6)


@given(records, st.randoms(), near)
def test_order_and_doubles_do_not_matter(given_: list[Any], chance: Any, now_ms: int) -> None:
    shuffled = [*given_, *given_[:2]]
    chance.shuffle(shuffled)
    assert of(*shuffled, now_ms=now_ms) == of(*given_, now_ms=now_ms)
    bought_only = [each for each in given_ if isinstance(each, Subscribed)]
    assert concerns(bought_only) == concerns(reversed(bought_only))


@given(records, subscriptions | grants, near)
def test_one_more_record_never_lowers_the_plan(given_: list[Any], more: Any, now_ms: int) -> None:
    rank = PLAN_NAMES.index
    assert rank(of(*given_, more, now_ms=now_ms).plan) >= rank(of(*given_, now_ms=now_ms).plan)


@given(records, near)
def test_the_end_is_the_first_moment_at_which_another_plan_begins(given_: list[Any], now_ms: int) -> None:
    found = of(*given_, now_ms=now_ms)
    known = [
        moment
        for each in given_
        for name in each.__slots__
        if name.endswith("_ms") and (moment := getattr(each, name)) is not None
    ]
    moments = sorted({moment + shift for moment in known for shift in (-1, 0, 1, GRACE_MS - 1, GRACE_MS)})
    changes = [
        (moment, then)
        for moment in moments
        if moment > now_ms and (then := of(*given_, now_ms=moment).plan) != found.plan
    ]
    assert (found.until_ms, found.then) == (changes[0] if changes else (None, "free"))
