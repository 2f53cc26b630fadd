"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

Headers = Iterable[tuple[bytes, bytes]]
"""(name in lower case, value) as ASGI has them."""


@dataclass(frozen=True, slots=True)
class Client:
    """The other end of a request or a socket."""

    ip: str
    """As text without a zone, at most 45 printable characters; empty where it is not known."""
    user_agent: str
    """Printable characters only, at most 200."""

    @property
    def site(self) -> str | None:
        """The /48 of an IPv6 address, of which a line or a tunnel may have every /64; None for other addresses."""
        address = self._address
        return f"{address.packed[:6].hex(':', 2)}::/48" if isinstance(address, IPv6Address) else None

    @property
    def network(self) -> str:
        """What limits count by: an IPv4 address, or the /64 of an IPv6 address, which one customer has whole."""
        address = self._address
        if address is None:
            return self.ip
        return address.packed[:8].hex(":", 2) if isinstance(address, IPv6Address) else str(address)

    @property
    def _address(self) -> IPv4Address | IPv6Address | None:
        """The address, an IPv4 one that is written as IPv6 as what it is; None for what is none."""
        try:
            address = ip_address(_without_zone(self.ip))
        except ValueError:
            return None
        return getattr(address, "ipv4_mapped", None) or address


NOBODY = Client("", "")
"""For what no request causes."""


def client_of(headers: Headers, peer: str, proxy_hops: int) -> Client:
    """Who sent these headers over a connection from `peer`, an IP address.

    The last `proxy_hops` entries of `X-Forwarded-For` are believed, since our own proxies wrote them; with 0 none is.
    """
    forwarded: list[str] = []
    agent = ""
    for name, value in headers:
        if name == b"x-forwarded-for":
            forwarded += [entry.strip() for entry in value.decode("latin-1").split(",") if entry.strip()]
        elif name == b"user-agent":
            agent = value.decode("latin-1")
    ip = forwarded[-proxy_hops] if proxy_hops and len(forwarded) >= proxy_hops else peer
    return client_at(_without_port(ip), agent)


def client_at(address: str, user_agent: str) -> Client:
    """The client at an address without a port, whatever the two texts are."""
    return Client(_printable(_without_zone(address))[:45], _printable(user_agent)[:200])


def _without_zone(address: str) -> str:
    """`fe80::1` for `fe80::1%eth0`: the zone names a network card of this machine, or is whatever somebody wrote."""
    return address.partition("%")[0]


def _without_port(address: str) -> str:
    """`192.0.2.1` for `192.0.2.1:4711`, `2001:db8::1` for `[2001:db8::1]:4711`: some proxies write the port as well."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return host if port.isdigit() and "." in host else address


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
