"""When alerts leave: quiet hours, a daily cap, and a mute for now."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser, forms
from flashcur.components.kit.forms import button_plain, button_primary
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import untranslated
from flashcur.state.account import AccountState
from flashcur.state.channels import ChannelsState
from flashcur.state.market import FeedState

_MUTES = ((1, "1 hour"), (8, "8 hours"), (24, "1 day"))


def alert_settings() -> rx.Component:
    """Two cards: what holds always, and a mute that ends by itself."""
    return rx.fragment(_mute(), _hours())


def muted_line() -> rx.Component:
    """Says on each part of the page that nothing leaves, with the way back."""
    return rx.cond(
        _muted(),
        rx.el.div(
            rx.el.span(
                "Muted until ", untranslated(AccountState.alerts["muted_text"]), ": alerts appear only in the app."
            ),
            button_plain("Unmute", on_click=ChannelsState.mute("0")),
            role="status",
            class_name="notice warning muted-line",
        ),
    )


def _muted() -> rx.Var[bool]:
    muted = AccountState.alerts["muted"]
    return (muted != "") & (muted.to(int) > FeedState.as_of)


def _mute() -> rx.Component:
    return forms.section(
        "Mute",
        rx.cond(
            _muted(),
            rx.fragment(
                rx.el.p("Muted until ", untranslated(AccountState.alerts["muted_text"]), "."),
                forms.actions(button_plain("Unmute", on_click=ChannelsState.mute("0"))),
            ),
            forms.actions(
                rx.el.span("Mute everything outside the app for", class_name="soft"),
                *(button_plain(title, on_click=ChannelsState.mute(str(hours))) for hours, title in _MUTES),
            ),
        ),
        description="You still see alerts under the bell.",
        id_="mute",
    )


def _hours() -> rx.Component:
    settings = AccountState.alerts

    def tick(name: str, text: str, on: rx.Var[str]) -> rx.Component:
        return rx.el.label(
            rx.el.input(type="checkbox", name=name, value="1", custom_attrs={"defaultChecked": on != ""}),
            rx.el.span(text),
            class_name="tick",
        )

    def clock(name: str, label: str) -> rx.Component:
        return forms.field(
            label,
            name,
            "time",
            autocomplete="off",
            value=settings[name],
            form="hours",
            error=_error(name),
        )

    return forms.section(
        "Quiet hours and daily cap",
        forms.form(
            tick("quiet", "Hold messages during quiet hours, then send them as one digest", settings["quiet"]),
            rx.el.div(clock("from", "From"), clock("until", "Until"), class_name="beside"),
            tick("urgent", "Let urgent rules through at any hour", settings["urgent"]),
            forms.field(
                "Most messages a day",
                "cap",
                autocomplete="off",
                hint="Outside the app. A notice tells you when you reach it.",
                value=settings["cap"],
                max_length=5,
                form="hours",
                error=_error("cap"),
                inputMode="numeric",
            ),
            button_primary("Save"),
            on_submit=ChannelsState.save_hours,
            # What another tab saved is shown here, too.
            key=settings["quiet"] + settings["from"] + settings["until"] + settings["urgent"] + settings["cap"],
            custom_attrs={
                "onSubmitCapture": browser.handler('(e) => once(e, "hours")', submitted="once"),
                "data-form": "hours",
            },
        ),
        rx.el.div(
            rx.cond(
                (ChannelsState.form == "hours") & (ChannelsState.problem != "") & (ChannelsState.field == ""),
                forms.notice("error", ChannelsState.problem),
            ),
            rx.cond(
                (ChannelsState.form == "hours") & (ChannelsState.done != ""),
                rx.el.p(ChannelsState.done, class_name="notice done"),
            ),
            role="status",
        ),
        description=rx.fragment(
            "In your time zone, ",
            untranslated(AccountState.time_zone),
            ". ",
            link("Change it", "/account#preferences"),
        ),
        id_="hours",
    )


def _error(field: str) -> rx.Var[str]:
    here = (ChannelsState.form == "hours") & (ChannelsState.field == field)
    return rx.cond(here, ChannelsState.problem, "").to(str)
