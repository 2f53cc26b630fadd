"""The list of who may call what is complete, and names nothing that is not there."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import reflex as rx
from reflex_base.registry import RegistrationContext

import flashcur.flashcur  # noqa: F401  all states
from flashcur.state.wire.access import ACCESS, REFLEX_ACCESS, Caller, Entrance, entrances, fits, may_call, short_name
from flashcur.state.wire.gate import Guest


def of_ours(full_name: str, state: type) -> bool:
    # Every state has Reflex's `setvar`; ours are what our own code adds.
    return state.__module__.startswith("flashcur.") and not full_name.endswith(".setvar")


def handlers() -> list[str]:
    """Short names of all event handlers of our states."""
    registered = RegistrationContext.get().event_handlers.items()
    return [short_name(name) for name, found in registered if any(of_ours(name, state) for state in found.states)]


def test_every_handler_has_one_entry() -> None:
    found = handlers()
    assert sorted(found) == sorted(set(found)), "two states have the same short name: the list cannot tell them apart"
    assert set(found) - ACCESS.keys() == set(), "handlers that any socket can name and that are not in ACCESS"
    assert ACCESS.keys() - set(found) == set(), "entries of ACCESS without a handler"


def test_the_gate_finds_all_of_them_and_reflex_s_own() -> None:
    assert sorted(entrance.name for entrance in entrances().values()) == sorted([*ACCESS, *REFLEX_ACCESS])


@pytest.mark.parametrize("handler", [
    "state.setvar", "state.hydrate", "state.set_is_hydrated", "on_load_internal_state.set_is_hydrated",
    "update_vars_internal_state.update_vars_internal",
])  # fmt: skip
def test_reflex_s_handlers_that_no_page_needs_are_shut(handler: str) -> None:
    names = {short_name(name) for name in RegistrationContext.get().event_handlers}
    assert handler in names
    assert handler not in {entrance.name for entrance in entrances().values()}


def test_no_state_keeps_vars_in_the_browser() -> None:
    for state in RegistrationContext.get().base_states.values():
        if state.__module__.startswith("flashcur."):
            assert [name for name in state.get_fields() if state._is_client_storage(name)] == []


@pytest.mark.parametrize(("full", "short"), [
    ("reflex___state____state.flashcur___state___market____feed_state.watch_table", "feed_state.watch_table"),
    ("reflex___state____state.hydrate_and_load", "state.hydrate_and_load"),
])  # fmt: skip
def test_short_names(full: str, short: str) -> None:
    assert short_name(full) == short


class SomeVisitor:
    def __init__(self, account: object | None, admin: bool) -> None:
        self.account = account
        self.admin = admin


@pytest.mark.parametrize(("visitor", "allowed"), [
    (Guest(), {"anyone"}),
    (SomeVisitor("ada", False), {"anyone", "account"}),
    (SomeVisitor("root", True), {"anyone", "account", "admin"}),
    (SomeVisitor(None, True), {"anyone"}),
])  # fmt: skip
def test_who_may_call(visitor: SomeVisitor, allowed: set[Caller]) -> None:
    callers: tuple[Caller, ...] = ("anyone", "account", "admin")
    assert {caller for caller in callers if may_call(caller, visitor)} == allowed


def entrance_of(handler: object) -> Entrance:
    from flashcur.state.wire.access import _entrance

    return _entrance("some_state.handler", "anyone", handler)


def example(self: rx.State, text: str, number: int = 1, flag: bool = False, more: dict | None = None) -> None: ...


@pytest.mark.parametrize(("arguments", "fault"), [
    ({"text": "x"}, None),
    ({"text": "x", "number": 2, "flag": True, "more": {"a": 1}}, None),
    ({"text": "x", "number": "2"}, None),
    ({"text": "x", "more": None}, None),
    ({}, "without argument text"),
    ({"text": "x", "other": 1}, "with an unknown argument 'other'"),
    ({"text": "x", "self": 1}, "with an unknown argument 'self'"),
    ({"text": 1}, "with text of type int"),
    ({"text": None}, "with text of type NoneType"),
    ({"text": "x", "number": True}, "with number of type bool"),
    ({"text": "x", "number": [1]}, "with number of type list"),
    ({"text": "x", "flag": 1}, "with flag of type int"),
    ({"text": "x", "more": 1}, "with more of type int"),
])  # fmt: skip
def test_arguments_have_to_fit(arguments: dict[str, object], fault: str | None) -> None:
    assert entrance_of(example).fault_in(arguments) == fault


@pytest.mark.parametrize(("hint", "good", "bad"), [
    (int, [0, -3, 2**53, "7", "-12", "0"], ["", "x", "1.5", "1e3", " 1", "1\n", "١", "9" * 16, 2**53 + 1,
      1.5, None, True]),
    (float, [0, 1.5, "1.5", "-2"], ["", "nan", "inf", "1e9", "1_0", float("nan"), float("inf"),
     10**400, "x" * 500, True]),
    (str, ["", "x"], [1, None, ["x"]]),
    (bool, [True, False], [0, 1, "true", None]),
    (int | None, [1, "1", None], ["x", [], False]),
    (list[int], [[], [1, "2"]], [["x"], [[1]], {"0": 1}, "12", None]),
    (list[str] | None, [None, ["a"]], [[1], "a"]),
    (dict[str, int], [{}, {"a": 1}], [{"a": "x"}, {"a": {}}, [1]]),
    (dict[str, Any], [{"a": [1, {"b": None}]}], [1, "x"]),
])  # fmt: skip
def test_values_are_what_the_annotation_says(hint: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


class Shape:
    """An annotation that no JSON is."""


@pytest.mark.parametrize("hint", [Shape, list[Shape], dict[str, Shape], int | Shape, object, inspect.Parameter.empty])
def test_a_handler_whose_arguments_cannot_be_checked_is_not_let_in(hint: Any) -> None:
    def handler(self: rx.State, what: Any) -> None: ...

    if hint is inspect.Parameter.empty:
        del handler.__annotations__["what"]
    else:
        handler.__annotations__["what"] = hint
    with pytest.raises(TypeError, match="plain types"):
        entrance_of(handler)


def test_a_handler_may_take_arguments_of_any_name() -> None:
    def open_ended(self: rx.State, **rest: str) -> None: ...

    assert entrance_of(open_ended).fault_in({"anything": 1}) is None
