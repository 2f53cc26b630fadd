"""The bridge to the modules in `assets/`: what runs in the browser, as Vars that components written in Python use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
from reflex.config import get_config
from reflex.vars import FunctionStringVar, VarData

from flashcur.state.account import AccountState

_TABLE = "market_view"
"""Name of the module, `assets/market_view.js`, that is meant where none is named."""


def _imports(module: str, *names: str) -> dict[str, list[rx.ImportVar]]:
    return {f"$/public/{module}.js": [rx.ImportVar(tag=name) for name in names]}


def function(name: str, *, module: str = _TABLE) -> FunctionStringVar[Any]:
    """A function that the module exports."""
    return FunctionStringVar.create(name, _var_data=VarData(imports=_imports(module, name)))


def handler(
    code: str,
    *names: str,
    module: str = _TABLE,
    more: Mapping[str, tuple[str, ...]] | None = None,
    reads: tuple[rx.Var[Any], ...] = (),
) -> FunctionStringVar[Any]:
    """A client-side event handler, a JavaScript arrow function, that uses the exported `names`, and those of `more`
    modules; `reads` are the Vars that it mentions."""
    imports = _imports(module, *names)
    for other, others in (more or {}).items():
        imports |= _imports(other, *others)
    data = VarData.merge(*(read._get_all_var_data() for read in reads), VarData(imports=imports))
    return FunctionStringVar.create(f"({code})", _var_data=data)


def hook(variable: str, call: str, name: str, *reads: rx.Var[Any], module: str = _TABLE) -> rx.Var[Any]:
    """The value of a React hook: `const {variable} = {call}`; `reads` are the Vars that the call mentions."""
    data = VarData.merge(
        *(read._get_all_var_data() for read in reads),
        VarData(imports=_imports(module, name), hooks={f"const {variable} = {call};": None}),
    )
    return rx.Var(_js_expr=variable, _var_data=data)


VIEW = hook(
    "view",
    f"useView({AccountState.reached!s}, {AccountState.table_view!s})",
    "useView",
    AccountState.reached,
    AccountState.table_view,
)
"""What the visitor chose: `q`, `sort`, `dir`, `min`, `show`, `list`; kept in the URL, and in their account."""


def list_choice() -> rx.Var[str]:
    """The id of the watchlist that is shown; empty for all contracts, also where the address names another's list."""
    return function("listChoice").call(VIEW, AccountState.lists).to(str)


def backend() -> rx.Var[str]:
    """The origin of the HTTP routes: in development they are on another port than the pages."""
    return function("backendOrigin", module="backend").call(backend_port()).to(str)


def backend_port() -> int:
    """The port of the HTTP routes; 0 where it is the pages' own."""
    config = get_config()
    return 0 if config.api_url == config.deploy_url else urlsplit(config.api_url).port or 0


def chosen(key: str) -> rx.Var[str]:
    """One choice of the view as a Var."""
    return rx.Var(_js_expr=f"view.{key}", _var_type=str, _var_data=VIEW._get_all_var_data())
