"""Slack's incoming webhooks against a server that takes what Slack takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import DeliveryError, Gone, Refusal, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.slack import SlackChannel, masked, parse_url
from flashcur.settings import Settings
from tests.support.messages import ALERT, NASTY, any_message, outgoing
from tests.support.slack import WEBHOOK, WEBHOOK_PATH, SlackServer, shown
from tests.support.vendor import HTML, Reply, serving


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with serving(SlackServer()) as vendor:
        yield vendor


@pytest.fixture
async def channel(server: SlackServer, environ: Mapping[str, str]) -> AsyncIterator[SlackChannel]:
    dialler = Dialler(timeout_s=0.4)
    yield SlackChannel(Settings.load({**environ, "SLACK_API_BASE": server.url}), dialler, lambda: 1_000_000)
    await dialler.close()


async def test_a_message_arrives_as_it_was_written(server: SlackServer, channel: SlackChannel) -> None:
    assert (await channel.send(outgoing(channel.render(ALERT), WEBHOOK))).status == "delivered"
    notification, text, links = shown(server.messages[0])
    assert notification == ALERT.title
    assert text.split("\n") == [ALERT.title, *ALERT.lines, "“take profit”", "Open the alert"]
    assert links == [("Open the alert", ALERT.link)]


@pytest.mark.parametrize("text", NASTY)
async def test_any_text_arrives_and_pings_nobody(server: SlackServer, channel: SlackChannel, text: str) -> None:
    """Complaint 18: `& < >` escaped once, addresses in elements of their own, and no `<!channel>` of a note's."""
    message = replace(ALERT, title=f"t {text}", lines=(f"l {text}",), note=f"n {text}")
    await channel.send(outgoing(channel.render(message), WEBHOOK))
    notification, told, links = shown(server.messages[0])
    title, line, note = (one_line(f"{kind} {text}") for kind in "tln")
    assert notification == title
    assert told.split("\n") == [title, line, f"“{note}”", "Open the alert"]
    assert links == [("Open the alert", ALERT.link)]
    assert "<!" not in server.messages[0]["text"]


@given(any_message)
def test_whatever_is_written_is_taken(message: Message) -> None:
    shown(dict(SlackChannel.render(object.__new__(SlackChannel), message)))


async def test_a_long_digest_is_cut(server: SlackServer, channel: SlackChannel) -> None:
    message = replace(ALERT, kind="digest", lines=("A & B <moved>",) * 1_000)
    await channel.send(outgoing(channel.render(message), WEBHOOK))
    lines = shown(server.messages[0])[1].split("\n")
    assert lines[-2] == f"+{1_000 - lines.count('A & B <moved>')} more"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({"Retry-After": "30"}, 30), ({}, 5), ({"Retry-After": "soon"}, 5), ({"Retry-After": ""}, 5)],
)
async def test_a_429_waits_as_told_for_this_webhook(
    server: SlackServer, channel: SlackChannel, headers: Mapping[str, str], wait_s: float
) -> None:
    """Complaint 12."""
    server.script.append(Reply(429, headers, b"rate_limited"))
    with pytest.raises(TryAgainLater) as told:
        await channel.send(outgoing(channel.render(ALERT), WEBHOOK))
    assert (told.value.wait_s, told.value.whole_channel) == (wait_s, False)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, b"no_service"),
        (404, b"channel_not_found"),
        (410, b"channel_is_archived"),
        (403, b"action_prohibited"),
        (403, b"invalid_token"),
        (403, b"team_disabled"),
    ],
)
async def test_a_webhook_that_was_removed_is_gone(
    server: SlackServer, channel: SlackChannel, status: int, words: bytes
) -> None:
    server.script.append(Reply(status, body=words))
    with pytest.raises(Gone, match=words.decode()):
        await channel.send(outgoing(channel.render(ALERT), WEBHOOK))


async def test_what_is_wrong_with_the_message_is_told(server: SlackServer, channel: SlackChannel) -> None:
    with pytest.raises(Refused, match="invalid_payload") as told:
        await channel.send(outgoing({"text": "<!channel>"}, WEBHOOK))
    assert not isinstance(told.value, Gone)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(500, body=b"rollup_error"), DeliveryError),
        (HTML, DeliveryError),
        (Reply(504), Unanswered),
        (Reply(302, {"Location": "https://elsewhere.example/"}), DeliveryError),
        (Reply(200, body=b"<html></html>"), Unanswered),
        (Reply(fault="silent"), Unanswered),
        (Reply(fault="hang up"), Unanswered),
    ],
)
async def test_other_answers_are_tried_again(
    server: SlackServer, channel: SlackChannel, reply: Reply, error: type[DeliveryError]
) -> None:
    server.script.append(reply)
    with pytest.raises(DeliveryError) as told:
        await channel.send(outgoing(channel.render(ALERT), WEBHOOK))
    assert type(told.value) is error
    assert "abcdefghijklmnopqrstuvwx" not in str(told.value)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    server: SlackServer, channel: SlackChannel
) -> None:
    server.script += [Reply(503, {"Retry-After": "40"}), Reply(504, {"Retry-After": "40"}), Reply(503)]
    for kind, least_s in ((DeliveryError, 40), (Unanswered, 40), (DeliveryError, 0)):
        with pytest.raises(DeliveryError) as told:
            await channel.send(outgoing(channel.render(ALERT), WEBHOOK))
        assert (type(told.value), told.value.retry_after) == (kind, least_s)


async def test_of_an_answer_that_breaks_off_the_status_is_enough(server: SlackServer, channel: SlackChannel) -> None:
    server.script.append(Reply(200, fault="stall"))
    assert (await channel.send(outgoing(channel.render(ALERT), WEBHOOK))).status == "delivered"


def test_a_pasted_address_is_read() -> None:
    assert parse_url(f"  {WEBHOOK}/ ") == WEBHOOK
    assert masked(WEBHOOK) == "hooks.slack.com … ABCD"


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"http://hooks.slack.com{WEBHOOK_PATH}",
        f"https://hooks.slack.com.evil.example{WEBHOOK_PATH}",
        f"https://evil.example{WEBHOOK_PATH}",
        f"https://hooks.slack.com@evil.example{WEBHOOK_PATH}",
        f"https://hooks.slack.com:8443{WEBHOOK_PATH}",
        f"{WEBHOOK}?x=1",
        f"{WEBHOOK}/more",
        "https://hooks.slack.com/workflows/T0123ABCD/A1/2/3",
        "https://hooks.slack.com/services/T1/B1/x",
    ],
)
def test_anything_else_is_refused_beside_the_field(text: str) -> None:
    with pytest.raises(Refusal, match="Slack webhook") as told:
        parse_url(text)
    assert told.value.field == "url"
