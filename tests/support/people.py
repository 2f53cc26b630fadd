"""People with accounts, in browsers, of an app that writes its mail to a folder."""

from __future__ import annotations

import email
import itertools
import os
import re
import subprocess
import sys
from email import policy
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.support.app import ROOT, App
from tests.support.programs import wait_until

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)


def new_address() -> str:
    """An address that nobody has yet."""
    return f"person{next(_numbers)}@example.com"


def visit(page: Page, path: str) -> None:
    """Open a page and wait until it is in touch with the server."""
    page.goto(path)
    page.wait_for_selector('[data-testid="feed-status"][data-state="live"]')


def path_of(page: Page) -> str:
    """Path and query of the page's address; a page's own path comes with or without a slash at its end."""
    address = urlsplit(page.url)
    return (address.path.rstrip("/") or "/") + (f"?{address.query}" if address.query else "")


def mailed_link(app: App, recipient: str, page: str) -> str:
    """Path and query of the newest link to a page that was mailed to an address; waits for the first."""
    found: list[tuple[int, str]] = []

    def look() -> bool:
        for file in _mail_folder(app).glob("*.eml"):
            mail = email.message_from_bytes(file.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            link = re.search(rf"{page}\?token=\w+", body.get_content()) if body else None
            if mail["to"] == recipient and link:
                found.append((file.stat().st_mtime_ns, link[0]))
        return bool(found)

    wait_until(look, f"a link to {page} for {recipient}", 20)
    return max(found)[1]


def sign_up(page: Page, app: App, *, plan: str = "free") -> str:
    """An account by e-mail, signed in in the page's browser; its address. The forms themselves are not used."""
    address = new_address()
    form = {"email": address, "password": PASSWORD}
    assert page.request.post("/auth/register", data=form).ok
    token = mailed_link(app, address, "/confirm").partition("=")[2]
    assert page.request.post("/auth/confirm", data={"token": token}).ok
    if plan != "free":
        give_plan(app, address, plan)
    return address


def give_plan(app: App, who: str, plan: str) -> None:
    """As the operator does it."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("FLASHCUR_", "REFLEX_"))}
    command = [sys.executable, "-m", "flashcur.accounts", "plan", who, plan]
    variables["FLASHCUR_DATA_DIR"] = str(app.log.parent / "data")
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)


def _mail_folder(app: App) -> Path:
    return app.log.parent / "data" / "mail"
