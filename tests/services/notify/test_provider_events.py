"""Call-backs are taken in once, whichever process they come to; on both kinds of database."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import Session, col, select

from flashcur.domain.plans import Channel
from flashcur.models import AlertRecord, Destination, ProviderEvent
from flashcur.services.accounts.upkeep import prune_accounts
from flashcur.services.alerts.dispatch import dispatch
from flashcur.services.kit.clock import from_ms, length_ms, utc_now
from flashcur.services.notify import destinations, provider_events, sendgrid_events, stops, twilio_events
from flashcur.services.notify.provider_events import KEPT, is_new, said
from flashcur.services.storage.database import Database
from tests.support.accounts import add_account
from tests.support.deliveries import NOW, delivery, put, stored

ANN = "ann@example.com"
NUMBER = "+447400123456"
PLACES: tuple[tuple[Channel, str], ...] = (("email", ANN), ("sms", NUMBER))


def test_of_many_at_once_one_is_new(database: Database) -> None:
    """Complaint 22: the same event, sent to several processes at a time, is taken in by one."""
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: database.work(lambda s: is_new(s, "sendgrid", "e1", NOW)), range(12)))
    assert found.count(True) == 1
    assert database.work(lambda session: is_new(session, "twilio", "e1", NOW))
    # A long one is known by its beginning.
    assert database.work(lambda session: is_new(session, "sendgrid", "x" * 300, NOW))
    assert not database.work(lambda session: is_new(session, "sendgrid", "x" * 300, NOW))


def test_what_was_taken_in_long_ago_is_forgotten(database: Database) -> None:
    kept_ms = length_ms(KEPT)
    with database.session() as session:
        is_new(session, "twilio", "old", NOW - kept_ms - 1)
        is_new(session, "twilio", "young", NOW - kept_ms)
    database.work(lambda session: prune_accounts(session, from_ms(NOW)))
    with database.session(readonly=True) as session:
        assert session.get(ProviderEvent, ("twilio", "old")) is None
        assert session.get(ProviderEvent, ("twilio", "young")) is not None
    assert database.work(lambda session: provider_events.prune(session, NOW)) == 1


@pytest.mark.parametrize(
    ("value", "text"), [("a\n b\x00\x1b[31m", "a b [31m"), (None, ""), (5, ""), ("x" * 400, "x" * 300), ([], "")]
)
def test_a_field_is_a_line_of_text_or_nothing(value: object, text: str) -> None:
    assert said({"reason": value}, "reason") == text


def deliver(session: Session, alerts: Sequence[AlertRecord], now_ms: int) -> None:
    dispatch(session, alerts, {}, now_ms, "https://flashcur.example")


def test_a_bounce_and_a_stop_are_noted(database: Database) -> None:
    """Complaints 22 and 23, in what both kinds of database make of it."""
    with database.session() as session:
        ann = add_account(session, ANN, utc_now(), plan="elite")
        place = destinations.keep(session, ann, "sms", NUMBER, NOW, confirmed=True).id
    mail, sms = put(
        database,
        delivery(ANN, "email", account_id=ann, status="accepted"),
        delivery(NUMBER, "sms", account_id=ann, destination_id=place, status="accepted"),
    )
    bounce = {"event": "bounce", "sg_event_id": "e1", "delivery": stored(database, mail).key, "reason": "550 \x00no"}
    assert database.work(lambda session: sendgrid_events.take_in(session, bounce, NOW, deliver))
    assert not database.work(lambda session: sendgrid_events.take_in(session, bounce, NOW, deliver))
    fields = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "21610"}
    key = stored(database, sms).key
    assert database.work(lambda session: twilio_events.take_status(session, key, fields, NOW, deliver))
    assert [stored(database, each).status for each in (mail, sms)] == ["bounced", "bounced"]
    with database.session(readonly=True) as session:
        reasons = {
            channel: found.reason
            for channel, address in PLACES
            if (found := destinations.suppressed(session, channel, address)) is not None
        }
        assert reasons == {"email": "bounce", "sms": "stop"}
        assert {(each.channel, each.state) for each in destinations.of_account(session, ann)} == {
            ("email", "off"),
            ("sms", "off"),
        }
        told = session.exec(select(AlertRecord).order_by(col(AlertRecord.id))).all()
        assert [(each.kind, each.title) for each in told] == [
            ("notice", "Email was switched off"),
            ("notice", "SMS was switched off"),
        ]
        assert "bounced" in told[0].text
        assert "STOP" in told[1].text
    assert database.work(lambda session: stops.start_number(session, NUMBER, NOW)) == 1
    with database.session(readonly=True) as session:
        assert session.get_one(Destination, place).state == "on"
