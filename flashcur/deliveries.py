"""`python -m flashcur.deliveries`: what an operator does with messages that did not arrive.

    python -m flashcur.deliveries list [--dead] [--uncertain] [--stalled] [--channel NAME]
    python -m flashcur.deliveries show ID
    python -m flashcur.deliveries retry ID
    python -m flashcur.deliveries retry --dead --channel NAME
    python -m flashcur.deliveries cancel ID

A message is sent again as it was written, and under the same key; the engine takes it up within a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from sqlmodel import Session

from flashcur.domain.plans import CHANNELS
from flashcur.errors import FlashCurError
from flashcur.models import Delivery
from flashcur.services.kit.clock import from_ms, now_ms
from flashcur.services.notify import dead_letters
from flashcur.services.notify.dead_letters import TROUBLES, Trouble, shown
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

Act = Callable[[Session, argparse.Namespace, int], list[str]]


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        database = Database(Settings.load())
        try:
            database.check()
            lines = database.work(lambda session: options.act(session, options, now_ms()))
        finally:
            database.close()
    except FlashCurError as error:
        print(f"flashcur: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flashcur.deliveries", description="Messages that did not arrive, for the operator."
    )
    acts = parser.add_subparsers(required=True, metavar="list|show|retry|cancel")

    def add(name: str, act: Act, meaning: str) -> argparse.ArgumentParser:
        one = acts.add_parser(name, help=meaning, description=meaning)
        one.set_defaults(act=act)
        return one

    listed = add("list", _list, "those that were given up, are uncertain or stalled")
    for trouble in TROUBLES:
        listed.add_argument(f"--{trouble}", action="store_true", help=f"only the {trouble} ones")
    listed.add_argument("--channel", choices=CHANNELS, default="", help="only those of a channel")
    add("show", _show, "one message and its ledger").add_argument("id", type=int, metavar="ID")
    again = add("retry", _retry, "send one again, or all that were given up of a channel")
    again.add_argument("id", type=int, metavar="ID", nargs="?")
    again.add_argument("--dead", action="store_true", help="all that were given up; needs --channel")
    again.add_argument("--channel", choices=CHANNELS, default="", help="with --dead: of which channel")
    add("cancel", _cancel, "send one that waits no more").add_argument("id", type=int, metavar="ID")
    return parser


def _list(session: Session, options: argparse.Namespace, now: int) -> list[str]:
    chosen: tuple[Trouble, ...] = tuple(trouble for trouble in TROUBLES if getattr(options, trouble)) or TROUBLES
    found = dead_letters.find(session, now, chosen, options.channel)
    if not found:
        return ["No message is in trouble."]
    return [_line(row) for row in found]


def _show(session: Session, options: argparse.Namespace, now: int) -> list[str]:
    letter = dead_letters.read(session, options.id)
    row = letter.delivery
    facts = {
        "message": f"{row.id}, {row.kind} by {row.channel} to {letter.to}",
        "key": row.key,
        "status": f"{row.status}, {row.attempts} attempts",
        "written": _moment(row.created_ms),
        "of use until": _moment(row.expires_ms),
        "account": row.account_id or "–",
        "provider's id": row.provider_id or "–",
        "problem": row.problem or "–",
    }
    lines = [f"{name + ':':<14} {value}" for name, value in facts.items()]
    return [*lines, "", *(f"{_moment(step.at_ms)}  {step.status:<10} {step.detail}".rstrip() for step in letter.steps)]


def _retry(session: Session, options: argparse.Namespace, now: int) -> list[str]:
    if options.dead:
        if options.id is not None or not options.channel:
            raise FlashCurError("expected `retry --dead --channel NAME`, or `retry ID`")
        number = dead_letters.retry_dead(session, options.channel, now)
        return [f"{number} message{'' if number == 1 else 's'} will be sent again."]
    if options.id is None or options.channel:
        raise FlashCurError("expected `retry --dead --channel NAME`, or `retry ID`")
    dead_letters.retry(session, options.id, now)
    return [f"The message {options.id} will be sent again."]


def _cancel(session: Session, options: argparse.Namespace, now: int) -> list[str]:
    dead_letters.cancel(session, options.id, now)
    return [f"The message {options.id} is cancelled."]


def _line(row: Delivery) -> str:
    return (
        f"{row.id:>8}  {_moment(row.created_ms)}  {row.channel:<9} {row.status:<9} {shown(row)}  {row.problem}".rstrip()
    )


def _moment(unix_ms: int) -> str:
    return f"{from_ms(unix_ms):%Y-%m-%d %H:%M:%S}"


if __name__ == "__main__":
    sys.exit(main())
