"""The shapes of Stripe's objects. What begins with an underscore is ours and never leaves the server.

Amounts are in the currency's smallest unit, times are Unix s, as Stripe's are.
"""

from __future__ import annotations

from typing import Any

from flashcur.services.billing.sandbox.cards import Card
from flashcur.services.billing.sandbox.ledger import Obj

_ADDRESS: Obj = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def listing(data: list[Any], url: str, *, has_more: bool = False) -> Obj:
    """A list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def customer(customer_id: str, at: int, email: str | None, name: str | None, metadata: Obj, clock: str | None) -> Obj:
    """A customer without any payment method."""
    return {
        "id": customer_id, "object": "customer", "address": None, "balance": 0, "created": at, "currency": None,
        "default_source": None, "delinquent": False, "description": None, "discount": None, "email": email,
        "invoice_prefix": customer_id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
        },
        "livemode": False, "metadata": metadata, "name": name, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": clock,
    }  # fmt: skip


def product(product_id: str, at: int, name: str, metadata: Obj) -> Obj:
    """Something that is sold."""
    return {
        "id": product_id, "object": "product", "active": True, "created": at, "default_price": None,
        "description": None, "images": [], "livemode": False, "marketing_features": [], "metadata": metadata,
        "name": name, "package_dimensions": None, "shippable": None, "statement_descriptor": None, "tax_code": None,
        "type": "service", "unit_label": None, "updated": at, "url": None,
    }  # fmt: skip


def price(price_id: str, at: int, product_id: str, currency: str, unit_amount: int, interval: str) -> Obj:
    """What a product costs each interval."""
    return {
        "id": price_id, "object": "price", "active": True, "billing_scheme": "per_unit", "created": at,
        "currency": currency, "custom_unit_amount": None, "livemode": False, "lookup_key": None, "metadata": {},
        "nickname": None, "product": product_id,
        "recurring": {
            "interval": interval, "interval_count": 1, "meter": None, "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified", "tiers_mode": None, "transform_quantity": None, "type": "recurring",
        "unit_amount": unit_amount, "unit_amount_decimal": str(unit_amount),
    }  # fmt: skip


def coupon(coupon_id: str, at: int, percent_off: float | None, amount_off: int | None, duration: str) -> Obj:
    """What is taken off."""
    return {
        "id": coupon_id, "object": "coupon", "amount_off": amount_off, "created": at, "currency": None,
        "duration": duration, "duration_in_months": None, "livemode": False, "max_redemptions": None, "metadata": {},
        "name": None, "percent_off": percent_off, "redeem_by": None, "times_redeemed": 0, "valid": True,
    }  # fmt: skip


def promotion_code(promo_id: str, at: int, code: str, coupon_id: str) -> Obj:
    """A word that a customer types for a coupon."""
    return {
        "id": promo_id, "object": "promotion_code", "active": True, "code": code, "created": at, "customer": None,
        "customer_account": None, "expires_at": None, "livemode": False, "max_redemptions": None, "metadata": {},
        "promotion": {"coupon": coupon_id, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    }  # fmt: skip


def payment_method(method_id: str, at: int, number: str, card: Card, customer_id: str | None) -> Obj:
    """A card as it is kept for later charges."""
    return {
        "id": method_id, "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": {"address": dict(_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None},
        "card": {
            "brand": card.brand, "country": "US", "display_brand": card.brand, "exp_month": 12, "exp_year": 2034,
            "fingerprint": f"sandbox{card.last4}", "funding": "credit", "last4": card.last4,
        },
        "created": at, "customer": customer_id, "livemode": False, "metadata": {}, "type": "card", "_number": number,
    }  # fmt: skip


def subscription_item(item_id: str, at: int, subscription_id: str, price_id: str, start: int, end: int) -> Obj:
    """The line of a subscription that says what is bought; its period stands here since 2025."""
    return {
        "id": item_id, "object": "subscription_item", "billing_thresholds": None, "created": at,
        "current_period_end": end, "current_period_start": start, "discounts": [], "metadata": {}, "_price": price_id,
        "quantity": 1, "subscription": subscription_id, "tax_rates": [],
    }  # fmt: skip


def subscription(subscription_id: str, at: int, customer_id: str, currency: str, item: Obj, metadata: Obj) -> Obj:
    """A subscription that nothing was paid for yet."""
    return {
        "id": subscription_id, "object": "subscription", "application": None, "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": at, "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": "classic"}, "billing_schedules": [], "billing_thresholds": None,
        "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically", "created": at, "currency": currency, "customer": customer_id,
        "customer_account": None, "days_until_due": None, "default_payment_method": None, "default_source": None,
        "default_tax_rates": [], "description": None, "discounts": [], "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
            "issuer": {"type": "self"},
        },
        "items": listing([item], f"/v1/subscription_items?subscription={subscription_id}"),
        "latest_invoice": None, "livemode": False, "metadata": metadata, "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None, "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None, "pending_setup_intent": None, "pending_update": None, "schedule": None,
        "start_date": at, "status": "incomplete", "test_clock": None, "transfer_data": None, "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}}, "trial_start": None,
        "_coupon": None, "_coupon_spent": False,
    }  # fmt: skip


def line(
    line_id: str, invoice_id: str, sub: Obj, price_of: Obj, text: str, amount: int, start: int, end: int, *,
    proration: bool,
) -> Obj:  # fmt: skip
    """One line of an invoice."""
    return {
        "id": line_id, "object": "line_item", "amount": amount, "currency": price_of["currency"], "description": text,
        "discount_amounts": [], "discountable": not proration, "discounts": [], "invoice": invoice_id,
        "livemode": False, "metadata": {},
        "parent": {
            "invoice_item_details": None, "type": "subscription_item_details",
            "subscription_item_details": {
                "invoice_item": None, "proration": proration,
                "proration_details": {"credited_items": None} if proration else None,
                "subscription": sub["id"], "subscription_item": sub["items"]["data"][0]["id"],
            },
        },
        "period": {"end": end, "start": start}, "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price_of["id"], "product": price_of["product"]}, "type": "price_details",
            "unit_amount_decimal": price_of["unit_amount_decimal"],
        },
        "quantity": 1, "quantity_decimal": "1", "subtotal": amount, "taxes": [],
    }  # fmt: skip


def invoice(invoice_id: str, at: int, payer: Obj, sub: Obj | None, currency: str, reason: str, base: str) -> Obj:
    """A draft without lines."""
    parent: Obj | None = None
    if sub is not None:
        details = {"metadata": sub["metadata"], "subscription": sub["id"]}
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    return {
        "id": invoice_id, "object": "invoice", "account_country": "US", "account_name": "Sandbox",
        "account_tax_ids": None, "amount_due": 0, "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": 0,
        "amount_shipping": 0, "application": None, "attempt_count": 0, "attempted": False, "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None, "enabled": bool(sub and sub["automatic_tax"]["enabled"]), "liability": None,
            "provider": None, "status": None,
        },
        "automatically_finalizes_at": None, "billing_reason": reason, "collection_method": "charge_automatically",
        "created": at, "currency": currency, "custom_fields": None, "customer": payer["id"],
        "customer_account": None, "customer_address": None, "customer_email": payer["email"],
        "customer_name": payer["name"], "customer_phone": None, "customer_shipping": None,
        "customer_tax_exempt": "none", "customer_tax_ids": [], "default_payment_method": None, "default_source": None,
        "default_tax_rates": [], "description": None, "discounts": [], "due_date": None, "effective_at": None,
        "ending_balance": None, "footer": None, "from_invoice": None,
        "hosted_invoice_url": f"{base}/invoice/{invoice_id}", "invoice_pdf": None, "issuer": {"type": "self"},
        "last_finalization_error": None, "latest_revision": None, "livemode": False,
        "lines": listing([], f"/v1/invoices/{invoice_id}/lines"), "metadata": {}, "next_payment_attempt": None,
        "number": None, "on_behalf_of": None, "parent": parent,
        "payment_settings": {
            "default_mandate": None, "payment_method_options": None, "payment_method_types": None,
        },
        "period_end": at, "period_start": at, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None, "rendering": None, "shipping_cost": None,
        "shipping_details": None, "starting_balance": payer["balance"], "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "subtotal": 0, "subtotal_excluding_tax": 0, "test_clock": payer["test_clock"], "total": 0,
        "total_discount_amounts": [], "total_excluding_tax": 0, "total_pretax_credit_amounts": [], "total_taxes": [],
        "webhooks_delivered_at": None, "_payment_intent": None, "_finalizes_at": None,
    }  # fmt: skip


def payment_intent(intent_id: str, at: int, bill: Obj) -> Obj:
    """The attempt to be paid for an invoice."""
    return {
        "id": intent_id, "object": "payment_intent", "amount": bill["amount_due"], "amount_capturable": 0,
        "amount_received": 0, "canceled_at": None, "cancellation_reason": None, "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_sandbox", "confirmation_method": "automatic", "created": at,
        "currency": bill["currency"], "customer": bill["customer"], "description": None, "last_payment_error": None,
        "latest_charge": None, "livemode": False, "metadata": {}, "next_action": None, "payment_method": None,
        "payment_method_types": ["card"], "receipt_email": None, "setup_future_usage": "off_session",
        "status": "requires_payment_method", "_invoice": bill["id"],
    }  # fmt: skip


def charge(charge_id: str, at: int, intent: Obj, method: Obj, decline: str, message: str | None) -> Obj:
    """One attempt at a card, successful unless there is a decline code."""
    paid = not decline
    return {
        "id": charge_id, "object": "charge", "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0, "amount_refunded": 0, "application": None,
        "balance_transaction": None, "billing_details": method["billing_details"], "captured": paid, "created": at,
        "currency": intent["currency"], "customer": intent["customer"], "description": None, "disputed": False,
        "failure_code": None if paid else "card_declined", "failure_message": message, "fraud_details": {},
        "livemode": False, "metadata": {},
        "outcome": {
            "network_decline_code": None, "network_status": "approved_by_network" if paid else "declined_by_network",
            "reason": decline or None, "seller_message": "Payment complete." if paid else "The bank declined.",
            "type": "authorized" if paid else "issuer_declined",
        },
        "paid": paid, "payment_intent": intent["id"], "payment_method": method["id"],
        "payment_method_details": {"card": method["card"], "type": "card"}, "receipt_email": None,
        "receipt_number": None, "receipt_url": None, "refunded": False, "review": None, "shipping": None,
        "statement_descriptor": None, "status": "succeeded" if paid else "failed", "transfer_group": None,
    }  # fmt: skip


def invoice_payment(payment_id: str, at: int, bill: Obj, intent_id: str) -> Obj:
    """Which payment an invoice is paid by: what charges and invoices are joined through."""
    return {
        "id": payment_id, "object": "invoice_payment", "amount_paid": None, "amount_requested": bill["amount_due"],
        "created": at, "currency": bill["currency"], "invoice": bill["id"], "is_default": True, "livemode": False,
        "payment": {"payment_intent": intent_id, "type": "payment_intent"}, "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }  # fmt: skip


def refund(refund_id: str, at: int, paid: Obj, amount: int, reason: str | None, metadata: Obj) -> Obj:
    """Money that is given back of a charge."""
    return {
        "id": refund_id, "object": "refund", "amount": amount, "balance_transaction": None, "charge": paid["id"],
        "created": at, "currency": paid["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"}, "metadata": metadata,
        "payment_intent": paid["payment_intent"], "reason": reason, "receipt_number": None,
        "source_transfer_reversal": None, "status": "succeeded", "transfer_reversal": None,
    }  # fmt: skip


def dispute(dispute_id: str, at: int, paid: Obj, status: str, reason: str) -> Obj:
    """A charge that its owner contests at the bank; an inquiry where `status` begins with `warning_`."""
    kind = "inquiry" if status.startswith("warning_") else "chargeback"
    return {
        "id": dispute_id, "object": "dispute", "amount": paid["amount"], "balance_transactions": [],
        "charge": paid["id"], "created": at, "currency": paid["currency"], "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": at + 9 * 86_400, "enhanced_eligibility": {}, "has_evidence": False, "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": kind == "inquiry", "livemode": False, "metadata": {},
        "payment_intent": paid["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa", "case_type": kind, "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason, "status": status,
    }  # fmt: skip


def checkout_session(session_id: str, at: int, payer: Obj | None, base: str) -> Obj:
    """An open session of the paying page."""
    return {
        "id": session_id, "object": "checkout.session", "adaptive_pricing": None, "after_expiration": None,
        "allow_promotion_codes": None, "amount_subtotal": None, "amount_total": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None, "cancel_url": None, "client_reference_id": None, "client_secret": None,
        "collected_information": None, "consent": None, "consent_collection": None, "created": at, "currency": None,
        "currency_conversion": None, "custom_fields": [], "custom_text": {}, "customer": payer and payer["id"],
        "customer_account": None, "customer_creation": None, "customer_details": None,
        "customer_email": None, "discounts": [], "expires_at": at + 86_400, "invoice": None, "invoice_creation": None,
        "livemode": False, "locale": None, "metadata": {}, "mode": "subscription", "origin_context": None,
        "payment_intent": None, "payment_link": None, "payment_method_collection": "always",
        "payment_method_configuration_details": None, "payment_method_options": {}, "payment_method_types": ["card"],
        "payment_status": "unpaid", "permissions": None, "phone_number_collection": {"enabled": False},
        "recovered_from": None, "saved_payment_method_options": None, "setup_intent": None,
        "shipping_address_collection": None, "shipping_cost": None, "shipping_options": [], "status": "open",
        "submit_type": None, "subscription": None, "success_url": None, "total_details": None, "ui_mode": "hosted",
        "url": f"{base}/pay/{session_id}", "wallet_options": None, "_price": "", "_subscription_metadata": {},
    }  # fmt: skip


def portal_session(session_id: str, at: int, customer_id: str, return_url: str | None, base: str) -> Obj:
    """An open session of the customer's own pages."""
    return {
        "id": session_id, "object": "billing_portal.session", "configuration": "bpc_sandbox", "created": at,
        "customer": customer_id, "customer_account": None, "flow": None, "livemode": False, "locale": None,
        "on_behalf_of": None, "return_url": return_url, "url": f"{base}/portal/{session_id}",
    }  # fmt: skip


def test_clock(clock_id: str, at: int, frozen: int, name: str | None) -> Obj:
    """A clock that stands still until it is advanced, and the customers made with it with it."""
    return {
        "id": clock_id, "object": "test_helpers.test_clock", "created": at, "deletes_after": at + 30 * 86_400,
        "frozen_time": frozen, "livemode": False, "name": name, "status": "ready", "status_details": {},
    }  # fmt: skip


def webhook_endpoint(endpoint_id: str, at: int, url: str, events: list[Any], version: str | None, secret: str) -> Obj:
    """Where events are sent to."""
    return {
        "id": endpoint_id, "object": "webhook_endpoint", "api_version": version, "application": None, "created": at,
        "description": None, "enabled_events": events, "livemode": False, "metadata": {}, "status": "enabled",
        "url": url, "_secrets": [secret],
    }  # fmt: skip


def event(event_id: str, at: int, kind: str, thing: Obj, before: Obj | None, key: str | None) -> Obj:
    """That something happened, and the object as it was then."""
    data: Obj = {"object": thing}
    if before is not None:
        data["previous_attributes"] = before
    return {
        "id": event_id, "object": "event", "api_version": None, "created": at, "data": data, "livemode": False,
        "pending_webhooks": 0, "request": {"id": None, "idempotency_key": key}, "type": kind,
    }  # fmt: skip
