"""The watchlists page's lists, and files out and in. What is shown is `AccountState`; `WatchlistState` changes it."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from flashcur.components.account.auth_forms import answer, form_state, hidden, posted_form, trouble
from flashcur.components.kit import browser, forms
from flashcur.components.kit.browser import maybe, member
from flashcur.components.kit.clipboard import copy_file
from flashcur.components.kit.forms import button_danger, button_plain, button_primary
from flashcur.components.kit.menus import menu
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.domain.plans import PLAN_NAMES, PLANS, Plan
from flashcur.domain.watchlists import IMPORT_BYTES, NAME_LENGTH, lists_limit, symbols_limit
from flashcur.state.account import AccountState
from flashcur.state.watchlists import WatchlistState

Item = rx.Var[dict[str, str]]


def watchlist_editor() -> rx.Component:
    near = browser.hook("nearFocus", "focus", "useNearFocus", ".watchlists")
    added = browser.hook("addedNumber", "submitted", "useTaken", WatchlistState.added)
    return rx.el.div(
        trouble(),
        rx.el.div(_limits(), _contracts_full(), class_name="stack tight"),
        rx.cond(AccountState.lists.length() > AccountState.lists_most, _read_only()),
        rx.cond(
            AccountState.lists.length() > 0,
            rx.el.div(rx.foreach(AccountState.lists, _card), class_name="lists"),
            _empty(),
        ),
        _create(),
        _files(),
        class_name="watchlists",
        custom_attrs={"data-near": near, "data-added": added},
    )


def _limits() -> rx.Component:
    lists = rx.cond(AccountState.lists_most == 1, " list, ", " lists, ")
    return rx.el.p(
        untranslated(_number(AccountState.lists_used), element=rx.el.b), " of ",
        untranslated(_number(AccountState.lists_most)), lists,
        untranslated(_number(AccountState.symbols_used), element=rx.el.b), " of ",
        untranslated(_number(AccountState.symbols_most)),
        " different contracts on ",
        link(untranslated(AccountState.plan_title), "/pricing"),
        ".",
        class_name="lead",
    )  # fmt: skip


def _number(value: rx.Var[int]) -> rx.Var[str]:
    """`1,000`."""
    return browser.function("table", "grouped").call(value).to(str)


def _read_only() -> rx.Component:
    """Once for all lists past the plan's number; each has a mark."""
    most, used = AccountState.lists_most, AccountState.lists.length()
    which = rx.cond(used - most == 1, "One list is", rx.fragment(_number((used - most).to(int)), " lists are"))
    return forms.notice(
        "info",
        which, " read-only: ", _by_plan(lists_limit),
        " Nothing in them is lost: choose which to go on with, or delete some. ",
        link("Compare plans", "/pricing"),
    )  # fmt: skip


def _empty() -> rx.Component:
    return rx.el.div(
        rx.el.p(rx.el.b("No list yet.")),
        rx.el.p(
            "Click a star in the ", link("market table", "/"), " and the contract goes into a first list; or create "
            "one below, or import one from TradingView.",
            class_name="soft",
        ),
        class_name="section",
    )  # fmt: skip


def _card(each: Item, index: rx.Var[int]) -> rx.Component:
    open_ = each["frozen"] == ""
    symbols = each["symbols"].split("|")
    return rx.el.section(
        rx.el.header(
            rx.el.h2(each["name"], tab_index=-1, custom_attrs={"dir": "auto", "data-land": "card", **as_written()}),
            rx.el.span(_contracts(each), class_name="soft count"),
            rx.cond(open_, rx.fragment(), rx.el.span("Read-only", class_name="badge")),
        ),
        rx.cond(
            each["count"] == "0",
            rx.el.p("Nothing in it yet.", class_name="soft"),
            rx.el.ul(
                rx.foreach(symbols, lambda symbol: _chip(each, symbol)),
                class_name="symbols",
                aria_label="Contracts in " + each["name"],
                custom_attrs=as_written(),
            ),
        ),
        rx.cond(open_, _add(each)),
        rx.el.div(
            forms.link_button("Open in the markets", "/?list=" + each["id"]),
            rx.cond(open_, _rename(each)),
            _file("Export", each["id"]),
            _copy(each["id"]),
            # Whose plan became smaller chooses which list goes on.
            rx.cond(
                open_,
                rx.fragment(),
                forms.button_plain("Go on with this one", on_click=WatchlistState.move(each["id"], 0)),
            ),
            rx.cond(
                AccountState.lists.length() > 1,
                rx.fragment(
                    _move("↑", "Move up", each, index, -1, disabled=index == 0),
                    _move(
                        "↓",
                        "Move down",
                        each,
                        index,
                        1,
                        disabled=index + 1 >= AccountState.lists.length(),
                    ),
                ),
            ),
            _delete(each),
            class_name="actions",
        ),
        class_name="section list",
        aria_label=each["name"],
        key=each["id"],
        custom_attrs={"data-list": each["id"], "data-leave": "card"},
    )


def _contracts(each: Item) -> rx.Component:
    """`1 contract`."""
    return rx.fragment(
        browser.function("table", "grouped").call(each["count"]).to(str),
        rx.cond(each["count"] == "1", " contract", " contracts"),
    )


def _chip(each: Item, symbol: rx.Var[str]) -> rx.Component:
    base = rx.cond((symbol.length() > 4) & symbol.endswith("USDT"), symbol[:-4], symbol).to(str)
    return rx.el.li(
        rx.el.a(base, href="/?q=" + base, title=symbol),
        rx.cond(
            each["frozen"] == "",
            rx.el.button(
                "×",
                type="button",
                aria_label="Remove " + base + " from " + each["name"],
                on_click=WatchlistState.remove(each["id"], symbol),
                custom_attrs={"data-land": "chip " + each["id"]},
            ),
        ),
        key=symbol,
    )


def _add(each: Item) -> rx.Component:
    name = "add " + each["id"]
    sent = browser.hook("submittedForm", "submitted", "useSubmitted").to(str)
    wrong = (sent == name) & (WatchlistState.problem_list == each["id"]) & (WatchlistState.problem != "")
    once = browser.handler(f'(e) => once(e, "add " + {each["id"]!s})', each["id"], submitted="once")
    error = "add-error-" + each["id"]
    return rx.el.form(
        hidden("id", each["id"]),
        rx.el.label(
            rx.el.span("Add a contract to ", untranslated(each["name"]), class_name="unseen"),
            rx.el.input(
                type="text",
                name="symbol",
                required=True,
                max_length=40,
                placeholder="Add BTC, BTCUSDT …",
                auto_complete="off",
                class_name="input",
                custom_attrs={
                    "spellCheck": "false",
                    "autoCapitalize": "characters",
                    "aria-invalid": rx.cond(wrong, "true", "false"),
                    "aria-describedby": error,
                    "onInput": browser.handler("() => unsubmitted()", submitted="unsubmitted"),
                    "data-land": "chip " + each["id"],
                },
            ),
            rx.el.span(
                rx.cond(wrong, WatchlistState.problem, ""), class_name="error", role="alert", custom_attrs={"id": error}
            ),
        ),
        button_plain("Add", type_="submit"),
        class_name="beside add",
        # What was taken in leaves the field, one after the other; what was refused stays there.
        on_submit=WatchlistState.add,
        custom_attrs={"onSubmitCapture": once},
    )


def _rename(each: Item) -> rx.Component:
    return menu(
        "rename-" + each["id"],
        "Rename",
        rx.el.form(
            hidden("id", each["id"]),
            rx.el.label(
                rx.el.span("New name", class_name="name"),
                rx.el.input(
                    type="text",
                    name="name",
                    required=True,
                    max_length=NAME_LENGTH,
                    default_value=each["name"],
                    auto_complete="off",
                    class_name="input",
                    custom_attrs={
                        # The browser gives it the focus when it opens. React's own `autoFocus` would do so once, and
                        # leaves no attribute.
                        "ref": browser.handler('(e) => e?.setAttribute("autofocus", "")'),
                        "onFocus": browser.handler("(e) => e.target.select()"),
                    },
                ),
            ),
            forms.actions(button_primary("Rename"), button_plain("Cancel")),
            class_name="form",
            on_submit=WatchlistState.rename,
            custom_attrs={"onSubmitCapture": browser.handler('(e) => once(e, "rename")', submitted="once")},
            # Another name, from whatever tab, makes it anew with that name.
            key=each["name"],
        ),
        class_name="ask",
        label="Rename " + each["name"],
        opener_class="button",
    )


def _delete(each: Item) -> rx.Component:
    return menu(
        "delete-" + each["id"],
        "Delete",
        rx.el.p("Delete “", untranslated(each["name"]), "” with ", _contracts(each), "? It cannot be brought back."),
        forms.actions(
            button_danger("Delete it", type_="button", on_click=WatchlistState.delete(each["id"])),
            button_plain("Keep it"),
        ),
        class_name="ask",
        label="Delete " + each["name"],
        opener_class="button",
    )


def _move(sign: str, word: str, each: Item, index: rx.Var[int], by: int, *, disabled: rx.Var[bool]) -> rx.Component:
    return button_plain(
        sign,
        aria_label=word + ": " + each["name"],
        title=word,
        disabled=disabled,
        custom_attrs={"data-land": "move " + each["id"]},
        on_click=WatchlistState.move(each["id"], index + by),
    )


def _address(list_id: rx.Var[str] | None = None) -> rx.Var[str]:
    address = browser.backend() + "/export/watchlists.txt"
    return address.to(str) if list_id is None else (address + "?list=" + list_id).to(str)


def _file(title: str, list_id: rx.Var[str] | None = None) -> rx.Component:
    return rx.el.a(
        title,
        href=_address(list_id),
        class_name="button",
        # A file is not a page: the browser asks the server for it.
        custom_attrs={"reloadDocument": True, "download": True},
    )


def _copy(list_id: rx.Var[str] | None = None) -> rx.Component:
    return button_plain("Copy", custom_attrs={"onClick": copy_file(_address(list_id))})


def _create() -> rx.Component:
    full = AccountState.lists_used >= AccountState.lists_most
    return forms.section(
        "New list",
        rx.cond(
            full,
            rx.el.p(_by_plan(lists_limit), " ", link("Compare plans", "/pricing"), class_name="soft"),
            rx.el.form(
                rx.el.label(
                    rx.el.span("Name of the new list", class_name="unseen"),
                    rx.el.input(
                        type="text",
                        name="name",
                        required=True,
                        max_length=NAME_LENGTH,
                        placeholder="Name",
                        auto_complete="off",
                        class_name="input",
                    ),
                ),
                button_primary("Create"),
                class_name="beside",
                # Emptied when the list was taken in; what was refused stays there.
                on_submit=WatchlistState.create,
                custom_attrs={"onSubmitCapture": browser.handler('(e) => once(e, "create")', submitted="once")},
            ),
        ),
        id_="new",
        land="card",
    )


def _files() -> rx.Component:
    said, message = answer("import", "said"), answer("import", "message")
    notes = maybe(member(form_state("import"), "answer"), "notes", "[]").to(list[str])
    refused = member(form_state("import"), "error")
    unknown, into, keep = answer("import", "unknown"), answer("import", "list"), answer("import", "keep")
    target, target_text = answer("import", "link"), answer("import", "link_text")
    way_out = rx.cond(target != "", rx.fragment(" ", link(target_text, target)))
    forget = browser.handler('() => again("import")', forms="again")
    return forms.section(
        "To and from TradingView",
        rx.cond(
            AccountState.lists.length() > 0,
            forms.actions(_file("Export all lists"), _copy()),
        ),
        posted_form(
            "import",
            "/import/watchlists",
            rx.el.div(
                rx.el.label("File", html_for="import-file"),
                rx.el.input(
                    type="file",
                    name="file",
                    accept=".txt,.csv,.json,text/plain,text/csv,application/json",
                    class_name="input file",
                    custom_attrs={"id": "import-file", "aria-describedby": "import-hint"},
                ),
                rx.el.p(
                    "A TradingView list, a CSV with a “symbol” column, or our own JSON; in UTF-8 or UTF-16, at "
                    f"most {IMPORT_BYTES // 1000} kB.",
                    class_name="hint",
                    custom_attrs={"id": "import-hint"},
                ),
                class_name="entry",
            ),
            rx.el.div(
                rx.el.label("Or paste it", html_for="import-text"),
                rx.el.textarea(
                    name="text",
                    rows="3",
                    placeholder="BINANCE:BTCUSDT.P, BINANCE:ETHUSDT.P",
                    class_name="input area",
                    custom_attrs={"id": "import-text", "spellCheck": "false"},
                ),
                class_name="entry",
            ),
            rx.el.div(
                rx.el.label("Into", html_for="import-list"),
                rx.el.select(
                    rx.el.option("Lists as the file names them", value=""),
                    rx.foreach(
                        AccountState.lists,
                        lambda each: rx.cond(
                            each["frozen"] == "",
                            rx.el.option(each["name"], value=each["id"], key=each["id"], custom_attrs=as_written()),
                        ),
                    ),
                    name="list",
                    class_name="input",
                    custom_attrs={"id": "import-list"},
                ),
                class_name="entry",
            ),
            submit="Import",
            busy="Importing",
            says_what_is_wrong=False,
            encType="multipart/form-data",
            onChange=forget,
        ),
        rx.el.div(
            rx.cond(refused != "", rx.el.p(refused, way_out, class_name="notice error")),
            rx.cond(
                said != "",
                rx.el.div(
                    rx.el.p(said),
                    rx.cond(message != "", rx.el.p(message, " ", link("Compare plans", "/pricing"))),
                    rx.cond(notes.length() > 0, rx.el.ul(rx.foreach(notes, lambda note: rx.el.li(note)))),
                    class_name="notice done",
                ),
            ),
            role="status",
            class_name="result",
        ),
        # Its answer takes the place of the one that asked.
        rx.cond(
            unknown != "",
            posted_form(
                "import",
                "/import/watchlists",
                hidden("text", unknown),
                hidden("list", into),
                hidden("keep", "yes"),
                submit=keep,
                busy="Importing",
                says_what_is_wrong=False,
            ),
        ),
        id_="files",
    )


def _by_plan(sentence: Callable[[Plan], str]) -> rx.Var[str]:
    """What a rule says on the visitor's plan."""
    return rx.match(AccountState.plan, *((name, sentence(PLANS[name])) for name in PLAN_NAMES), "").to(str)


def _contracts_full() -> rx.Component:
    """Said where no more contracts go into the lists."""
    return rx.cond(
        AccountState.symbols_used >= AccountState.symbols_most,
        rx.el.p(_by_plan(symbols_limit), " ", link("Compare plans", "/pricing"), class_name="soft fine"),
    )
