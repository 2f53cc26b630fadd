"""Alert mail: what it says in text and HTML, how it is stopped, and what SendGrid's answers mean for it."""

from __future__ import annotations

import asyncio
import email
import hashlib
import html
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from email import policy
from html.parser import HTMLParser
from pathlib import Path
from time import monotonic
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.message import Message
from flashcur.errors import DeliveryError, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.channel import Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.email import BLANK, EmailChannel, MailNamed, read_unsubscribe_token
from flashcur.services.notify.sendgrid_sender import SendGridSender
from flashcur.settings import Secret, Settings
from tests.support.programs import free_port
from tests.support.sendgrid import API_KEY, Reply, SendGridServer, sendgrid_server
from tests.support.waiting import eventually

FROM = "mail@flashcur.example"
BASE = "https://flashcur.example"
ALERT = Message(
    kind="alert",
    title="BTC crossed 65,000",
    lines=("Price 65,010 (at or above 65,000)", "Exchange 12:00:01.234 GMT · seen +80 ms · stored +95 ms"),
    link=f"{BASE}/alerts?alert=12&from=mail",
    link_text="Open the alert",
    note="sell <half> & hedge",
)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=120)


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with sendgrid_server() as server:
        yield server


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    made = Dialler()
    yield made
    await made.close()


def channel(environ: dict[str, str], dialler: Dialler, url: str | None = None, timeout_s: float = 2.0) -> EmailChannel:
    settings = Settings.load({**environ, "FLASHCUR_PUBLIC_URL": BASE})
    if url is None:
        return EmailChannel(settings, dialler)
    return EmailChannel(settings, dialler, SendGridSender(dialler, Secret(API_KEY), FROM, url, timeout_s=timeout_s))


def outgoing(mail: EmailChannel, message: Message = ALERT) -> Outgoing:
    return Outgoing(12, "k" * 64, "a@example.com", {}, mail.render(message), 1, 1_900_000_000_000)


async def test_a_mail_says_it_in_text_and_html_and_how_to_stop_it(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer
) -> None:
    """Complaint 21: both headers of RFC 8058 are there, and what stops it is in the mail, too."""
    mail = channel(environ, dialler, sendgrid.url)
    handed = await mail.send(outgoing(mail))
    assert (handed.provider_id, handed.status) == ("message-1", "accepted")
    (sent,) = sendgrid.mails
    text, page = (part["value"] for part in sent["content"])
    assert sent["subject"] == "BTC crossed 65,000"
    url = re.fullmatch(
        r"<(https://flashcur\.example/unsubscribe\?t=[0-9a-f]{64})>", sent["headers"]["List-Unsubscribe"]
    )
    assert url is not None
    assert sent["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read_unsubscribe_token(Secret(environ["FLASHCUR_SECRET_KEY"]), url[1][-64:]) == MailNamed(
        12, hashlib.sha256(b"k" * 64).hexdigest()[:16]
    )
    assert text.startswith("BTC crossed 65,000\n\nPrice 65,010 (at or above 65,000)\nExchange 12:00:01.234 GMT")
    assert "Your note: sell <half> & hedge" in text
    assert "Open the alert: https://flashcur.example/alerts?alert=12&from=mail" in text
    assert f"Stop alert email: {url[1]}" in text
    assert "sell &lt;half&gt; &amp; hedge" in page
    assert f'href="{url[1]}"' in page
    # The address as a button and by itself.
    assert page.count("https://flashcur.example/alerts?alert=12&amp;from=mail") == 2
    assert BLANK not in text + page
    assert '<meta name="color-scheme" content="light dark">' in page
    assert sent["custom_args"] == {"delivery": "k" * 64}
    assert not [setting for setting in sent["tracking_settings"].values() if setting["enable"]]


async def test_each_attempt_is_the_same_to_the_byte(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer
) -> None:
    """Complaint 4: what is frozen does not change, and the key neither."""
    mail = channel(environ, dialler, sendgrid.url)
    frozen = outgoing(mail)
    sendgrid.script.append(Reply(503))
    with pytest.raises(DeliveryError):
        await mail.send(frozen)
    for attempt in (2, 3):
        await channel(environ, dialler, sendgrid.url).send(replace(frozen, attempt=attempt))
    assert sendgrid.mails[0] == sendgrid.mails[1]


class _Texts(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


PLAIN = EmailChannel(Settings.load({"FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4}), Dialler())


def tags_of(message: Message) -> list[str]:
    parsed = _Texts()
    parsed.feed(str(PLAIN.render(message)["html"]))
    return parsed.tags


@given(ANY_TEXT, st.lists(ANY_TEXT, min_size=1, max_size=4), ANY_TEXT)
def test_any_text_stays_text(title: str, lines: list[str], note: str) -> None:
    """Complaint 13, for mail: neither markup nor control characters nor header lines come in by a name or a note."""
    message = replace(ALERT, title=title, lines=tuple(f"x{line}" for line in lines), note=f"x{note}")
    payload = PLAIN.render(message)
    texts = [str(payload[part]) for part in ("subject", "text", "html")]
    assert tags_of(message) == tags_of(replace(ALERT, lines=("x",) * len(lines), note="x"))
    for text in texts:
        assert not [c for c in text if (c < " " and c not in "\n" + BLANK) or "\u202a" <= c <= "\u202e"]
        text.encode()
    assert "\n" not in texts[0]
    assert 1 <= len(texts[0]) <= 150
    # Nobody's text is taken for the address that stops mail.
    assert texts[1].count(BLANK) == texts[2].count(BLANK) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "whole"),
    [
        (Reply(429, {"Retry-After": "30"}), TryAgainLater, True),
        (Reply(401), TryAgainLater, True),
        (Reply(403), TryAgainLater, True),
        (Reply(200), Unanswered, False),
        (Reply(307, {"Location": "/elsewhere"}), Unanswered, False),
        (Reply(500), DeliveryError, False),
        (Reply(503), DeliveryError, False),
        (Reply(504), Unanswered, False),
        (Reply(400, message="<b>Bad</b>\n\x1b[31m"), Refused, False),
        (Reply(413), Refused, False),
        (Reply(202, silent=True), Unanswered, False),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Reply) else None,
)
async def test_an_answer_says_what_becomes_of_the_mail(
    environ: dict[str, str],
    dialler: Dialler,
    sendgrid: SendGridServer,
    reply: Reply,
    kind: type[DeliveryError],
    whole: bool,
) -> None:
    """Complaint 12: a 429 waits as told and spends no attempt."""
    sendgrid.script.append(reply)
    mail = channel(environ, dialler, sendgrid.url, timeout_s=0.3)
    with pytest.raises(DeliveryError) as caught:
        await mail.send(outgoing(mail))
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    if isinstance(caught.value, TryAgainLater):
        assert caught.value.whole_channel is whole
        assert caught.value.wait_s == (30 if reply.status == 429 else 900)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer
) -> None:
    sendgrid.script += [Reply(503, {"Retry-After": "40"}), Reply(503)]
    mail = channel(environ, dialler, sendgrid.url)
    for least_s in (40, 0):
        with pytest.raises(DeliveryError) as caught:
            await mail.send(outgoing(mail))
        assert (type(caught.value), caught.value.retry_after) == (DeliveryError, least_s)


async def test_where_nobody_listens_nothing_was_sent(environ: dict[str, str], dialler: Dialler) -> None:
    mail = channel(environ, dialler, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(DeliveryError, match="could not be reached") as caught:
        await mail.send(outgoing(mail))
    assert type(caught.value) is DeliveryError


async def test_a_mail_in_development_is_a_file_with_its_headers(environ: dict[str, str], dialler: Dialler) -> None:
    mail = channel(environ, dialler)
    handed = await mail.send(outgoing(mail))
    file = Path(environ["FLASHCUR_DATA_DIR"]) / "mail" / handed.provider_id
    parsed = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(parsed["List-Unsubscribe"]).startswith(f"<{BASE}/unsubscribe?t=")
    page = parsed.get_body(("html",))
    assert page is not None
    assert html.escape(ALERT.title) in page.get_content()


@pytest.mark.parametrize("flood", ["drip", "endless"])
async def test_answers_without_an_end_hold_up_no_other_mail(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer, flood: Literal["drip", "endless"]
) -> None:
    """As soon as SendGrid is well again, mail goes: none waits for those whose answers do not end."""
    sendgrid.script.extend([Reply(500, flood=flood)] * 20)
    mail = channel(environ, dialler, sendgrid.url, timeout_s=1)
    begun_s = monotonic()
    ill = [asyncio.create_task(mail.send(outgoing(mail))) for _ in range(20)]
    await eventually(lambda: sendgrid.requests == 20, "20 requests")
    assert (await mail.send(outgoing(mail))).provider_id == "message-1"
    for told in await asyncio.gather(*ill, return_exceptions=True):
        assert type(told) is DeliveryError
        assert len(str(told)) < 300
    # The time-out is of the whole request, not of each piece of its answer.
    assert monotonic() - begun_s < 4
    await eventually(lambda: sendgrid.flooding == 0, "the end of all connections")
    assert (await mail.send(outgoing(mail))).provider_id == "message-2"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_takes_the_key_nowhere(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer, status: int
) -> None:
    with sendgrid_server() as other:
        mail = channel(environ, dialler, sendgrid.url)
        sendgrid.script.append(Reply(status, {"Location": f"{other.url}/v3/mail/send"}))
        with pytest.raises(Unanswered, match=str(status)):
            await mail.send(outgoing(mail))
        assert (await mail.send(outgoing(mail))).provider_id == "message-1"
        assert other.requests == 0
    assert sendgrid.keys == [f"Bearer {API_KEY}"] * 2


async def test_a_text_that_begins_like_a_key_of_sendgrids_is_sent(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer
) -> None:
    mail = channel(environ, dialler, sendgrid.url)
    await mail.send(outgoing(mail, replace(ALERT, title="SG.BTC.above 65,000")))
    assert sendgrid.mails[0]["content"][0]["value"].startswith("SG.BTC.above")


async def test_what_is_not_configured_says_so(environ: dict[str, str]) -> None:
    key = "f3a9c1e07b5d2846a1b3c5d7e9f00f1e2d3c4b5a69788796a5b4c3d2e1f00112"
    mail = EmailChannel(
        Settings.load({**environ, "FLASHCUR_ENV": "prod", "FLASHCUR_PUBLIC_URL": BASE, "FLASHCUR_SECRET_KEY": key}),
        Dialler(),
    )
    assert mail.problem == "This site cannot send email yet."
    with pytest.raises(TryAgainLater):
        await mail.send(outgoing(mail))


@pytest.mark.parametrize("token", ["", "f" * 64, "0" * 32 + "f" * 32, "x", "é" * 64])
def test_a_token_is_made_by_us_alone(environ: dict[str, str], token: str) -> None:
    assert read_unsubscribe_token(Secret(environ["FLASHCUR_SECRET_KEY"]), token) is None
