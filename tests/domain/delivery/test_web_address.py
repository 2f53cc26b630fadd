"""Which addresses of users may be called."""

from __future__ import annotations

import pytest

from flashcur.domain.delivery.web_address import is_public, read_web_address

INSIDE = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    """Complaint 19: NAT64, 6to4, multicast and mapped addresses too, which `is_global` takes for public."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
        "2001:4860:4860::8888",
    ],
)
def test_other_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://hooks.example.com/a?b=c", "https://hooks.example.com/a?b=c"),
        ("  HTTPS://Hooks.Example.COM  ", "https://hooks.example.com/"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("https://bücher.example.com/ä ".strip(), "https://xn--bcher-kva.example.com/%C3%A4"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
    ],
)
def test_a_public_address_is_read_and_spelled_as_browsers_do(text: str, url: str) -> None:
    assert read_web_address(text).url == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "begins with https://"),
        ("example.com", "begins with https://"),
        ("http://example.com/", "begins with https://"),
        ("ftp://example.com/", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("gopher://example.com/", "begins with https://"),
        ("https://", "begins with https://"),
        ("https:///x", "public internet"),
        ("https:\\\\example.com", "begins with https://"),
        ("https://example.com\\@127.0.0.1/", "begins with https://"),
        ("https://exa\tmple.com/", "begins with https://"),
        ("https://example.com/\r\nHost: x", "begins with https://"),
        ("https://example.com/\0", "begins with https://"),
        ("https://exa%00mple.com/", "begins with https://"),
        ("https://[::1", "begins with https://"),
        ("https://[fe80::1%25eth0]/", "begins with https://"),
        ("https://256.1.1.1/", "begins with https://"),
        ("https://user@example.com/", "without a user name"),
        ("https://user:pass@example.com/", "without a user name"),
        ("https://example.com@127.0.0.1/", "without a user name"),
        ("https://example.com/#x", "without #"),
        ("https://example.com/#", "without #"),
        ("https://localhost/", "public internet"),
        ("https://LOCALHOST/", "public internet"),
        ("https://a.localhost/", "public internet"),
        ("https://localhost./", "public internet"),
        ("https://intranet/", "public internet"),
        ("https://metadata.google.internal/", "public internet"),
        ("https://printer.local/", "public internet"),
        ("https://example..com/", "public internet"),
        ("https://example.com./", "public internet"),
        ("https://127.0.0.1/", "public internet"),
        ("https://127.1/", "public internet"),
        ("https://0x7f.1/", "public internet"),
        ("https://0x7f000001/", "public internet"),
        ("https://2130706433/", "public internet"),
        ("https://0177.0.0.1/", "public internet"),
        ("https://0x8.0x8.0x8.0x8/", "public internet"),
        ("https://134744072/", "public internet"),
        ("https://1.1/", "public internet"),
        ("https://①②⑦.0.0.1/", "public internet"),
        ("https://127。0。0。1/", "public internet"),
        ("https://169.254.169.254/latest/meta-data/", "public internet"),
        ("https://[::1]/", "public internet"),
        ("https://[::ffff:7f00:1]/", "public internet"),
        ("https://[::ffff:127.0.0.1]/", "public internet"),
        ("https://[64:ff9b::7f00:1]/", "public internet"),
        ("https://[2002:7f00:1::]/", "public internet"),
        ("https://example.com:22/", "port 443 or 8443, was 22"),
        ("https://example.com:80/", "port 443 or 8443, was 80"),
        ("https://example.com:6379/", "port 443 or 8443, was 6379"),
        ("https://example.com/" + "a" * 2000, "at most 2,000 characters"),
    ],
)
def test_any_other_address_is_refused(text: str, expected: str) -> None:
    """Complaint 19."""
    with pytest.raises(ValueError, match=expected):
        read_web_address(text)


def test_in_development_this_machine_may_be_called() -> None:
    assert read_web_address("http://127.0.0.1:8099/hook", private=True).url == "http://127.0.0.1:8099/hook"
    with pytest.raises(ValueError, match="begins with https://"):
        read_web_address("file:///etc/passwd", private=True)


def test_what_is_said_of_a_wrong_address_does_not_repeat_all_of_it() -> None:
    with pytest.raises(ValueError, match="begins with https://") as told:
        read_web_address("http://example.com/" + "s" * 100)
    assert "s" * 30 not in str(told.value)
