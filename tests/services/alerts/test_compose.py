"""What messages say. Read these aloud: they are what a person reads."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from flashcur.domain.delivery.message import FiredRule, Message
from flashcur.services.alerts.compose import (
    MOST_NAMED,
    MOST_TEXT,
    Missed,
    cap_text,
    gathered_text,
    message_of,
    message_of_test,
    missed_text,
    moment,
    summary_of,
)
from flashcur.services.kit.time_zones import zone_of
from tests.support.alerts import NOON_MS, alert

BASE = "https://flashcur.example"
LONDON, KATHMANDU = ZoneInfo("Europe/London"), ZoneInfo("Asia/Kathmandu")
MINUTE_MS = 60_000


def test_an_alert_is_told_with_its_receipt_and_its_page() -> None:
    told = message_of(alert("a", id=7, evidence={"note": "sell half"}), zone=LONDON, base=BASE)
    assert told == Message(
        kind="alert",
        title="BTCUSDT crossed above 65,000",
        lines=("Price 65,010 (at or above 65,000)", "Exchange 12:00:01.234 GMT · seen +80 ms · stored +95 ms"),
        link=f"{BASE}/alerts?tab=messages&alert=7",
        link_text="Open the alert",
        symbol="BTCUSDT",
        price=65_010.0,
        event_ms=NOON_MS,
        seen_ms=NOON_MS + 80,
        stored_ms=NOON_MS + 95,
        note="sell half",
    )


@pytest.mark.parametrize(
    ("late_ms", "line"),
    [
        (60_000, None),
        (60_001, "Late by 60 s: it happened on 27 Nov at 12:00:01 GMT."),
        (4 * MINUTE_MS, "Late by 4 min: it happened on 27 Nov at 12:00:01 GMT."),
        (5 * 60 * MINUTE_MS, "Late by 5 h: it happened on 27 Nov at 12:00:01 GMT."),
    ],
)
def test_what_is_late_says_so(late_ms: int, line: str | None) -> None:
    """Complaint 2 (part): a message that is older than a minute carries how late it is."""
    lines = message_of(alert("a", id=7, stored_ms=NOON_MS + late_ms), zone=LONDON, base=BASE).lines
    assert [each for each in lines if each.startswith("Late")] == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/London", "27 Nov 12:00 GMT"),
        ("Asia/Kathmandu", "27 Nov 17:45 UTC+05:45"),
        ("America/Sao_Paulo", "27 Nov 09:00 UTC-03"),
        ("Australia/Lord_Howe", "27 Nov 23:00 UTC+11"),
        ("Atlantis/Capital", "27 Nov 12:00 UTC"),
        ("localtime", "27 Nov 12:00 UTC"),
        ("../../etc/passwd", "27 Nov 12:00 UTC"),
    ],
)
def test_moments_are_told_by_the_owners_clock_or_else_in_utc(zone: str, said: str) -> None:
    assert moment(NOON_MS, zone_of(zone)) == said


def test_clocks_that_differ_are_told_as_they_are() -> None:
    told = message_of(alert("a", id=7, seen_ms=NOON_MS - 3, stored_ms=NOON_MS + 15_000), zone=KATHMANDU, base=BASE)
    assert told.lines[-1] == "Exchange 17:45:01.234 UTC+05:45 · seen −3 ms · stored +15 s"


def test_a_notice_has_no_receipt() -> None:
    row = alert("a", id=8, kind="notice", title="Telegram is switched off", text="The bot was blocked.", symbol="")
    told = message_of(row, zone=LONDON, base=BASE)
    assert (told.kind, told.lines, told.link_text) == ("notice", ("The bot was blocked.",), "Open the notice")


def test_after_an_outage_one_message_says_what_was_missed() -> None:
    missed = [Missed("ETHUSDT crossed below 3,000", NOON_MS + 9_000), Missed("BTCUSDT crossed above 65,000", NOON_MS)]
    title, text = missed_text(missed, NOON_MS - MINUTE_MS, NOON_MS + MINUTE_MS, zone=LONDON)
    assert title == "2 alerts missed while FlashCur was not watching"
    assert text.split("\n") == [
        "Nothing was watched from 27 Nov at 11:59:01 GMT until 27 Nov at 12:01:01 GMT.",
        "12:00:01 BTCUSDT crossed above 65,000",
        "12:00:10 ETHUSDT crossed below 3,000",
    ]
    told = message_of(alert("a", id=9, kind="missed", title=title, text=text), zone=LONDON, base=BASE)
    assert (told.kind, told.title, told.lines) == ("alert", title, tuple(text.split("\n")))


def test_of_much_that_was_missed_the_rest_is_counted() -> None:
    missed = [Missed(f"COIN{number}USDT moved by more than 5 %", NOON_MS + number) for number in range(300)]
    title, text = missed_text(missed, NOON_MS, NOON_MS + MINUTE_MS, zone=LONDON)
    *_, last = lines = text.split("\n")
    assert title.startswith("300 alerts")
    assert len(text) <= MOST_TEXT
    assert last == f"{300 - (len(lines) - 2)} more."
    with pytest.raises(ValueError, match="found nothing"):
        missed_text([], NOON_MS, NOON_MS, zone=LONDON)


def test_of_much_at_once_the_true_cause_is_told() -> None:
    told = [Missed("BTCUSDT crossed above 65,000", NOON_MS), Missed("ETHUSDT crossed below 3,000", NOON_MS + 9_000)]
    symbols = {"ETHUSDT": 1, "BTCUSDT": 1_233}
    title, text = gathered_text(told, symbols, NOON_MS, NOON_MS + MINUTE_MS, zone=LONDON)
    assert title == "1,234 alerts came at once: BTCUSDT 1233, ETHUSDT"
    assert text.split("\n") == [
        "From 27 Nov at 12:00:01 GMT until 27 Nov at 12:01:01 GMT: too many to send one by one.",
        "12:00:01 BTCUSDT crossed above 65,000",
        "12:00:10 ETHUSDT crossed below 3,000",
        "1,232 more.",
    ]
    title, text = gathered_text(told[:1], {"BTCUSDT": 1}, NOON_MS, NOON_MS, zone=LONDON, written_ms=NOON_MS + MINUTE_MS)
    assert title == "1 alert is late: FlashCur’s database was down"
    assert text.split("\n") == [
        "Nothing could be stored until 27 Nov 12:01 GMT.",
        "12:00:01 BTCUSDT crossed above 65,000",
    ]


def test_many_at_once_are_one_message_with_count_and_names() -> None:
    """Complaint 6 (part): a storm is summed up, not cut off: how many, of what, and the first of them."""
    names = ["BTCUSDT"] * 5 + ["ETHUSDT"] * 3 + ["SOLUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"]
    rows = [
        alert("a", NOON_MS + 1000 * number, symbol=name, title=f"{name} moved", urgent=name == "XRPUSDT")
        for number, name in enumerate(names)
    ]
    told = summary_of(rows, digest=False, zone=LONDON, base=BASE, follows=True)
    assert told.kind == "summary"
    assert told.urgent
    assert told.link == f"{BASE}/alerts?tab=messages"
    assert told.title == "12 more alerts within a minute: BTCUSDT 5, ETHUSDT 3, SOLUSDT 2 and 2 other contracts"
    assert told.lines[:2] == ("12:00:11 XRPUSDT moved", "12:00:12 ADAUSDT moved")
    assert (len(told.lines), told.more) == (MOST_NAMED, 2)


@pytest.mark.parametrize(
    ("span_ms", "follows", "said"),
    [
        (MINUTE_MS, True, "2 more alerts within a minute"),
        (MINUTE_MS, False, "2 alerts within a minute"),
        (MINUTE_MS + 1, True, "2 more alerts since 27 Nov 12:00 GMT"),
        (MINUTE_MS + 1, False, "2 alerts since 27 Nov 12:00 GMT"),
    ],
)
def test_a_summary_says_what_is_true(span_ms: int, follows: bool, said: str) -> None:
    rows = [alert("a", NOON_MS + after_ms) for after_ms in (span_ms, 0)]
    told = summary_of(rows, digest=False, zone=LONDON, base=BASE, follows=follows)
    assert told.title == f"{said}: BTCUSDT"


def test_a_digest_says_since_when() -> None:
    told = summary_of([alert("a")], digest=True, zone=LONDON, base=BASE)
    assert (told.kind, told.title) == ("digest", "1 alert since 27 Nov 12:00 GMT: BTCUSDT")
    assert (told.lines, told.more) == (("12:00:01 BTCUSDT crossed above 65,000",), 0)
    with pytest.raises(ValueError, match="found none"):
        summary_of([], digest=True, zone=LONDON, base=BASE)


def test_the_notice_of_a_cap_says_until_when_and_what_to_do() -> None:
    title, text = cap_text(200, NOON_MS, zone=LONDON)
    assert title == "You reached your daily cap of 200 messages"
    assert text == (
        "Until 27 Nov at 12:00:01 GMT, alerts appear only in the app.\n"
        "You can raise it on the alerts page, under Channels."
    )


def test_a_test_says_that_it_is_one() -> None:
    told = message_of_test("Telegram", NOON_MS, zone=LONDON, base=BASE)
    assert (told.kind, told.title) == ("test", "Test message from FlashCur")
    assert told.lines == ("You asked for it at 12:00:01 GMT (Telegram).", "Your alerts will arrive the same way.")


def test_the_message_of_a_rule_that_fired_names_it() -> None:
    said = {"name": "Top", "sentence": "Tell me when BTCUSDT trades at or above 65000 USDT, once."}
    fired = alert("a", id=7, rule_id="0" * 32, evidence=said)
    assert message_of(fired, zone=LONDON, base=BASE).rule == FiredRule("0" * 32, **said)
    # One of before has no sentence; of what was missed the rules may be many.
    before = alert("a", id=7, rule_id="0" * 32, evidence={"name": "Top"})
    assert message_of(before, zone=LONDON, base=BASE).rule == FiredRule("0" * 32, "Top", "")
    assert message_of(alert("a", id=7, kind="missed"), zone=LONDON, base=BASE).rule is None
