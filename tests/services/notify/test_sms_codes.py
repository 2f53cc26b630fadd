"""Numbers are confirmed by a code that only the phone shows, and cost nobody more than is allowed."""

from __future__ import annotations

import pytest

from flashcur.domain.delivery.gsm7 import SEGMENT, septets
from flashcur.errors import Conflict, Refusal, Throttled
from flashcur.models import Destination
from flashcur.services.accounts import limits
from flashcur.services.kit.clock import utc_now
from flashcur.services.notify import destinations, sms_codes
from flashcur.services.notify.sms import filled_in
from flashcur.services.notify.sms_codes import MOST_NUMBERS, TRIES, VALID_MS
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import HOME, add_account
from tests.support.deliveries import all_stored

NOW = 1_800_000_000_000
NUMBER = "+447400123456"


@pytest.fixture
def ann(database: Database) -> str:
    with database.session() as session:
        return add_account(session, "ann@example.com", utc_now(), plan="elite")


def begin(database: Database, account_id: str, typed: str = NUMBER, now_ms: int = NOW) -> str:
    with database.session() as session:
        return sms_codes.begin_opt_in(session, account_id, typed, now_ms).id


def confirm(
    database: Database, settings: Settings, account_id: str, place_id: str, code: str, now_ms: int = NOW
) -> str:
    with database.session() as session:
        return sms_codes.confirm(session, account_id, place_id, code, now_ms, settings.secret_key)


def place(database: Database, place_id: str) -> Destination:
    with database.session(readonly=True) as session:
        return session.get_one(Destination, place_id)


def sent_code(database: Database, settings: Settings) -> str:
    """The code in the newest message."""
    return filled_in(all_stored(database)[-1].payload, settings.secret_key).split()[1]


def test_a_number_is_on_once_its_code_was_typed(database: Database, settings: Settings, ann: str) -> None:
    place_id = begin(database, ann, "+44 7400 123456")
    before = place(database, place_id)
    assert (before.state, before.name, before.address) == ("unconfirmed", "+44 …3456", NUMBER)
    (message,) = all_stored(database)
    assert (message.channel, message.recipient, message.kind, message.status) == ("sms", NUMBER, "notice", "queued")
    assert message.expires_ms == NOW + VALID_MS
    code = sent_code(database, settings)
    # Neither row holds it.
    assert code not in f"{message.payload} {before.details}"
    assert confirm(database, settings, ann, place_id, f" {code[:3]} {code[3:]} ", NOW + VALID_MS - 1) == ""
    after = place(database, place_id)
    assert (after.state, after.details, after.confirmed_ms) == ("on", {}, NOW + VALID_MS - 1)
    # Once.
    assert "no longer works" in confirm(database, settings, ann, place_id, code)


def test_the_message_says_who_writes_and_how_to_end_it_in_one_segment(
    database: Database, settings: Settings, ann: str
) -> None:
    """Complaints 20 and 23."""
    begin(database, ann)
    text = filled_in(all_stored(database)[-1].payload, settings.secret_key)
    assert septets(text) <= SEGMENT
    for word in ("FlashCur", "STOP", "HELP", "rates may apply", "10 minutes"):
        assert word in text


def test_five_wrong_codes_are_the_end_of_it(database: Database, settings: Settings, ann: str) -> None:
    place_id = begin(database, ann)
    code = sent_code(database, settings)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    said = [confirm(database, settings, ann, place_id, wrong) for _ in range(TRIES)]
    assert "4 tries left" in said[0]
    assert "1 try left" in said[3]
    assert "Ask for a new one" in said[4]
    assert "Ask for a new one" in confirm(database, settings, ann, place_id, code)
    assert place(database, place_id).state == "unconfirmed"
    # A new one works, and the former does not.
    assert begin(database, ann) == place_id
    assert "not the code" in confirm(database, settings, ann, place_id, code)
    assert confirm(database, settings, ann, place_id, sent_code(database, settings)) == ""


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "é" * 6, "\ud800", "１２３４５６"])
def test_what_is_no_code_is_wrong(database: Database, settings: Settings, ann: str, typed: str) -> None:
    assert "not the code" in confirm(database, settings, ann, begin(database, ann), typed)


def test_a_code_ends_after_ten_minutes(database: Database, settings: Settings, ann: str) -> None:
    place_id = begin(database, ann)
    assert "no longer works" in confirm(
        database, settings, ann, place_id, sent_code(database, settings), NOW + VALID_MS
    )


def test_a_code_is_for_one_account_and_one_number(database: Database, settings: Settings, ann: str) -> None:
    with database.session() as session:
        bob = add_account(session, "bob@example.com", utc_now(), plan="elite")
    hers = begin(database, ann)
    code = sent_code(database, settings)
    his = begin(database, bob)
    assert sent_code(database, settings) != code
    assert "no longer works" in confirm(database, settings, bob, hers, code)
    assert "not the code" in confirm(database, settings, bob, his, code)
    assert place(database, hers).details["wrong"] == 0


def test_what_cannot_be_connected_says_why_beside_the_field(database: Database, settings: Settings, ann: str) -> None:
    place_id = begin(database, ann)
    confirm(database, settings, ann, place_id, sent_code(database, settings))
    with pytest.raises(Conflict, match="already connected") as caught:
        begin(database, ann)
    assert caught.value.field == "number"
    with pytest.raises(Refusal, match="landline"):
        begin(database, ann, "+49 30 1234567")
    for number in range(1, MOST_NUMBERS):
        begin(database, ann, f"+44740012345{number}")
    with pytest.raises(Conflict, match="already have 3 numbers"):
        begin(database, ann, "+447400123459")


def test_a_number_that_said_stop_has_to_say_start_first(database: Database, settings: Settings, ann: str) -> None:
    """Complaint 23."""
    with database.session() as session:
        destinations.suppress(session, "sms", NUMBER, "stop", "STOP", NOW)
    with pytest.raises(Refusal, match="START"):
        begin(database, ann)
    assert all_stored(database) == []


def test_a_number_that_was_switched_off_is_confirmed_anew(database: Database, settings: Settings, ann: str) -> None:
    place_id = begin(database, ann)
    confirm(database, settings, ann, place_id, sent_code(database, settings))
    with database.session() as session:
        destinations.switch_off(session, session.get_one(Destination, place_id), "This number no longer exists.")
    assert begin(database, ann) == place_id
    # Or its code would not be sent.
    assert place(database, place_id).state == "unconfirmed"
    assert confirm(database, settings, ann, place_id, sent_code(database, settings)) == ""


def test_codes_cost_an_account_a_number_a_network_and_a_country(database: Database, ann: str) -> None:
    """Complaint 20: whoever is paid for messages to some numbers gains little by asking us for codes."""
    names = {limit.name for limit, _ in sms_codes.charges(ann, NUMBER, HOME)}
    assert names == {"sms-code-account", "sms-code-number", "sms-code-network", "sms-code-country"}
    assert dict(sms_codes.charges(ann, NUMBER, HOME))[limits.SMS_CODE_COUNTRY] == "GB"
    with database.session() as session:
        for wanted, who in sms_codes.charges(ann, NUMBER, HOME)[:1] * 3:
            limits.take(session, wanted, who, NOW)
        with pytest.raises(Throttled, match="codes for this account"):
            limits.take(session, limits.SMS_CODE_ACCOUNT, ann, NOW)


def test_an_account_gets_so_many_a_day(database: Database, ann: str) -> None:
    """Complaint 20: a cap a day for each account, and for each country."""
    with database.session() as session:
        said = [sms_codes.over_the_cap(session, ann, NUMBER, NOW) for _ in range(51)]
    assert said[:50] == [""] * 50
    assert "50 a day" in said[50]
    with database.session() as session:
        assert sms_codes.over_the_cap(session, ann, NUMBER, NOW + 86_400_000) == ""


def test_a_country_gets_so_many_a_day(database: Database, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 20."""
    monkeypatch.setattr(limits, "SMS_COUNTRY", limits.Limit("sms-country", 2, 3600, "SMS"))
    with database.session() as session:
        said = [sms_codes.over_the_cap(session, f"account {n}", NUMBER, NOW) for n in range(3)]
        assert sms_codes.over_the_cap(session, "another", "+4915123456789", NOW) == ""
    assert said[:2] == ["", ""]
    assert "each country" in said[2]
