"""SMS through Twilio's own library over loopback: what is written, and what each answer means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.gsm7 import SEGMENT, septets
from flashcur.domain.delivery.message import Message
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.channel import Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.sms import BLANK, SmsChannel, code_of
from flashcur.settings import Secret, Settings
from tests.support.programs import free_port
from tests.support.twilio import ENVIRON, SID, TOKEN, TwilioServer, problem
from tests.support.vendor import HTML, Reply, json_reply, serving
from tests.support.waiting import eventually

NOW_MS = 1_800_000_000_000
NUMBER = "+447400123456"
ALERT = Message(
    kind="alert",
    title="BTC crossed 65,000",
    lines=("Price 65,010 (at or above 65,000)", "Exchange 12:00:01.234, seen +80 ms, stored +95 ms"),
    link="https://flashcur.example/alerts?alert=12",
    link_text="Open the alert",
)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with serving(TwilioServer()) as server:
        yield server


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    made = Dialler()
    yield made
    await made.close()


def channel(environ: dict[str, str], dialler: Dialler, url: str, **more: str) -> SmsChannel:
    settings = Settings.load({**environ, **ENVIRON, "TWILIO_API_BASE": url, **more})
    return SmsChannel(settings, dialler, timeout_s=2.0, clock=lambda: NOW_MS)


def outgoing(text: str = "FlashCur: hello", **more: object) -> Outgoing:
    made = Outgoing(7, "k" * 64, NUMBER, {}, {"text": text}, 1, NOW_MS + 600_000)
    return replace(made, **more)  # type: ignore[arg-type]


async def test_a_message_arrives_once_with_its_call_back(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer
) -> None:
    sms = channel(environ, dialler, twilio.url, FLASHCUR_PUBLIC_URL="https://flashcur.example")
    assert sms.problem == ""
    handed = await sms.send(outgoing(str(sms.render(ALERT)["text"])))
    (message,) = twilio.messages
    assert (handed.provider_id, handed.status, message.to) == (message.sid, "accepted", NUMBER)
    assert message.body == (
        "FlashCur: BTC crossed 65,000\nPrice 65,010 (at or above 65,000)\n"
        "Exchange 12:00:01.234, seen +80 ms, stored +95 ms\nhttps://flashcur.example/alerts?alert=12"
    )
    assert message.status_callback == f"https://flashcur.example/webhooks/twilio/status?delivery={'k' * 64}"
    # Twilio does not send it either once it is of no use.
    assert message.validity_s == 600


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=6), ANY_TEXT, st.integers(0, 10_000))
def test_any_message_is_one_cheap_segment(title: str, lines: list[str], link: str, more: int) -> None:
    """Complaint 20: whatever a note, a name or a link holds, the text is GSM-7 and one segment."""
    message = replace(ALERT, title=title, lines=tuple(lines), link=link, more=more)
    text = _channel_without_settings().render(message)["text"]
    assert septets(text) <= SEGMENT
    assert text.startswith("FlashCur:")
    assert text.count("\n") <= 1 + len(lines) + 1


def _channel_without_settings() -> SmsChannel:
    return SmsChannel(Settings.load({"FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4}), Dialler())


def test_what_does_not_fit_is_left_out_line_by_line() -> None:
    """Complaint 20: cut where a reader would cut, and never the link."""
    sms = _channel_without_settings()
    text = str(sms.render(replace(ALERT, lines=("first", "x" * 120, "not after a line that was left out")))["text"])
    assert text.split("\n") == ["FlashCur: BTC crossed 65,000", "first", ALERT.link]
    text = str(sms.render(replace(ALERT, title="€" * 200, more=12))["text"])
    assert text.endswith(f"€...\n+12 more\n{ALERT.link}")
    long = "https://" + "a" * 80 + ".example/alerts?alert=1"
    assert "https" not in str(sms.render(replace(ALERT, link=long))["text"])


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (problem(400, 21610, "Attempt to send to unsubscribed recipient"), Gone, "STOP"),
        (problem(400, 21211, "Invalid 'To' Phone Number"), Gone, "does not exist"),
        (problem(400, 21614, "'To' number is not a valid mobile number"), Gone, "not a mobile"),
        (problem(400, 21408, "Permission to send an SMS has not been enabled"), Refused, "this country"),
        (problem(400, 21602, "Message body is required."), Refused, "21602"),
        (problem(401, 20003, "Authenticate"), TryAgainLater, "20003"),
        (problem(403, 20003, "Permission Denied"), TryAgainLater, "403"),
        (problem(429, 20429, "Too Many Requests"), TryAgainLater, "429"),
        (problem(400, 21611, "This 'From' number has exceeded the maximum number of queued messages"), TryAgainLater,
         "21611"),
        (problem(500, 20500, "Internal Server Error"), DeliveryError, "500"),
        (Reply(504, {}, b"gateway"), Unanswered, "504"),
        (HTML, DeliveryError, "502"),
        (Reply(302, {"Location": "http://127.0.0.1/"}), Refused, "302"),
        (Reply(201, {}, b"<html>"), Unanswered, "could not be read"),
        (Reply(201, {}, b""), Unanswered, "without the message's id"),
        (Reply(201, {}, b"[]"), Unanswered, "could not be read"),
        (Reply(201, {}, b'"SM1"'), Unanswered, "could not be read"),
        (json_reply({}, 201), Unanswered, "without the message's id"),
        (json_reply({"sid": 5}, 201), Unanswered, "without the message's id"),
        (Reply(fault="silent"), Unanswered, "did not answer"),
        (Reply(fault="hang up"), Unanswered, "did not answer"),
        (Reply(201, {}, b'{"sid": "SM', fault="stall"), Unanswered, "could not be read"),
        (Reply(400, {}, b"\xff\xfe not json \x1b[31m"), Refused, "400"),
    ],
)  # fmt: skip
async def test_an_answer_says_what_becomes_of_the_message(
    environ: dict[str, str],
    dialler: Dialler,
    twilio: TwilioServer,
    reply: Reply,
    kind: type[DeliveryError],
    words: str,
) -> None:
    """Complaints 12 and 23: a 429 spends no attempt, 21610 is for good, and what nobody answered is told as that."""
    twilio.script.append(reply)
    with pytest.raises(DeliveryError, match=words) as caught:
        await channel(environ, dialler, twilio.url).send(outgoing())
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    assert len(twilio.requests) == 1
    assert TOKEN not in str(caught.value)


async def test_a_number_that_said_stop_is_left_alone_by_everybody(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer
) -> None:
    """Complaint 23: 21610 holds until START."""
    twilio.script.append(problem(400, 21610, "Attempt to send to unsubscribed recipient"))
    with pytest.raises(Gone, match="START") as caught:
        await channel(environ, dialler, twilio.url).send(outgoing())
    assert caught.value.suppress == "stop"


@pytest.mark.parametrize(("headers", "wait_s"), [({"Retry-After": "30"}, 30), ({}, 1), ({"Retry-After": "soon"}, 1)])
async def test_a_429_waits_as_told(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer, headers: dict[str, str], wait_s: float
) -> None:
    """Complaint 12."""
    twilio.script.append(replace(problem(429, 20429, "Too Many Requests"), headers=headers))
    with pytest.raises(TryAgainLater) as caught:
        await channel(environ, dialler, twilio.url).send(outgoing())
    assert (caught.value.wait_s, caught.value.whole_channel) == (wait_s, True)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer
) -> None:
    twilio.script += [Reply(503, {"Retry-After": "40"}), Reply(504, {"Retry-After": "40"}), Reply(503)]
    for kind, least_s in ((DeliveryError, 40), (Unanswered, 40), (DeliveryError, 0)):
        with pytest.raises(DeliveryError) as caught:
            await channel(environ, dialler, twilio.url).send(outgoing())
        assert (type(caught.value), caught.value.retry_after) == (kind, least_s)


async def test_where_nobody_listens_nothing_was_sent(environ: dict[str, str], dialler: Dialler) -> None:
    sms = channel(environ, dialler, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(DeliveryError, match="could not be reached") as caught:
        await sms.send(outgoing())
    assert type(caught.value) is DeliveryError


async def test_wrong_credentials_are_the_operator_s_matter_and_stay_secret(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sms = channel(environ, dialler, twilio.url, TWILIO_AUTH_TOKEN="another-secret")
    with pytest.raises(TryAgainLater) as caught:
        await sms.send(outgoing())
    assert caught.value.whole_channel
    assert "Check the TWILIO settings" in caplog.text
    for secret in ("another-secret", NUMBER, NUMBER[1:]):
        assert secret not in caplog.text


async def test_one_that_hangs_holds_up_no_other(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer
) -> None:
    """Complaint 24."""
    twilio.script.append(Reply(fault="silent"))
    sms = channel(environ, dialler, twilio.url)
    hanging = asyncio.create_task(sms.send(outgoing()))
    await eventually(lambda: bool(twilio.requests), "the first request")
    assert (await sms.send(outgoing())).provider_id
    assert not hanging.done()
    with pytest.raises(Unanswered):
        await hanging


async def test_what_is_not_configured_says_so(environ: dict[str, str], dialler: Dialler) -> None:
    sms = SmsChannel(Settings.load({**environ, **ENVIRON, "TWILIO_AUTH_TOKEN": ""}), dialler)
    assert sms.problem == "This site cannot send SMS yet."
    with pytest.raises(TryAgainLater):
        await sms.send(outgoing())
    assert SID not in sms.problem


async def test_a_code_is_put_in_when_it_is_sent(
    environ: dict[str, str], dialler: Dialler, twilio: TwilioServer
) -> None:
    """What is stored does not hold it, and each attempt sends the same."""
    payload = {"text": f"FlashCur: {BLANK} is your code", "code": {"destination": "d" * 32, "nonce": "n1"}}
    sms = channel(environ, dialler, twilio.url)
    for attempt in (1, 2):
        await sms.send(outgoing(payload=payload, attempt=attempt))
    secret = Secret(environ["FLASHCUR_SECRET_KEY"])
    code = code_of(secret, "d" * 32, "n1")
    assert [message.body for message in twilio.messages] == [f"FlashCur: {code} is your code"] * 2
    assert len(code) == 6
    assert code.isdigit()
    others = {code_of(secret, "d" * 32, f"n{number}") for number in range(2, 50)}
    assert len(others) > 40
