"""Where a request comes from, as limits count it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.services.accounts.client import Client, client_at, client_of


@pytest.mark.parametrize(
    ("forwarded", "hops", "ip"),
    [
        ([], 0, "10.0.0.1"),
        (["203.0.113.5"], 0, "10.0.0.1"),
        (["203.0.113.5"], 1, "203.0.113.5"),
        (["1.1.1.1, 203.0.113.5"], 1, "203.0.113.5"),
        (["1.1.1.1", "203.0.113.5"], 1, "203.0.113.5"),
        (["1.1.1.1, 203.0.113.5, 10.0.0.2"], 2, "203.0.113.5"),
        (["203.0.113.5"], 2, "10.0.0.1"),
        ([" , ,"], 1, "10.0.0.1"),
        (["x" * 500], 1, "x" * 45),
        (["fe80::1%eth0"], 1, "fe80::1"),
        (["[fe80::1%25eth0]:4711"], 1, "fe80::1"),
        (["192.0.2.1%eth0"], 1, "192.0.2.1"),
        (["%eth0"], 1, ""),
        (["a\x1b[31mb"], 1, "a[31mb"),
    ],
)
def test_only_our_own_proxies_are_believed(forwarded: list[str], hops: int, ip: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    assert client_of(headers, "10.0.0.1", hops).ip == ip


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::", "2001:0db8:0001:0002"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80:0000:0000:0000"),
        ("::ffff:192.0.2.1%1", "192.0.2.1"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_limits_count_by_network(ip: str, network: str) -> None:
    assert Client(ip, "").network == network


def test_a_browser_s_name_is_kept_short_and_printable() -> None:
    client = client_of([(b"user-agent", b"a\x00\x1b[31mb\xff" + b"x" * 500)], "", 0)
    assert client.user_agent.startswith("a[31mb")
    assert len(client.user_agent) == 200


@given(st.one_of(st.text(), st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda ip: f"{ip}%{ip}")))
def test_any_address_is_counted_somehow(text: str) -> None:
    for client in (client_at(text, text), Client(text[:45], "")):
        assert isinstance(client.network, str)
    assert client_at(text, text).ip.isprintable()
    assert len(client_at(text, text).ip) <= 45
    assert client_at(text, text).user_agent.isprintable()
