from __future__ import annotations

from flashcur.services.kit.backoff import Backoff


def test_backoff_doubles_is_capped_and_jittered() -> None:
    backoff = Backoff(1.0, 30.0)
    delays = [backoff.next_s() for _ in range(50)]
    for step, delay in enumerate(delays):
        full = min(30.0, 2.0**step)
        assert full / 2 <= delay <= full
    assert len(set(delays[10:])) > 10
    backoff.reset()
    assert backoff.next_s() <= 1.0
