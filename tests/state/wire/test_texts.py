"""Texts that change are elements' own, on every page there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reflex as rx

from flashcur.components.kit.notice import everywhere
from flashcur.state.wire.texts import settle, settled
from tests.components.test_attributes import page_functions

FLAG, NAME, COUNT = rx.Var("flag").to(bool), rx.Var("name").to(str), rx.Var("count").to(int)


def texts(rendered: Any, alone: bool = False, still: bool = True) -> Iterator[tuple[str, bool]]:
    """Each text that is a child, and whether React may be asked to change it or to put something beside it."""
    if "contents" in rendered:
        if rendered["contents"] != "null":
            yield rendered["contents"], not still or not rendered["contents"].startswith('"')
        return
    branches = [rendered[side] for side in ("true_value", "false_value") if side in rendered]
    branches += [branch for _, branch in rendered.get("match_cases", ())]
    branches += [rendered["default"]] if "default" in rendered else []
    for branch in branches:
        yield from texts(branch, still=False)
    for child in rendered.get("children", ()):
        yield from texts(child, still=still if rendered.get("name") == "Fragment" else not moves(rendered))


def moves(rendered: Any) -> bool:
    """Whether something comes and goes among an element's children."""
    for child in rendered.get("children", ()):
        if "cond_state" in child or "match_cases" in child or "iterable" in child or "iterable_state" in child:
            return True
        if child.get("name") == "Fragment" and moves(child):
            return True
    return False


def unsettled(component: rx.Component) -> list[str]:
    return [text for text, loose in texts(component.render()) if loose]


@pytest.mark.parametrize("page", [*page_functions(), everywhere], ids=lambda page: page.__name__)
def test_every_page_is_settled(page: Callable[[], rx.Component]) -> None:
    assert unsettled(settled(page)()) == []


@pytest.mark.parametrize(
    ("component", "loose"),
    [
        (lambda: rx.el.p("a ", NAME), 1),
        (lambda: rx.el.p(NAME), 1),
        (lambda: rx.el.p("a ", rx.cond(FLAG, rx.el.b("b")), " c"), 2),
        (lambda: rx.el.p(rx.cond(FLAG, rx.fragment("some ", COUNT), "none")), 3),
        (lambda: rx.el.p("a ", rx.fragment(rx.el.b("b"), COUNT)), 1),
        (lambda: rx.el.p(rx.match(NAME, ("a", rx.fragment("A")), rx.fragment("B"))), 2),
        (lambda: rx.el.ul("a", rx.foreach(rx.Var("l").to(list[str]), lambda each: rx.el.li(each, "!"))), 2),
        (lambda: rx.el.p("a ", rx.el.b("b"), " c"), 0),
        (lambda: rx.el.p("a", "b"), 0),
    ],
)
def test_each_kind_of_text_that_changes_or_is_beside_what_does(
    component: Callable[[], rx.Component], loose: int
) -> None:
    assert len(unsettled(component())) == loose
    assert unsettled(settle(component())) == []


def test_a_sentence_stays_one_and_names_and_numbers_are_joined_as_texts() -> None:
    rendered = settle(rx.el.p(COUNT, 2, " of ", NAME)).render()
    assert rendered["children"] == []
    assert rendered["props"] == ["children:[count, 2, \" of \", name].join('')"]


def test_what_holds_only_text_is_refused_what_is_more() -> None:
    settle(rx.el.option(NAME, " (", COUNT, ")"))
    with pytest.raises(ValueError, match="only texts in <option>"):
        settle(rx.el.option("a ", rx.cond(FLAG, rx.el.b("b"))))


def test_an_item_keeps_the_names_of_what_is_around_it() -> None:
    lists, items = rx.Var("lists").to(list[list[str]]), rx.Var("items").to(list[str])
    made = settle(
        rx.el.div(rx.foreach(lists, lambda outer: rx.el.ul(rx.foreach(items, lambda inner: rx.el.li(outer[0], inner)))))
    )
    text = str(made.render())
    assert "outer" in text
    assert "inner" in text
    assert "item_rx" not in text
