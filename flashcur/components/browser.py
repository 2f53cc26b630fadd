"""The bridge to the modules in `assets/`: what runs in the browser, as Vars that components written in Python use."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.vars import FunctionStringVar, VarData
from reflex_base.utils.imports import ImportVar

_TABLE = "market_view"
"""Name of the module, `assets/market_view.js`, that is meant where none is named."""


def _imports(module: str, *names: str) -> dict[str, list[ImportVar]]:
    return {f"$/public/{module}.js": [ImportVar(tag=name) for name in names]}


def function(name: str, *, module: str = _TABLE) -> FunctionStringVar[Any]:
    """A function that the module exports."""
    return FunctionStringVar.create(name, _var_data=VarData(imports=_imports(module, name)))


def handler(code: str, *names: str, module: str = _TABLE) -> FunctionStringVar[Any]:
    """A client-side event handler, a JavaScript arrow function, that uses the exported `names`."""
    return FunctionStringVar.create(f"({code})", _var_data=VarData(imports=_imports(module, *names)))


def hook(variable: str, call: str, name: str, *reads: rx.Var[Any], module: str = _TABLE) -> rx.Var[Any]:
    """The value of a React hook: `const {variable} = {call}`; `reads` are the Vars that the call mentions."""
    data = VarData.merge(
        *(read._get_all_var_data() for read in reads),
        VarData(imports=_imports(module, name), hooks={f"const {variable} = {call};": None}),
    )
    return rx.Var(_js_expr=variable, _var_data=data)


VIEW = hook("view", "useView()", "useView")
"""What the visitor chose: `q`, `sort`, `dir`, `min`, `show`; kept in the URL."""


def chosen(key: str) -> rx.Var[str]:
    """One choice of the view as a Var."""
    return rx.Var(_js_expr=f"view.{key}", _var_type=str, _var_data=VIEW._get_all_var_data())
