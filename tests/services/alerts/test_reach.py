"""Whom a rule's alerts reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from flashcur.domain.plans import CHANNELS, PLANS, Channel, PlanName
from flashcur.models import Account
from flashcur.services.alerts.reach import Reach, Way, reach, ways
from flashcur.services.notify import destinations
from flashcur.services.storage.database import Database
from tests.support.accounts import NOON, add_session

NOW_MS = int(NOON.timestamp() * 1000)


@dataclass
class Sender:
    """What is asked of a channel here: whether it is configured."""

    problem: str = ""


def known(
    database: Database,
    plan: PlanName,
    *places: tuple[Channel, str],
    email: str | None = "",
    broken: str = "",
    notifies: bool = True,
) -> dict[Channel, Way]:
    """The ways of a new account that has these places: (channel, state). All channels but `broken` are configured; its
    browser `notifies`, or shows nothing."""
    senders = cast(
        "Any", {name: Sender("No key is set." if name == broken else "") for name in CHANNELS if name != "webhook"}
    )
    with database.session() as session:
        account = Account(email=f"{plan}@example.com" if email == "" else email, plan=plan, created_at=NOON)
        session.add(account)
        session.flush()
        for channel, state in places:
            place = destinations.keep(
                session, account.id, channel, f"{channel} {account.id}", NOW_MS, confirmed=state != "unconfirmed"
            )
            if state == "off":
                destinations.switch_off(session, place, "blocked")
        session.flush()
        if notifies:
            add_session(session, account.id, NOON, notifies=True)
        return ways(session, account, PLANS[plan], senders, NOON)


def test_every_channel_has_its_state(database: Database) -> None:
    """Complaint 26: what is bound, paid, confirmed or configured no longer is told, never silently nothing."""
    told = known(database, "elite", ("telegram", "on"), ("sms", "unconfirmed"), ("slack", "off"), broken="discord")
    assert tuple(told) == CHANNELS
    assert {channel: way.state for channel, way in told.items()} == {
        "in-app": "on",
        "browser": "on",
        "email": "on",
        "web-push": "owner",
        "sms": "owner",
        "telegram": "on",
        "discord": "server",
        "slack": "owner",
        "webhook": "server",
    }
    assert all(way.why for way in told.values() if way.state != "on")
    less = known(database, "free", ("telegram", "on"))["telegram"]
    assert less.state == "plan"
    assert "comes with Elite" in less.why
    assert known(database, "pro", email=None)["email"].state == "owner"


def test_mail_that_bounced_reaches_nobody(database: Database) -> None:
    """Complaint 22: an address that was suppressed is said to be, where a rule counts on it."""
    with database.session() as session:
        destinations.suppress(session, "email", "pro@example.com", "bounce", "550", NOW_MS)
    told = reach(["in-app", "email"], known(database, "pro"))
    assert told == Reach("Reaches you only in the app. Not by email: mail to this address bounced.", True)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["in-app", "email"], Reach("Reaches you by email, and in the app.", False)),
        (
            ["in-app", "browser", "email", "telegram"],
            Reach("Reaches you by browser notification, email and Telegram, and in the app.", False),
        ),
        (["in-app"], Reach("Reaches you only in the app.", False)),
        (
            ["in-app", "sms", "webhook"],
            Reach(
                "Reaches you only in the app. Not by SMS: it is not connected yet. "
                "Not by webhook: this site cannot send webhooks yet.",
                True,
            ),
        ),
        (
            ["in-app", "email", "sms"],
            Reach("Reaches you by email, and in the app. Not by SMS: it is not connected yet.", True),
        ),
    ],
)
def test_a_rule_says_whom_it_reaches(wanted: Sequence[str], expected: Reach, sqlite_database: Database) -> None:
    """Complaint 26: each rule shows what it would reach its owner by, or that it is nobody, and why."""
    told = known(sqlite_database, "elite", ("telegram", "on"))
    assert reach(wanted, told) == expected


def test_no_browser_that_allows_notifications_is_said(database: Database) -> None:
    told = known(database, "free", notifies=False)
    assert told["browser"] == Way("browser", "owner", "none of your browsers allows notifications")
    assert reach(["in-app", "browser"], told) == Reach(
        "Reaches you only in the app. Not by browser notification: none of your browsers allows notifications.", True
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            ["in-app", "email"],
            Reach("Muted until 21:04: only in the app until then, then by email, too.", True),
        ),
        # A mute changes nothing where nothing would leave.
        (["in-app"], Reach("Reaches you only in the app.", False)),
    ],
)
def test_a_mute_is_said_where_something_would_leave(
    wanted: Sequence[str], expected: Reach, sqlite_database: Database
) -> None:
    assert reach(wanted, known(sqlite_database, "elite"), muted="21:04") == expected


def test_hours_in_which_messages_wait_are_said_where_something_would_leave(sqlite_database: Database) -> None:
    told = known(sqlite_database, "elite")
    night = "from 22:00 to 07:00"
    assert reach(["in-app", "email"], told, quiet=night).text == (
        "Reaches you by email, and in the app. Only in the app from 22:00 to 07:00."
    )
    assert reach(["in-app"], told, quiet=night).text == "Reaches you only in the app."


def test_a_rule_that_rests_reaches_nobody(sqlite_database: Database) -> None:
    told = known(sqlite_database, "elite")
    assert reach(["in-app", "email"], told, stopped="it is paused") == Reach(
        "Reaches nobody, because it is paused.", True
    )
