"""Every mail says what it is, leads where it should and tells what to do if it was not you."""

from __future__ import annotations

import re
from html import unescape

import pytest

from flashcur.services.notify.account_mail import complete
from flashcur.services.notify.links import read_token
from flashcur.services.notify.templates import TEMPLATES, render
from flashcur.settings import Secret

SECRET = Secret("0123456789abcdef" * 4)
BASE = "https://flashcur.example"
TOKEN_ID = "c0ffee" * 5 + "00"
LINKS = {"register": "/confirm", "reset": "/reset", "change-new": "/confirm-change", "change-old": "/confirm-change"}


def values(template: str) -> dict[str, object]:
    return {"base": BASE, **({"token_id": TOKEN_ID} if template in LINKS else {})}


def words(html: str) -> str:
    body = html.split("<body", 1)[1].split(">", 1)[1]
    return " ".join(unescape(re.sub("<[^>]*>", " ", body)).split())


def test_these_are_all_mails() -> None:
    assert set(TEMPLATES) == {
        *LINKS,
        "already-registered",
        "change-taken",
        "changed",
        "password-changed",
        "way-in-added",
        "account-deleted",
    }
    # They fit the column.
    assert max(map(len, TEMPLATES)) <= 32


@pytest.mark.parametrize("template", TEMPLATES)
def test_text_and_html_say_the_same_and_fetch_nothing(template: str) -> None:
    mail = render(template, values(template))
    assert words(mail.html) == " ".join(mail.text.split())
    assert not re.search(r"<(img|script|link|iframe)|url\(|src=", mail.html)
    assert "{" not in mail.text + mail.html
    assert "FlashCur" in mail.subject
    assert "\n" not in mail.subject
    assert re.search("if (it|this) was|if you didn’t", mail.text.lower())
    for url, shown in re.findall(r'<a href="([^"]*)">([^<]*)</a>', mail.html):
        assert url == shown
        assert unescape(url) in mail.text.split()
    urls = re.findall(r"https?://[^\s.]+\.[^\s]+", mail.text)
    assert all(url.startswith(BASE) for url in urls)


@pytest.mark.parametrize("template", LINKS)
def test_a_link_opens_what_its_template_is_for_and_nothing_else(template: str) -> None:
    mail = render(template, values(template))
    frozen = {"template": template, "values": values(template), "text": mail.text, "html": mail.html}
    assert TOKEN_ID in mail.text
    assert not re.search(f"{TOKEN_ID}[0-9a-f]", mail.text + mail.html)
    text = complete(frozen, SECRET)["text"]
    (link,) = re.findall(rf"^{re.escape(BASE)}\S+$", text, re.MULTILINE)
    path, _, token = link.removeprefix(BASE).partition("#token=")
    # Behind the `#` it is sent to no server.
    assert path == LINKS[template]
    assert read_token(SECRET, template, token) == TOKEN_ID
    assert not [other for other in LINKS if other != template and read_token(SECRET, other, token)]


@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - set(LINKS)))
def test_other_mails_hold_no_token(template: str) -> None:
    assert "token" not in render(template, values(template)).text


@pytest.mark.parametrize(
    ("template", "more", "expected"),
    [
        ("register", {}, "for 24 hours"),
        ("change-old", {}, "for 24 hours"),
        ("reset", {}, "for 60 minutes"),
        ("reset", {"hours": 0.5}, "for 30 minutes"),
        ("change-new", {"hours": 48}, "for 48 hours"),
    ],
)
def test_a_mail_says_how_long_its_link_is_valid(template: str, more: dict[str, object], expected: str) -> None:
    assert expected in render(template, {**values(template), **more}).text


@pytest.mark.parametrize("template", ["change-old", "changed"])
def test_the_new_address_is_named_and_cannot_be_markup(template: str) -> None:
    address = '"<b>&{base}"@example.com'
    mail = render(template, {**values(template), "new_email": address})
    assert address in mail.text
    assert "<b>" not in mail.html
    assert "&quot;&lt;b&gt;&amp;{base}&quot;@example.com" in mail.html
    assert "another one" in render(template, values(template)).text


def test_the_origin_is_escaped_too() -> None:
    html = render("already-registered", {"base": 'https://x"><script>'}).html
    assert "<script>" not in html


def test_a_mail_without_what_it_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="was 'nothing'"):
        render("nothing", {"base": BASE})
    with pytest.raises(ValueError, match="base, token_id"):
        render("register", {"base": BASE})
