"""`python -m flashcur.accounts`: what an operator does with accounts.

    python -m flashcur.accounts show WHO
    python -m flashcur.accounts plan WHO free|pro|elite [--days N]
    python -m flashcur.accounts sign-out WHO
    python -m flashcur.accounts sign-out --all

WHO is an email address or a wallet's address. Open tabs notice within a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta

from sqlmodel import Session

from flashcur.domain.billing.entitlement import Entitlement
from flashcur.domain.plans import PLAN_NAMES, PLANS, PlanName, plan_name
from flashcur.errors import FlashCurError
from flashcur.models import Account
from flashcur.services.accounts import audit, changes, sessions
from flashcur.services.accounts.find import find
from flashcur.services.accounts.view import read_account
from flashcur.services.billing import grants, plans
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.idn import shown_address

MOST_DAYS = 3_650


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.load()
        database = Database(settings)
        try:
            database.check()
            lines = database.work(lambda session: options.act(session, options, settings))
        finally:
            database.close()
    except FlashCurError as error:
        print(f"flashcur: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


Act = Callable[[Session, argparse.Namespace, Settings], list[str]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flashcur.accounts", description="Accounts, for the operator.")
    acts = parser.add_subparsers(required=True, metavar="show|plan|sign-out")

    def add(name: str, act: Act, meaning: str, *, everybody: bool = False) -> argparse.ArgumentParser:
        one = acts.add_parser(name, help=meaning, description=meaning)
        # Out of a group argparse takes a word only where it may be left out.
        which = one.add_mutually_exclusive_group(required=True) if everybody else one
        which.add_argument(
            "who", metavar="WHO", nargs="?" if everybody else None, help="email address or wallet address"
        )
        if everybody:
            which.add_argument("--all", action="store_true", help="all accounts")
        one.set_defaults(act=act)
        return one

    add("show", _show, "what is known about an account")
    plan = add("plan", _plan, "give an account a plan")
    plan.add_argument("plan", choices=PLAN_NAMES)
    plan.add_argument("--days", type=_days, help="after so many days it is what it would be without")
    add("sign-out", _sign_out, "end all sessions of an account, or of all", everybody=True)
    return parser


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days from 1 to {MOST_DAYS}, was {text!r}")
    return int(text)


def _show(session: Session, options: argparse.Namespace, settings: Settings) -> list[str]:
    return _lines(session, find(session, options.who), settings)


def _lines(session: Session, account: Account, settings: Settings) -> list[str]:
    view = read_account(session, account, settings.admin_emails, utc_now())
    until = "" if view.plan_until is None else f", until {view.plan_until:%Y-%m-%d %H:%M} UTC"
    return [
        f"account    {view.id}{' (administrator)' if view.admin else ''}",
        f"address    {shown_address(view.email or 'none')}, {'with' if view.has_password else 'without'} a password",
        *(
            f"mail       of {each.written_at:%Y-%m-%d %H:%M} UTC to {shown_address(each.recipient)} was given up"
            for each in view.undelivered
        ),
        *(f"wallet     {wallet.address}" for wallet in view.wallets),
        f"plan       {view.plan.title} (by {view.plan_source}{until})",
        f"since      {view.created_at:%Y-%m-%d %H:%M} UTC",
        f"watchlists {len(view.lists)}, with {sum(len(each.symbols) for each in view.lists)} entries",
        *(f"session    {each.seen_at:%Y-%m-%d %H:%M} UTC, {each.method}, {each.ip}" for each in view.sessions),
    ]


def _plan(session: Session, options: argparse.Namespace, settings: Settings) -> list[str]:
    account, now = find(session, options.who), utc_now()
    until = None if options.days is None else now + timedelta(days=options.days)
    plan = plan_name(options.plan)
    grants.take_back(session, account.id, now)
    if plan != "free":
        grants.grant(session, account.id, plan, until, now, reason="by the command line")
    found = plans.entitled(session, account.id, plans.price_table(settings.stripe), now)
    plans.give(session, account, found, now, actor="operator")
    return [*_lines(session, account, settings), *_paid(found, plan)]


def _paid(found: Entitlement, asked: PlanName) -> list[str]:
    """Why an account has another plan than it was to be given."""
    if found.plan == asked:
        return []
    return [f"paid       {PLANS[found.plan].title} is paid for at Stripe and stays until its subscription ends there"]


def _sign_out(session: Session, options: argparse.Namespace, settings: Settings) -> list[str]:
    owners = sessions.owners(session) if options.all else [find(session, options.who).id]
    now, ended, accounts = utc_now(), 0, 0
    for account_id in owners:
        # Who signs in at this moment waits, or is ended too; an account that was deleted at this moment has no session.
        if sessions.lock(session, account_id) is None:
            continue
        number = sessions.end_all(session, account_id)
        audit.record(session, "session-ended", account_id, now, actor="operator", detail=f"all {number}")
        changes.tell(session, account_id, now)
        ended, accounts = ended + number, accounts + 1
    of = f" of {_counted(accounts, 'account')}" if options.all else ""
    return [f"{_counted(ended, 'session')}{of} ended"]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    raise SystemExit(main())
