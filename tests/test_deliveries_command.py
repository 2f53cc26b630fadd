"""`python -m flashcur.deliveries` as an operator types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flashcur.deliveries import main
from flashcur.services.kit.clock import now_ms
from flashcur.services.storage.database import Database
from tests.support.deliveries import HOUR, delivery, put, stored, way

ROOT = Path(__file__).parents[1]


@pytest.fixture
def database(
    database: Database, environ: dict[str, str], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Database:
    for name, value in {**environ, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    return database


def does(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What it prints, or complains about."""
    try:
        returned = main(list(words))
    except SystemExit as end:  # what argparse does
        returned = int(str(end.code))
    said, complained = capsys.readouterr()
    assert returned == status, said + complained
    assert "Traceback" not in complained
    return complained if status else said


def in_trouble(database: Database) -> list[int]:
    """A dead one, one that is uncertain, one that is stalled, and one that is well."""
    now = now_ms()
    return put(
        database,
        delivery("https://hooks.slack.com/services/T0/B0/secret", "slack", now_ms=now, status="dead", problem="gone"),
        delivery("+491701234567", "sms", now_ms=now, status="uncertain", due_ms=now + HOUR),
        delivery("ann@example.com", "email", now_ms=now, due_ms=now - HOUR),
        delivery("4711", now_ms=now, status="sent"),
        now_ms=now,
    )


def test_what_is_in_trouble_is_listed_without_whole_addresses(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert does(capsys, "list") == "No message is in trouble.\n"
    dead, uncertain, stalled, _ = in_trouble(database)
    lines = does(capsys, "list").splitlines()
    assert [int(line.split()[0]) for line in lines] == [stalled, uncertain, dead]
    assert "https://hooks.slack.com/…  gone" in lines[2]
    assert "an…@example.com" in lines[0]
    assert lines[1].endswith("…67")
    assert "secret" not in "".join(lines)
    assert does(capsys, "list", "--dead").splitlines() == lines[2:]
    assert does(capsys, "list", "--dead", "--stalled").splitlines() == [lines[0], lines[2]]
    assert does(capsys, "list", "--channel", "sms").splitlines() == [lines[1]]
    assert "invalid choice" in does(capsys, "list", "--channel", "fax", status=2)


def test_one_is_shown_with_its_ledger(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    dead, *_ = in_trouble(database)
    said = does(capsys, "show", str(dead))
    assert f"message:       {dead}, alert by slack to https://hooks.slack.com/…" in said
    assert f"key:           {stored(database, dead).key}" in said
    assert "problem:       gone" in said
    assert said.splitlines()[-1].endswith("dead       gone")
    assert "secret" not in said
    assert "There is no message 99" in does(capsys, "show", "99", status=2)


def test_the_dead_are_sent_again_under_their_keys(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    dead, uncertain, _, sent = in_trouble(database)
    key = stored(database, dead).key
    assert does(capsys, "retry", str(dead)) == f"The message {dead} will be sent again.\n"
    row = stored(database, dead)
    assert (row.status, row.key, row.attempts, row.problem) == ("queued", key, 0, "")
    assert way(database, dead) == ["dead", "queued"]
    assert does(capsys, "retry", str(uncertain)) == f"The message {uncertain} will be sent again.\n"
    assert "is sent: expected one that has not arrived" in does(capsys, "retry", str(sent), status=2)
    for words in (["retry"], ["retry", "--dead"], ["retry", str(dead), "--dead", "--channel", "sms"]):
        assert "expected `retry --dead --channel NAME`" in does(capsys, *words, status=2)


def test_all_of_a_channel_are_sent_again(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    now = now_ms()
    ids = put(database, *(delivery(f"{n}", status="dead", now_ms=now) for n in range(3)), now_ms=now)
    (other,) = put(database, delivery("7", "slack", status="dead", now_ms=now), now_ms=now)
    old = now - 25 * HOUR
    (mail,) = put(database, delivery("a@b.c", "telegram", kind="mail", status="dead", now_ms=old), now_ms=old)
    assert does(capsys, "retry", "--dead", "--channel", "telegram") == "3 messages will be sent again.\n"
    assert {stored(database, each).status for each in ids} == {"queued"}
    assert stored(database, other).status == "dead"
    assert "whose time is over" in does(capsys, "retry", str(mail), status=2)


def test_one_that_waits_is_cancelled(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    dead, uncertain, _, _ = in_trouble(database)
    assert does(capsys, "cancel", str(uncertain)) == f"The message {uncertain} is cancelled.\n"
    row = stored(database, uncertain)
    assert (row.status, row.problem) == ("dead", "Cancelled by this site’s operator.")
    assert "is dead: expected one that waits" in does(capsys, "cancel", str(dead), status=2)


def test_it_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flashcur.deliveries", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "list|show|retry|cancel" in done.stdout


@pytest.mark.parametrize("act", ["show", "retry", "cancel"])
@pytest.mark.parametrize("number", ["9223372036854775808", "99999999999999999999", "-99999999999999999999"])
def test_a_number_that_no_database_takes_is_no_message(
    database: Database, capsys: pytest.CaptureFixture[str], act: str, number: str
) -> None:
    said = does(capsys, act, *(["--"] if number.startswith("-") else []), number, status=2)
    assert said == f"flashcur: There is no message {number}: expected the number of one.\n"
