"""`python -m flashcur.receipts` over an account's export, whole and tampered with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from flashcur.models import Destination
from flashcur.receipts import main
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import Services
from tests.support.alert_world import World, make_world
from tests.support.alerts import NOON_MS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    made = Services(settings, database)
    yield made
    made.close()


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(database)
    for number in range(5):
        made.tell(made.alert(NOON_MS + number * 60_000, evidence={"note": "é “🚀”", "values": [65_000.0, 1e-9]}))
    return made


@pytest.fixture
def exported(
    world: World,
    environ: dict[str, str],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Path:
    """What `export` writes for the account, in a file."""
    for name, value in {**environ, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    assert main(["export", "ANN@example.com"]) == 0
    file = tmp_path / "account.json"
    file.write_bytes(capfdbinary.readouterr().out)
    return file


def said(file: Path, status: int, capfdbinary: pytest.CaptureFixture[bytes]) -> str:
    assert main(["verify", str(file)]) == status
    out, err = capfdbinary.readouterr()
    assert bool(out) is (status < 2)
    return (out or err).decode().strip()


def test_an_export_is_whole_until_something_in_it_is_changed(
    exported: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert said(exported, 0, capfdbinary) == "Whole: 5 alerts, none of them changed."
    whole = exported.read_text()
    document: dict[str, Any] = json.loads(whole)
    document["alerts"][2]["price"] += 1
    exported.write_text(json.dumps(document))
    found = said(exported, 1, capfdbinary)
    assert found.startswith(
        f"Broken at alert 3 of the file ({document['alerts'][2]['id']} BTCUSDT crossed above 65,000)"
    )
    assert found.endswith("it was changed.")
    document = json.loads(whole)
    del document["alerts"][:2]
    exported.write_text(json.dumps(document))
    first, second = said(exported, 0, capfdbinary).splitlines()
    assert first == "Whole: 3 alerts, none of them changed."
    assert second.endswith("older ones are deleted in time.")
    del document["alerts"][1]
    exported.write_text(json.dumps(document))
    assert "Broken at alert 2 of the file" in said(exported, 1, capfdbinary)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[]", "expected an account's export"),
        (b'{"alerts": {}}', "expected an account's export"),
    ],
)
def test_what_is_no_export_is_said_in_one_line(
    content: bytes, why: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    line = said(file, 2, capfdbinary)
    assert why in line
    assert line.startswith("flashcur: ")
    assert "\n" not in line
    assert "No such file" in said(tmp_path / "none.json", 2, capfdbinary)


def test_it_reads_standard_input_and_needs_no_database() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flashcur.receipts", "verify", "-"],
        input=b'{"alerts": []}',
        capture_output=True,
        cwd=ROOT,
        env={"DATABASE_URL": "postgresql://nobody@localhost:1/none"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"There are no alerts in this file.\n"), done.stderr


def test_nobody_of_that_name(exported: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["export", "eve@example.com"]) == 2
    assert b"There is no account" in capfdbinary.readouterr().err


def test_the_export_tells_what_was_sent_and_no_secret_address(exported: Path, world: World) -> None:
    document: dict[str, Any] = orjson.loads(exported.read_bytes())
    shown = exported.read_text()
    for secret in ("push.example", "discord.example", "slack.example", "hooks.example"):
        assert secret not in shown
    assert {row["channel"]: row.get("address") for row in document["destinations"]} == {
        "web-push": None,
        "sms": "+447700900123",
        "telegram": "4711",
        "discord": None,
        "slack": None,
        "webhook": None,
    }
    assert document["alert_settings"]["daily_cap"] == 200
    assert document["rules"][0]["id"] == world.rule_id == document["alerts"][0]["rule_id"]
    sent = [row for row in document["deliveries"] if row["alert_id"] == document["alerts"][0]["id"]]
    assert len(sent) == 9
    assert [step["status"] for step in sent[0]["steps"]] == ["delivered"]
    assert "payload" not in sent[0]


async def test_nothing_of_another_account_is_in_it(world: World, services: Services) -> None:
    person = services.person("eve@example.com")
    document = await services.profile.export(person.caller)
    assert document["alerts"] == document["deliveries"] == document["destinations"] == document["rules"] == []
    with world.database.session() as session:
        session.add(
            Destination(
                account_id=person.account_id, channel="webhook", address="https://x", address_key="k", created_ms=1
            )
        )
    document = await services.profile.export(person.caller)
    assert [row["channel"] for row in document["destinations"]] == ["webhook"]


def test_what_is_nested_too_deep_is_not_called_broken(exported: Path) -> None:
    found = orjson.loads(exported.read_bytes())
    found["alerts"][0]["evidence"] = "DEEP"
    exported.write_bytes(orjson.dumps(found).replace(b'"DEEP"', b'{"a":' * 990 + b"1" + b"}" * 990))
    # By itself: under the tests more may be nested.
    done = subprocess.run(
        [sys.executable, "-m", "flashcur.receipts", "verify", str(exported)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"flashcur: {exported} cannot be read: lists or objects in it are nested too deep\n"
