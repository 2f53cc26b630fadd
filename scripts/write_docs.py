"""Write what is drawn from the code, the docs' tables and the browser's facts: `python scripts/write_docs.py`.

`tests/test_docs.py` fails while a table is out of date.
"""

from __future__ import annotations

import json
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


FACTS = ROOT / "assets" / "browser" / "facts.ts"

BLOCKS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("docs/operations.md", "settings", settings_markdown),
    ("docs/operations.md", "routes", routes_markdown),
    ("docs/operations.md", "plans", plans_markdown),
    ("docs/security.md", "limits", limits_markdown),
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
