"""Discord's webhooks against a server that keeps Discord's limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line, utf16_units
from flashcur.errors import DeliveryError, Gone, Refusal, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.discord import DiscordChannel, masked, parse_url
from flashcur.settings import Settings
from tests.support.discord import WEBHOOK, WEBHOOK_ID, WEBHOOK_TOKEN, DiscordServer, limited, read_markdown
from tests.support.messages import ALERT, NASTY, any_message, outgoing
from tests.support.vendor import HTML, Reply, json_reply, serving

ADDRESS = parse_url(WEBHOOK)
PATH = f"/api/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}"


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with serving(DiscordServer()) as vendor:
        yield vendor


@pytest.fixture
async def channel(server: DiscordServer, environ: Mapping[str, str]) -> AsyncIterator[DiscordChannel]:
    dialler = Dialler(timeout_s=0.4)
    yield DiscordChannel(Settings.load({**environ, "DISCORD_API_BASE": server.url}), dialler, lambda: 1_000_000)
    await dialler.close()


def shown(payload: Mapping[str, object]) -> list[str]:
    """The lines of a message as people see them. Raises ValueError where a text became markup."""
    content, embeds = payload["content"], payload["embeds"]
    assert isinstance(content, str)
    assert isinstance(embeds, list)
    *lines, _ = embeds[0]["description"].split("\n")
    return [read_markdown(line) for line in (content.removeprefix("**").removesuffix("**"), *lines)]


async def test_a_message_arrives_as_it_was_written(server: DiscordServer, channel: DiscordChannel) -> None:
    handed = await channel.send(outgoing(channel.render(ALERT), ADDRESS))
    (message,) = server.messages
    assert (handed.status, handed.provider_id) == ("delivered", str(10**18 + 1))
    assert shown(message) == [ALERT.title, *ALERT.lines, "“take profit”"]
    (embed,) = message["embeds"]
    assert embed["description"].endswith(f"[Open the alert](<{ALERT.link}>)")
    assert embed["timestamp"] == "2026-11-18T11:06:40.123+00:00"
    assert message["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("text", NASTY)
async def test_any_text_arrives(server: DiscordServer, channel: DiscordChannel, text: str) -> None:
    """Complaint 17: and pings nobody."""
    message = replace(ALERT, title=text or "t", lines=(f"{text}x",), note=f"n {text}")
    await channel.send(outgoing(channel.render(message), ADDRESS))
    title = one_line(text or "t") or "FlashCur"
    assert shown(server.messages[0]) == [title, one_line(f"{text}x"), f"“{one_line(f'n {text}')}”"]
    assert server.messages[0]["allowed_mentions"] == {"parse": []}


@given(any_message)
def test_whatever_is_written_keeps_the_limits(message: Message) -> None:
    """Complaint 17: 2000 and 4096 characters."""
    payload = DiscordChannel.render(object.__new__(DiscordChannel), message)
    assert 0 < utf16_units(payload["content"]) <= 2000
    for embed in payload["embeds"]:
        assert 0 < utf16_units(embed["description"]) <= 4096
    if message.link:
        shown(payload)


async def test_a_long_digest_is_cut(server: DiscordServer, channel: DiscordChannel) -> None:
    message = replace(ALERT, kind="digest", lines=("*😀* [A] (moved) -5 %",) * 1_000)
    await channel.send(outgoing(channel.render(message), ADDRESS))
    *lines, _, more = shown(server.messages[0])[1:]
    assert more == f"+{1_000 - len(lines)} more"
    assert 3_500 < utf16_units(server.messages[0]["embeds"][0]["description"]) <= 4_096


@pytest.mark.parametrize(
    ("reply", "wait_s", "whole"),
    [
        (limited(0.65), 0.65, False),
        (limited(12, **{"global": True}), 12, True),
        (json_reply({"message": "limited"}, 429, Retry_After="7"), 7, False),
        (json_reply({"message": "limited"}, 429), 5, False),
        (limited(-3), 5, False),
        (Reply(429, {"Retry-After": "600"}, b"<html>error code: 1015</html>"), 600, True),
        (Reply(429, body=b"<html>error code: 1015</html>"), 300, True),
        (Reply(429, {"Retry-After": "Thu, 01 Jan 1970 00:17:00 GMT"}), 20, True),
        (Reply(403, {"Content-Type": "text/html"}, b"<html>error code: 1020</html>"), 300, True),
    ],
)
async def test_a_429_waits_as_told_with_or_without_a_header(
    server: DiscordServer, channel: DiscordChannel, reply: Reply, wait_s: float, whole: bool
) -> None:
    """Complaint 17: the wait stands in the body, in seconds, or nowhere; complaint 12: it holds this webhook alone."""
    server.script.append(reply)
    with pytest.raises(TryAgainLater) as told:
        await channel.send(outgoing(channel.render(ALERT), ADDRESS))
    assert (told.value.wait_s, told.value.whole_channel) == (wait_s, whole)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"message": "Unknown Webhook", "code": 10015}, 404),
        json_reply({"message": "Invalid Webhook Token", "code": 50027}, 401),
        json_reply({"message": "Missing Access", "code": 50001}, 403),
        Reply(404),
    ],
)
async def test_a_webhook_that_was_deleted_is_gone_at_once(
    server: DiscordServer, channel: DiscordChannel, reply: Reply
) -> None:
    """Complaint 17: 10,000 invalid requests in ten minutes would shut out everybody."""
    server.script.append(reply)
    with pytest.raises(Gone):
        await channel.send(outgoing(channel.render(ALERT), ADDRESS))


async def test_what_is_wrong_with_the_message_is_told(server: DiscordServer, channel: DiscordChannel) -> None:
    with pytest.raises(Refused, match="Invalid Form Body") as told:
        await channel.send(outgoing({"content": "x" * 2001, "embeds": []}, ADDRESS))
    assert not isinstance(told.value, Gone)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"message": "Internal", "code": 0}, 500), DeliveryError),
        (HTML, DeliveryError),
        (Reply(504), Unanswered),
        (Reply(301, {"Location": "https://elsewhere.example/"}), DeliveryError),
        (Reply(200, body=b"<html></html>"), Unanswered),
        (Reply(200, body=b'{"id": "1', fault="stall"), Unanswered),
        (Reply(fault="silent"), Unanswered),
        (Reply(fault="hang up"), Unanswered),
    ],
)
async def test_other_answers_are_tried_again(
    server: DiscordServer, channel: DiscordChannel, reply: Reply, error: type[DeliveryError]
) -> None:
    server.script.append(reply)
    with pytest.raises(DeliveryError) as told:
        await channel.send(outgoing(channel.render(ALERT), ADDRESS))
    assert type(told.value) is error
    assert WEBHOOK_TOKEN not in str(told.value)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    server: DiscordServer, channel: DiscordChannel
) -> None:
    server.script += [Reply(503, {"Retry-After": "40"}), Reply(504, {"Retry-After": "40"}), Reply(503)]
    for kind, least_s in ((DeliveryError, 40), (Unanswered, 40), (DeliveryError, 0)):
        with pytest.raises(DeliveryError) as told:
            await channel.send(outgoing(channel.render(ALERT), ADDRESS))
        assert (type(told.value), told.value.retry_after) == (kind, least_s)


async def test_a_thread_is_written_to(server: DiscordServer, channel: DiscordChannel) -> None:
    await channel.send(outgoing(channel.render(ALERT), parse_url(f"{WEBHOOK}?thread_id=123456789012345679")))
    assert server.requests[0].path.endswith("?thread_id=123456789012345679&wait=true")


@pytest.mark.parametrize(
    "text",
    [
        f"https://discord.com{PATH}",
        f" https://discordapp.com{PATH}/ ",
        f"https://canary.discord.com{PATH}",
        f"https://ptb.discord.com{PATH}?wait=true",
        f"HTTPS://Discord.com/api/v9/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}",
    ],
)
def test_each_spelling_of_a_webhook_is_one_address(text: str) -> None:
    assert parse_url(text) == f"https://discord.com/api/v10/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        f"http://discord.com{PATH}",
        f"https://evil.example{PATH}",
        f"https://discord.com.evil.example{PATH}",
        f"https://discord.com@evil.example{PATH}",
        f"https://discord.com:8443{PATH}",
        f"https://discord.com{PATH}/github",
        f"https://discord.com{PATH}/../../users",
        "https://discord.com/api/webhooks/12/short",
        "https://discord.com/channels/1/2",
        "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/abcdefghijklmnopqrstuvwx",
    ],
)
def test_anything_else_is_refused_beside_the_field(text: str) -> None:
    with pytest.raises(Refusal, match="Discord webhook") as told:
        parse_url(text)
    assert told.value.field == "url"


def test_a_masked_address_cannot_be_used() -> None:
    assert masked(ADDRESS) == "discord.com … 5678"
    assert masked("") == "discord.com"
