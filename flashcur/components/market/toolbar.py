"""Search and filters over the table. They run in the browser; the URL holds what was chosen."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.clipboard import copy_file
from flashcur.components.kit.menus import menu
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.components.market.market_table import total_of
from flashcur.domain.plans import PLANS, least_plan
from flashcur.domain.view import SEARCH_LENGTH
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState, MarketState

_SHOW = (("all", "All"), ("gainers", "Gainers"), ("losers", "Losers"), ("spiking", "Spiking now"))
_LEAST = (
    ("", "Any volume"),
    ("1M", "≥ $1M"),
    ("10M", "≥ $10M"),
    ("50M", "≥ $50M"),
    ("100M", "≥ $100M"),
    ("500M", "≥ $500M"),
)

_ASSETS = (("crypto", "Crypto"), ("tradfi", "Stocks and commodities"))

_FILTERED = ("symbol", "base", "change", "volume", "spike", "asset")
"""The columns that filters look at."""


def toolbar() -> rx.Component:
    return rx.el.div(
        _search(),
        _show(),
        _assets(),
        _list(),
        _least(),
        _export(),
        _named_here(),
        _note(),
        class_name="tools",
        role="search",
    )


def _search() -> rx.Component:
    keys = browser.hook("searchKey", "table", "useSearchKey")
    return rx.el.div(
        rx.el.input(
            id="search",
            type="search",
            class_name="field",
            placeholder="Search contracts",
            aria_label="Search contracts",
            auto_complete="off",
            custom_attrs={
                "spellCheck": "false",
                "ref": keys,
                "value": browser.chosen("q"),
                "onChange": browser.handler(
                    f"(e) => setView({{ q: e.target.value.slice(0, {SEARCH_LENGTH}) }})", view="setView"
                ),
            },
        ),
        rx.el.kbd("/", aria_hidden=True),
        class_name="search",
    )


def _show() -> rx.Component:
    return rx.el.div(
        *(
            rx.el.button(
                title,
                type="button",
                custom_attrs={
                    "aria-pressed": browser.chosen("show") == key,
                    "onClick": browser.handler(f'() => setView({{ show: "{key}" }})', view="setView"),
                },
            )
            for key, title in _SHOW
        ),
        class_name="chips",
        role="group",
        aria_label="Show",
    )


def _least() -> rx.Component:
    return rx.el.label(
        rx.el.select(
            *(rx.el.option(title, value=value) for value, title in _LEAST),
            rx.cond(
                ~rx.Var.create([value for value, _ in _LEAST]).contains(browser.chosen("min")),
                rx.el.option("≥ $", browser.chosen("min"), value=browser.chosen("min")),
            ),
            class_name="field",
            aria_label="Minimum 24h volume",
            custom_attrs={
                "value": browser.chosen("min"),
                "onChange": browser.handler("(e) => setView({ min: e.target.value })", view="setView"),
            },
        ),
        class_name="least",
    )


def _assets() -> rx.Component:
    """Crypto, or what the exchange lists beside it, where it does: hidden until then, so that nothing moves later."""
    there = browser.function("rows", "offersRest").call(MarketState.asset, browser.VIEW).to(bool)
    return rx.el.label(
        rx.el.select(
            *(rx.el.option(title, value=value) for value, title in _ASSETS),
            class_name="field",
            aria_label="Assets",
            custom_attrs={
                "value": browser.chosen("assets"),
                "onChange": browser.handler("(e) => setView({ assets: e.target.value })", view="setView"),
            },
        ),
        class_name=rx.cond(there, "least assets", "least assets absent"),
    )


def _list() -> rx.Component:
    """All contracts, or those of one watchlist."""
    return rx.cond(
        AccountState.lists.length() > 0,
        rx.el.label(
            rx.el.select(
                rx.el.option("All contracts", value=""),
                rx.foreach(
                    AccountState.lists,
                    # The star marks the list that stars belong to while all contracts are shown.
                    lambda each, number: rx.el.option(
                        rx.cond(number == 0, "★ ", "") + each["name"] + " (" + each["count"] + ")",
                        value=each["id"],
                        custom_attrs=as_written(),
                    ),
                ),
                class_name="field",
                aria_label="Watchlist",
                custom_attrs={
                    "value": browser.list_choice(),
                    "onChange": browser.handler("(e) => setView({ list: e.target.value })", view="setView"),
                },
            ),
            class_name="least lists",
        ),
    )


_FILES = (
    ("tradingview", "txt", "TradingView list"),
    ("csv", "csv", "CSV"),
    ("json", "json", "JSON"),
)


def _export() -> rx.Component:
    """Files of the table as it stands; what a plan does not export says which one does."""
    return menu(
        "export",
        "Export",
        rx.cond(
            AccountState.signed_in,
            rx.el.nav(
                rx.el.button(
                    "Copy for TradingView",
                    type="button",
                    custom_attrs={"onClick": copy_file(_address("txt"))},
                ),
                *(_file(*each) for each in _FILES),
                aria_label="Export",
            ),
            rx.el.p(
                "Files of this table come with every account, also the free one. ",
                rx.el.a("Sign in", href="/login", class_name="link"),
                " or ",
                rx.el.a("create one", href="/register", class_name="link"),
                ".",
            ),
        ),
        class_name="export",
        opener_class="field",
    )


def _address(extension: str) -> rx.Var[str]:
    """The table's file, with the filters and the order that are chosen."""
    query = browser.function("query", "write").call(browser.VIEW).to(str)
    return (browser.backend() + f"/export/markets.{extension}" + rx.cond(query != "", "?" + query, "")).to(str)


def _file(kind: str, extension: str, title: str) -> rx.Component:
    return rx.cond(
        AccountState.exports.contains(kind),
        # A file is not a page: the browser asks the server for it.
        rx.el.a(title, href=_address(extension), custom_attrs={"reloadDocument": True, "download": True}),
        rx.el.a(
            title,
            rx.el.span(least_plan("exports", kind).title, class_name="tag"),
            href="/pricing",
            title=f"{title} comes with {least_plan('exports', kind).title}",
        ),
    )


def _named_here() -> rx.Component:
    """Another exchange may count the coin that is searched for by another number: what it is called here."""
    name = browser.function("rows", "namedHere").call(MarketState.symbol, MarketState.base, browser.VIEW).to(str)
    return rx.el.span(
        rx.cond(name != "", rx.fragment(untranslated(browser.chosen("q")), " is called ", untranslated(name), " here")),
        class_name="named-here",
        role="status",
    )


def _note() -> rx.Component:
    """How many contracts the filters let through, and how many there are; or, where the table moves at marks, when it
    moved and moves next."""
    left = browser.hook("left", "beat", "useCountdown", FeedState.next_mark, FeedState.as_of).to(str)
    of = browser.function("ages", "clock").call(FeedState.mark).to(str)
    missing_of = browser.function("rows", "missingOf")
    missing = missing_of.call(MarketState.symbol, MarketState.base, browser.VIEW, AccountState.lists).to(int)
    filtered = rx.Var.create({name: getattr(MarketState, name) for name in _FILTERED})
    shown = browser.function("rows", "shownOf").call(filtered, browser.VIEW, AccountState.lists).to(int)
    total = total_of()
    return rx.el.div(
        rx.cond(
            missing > 0,
            rx.el.span(
                untranslated(missing),
                rx.cond(missing == 1, " contract", " contracts"),
                rx.cond(
                    FeedState.open_interest,
                    " of this list without trade here now. ",
                    f" of this list outside the {PLANS['free'].rows} largest, which your plan shows. ",
                ),
                class_name="missing",
            ),
        ),
        rx.cond(
            FeedState.mark > 0,
            rx.fragment("As of ", untranslated(of), " UTC, next in ", untranslated(left)),
            rx.cond(
                total > 0,
                rx.fragment(
                    rx.cond(shown >= 0, rx.fragment(untranslated(shown), " of ")), untranslated(total), " contracts"
                ),
            ),
        ),
        class_name=rx.cond(FeedState.mark > 0, "note timed", "note"),
    )
