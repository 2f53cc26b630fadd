"""Who may import whom. A module imports from rows above its own; each vendor library lives in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flashcur"

ROWS: tuple[tuple[str, ...], ...] = (
    ("flashcur.errors",),
    ("flashcur.settings",),
    ("flashcur.domain",),
    ("flashcur.models",),
    ("flashcur.services",),
    ("flashcur.engine",),
    ("flashcur.web",),
    ("flashcur.state",),
    ("flashcur.components",),
    ("flashcur.pages",),
)
"""From the ground up. Modules that belong to no row (`flashcur.flashcur`, `flashcur.serve`, …) stand on top."""

WITHOUT_REFLEX = tuple(name for names in ROWS[: ROWS.index(("flashcur.state",))] for name in names)

CONFINED = {
    "ccxt": ("flashcur.services.market",),
    "stripe": ("flashcur.services.billing",),
    "web3": ("flashcur.services.auth",),
    "eth_account": ("flashcur.services.auth",),
    "duckdb": ("flashcur.services.history",),
    "sendgrid": ("flashcur.services.notify",),
    "twilio": ("flashcur.services.notify",),
    "pywebpush": ("flashcur.services.notify",),
    "py_vapid": ("flashcur.services.notify",),
    "phonenumbers": ("flashcur.domain.delivery",),
    "alembic": ("flashcur.services",),
    "prometheus_client": ("flashcur.services",),
    "reflex_base": ("flashcur.state.wire",),
    "socketio": ("flashcur.state.wire",),
    "engineio": ("flashcur.state.wire",),
}
"""Library, or a part of one, to the packages that may import it."""

PUBLIC_REFLEX = ("reflex.config", "reflex.style", "reflex.event.EventSpec", "reflex.app.default_error_boundary")
"""What may be imported of Reflex beside `import reflex`; all else is its inside, which `state.wire` alone knows."""

PURE = ("flashcur.domain",)
NO_IO = {
    "asyncio",
    "os",
    "socket",
    "threading",
    "subprocess",
    "time",
    "random",
    "aiohttp",
    "redis",
    "sqlmodel",
    "logging",
}
"""What a pure module does without: input, output, clocks and chance come in as arguments."""


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import, also those inside functions."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            target = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield node.lineno, f"{target}.{alias.name}"


def inside(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def row(name: str) -> int:
    for index, packages in enumerate(ROWS):
        if inside(name, packages):
            return index
    first = name.split(".")[1] if "." in name else ""
    is_module = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
    # A name such as `flashcur.__version__`, which the package itself holds, is on the ground.
    return len(ROWS) if is_module else 0


def problems(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        importer = module_name(path)
        for line, target in imported(path):
            where = f"{path.relative_to(ROOT)}:{line}: {importer} imports {target}"
            top = target.split(".")[0]
            if top == "flashcur" and row(target) > row(importer):
                yield f"{where}, which stands above it"
            if top.startswith("reflex") and inside(importer, WITHOUT_REFLEX):
                yield f"{where}: only the user interface knows Reflex"
            of_its_inside = target.startswith("reflex.") and not inside(target, PUBLIC_REFLEX)
            if of_its_inside and not inside(importer, ("flashcur.state.wire",)):
                yield f"{where}: Reflex's inside belongs to flashcur.state.wire alone"
            for library, homes in CONFINED.items():
                if inside(target, (library,)) and not inside(importer, homes):
                    yield f"{where}, which belongs to {' '.join(homes)} alone"
            if inside(importer, PURE) and top in NO_IO:
                yield f"{where}: the domain is pure"


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, each sorted (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for target in edges[name]:
            if target not in index:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in edges:
        if name not in index:
            visit(name)
    return sorted(found)


def import_edges(paths: list[Path]) -> dict[str, set[str]]:
    """Module to the modules of ours that it imports, for type checkers alone too."""
    names = {module_name(path) for path in paths}
    edges: dict[str, set[str]] = {}
    for path in paths:
        importer = module_name(path)
        # `from a.b import c` names the module a.b.c, or something that a.b holds.
        targets = {t if t in names else t.rpartition(".")[0] for _, t in imported(path)}
        edges[importer] = {target for target in targets if target in names and target != importer}
    return edges


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_point_upwards_and_vendors_stay_confined() -> None:
    assert not list(problems(sources()))


@pytest.mark.parametrize(
    ("module", "code", "word"),
    [
        ("flashcur/domain/x.py", "from flashcur.services import bus", "above"),
        ("flashcur/services/x.py", "def f():\n    import flashcur.state.market", "above"),
        ("flashcur/services/x.py", "from ..state import market", "above"),
        ("flashcur/settings/x.py", "from flashcur.domain.ticks import Tick", "above"),
        ("flashcur/web/x.py", "import reflex as rx", "only the user interface"),
        ("flashcur/engine/x.py", "from reflex.config import get_config", "only the user interface"),
        ("flashcur/services/bus.py", "import ccxt.pro", "belongs to flashcur.services.market"),
        ("flashcur/backtest.py", "import duckdb", "belongs to flashcur.services.history"),
        ("flashcur/domain/x.py", "import time", "pure"),
        ("flashcur/state/x.py", "from engineio.socket import Socket", "belongs to flashcur.state.wire"),
        ("flashcur/components/kit/x.py", "import socketio", "belongs to flashcur.state.wire"),
        ("flashcur/pages/x.py", "from reflex_base.vars import Var", "belongs to flashcur.state.wire"),
        ("flashcur/components/kit/x.py", "from reflex.vars import VarData", "belongs to flashcur.state.wire"),
        ("flashcur/pages/x.py", "from reflex.event import EventChain", "belongs to flashcur.state.wire"),
        ("flashcur/state/x.py", "import reflex.istate.manager", "belongs to flashcur.state.wire"),
        ("flashcur/flashcur.py", "from reflex.app import App", "belongs to flashcur.state.wire"),
    ],
)
def test_a_wrong_import_is_found(
    module: str, code: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(code)
    found = list(problems([path]))
    assert len(found) == 1
    assert word in found[0]


def test_no_circle_of_imports() -> None:
    assert circles(import_edges(sources())) == []


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set[str]()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_a_circle_is_found(edges: dict[str, set[str]], found: list[list[str]]) -> None:
    assert circles(edges) == found


def test_every_package_below_the_top_has_a_row() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert packages <= {name.split(".")[1] for names in ROWS for name in names}


def environment_reads(tree: ast.AST) -> Iterator[int]:
    """Lines that look a variable up; setting one for Reflex, or handing all to a child process, is no reading."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="os", names=names) if {"environ", "getenv"} & {alias.name for alias in names}:
                yield node.lineno
            case ast.Attribute() if ast.unparse(node) in ("os.getenv", "os.environ.get"):
                yield node.lineno
            case ast.Subscript(ctx=ast.Load(), value=value) if ast.unparse(value) == "os.environ":
                yield node.lineno
            case ast.Compare(comparators=right) if "os.environ" in map(ast.unparse, right):
                yield node.lineno
            case _:
                pass


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if not inside(module_name(path), ("flashcur.settings",))
        for line in environment_reads(ast.parse(path.read_text()))
    ]
    assert not readers


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os; x = os.environ['A']", True),
        ("import os; x = os.environ.get('A')", True),
        ("import os; x = os.getenv('A')", True),
        ("import os; x = 'A' in os.environ", True),
        ("from os import environ", True),
        ("import os; os.environ['A'] = 'b'", False),
        ("import os; os.environ |= {'A': 'b'}", False),
        ("import os; f(env={**os.environ})", False),
    ],
)
def test_a_read_of_the_environment_is_found(code: str, found: bool) -> None:
    assert bool(list(environment_reads(ast.parse(code)))) is found


def test_alembic_folder_does_not_hide_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
