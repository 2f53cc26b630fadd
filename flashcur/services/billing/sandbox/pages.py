"""The hosted pages: paying, confirming a payment, one invoice, and the customer's own."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from flashcur.services.billing.sandbox import checkouts, look
from flashcur.services.billing.sandbox.amounts import amount_text
from flashcur.services.billing.sandbox.billing_cycle import OVER, change, item_of, pay, price_of, prorations
from flashcur.services.billing.sandbox.invoices import pay_open
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal
from flashcur.services.billing.sandbox.shop import Shop

Handler = Callable[[web.Request], Awaitable[web.Response]]

_HINTS: Final = (
    ("4242 4242 4242 4242", "pays"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 0341", "fails at the renewal"),
    ("4000 0000 0000 3220", "asks for confirmation"),
)
_CARD: Final = (
    '<label>Card number<input name="card" inputmode="numeric" autocomplete="off" required maxlength="40" '
    'value="{card}"></label><p class="soft">'
    + ", ".join(f'<span class="whole">{number}</span> {what}' for number, what in _HINTS)
    + ".</p>"
)
_TEST_CARD: Final = "4242 4242 4242 4242"


def routes(shop: Shop, save: Callable[[], None]) -> list[web.RouteDef]:
    """`/pay/…`, `/3ds/…`, `/invoice/…`, `/portal/…`."""
    served = Pages(shop)

    def kept(handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except ApiRefusal as refusal:
                body = f'<p class="wrong" role="alert">{html.escape(refusal.message)}</p>'
                return _html("This page is not there", body, refusal.status)
            finally:
                if request.method == "POST":
                    save()

        return answered

    return [
        *(web.get(path, kept(handler)) for path, handler in served.table()),
        *(web.post(path, kept(handler)) for path, handler in served.table()),
    ]


class Pages:
    """Each answers its GET and its POST. A card that is declined leaves the page with what was typed."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def table(self) -> list[tuple[str, Handler]]:
        """Address and handler."""
        return [
            ("/pay/{id}", self._pay),
            ("/3ds/{id}", self._confirm),
            ("/invoice/{id}", self._invoice),
            ("/portal/{id}", self._portal),
        ]

    async def _pay(self, request: web.Request) -> web.Response:
        shop = self._shop
        session = shop.ledger.get("cs_test_", request.match_info["id"])
        typed = await _typed(request)
        code, problem, status = typed.get("code", "").strip(), "", 200
        coupon: str | None = None
        if session["status"] == "complete":
            return _html("Paid", f"<p>This was paid already.</p>{_back(_success(session), 'Go on')}")
        if session["status"] != "open":
            body = f"<p>This page was open for too long. Nothing was paid.</p>{_back(session['cancel_url'])}"
            return _html("This session is over", body, 410)
        try:
            if code and session["allow_promotion_codes"]:
                coupon = checkouts.promotion(shop, code)["promotion"]["coupon"]
            if typed.get("do") == "pay":
                waiting = checkouts.submit(shop, session, typed.get("card", ""), code, typed.get("email", ""))
                return _go(f"{shop.base}/3ds/{waiting}" if waiting else _success(session))
        except ApiRefusal as refusal:
            problem, status = refusal.message, refusal.status
        return _html("Subscribe", self._pay_form(session, typed, coupon, problem), status)

    def _pay_form(self, session: Obj, typed: dict[str, str], coupon: str | None, problem: str) -> str:
        shop = self._shop
        price = shop.ledger.objects[session["_price"]]
        product = shop.ledger.objects[price["product"]]
        bill = checkouts.total(shop, session, coupon)
        every = f"each {price['recurring']['interval']}"
        rows = _row(product["name"], amount_text(bill["subtotal"], bill["currency"]))
        for each in bill["total_discount_amounts"]:
            rows += _row("Promotion code", amount_text(-each["amount"], bill["currency"]))
        for each in bill["total_taxes"]:
            rows += _row("Tax", amount_text(each["amount"], bill["currency"]))
        due = amount_text(bill["amount_due"], bill["currency"])
        code = ""
        if session["allow_promotion_codes"]:
            code = (
                f'<label>Promotion code (optional)<input name="code" maxlength="40" value="{_q(typed.get("code"))}">'
                '</label><button class="plain" name="do" value="apply" formnovalidate>Apply code</button>'
            )
        email = ""
        if session["customer"] is None:
            kept = typed.get("email") or session["customer_email"]
            email = f'<label>Email<input name="email" type="email" required value="{_q(kept)}"></label>'
        return (
            f'<section><dl>{rows}<dt class="sum">Due today</dt><dd class="sum">{due}</dd></dl>'
            f'<p class="soft">Then {amount_text(price["unit_amount"], price["currency"])} {every}, until cancelled.</p>'
            f'</section>{_problem(problem)}<form method="post">'
            # The first button is the one that the Enter key presses.
            f"{email}{_CARD.format(card=_q(typed.get('card') or _TEST_CARD))}"
            f'<button name="do" value="pay">Pay {due}</button>{code}</form>{_back(session["cancel_url"])}'
        )

    async def _confirm(self, request: web.Request) -> web.Response:
        shop = self._shop
        intent = shop.ledger.get("pi_", request.match_info["id"])
        bill = shop.ledger.objects[intent["_invoice"]]
        sub_id = bill["parent"]["subscription_details"]["subscription"]
        session = next((each for each in shop.ledger.all("cs_test_") if each.get("_waiting") == sub_id), None)
        leads = bill["hosted_invoice_url"]
        if intent["status"] != "requires_action":
            return _html("Nothing to confirm", f"<p>This payment does not wait.</p>{_back(leads)}", 410)
        typed = await _typed(request)
        if do := typed.get("do"):
            try:
                if session is not None:
                    checkouts.confirm(shop, session, do == "complete")
                    leads = _success(session)
                elif do == "complete":
                    method = shop.ledger.objects[intent["payment_method"]]
                    if pay(shop, bill, method, first=True, confirmed=True):
                        raise ApiRefusal("The payment failed. Try another card.", status=402)
            except ApiRefusal as refusal:
                back = session["url"] if session is not None else leads
                return _html("Not confirmed", f"{_problem(refusal.message)}{_back(back, 'Try again')}", 402)
            return _go(leads)
        due = amount_text(intent["amount"], intent["currency"])
        body = (
            f"<p>Your bank asks whether you want to pay {due}.</p>"
            '<form method="post"><button name="do" value="complete">Confirm payment</button>'
            '<button class="plain" name="do" value="fail">Do not confirm</button></form>'
        )
        return _html("Confirm the payment", body)

    async def _invoice(self, request: web.Request) -> web.Response:
        shop = self._shop
        bill = shop.ledger.get("in_", request.match_info["id"])
        typed, problem, status = await _typed(request), "", 200
        if typed.get("do") == "pay":
            try:
                pay_open(shop, bill, shop.keep_card("".join(typed.get("card", "").split()), bill["customer"]))
                return _go(request.path)
            except ApiRefusal as refusal:
                problem, status = refusal.message, refusal.status
                if refusal.decline_code == "authentication_required":
                    return _go(f"{shop.base}/3ds/{bill['_payment_intent']}")
        lines = "".join(
            _row(line["description"], amount_text(line["amount"], line["currency"])) for line in bill["lines"]["data"]
        )
        due = amount_text(bill["amount_due"], bill["currency"])
        body = (
            f'<section><dl>{lines}<dt class="sum">To pay</dt><dd class="sum">{due}</dd>'
            f"{_row('State', bill['status'])}{_row('Date', _date(bill['created']))}</dl></section>{_problem(problem)}"
        )
        if bill["status"] == "open":
            card = _CARD.format(card=_q(typed.get("card") or _TEST_CARD))
            body += f'<form method="post">{card}<button name="do" value="pay">Pay {due}</button></form>'
        return _html(f"Invoice {bill['number'] or ''}".strip(), body, status)

    async def _portal(self, request: web.Request) -> web.Response:
        shop = self._shop
        session = shop.ledger.get("bps_", request.match_info["id"])
        payer = shop.customer(session["customer"])
        typed, problem, status = await _typed(request), "", 200
        if typed.get("do"):
            try:
                self._act(payer, typed)
                return _go(request.path)
            except ApiRefusal as refusal:
                problem, status = refusal.message, refusal.status
        body = _problem(problem) + "".join(
            self._subscription(sub) for sub in shop.subscriptions(payer["id"]) if sub["status"] not in OVER
        )
        body = body or "<p>There is no subscription.</p>"
        body += (
            f'<section><h2>Card</h2><form method="post">{_CARD.format(card=_q(typed.get("card") or _TEST_CARD))}'
            '<button name="do" value="card">Use this card</button></form></section>'
        )
        bills = [bill for bill in shop.ledger.all("in_") if bill["customer"] == payer["id"] and bill["number"]]
        rows = "".join(
            f'<tr><td><a href="{_q(bill["hosted_invoice_url"])}">{_q(bill["number"])}</a></td>'
            f"<td>{_date(bill['created'])}</td><td>{_q(bill['status'])}</td>"
            f"<td>{amount_text(bill['total'], bill['currency'])}</td></tr>"
            for bill in reversed(bills)
        )
        if rows:
            head = "<tr><th>Number</th><th>Date</th><th>State</th><th>Amount</th></tr>"
            body += f"<section><h2>Invoices</h2><table>{head}{rows}</table></section>"
        return _html("Your subscription", body + _back(session["return_url"]), status)

    def _subscription(self, sub: Obj) -> str:
        shop = self._shop
        price = price_of(shop, sub)
        sold = shop.ledger.objects[price["product"]]["name"]
        until = _date(item_of(sub)["current_period_end"])
        ends = sub["cancel_at"] is not None
        rows = _row(sold, f"{amount_text(price['unit_amount'], price['currency'])} / {price['recurring']['interval']}")
        rows += _row("State", sub["status"].replace("_", " "))
        rows += _row("Ends on" if ends else "Renews on", _date(sub["cancel_at"]) if ends else until)
        others = "".join(
            f'<option value="{_q(each["id"])}">{_q(shop.ledger.objects[each["product"]]["name"])}, '
            f"{amount_text(each['unit_amount'], each['currency'])} / {each['recurring']['interval']}</option>"
            for each in shop.ledger.all("price_")
            if each["active"] and each["currency"] == sub["currency"] and each["id"] != price["id"]
        )
        named = f'<input type="hidden" name="subscription" value="{_q(sub["id"])}">'
        if ends:
            acts = f'<form method="post">{named}<button name="do" value="resume">Keep subscription</button></form>'
        else:
            label = f"Cancel on {until}"
            acts = f'<form method="post">{named}<button class="plain" name="do" value="cancel">{label}</button></form>'
        if others and sub["status"] in ("active", "past_due"):
            acts += (
                f'<form method="post">{named}<label>Another plan<select name="price">{others}</select></label>'
                '<button class="plain" name="do" value="change">Change plan now</button></form>'
            )
        return f"<section><h2>Plan</h2><dl>{rows}</dl>{acts}</section>"

    def _act(self, payer: Obj, typed: dict[str, str]) -> None:
        shop = self._shop
        if typed["do"] == "card":
            method = shop.keep_card("".join(typed.get("card", "").split()), payer["id"])
            payer["invoice_settings"]["default_payment_method"] = method["id"]
            for sub in shop.subscriptions(payer["id"]):
                if sub["status"] not in OVER:
                    sub["default_payment_method"] = None
            shop.tell("customer.updated", payer)
            return
        sub = shop.ledger.get("sub_", typed.get("subscription", ""))
        if sub["customer"] != payer["id"] or sub["status"] in OVER:
            raise ApiRefusal("This subscription is over.", status=404)
        if typed["do"] == "change":
            price, at = shop.ledger.get("price_", typed.get("price", "")), shop.now(payer["id"])
            prorations(shop, sub, price, at)
            change(shop, sub, price, at, "error_if_incomplete", "always_invoice")
        if typed["do"] in ("cancel", "resume"):
            before = {name: sub[name] for name in ("cancel_at", "cancel_at_period_end", "canceled_at")}
            ends = typed["do"] == "cancel"
            sub |= {
                "cancel_at": item_of(sub)["current_period_end"] if ends else None, "cancel_at_period_end": ends,
                "canceled_at": shop.now(payer["id"]) if ends else None,
            }  # fmt: skip
            sub["cancellation_details"]["reason"] = "cancellation_requested" if ends else None
            shop.tell("customer.subscription.updated", sub, before)


async def _typed(request: web.Request) -> dict[str, str]:
    if request.method != "POST":
        return {}
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _html(title: str, body: str, status: int = 200) -> web.Response:
    text = look.document(title, body)
    return web.Response(text=text, status=status, content_type="text/html", headers=look.HEADERS)


def _go(url: str) -> web.Response:
    return web.Response(status=303, headers={"Location": url, **look.HEADERS})


def _success(session: Obj) -> str:
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])


def _row(name: str, value: str) -> str:
    return f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"


def _back(url: str | None, words: str = "Back") -> str:
    safe = url is not None and url.startswith(("http://", "https://"))
    return f'<a class="button plain" href="{_q(url)}">{words}</a>' if safe else ""


def _problem(text: str) -> str:
    return f'<p class="wrong" role="alert">{html.escape(text)}</p>' if text else ""


def _q(text: str | None) -> str:
    return html.escape(text or "")


def _date(at_s: int) -> str:
    moment = datetime.fromtimestamp(at_s, UTC)
    return f"{moment.day} {moment:%b %Y}"
