"""Mail that somebody stops, by a link in a message or a provider's word: any number of times at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlmodel import Session, select

from flashcur.models import Destination
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import stops
from flashcur.services.storage.database import Database
from tests.support.accounts import add_account
from tests.support.deliveries import NOW


def test_mail_that_is_stopped_twice_at_once_has_one_row(database: Database) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
    start = threading.Barrier(4)

    def stop(session: Session) -> bool:
        return stops.stop_mail(session, ann, stops.UNSUBSCRIBED, NOW, None)

    def run() -> bool:
        start.wait()
        return database.work(stop)

    with ThreadPoolExecutor(4) as threads:
        assert all([each.result() for each in [threads.submit(run) for _ in range(4)]])
    with database.session(readonly=True) as session:
        assert [row.state for row in session.exec(select(Destination))] == ["off"]
