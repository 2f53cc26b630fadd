"""The running app for tests that speak to it over sockets, on FlashCur's own server; shared by all tests in here."""

# Its visitors are guests: a test makes the accounts it needs.

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flashcur.models import new_id
from flashcur.services.kit.clock import utc_now
from tests.support.accounts import add_account, add_session
from tests.support.app import App, Exchange, running_app, simulated_exchange

ADMIN = "admin@example.com"


@pytest.fixture(scope="package")
def exchange() -> Iterator[Exchange]:
    with simulated_exchange(symbols=120) as exchange:
        yield exchange


@pytest.fixture(scope="package")
def app(exchange: Exchange) -> Iterator[App]:
    environ = {"FLASHCUR_DEV_AUDIENCE": "guest", "FLASHCUR_ADMIN_EMAILS": ADMIN}
    with running_app(exchange, **environ) as app:
        yield app


@pytest.fixture
def elite(app: App) -> str:
    """The cookie header of a new account with every right a plan can give."""
    now = utc_now()
    with app.database() as database, database.session() as session:
        account_id = add_account(session, f"{new_id()}@example.com", now, plan="elite")
        token, _ = add_session(session, account_id, now)
    return f"flashcur_session={token}"
