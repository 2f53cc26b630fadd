"""Where contracts stand to the regions of detectors, in the database."""

from __future__ import annotations

from flashcur.domain.signals.episode import Episode
from flashcur.services.alerts.episodes import load_episodes, prune_episodes, purge_demo_episodes, save_episodes
from flashcur.services.storage.database import Database
from tests.support.signals import DEMO, REAL


def test_the_newest_word_on_each_region_is_kept(database: Database) -> None:
    def surge(part: str, inside: int, at_ms: int) -> Episode:
        return Episode(REAL, "open_interest", "BTCUSDT", part, inside, at_ms)

    funding = Episode(REAL, "funding", "BTCUSDT", "", -3, 7)
    simulated = Episode(DEMO, "funding", "BTCUSDT", "", 1, 9)
    with database.session() as session:
        save_episodes(session, [])
        save_episodes(session, [surge("5m", 1, 5), surge("15m", -1, 5), surge("5m", 0, 6), funding, simulated])
    with database.session() as session:
        assert set(load_episodes(session, REAL)) == {surge("5m", 0, 6), surge("15m", -1, 5), funding}
        assert load_episodes(session, DEMO) == [simulated]
        # An engine that was paused knows less.
        save_episodes(session, [surge("15m", 1, 4), surge("5m", 1, 8)])
    with database.session() as session:
        assert set(load_episodes(session, REAL)) == {surge("5m", 1, 8), surge("15m", -1, 5), funding}
        assert prune_episodes(session, 7) == 1
        assert purge_demo_episodes(session) == 1
    with database.session(readonly=True) as session:
        assert set(load_episodes(session, REAL)) == {surge("5m", 1, 8), funding}
        assert load_episodes(session, DEMO) == []
