"""`python -m flashcur.accounts` as an operator types it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flashcur.accounts import main
from flashcur.models import (
    AccountChange,
    AuditEvent,
    LoginSession,
    PlanGrant,
    WalletChallenge,
    Watchlist,
    WatchlistItem,
)
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import ADDRESS, Person, Services, key_wallet, wallet_person
from tests.support.billing import add_subscription

ROOT = Path(__file__).parents[1]


class Operator:
    """Who types the command, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.errors = ""

    def does(self, *words: str, status: int = 0) -> str:
        """What it says; `errors` is what it complained about."""
        try:
            returned = main(list(words))
        except SystemExit as end:  # what argparse does
            returned = end.code
        said, self.errors = self._capsys.readouterr()
        assert returned == status, said + self.errors
        assert "Traceback" not in self.errors
        assert bool(said) is (status == 0)
        return said

    def complains(self, *words: str) -> str:
        """The one line in which it says what is wrong."""
        self.does(*words, status=2)
        (line,) = [line for line in self.errors.splitlines() if not line.startswith(("usage:", " "))]
        return line


@pytest.fixture
def operator(
    database: Database,
    environ: dict[str, str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    for name, value in {**environ, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    return Operator(capsys)


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    # The command has the machine's time.
    services.clock.now = datetime.now(UTC)
    yield services
    services.close()


@pytest.fixture
def ann(services: Services) -> Person:
    return services.person()


def test_show_says_what_is_known(operator: Operator, services: Services, ann: Person) -> None:
    said = operator.does("show", "  Ann@Example.com ")
    assert f"account    {ann.account_id}\n" in said
    assert f"address    {ADDRESS}, with a password\n" in said
    assert "plan       Free (by " in said
    assert "watchlists 0, with 0 entries\n" in said
    assert "password, 192.0.2.1\n" in said
    assert "$argon2" not in said
    assert ann.token not in said
    assert services.rows(AccountChange) == []


async def test_show_by_wallet(operator: Operator, services: Services) -> None:
    wallet = key_wallet(7)
    person = await wallet_person(services, wallet)
    for written in (wallet.address, wallet.address.lower()):
        said = operator.does("show", written)
        assert f"account    {person.account_id}\n" in said
        assert "address    none, without a password\n" in said
        assert f"wallet     {wallet.address}\n" in said
        assert ", wallet, 192.0.2.1\n" in said
    assert services.rows(WalletChallenge)[0].text not in said


def test_show_tells_who_administers(
    operator: Operator, ann: Person, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.person("bob@example.com")
    monkeypatch.setenv("FLASHCUR_ADMIN_EMAILS", ADDRESS)
    assert "(administrator)" in operator.does("show", ADDRESS)
    assert "(administrator)" not in operator.does("show", "bob@example.com")


@pytest.mark.parametrize("plan", ["free", "pro", "elite"])
def test_plan_gives_a_plan_and_says_so(operator: Operator, services: Services, ann: Person, plan: str) -> None:
    said = operator.does("plan", ADDRESS, plan)
    assert f"plan       {plan.title()} (by operator)\n" in said
    account = services.account(ann.account_id)
    assert (account.plan, account.plan_source, account.plan_until) == (plan, "operator", None)
    assert [change.account_id for change in services.rows(AccountChange)] == [ann.account_id]
    (event,) = services.rows(AuditEvent)
    assert (event.kind, event.actor, event.detail) == ("plan-changed", "operator", f"free to {plan}")


def test_plan_for_some_days(operator: Operator, services: Services, ann: Person) -> None:
    before = datetime.now(UTC)
    said = operator.does("plan", ADDRESS, "elite", "--days", "30")
    until = services.account(ann.account_id).plan_until
    assert until is not None
    assert before + timedelta(days=30) <= until <= datetime.now(UTC) + timedelta(days=30)
    assert f"Elite (by operator, until {until:%Y-%m-%d %H:%M} UTC)" in said
    # Without days it has no end.
    operator.does("plan", ADDRESS, "pro")
    assert services.account(ann.account_id).plan_until is None


def test_a_plan_that_was_given_is_on_record_and_taken_back(operator: Operator, services: Services, ann: Person) -> None:
    operator.does("plan", ADDRESS, "pro")
    operator.does("plan", ADDRESS, "elite", "--days", "30")
    first, second = sorted(services.rows(PlanGrant), key=lambda grant: grant.created_ms)
    assert (first.plan, first.until_ms, second.plan, second.ended_ms) == ("pro", None, "elite", None)
    assert first.ended_ms == second.from_ms
    assert "paid" not in operator.does("plan", ADDRESS, "free")
    assert None not in [grant.ended_ms for grant in services.rows(PlanGrant)]


def test_what_is_paid_for_stays_and_is_said(
    operator: Operator, services: Services, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_PRICE_PRO_MONTHLY", "price_pro")
    with services.database.session() as session:
        add_subscription(session, ann.account_id, services.clock.ms)
    said = operator.does("plan", ADDRESS, "free")
    assert "plan       Pro (by stripe)\n" in said
    assert "paid       Pro is paid for at Stripe and stays until its subscription ends there\n" in said
    said = operator.does("plan", ADDRESS, "elite", "--days", "3")
    assert "plan       Elite (by operator, until " in said
    assert "paid" not in said
    account = services.account(ann.account_id)
    assert (account.plan, account.plan_after) == ("elite", "pro")


async def test_a_smaller_plan_deletes_nothing_and_ends_the_oldest_sessions(
    operator: Operator, services: Services
) -> None:
    person = services.person(plan="elite")
    for title in ("One", "Two", "Three"):
        await services.lists.create(person.caller, title)
    for each in services.rows(Watchlist):
        await services.lists.add(person.caller, each.id, "BTCUSDT")
    newer: list[Person] = []
    for _ in range(3):
        services.clock.forward(seconds=1)
        newer.append(services.sign_in(person.account_id))
    said = operator.does("plan", ADDRESS, "free")
    assert "watchlists 3, with 3 entries\n" in said
    assert (len(services.rows(Watchlist)), len(services.rows(WatchlistItem))) == (3, 3)
    assert services.session_ids(person.account_id) == {each.caller.session_id for each in newer[1:]}
    assert said.count("\nsession ") == 2


def test_sign_out_ends_all_sessions_of_one(operator: Operator, services: Services, ann: Person) -> None:
    bob = services.person("bob@example.com")
    services.sign_in(ann.account_id)
    assert operator.does("sign-out", ADDRESS) == "2 sessions ended\n"
    assert [login.id for login in services.rows(LoginSession)] == [bob.caller.session_id]
    assert [change.account_id for change in services.rows(AccountChange)] == [ann.account_id]
    (event,) = services.rows(AuditEvent)
    assert (event.kind, event.actor, event.detail) == ("session-ended", "operator", "all 2")
    services.sign_in(ann.account_id)
    assert operator.does("sign-out", ADDRESS) == "1 session ended\n"


def test_sign_out_ends_the_sessions_of_everybody(operator: Operator, services: Services, ann: Person) -> None:
    bob = services.person("bob@example.com")
    services.sign_in(ann.account_id)
    idle = services.person("idle@example.com")
    operator.does("sign-out", "idle@example.com")
    assert operator.does("sign-out", "--all") == "3 sessions of 2 accounts ended\n"
    assert services.rows(LoginSession) == []
    told = [change.account_id for change in services.rows(AccountChange)]
    assert sorted(told[1:]) == sorted([ann.account_id, bob.account_id])
    events = {event.account_id: event for event in services.rows(AuditEvent)}
    assert {each: (event.actor, event.detail) for each, event in events.items()} == {
        idle.account_id: ("operator", "all 1"),
        ann.account_id: ("operator", "all 2"),
        bob.account_id: ("operator", "all 1"),
    }
    assert operator.does("sign-out", "--all") == "0 sessions of 0 accounts ended\n"


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("nobody@example.com", "no account of 'nobody@example.com'"),
        ("0x" + "1" * 40, "no account of '0x1111"),
        ("0x12", "expected an address"),
        ("", "no account of ''"),
        ("%", "no account of '%'"),
    ],
)
@pytest.mark.parametrize("act", [("show",), ("plan", "elite"), ("sign-out",)], ids=lambda act: act[0])
def test_an_unknown_person(
    operator: Operator, services: Services, ann: Person, who: str, words: str, act: tuple[str, ...]
) -> None:
    before = services.contents()
    line = operator.complains(act[0], who, *act[1:])
    assert line.startswith("flashcur: ")
    assert words in line
    assert services.contents() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required"),
        (("show",), "WHO"),
        (("forget", ADDRESS), "invalid choice: 'forget'"),
        (("plan", ADDRESS), "required"),
        (("plan", ADDRESS, "guest"), "invalid choice: 'guest'"),
        (("plan", ADDRESS, "Elite"), "invalid choice: 'Elite'"),
        (("plan", ADDRESS, "elite", "--days", "0"), "from 1 to 3650, was '0'"),
        (("plan", ADDRESS, "elite", "--days", "3651"), "was '3651'"),
        (("plan", ADDRESS, "elite", "--days", "-3"), "was '-3'"),
        (("plan", ADDRESS, "elite", "--days", "1.5"), "was '1.5'"),
        (("plan", ADDRESS, "elite", "--days", "thirty"), "was 'thirty'"),
        (("sign-out", ADDRESS, "now"), "unrecognized arguments: now"),
        (("sign-out", ADDRESS, "--all"), "not allowed with argument"),
        (("sign-out",), "one of the arguments WHO --all is required"),
        (("show", "--all"), "required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_arguments(
    operator: Operator, services: Services, ann: Person, arguments: tuple[str, ...], words: str
) -> None:
    before = services.contents()
    assert words in operator.complains(*arguments)
    assert services.contents() == before


@pytest.mark.parametrize("act", [("show", ADDRESS), ("plan", ADDRESS, "elite"), ("sign-out", ADDRESS)])
def test_a_database_that_is_not_there(environ: dict[str, str], act: tuple[str, ...]) -> None:
    """In a process of its own, as an operator starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "flashcur.accounts", *act], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("flashcur: The database ")
    assert line.endswith("does not exist: run `python -m flashcur.migrate`")
    # Looking does not make one.
    assert not list(Path(environ["FLASHCUR_DATA_DIR"]).glob("*.db*"))


def test_a_database_that_is_away(environ: dict[str, str]) -> None:
    environ |= {"DATABASE_URL": "postgresql+psycopg://a:secret@127.0.0.1:1/b"}
    done = subprocess.run(
        [sys.executable, "-m", "flashcur.accounts", "show", ADDRESS],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("flashcur: ")
    assert "cannot be used" in line
    assert "secret" not in line
