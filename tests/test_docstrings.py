"""What others call says what it needs: every public module, class, function and method has a docstring.

Exempt is what begins with an underscore, what stands inside a function, and a stub of a Protocol whose own docstring
says where to read on ("The part of `MarketSource` that candles need; see there.").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "flashcur"
ROOTS = ("errors.py", "settings", "domain", "models", "services", "engine", "web")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def silent(source: str) -> Iterator[str]:
    """`line name` of each public definition without a docstring."""
    tree = ast.parse(source)
    if ast.get_docstring(tree) is None:
        yield "1 module"
    yield from _silent(tree.body, "")


def _silent(body: list[ast.stmt], prefix: str, *, stubs_told: bool = False) -> Iterator[str]:
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not (stubs_told and _is_stub(node)):
            yield f"{node.lineno} {prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _silent(node.body, f"{prefix}{node.name}.", stubs_told=_tells_stubs(node))


def _is_stub(node: Definition) -> bool:
    return [ast.unparse(statement) for statement in node.body] == ["..."]


def _tells_stubs(node: ast.ClassDef) -> bool:
    is_protocol = "Protocol" in [ast.unparse(base) for base in node.bases]
    return is_protocol and re.search(r"\bsee (there|`\w+`)", ast.get_docstring(node) or "") is not None


def sources() -> list[Path]:
    return sorted(
        path for root in ROOTS for path in ([PACKAGE / root, *(PACKAGE / root).rglob("*.py")]) if path.is_file()
    )


def test_everything_public_has_a_docstring() -> None:
    paths = sources()
    assert len(paths) > 100
    found = [f"{path.relative_to(PACKAGE.parent)}:{each}" for path in paths for each in silent(path.read_text())]
    assert not found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1", ["1 module"]),
        ('"""M."""\ndef f(): pass', ["2 f"]),
        ('"""M."""\nasync def f(): pass', ["2 f"]),
        ('"""M."""\nclass C:\n    """C."""\n    def m(self): pass\n    def _m(self): pass', ["4 C.m"]),
        ('"""M."""\nclass C:\n    class D:\n        """D."""', ["2 C"]),
        ('"""M."""\nclass _C:\n    def m(self): pass', []),
        ('"""M."""\nclass P(Protocol):\n    """P."""\n    def m(self): ...', ["4 P.m"]),
        ('"""M."""\nclass P(Protocol):\n    """Part of `Q`; see there."""\n    def m(self): ...', []),
        ('"""M."""\nclass P(Protocol):\n    """Part of `Q`; see there."""\n    def m(self): return 1', ["4 P.m"]),
        ('"""M."""\nclass C:\n    """Part of `Q`; see there."""\n    def m(self): ...', ["4 C.m"]),
    ],
)
def test_what_is_missing_is_found(source: str, found: list[str]) -> None:
    assert list(silent(source)) == found
