"""Alerts and their deliveries as a page reads them: receipts, steps, and what can be done."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from flashcur.domain.delivery.status import STATUSES, Status
from flashcur.models import Delivery, DeliveryStep, Destination
from flashcur.services.accounts.channels import EMAIL_PLACE
from flashcur.services.alerts.inbox import Entry, Way
from flashcur.state.alert_texts import alone_title, entry_texts, line_texts, way_texts
from tests.support.alerts import NOON_MS, alert

LONDON, KATHMANDU = ZoneInfo("Europe/London"), ZoneInfo("Asia/Kathmandu")
STORED_MS = NOON_MS + 95


def made(
    channel: str = "telegram",
    status: Status = "delivered",
    *steps: tuple[Status, int, str],
    place: Destination | None = None,
    **other: object,
) -> Way:
    values: dict[str, object] = {"id": 7, "key": "k", "due_ms": STORED_MS, "expires_ms": 0, "created_ms": STORED_MS}
    delivery = Delivery(kind="alert", channel=channel, status=status, **(values | other))  # type: ignore[arg-type]
    told = tuple(
        DeliveryStep(id=number, delivery_id=7, status=word, at_ms=at_ms, detail=detail)
        for number, (word, at_ms, detail) in enumerate(steps, 1)
    )
    return Way(delivery, told, place)


def place(**other: object) -> Destination:
    values: dict[str, object] = {"account_id": "a", "channel": "telegram", "name": "Ann’s phone", "address_key": "k"}
    return Destination(**(values | {"created_ms": 0, "address": "secret-chat"} | other))  # type: ignore[arg-type]


def test_a_receipt_tells_each_moment_to_the_millisecond() -> None:
    """The latency receipt: exchange, seen, stored, handed over, taken."""
    way = made(
        "telegram",
        "delivered",
        ("queued", STORED_MS, ""),
        ("sending", STORED_MS + 5, ""),
        ("delivered", STORED_MS + 405, ""),
        handed_ms=STORED_MS + 20,
        place=place(),
    )
    texts = entry_texts(Entry(STORED_MS, alert("a", id=3), (way,)), LONDON)
    assert texts["receipt"] == [
        {"what": "Exchange time (Binance USD-M)", "when": "12:00:01.234", "delay": ""},
        {"what": "Seen", "when": "12:00:01.314", "delay": "+80 ms"},
        {"what": "Stored", "when": "12:00:01.329", "delay": "+95 ms"},
    ]
    [told] = texts["ways"]
    assert told["speed"] == "Handed over +115 ms, delivered +500 ms after the exchange’s time"
    assert [(step["word"], step["when"]) for step in told["steps"]] == [
        ("Queued", "12:00:01.329"),
        ("Sending", "12:00:01.334"),
        ("Delivered", "12:00:01.734"),
    ]
    assert texts["seq"] == "3"
    assert "secret-chat" not in repr(texts)


def test_times_are_its_owner_s_and_another_day_says_so() -> None:
    late = made("email", "held", ("held", STORED_MS + 7 * 3_600_000, ""), due_ms=STORED_MS + 8 * 3_600_000)
    texts = entry_texts(Entry(STORED_MS, alert("a", id=3), (late,)), KATHMANDU)
    assert texts["when"] == "27 Nov 2026, 17:45:01 +0545"
    [told] = texts["ways"]
    assert told["steps"][0]["when"] == "28 Nov, 00:45:01.329"
    assert told["advice"] == "It leaves at 28 Nov 2026, 01:45 +0545."


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_word_and_a_meaning(status: Status) -> None:
    told = way_texts(made(status=status), None, LONDON)
    assert told["word"] != status
    assert told["meaning"].endswith(".")


@pytest.mark.parametrize(
    ("way", "advice"),
    [
        (made("browser", "expired"), "Web push reaches you even with no FlashCur page open."),
        (
            made("telegram", "dead", place=place(state="off")),
            "This destination is now switched off: see Channels.",
        ),
        (made("telegram", "dead", place=place()), "Send a test under Channels to see whether it works again."),
        (made("email", "bounced"), "Check the address, then send a test under Channels."),
        (made("sms", "capped"), "You can raise your daily cap under Channels."),
        (made("sms", "uncertain"), "The next attempt is at 12:00:01.329."),
        (made("sms", "delivered"), ""),
    ],
)
def test_what_failed_says_what_to_do(way: Way, advice: str) -> None:
    assert way_texts(way, None, LONDON)["advice"] == advice


def test_what_waits_as_its_place_asked_says_until_when() -> None:
    way = replace(made("telegram", "queued"), paused_until_ms=STORED_MS + 9_000)
    said = "Waiting: Telegram asked us to pause until 12:00:10."
    assert way_texts(way, None, LONDON)["advice"] == said


def test_the_provider_s_words_stand_once() -> None:
    words = "404: Unknown Webhook"
    told = way_texts(made("discord", "dead", ("dead", STORED_MS, words), problem=words), None, LONDON)
    assert told["problem"] == words
    assert told["steps"][0]["detail"] == ""
    # However often they came, and while it is tried again, too.
    steps: list[tuple[Status, int, str]] = [
        ("retrying", STORED_MS + n, said) for n, said in enumerate((words, "a", "a"))
    ]
    told = way_texts(made("discord", "retrying", *steps, problem=words), None, LONDON)
    assert [step["detail"] for step in told["steps"]] == ["", "a", ""]
    # A trouble that is over is told by its step alone.
    told = way_texts(
        made("discord", "delivered", ("retrying", STORED_MS, words), ("delivered", STORED_MS, ""), problem=words),
        None,
        LONDON,
    )
    assert told["problem"] == ""
    assert told["steps"][0]["detail"] == words


def test_a_line_says_where_it_went_and_whether_it_waits_for_a_tab() -> None:
    ways = (made("in-app"), made("telegram", "dead"), made("browser", "queued"))
    texts = line_texts(Entry(STORED_MS, alert("a", id=3), ways), LONDON)
    assert texts["where"] == "Telegram failed, browser notification queued"
    assert texts["browser"] == "1"
    assert line_texts(Entry(STORED_MS, alert("a", id=3), ways[:2]), LONDON)["browser"] == ""
    held = (made("browser", "held"),)
    assert line_texts(Entry(STORED_MS, alert("a", id=3), held), LONDON)["browser"] == "", "not within quiet hours"
    assert all(isinstance(value, str) for value in texts.values())


def test_the_rule_s_own_note_is_told() -> None:
    entry = Entry(STORED_MS, alert("a", id=3, evidence={"note": "Sell half."}), (made(),))
    assert (entry_texts(entry, LONDON)["note"], line_texts(entry, LONDON)["note"]) == ("Sell half.", "Sell half.")
    assert entry_texts(Entry(STORED_MS, None, (made(),)), LONDON)["note"] == ""


def test_what_belongs_to_no_alert_says_what_it_is() -> None:
    summary = made("sms", "delivered")
    summary.delivery.kind = "summary"
    told = (alert("a", id=4), alert("a", id=3, event_ms=NOON_MS - 86_400_000))
    texts = entry_texts(Entry(STORED_MS, None, (summary,), 4, told), LONDON)
    assert texts["tells"] == [
        {"id": "4", "title": told[0].title, "when": "12:00:01"},
        {"id": "3", "title": told[1].title, "when": "26 Nov, 12:00:01"},
    ]
    assert texts["unlisted"] == "And 2 older ones."
    assert (texts["title"], texts["text"]) == ("Summary of several alerts", "Brings you 4 messages at once.")
    assert texts["key"] == "d7"


def test_what_goes_to_the_account_s_own_address_is_told_on_its_card() -> None:
    """Before it has a row, and after."""
    assert way_texts(made("email"), None, LONDON)["destination"] == EMAIL_PLACE
    assert way_texts(made("email", destination_id="0" * 32), None, LONDON)["destination"] == EMAIL_PLACE
    assert way_texts(made("telegram"), None, LONDON)["destination"] == ""


def test_a_code_is_called_a_code() -> None:
    one = Delivery(
        key="a",
        channel="sms",
        kind="notice",
        due_ms=0,
        expires_ms=0,
        created_ms=0,
        payload={"text": "", "code": {"nonce": "n"}},
    )
    assert alone_title(one) == "Code to confirm your number"
    one.payload = {"text": ""}
    assert alone_title(one) == "Notice"
