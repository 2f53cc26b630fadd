"""Engines that are killed at random moments store what one engine stores that is left alone (bench/signals does it 300
times)."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from bench.signals.kills import Plan, killed, undisturbed
from flashcur.domain.signals.signal import KINDS

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
