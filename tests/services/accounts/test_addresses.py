"""Addresses: one form to keep and to send to, another to show, and which ones mail cannot reach."""

from __future__ import annotations

import pytest

from flashcur.errors import Refusal
from flashcur.services.accounts.addresses import clean_address, shortened
from flashcur.settings import Settings
from flashcur.settings.idn import ascii_address, shown_address

# Domains in Unicode, and in ASCII by IDNA 2008 (which keeps ß, unlike the standard before it).
DOMAINS = [
    ("bücher.de", "xn--bcher-kva.de"),
    ("straße.example", "xn--strae-oqa.example"),
    ("例え.jp", "xn--r8jz45g.jp"),
    ("почта.рф", "xn--80a1acny.xn--p1ai"),
    ("ไทย.example", "xn--o3cw4h.example"),
    ("mail.kürzer.example", "mail.xn--krzer-kva.example"),
]


@pytest.mark.parametrize(("shown", "kept"), DOMAINS)
def test_a_domain_is_kept_in_ascii_and_shown_in_unicode(shown: str, kept: str) -> None:
    # A capital ß is written SS, and that is another name.
    capitals = shown if "ß" in shown else shown.upper()
    for typed in (f"ann@{shown}", f"Ann@{capitals}", f"ann@{kept}", f"ann@{kept.upper()}"):
        assert clean_address(typed, reachable=False) == f"ann@{kept}"
    assert ascii_address(f"ann@{shown}") == f"ann@{kept}"
    assert shown_address(f"ann@{kept}") == f"ann@{shown}"
    assert shortened(f"ann@{kept}") == f"an…@{shown}"


@pytest.mark.parametrize(
    "address", ["ann@example.com", "ann@xn--.example", "ann@xn--\u0301.de", "", "nobody", "a@xn--0"]
)
def test_what_is_no_unicode_domain_is_shown_as_it_is(address: str) -> None:
    assert shown_address(address) == address


@pytest.mark.parametrize("local", ["ünal", "иван", "用户", "j\u00f8rgen", "ann\u00e9e.b"])
def test_letters_before_the_at_that_no_provider_carries_are_refused_in_words(local: str) -> None:
    with pytest.raises(Refusal, match=r"Mail cannot be sent to this address: “.+” stands before the @") as refused:
        clean_address(f"{local}@example.com", reachable=True)
    assert refused.value.field == "email"
    # Whoever has such an account from before can still sign in.
    assert clean_address(f"{local}@bücher.de", reachable=True, mailable=False) == f"{local}@xn--bcher-kva.de"


@pytest.mark.parametrize("domain", ["bü cher.de", "a\u2024b.de", "☃.example", "-ü.de", "xn--.de", "ü" * 70 + ".de"])
def test_what_cannot_be_a_domain_is_refused(domain: str) -> None:
    with pytest.raises(Refusal, match="not an email address"):
        clean_address(f"ann@{domain}", reachable=False)


def test_an_address_is_not_longer_in_ascii_than_its_column() -> None:
    with pytest.raises(Refusal):
        clean_address(f"{'a' * 60}@{'.'.join(['ü' * 20] * 9)}.de", reachable=False)


def test_settings_spell_domains_the_same_way() -> None:
    settings = Settings.load(
        {"FLASHCUR_ADMIN_EMAILS": "Op@BÜCHER.de, b@example.com", "FLASHCUR_FROM_EMAIL": "m@bücher.de"}
    )
    assert settings.admin_emails == ("op@xn--bcher-kva.de", "b@example.com")
    assert settings.from_email == "m@xn--bcher-kva.de"
