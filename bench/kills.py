"""What 200 kills of delivery workers, and a database that goes away meanwhile, do to 10,000 messages.

On SQLite, and on a pair of PostgreSQL servers of which the first is lost and the other one takes its place.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.delivery.kills import Found, Outage, killed
from bench.options import Options
from bench.report import Cell, Table
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.programs import postgres_pair

SECRET_KEY = "0123456789abcdef" * 4
MESSAGES, KILLS = 10_000, 200
FORGETS = 0.1
"""Share of the messages that a provider takes without an answer, where it does."""


def run(options: Options) -> Table:
    """Do all of it."""
    rows: list[tuple[Cell, ...]] = []
    with _sqlite() as environ:
        rows.append(_row("a worker, SQLite", environ, options, workers=1, forgets=0.0))
    with _sqlite() as environ:
        rows.append(_row("two workers, SQLite", environ, options, workers=2, forgets=FORGETS))
    if list(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup")):
        with _pair() as (environ, outages):
            name = "two workers, PostgreSQL restarted and failed over"
            rows.append(_row(name, environ, options, workers=2, forgets=FORGETS, outages=outages))
    return Table(
        "kills",
        (
            "delivery, killed (SIGKILL)",
            "messages",
            "kills",
            "outages",
            "lost",
            "came twice",
            "of these left unanswered",
            "needless",
            "not told",
            "changed",
            "s",
        ),
        tuple(rows),
        (
            f"Left unanswered: the provider took {FORGETS:.0%} of the messages and closed the connection (none of the"
            " first row's). The other doubles are of workers that were killed before they had noted its answer. A"
            " worker has up to 128 messages on their way, and one is killed each fifty messages: hence so many.",
            "*needless*: came again although the provider had answered a worker that lived on; *not told*: the ledger"
            " says of no attempt that its end is unknown; *changed*: came with another text. All doubles have one key.",
            "Outages: the server is stopped at once and started, three times; then it is stopped for good and its"
            " synchronous standby is promoted, under an address that names both.",
        ),
    )


def _row(
    name: str,
    environ: Mapping[str, str],
    options: Options,
    *,
    workers: int,
    forgets: float,
    outages: tuple[Outage, ...] = (),
) -> tuple[Cell, ...]:
    messages, kills = (300, 5) if options.quick else (MESSAGES, KILLS)
    found = killed(
        environ,
        messages=messages,
        kills=kills,
        forgets=forgets,
        chance=random.Random(),
        workers=workers,
        outages=outages,
    )
    if found.lost or found.untold or found.changed or found.needless:
        print(found, file=sys.stderr)
    return f"**{name}**", *_cells(found)


def _cells(found: Found) -> tuple[Cell, ...]:
    return (
        found.messages,
        found.kills,
        found.outages,
        len(found.lost),
        found.doubled,
        found.unanswered,
        len(found.needless),
        len(found.untold),
        len(found.changed),
        found.seconds,
    )


@contextmanager
def _sqlite() -> Iterator[Mapping[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield _migrated({"FLASHCUR_DATA_DIR": folder})


@contextmanager
def _pair() -> Iterator[tuple[Mapping[str, str], tuple[Outage, ...]]]:
    with postgres_pair() as pair:
        pair.primary.create_database("deliveries")
        environ = _migrated({"DATABASE_URL": pair.url("deliveries")})
        yield environ, (*[pair.primary.restart] * 3, pair.fail_over)


def _migrated(environ: Mapping[str, str]) -> Mapping[str, str]:
    environ = {**environ, "FLASHCUR_SECRET_KEY": SECRET_KEY}
    database = Database(Settings.load(environ))
    database.migrate()
    database.close()
    return environ
