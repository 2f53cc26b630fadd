"""What the plans have, in words. Everything is drawn from `domain.plans`, so the page and the gates cannot disagree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from flashcur.domain.plans import (
    CHANNEL_NAMES,
    CHANNELS,
    EXPORT_FORMATS,
    PLAN_NAMES,
    PLANS,
    Channel,
    ExportFormat,
    Plan,
)

EXPORT_NAMES: dict[ExportFormat, str] = {"tradingview": "TradingView", "csv": "CSV", "json": "JSON"}

YES = "Yes"
NO = "No"
NONE = "None"
NOTHING = "–"
"""Where the question does not arise."""
ABSENT = (NO, NONE, NOTHING)


def money(amount: Decimal) -> str:
    """US dollars; cents only where there are some."""
    return f"${amount:,.0f}" if amount == amount.to_integral_value() else f"${amount:,.2f}"


def saving(plan: Plan) -> Decimal:
    """US dollars that a year paid at once costs less than twelve months."""
    return 12 * (plan.monthly or Decimal(0)) - (plan.yearly or Decimal(0))


def saving_percent(plan: Plan) -> int:
    """The same in whole percent, rounded down; 0 where nothing is paid."""
    year = 12 * (plan.monthly or Decimal(0))
    return int((saving(plan) / year * 100).to_integral_value(ROUND_DOWN)) if year else 0


def every(cadence_s: int) -> str:
    """`every 5 minutes`, `each second`."""
    if cadence_s == 1:
        return "each second"
    for seconds, name in ((3600, "hour"), (60, "minute")):
        if cadence_s % seconds == 0:
            number = cadence_s // seconds
            return f"every {number} {name}s" if number > 1 else f"every {name}"
    return f"every {cadence_s} seconds"


def cadence(plan: Plan) -> str:
    """`Live, each second`, `Every 5 minutes`."""
    text = every(plan.cadence_s)
    return f"Live, {text}" if plan.live else _capital(text)


def marks(cadence_s: int) -> str:
    """The minutes of an hour at which a table of this cadence moves: `:00 :15 :30 :45`, `:00, :05, :10 and so on`."""
    minutes = [f":{second // 60:02d}" for second in range(0, 3600, max(cadence_s, 60))]
    return "\u00a0".join(minutes) if len(minutes) <= 4 else f"{', '.join(minutes[:3])} and so on"


def signals(plan: Plan) -> str:
    """When market-wide signals appear."""
    return "At once" if plan.live else cadence(plan)


def rows(plan: Plan) -> str:
    return "All" if plan.rows is None else f"Top {plan.rows:,}"


def contracts(plan: Plan) -> str:
    """The same in a sentence."""
    return "all contracts" if plan.rows is None else f"the {plan.rows:,} largest contracts by volume"


def history(plan: Plan) -> str:
    return "All, searchable" if plan.history is None else f"Last {plan.history:,}"


def exports(plan: Plan) -> str:
    """Formats, joined: `TradingView, CSV, JSON`."""
    return ", ".join(EXPORT_NAMES[name] for name in plan.exports) or NO


def export_rows(plan: Plan) -> str:
    if not plan.exports:
        return NOTHING
    return "All" if plan.export_rows is None else f"{plan.export_rows:,}"


def channels(plan: Plan) -> str:
    """Channels in a sentence: `in the app, browser notification and email`."""
    names = [CHANNEL_NAMES[name] for name in plan.channels]
    kept = [names[0].lower(), *(_within(name) for name in names[1:])] if names else []
    return _listed(kept) or NO


def features(plan: Plan) -> list[str]:
    """What a plan's card says, a line each; what the plan does not have is left out."""
    lines = [
        "Table live, signals at once"
        if plan.live
        else f"Table and signals {every(plan.cadence_s)}, at {marks(plan.cadence_s)}",
        _capital(contracts(plan)),
        "Open interest: columns and signals" if plan.open_interest else "",
        "All signals of the past, searchable" if plan.history is None else f"The last {plan.history:,} signals",
        f"{_count(plan.rules, 'rule')} of your own, firing at once" if plan.rules else "",
        f"Alerts: {channels(plan)}" if plan.channels else "",
        "Your own thresholds for the spike feed" if plan.own_thresholds else "",
        f"{_count(plan.watchlists, 'watchlist')}, {_count(plan.watchlist_symbols, 'contract')}"
        + (" in all" if plan.watchlists > 1 else "")
        if plan.watchlists
        else "",
        f"Export: {exports(plan)}" + ("" if plan.export_rows is None else f", {plan.export_rows:,} contracts")
        if plan.exports
        else "",
        "API" if plan.api else "",
        f"{_count(plan.sessions, 'device')} signed in" if plan.sessions else "",
    ]
    return [line for line in lines if line]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the comparison: its name, and what it says of a plan."""

    name: str
    text: Callable[[Plan], str]


def comparison() -> list[tuple[str, list[Line]]]:
    """The comparison's groups, each with its lines."""
    return [
        (
            "Market",
            [
                Line("Table moves", cadence),
                Line("Five largest contracts", lambda _: "Live"),
                Line("Contracts in the table", rows),
                Line("Open interest", lambda plan: _yes(plan.open_interest)),
            ],
        ),
        (
            "Signals of the whole market",
            [
                Line("Appear", signals),
                Line("History", history),
                Line("Own thresholds for spikes", lambda plan: _yes(plan.own_thresholds)),
            ],
        ),
        (
            "Your own rules",
            [
                Line("Active at a time", lambda plan: f"{plan.rules:,}" if plan.rules else NONE),
                Line("Fire", lambda plan: "At once" if plan.rules else NOTHING),
            ],
        ),
        ("How alerts reach you", [Line(CHANNEL_NAMES[name], _has_channel(name)) for name in CHANNELS]),
        (
            "Watchlists and export",
            [
                Line("Watchlists", lambda plan: f"{plan.watchlists:,}" if plan.watchlists else NONE),
                Line("Contracts in them", lambda plan: f"{plan.watchlist_symbols:,}" if plan.watchlists else NOTHING),
                *(Line(f"Export to {EXPORT_NAMES[name]}", _has_export(name)) for name in EXPORT_FORMATS),
                Line("Contracts in an export", export_rows),
                Line("API", lambda plan: _yes(plan.api)),
            ],
        ),
        (
            "Account",
            [
                Line("Devices signed in", lambda plan: f"{plan.sessions:,}" if plan.sessions else NOTHING),
                Line("Price a month", lambda plan: NOTHING if plan.monthly is None else money(plan.monthly)),
                Line("Price a year", lambda plan: NOTHING if plan.yearly is None else money(plan.yearly)),
            ],
        ),
    ]


def paid_plans() -> list[Plan]:
    """The plans that cost something, in rising order."""
    return [PLANS[name] for name in PLAN_NAMES if PLANS[name].monthly]


def questions() -> list[tuple[str, str]]:
    """Questions and honest answers; numbers come from the table."""
    guest, free = PLANS["guest"], PLANS["free"]
    paid = paid_plans()
    marked = next((plan for plan in paid if not plan.live), free)
    moving = every(marked.cadence_s)
    return [
        (
            f"What does “{moving}” mean?",
            f"On {marked.title} the table and the signals of the whole market move on the clock, in UTC: at "
            f"{marks(marked.cadence_s)}. Every number is that of the mark, and the page counts down to the next one. "
            f"On {free.title} the marks are {every(free.cadence_s)}, at {marks(free.cadence_s)}. The strip with the "
            "five largest contracts is live for everyone.",
        ),
        (
            "Do my own rules wait for the marks?",
            "No. A rule of your own fires at once on every plan, whatever your table shows. What a plan decides is how "
            "many rules are active and which channels they may use.",
        ),
        (
            "Do I need an account?",
            f"Not to look. Without one you see {contracts(guest)}, {every(guest.cadence_s)}. The "
            f"{free.title} account adds rules, alerts and a watchlist; it has no time limit.",
        ),
        (
            "What happens when I go back to a smaller plan?",
            "Nothing is deleted. Watchlists beyond the smaller plan’s number become read-only and rules beyond it are "
            "paused. They come back with the upgrade. If more devices are signed in than the plan allows, the oldest "
            "are signed out.",
        ),
        (
            "How do I cancel?",
            "On your account page, at any time, without writing to anybody. The plan stays until the end of the period "
            f"that is paid for; then the account is {free.title}.",
        ),
        (
            "Are there refunds?",
            "When you move to a larger plan, Stripe credits the unused part of the smaller one. When you cancel, the "
            "plan runs to the end of the period and the rest is not paid back by itself. If something went wrong, "
            "contact the operator of this site. Rights that the law gives you are not touched.",
        ),
        (
            "Is there a trial?",
            f"No. {free.title} costs nothing and shows what the product is like; a month of {paid[0].title} is "
            f"{money(paid[0].monthly or Decimal(0))}."
            if paid
            else f"No. {free.title} costs nothing.",
        ),
        (
            "Can I pay with crypto?",
            "No. Payment goes through Stripe, with what Stripe offers where you are. A wallet can sign you in; it is "
            "never asked for a payment.",
        ),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def _within(name: str) -> str:
    """A channel's name within a sentence: names of products keep their capitals."""
    return name.lower() if name in ("Browser notification", "Email", "Webhook") else name


def _yes(has: bool) -> str:
    return YES if has else NO


def _has_channel(name: Channel) -> Callable[[Plan], str]:
    return lambda plan: _yes(name in plan.channels)


def _has_export(name: ExportFormat) -> Callable[[Plan], str]:
    return lambda plan: _yes(name in plan.exports)
