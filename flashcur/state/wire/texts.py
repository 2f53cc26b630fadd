"""Texts that change are elements' own, so that a page goes on where a translator or an extension replaced its texts.

React keeps hold of each text node that it put beside something else, and Reflex makes of each Var among the children a
component whose text is such a node. A translator puts others in their place: React then writes into nodes that nobody
sees, and fails where it takes one away or puts something before one. The text of an element that holds nothing else is
set through the element, whatever is in it by then (`docs/decisions/texts-of-their-own.md`).

Written for Reflex 0.10.1; `tests/state/wire/test_texts.py` looks at every page's elements as they are rendered, and
`tests/pages/test_translated.py` translates them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar, cast

import reflex as rx
from reflex.vars import BooleanVar, VarData
from reflex.vars.base import LiteralVar
from reflex_base.components.component import BaseComponent
from reflex_components_core.base.bare import Bare
from reflex_components_core.base.fragment import Fragment
from reflex_components_core.core.cond import Cond
from reflex_components_core.core.foreach import Foreach
from reflex_components_core.core.match import Match

Children = list[BaseComponent]
P = ParamSpec("P")
Made = TypeVar("Made", bound=BaseComponent)

CONTENT = "children"
"""React's name of an element's content among its attributes."""
TEXT_ONLY = frozenset({"option", "textarea", "title"})
"""Elements that HTML lets hold nothing but text."""


def settled(make: Callable[P, Made]) -> Callable[P, Made]:
    """`make`, a page's function, whose component comes settled."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Made:
        return settle(make(*args, **kwargs))

    return made


def settle(component: Made) -> Made:
    """The component, changed in place: texts that change are the whole content of an element, and so are texts beside
    what comes and goes. Texts that are one sentence stay one, for whoever translates it.

    Raises ValueError for an element of text only in which something else comes and goes.
    """
    children: Children = component.children
    if isinstance(component, Foreach):
        _settle_each(component)
    elif isinstance(component, Cond | Match):
        component.children = [_settle_branch(child) for child in children]
    elif not isinstance(component, Fragment) and children and all(map(_is_text, children)):
        if any(map(_changes, children)):
            _set_text(cast("rx.Component", component), children)
    else:
        component.children = _apart(children, moving=isinstance(component, Fragment) or any(map(_moves, children)))
    tag = str(getattr(component, "tag", "")).strip('"')
    if tag in TEXT_ONLY and not all(map(_is_text, component.children)):
        raise ValueError(f"expected only texts in <{tag}>, found {component.children}")
    if isinstance(component, rx.Component):
        component._clear_compile_caches()
    return component


def _settle_each(foreach: Foreach) -> None:
    make = foreach.render_fn

    def made(*item: rx.Var[Any]) -> BaseComponent:
        return settle(make(*item))

    # Reflex counts the arguments, and calls the item in the browser as the first is called.
    made.__signature__ = signature(make)  # type: ignore[attr-defined]
    foreach.render_fn = made
    foreach.children = [foreach._render().render_component()]


def _settle_branch(branch: BaseComponent) -> BaseComponent:
    return settle(branch if not _is_text(branch) else Fragment.create(branch))


def _apart(children: Children, *, moving: bool) -> Children:
    """Children of which each text that changes, or is beside what moves, has an element around it."""
    found: Children = []
    texts: Children = []

    def end_texts() -> None:
        if moving or any(map(_changes, texts)):
            if any(not _is_empty(text) for text in texts):
                found.append(settle(rx.el.span(*texts)))
        else:
            found.extend(texts)
        texts.clear()

    for child in children:
        if _is_text(child):
            texts.append(child)
            continue
        end_texts()
        if type(child) is Fragment:
            child.children = _apart(child.children, moving=moving)
            child._clear_compile_caches()
            found.append(child)
        else:
            found.append(settle(child))
    end_texts()
    return found


def _set_text(element: rx.Component, texts: Children) -> None:
    element.children = []
    element.custom_attrs = {**element.custom_attrs, CONTENT: _joined([_contents(text) for text in texts])}


def _joined(texts: list[rx.Var[Any]]) -> rx.Var[Any]:
    """What React would show of them, one after the other."""
    if len(texts) == 1:
        return texts[0]
    data = VarData.merge(*(text._get_all_var_data() for text in texts))
    return rx.Var(f"[{', '.join(map(str, texts))}].join('')", _var_type=str, _var_data=data)


def _contents(text: BaseComponent) -> rx.Var[Any]:
    contents: rx.Var[Any] = cast("Bare", text).contents
    return contents.to_string() if isinstance(contents, BooleanVar) else contents


def _is_text(child: BaseComponent) -> bool:
    """Whether it is shown as text: Vars may hold components, or nothing but what they import."""
    if not isinstance(child, Bare):
        return False
    contents: rx.Var[Any] = child.contents
    data = contents._get_all_var_data()
    return str(contents) != "null" and not (data and data.components)


def _is_empty(text: BaseComponent) -> bool:
    contents = cast("Bare", text).contents
    return isinstance(contents, LiteralVar) and contents._var_value == ""


def _changes(text: BaseComponent) -> bool:
    contents: rx.Var[Any] = cast("Bare", text).contents
    return not isinstance(contents, LiteralVar) or contents._get_all_var_data() is not None


def _moves(child: BaseComponent) -> bool:
    """Whether it comes and goes, or its parts do."""
    if type(child) is Fragment:
        return any(map(_moves, child.children))
    return isinstance(child, Cond | Match | Foreach)
