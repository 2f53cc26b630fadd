"""Telegram against a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line, utf16_units
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.channel import Channel
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.telegram import TelegramApi, TelegramChannel
from flashcur.settings import Settings
from tests.support.messages import ALERT, NASTY, any_message, outgoing
from tests.support.telegram import TOKEN, USERNAME, TelegramServer, flood, read_html
from tests.support.vendor import HTML, Reply, json_reply, serving


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with serving(TelegramServer()) as vendor:
        yield vendor


@pytest.fixture
async def channel(server: TelegramServer, environ: Mapping[str, str]) -> AsyncIterator[TelegramChannel]:
    settings = Settings.load({**environ, "TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE": server.url})
    dialler = Dialler(timeout_s=0.4)
    yield TelegramChannel(TelegramApi(settings, dialler))
    await dialler.close()


async def test_a_message_arrives_as_it_was_written(server: TelegramServer, channel: TelegramChannel) -> None:
    handed = await channel.send(outgoing(channel.render(ALERT), "7"))
    (sent,) = server.sent
    assert (handed.status, handed.provider_id, handed.recipient) == ("delivered", "7:1", "")
    assert sent.text.split("\n") == [ALERT.title, *ALERT.lines, "“take profit”", "Open the alert"]
    assert sent.entities == [("b", ALERT.title, ""), ("a", "Open the alert", ALERT.link)]
    assert server.requests[0].json["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize("text", NASTY)
async def test_any_text_arrives(server: TelegramServer, channel: TelegramChannel, text: str) -> None:
    """Complaint 13: no name and no note can break the markup."""
    message = replace(ALERT, title=f"x {text}", lines=(f"l {text}",), note=f"n {text}")
    await channel.send(outgoing(channel.render(message), "7"))
    (sent,) = server.sent
    assert not sent.plain
    shown = [one_line(f"{kind} {text}") for kind in "xln"]
    assert sent.text.split("\n") == [*shown[:2], f"“{shown[2]}”", "Open the alert"]


@given(any_message)
def test_whatever_is_written_can_be_read_and_is_short_enough(message: Message) -> None:
    """Complaints 13 and 14."""
    payload = TelegramChannel.render(object.__new__(TelegramChannel), message)
    text, _ = read_html(payload["html"])
    assert 0 < utf16_units(text) <= 4096
    assert 0 < utf16_units(payload["plain"]) <= 4096


async def test_a_long_digest_is_cut_at_a_line(server: TelegramServer, channel: TelegramChannel) -> None:
    """Complaint 14: over 4096 UTF-16 units; here each emoji has two and each "&" five characters of markup."""
    message = replace(ALERT, kind="digest", lines=("😀 A & B <moved> 5 %",) * 1_000)
    await channel.send(outgoing(channel.render(message), "7"))
    *lines, note, more, link = server.sent[0].text.split("\n")[1:]
    assert set(lines) == {"😀 A & B <moved> 5 %"}
    assert (note, more, link) == ("“take profit”", f"+{1_000 - len(lines)} more", "Open the alert")
    assert 3_900 < utf16_units(server.sent[0].text) <= 4_096


async def test_markup_that_telegram_does_not_read_is_sent_as_plain_text(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    """Complaint 13: a parse error loses no message; it goes once more without markup."""
    server.takes_html = False
    handed = await channel.send(outgoing(channel.render(ALERT), "7"))
    (sent,) = server.sent
    assert handed.status == "delivered"
    assert sent.plain
    assert sent.text.split("\n") == [ALERT.title, *ALERT.lines, "“take profit”", ALERT.link]
    assert len(server.requests) == 2


async def test_a_group_that_became_a_supergroup_gets_it_there(server: TelegramServer, channel: TelegramChannel) -> None:
    """Complaint 15."""
    server.moved[-5] = -100_5
    handed = await channel.send(outgoing(channel.render(ALERT), "-5"))
    assert handed.recipient == "-1005"
    assert len(server.texts(-1005)) == 1


async def test_who_blocked_the_bot_is_gone(server: TelegramServer, channel: TelegramChannel) -> None:
    """Complaint 15: never tried again."""
    server.blocked.add(7)
    with pytest.raises(Gone, match="blocked by the user"):
        await channel.send(outgoing(channel.render(ALERT), "7"))


@pytest.mark.parametrize(
    "words",
    [
        "Bad Request: chat not found",
        "Bad Request: not enough rights to send text messages to the chat",
        "Bad Request: PEER_ID_INVALID",
        "Bad Request: TOPIC_CLOSED",
        "Bad Request: group chat was deactivated",
    ],
)
async def test_a_chat_that_takes_nothing_is_gone(server: TelegramServer, channel: TelegramChannel, words: str) -> None:
    server.script.append(json_reply({"ok": False, "error_code": 400, "description": words}, 400))
    with pytest.raises(Gone):
        await channel.send(outgoing(channel.render(ALERT), "7"))


async def test_what_is_wrong_with_the_message_is_told(server: TelegramServer, channel: TelegramChannel) -> None:
    with pytest.raises(Refused, match="message text is empty") as told:
        await channel.send(outgoing({"html": "", "plain": ""}, "7"))
    assert not isinstance(told.value, Gone)


@pytest.mark.parametrize(
    ("asked", "wait_s"), [(35, 35), (10_072, 10_072), (0.5, 0.5), (-1, 5), (1e12, 86_400), ("soon", 5), (None, 5)]
)
async def test_a_429_waits_as_told_for_this_chat(
    server: TelegramServer, channel: TelegramChannel, asked: float, wait_s: float
) -> None:
    """Complaint 12."""
    server.script.append(flood(asked))
    with pytest.raises(TryAgainLater) as told:
        await channel.send(outgoing(channel.render(ALERT), "7"))
    assert (told.value.wait_s, told.value.whole_channel) == (wait_s, False)


async def test_a_group_gets_at_most_twenty_a_minute(server: TelegramServer, channel: TelegramChannel) -> None:
    """Complaint 12: what is known to be refused is not asked."""
    payload = channel.render(ALERT)
    for _ in range(20):
        await channel.send(outgoing(payload, "-9"))
    with pytest.raises(TryAgainLater) as told:
        await channel.send(outgoing(payload, "-9"))
    assert told.value.wait_s == 3
    await channel.send(outgoing(payload, "-10"))
    await channel.send(outgoing(payload, "9"))
    assert len(server.sent) == 22


async def test_a_revoked_token_is_no_chats_fault(server: TelegramServer, channel: TelegramChannel) -> None:
    server.token = "123456:another"
    assert channel.problem == ""
    with pytest.raises(TryAgainLater) as told:
        await channel.send(outgoing(channel.render(ALERT), "7"))
    assert told.value.whole_channel
    assert "operator" in channel.problem
    assert TOKEN not in str(told.value)
    server.token = TOKEN
    await channel.send(outgoing(channel.render(ALERT), "7"))
    assert channel.problem == ""


async def test_without_a_token_it_says_so(environ: Mapping[str, str]) -> None:
    channel: Channel = TelegramChannel(TelegramApi(Settings.load(environ), Dialler()))
    assert channel.problem == "This site cannot send Telegram messages yet."
    with pytest.raises(DeliveryError, match="cannot send Telegram"):
        await channel.send(outgoing(channel.render(ALERT), "7"))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"ok": False, "error_code": 500, "description": "Internal Server Error"}, 500), DeliveryError),
        (HTML, DeliveryError),
        (Reply(504), Unanswered),
        (Reply(302, {"Location": "https://elsewhere.example/"}), DeliveryError),
        (Reply(404, {"Content-Type": "text/html"}, b"<h1>no such page</h1>"), DeliveryError),
        (Reply(200, body=b"<html>hello</html>"), Unanswered),
        (Reply(200, body=b'{"ok": true, "resu', fault="stall"), Unanswered),
        (Reply(200, body=b"[]"), Unanswered),
        (Reply(200, body=b"\xff\xfe"), Unanswered),
        (Reply(400, body=b"nonsense"), DeliveryError),
        (Reply(fault="silent"), Unanswered),
        (Reply(fault="hang up"), Unanswered),
    ],
)
async def test_other_answers_are_tried_again(
    server: TelegramServer, channel: TelegramChannel, reply: Reply, error: type[DeliveryError]
) -> None:
    server.script.append(reply)
    with pytest.raises(DeliveryError) as told:
        await channel.send(outgoing(channel.render(ALERT), "7"))
    assert type(told.value) is error
    assert TOKEN not in str(told.value)
    assert "<" not in str(told.value)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.script += [Reply(503, {"Retry-After": "40"}), Reply(504, {"Retry-After": "40"}), Reply(503)]
    for kind, least_s in ((DeliveryError, 40), (Unanswered, 40), (DeliveryError, 0)):
        with pytest.raises(DeliveryError) as told:
            await channel.send(outgoing(channel.render(ALERT), "7"))
        assert (type(told.value), told.value.retry_after) == (kind, least_s)


async def test_the_bots_name_is_asked_for_once(server: TelegramServer, channel: TelegramChannel) -> None:
    assert [await channel.api.username() for _ in range(2)] == [USERNAME] * 2
    assert len(server.requests) == 1
