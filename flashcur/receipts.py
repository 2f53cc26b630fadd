"""`python -m flashcur.receipts`: an account's alerts as a chain, each holding the hash of the one before.

    python -m flashcur.receipts verify FILE
    python -m flashcur.receipts export WHO

FILE is an account's export (its owner's, from the account page, or `export`'s); `-` reads standard input. `verify`
needs no database: it ends with 0 where the chain is whole, 1 where it is broken, and 2 where FILE cannot be read. WHO
is an email address or a wallet's address; `export` writes all that is kept about the account, as its owner gets it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, cast

import orjson

from flashcur.errors import BadFile, FlashCurError
from flashcur.services.accounts.export import document
from flashcur.services.accounts.find import find
from flashcur.services.alerts.receipts import Verdict, verify
from flashcur.services.storage.database import Database
from flashcur.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.act(options)
    except FlashCurError as error:
        print(f"flashcur: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flashcur.receipts", description="An account's alerts, each holding the hash of the one before."
    )
    acts = parser.add_subparsers(required=True, metavar="verify|export")
    one = acts.add_parser("verify", help="whether an export's chain of alerts is whole")
    one.add_argument("file", metavar="FILE", help="an account's export; - for standard input")
    one.set_defaults(act=_verify)
    one = acts.add_parser("export", help="write all that is kept about an account to standard output")
    one.add_argument("who", metavar="WHO", help="email address or wallet address")
    one.set_defaults(act=_export)
    return parser


def _verify(options: argparse.Namespace) -> int:
    alerts = _alerts(options.file)
    try:
        verdict = verify(alerts)
    except RecursionError as error:
        # Not a word on the chain: no alert of ours is like that.
        raise BadFile(f"{options.file} cannot be read: lists or objects in it are nested too deep") from error
    print("\n".join(_told(verdict)))
    return 0 if verdict.broken is None else 1


def _told(verdict: Verdict) -> list[str]:
    broken = verdict.broken
    if broken is not None:
        which = f" ({broken.alert})" if broken.alert else ""
        return [f"Broken at alert {broken.number:,} of the file{which}: {broken.why}."]
    if not verdict.alerts:
        return ["There are no alerts in this file."]
    lines = [f"Whole: {verdict.alerts:,} alert{'' if verdict.alerts == 1 else 's'}, none of them changed."]
    if verdict.begins:
        lines.append(
            f"The first follows one that is not in the file ({verdict.begins[:16]}…): older ones are deleted in time."
        )
    return lines


def _alerts(name: str) -> list[object]:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        value: Any = orjson.loads(content)
    except (OSError, ValueError) as error:
        raise BadFile(f"{name} cannot be read as JSON: {error}") from error
    alerts: object = cast("dict[str, object]", value).get("alerts") if isinstance(value, dict) else None
    if not isinstance(alerts, list):
        raise BadFile(f'{name}: expected an account\'s export, which has a list called "alerts"')
    return cast("list[object]", alerts)


def _export(options: argparse.Namespace) -> int:
    database = Database(Settings.load())
    try:
        database.check()
        found = database.work(lambda session: document(session, find(session, options.who)))
    finally:
        database.close()
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
