"""Where a request comes from, as limits count it."""

from __future__ import annotations

import pytest

from flashcur.services.accounts.client import Client, client_of


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
