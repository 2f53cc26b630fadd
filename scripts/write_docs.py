"""Write what is drawn from the code, the docs' tables and the browser's facts: `python scripts/write_docs.py`.

`tests/test_docs.py` fails while a table is out of date.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flashcur.domain import assets, multiples  # noqa: E402
from flashcur.domain.ages import ALLOWANCES  # noqa: E402
from flashcur.domain.frames import FUNDING_ACCENT_PCT  # noqa: E402
from flashcur.domain.plans import PLANS, Plan  # noqa: E402
from flashcur.domain.signals.words import FILTER_TITLES  # noqa: E402
from flashcur.domain.view import CHOICES, SCALES, SEARCH_LENGTH, Direction, Show, Sort, View  # noqa: E402
from flashcur.services.accounts.limits import LIMITS  # noqa: E402
from flashcur.settings import CHAINS  # noqa: E402
from flashcur.settings.docs import settings_markdown  # noqa: E402
from flashcur.web.routes.table import ALL_ROUTES  # noqa: E402


def plans_markdown() -> str:
    """What each plan has; a row a right, a column a plan."""

    def cadence(seconds: int) -> str:
        return "live, each second" if seconds == 1 else f"every {seconds // 60} min on the UTC clock"

    def most(number: int | None) -> str:
        return "all" if number is None else f"{number:,}"

    rights: tuple[tuple[str, Callable[[Plan], str]], ...] = (
        ("US dollars a month / a year", lambda p: "–" if p.monthly is None else f"{p.monthly} / {p.yearly}"),
        ("table moves", lambda p: cadence(p.cadence_s)),
        ("contracts, the largest by 24 h volume of crypto, and of the rest", lambda p: most(p.rows)),
        ("open interest", lambda p: "yes" if p.open_interest else "no"),
        ("signals that can be looked up", lambda p: most(p.history)),
        ("own rules active", lambda p: most(p.rules)),
        ("channels", lambda p: ", ".join(p.channels) or "–"),
        ("own thresholds", lambda p: "yes" if p.own_thresholds else "no"),
        ("watchlists / different contracts in them", lambda p: f"{p.watchlists} / {p.watchlist_symbols:,}"),
        ("exports", lambda p: ", ".join(p.exports) or "–"),
        ("contracts in an export", lambda p: most(p.export_rows)),
        ("API keys", lambda p: "yes" if p.api else "no"),
        ("devices signed in", lambda p: most(p.sessions)),
    )
    plans = list(PLANS.values())
    return _table(("", *(plan.title for plan in plans)), ((name, *map(tell, plans)) for name, tell in rights))


def routes_markdown() -> str:
    """Every HTTP route that is not a page."""
    return _table(
        ("path", "for", "answer"),
        ((f"`{route.method} {route.path}`", route.who, route.meaning) for route in ALL_ROUTES),
    )


def limits_markdown() -> str:
    """How often something may be done."""

    def every(seconds: float) -> str:
        return f"{round(seconds / 60)} min" if seconds >= 90 and seconds % 60 == 0 else f"{seconds:g} s"

    return _table(
        ("limit", "at once", "then one every"),
        ((f"{limit.what} (`{limit.name}`)", str(limit.burst), every(limit.every_s)) for limit in LIMITS),
    )


COMPLAINTS = (
    "an alert is lost over a restart, or all fire at the start",
    "a provider is away, and the message is gone",
    "a retry, or a second process, sends twice",
    "the text changes between attempts, and nobody knows whether it was sent",
    "a price that dances on its threshold fires without end",
    "a storm floods, or stops the alert",
    "what is not known fires",
    "a move is of an obsolete price",
    "data that is late, or an hour that is not over, drives an alert",
    "a delisted contract gives ghosts and errors",
    "quiet hours are off by an hour, or split at midnight",
    "a 429 drops the message, spends an attempt or holds others up",
    "markup that cannot be read loses the message",
    "a text that is too long is refused, or cut within a sign",
    "a group has moved, or the bot was blocked",
    "two that ask for Telegram’s updates shut each other out",
    "limits of Discord, and a ban for requests that are wrong",
    "markup of Slack, pings, and more than one message a second",
    "an address leads into our own network",
    "one sign makes an SMS twice as dear; numbers that earn by codes",
    "a scanner’s look unsubscribes people",
    "mail’s call-backs: forged, repeated, or without consequence",
    "STOP is ignored; signatures fail behind a proxy",
    "one slow channel holds up all",
    "dead push subscriptions are kept",
    "nothing arrives, and nothing says why",
)
"""What users of such products complain of, from 1 on; a test that answers one says its number in its docstring."""
_ANSWERS = re.compile(r"[Cc]omplaints? (\d+(?:(?:,| and) \d+)*)")


def answers() -> dict[int, list[tuple[str, str]]]:
    """(file, test) of the tests that answer each complaint, by its number."""
    found: dict[int, list[tuple[str, str]]] = {number: [] for number in range(1, len(COMPLAINTS) + 1)}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        source = file.read_text(encoding="utf-8")
        if not _ANSWERS.search(source):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            numbers = _ANSWERS.findall(ast.get_docstring(node) or "")
            for number in sorted({int(each) for listed in numbers for each in re.findall(r"\d+", listed)}):
                found[number].append((str(file.relative_to(ROOT)), node.name))
    return found


def complaints_markdown() -> str:
    """Which tests answer which complaint."""

    def named(tests: list[tuple[str, str]]) -> str:
        by_file: dict[str, list[str]] = {}
        for file, name in tests:
            by_file.setdefault(file, []).append(f"`{name}`")
        return "; ".join(f"`{file}`: {', '.join(names)}" for file, names in by_file.items())

    found = answers()
    rows = ((str(number), words, named(found[number])) for number, words in enumerate(COMPLAINTS, 1))
    return _table(("no", "complaint", "tests that answer it"), rows)


FACTS = ROOT / "assets" / "browser" / "facts.ts"

BLOCKS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("docs/operations.md", "settings", settings_markdown),
    ("docs/operations.md", "routes", routes_markdown),
    ("docs/operations.md", "plans", plans_markdown),
    ("docs/security.md", "limits", limits_markdown),
    ("docs/testing.md", "complaints", complaints_markdown),
)


def facts_module() -> str:
    """What the browser's modules need of the tables that Python has."""
    facts: dict[str, object] = {
        "CHAINS": list(CHAINS),
        "FUNDING_ACCENT_PCT": FUNDING_ACCENT_PCT,
        # Letter, volume from which a contract is watched more closely, seconds allowed there and elsewhere.
        "AGE_ALLOWANCES": [
            [each.letter, each.close.enter if each.close else 0, each.limit_ms(True) / 1000, each.ms / 1000]
            for each in ALLOWANCES
        ],
        "SCALES": SCALES,
        "SEARCH_LENGTH": SEARCH_LENGTH,
        "MULTIPLE": multiples.PATTERN,
        "VIEW": {name: getattr(View(), name) for name in CHOICES} | {"list": ""},
        "CHOICES": {
            "sort": get_args(Sort),
            "dir": get_args(Direction),
            "show": get_args(Show),
            "assets": get_args(assets.Assets),
        },
        # What is no crypto, by its letter.
        "ASSET_MARKS": assets.MARKS,
        "CLOSED_MARK": assets.CLOSED_MARK,
        "SIGNAL_FILTERS": [name for name in FILTER_TITLES if name != "time"],
    }
    types = {
        "AGE_ALLOWANCES": ": [string, number, number, number][]",
        "SCALES": ": Record<string, number>",
        "VIEW": ": Record<Choice, string>",
        "CHOICES": ": Partial<Record<Choice, string[]>>",
        "ASSET_MARKS": ": Record<string, string>",
    }
    head = [
        "// From the Python tables, by `python scripts/write_docs.py`; `make test` fails while it is out of date.",
        f"export type Choice = {' | '.join(json.dumps(name) for name in (*CHOICES, 'list'))};",
    ]
    lines = (f"export const {name}{types.get(name, '')} = {json.dumps(value)};" for name, value in facts.items())
    return "\n".join([*head, *lines]) + "\n"


def with_block(page: str, name: str, text: str) -> str:
    """`page` with the text between the marks of a block replaced; ValueError without marks."""
    begin, end = f"<!-- {name}: generated by `python scripts/write_docs.py` -->", f"<!-- /{name} -->"
    head, opening, rest = page.partition(begin)
    _, closing, tail = rest.partition(end)
    if not (opening and closing):
        raise ValueError(f"expected the marks {begin} and {end}")
    return f"{head}{begin}\n\n{text}\n\n{end}{tail}"


def current(path: str) -> str:
    """A page as it should be."""
    page = (ROOT / path).read_text(encoding="utf-8")
    for where, name, make in BLOCKS:
        if where == path:
            page = with_block(page, name, make())
    return page


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    for path in dict.fromkeys(path for path, _, _ in BLOCKS):
        (ROOT / path).write_text(current(path), encoding="utf-8")
    FACTS.write_text(facts_module(), encoding="utf-8")


if __name__ == "__main__":
    main()
