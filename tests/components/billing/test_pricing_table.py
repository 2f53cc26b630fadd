"""The pricing page says what the table of plans says, and the pages around it can be built."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import reflex as rx

from flashcur.components.billing import plan_texts, pricing_table
from flashcur.components.kit import forms
from flashcur.domain.plans import AUDIENCES, CHANNELS, EXPORT_FORMATS, PLAN_NAMES, PLANS, Audience, Plan
from flashcur.pages import error, legal_privacy, legal_risk, legal_terms, not_found, pricing

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def texts(rendered: Any) -> Iterator[str]:
    """Every piece of text in what a component renders to, in order."""
    if isinstance(rendered, dict):
        if "contents" in rendered:
            yield from (json.loads(text) for text in QUOTED.findall(str(rendered["contents"])))
        for value in rendered.values():
            if isinstance(value, (dict, list, tuple)):
                yield from texts(value)
    elif isinstance(rendered, (list, tuple)):
        for part in rendered:
            yield from texts(part)


def text_of(component: rx.Component) -> str:
    return " ".join(" ".join(texts(component.render())).split())


def cards() -> list[str]:
    """The text of each card, in the order of the plans."""
    return [text_of(card) for card in pricing_table.plan_cards().children]  # type: ignore[arg-type]


def comparison(audience: Audience) -> dict[str, str]:
    """Name of the line to what it says of `audience`, from the table as it is rendered."""
    position = AUDIENCES.index(audience)
    lines = {}
    for body in pricing_table.comparison_table().render()["children"][2:]:
        for row in body["children"][1:]:
            name, *values = (" ".join(texts(cell)) for cell in row["children"])
            lines[name] = values[position]
    return lines


def number(limit: int | None) -> str:
    return "All" if limit is None else f"{limit:,}"


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_a_card_says_what_the_plan_has(name: Audience) -> None:
    plan = PLANS[name]
    card = cards()[PLAN_NAMES.index(name)].lower()  # type: ignore[arg-type]
    wanted = [plan.title, f"{plan.rules:,} rules", f"{plan.watchlist_symbols:,} contracts", f"{plan.sessions} devices"]
    wanted += [f"last {plan.history} signals"] if plan.history else ["all signals"]
    wanted += [f"the {plan.rows} largest"] if plan.rows else ["all contracts"]
    wanted += [plan_texts.EXPORT_NAMES[export] for export in plan.exports]
    wanted += [plan_texts.CHANNEL_NAMES[channel] for channel in plan.channels]
    assert [text for text in wanted if text.lower() not in card] == []
    assert ("open interest" in card) is plan.open_interest
    assert ("thresholds" in card) is plan.own_thresholds
    assert ("api" in card.split()) is plan.api


def test_prices_of_month_and_year_and_what_a_year_saves() -> None:
    free, pro, elite = cards()
    assert "$0" in free
    assert "$9.99 a month or $99 a year" in pro
    assert "$99 a year $20.88 less than 12 months" in pro
    assert "$29.99 a month or $299 a year" in elite
    assert "$299 a year $60.88 less than 12 months" in elite
    assert "saves up to 17 %" in text_of(pricing_table.period_switch())


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_comparison_says_what_the_plan_has(audience: Audience) -> None:
    plan, lines = PLANS[audience], comparison(audience)
    yes = {True: "Yes", False: "No"}
    assert (
        lines["Table moves"]
        == {900: "Every 15 minutes", 300: "Every 5 minutes", 1: "Live, each second"}[plan.cadence_s]
    )
    assert lines["Contracts in the table"].removeprefix("Top ") == number(plan.rows)
    assert lines["Open interest"] == yes[plan.open_interest]
    assert lines["History"].removeprefix("Last ").removesuffix(", searchable") == number(plan.history)
    assert lines["Own thresholds for spikes"] == yes[plan.own_thresholds]
    assert lines["Active at a time"] == (f"{plan.rules}" if plan.rules else "None")
    for channel in CHANNELS:
        assert lines[plan_texts.CHANNEL_NAMES[channel]] == yes[channel in plan.channels]
    assert lines["Watchlists"] == (f"{plan.watchlists}" if plan.watchlists else "None")
    assert lines["Contracts in them"] == (f"{plan.watchlist_symbols:,}" if plan.watchlists else "–")
    for name in EXPORT_FORMATS:
        assert lines[f"Export to {plan_texts.EXPORT_NAMES[name]}"] == yes[name in plan.exports]
    assert lines["Contracts in an export"] == (number(plan.export_rows) if plan.exports else "–")
    assert lines["API"] == yes[plan.api]
    assert lines["Devices signed in"] == (f"{plan.sessions}" if plan.sessions else "–")


CHANGES: dict[str, Any] = {
    "title": "Copper",
    "monthly": Decimal("7.77"),
    "yearly": Decimal("55.55"),
    "cadence_s": 420,
    "rows": 77,
    "open_interest": False,
    "history": 43,
    "rules": 29,
    "channels": ("in-app", "telegram"),
    "own_thresholds": False,
    "watchlists": 13,
    "watchlist_symbols": 171,
    "exports": ("csv",),
    "export_rows": 91,
    "api": True,
    "sessions": 19,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_plan_changes_its_card_and_the_comparison(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card, lines = cards()[PLAN_NAMES.index("pro")], text_of(pricing_table.comparison_table())
    monkeypatch.setitem(PLANS, "pro", replace(PLANS["pro"], **{field: CHANGES[field]}))
    assert cards()[PLAN_NAMES.index("pro")] != card
    assert text_of(pricing_table.comparison_table()) != lines


def test_every_field_of_a_plan_is_on_the_page() -> None:
    assert set(CHANGES) == set(Plan.__slots__) - {"audience"}


def test_the_answers_follow_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLANS, "pro", replace(PLANS["pro"], cadence_s=600, title="Copper", monthly=Decimal("7.77")))
    page = text_of(pricing.pricing())
    assert "What does “every 10 minutes” mean?" in page
    assert "On Copper the table" in page
    assert ":00, :10, :20 and so on" in page
    assert "a month of Copper is $7.77" in page


def test_the_page_does_not_pretend_that_payment_is_open() -> None:
    free, pro, elite = cards()
    assert "Payment opens soon" in pro
    assert "Payment opens soon" in elite
    assert "Payment" not in free


def test_a_card_tells_which_plan_it_is_and_whether_it_is_the_visitors() -> None:
    rendered = [str(card.render()["props"]) for card in pricing_table.plan_cards("pro").children]  # type: ignore[attr-defined]
    for name, props in zip(PLAN_NAMES, rendered, strict=True):
        assert f'"data-plan":"{name}"' in props
    assert "current" in rendered[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "each second"),
        (30, "every 30 seconds"),
        (60, "every minute"),
        (300, "every 5 minutes"),
        (3600, "every hour"),
    ],
)
def test_how_often(seconds: int, words: str) -> None:
    assert plan_texts.every(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(900, ":00 :15 :30 :45"), (300, ":00, :05, :10 and so on"), (1800, ":00 :30"), (3600, ":00")],
)
def test_marks_of_an_hour(seconds: int, words: str) -> None:
    assert plan_texts.marks(seconds).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (legal_terms.legal_terms, ["DEMO DATA", "Stripe", "not an exchange", "In force since"]),
        (legal_privacy.legal_privacy, ["argon2id", "HttpOnly", "SendGrid", "Twilio", "Stripe", "one year", "30 days"]),
        (legal_risk.legal_risk, ["can take the whole", "not advice", "on Pro every 5 minutes", "may not arrive"]),
        (not_found.not_found, ["no page at this address"]),
    ],
    ids=["terms", "privacy", "risk", "not-found"],
)
def test_other_pages(page: Any, says: list[str]) -> None:
    text = text_of(page())
    assert [words for words in says if words not in text] == []
    assert "Not investment advice." in text


def test_what_stands_in_for_a_page_that_failed_needs_no_state() -> None:
    page = error.fallback()
    assert "This page stopped working" in text_of(page)
    assert page._get_all_hooks() == {}


def test_a_field_names_its_hint_and_its_error() -> None:
    made = str(
        forms.field(
            "Password",
            "password",
            "password",
            autocomplete="new-password",
            hint="12 or more characters",
            error=rx.Var("problem", _var_type=str),
            form="register",
        ).render()
    )
    assert '"aria-describedby":"register-password-hint register-password-error"' in made
    assert 'htmlFor:"register-password"' in made
    assert 'role:"alert"' in made
    assert "revealPassword" in made


def test_a_field_without_hint_and_error_refers_to_nothing() -> None:
    made = str(forms.field("Email", "email", "email", autocomplete="email").render())
    assert "aria-describedby" not in made
    assert "aria-invalid" not in made
