"""The ways out: SendGrid over loopback, and files."""

from __future__ import annotations

import asyncio
import contextlib
import email
import logging
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from pathlib import Path

import pytest

from flashcur.errors import ConfigError, DeliveryError, Refused, TryAgainLater, Unanswered
from flashcur.services.notify import Rendered, describe, mail_folder, make_sender
from flashcur.services.notify.dialling import Answer, Dialler
from flashcur.services.notify.file_sender import FileSender
from flashcur.services.notify.retry_after import MAX_WAIT_S
from flashcur.services.notify.sendgrid_sender import REFUSED_RETRY_S, RETRY_S, SendGridSender
from flashcur.settings import Secret, Settings
from tests.support.programs import free_port
from tests.support.sendgrid import API_KEY, Reply, SendGridServer, sendgrid_server
from tests.support.waiting import eventually

NOW_S = 1_800_000_000
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIL = Rendered("Confirm – bitte", "Hello, open https://flashcur.example/confirm?token=1\n", "<p>Hello</p>")
FROM = "mail@flashcur.example"


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with sendgrid_server() as server:
        yield server


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    made = Dialler()
    yield made
    await made.close()


def sender(dialler: Dialler, url: str, key: str = API_KEY, timeout_s: float = 5.0) -> SendGridSender:
    return SendGridSender(dialler, Secret(key), FROM, url, timeout_s=timeout_s, clock=lambda: NOW_S * 1000)


async def test_a_mail_arrives_whole_and_untracked(dialler: Dialler, sendgrid: SendGridServer) -> None:
    assert await sender(dialler, sendgrid.url).send("a@example.com", MAIL) == "message-1"
    (mail,) = sendgrid.mails
    assert mail["personalizations"] == [{"to": [{"email": "a@example.com"}]}]
    assert mail["from"] == {"email": FROM, "name": "FlashCur"}
    assert mail["subject"] == MAIL.subject
    assert mail["content"] == [
        {"type": "text/plain", "value": MAIL.text},
        {"type": "text/html", "value": MAIL.html},
    ]
    assert mail["tracking_settings"]["click_tracking"] == {"enable": False, "enable_text": False}
    assert not [setting for setting in mail["tracking_settings"].values() if setting["enable"]]


@pytest.mark.parametrize(
    ("reply", "kind", "wait_s"),
    [
        (Reply(429, {"Retry-After": "30"}), TryAgainLater, 30),
        (Reply(429, {"Retry-After": "Fri, 15 Jan 2027 08:01:00 GMT"}), TryAgainLater, 60),
        (Reply(429, {"X-RateLimit-Reset": str(NOW_S + 45)}), TryAgainLater, 45),
        (Reply(429, {"X-RateLimit-Reset": str(NOW_S - 45)}), TryAgainLater, RETRY_S),
        (Reply(429, {"Retry-After": "soon"}), TryAgainLater, RETRY_S),
        (Reply(429, {"Retry-After": "nan"}), TryAgainLater, RETRY_S),
        (Reply(429, {"Retry-After": "99999999"}), TryAgainLater, MAX_WAIT_S),
        (Reply(429), TryAgainLater, RETRY_S),
        (Reply(401), TryAgainLater, REFUSED_RETRY_S),
        (Reply(403), TryAgainLater, REFUSED_RETRY_S),
        (Reply(500), DeliveryError, None),
        (Reply(502), DeliveryError, None),
        (Reply(503, {"Retry-After": "7"}), DeliveryError, None),
        (Reply(408), Unanswered, None),
        (Reply(504), Unanswered, None),
        (Reply(200), Unanswered, None),
        (Reply(204), Unanswered, None),
        (Reply(302), Unanswered, None),
        (Reply(400), Refused, None),
        (Reply(404), Refused, None),
        (Reply(413), Refused, None),
    ],
    ids=lambda value: f"{value.status} {dict(value.headers)}" if isinstance(value, Reply) else None,
)
async def test_an_answer_says_whether_and_when_to_try_again(
    dialler: Dialler, sendgrid: SendGridServer, reply: Reply, kind: type[DeliveryError], wait_s: float | None
) -> None:
    sendgrid.script.append(reply)
    with pytest.raises(DeliveryError, match=str(reply.status)) as caught:
        await sender(dialler, sendgrid.url).send("a@example.com", MAIL)
    assert type(caught.value) is kind
    if isinstance(caught.value, TryAgainLater):
        assert (caught.value.wait_s, caught.value.whole_channel) == (wait_s, True)
    assert sendgrid.mails == []
    # The next attempt is a new one.
    await sender(dialler, sendgrid.url).send("a@example.com", MAIL)


async def test_what_sendgrid_says_is_in_the_message(dialler: Dialler, sendgrid: SendGridServer) -> None:
    with pytest.raises(Refused, match="valid address"):
        await sender(dialler, sendgrid.url).send("nobody", MAIL)


async def test_a_wrong_key_is_told_once_and_not_shown(
    dialler: Dialler, sendgrid: SendGridServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = sender(dialler, sendgrid.url, "SG.wrong-key")
    for _ in range(3):
        with pytest.raises(TryAgainLater, match="401"):
            await wrong.send("a@example.com", MAIL)
    assert caplog.text.count("Check SENDGRID_API_KEY") == 1
    right = sender(dialler, sendgrid.url)
    await right.send("a@example.com", MAIL)
    for secret in ("SG.", "token="):
        assert secret not in caplog.text


async def test_a_server_that_does_not_answer_is_given_up(dialler: Dialler, sendgrid: SendGridServer) -> None:
    sendgrid.script.append(Reply(202, silent=True))
    with pytest.raises(Unanswered, match=r"did not answer within 0\.2 s"):
        await sender(dialler, sendgrid.url, timeout_s=0.2).send("a@example.com", MAIL)


async def test_without_a_base_address_it_is_sendgrids_own(monkeypatch: pytest.MonkeyPatch, dialler: Dialler) -> None:
    asked: list[tuple[str, object, object]] = []

    async def post(url: str, **more: object) -> Answer:
        asked.append((url, more["timeout_s"], more["trusted"]))
        return Answer(202, {}, b"")

    monkeypatch.setattr(dialler, "post", post)
    assert await SendGridSender(dialler, Secret(API_KEY), FROM).send("a@example.com", MAIL) == ""
    assert asked == [("https://api.sendgrid.com/v3/mail/send", 10, True)]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://flashcur.invalid"])
async def test_a_server_that_cannot_be_reached_is_tried_again(dialler: Dialler, url: str) -> None:
    with pytest.raises(DeliveryError, match=r"could not be reached|no such name") as caught:
        await sender(dialler, url.format(port=free_port())).send("a@example.com", MAIL)
    assert type(caught.value) is DeliveryError


async def test_many_are_sent_at_a_time(dialler: Dialler, sendgrid: SendGridServer) -> None:
    sendgrid.hold = threading.Event()
    shared = sender(dialler, sendgrid.url)
    people = [f"{number}@example.com" for number in range(20)]
    sending = [asyncio.create_task(shared.send(person, MAIL)) for person in people]
    await eventually(lambda: len(sendgrid.mails) == 20, "20 mails at a time")
    sendgrid.hold.set()
    assert len(set(await asyncio.gather(*sending))) == 20
    assert sorted(sendgrid.recipients) == sorted(people)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_is_a_mail_with_text_and_html(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mail"
    name = await FileSender(folder, FROM, lambda: NOON).send("a@example.com", MAIL)
    assert files(folder) == [name] == ["20260301T120000Z-1-a@example.com.eml"]
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    mail = email.message_from_bytes((folder / name).read_bytes(), policy=policy.default)
    assert (mail["To"], mail["From"], mail["Subject"]) == ("a@example.com", f"FlashCur <{FROM}>", MAIL.subject)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    parts = [mail.get_body((kind,)) for kind in ("plain", "html")]
    assert [part.get_content().strip() for part in parts if part] == [MAIL.text.strip(), MAIL.html]


@pytest.mark.parametrize("host", ["https://flashcur.example", f"https://{'a' * 60}.{'b' * 60}.example"])
async def test_headers_go_out_as_they_are_given(
    tmp_path: Path, dialler: Dialler, sendgrid: SendGridServer, host: str
) -> None:
    """Mail programs look for the address that stops mail within its brackets: none may become an encoded word."""
    headers = {
        "List-Unsubscribe": f"<{host}/unsubscribe?t={'0123456789abcdef' * 4}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mail = replace(MAIL, subject="BTCUSDT moved up by 5.2 % within 15 minutes, " * 3 + "and on")
    name = await FileSender(tmp_path, FROM, lambda: NOON).send("a@example.com", mail, headers=headers)
    lines = (tmp_path / name).read_text().splitlines()
    for header, value in {**headers, "Subject": mail.subject}.items():
        assert f"{header}: {value}" in lines
    await sender(dialler, sendgrid.url).send("a@example.com", mail, headers=headers)
    assert sendgrid.mails[0]["headers"] == headers
    assert sendgrid.mails[0]["subject"] == mail.subject


async def test_mails_of_one_second_get_numbers(tmp_path: Path) -> None:
    files_of = FileSender(tmp_path, FROM, lambda: NOON)
    names = await asyncio.gather(*(files_of.send("a@example.com", MAIL) for _ in range(12)))
    assert sorted(names) == files(tmp_path) == sorted(f"20260301T120000Z-{n}-a@example.com.eml" for n in range(1, 13))


@pytest.mark.parametrize(
    "recipient",
    [
        "../../etc/passwd@example.com",
        '"/tmp/x"@example.com',
        "..@example.com",
        "ünïcode@exämple.com",
        "a" * 240 + "@example.com",
        "b@example.com\nBcc: c@example.com",
        "\0@example.com",
        "",
        "@",
        "a@b@c",
        "<",
        '"',
    ],
)
async def test_no_recipient_leads_out_of_the_folder_or_adds_a_header(tmp_path: Path, recipient: str) -> None:
    folder = tmp_path / "mail"
    folder.mkdir()
    # It may refuse what is no address; it must not write it elsewhere.
    with contextlib.suppress(DeliveryError):
        await FileSender(folder, FROM, lambda: NOON).send(recipient, MAIL)
    assert files(tmp_path) == ["mail"]
    assert len(files(folder)) <= 1
    for name in files(folder):
        assert name.startswith("20260301T120000Z-1-")
        assert name.endswith(".eml")
        mail = email.message_from_bytes((folder / name).read_bytes(), policy=policy.default)
        assert "Bcc" not in mail


@pytest.mark.parametrize("recipient", ["b@example.com\nBcc: c@example.com", "<", "\ud800@example.com"])
async def test_what_is_no_address_is_not_tried_again(tmp_path: Path, recipient: str) -> None:
    with pytest.raises(Refused):
        await FileSender(tmp_path, FROM).send(recipient, MAIL)


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file is in the way")
    with pytest.raises(DeliveryError, match="mail") as caught:
        await FileSender(tmp_path / "mail", FROM).send("a@example.com", MAIL)
    assert type(caught.value) is DeliveryError


KEY = {"SENDGRID_API_KEY": API_KEY}
ADDRESS = {"FLASHCUR_FROM_EMAIL": FROM}
PROD = {
    "FLASHCUR_ENV": "prod",
    "FLASHCUR_PUBLIC_URL": "https://flashcur.example",
    "FLASHCUR_SECRET_KEY": "f3a9c1e07b5d2846a1b3c5d7e9f00f1e2d3c4b5a69788796a5b4c3d2e1f00112",
}


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, FileSender),
        ({**KEY, **ADDRESS}, SendGridSender),
        (PROD, None),
        ({**PROD, **KEY, **ADDRESS}, SendGridSender),
    ],
)
def test_the_settings_choose_the_way_out(environ: dict[str, str], more: dict[str, str], kind: type | None) -> None:
    settings = Settings.load({**environ, **more})
    made = make_sender(settings, Dialler())
    assert (None if made is None else type(made)) == kind
    folder = Path(environ["FLASHCUR_DATA_DIR"]) / "mail"
    assert mail_folder(settings) == folder
    assert describe(settings) == (f"Mail is written to {folder}" if kind is FileSender else "")


async def test_the_base_address_of_the_api_is_used(
    environ: dict[str, str], dialler: Dialler, sendgrid: SendGridServer
) -> None:
    made = make_sender(Settings.load({**environ, **KEY, **ADDRESS, "SENDGRID_API_BASE": sendgrid.url}), dialler)
    assert made is not None
    assert await made.send("a@example.com", MAIL) == "message-1"


def test_sendgrid_without_a_sender_or_with_a_broken_key_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="FLASHCUR_FROM_EMAIL"):
        make_sender(Settings.load({**environ, **KEY}), Dialler())
    with pytest.raises(ConfigError, match="SENDGRID_API_KEY") as caught:
        make_sender(Settings.load({**environ, **ADDRESS, "SENDGRID_API_KEY": "SG.one\nSG.two"}), Dialler())
    assert "SG." not in str(caught.value)


def test_who_only_queues_mail_does_not_load_sendgrid() -> None:
    code = "import sys, flashcur.services.notify; sys.exit('sendgrid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
