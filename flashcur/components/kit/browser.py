"""The bridge to the modules in `assets/browser`: what runs in the browser, as Vars that components in Python use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
from reflex.config import get_config
from reflex.vars import FunctionStringVar, VarData

from flashcur.state.account import AccountState
from flashcur.state.profile import ProfileState

Names = str | tuple[str, ...]


def _imports(modules: Mapping[str, Names]) -> dict[str, list[rx.ImportVar]]:
    return {
        f"$/public/browser/{module}.ts": [
            rx.ImportVar(tag=name) for name in ((names,) if isinstance(names, str) else names)
        ]
        for module, names in modules.items()
    }


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
    return _part(f"{value!s}.{name}", value).to(str)


def maybe(value: rx.Var[Any], name: str, otherwise: str = '""') -> rx.Var[Any]:
    """The same for a member that may be missing; `otherwise` is a JavaScript expression."""
    return _part(f"({value!s}?.{name} ?? {otherwise})", value).to(str)


def _part(expression: str, of: rx.Var[Any]) -> rx.Var[Any]:
    return rx.Var(_js_expr=expression, _var_type=str, _var_data=of._get_all_var_data())


def event(handle: Callable[..., Any]) -> rx.Var[Any]:
    """An event handler as a function of one text, which a hook or a client-side handler can call."""
    return rx.Var.create(rx.EventChain.create(value=handle, args_spec=_one_text))


def _one_text(value: rx.Var[str]) -> list[rx.Var[str]]:
    return [value]


VIEW = hook(
    "view",
    "view",
    "useView",
    AccountState.reached,
    AccountState.table_view,
    rx.cond(AccountState.signed_in, event(ProfileState.keep_view), None),
)
"""What the visitor chose: `q`, `sort`, `dir`, `min`, `show`, `list`; kept in the URL, and in the account."""


def list_choice() -> rx.Var[str]:
    """The id of the watchlist that is shown; empty for all contracts, also where the address names another's list."""
    return function("rows", "listChoice").call(VIEW, AccountState.lists).to(str)


def chosen(key: str) -> rx.Var[str]:
    """One choice of the view as a Var."""
    return rx.Var(_js_expr=f"view.{key}", _var_type=str, _var_data=VIEW._get_all_var_data())


def backend() -> rx.Var[str]:
    """The origin of the HTTP routes: in development they are on another port than the pages."""
    return function("server", "backendOrigin").call(backend_port()).to(str)


def backend_port() -> int:
    """The port of the HTTP routes; 0 where it is the pages' own."""
    config = get_config()
    return 0 if config.api_url == config.deploy_url else urlsplit(config.api_url).port or 0
