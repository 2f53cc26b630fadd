"""The payment sandbox, asked by the real stripe client over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stripe

from flashcur.components.kit import theme
from flashcur.services.billing.sandbox import look
from flashcur.services.billing.sandbox.amounts import amount_text
from flashcur.services.billing.sandbox.calendar_steps import later
from flashcur.services.billing.sandbox.rendering import CURRENT, OLD
from tests.support.stripe_sandbox import KEY, MONTH_S, SECRET, START_S, Sandbox, sandbox, sandbox_with_webhook
from tests.support.vendor import Reply
from tests.support.waiting import eventually

PRO, ELITE, PRO_YEARLY = "price_sandbox_pro_monthly", "price_sandbox_elite_monthly", "price_sandbox_pro_yearly"
DAY_S = 86_400
SHAPES = Path("/work/shared/stripe/fixtures3.json")


@pytest.fixture
async def shop() -> AsyncIterator[Sandbox]:
    async with sandbox() as made:
        yield made


@pytest.fixture
def client(shop: Sandbox) -> stripe.StripeClient:
    return shop.client()


async def customer(client: stripe.StripeClient, card: str = "pm_card_visa", **more: Any) -> stripe.Customer:
    params: Any = {"email": "ada@example.com", "invoice_settings": {"default_payment_method": card}, **more}
    return await client.v1.customers.create_async(params)


async def subscribed(
    client: stripe.StripeClient, card: str = "pm_card_visa", price: str = PRO, **more: Any
) -> stripe.Subscription:
    payer = await customer(client, card)
    params: Any = {"customer": payer.id, "items": [{"price": price}], **more}
    return await client.v1.subscriptions.create_async(params)


async def session_of(client: stripe.StripeClient, **more: Any) -> stripe.checkout.Session:
    params: Any = {
        "mode": "subscription",
        "line_items": [{"price": ELITE, "quantity": 1}],
        "success_url": "https://flashcur.example/billing/return?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://flashcur.example/pricing",
        **more,
    }
    return await client.v1.checkout.sessions.create_async(params)


async def status_of(client: stripe.StripeClient, sub: stripe.Subscription) -> str:
    return (await client.v1.subscriptions.retrieve_async(sub.id)).status


async def kinds(client: stripe.StripeClient) -> list[str]:
    """Types of all events, the oldest first."""
    events = await client.v1.events.list_async({"limit": 100})
    return [event.type for event in reversed(events.data)]


def item_of(sub: stripe.Subscription) -> stripe.SubscriptionItem:
    return sub["items"].data[0]


# Customers and the catalogue


async def test_a_customer_is_made_changed_listed_and_deleted(client: stripe.StripeClient) -> None:
    made = await client.v1.customers.create_async({"email": "ada@example.com", "metadata": {"account_id": "a1"}})
    changed = await client.v1.customers.update_async(made.id, {"email": "lovelace@example.com"})
    found = await client.v1.customers.list_async({"email": "lovelace@example.com"})
    assert (changed.email, (changed.metadata or {})["account_id"], [each.id for each in found.data]) == (
        "lovelace@example.com",
        "a1",
        [made.id],
    )
    await client.v1.customers.delete_async(made.id)
    gone = await client.v1.customers.retrieve_async(made.id)
    assert gone.deleted
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.customers.update_async(made.id, {"email": "x@example.com"})
    assert (refused.value.code, refused.value.http_status) == ("resource_missing", 404)
    assert await kinds(client) == ["customer.created", "customer.updated", "customer.deleted"]


async def test_deleting_a_customer_ends_what_it_pays_for(client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    await client.v1.customers.delete_async(str(sub.customer))
    assert await status_of(client, sub) == "canceled"
    assert (await kinds(client))[-2:] == ["customer.subscription.deleted", "customer.deleted"]


async def test_products_and_prices_are_made_and_found(client: stripe.StripeClient) -> None:
    product = await client.v1.products.create_async({"name": "Team"})
    price = await client.v1.prices.create_async(
        {"product": product.id, "currency": "jpy", "unit_amount": 500, "recurring": {"interval": "month"}}
    )
    assert (await client.v1.prices.retrieve_async(price.id)).unit_amount == 500
    assert (await client.v1.products.retrieve_async(product.id)).name == "Team"
    await client.v1.prices.update_async(price.id, {"active": False})
    active = await client.v1.prices.list_async({"active": True})
    assert {each.id for each in active.data} == {PRO, ELITE, PRO_YEARLY, "price_sandbox_elite_yearly"}


async def test_lists_are_paged(client: stripe.StripeClient) -> None:
    made = [(await client.v1.customers.create_async({"name": str(number)})).id for number in range(5)]
    first = await client.v1.customers.list_async({"limit": 2})
    assert ([each.id for each in first.data], first.has_more) == ([made[4], made[3]], True)
    assert [each.id async for each in first.auto_paging_iter()] == list(reversed(made))


# Checkout


async def test_checkout_leads_to_a_paid_subscription(shop: Sandbox, client: stripe.StripeClient) -> None:
    payer = await client.v1.customers.create_async({"email": "ada@example.com"})
    session = await session_of(
        client, customer=payer.id, client_reference_id="a1", subscription_data={"metadata": {"account_id": "a1"}}
    )
    assert (session.status, session.payment_status, session.url) == ("open", "unpaid", f"{shop.url}/pay/{session.id}")
    status, where = await shop.pay(session.url or "")
    assert (status, where) == (303, f"https://flashcur.example/billing/return?session_id={session.id}")
    done = await client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["subscription.latest_invoice", "line_items"]}
    )
    sub = done.subscription
    assert isinstance(sub, stripe.Subscription)
    assert (done.status, done.payment_status, done.client_reference_id) == ("complete", "paid", "a1")
    assert (sub.status, sub.customer, sub.metadata["account_id"]) == ("active", payer.id, "a1")
    assert (item_of(sub).price.id, item_of(sub).current_period_end) == (ELITE, later(START_S, "month"))
    assert isinstance(sub.latest_invoice, stripe.Invoice)
    assert (sub.latest_invoice.status, sub.latest_invoice.amount_paid) == ("paid", 2999)
    assert done.line_items is not None
    assert done.line_items.data[0].price is not None
    told = await kinds(client)
    assert told[-1] == "checkout.session.completed"
    assert {"invoice.paid", "customer.subscription.created", "charge.succeeded"} <= set(told)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "Your card has insufficient funds."),
        ("1234", "Your card number is incorrect."),
    ],
)
async def test_a_declined_card_leaves_the_session_open(
    shop: Sandbox, client: stripe.StripeClient, card: str, words: str
) -> None:
    payer = await client.v1.customers.create_async({})
    session = await session_of(client, customer=payer.id)
    status, page = await shop.pay(session.url or "", card)
    assert status == 402
    assert words in page
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    listed = await client.v1.subscriptions.list_async({"customer": payer.id, "status": "all"})
    assert {each.status for each in listed.data} <= {"incomplete_expired"}
    assert (await shop.pay(session.url or ""))[0] == 303


@pytest.mark.parametrize("agreed", [True, False])
async def test_a_card_that_asks_is_paid_once_it_is_confirmed(
    shop: Sandbox, client: stripe.StripeClient, agreed: bool
) -> None:
    session = await session_of(client)
    status, where = await shop.pay(session.url or "", "4000000000003220", email="ada@example.com")
    assert (status, "/3ds/pi_" in where) == (303, True)
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    status, _ = await shop.post(where, do="complete" if agreed else "fail")
    done = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert (status, done.status) == ((303, "complete") if agreed else (402, "open"))
    if not agreed:
        assert (await shop.pay(session.url or ""))[0] == 303


async def test_a_session_expires_after_a_day_or_at_once(shop: Sandbox, client: stripe.StripeClient) -> None:
    first, second = await session_of(client), await session_of(client)
    expired = await client.v1.checkout.sessions.expire_async(first.id)
    assert expired.status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        await client.v1.checkout.sessions.expire_async(first.id)
    await shop.advance(DAY_S)
    assert (await client.v1.checkout.sessions.retrieve_async(second.id)).status == "expired"
    assert (await shop.get(f"{shop.url}/pay/{second.id}"))[0] == 410
    assert (await kinds(client)).count("checkout.session.expired") == 2


async def test_promotion_code_and_tax_are_counted(shop: Sandbox, client: stripe.StripeClient) -> None:
    coupon = await client.v1.coupons.create_async({"percent_off": 50, "duration": "once"})
    await client.v1.promotion_codes.create_async({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HALF"})
    session = await session_of(client, allow_promotion_codes=True, automatic_tax={"enabled": True})
    status, page = await shop.post(session.url or "", do="apply", code="half")
    assert (status, "Pay 17.99 USD" in page) == (200, True)
    assert "No such promotion code" in (await shop.post(session.url or "", do="apply", code="none"))[1]
    assert (await shop.pay(session.url or "", code="HALF", email="ada@example.com"))[0] == 303
    done = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["subscription"]})
    details = done.total_details
    assert details is not None
    assert (done.amount_subtotal, details.amount_discount, details.amount_tax, done.amount_total) == (
        2999,
        1500,
        300,
        1799,
    )
    await shop.advance(MONTH_S + 3600)
    newest = (await client.v1.invoices.list_async({"limit": 1})).data[0]
    assert newest.total == 2999 + 600


# Subscriptions


async def test_a_subscription_is_renewed_month_by_month(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    assert sub.status == "active"
    await shop.advance(later(START_S, "month") - START_S)
    drafts = await client.v1.invoices.list_async({"subscription": sub.id, "status": "draft"})
    assert [bill.billing_reason for bill in drafts.data] == ["subscription_cycle"]
    await shop.advance(3600)
    paid = await client.v1.invoices.list_async({"subscription": sub.id, "status": "paid"})
    assert [bill.amount_paid for bill in paid.data] == [999, 999]
    renewed = await client.v1.subscriptions.retrieve_async(sub.id)
    assert item_of(renewed).current_period_start == item_of(sub).current_period_end


@pytest.mark.parametrize("ending", ["canceled", "unpaid", "past_due"])
async def test_a_renewal_that_fails_is_tried_again_and_then_given_up(
    shop: Sandbox, client: stripe.StripeClient, ending: str
) -> None:
    await shop.order("dunning", end=ending)
    sub = await subscribed(client, "pm_card_chargeCustomerFail")
    await shop.advance(later(START_S, "month") - START_S + 3600)
    assert await status_of(client, sub) == "past_due"
    bill = (await client.v1.invoices.list_async({"subscription": sub.id, "status": "open"})).data[0]
    assert (bill.attempted, bill.attempt_count) == (True, 1)
    finalised = bill.status_transitions.finalized_at
    assert finalised is not None
    assert bill.next_payment_attempt == finalised + 3 * DAY_S
    await shop.advance(6 * DAY_S)
    assert await status_of(client, sub) == "past_due"
    await shop.advance(DAY_S)
    assert await status_of(client, sub) == ending
    told = await kinds(client)
    assert told.count("invoice.payment_failed") == 4
    assert ("customer.subscription.deleted" in told) == (ending == "canceled")


async def test_paying_the_open_invoice_brings_it_back(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client, "pm_card_chargeCustomerFail")
    await shop.advance(later(START_S, "month") - START_S + 3600)
    bill = (await client.v1.invoices.list_async({"subscription": sub.id, "status": "open"})).data[0]
    with pytest.raises(stripe.CardError) as declined:
        await client.v1.invoices.pay_async(bill.id, {"payment_method": "pm_card_visa_chargeDeclined"})
    assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
    assert bill.hosted_invoice_url is not None
    assert (await shop.post(bill.hosted_invoice_url, do="pay", card="4242424242424242"))[0] == 303
    assert await status_of(client, sub) == "active"
    with pytest.raises(stripe.InvalidRequestError) as again:
        await client.v1.invoices.pay_async(bill.id)
    assert again.value.code == "invoice_already_paid"


async def test_a_first_payment_that_fails_is_incomplete_for_23_hours(
    shop: Sandbox, client: stripe.StripeClient
) -> None:
    sub = await subscribed(client, "pm_card_visa_chargeDeclined")
    assert sub.status == "incomplete"
    await shop.advance(23 * 3600 - 1)
    assert await status_of(client, sub) == "incomplete"
    await shop.advance(1)
    assert await status_of(client, sub) == "incomplete_expired"
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        await client.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": True})


async def test_cancelled_at_the_end_resumed_and_cancelled_at_once(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    ending = await client.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": True})
    assert (ending.cancel_at_period_end, ending.cancel_at) == (True, item_of(sub).current_period_end)
    resumed = await client.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": False})
    assert (resumed.cancel_at_period_end, resumed.cancel_at, resumed.status) == (False, None, "active")
    await client.v1.subscriptions.update_async(sub.id, {"cancel_at_period_end": True})
    await shop.advance(MONTH_S)
    over = await client.v1.subscriptions.retrieve_async(sub.id)
    assert (over.status, over.ended_at) == ("canceled", item_of(sub).current_period_end)
    other = await subscribed(client)
    gone = await client.v1.subscriptions.cancel_async(other.id)
    assert gone.status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.subscriptions.cancel_async(other.id)
    assert refused.value.code == "resource_missing"


async def test_a_paused_subscription_is_resumed(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be resumed"):
        await client.v1.subscriptions.resume_async(sub.id)
    await shop.order("pause", subscription=sub.id)
    assert await status_of(client, sub) == "paused"
    assert (await client.v1.subscriptions.resume_async(sub.id)).status == "active"


async def preview(client: stripe.StripeClient, sub: stripe.Subscription, price: str, at: int) -> stripe.Invoice:
    return await client.v1.invoices.create_preview_async(
        {
            "subscription": sub.id,
            "subscription_details": {
                "items": [{"id": item_of(sub).id, "price": price}],
                "proration_behavior": "always_invoice",
                "proration_date": at,
            },
        }
    )


async def changed(client: stripe.StripeClient, sub: stripe.Subscription, price: str, at: int) -> stripe.Subscription:
    return await client.v1.subscriptions.update_async(
        sub.id,
        {
            "items": [{"id": item_of(sub).id, "price": price}],
            "proration_behavior": "always_invoice",
            "proration_date": at,
            "payment_behavior": "pending_if_incomplete",
            "expand": ["latest_invoice"],
        },
    )


@pytest.mark.parametrize(("before", "after"), [(PRO, ELITE), (ELITE, PRO), (PRO, PRO_YEARLY)])
async def test_what_a_change_costs_is_what_was_shown_before(
    shop: Sandbox, client: stripe.StripeClient, before: str, after: str
) -> None:
    sub = await subscribed(client, price=before)
    at = START_S + 10 * DAY_S + 7
    await shop.advance(10 * DAY_S + 60)
    events = len(await kinds(client))
    shown = await preview(client, sub, after, at)
    assert len(await kinds(client)) == events
    made = await changed(client, sub, after, at)
    bill = made.latest_invoice
    assert isinstance(bill, stripe.Invoice)
    assert (bill.total, bill.amount_due, bill.status) == (shown.total, shown.amount_due, "paid")
    assert item_of(made).price.id == after
    payer = await client.v1.customers.retrieve_async(str(sub.customer))
    assert payer.balance == min(0, shown.total)
    assert (shown.total < 0) == (before == ELITE)
    if after == PRO_YEARLY:
        assert item_of(made).current_period_end == later(at, "year")


async def test_credit_pays_for_what_comes_next(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client, price=ELITE)
    shown = await preview(client, sub, PRO, START_S)
    await changed(client, sub, PRO, START_S)
    assert shown.total == -2000
    await shop.advance(MONTH_S + 3600)
    bill = (await client.v1.invoices.list_async({"limit": 1})).data[0]
    assert (bill.total, bill.amount_due, bill.status, bill.ending_balance) == (999, 0, "paid", -1001)


async def test_a_change_that_is_declined_leaves_the_old_plan(shop: Sandbox, client: stripe.StripeClient) -> None:
    sub = await subscribed(client, "pm_card_chargeCustomerFail")
    waits = await changed(client, sub, ELITE, START_S)
    assert (waits.status, item_of(waits).price.id, waits.pending_update is None) == ("active", PRO, False)
    bill = waits.latest_invoice
    assert isinstance(bill, stripe.Invoice)
    await client.v1.invoices.pay_async(bill.id, {"payment_method": "pm_card_visa"})
    done = await client.v1.subscriptions.retrieve_async(sub.id)
    assert (item_of(done).price.id, done.pending_update) == (ELITE, None)
    other = await subscribed(client, "pm_card_chargeCustomerFail")
    await changed(client, other, ELITE, START_S)
    await shop.advance(23 * 3600)
    expired = await client.v1.subscriptions.retrieve_async(other.id)
    assert (item_of(expired).price.id, expired.pending_update, expired.status) == (PRO, None, "active")


async def test_a_second_item_is_refused(client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.subscriptions.update_async(sub.id, {"items": [{"price": ELITE}]})
    assert refused.value.param == "items[0][id]"


async def test_lists_without_a_state_leave_out_what_is_cancelled(client: stripe.StripeClient) -> None:
    sub = await subscribed(client)
    await client.v1.subscriptions.cancel_async(sub.id)
    payer = str(sub.customer)
    assert (await client.v1.subscriptions.list_async({"customer": payer})).data == []
    every = await client.v1.subscriptions.list_async(
        {"customer": payer, "status": "all", "expand": ["data.latest_invoice"]}
    )
    assert [each.id for each in every.data] == [sub.id]
    assert isinstance(every.data[0].latest_invoice, stripe.Invoice)


# Money back


async def charge_of(client: stripe.StripeClient, sub: stripe.Subscription) -> stripe.Charge:
    payments = await client.v1.invoice_payments.list_async({"invoice": str(sub.latest_invoice)})
    intent = str(payments.data[0].payment.payment_intent)
    found = await client.v1.charges.list_async({"payment_intent": intent})
    return found.data[0]


async def test_a_charge_is_refunded_in_parts(client: stripe.StripeClient) -> None:
    charge = await charge_of(client, await subscribed(client))
    await client.v1.refunds.create_async({"charge": charge.id, "amount": 400})
    part = await client.v1.charges.retrieve_async(charge.id)
    assert (part.amount_refunded, part.refunded) == (400, False)
    rest = await client.v1.refunds.create_async({"payment_intent": str(charge.payment_intent)})
    whole = await client.v1.charges.retrieve_async(charge.id)
    assert (rest.amount, whole.refunded) == (599, True)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"
    assert len((await client.v1.refunds.list_async({"charge": charge.id})).data) == 2
    assert (await client.v1.refunds.retrieve_async(rest.id)).charge == charge.id
    assert (await kinds(client)).count("charge.refunded") == 2


@pytest.mark.parametrize(
    ("card", "status", "closed"),
    [("pm_card_createDispute", "needs_response", "lost"),
     ("pm_card_createDisputeInquiry", "warning_needs_response", "warning_closed")],
)  # fmt: skip
async def test_a_card_whose_owner_contests_the_charge(
    client: stripe.StripeClient, card: str, status: str, closed: str
) -> None:
    charge = await charge_of(client, await subscribed(client, card))
    dispute = (await client.v1.disputes.list_async({"charge": charge.id})).data[0]
    assert (dispute.status, charge.disputed) == (status, True)
    assert (await client.v1.disputes.close_async(dispute.id)).status == closed
    assert (await client.v1.disputes.retrieve_async(dispute.id)).status == closed
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        await client.v1.disputes.close_async(dispute.id)
    assert (await kinds(client))[-1] == "charge.dispute.closed"


async def test_a_dispute_is_ordered_and_won(shop: Sandbox, client: stripe.StripeClient) -> None:
    charge = await charge_of(client, await subscribed(client))
    dispute = await shop.order("dispute", charge=charge.id)
    await shop.order("settle", dispute=dispute, status="under_review")
    await shop.order("settle", dispute=dispute, status="won")
    assert (await client.v1.disputes.retrieve_async(dispute)).status == "won"
    assert (await kinds(client))[-2:] == ["charge.dispute.updated", "charge.dispute.closed"]


# Test clocks


async def test_a_test_clock_moves_its_own_customers_alone(client: stripe.StripeClient) -> None:
    clock = await client.v1.test_helpers.test_clocks.create_async({"frozen_time": START_S})
    payer = await customer(client, test_clock=clock.id)
    sub = await client.v1.subscriptions.create_async({"customer": payer.id, "items": [{"price": PRO}]})
    other = await subscribed(client)
    moved = await client.v1.test_helpers.test_clocks.advance_async(
        clock.id, {"frozen_time": START_S + 2 * MONTH_S + 2 * DAY_S}
    )
    assert (moved.status, moved.frozen_time) == ("ready", START_S + 2 * MONTH_S + 2 * DAY_S)
    assert len((await client.v1.invoices.list_async({"subscription": sub.id})).data) == 3
    assert len((await client.v1.invoices.list_async({"subscription": other.id})).data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="later"):
        await client.v1.test_helpers.test_clocks.advance_async(clock.id, {"frozen_time": START_S})
    await client.v1.test_helpers.test_clocks.delete_async(clock.id)
    assert (await client.v1.customers.retrieve_async(payer.id)).deleted
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.test_helpers.test_clocks.retrieve_async(clock.id)


@pytest.mark.parametrize(
    ("day", "days"),
    [("2026-01-31", ["2026-02-28", "2026-03-31", "2026-04-30"]), ("2026-11-15", ["2026-12-15", "2027-01-15"])],
)
def test_months_end_on_the_anchor_s_day_where_they_have_it(day: str, days: list[str]) -> None:
    start = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    at, found = start, list[str]()
    for _ in days:
        at = later(at, "month", anchor_s=start)
        found.append(datetime.fromtimestamp(at, UTC).date().isoformat())
    assert found == days


# Portal and pages


async def test_the_portal_cancels_resumes_changes_and_takes_another_card(
    shop: Sandbox, client: stripe.StripeClient
) -> None:
    sub = await subscribed(client)
    session = await client.v1.billing_portal.sessions.create_async(
        {"customer": str(sub.customer), "return_url": "https://flashcur.example/account"}
    )
    status, page = await shop.get(session.url)
    assert (status, look.LABEL in page, "https://flashcur.example/account" in page) == (200, True, True)
    await shop.post(session.url, do="cancel", subscription=sub.id)
    assert (await client.v1.subscriptions.retrieve_async(sub.id)).cancel_at_period_end
    assert "Ends on" in (await shop.get(session.url))[1]
    await shop.post(session.url, do="resume", subscription=sub.id)
    assert not (await client.v1.subscriptions.retrieve_async(sub.id)).cancel_at_period_end
    assert (await shop.post(session.url, do="change", subscription=sub.id, price=ELITE))[0] == 303
    assert item_of(await client.v1.subscriptions.retrieve_async(sub.id)).price.id == ELITE
    assert (await shop.post(session.url, do="card", card="4000000000000002"))[0] == 303
    assert (await shop.post(session.url, do="change", subscription=sub.id, price=PRO_YEARLY))[0] == 402
    assert item_of(await client.v1.subscriptions.retrieve_async(sub.id)).price.id == ELITE
    stranger = await subscribed(client)
    assert (await shop.post(session.url, do="cancel", subscription=stranger.id))[0] == 404


async def test_pages_are_labelled_run_no_script_and_quote_what_was_typed(
    shop: Sandbox, client: stripe.StripeClient
) -> None:
    session = await session_of(client, allow_promotion_codes=True)
    async with shop.browser.get(session.url or "") as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert page.count(look.LABEL) == 2
    assert "default-src 'none'" in policy
    assert "<script" not in page
    _, answered = await shop.post(session.url or "", do="pay", card='"><b>1', code="<i>")
    assert "<i>" not in answered
    assert "<b>1" not in answered
    status, missing = await shop.get(f"{shop.url}/pay/cs_test_none")
    assert (status, look.LABEL in missing) == (404, True)


@pytest.mark.parametrize(("ours", "product"), [(look.DARK, theme.DARK), (look.LIGHT, theme.LIGHT)])
def test_the_pages_wear_the_product_s_colours(ours: dict[str, str], product: dict[str, str]) -> None:
    assert ours.items() <= product.items()


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(2999, "usd", "29.99 USD"), (500, "jpy", "500 JPY"), (1234, "kwd", "1.234 KWD"), (-1500, "usd", "-15.00 USD")],
)
def test_amounts_are_in_their_currency_s_decimals(amount: int, currency: str, text: str) -> None:
    assert amount_text(amount, currency) == text


# Webhooks


async def test_events_are_sent_and_signed() -> None:
    async with sandbox_with_webhook() as (shop, hook):
        client = shop.client()
        await subscribed(client)
        told = await kinds(client)
        await eventually(lambda: len(hook.taken) == len(told), "all events")
        assert hook.kinds == told
        for request in hook.taken:
            event = client.construct_event(request.body, request.headers["Stripe-Signature"], SECRET)
            assert (event.api_version, event.livemode) == (CURRENT, False)
        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(hook.taken[0].body, hook.taken[0].headers["Stripe-Signature"], "whsec_other")
        kept = await client.v1.events.retrieve_async(hook.taken[0].json["id"])
        assert kept.type == told[0]
        paid = await client.v1.events.list_async({"types": ["invoice.paid"]})
        assert [event.type for event in paid.data] == ["invoice.paid"]


async def test_an_event_that_is_not_taken_is_sent_again() -> None:
    async with sandbox_with_webhook() as (shop, hook):
        hook.script.extend([Reply(500), Reply(fault="hang up")])
        await shop.client().v1.customers.create_async({})
        await eventually(lambda: len(hook.taken) == 1, "the third attempt")
        assert len(hook.requests) == 3
        assert len({request.body for request in hook.requests}) == 1


async def test_events_are_held_doubled_dropped_and_shuffled() -> None:
    async with sandbox_with_webhook() as (shop, hook):
        client = shop.client()
        await shop.order("webhooks", hold=True, twice=True, drop=1)
        await subscribed(client)
        told = await kinds(client)
        assert hook.taken == []
        assert await shop.order("release", shuffle=7) == 2 * (len(told) - 1)
        await eventually(lambda: len(hook.taken) == 2 * (len(told) - 1), "all events")
        assert hook.kinds != sorted(told[1:] * 2, key=told.index)
        assert sorted(hook.kinds) == sorted(told[1:] * 2)


async def test_a_webhook_of_another_time_mode_version_secret_and_form() -> None:
    async with sandbox_with_webhook() as (shop, hook):
        client = shop.client()
        await shop.order("webhooks", t_offset_s=-400, livemode=True, api_version=OLD)
        await client.v1.customers.create_async({})
        await eventually(lambda: len(hook.taken) == 1, "an event")
        with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
            client.construct_event(hook.taken[0].body, hook.taken[0].headers["Stripe-Signature"], SECRET)
        assert (hook.taken[0].json["livemode"], hook.taken[0].json["api_version"]) == (True, OLD)
        await shop.order("webhooks", thin=True, secret="whsec_forged")
        await client.v1.customers.create_async({})
        await eventually(lambda: len(hook.taken) == 2, "an event")
        assert hook.taken[1].json["object"] == "v2.core.event"
        endpoint = (await client.v1.webhook_endpoints.list_async()).data[0]
        await shop.order("webhooks")
        await shop.order("secrets", endpoint=endpoint.id, secrets=["whsec_new", SECRET])
        await shop.order("deliver", event=hook.taken[0].json["id"])
        await eventually(lambda: len(hook.taken) == 3, "an event")
        header = hook.taken[2].headers["Stripe-Signature"]
        for secret in ("whsec_new", SECRET):
            client.construct_event(hook.taken[2].body, header, secret)


async def test_an_endpoint_is_made_with_a_version_and_a_secret_of_its_own() -> None:
    async with sandbox_with_webhook() as (shop, hook):
        client = shop.client()
        first = (await client.v1.webhook_endpoints.list_async()).data[0]
        await client.v1.webhook_endpoints.delete_async(first.id)
        made = await client.v1.webhook_endpoints.create_async(
            {"url": hook.url, "enabled_events": ["customer.deleted"], "api_version": OLD}  # pyright: ignore[reportArgumentType]
        )
        payer = await client.v1.customers.create_async({})
        await client.v1.customers.delete_async(payer.id)
        await eventually(lambda: hook.kinds == ["customer.deleted"], "the one event")
        assert made.secret is not None
        client.construct_event(hook.taken[0].body, hook.taken[0].headers["Stripe-Signature"], made.secret)
        again = await client.v1.webhook_endpoints.retrieve_async(made.id)
        assert (again.api_version, getattr(again, "secret", None)) == (OLD, None)


# The protocol


async def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(client: stripe.StripeClient) -> None:
    options: Any = {"idempotency_key": "customer-a1"}
    first = await client.v1.customers.create_async({"email": "ada@example.com"}, options)
    second = await client.v1.customers.create_async({"email": "ada@example.com"}, options)
    assert second.id == first.id
    assert second.last_response is not None
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert len((await client.v1.customers.list_async()).data) == 1
    with pytest.raises(stripe.IdempotencyError) as refused:
        await client.v1.customers.create_async({"email": "other@example.com"}, options)
    assert refused.value.http_status == 400
    event = (await client.v1.events.list_async()).data[0]
    assert event.request is not None
    assert event.request.idempotency_key == "customer-a1"


async def test_a_decline_is_answered_alike_for_its_key(client: stripe.StripeClient) -> None:
    sub = await subscribed(client, "pm_card_chargeCustomerFail")
    params: Any = {
        "items": [{"id": item_of(sub).id, "price": ELITE}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "error_if_incomplete",
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await client.v1.subscriptions.update_async(sub.id, params, {"idempotency_key": "k"})
        assert declined.value.http_status == 402
    assert item_of(await client.v1.subscriptions.retrieve_async(sub.id)).price.id == PRO


async def test_a_key_whose_request_is_under_way_is_refused(shop: Sandbox, client: stripe.StripeClient) -> None:
    await shop.order("fault", path="/v1/customers", delay_ms=60_000)
    slow = asyncio.create_task(client.v1.customers.create_async({}, {"idempotency_key": "k"}))
    await eventually(lambda: shop.server.faults == [], "the first request")
    with pytest.raises(stripe.APIError) as refused:
        await client.v1.customers.create_async({}, {"idempotency_key": "k"})
    assert refused.value.http_status == 409
    assert "idempotency_key_in_use" in str(refused.value.http_body)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_an_answer_that_is_lost_is_found_again_by_its_key(shop: Sandbox) -> None:
    client = shop.client(retries=2)
    await shop.order("fault", path="/v1/customers", kind="hang up", after=True)
    made = await client.v1.customers.create_async({"email": "ada@example.com"})
    assert [each.id for each in (await client.v1.customers.list_async()).data] == [made.id]


async def test_too_many_requests_are_refused(shop: Sandbox, client: stripe.StripeClient) -> None:
    await shop.order("rate", most=2, each_s=3600)
    await client.v1.customers.list_async()
    await client.v1.customers.list_async()
    with pytest.raises(stripe.RateLimitError) as refused:
        await client.v1.customers.list_async()
    assert refused.value.headers is not None
    assert (refused.value.http_status, refused.value.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500}, stripe.APIError),
        ({"status": 429}, stripe.RateLimitError),
        ({"kind": "hang up"}, stripe.APIConnectionError),
    ],
)
async def test_a_fault_is_ordered_for_one_request(
    shop: Sandbox, client: stripe.StripeClient, fault: dict[str, Any], error: type[stripe.StripeError]
) -> None:
    await shop.order("fault", path="/v1/customers", **fault)
    await client.v1.products.list_async()
    with pytest.raises(error):
        await client.v1.customers.create_async({})
    assert (await client.v1.customers.list_async()).data == []


@pytest.mark.parametrize("kind", ["silent", "stall"])
async def test_an_answer_that_does_not_come_or_end(shop: Sandbox, client: stripe.StripeClient, kind: str) -> None:
    await shop.order("fault", path="/v1/customers", kind=kind)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.v1.customers.list_async(), 0.2)
    assert (await client.v1.customers.list_async()).data == []


async def test_a_wrong_key_version_address_and_parameter_are_refused(shop: Sandbox) -> None:
    for key in ("sk_live_abc", "nonsense"):
        with pytest.raises(stripe.AuthenticationError):
            await shop.client(key).v1.customers.list_async()
    with pytest.raises(stripe.InvalidRequestError, match="version"):
        await shop.client(KEY, version="2010-01-01").v1.customers.list_async()
    client = shop.client()
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        await client.v1.balance.retrieve_async()
    unknown: Any = {"emial": "ada@example.com"}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.customers.create_async(unknown)
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "emial")
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await client.v1.customers.list_async({"expand": ["nothing"]})


async def test_the_old_version_has_the_old_shapes(shop: Sandbox, client: stripe.StripeClient) -> None:
    """Stripe 2, 3: period ends moved to the items, an invoice's subscription below its parent."""
    sub = await subscribed(client)
    new = (await client.v1.invoices.retrieve_async(str(sub.latest_invoice))).to_dict()
    assert new["parent"]["subscription_details"]["subscription"] == sub.id
    assert "subscription" not in new
    assert "payment_intent" not in new
    assert "current_period_end" not in sub.to_dict()
    old_client = shop.client(version=OLD)
    old = (await old_client.v1.subscriptions.retrieve_async(sub.id)).to_dict()
    assert old["current_period_end"] == item_of(sub).current_period_end
    assert "current_period_end" not in old["items"]["data"][0]
    bill = (await old_client.v1.invoices.retrieve_async(str(sub.latest_invoice))).to_dict()
    assert (bill["subscription"], bill["payment_intent"][:3], "parent" in bill) == (sub.id, "pi_", False)


@pytest.fixture
def published() -> dict[str, Any]:
    """Stripe's own example of each object."""
    if not SHAPES.exists():
        pytest.skip("Stripe's published examples are not on this machine")
    return json.loads(SHAPES.read_text(encoding="utf-8"))["resources"]


async def test_what_leaves_the_server_has_stripe_s_shapes(
    client: stripe.StripeClient, published: dict[str, Any]
) -> None:
    """Stripe 6: an object is no dict, and what `to_dict` gives holds decimals."""
    sub = await subscribed(client, "pm_card_createDispute")
    charge = await charge_of(client, sub)
    made = [
        sub,
        item_of(sub),
        charge,
        await client.v1.customers.retrieve_async(str(sub.customer)),
        await client.v1.prices.retrieve_async(PRO),
        await client.v1.products.retrieve_async("prod_sandbox_pro"),
        await client.v1.invoices.retrieve_async(str(sub.latest_invoice)),
        await client.v1.payment_intents.retrieve_async(str(charge.payment_intent)),
        (await client.v1.invoice_payments.list_async({"invoice": str(sub.latest_invoice)})).data[0],
        (await client.v1.disputes.list_async()).data[0],
        await client.v1.refunds.create_async({"charge": charge.id}),
        (await client.v1.events.list_async()).data[0],
        await session_of(client),
        await client.v1.billing_portal.sessions.create_async({"customer": str(sub.customer)}),
        await client.v1.test_helpers.test_clocks.create_async({"frozen_time": START_S}),
    ]
    for thing in made:
        told = thing.to_dict()
        json.dumps(told, default=str)
        assert not {name for name in told if name.startswith("_")}
        assert set(told) <= set(published[told["object"]]), told["object"]


async def journey(seed: int) -> list[str]:
    async with sandbox(seed=seed) as shop:
        client = shop.client()
        session = await session_of(client)
        await shop.pay(session.url or "", email="ada@example.com")
        await shop.advance(MONTH_S)
        return list(shop.server.ledger.objects)


async def test_the_same_seed_gives_the_same_ids() -> None:
    first = await journey(5)
    assert await journey(5) == first
    other = await journey(6)
    assert len(other) == len(first)
    assert not [each for each in first if each.endswith("0000")]
    assert not set(other) & {each for each in first if "sandbox" not in each}


async def test_what_happened_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sandbox.json"
    async with sandbox(state=path) as shop:
        sub = await subscribed(shop.client())
        await shop.advance(DAY_S)
    async with sandbox(state=path) as shop:
        client = shop.client()
        assert await status_of(client, sub) == "active"
        assert shop.server.shop.clock_s() == START_S + DAY_S
        assert (await subscribed(client)).id != sub.id


async def test_orders_that_make_no_sense_are_refused(shop: Sandbox) -> None:
    for name, arguments, status in (
        ("nothing", {}, 404),
        ("clock", {"advance_s": -1}, 400),
        ("clock", {"days": 1}, 400),
        ("dunning", {"end": "never"}, 400),
        ("dispute", {"charge": "ch_none"}, 404),
    ):
        async with shop.browser.post(f"{shop.url}/_control/{name}", json=arguments) as answer:
            assert answer.status == status, name
    async with shop.browser.get(f"{shop.url}/_control/state") as answer:
        assert (await answer.json())["objects"]["price"] == 4


async def test_alone_it_says_where_it_listens_and_ends_with_its_parent() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flashcur.services.billing.sandbox", "--exit-with-stdin",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    told = json.loads(await child.stdout.readline())
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient(KEY, base_addresses={"api": told["url"]}, http_client=http)
    price = await client.v1.prices.retrieve_async(told["prices"]["elite.yearly"])
    await http.close_async()
    assert (price.unit_amount, price.recurring and price.recurring.interval) == (29900, "year")
    child.stdin.close()
    assert await child.wait() == 0
