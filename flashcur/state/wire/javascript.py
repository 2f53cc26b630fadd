"""Functions, handlers and hooks of the modules in `assets/browser` as Vars, for Reflex to build into the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import reflex as rx
from reflex.vars import FunctionStringVar, VarData

Names = str | tuple[str, ...]


def _imports(modules: Mapping[str, Names]) -> dict[str, list[rx.ImportVar]]:
    return {
        f"$/public/browser/{module}.ts": [
            rx.ImportVar(tag=name) for name in ((names,) if isinstance(names, str) else names)
        ]
        for module, names in modules.items()
    }


def module(name: str) -> rx.Var[None]:
    """A child that shows nothing: it imports a module that does something by itself, once a page."""
    imported = {"": [rx.ImportVar(tag=f"$/public/browser/{name}.ts")]}
    return rx.Var("null", _var_data=VarData(imports=imported))


def function(module: str, name: str) -> FunctionStringVar[Any]:
    """A function that a module exports."""
    return FunctionStringVar.create(name, _var_data=VarData(imports=_imports({module: name})))


def handler(code: str, *reads: rx.Var[Any], **uses: Names) -> FunctionStringVar[Any]:
    """A client-side event handler, a JavaScript arrow function. `uses` names what it needs of which modules; `reads`
    are the Vars that it mentions."""
    data = VarData.merge(*(read._get_all_var_data() for read in reads), VarData(imports=_imports(uses)))
    return FunctionStringVar.create(f"({code})", _var_data=data)


def hook(variable: str, module: str, name: str, *arguments: rx.Var[Any] | str | int) -> rx.Var[Any]:
    """The value of a React hook that a module exports: `const {variable} = {name}({arguments})`."""
    values = [rx.Var.create(argument) for argument in arguments]
    call = f"{name}({', '.join(map(str, values))})"
    data = VarData.merge(
        *(value._get_all_var_data() for value in values),
        VarData(imports=_imports({module: name}), hooks={f"const {variable} = {call};": None}),
    )
    return rx.Var(_js_expr=variable, _var_data=data)


def member(value: rx.Var[Any], name: str) -> rx.Var[Any]:
    """A member of what a hook returned, as a text; `.to(…)` makes it something else."""
    return part(f"{value!s}.{name}", value).to(str)


def maybe(value: rx.Var[Any], name: str, otherwise: str = '""') -> rx.Var[Any]:
    """The same for a member that may be missing; `otherwise` is a JavaScript expression."""
    return part(f"({value!s}?.{name} ?? {otherwise})", value).to(str)


def part(expression: str, *of: rx.Var[Any]) -> rx.Var[Any]:
    """A JavaScript expression over the Vars `of`, as a text; `.to(…)` makes it something else."""
    data = VarData.merge(*(each._get_all_var_data() for each in of))
    return rx.Var(_js_expr=expression, _var_type=str, _var_data=data)


def event(handle: Callable[..., Any]) -> rx.Var[Any]:
    """An event handler as a function of one text, which a hook or a client-side handler can call."""
    return rx.Var.create(rx.EventChain.create(value=handle, args_spec=_one_text))


def _one_text(value: rx.Var[str]) -> list[rx.Var[str]]:
    return [value]
