"""People with accounts, in browsers, of an app that writes its mail to a folder."""

from __future__ import annotations

import contextlib
import email
import itertools
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from email import policy
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Error, Page

from flashcur.domain.plans import PlanName
from flashcur.services.kit.clock import utc_now
from tests.support.accounts import PASSWORD, add_account, add_session
from tests.support.app import ROOT, App
from tests.support.programs import wait_until

_numbers = itertools.count(1)


def new_address() -> str:
    """An address that nobody has yet."""
    return f"person{next(_numbers)}@example.com"


def visit(page: Page, path: str) -> None:
    """Open a page and wait until it is in touch with the server."""
    page.goto(path)
    page.wait_for_selector('[data-testid="feed-status"][data-state="live"]')


def path_of(page: Page) -> str:
    """Path and query of the page's address; a page is found at its path with a slash at its end too."""
    address = urlsplit(page.url)
    return (address.path.rstrip("/") or "/") + (f"?{address.query}" if address.query else "")


def mailed_link(app: App, recipient: str, page: str) -> str:
    """Path and fragment of the newest link to a page that was mailed to an address; waits for the first."""
    found: list[tuple[int, str]] = []

    def look() -> bool:
        for file in _mail_folder(app).glob("*.eml"):
            mail = email.message_from_bytes(file.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            link = re.search(rf"{page}#token=\w+", body.get_content()) if body else None
            if mail["to"] == recipient and link:
                found.append((file.stat().st_mtime_ns, link[0]))
        return bool(found)

    wait_until(look, f"a link to {page} for {recipient}", 20)
    return max(found)[1]


def sign_up(page: Page, app: App, *, plan: PlanName = "free") -> str:
    """An account by email, signed in in the page's browser; its address."""
    return enter(page.context, app, plan)


def enter(context: BrowserContext, app: App, plan: PlanName) -> str:
    """An account by email with a session in a browser; its address. Written into the app's database."""
    address, now = new_address(), utc_now()
    with app.database() as database, database.session() as session:
        account_id = add_account(session, address, now, plan=plan)
        token, _ = add_session(session, account_id, now)
    context.add_cookies([{"name": "flashcur_session", "value": token, "url": app.url, "httpOnly": True}])
    return address


def leave(context: BrowserContext) -> None:
    """Close a browser's tabs.

    A tab loads anew by itself when its cookie has changed, and Chromium may never answer a tab that is closed in the
    middle of that: each goes to an empty page first, which ends whatever it was loading.
    """
    for tab in context.pages:
        with contextlib.suppress(Error):
            tab.goto("about:blank")
    context.close()


def register(page: Page, app: App) -> str:
    """An account by email, signed in in the page's browser, by the routes behind the forms; its address."""
    address = new_address()
    assert page.request.post("/auth/register", data={"email": address, "password": PASSWORD}).ok
    token = mailed_link(app, address, "/confirm").partition("=")[2]
    assert page.request.post("/auth/confirm", data={"token": token}).ok
    return address


def give_plan(app: App, who: str, plan: str) -> None:
    """As the operator does it."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("FLASHCUR_", "REFLEX_"))}
    command = [sys.executable, "-m", "flashcur.accounts", "plan", who, plan]
    variables["FLASHCUR_DATA_DIR"] = str(app.log.parent / "data")
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)


def grow_old(app: App) -> None:
    """Let every session be an hour old."""
    with closing(sqlite3.connect(app.log.parent / "data" / "flashcur.db")) as database, database:
        database.execute("UPDATE login_session SET created_at = datetime(created_at, '-1 hour')")


def _mail_folder(app: App) -> Path:
    return app.log.parent / "data" / "mail"
