"""The market table: header, rows, and what stands in their place while there are none."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.kit import browser, shell
from flashcur.components.kit.texts import as_written
from flashcur.domain import frames
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState, MarketState
from flashcur.state.signals import SignalsState
from flashcur.state.watchlists import WatchlistState

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("symbol", "Symbol", f"Base asset. A bar marks funding of {frames.FUNDING_ACCENT_PCT} % or more either way."),
    ("price", "Price", "Last trade, USDT"),
    ("change", "24h %", "Change of the last trade over 24 hours"),
    ("volume", "24h vol", "Quote volume over 24 hours, USDT"),
    ("ratio", "Ratio", "Quote volume of this hour over the hour before. Filled where it is a spike."),
    ("funding", "Funding", "Current rate per interval; longs pay shorts where it is positive"),
    ("oi", "Open int.", "Open interest in USD"),
    ("oi1h", "OI 1h %", "Change of open interest over one hour"),
)
OPEN_INTEREST = ("oi", "oi1h")

_EMPTY = rx.Var('({ __html: "" })')


@rx.memo
def market_row(
    symbol: rx.Var[str],
    base: rx.Var[str],
    star: rx.Var[str],
    price: rx.Var[str],
    change: rx.Var[str],
    volume: rx.Var[str],
    ratio: rx.Var[str],
    funding: rx.Var[str],
    oi: rx.Var[str],
    oi1h: rx.Var[str],
    look: rx.Var[str],
    move: rx.Var[str],
    age: rx.Var[str],
    hint: rx.Var[str],
    mark: rx.Var[str],
    fired: rx.Var[str],
    side: rx.Var[str],
    open_interest: rx.Var[bool],
    rest: rx.RestProp,
) -> rx.Component:
    """One contract. Every prop is a plain string, so React leaves a row alone whose values did not change."""
    return rx.el.tr(
        rx.el.th(
            rx.el.button(
                type="button",
                class_name="star",
                custom_attrs={"aria-pressed": star, "aria-label": "Watch " + base},
            ),
            rx.el.button(type="button", class_name="new-alert", custom_attrs={"aria-label": "New alert for " + base}),
            base,
            rx.cond(mark, rx.el.small(mark)),
            rx.cond(fired, rx.el.i(class_name="fired " + side, role="img", title=fired, aria_label=fired)),
            scope="row",
            role="rowheader",
            custom_attrs={"data-col": "symbol"},
        ),
        _cell("price", price, age, "p", class_name=move),
        _cell("change", change, age, "p", class_name=shell.direction(change), suffix=" %"),
        _cell("volume", volume, age, "p", prefix="$"),
        _cell("ratio", ratio, age, "r", suffix="×"),
        _cell("funding", funding, age, "f", suffix=" %", hint=hint),
        rx.cond(open_interest, _cell("oi", oi, age, "o", prefix="$")),
        rx.cond(open_interest, _cell("oi1h", oi1h, age, "o", class_name=shell.direction(oi1h), suffix=" %")),
        rest,
        role="row",
        class_name=look,
        custom_attrs={"data-symbol": symbol},
    )


def _cell(
    column: str,
    value: rx.Var[str],
    age: rx.Var[str],
    letter: str,
    *,
    prefix: str = "",
    suffix: str = "",
    class_name: rx.Var[str] | str | None = None,
    hint: rx.Var[str] | None = None,
) -> rx.Component:
    """A value, a dash where it is missing, and its age where that is above the allowance.

    As few elements as will do: 500 rows of these are compared every second.
    """
    attributes: dict[str, rx.Var[str] | str] = {
        "data-col": column,
        "data-age": browser.function("ages", "ageOf").call(age, letter).to(str),
    }
    if hint is not None:
        attributes["data-hint"] = hint
        attributes["aria-description"] = _described(hint)
    text = rx.cond(value, f"{prefix}{value}{suffix}", "–")
    return rx.el.td(
        # Only the ratio has something drawn around its text.
        rx.el.b(text) if column == "ratio" else text,
        role="cell",
        custom_attrs=attributes,
        **({} if class_name is None else {"class_name": class_name}),
    )


def _described(hint: rx.Var[str]) -> rx.Var[str]:
    """What the card says, for a screen reader, which has no pointer to hold over the cell."""
    parts = hint.split("|")
    return rx.cond(hint != "", f"every {parts[0]} hours, {parts[2]} % a year", rx.Var("undefined")).to(str)


def total_of() -> rx.Var[int]:
    """How many contracts there are to filter: those on crypto, those on the rest, or all where one is named."""
    universe = rx.Var.create({"symbol": MarketState.symbol, "asset": MarketState.asset})
    return browser.function("rows", "totalOf").call(universe, browser.VIEW, AccountState.lists).to(int)


def market_table() -> rx.Component:
    """The table in its scroller."""
    open_interest = FeedState.open_interest
    lag, mark = shell.lag(), FeedState.mark
    # A table that moves at marks was that old already when the last message came.
    lag = rx.cond((lag > 0) & (mark > 0), lag + (FeedState.as_of - mark) // 1000, lag).to(int)
    rows = (
        browser.function("rows", "marketRows")
        .call(
            rx.Var.create({name: getattr(MarketState, name) for name in (*frames.COLUMNS, "beat")}),
            browser.VIEW,
            lag,
            AccountState.lists,
            _fired(),
        )
        .to(list[dict[str, str]])
    )
    bell = browser.hook("bell", "table", "useBell")
    send = browser.event(lambda symbol: WatchlistState.star(symbol, browser.list_choice()))
    return rx.el.div(
        rx.el.table(
            rx.el.caption("USDT perpetual futures", class_name="unseen"),
            rx.el.thead(
                rx.el.tr(*(_heading(*column, open_interest) for column in COLUMNS), role="row"), role="rowgroup"
            ),
            rx.cond(
                MarketState.symbol,
                rx.el.tbody(
                    rx.foreach(rows, lambda row: _row(row, open_interest)),
                    class_name="rows",
                    role="rowgroup",
                    custom_attrs=as_written(),
                ),
                # The server puts the newest prices here before it sends the page (runtime.first_paint); without them
                # stripes of the table's size stand in, since hundreds of empty cells would delay the paint.
                rx.el.tbody(
                    id="first-rows",
                    class_name="ghost",
                    role="rowgroup",
                    custom_attrs={"dangerouslySetInnerHTML": _EMPTY, **as_written()},
                ),
            ),
            role="table",
            class_name=rx.cond(open_interest, "market", "market without-oi"),
            custom_attrs={
                "data-testid": "market-table",
                "ref": _flash(),
                "onMouseOver": browser.function("table", "pointAt"),
                "onMouseLeave": browser.function("table", "pointAt"),
                "onPointerDown": browser.function("table", "press"),
                "onPointerUp": browser.handler(
                    f"(e) => {{ clickStar(e, {send!s}); {bell!s}(e) }}", send, bell, table="clickStar"
                ),
                "onClick": browser.handler(
                    f"(e) => {{ pointAt(e); clickStar(e, {send!s}); {bell!s}(e) }}",
                    send,
                    bell,
                    table=("pointAt", "clickStar"),
                ),
            },
        ),
        rx.el.div(
            rx.cond(
                (browser.list_choice() != "") & (browser.chosen("q") == "") & (browser.chosen("show") == "all"),
                "None of this list is in the table. Search for a contract and click its star. ",
                rx.cond(
                    (browser.chosen("assets") == "crypto") | (total_of() > 0),
                    "No contract matches these filters. ",
                    "No stocks or commodities are traded here now. ",
                ),
            ),
            rx.el.button(
                "Show all contracts",
                type="button",
                custom_attrs={
                    "onPointerDown": browser.function("table", "press"),
                    "onClick": browser.handler(
                        '() => setView({ q: "", min: "", show: "all", assets: "crypto", list: "" })', view="setView"
                    ),
                },
            ),
            class_name="message",
        ),
        class_name="scroller",
        custom_attrs={
            "onScroll": browser.function("table", "hideCard"),
            "data-scrolled": browser.hook("scrolledBack", "origin", "useScrolledBack", MarketState.symbol != ""),
        },
        tab_index=0,
        role="region",
        aria_label="Market table",
    )


def _fired() -> rx.Var[Any]:
    """What has just fired, by symbol: joined to the rows in the browser, so that no frame has to tell it."""
    names = ("id", "symbol", "title", "direction", "at", "later", "late")
    columns = {name: getattr(SignalsState, name) for name in names}
    past = browser.hook("past", "ages", "usePast", FeedState.as_of)
    return browser.function("fired", "firedOf").call(rx.Var.create(columns), past)


def _flash() -> rx.Var[object]:
    return browser.hook("flash", "beat", "useFlash", MarketState.beat)


def _row(row: rx.Var[dict[str, str]], open_interest: rx.Var[bool]) -> rx.Component:
    names = (
        *("symbol", "base", "star", "price", "change", "volume", "ratio", "funding", "oi", "oi1h"),
        "look",
        "move",
        "age",
        "hint",
        "mark",
        "fired",
        "side",
    )
    return market_row(**{name: row[name] for name in names}, open_interest=open_interest, key=row["symbol"])


def _heading(column: str, title: str, explanation: str, open_interest: rx.Var[bool]) -> rx.Component:
    sort, direction = browser.chosen("sort"), browser.chosen("dir")
    cell = rx.el.th(
        rx.el.button(
            title,
            type="button",
            title=explanation,
            custom_attrs={"onClick": browser.handler(f'() => sortBy("{column}")', view="sortBy")},
        ),
        scope="col",
        role="columnheader",
        custom_attrs={
            "data-col": column,
            "aria-sort": rx.cond(
                sort == column, rx.cond(direction == "asc", "ascending", "descending"), rx.Var("undefined")
            ),
        },
    )
    return rx.cond(open_interest, cell) if column in OPEN_INTEREST else cell
