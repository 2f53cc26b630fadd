"""The plans side by side: cards, a comparison and questions, all drawn from `plan_texts`."""

from __future__ import annotations

from decimal import Decimal

import reflex as rx

from flashcur.components.billing import plan_texts
from flashcur.components.kit import forms
from flashcur.components.kit.texts import untranslated
from flashcur.domain.plans import AUDIENCES, PLAN_NAMES, PLANS, Plan

PERIOD = "period"
"""Name of the switch between `monthly` and `yearly`; `styles.css` follows it."""


def period_switch() -> rx.Component:
    """Monthly or yearly. It needs neither the server nor a script."""
    most = max((plan_texts.saving_percent(plan) for plan in plan_texts.paid_plans()), default=0)
    saves = [rx.el.small(f"saves up to {most} %")] if most else []
    return forms.segmented(
        PERIOD,
        [("monthly", "Monthly"), ("yearly", rx.fragment("Yearly ", *saves))],
        label="Pay monthly or yearly",
    )


def plan_cards(current: rx.Var[str] | str = "") -> rx.Component:
    """One card a plan. `current` is the plan that the visitor has, empty without an account; it is marked, and neither
    it nor a free account is offered again."""
    return rx.el.div(
        *(_card(PLANS[name], current) for name in PLAN_NAMES),
        class_name="plans",
        custom_attrs={"data-current": current},
    )


def _card(plan: Plan, current: rx.Var[str] | str) -> rx.Component:
    return rx.el.section(
        rx.el.header(
            rx.el.h2(untranslated(plan.title), rx.el.span("Your plan", class_name="yours")),
            rx.el.p(plan_texts.cadence(plan), class_name="soft"),
        ),
        _price(plan),
        buy_button(plan, current),
        rx.el.ul(*(rx.el.li(line) for line in plan_texts.features(plan))),
        class_name="plan",
        aria_label=plan.title,
        custom_attrs={"data-plan": plan.audience, "data-current": rx.cond(plan.audience == current, "true", "false")},
    )


def _price(plan: Plan) -> rx.Component:
    if not plan.monthly or not plan.yearly:
        return rx.el.div(
            rx.el.p(untranslated(plan_texts.money(Decimal(0)), element=rx.el.b)),
            rx.el.p("No card, no time limit", class_name="soft"),
            class_name="price",
        )
    yearly = plan_texts.money(plan.yearly)
    saved = plan_texts.money(plan_texts.saving(plan))
    return rx.el.div(
        rx.el.div(
            rx.el.p(untranslated(plan_texts.money(plan.monthly), element=rx.el.b), " a month"),
            rx.el.p(f"or {yearly} a year", class_name="soft"),
            class_name="when-monthly",
        ),
        rx.el.div(
            rx.el.p(untranslated(yearly, element=rx.el.b), " a year"),
            rx.el.p(f"{saved} less than 12 months", class_name="soft"),
            class_name="when-yearly",
        ),
        class_name="price",
    )


def buy_button(plan: Plan, current: rx.Var[str] | str = "") -> rx.Component:
    """What a card offers: a guest an account, until payment is open. Who has an account is offered larger plans only,
    and told that they cannot be paid for yet."""
    if not plan.monthly:
        return rx.el.div(forms.link_button("Create a free account", "/register", primary=True), class_name="buy")
    smaller = PLAN_NAMES[: PLAN_NAMES.index(plan.audience)] if plan.audience in PLAN_NAMES else ()
    guest = rx.fragment(
        forms.link_button(f"Choose {plan.title}", "/register"),
        rx.el.p("Starts with a free account. Payment opens soon", class_name="soft"),
    )
    later = rx.fragment(
        forms.button_plain("Payment opens soon", custom_attrs={"aria-disabled": "true"}),
        rx.el.p(f"{plan.title} cannot be bought yet", class_name="soft"),
    )
    return rx.el.div(
        rx.match(current, ("", guest), *((name, later) for name in smaller), rx.fragment()),
        class_name="buy",
    )


def comparison_table() -> rx.Component:
    """Every line of the plan table, by group; the first column of values is a visitor without an account."""
    plans = [PLANS[name] for name in AUDIENCES]
    return rx.el.table(
        rx.el.caption("What each plan has", class_name="unseen"),
        rx.el.thead(
            rx.el.tr(
                rx.el.td(role="cell"),
                *(
                    rx.el.th("No account" if plan.audience == "guest" else plan.title, scope="col", role="columnheader")
                    for plan in plans
                ),
                role="row",
            ),
            role="rowgroup",
        ),
        *(
            rx.el.tbody(
                rx.el.tr(
                    rx.el.th(group, scope="rowgroup", role="rowheader", col_span=len(plans) + 1),
                    role="row",
                    class_name="group",
                ),
                *(
                    rx.el.tr(
                        rx.el.th(line.name, scope="row", role="rowheader"),
                        *(_value(line.text(plan)) for plan in plans),
                        role="row",
                    )
                    for line in lines
                ),
                role="rowgroup",
            )
            for group, lines in plan_texts.comparison()
        ),
        role="table",
        class_name="comparison",
    )


def _value(text: str) -> rx.Component:
    return rx.el.td(text, role="cell", **({"class_name": "without"} if text in plan_texts.ABSENT else {}))


def questions() -> rx.Component:
    return rx.el.dl(
        *(rx.el.div(rx.el.dt(question), rx.el.dd(answer)) for question, answer in plan_texts.questions()),
        class_name="questions",
    )
