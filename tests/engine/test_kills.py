"""Engines that are killed at random moments store what one engine stores that is left alone (bench/signals does it 300
times with signals)."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.signals.kills import Plan, killed, undisturbed
from flashcur.domain.signals.signal import KINDS
from tests.engine import rule_kills

KILLS = 5


def test_what_is_stored_after_kills_is_what_is_stored_without(tmp_path: Path, database_url: str) -> None:
    plan = Plan(tmp_path / "whole", seed=1, contracts=10, hours=6)
    whole = undisturbed(plan)
    assert len(whole) > 100
    assert {key.split(":")[2] for key in whole} == set(KINDS)
    disturbed = replace(plan, folder=tmp_path / "killed", database_url=database_url)
    survived, kills = killed(disturbed, KILLS, random.Random())
    assert kills >= KILLS - 1
    assert survived == whole


# Each engine is a process that starts: seconds, on a busy machine.
@pytest.mark.timeout(240)
def test_the_alerts_that_are_stored_after_kills_are_those_of_an_engine_left_alone(
    tmp_path: Path, database_url: str, migrated_file: Path
) -> None:
    """Complaint 1: none is lost, none is told twice, and no start fires by itself."""
    whole_url = f"sqlite:///{tmp_path / 'whole.db'}"
    shutil.copyfile(migrated_file, tmp_path / "whole.db")
    seed = random.randrange(1_000_000)
    whole, _ = rule_kills.killed(rule_kills.Plan(tmp_path / "whole", seed, whole_url), 0, random.Random())
    assert len(whole) > 30, seed
    assert {kind for kind, *_ in whole} == {"rule"}
    plan = rule_kills.Plan(tmp_path / "killed", seed, database_url)
    survived, kills = rule_kills.killed(plan, KILLS, random.Random())
    assert kills >= KILLS - 1
    assert survived == whole, seed
